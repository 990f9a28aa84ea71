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

/* What a session is made from. The caller owns all that it points to. */
struct tls_setup {
    unsigned version_min;    /* 0x0303: TLS 1.2 */
    const char *ciphers;     /* NULL: the default */
    const char *groups;      /* NULL: the default */
    const uint16_t *offered; /* groups that the client offers */
    size_t offered_count;
    const uint8_t *chain; /* DER certificates one behind the other, leaf first */
    size_t chain_len;
    /* An OCSP response that staple_check() has accepted; chain and staple must stay until tls_free(). */
    const uint8_t *staple;
    size_t staple_len; /* 0: none */
    const char *alpn;  /* protocols accepted, separated by commas; NULL: ALPN is ignored */
    /* Bytes of the client that were read already; they must stay until the handshake is done. */
    const uint8_t *first;
    size_t first_len;
    int limit_alert; /* the alert to send if the library refuses them; 0: the library's own */
    struct clientcert_setup client;
    tls_signer *sign;
    void *signer;
    struct resumption resumption;
};

struct tls;

/* Starts the library. Call it while files can still be opened: builds with OPENSSL_EXTRA read /dev/urandom
 * for a generator that postern never uses, and that is freed here. May be called before a fork, and again
 * after it at little cost. Returns 0 or -EIO. */
int tls_start(void);

/* Makes a session for one connection on non-blocking descriptors, which the caller still owns. Returns 0 and
 * sets *t, which tls_free() frees. Else returns a negative errno with the reason in `why` (TLS_WHY_SIZE
 * bytes). */
int tls_new(struct tls **t, int in, int out, const struct tls_setup *setup, char *why);

/* Does the handshake until the deadline. Stops when `watch` becomes readable. `why` (TLS_WHY_SIZE bytes) gets
 * the reason of a failure. */
enum tls_result tls_handshake(struct tls *t, int watch, io_time deadline, char *why);

/* True if nothing was sent since the client's last ClientHello, not even an alert. */
bool tls_is_silent(const struct tls *t);

/* Fills in what the handshake agreed on, except the server name; then frees the memory that only the
 * handshake needed. `extended_master` is true if the client has offered the extended master secret. Returns
 * false if the session must not begin, since the client's certificate was not verified. */
bool tls_take_facts(struct tls *t, bool extended_master, struct facts *facts);

/* Reads decrypted bytes. Returns how many; 0 after the client's close_notify; -EAGAIN; -EPIPE if the client
 * closed without close_notify; -ECONNRESET; -ENOMEM; -EPROTO for a broken record. */
ssize_t tls_read(struct tls *t, void *buf, size_t len);

/* Encrypts len bytes, at most TLS_RECORD_MAX. Sends as much as the descriptor takes; tls_flush() sends the
 * rest. Call it only when tls_flush() has returned 0. Returns 0 or a negative errno. */
#define TLS_RECORD_MAX 16384
int tls_write(struct tls *t, const void *buf, size_t len);

/* Sends what is left of earlier records. Returns 0 when nothing is left, -EAGAIN, or another negative
 * errno. */
int tls_flush(struct tls *t);

/* True if tls_read() may be called now. Limits the queue for a client that asks for answers (KeyUpdate) and
 * does not read them. */
bool tls_may_read(const struct tls *t);

/* Queues close_notify; tls_flush() sends what could not be sent at once. */
void tls_close(struct tls *t);

/* Frees a session; NULL is allowed. The descriptors stay open. */
void tls_free(struct tls *t);

#endif
