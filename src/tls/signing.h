/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Gets the TLS library's signatures from the owner of the private key. */
#ifndef POSTERN_SIGNING_H
#define POSTERN_SIGNING_H

#include "common/facts.h"

#include <stddef.h>
#include <stdint.h>

struct WOLFSSL;
struct WOLFSSL_CTX;

/* Signs `data` and sets *sig_len, which comes with the size of sig. Returns 0 or a negative errno. */
typedef int tls_signer(void *who, enum sign_as how, const uint8_t *data, size_t len, uint8_t *sig,
                       size_t *sig_len);

struct signing {
    tls_signer *sign;
    void *who;
    int error; /* of the last call of `sign`, a negative errno; 0: none */
};

/* Sets the library's callbacks for all sessions of a context; then `s` for one session, for as long as it
 * lives. */
void signing_use(struct WOLFSSL_CTX *context);
void signing_attach(struct WOLFSSL *ssl, struct signing *s);

#endif
