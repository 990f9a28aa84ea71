/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the decoy key that wolfSSL wants beside a certificate. Pure.
 *
 * Newer libraries (5.7.2, 5.9.2) end the handshake with NO_PRIVATE_KEY if a context has no private key,
 * although callbacks do all signing. The gate must not have the key, so it loads another one of the same
 * kind and size. The library takes sizes from it, and never signs with it. */
#ifndef POSTERN_DECOY_H
#define POSTERN_DECOY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECOY_MAX 1200 /* bytes: RSA with 8192 bits */

struct decoy {
    uint8_t key[DECOY_MAX]; /* PKCS#8 in DER (RFC 5208) */
    size_t len;
    bool
        has_public_half; /* key holds a public half of its own, behind the private one (RFC 5958) */
};

/* Makes a decoy for the first certificate in der. RSA: the certificate's modulus and exponent, and the
 * number 3 for each private number. ECDSA: a fixed scalar. Ed25519: a fixed private half with its public
 * half; without this one the library would take the certificate's and find that the two don't match.
 * Returns 0; -EBADMSG if der is no certificate; -ENOTSUP for another kind of key. Logs nothing. */
int decoy_make(struct decoy *d, const uint8_t *der, size_t len);

#endif
