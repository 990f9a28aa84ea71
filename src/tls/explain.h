/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a handshake failed: what the TLS library's errors mean. */
#ifndef POSTERN_EXPLAIN_H
#define POSTERN_EXPLAIN_H

struct tls;

/* How a handshake ended. From TLS_LEFT on `why` says it in words. */
enum tls_result {
    TLS_DONE,
    TLS_TIMEOUT,
    TLS_STOPPED,   /* `watch` has become readable */
    TLS_NO_ALPN,   /* no ALPN protocol is shared */
    TLS_LEFT,      /* the client left */
    TLS_DISAGREED, /* the two can't agree */
    TLS_BAD_HELLO, /* the library can't read the ClientHello */
    TLS_BAD_VALUE, /* the library refuses a value in it */
    TLS_FAILED     /* the system, the library or the signer failed */
};

/* Says in words why the handshake failed with the library's `error`; `why` has TLS_WHY_SIZE bytes. Answers
 * a second ClientHello that is none. */
enum tls_result explain_failure(struct tls *t, int error, char *why);

#endif
