/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OCSP stapling (RFC 6066 section 8) from a file: judged, then shown to clients that ask. Nothing is
 * ever fetched. */
#ifndef POSTERN_STAPLE_H
#define POSTERN_STAPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct WOLFSSL_CTX;

/* An OCSP response for the first certificate of a chain; the bytes are the caller's and have to stay
 * as long as the context. */
struct staple {
    const uint8_t *chain; /* DER, leaf first */
    size_t chain_len;
    const uint8_t *response;
    size_t response_len;
};

/* True if this build of the library can staple. */
bool staple_is_possible(void);

/* Judges a response: about this certificate, signed by or for its issuer, which has to be in the
 * chain, valid today, and good. Returns 0, or a negative code and in `why` (TLS_WHY_SIZE bytes) the
 * reason in words. */
int staple_check(const struct staple *s, char *why);

/* Makes a context give the response, which has been judged, to clients that ask for it.
 * Returns 0 or a negative code. */
int staple_use(struct WOLFSSL_CTX *context, struct staple *s);

#endif
