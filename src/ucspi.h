/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UCSPI-TLS: a handler that does the plaintext phase itself, on the network socket, asks for TLS
 * over a descriptor and goes on over two pipes. Layer 3. */
#ifndef POSTERN_UCSPI_H
#define POSTERN_UCSPI_H

#include "environment.h"
#include "facts.h"
#include "peer.h"

/* One side's descriptors. */
struct ucspi {
    int control;            /* SSLCTLFD: one byte, y or Y, asks for TLS */
    int read;               /* SSLREADFD on the handler's side: what the client says inside TLS */
    int write;              /* SSLWRITEFD on the handler's side */
    bool wants_environment; /* it was Y */
};

/* Makes both sides, close-on-exec. Returns 0 or a negative errno; ucspi_close() closes a side. */
int ucspi_make(struct ucspi *gate, struct ucspi *handler);
void ucspi_close(struct ucspi *side);

/* Tells the handler, which finds its side from descriptor `first` on. */
void ucspi_describe(struct environment *e, int first);

/* Waits until the handler asks for TLS. `watch` ends it. Returns 0, -EPIPE when the handler has
 * closed its end, -ECANCELED, -EBADMSG for any other byte, or another negative errno. */
int ucspi_wait(struct ucspi *gate, int watch);

/* Answers Y with the environment: NAME=value, each ended by a NUL, one more NUL at the end. The
 * pipes are non-blocking from the start. Returns 0 or a negative errno. */
int ucspi_begin(struct ucspi *gate, const struct peer *client, const struct peer *server,
                const struct facts *facts);

#endif
