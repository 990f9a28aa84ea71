/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OCSP stapling (RFC 6066 section 8): checks a response from a file and gives it to clients that ask.
 * Never fetches one. */
#ifndef POSTERN_STAPLE_H
#define POSTERN_STAPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct WOLFSSL_CTX;

/* An OCSP response for the first certificate of a chain. The caller owns the bytes, which must stay as long
 * as the context. */
struct staple {
    const uint8_t *chain; /* DER, leaf first */
    size_t chain_len;
    const uint8_t *response;
    size_t response_len;
};

/* True if this build of the library can staple. */
bool staple_is_possible(void);

/* Checks a response: it must be about this certificate, signed by or for its issuer, valid today, and say
 * "good". The issuer must be in the chain. Returns 0, or a negative errno with the reason in `why`
 * (TLS_WHY_SIZE bytes). */
int staple_check(const struct staple *s, char *why);

/* Makes a context give the response to clients that ask for it; staple_check() must have accepted it.
 * Returns 0 or a negative errno. */
int staple_use(struct WOLFSSL_CTX *context, struct staple *s);

#endif
