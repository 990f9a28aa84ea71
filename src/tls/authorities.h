/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CAs and revocation lists in the TLS library. */
#ifndef POSTERN_CLIENTCA_H
#define POSTERN_CLIENTCA_H

#include "x509/trust.h"

struct WOLFSSL_CTX;

/* Loads into a context the CAs that are valid today, of which there has to be one, and the lists, so
 * that each certificate of a chain has to have one. A CA that the library refuses is left out, as long as
 * there is another one: 5.7.2 takes none whose serial number is 0, for instance. Returns 0, or a negative
 * errno, and the reason for either in `why` (TLS_WHY_SIZE bytes; else ""). */
int clientca_load(struct WOLFSSL_CTX *context, const struct trust *trust, char *why);

/* Gives back their memory, and what verifying with them took. */
void clientca_unload(struct WOLFSSL_CTX *context);

#endif
