/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The session side of TLS: wolfSSL in the gate, without any private key. */
#ifndef POSTERN_TLS_H
#define POSTERN_TLS_H

#include "common/facts.h"
#include "common/io.h"
#include "tls/explain.h"
#include "tls/resume.h"
#include "tls/signing.h"
#include "tls/suites.h"
#include "tls/verify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_setup {
    unsigned version_min;    /* 0x0303: TLS 1.2 */
    const char *ciphers;     /* NULL: the default */
    const char *groups;      /* NULL: the default */
    const uint16_t *offered; /* groups that the client offers */
    size_t offered_count;
    const uint8_t *chain; /* DER certificates one behind the other, leaf first */
    size_t chain_len;
    const uint8_t
        *staple; /* an OCSP response that has been judged; it must stay, as the chain, until */
    size_t staple_len;    /* tls_free(); 0: none */
    const char *alpn;     /* protocols accepted, with commas between; NULL: ALPN is ignored */
    const uint8_t *first; /* bytes of the client that have been read already; they must stay */
    size_t first_len;     /* where they are until the handshake is done */
    int limit_alert;      /* if the library can't take them: the alert to send; 0: its own */
    struct clientcert_setup client;
    tls_signer *sign;
    void *signer;
    struct resumption resumption;
};

struct tls;

/* Starts the library; to be called while files can still be opened: builds with OpenSSL's names read
 * /dev/urandom for a generator that postern never uses, and that is thrown away here. May be called
 * before a fork, and again behind it at little cost. Returns 0 or -EIO. */
int tls_start(void);

/* Makes context and object for one connection on non-blocking descriptors, which stay the
 * caller's. Returns 0 and *t, which tls_free() frees; or a negative errno and in `why` (TLS_WHY_SIZE
 * bytes) the reason in words. */
int tls_new(struct tls **t, int in, int out, const struct tls_setup *setup, char *why);

/* Does the handshake; `why` has TLS_WHY_SIZE bytes. */
enum tls_result tls_handshake(struct tls *t, int watch, io_time deadline, char *why);

/* True if the client's last ClientHello has had no answer at all, not even an alert. */
bool tls_is_silent(const struct tls *t);

/* Fills in what the handshake agreed on, all but the name; then gives back the memory that only
 * the handshake needed. False if the session must not begin: the library has not judged the client's
 * certificate. */
bool tls_take_facts(struct tls *t, struct facts *facts);

/* Decrypted bytes: more than 0; 0 after the client's close_notify; -EAGAIN; -EPIPE: the client's
 * end of the connection came without close_notify; -ECONNRESET; -ENOMEM; -EPROTO. */
ssize_t tls_read(struct tls *t, void *buf, size_t len);

/* Takes len bytes, at most TLS_RECORD_MAX, and sends as much as the descriptor takes; the rest goes
 * out with tls_flush(). To be called only while tls_flush() has nothing left.
 * Returns 0 or a negative errno. */
#define TLS_RECORD_MAX 16384
int tls_write(struct tls *t, const void *buf, size_t len);

/* Sends what is left of earlier records: 0 when nothing is left, -EAGAIN, or another errno. */
int tls_flush(struct tls *t);

/* True if tls_read() may be called now: bounds what a client can make us queue by asking for
 * answers (KeyUpdate) that it doesn't read. */
bool tls_may_read(const struct tls *t);

/* Queues close_notify, to be sent by tls_flush(). */
void tls_close(struct tls *t);

void tls_free(struct tls *t);

#endif
