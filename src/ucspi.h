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

enum ucspi_result {
    UCSPI_BEGIN,      /* the handler asks for TLS */
    UCSPI_CLOSED,     /* it has closed its end, and so never will */
    UCSPI_OTHER_BYTE, /* it has written something else */
    UCSPI_WATCH,      /* `watch` has become readable */
    UCSPI_FAILED      /* the system failed: *error is a negative errno */
};

/* Waits until the handler asks for TLS, or `watch` becomes readable. */
enum ucspi_result ucspi_wait(struct ucspi *gate, int watch, int *error);

/* Answers Y with the environment: NAME=value, each ended by a NUL, one more NUL at the end. The
 * pipes are non-blocking from the start. Returns 0 or a negative errno. */
int ucspi_begin(struct ucspi *gate, const struct peer *client, const struct peer *server,
                const struct facts *facts);

#endif
