/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The descriptors of UCSPI-TLS: a handler that does the plaintext phase itself, on the network socket, asks for
 * TLS over one of them and goes on over the other two. */
#ifndef POSTERN_UCSPI_ENDS_H
#define POSTERN_UCSPI_ENDS_H

#include "start/environment.h"

#include <stdbool.h>

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

#endif
