/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes between the TLS library and the client's descriptors, which are non-blocking. */
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
    uint8_t *queue; /* records that the descriptor has not taken yet */
    size_t queue_at;
    size_t queue_len;
    size_t queue_size;
    size_t budget;   /* how much the library may still read before others have their turn */
    int write_error; /* of the descriptor, as a negative errno */
    bool reset;
    bool ended;    /* the client's FIN has come */
    bool silent;   /* nothing has been sent since the last ClientHello */
    bool answered; /* a ServerHello has been sent */
    int limit_alert;
    const struct clientcert *client; /* NULL: not asked for, or the handshake is done */
    bool retrying;         /* a HelloRetryRequest has been sent: another ClientHello has to come */
    struct reframe second; /* that one */
    enum reframe_verdict refused; /* what is wrong with it; REFRAME_WHOLE: nothing */
    uint8_t header[5];            /* of a record, if that was what the library has just asked for */
    size_t header_len;
};

/* Sets the descriptors and the state before the first byte; all else must be zero. */
void transport_init(struct transport *t, int in, int out);

/* Makes the sessions of a context use transports, and this session use that one. */
void transport_use(struct WOLFSSL_CTX *context);
void transport_attach(struct WOLFSSL *ssl, struct transport *t);

/* Lets the library read as much again. */
void transport_refill_budget(struct transport *t);

/* Sends a plaintext record, or queues it. */
void transport_send(struct transport *t, char *record, size_t len);

/* Sends what is queued: 0 when nothing is left, -EAGAIN, or another errno. */
int transport_flush(struct transport *t);

/* True if so little is queued that more may be read. */
bool transport_may_read(const struct transport *t);

/* Returns the code of an alert that is not encrypted although the library is past that, or -1. */
int transport_read_alert(const struct transport *t);

void transport_free(struct transport *t);

#endif
