/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client wishes for in a certificate, and what the monitor decides. */
#ifndef POSTERN_WISH_H
#define POSTERN_WISH_H

#include "common/message.h"

#include <stdbool.h>

#define WISH_NAME_MAX 255

/* The best cipher suites that a client has for a kind of key. */
enum fit { FIT_NONE, FIT_LEGACY, FIT_AEAD };

/* What of a ClientHello decides which certificate its client gets. */
struct wish {
    char name[WISH_NAME_MAX + 1]; /* the server name; "": none */
    enum fit rsa;
    enum fit ecdsa;
    enum fit ed25519;
    bool staple; /* it asks for an OCSP response */
};

/* Which certificate a client gets, or why it gets none. */
enum chain_verdict {
    CHAIN_GIVEN,
    CHAIN_NONE_FITS,    /* the client can check the signatures of none */
    CHAIN_NO_SUCH_NAME, /* there is none for the name that it asked for */
    CHAIN_BROKEN        /* there is one for that name, but it can't be used */
};

/* Writes and reads a wish as part of a message. What is missing, too long or out of range makes the
 * reader fail. */
void wish_put(struct message_writer *m, const struct wish *w);
void wish_get(struct message_reader *m, struct wish *w);

#endif
