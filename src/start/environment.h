/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handler's environment: who the client is and what TLS has agreed on. */
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
    bool failed; /* out of memory */
};

/* Copies an environment, leaving out every name that could pass for one that postern sets: SSL_*,
 * TLS*, TCP* (but TCPREMOTEHOST and TCPLOCALHOST), POSTERN_*, REMOTE_*, PROTO and the like. */
void environment_copy(struct environment *e, char *const *from);

/* Takes NAME out again. */
void environment_remove(struct environment *e, const char *name);

/* Adds NAME=value; environment_set() adds nothing for an empty value. */
void environment_add(struct environment *e, const char *name, const char *value);
void environment_set(struct environment *e, const char *name, const char *value);

/* Adds what is known of the two ends and, if facts is not NULL, of TLS. */
void environment_describe(struct environment *e, const struct peer *client,
                          const struct peer *server, const struct facts *facts);

void environment_free(struct environment *e);

#endif
