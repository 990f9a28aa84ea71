/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CAs and revocation lists in the TLS library. */
#ifndef POSTERN_CLIENTCA_H
#define POSTERN_CLIENTCA_H

#include "x509/trust.h"

struct WOLFSSL_CTX;

/* Loads the CAs that are valid today and the revocation lists into a context. At least one CA must be
 * valid. If there are lists, each certificate of a chain needs one from its issuer. Leaves out a CA that the
 * library refuses, if another CA can be used: 5.7.2 refuses serial number 0, for instance. Returns 0 or a
 * negative errno. `why` (TLS_WHY_SIZE bytes) gets the reason, also for a CA left out; else "". */
int clientca_load(struct WOLFSSL_CTX *context, const struct trust *trust, char *why);

/* Frees the CAs and lists of a context, and the memory that verifying took. */
void clientca_unload(struct WOLFSSL_CTX *context);

#endif
