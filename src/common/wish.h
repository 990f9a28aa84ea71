/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What decides the choice of a certificate, and the result of that choice. */
#ifndef POSTERN_WISH_H
#define POSTERN_WISH_H

#include "common/message.h"

#include <stdbool.h>

#define WISH_NAME_MAX 255

/* The best cipher suites that a client offers for a kind of key: none, old ones, or AEAD. */
enum fit { FIT_NONE, FIT_LEGACY, FIT_AEAD };

/* The parts of a ClientHello that decide which certificate its client gets. */
struct wish {
    char name[WISH_NAME_MAX + 1]; /* the server name; "": none */
    enum fit rsa;
    enum fit ecdsa;
    enum fit ed25519;
    bool staple; /* the client asks for an OCSP response */
};

/* The result of the choice: a certificate, or why there is none. */
enum chain_verdict {
    CHAIN_GIVEN,
    CHAIN_NONE_FITS,    /* the client supports the kind of key of none */
    CHAIN_NO_SUCH_NAME, /* there is none for the server name */
    CHAIN_BROKEN        /* there is one for the server name, but it can't be used */
};

/* Write and read a wish as part of a message. A field that is missing, too long or out of range sets
 * m->failed. */
void wish_put(struct message_writer *m, const struct wish *w);
void wish_get(struct message_reader *m, struct wish *w);

#endif
