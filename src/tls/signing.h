/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The TLS library's signatures, made by whoever has the key. */
#ifndef POSTERN_SIGNING_H
#define POSTERN_SIGNING_H

#include "common/facts.h"

#include <stddef.h>
#include <stdint.h>

struct WOLFSSL;
struct WOLFSSL_CTX;

/* Asks whoever has the key for a signature of at most *sig_len bytes; 0 or a negative errno. */
typedef int tls_signer(void *who, enum sign_as how, const uint8_t *data, size_t len, uint8_t *sig,
                       size_t *sig_len);

struct signing {
    tls_signer *sign;
    void *who;
    int error; /* of the last signature, as a negative errno; 0: none */
};

/* Makes the sessions of a context ask for signatures, and this session ask by `s`. */
void signing_use(struct WOLFSSL_CTX *context);
void signing_attach(struct WOLFSSL *ssl, struct signing *s);

#endif
