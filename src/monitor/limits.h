/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wait mode: the limits on clients (--max-connections, --max-per-client), and how a client is refused. */
#ifndef POSTERN_LIMITS_H
#define POSTERN_LIMITS_H

#include "common/io.h"
#include "monitor/clients.h"
#include "start/activation.h"
#include "start/options.h"

#include <stddef.h>

/* Refused clients. The log has one line a second about them at most. */
struct refusals {
    unsigned count;  /* since the last line */
    io_time line_at; /* the earliest time of the next line; 0: at once */
};

/* Returns the option whose limit keeps this client out, or NULL if the client may be served. */
const char *limits_reached(const struct options *o, const struct clients *clients,
                           const struct peer *client);

/* Sends the client a refusal in the words of its protocol, if that has any before TLS, and logs it. Never
 * waits. `why` is for the log; `connections` is how many there are now. Does not close the connection. */
void limits_refuse(struct refusals *r, const struct options *o, const struct connection *c,
                   const char *why, size_t connections);

#endif
