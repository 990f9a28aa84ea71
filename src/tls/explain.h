/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Says why a handshake failed: what the TLS library's errors mean. */
#ifndef POSTERN_EXPLAIN_H
#define POSTERN_EXPLAIN_H

struct tls;

/* The result of a handshake. From TLS_LEFT on, `why` has the reason in words. */
enum tls_result {
    TLS_DONE,
    TLS_TIMEOUT,
    TLS_STOPPED,   /* `watch` has become readable */
    TLS_NO_ALPN,   /* no ALPN protocol is shared */
    TLS_LEFT,      /* the client left */
    TLS_DISAGREED, /* client and server can't agree */
    TLS_BAD_HELLO, /* the library can't read the ClientHello */
    TLS_BAD_VALUE, /* the library refuses a value in it */
    TLS_FAILED     /* the system, the library or the signer failed */
};

/* Puts into `why` (TLS_WHY_SIZE bytes) why the handshake failed; `error` is the library's. If the client sent
 * something else than its second ClientHello, sends the alert that answers it. */
enum tls_result explain_failure(struct tls *t, int error, char *why);

#endif
