/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Carries bytes between the TLS library and the client's non-blocking descriptors. Queues what
 * the client does not take, and checks a second ClientHello before the library reads it. */
#ifndef POSTERN_TRANSPORT_H
#define POSTERN_TRANSPORT_H

#include "tls/reframe.h"
#include "tls/verify.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct WOLFSSL;
struct WOLFSSL_CTX;

struct transport {
    int in;
    int out;
    const uint8_t *first; /* bytes to be read before those of `in` */
    size_t first_len;
    uint8_t *queue; /* bytes of records that could not be sent yet, from queue_at on */
    size_t queue_at;
    size_t queue_len;
    size_t queue_size;
    size_t budget;   /* bytes that the library may read before the caller gets its turn */
    int write_error; /* of sending, a negative errno; 0: none */
    bool reset;      /* the client reset the connection */
    bool ended;      /* the client closed or reset the connection */
    bool session;    /* the handshake is done */
    bool silent;     /* nothing was sent since the last ClientHello */
    bool answered;   /* a ServerHello was sent */
    int limit_alert; /* replaces the library's alert before a ServerHello; 0: does not */
    const struct clientcert *client; /* NULL: not asked for, or the handshake is done */
    bool retrying;         /* a HelloRetryRequest was sent: a second ClientHello must follow */
    struct reframe second; /* the second ClientHello */
    enum reframe_verdict refused; /* what is wrong with it; REFRAME_WHOLE: nothing */
    uint8_t header[5];            /* the last 5 bytes read, if the library read exactly 5 */
    size_t header_len;
};

/* Sets the descriptors and the state before the first byte; all else must be zero. */
void transport_init(struct transport *t, int in, int out);

/* Sets the library's callbacks for all sessions of a context; then `t` for one session, for as long as it
 * lives. */
void transport_use(struct WOLFSSL_CTX *context);
void transport_attach(struct WOLFSSL *ssl, struct transport *t);

/* Gives the library a new budget for reading. */
void transport_refill_budget(struct transport *t);

/* Sends a plaintext record; queues what can't be sent at once. */
void transport_send(struct transport *t, char *record, size_t len);

/* Sends what is queued. Returns 0 when nothing is left, -EAGAIN, or another negative errno. */
int transport_flush(struct transport *t);

/* True if so little is queued that more may be read. */
bool transport_may_read(const struct transport *t);

/* Reads a plaintext alert at whose header the library stopped. Returns its code, or -1 if it was none. */
int transport_read_alert(const struct transport *t);

/* Frees the memory of *t, but not *t. */
void transport_free(struct transport *t);

#endif
