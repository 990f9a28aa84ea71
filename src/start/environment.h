/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handler's environment: it tells the client's address and the facts of TLS. */
#ifndef POSTERN_ENVIRONMENT_H
#define POSTERN_ENVIRONMENT_H

#include "common/facts.h"
#include "start/peer.h"

#include <stdbool.h>
#include <stddef.h>

/* An environment under construction: a NULL-terminated list that owns its strings. */
struct environment {
    char **list;
    size_t count;
    bool failed; /* out of memory; the caller checks it once, at the end */
};

/* Copies an environment without the names that postern sets or that look like them: SSL_*, TLS*, TCP* (but
 * TCPREMOTEHOST and TCPLOCALHOST), POSTERN_*, REMOTE_*, PROTO and the like. */
void environment_copy(struct environment *e, char *const *from);

/* Removes NAME. */
void environment_remove(struct environment *e, const char *name);

/* Add NAME=value. environment_set() adds nothing if the value is empty. */
void environment_add(struct environment *e, const char *name, const char *value);
void environment_set(struct environment *e, const char *name, const char *value);

/* Adds the variables about the two ends and, if facts is not NULL, about TLS. */
void environment_describe(struct environment *e, const struct peer *client,
                          const struct peer *server, const struct facts *facts);

void environment_free(struct environment *e);

#endif
