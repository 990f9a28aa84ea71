/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The descriptors of UCSPI-TLS. The handler does the plaintext phase itself, on the network socket. Then it asks
 * for TLS over one of these descriptors, and reads and writes plaintext over the other two. */
#ifndef POSTERN_UCSPI_ENDS_H
#define POSTERN_UCSPI_ENDS_H

#include "start/environment.h"

#include <stdbool.h>

/* The descriptors of one side. */
struct ucspi {
    int control;            /* SSLCTLFD: one byte, y or Y, asks for TLS */
    int read;               /* SSLREADFD on the handler's side: the client's bytes, decrypted */
    int write;              /* SSLWRITEFD on the handler's side */
    bool wants_environment; /* the byte was Y: the handler wants the facts of TLS */
};

/* Makes both sides, close-on-exec. Returns 0 or a negative errno; in both cases the caller closes both sides. */
int ucspi_make(struct ucspi *gate, struct ucspi *handler);

/* Closes the descriptors of one side that are open. */
void ucspi_close(struct ucspi *side);

/* Adds SSLCTLFD, SSLREADFD and SSLWRITEFD: the handler's three descriptors begin at `first`. */
void ucspi_describe(struct environment *e, int first);

#endif
