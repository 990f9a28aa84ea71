/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client certificates: makes the TLS library verify them, and checks what the library does not. */
#ifndef POSTERN_CLIENTCERT_H
#define POSTERN_CLIENTCERT_H

#include "common/facts.h"
#include "start/options.h"
#include "x509/trust.h"

#include <stdbool.h>

struct WOLFSSL;
struct WOLFSSL_CTX;

struct clientcert_setup {
    enum client_cert mode;
    enum client_name part;
    const struct trust *trust;
};

struct clientcert;

/* Makes a context ask for client certificates, and loads CAs and revocation lists into it. With
 * CLIENT_CERT_OFF does nothing and sets *c to NULL, which all other functions accept. Returns 0 and sets *c,
 * which clientcert_free() frees; or a negative errno with the reason in `why` (TLS_WHY_SIZE bytes). Leaves
 * out a CA that the library refuses, if another CA can be used. */
int clientcert_new(struct clientcert **c, struct WOLFSSL_CTX *context,
                   const struct clientcert_setup *setup, char *why);

/* Makes `c` judge the certificates of this session. */
void clientcert_watch(struct clientcert *c, struct WOLFSSL *ssl);

/* Returns the alert for a refused client (RFC 8446 section 6.2); 0: the one that the library chooses. */
int clientcert_alert(const struct clientcert *c);

/* Returns true if the handshake failed because of a client certificate, or because there was none. Then
 * `why` (TLS_WHY_SIZE bytes) says which certificate and why. `error` is the library's. */
bool clientcert_explain(const struct clientcert *c, int error, char *why);

/* Fills in what the client's certificate says, after the handshake. Returns false if the session must not
 * begin. */
bool clientcert_take_facts(const struct clientcert *c, struct client_facts *facts);

/* Frees `c`, and the context's CAs and lists. */
void clientcert_free(struct clientcert *c, struct WOLFSSL_CTX *context);

/* Tries to load CAs and lists, for --check. Returns 0, or a negative errno with the reason in `why`. With 0
 * `why` names a CA that the library refuses, or is "". */
int clientcert_check(const struct clientcert_setup *setup, char *why);

#endif
