/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client certificates: what the TLS library verifies and what it leaves to us. */
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

/* Makes a context ask for client certificates, and loads CAs and lists into it. With CLIENT_CERT_OFF
 * there is nothing to do and *c is NULL, which all that follows take. Returns 0 and *c, which
 * clientcert_free() frees; or a negative errno and the reason in `why` (TLS_WHY_SIZE bytes). A CA that
 * the library refuses is left out, as long as there is another one. */
int clientcert_new(struct clientcert **c, struct WOLFSSL_CTX *context,
                   const struct clientcert_setup *setup, char *why);

/* Has this connection's certificates judged. */
void clientcert_watch(struct clientcert *c, struct WOLFSSL *ssl);

/* The alert that a refused client should get, by RFC 8446 section 6.2; 0: the library's choice. */
int clientcert_alert(const struct clientcert *c);

/* If it was a certificate, or its lack, that made the handshake fail with the library's `error`: puts
 * which one and why into `why` (TLS_WHY_SIZE bytes) and returns true. */
bool clientcert_explain(const struct clientcert *c, int error, char *why);

/* The handshake is done: what is known of the client. False if the session must not begin. */
bool clientcert_take_facts(const struct clientcert *c, struct client_facts *facts);

/* Frees it, and in the context what only verification needs. */
void clientcert_free(struct clientcert *c, struct WOLFSSL_CTX *context);

/* Tries to load CAs and lists, for --check. Returns 0, or a negative errno and the reason in `why`; with 0
 * it says there of a CA that the library refuses, if there is one. */
int clientcert_check(const struct clientcert_setup *setup, char *why);

#endif
