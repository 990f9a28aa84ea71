/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate's part of UCSPI-TLS: waits until the handler asks for TLS, and answers. */
#ifndef POSTERN_UCSPI_H
#define POSTERN_UCSPI_H

#include "common/facts.h"
#include "start/peer.h"
#include "start/ucspi_ends.h"

enum ucspi_result {
    UCSPI_BEGIN,      /* the handler asks for TLS */
    UCSPI_CLOSED,     /* it closed SSLCTLFD, so it can't ask any more */
    UCSPI_OTHER_BYTE, /* it wrote something else than y or Y */
    UCSPI_WATCH,      /* `watch` has become readable */
    UCSPI_FAILED      /* the system failed: *error is a negative errno */
};

/* Waits until the handler asks for TLS, or `watch` becomes readable. */
enum ucspi_result ucspi_wait(struct ucspi *gate, int watch, int *error);

/* Answers Y with the environment: NAME=value, each ended by a NUL, one more NUL at the end. Does nothing
 * after y. Returns 0 or a negative errno. */
int ucspi_begin(struct ucspi *gate, const struct peer *client, const struct peer *server,
                const struct facts *facts);

#endif
