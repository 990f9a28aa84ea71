/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/transport.h"

#include "common/io.h"
#include "tls/hello.h"
#include "tls/suites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#define READ_BUDGET ((size_t)256 * 1024) /* most bytes read in one call before it returns */
#define QUEUE_MAX ((size_t)64 * 1024)    /* more bytes unsent than this are an error */
#define QUEUE_STOP_READING ((size_t)32 * 1024)

/* Notes that the client left. n is io_receive()'s result. Returns the library's code for it. A client that has
 * only closed its side of a session may still read: told of the end, 5.7.2 would send no close_notify. */
static int lose_client(struct transport *t, ssize_t n)
{
    t->ended = true;
    if (n == 0)
        return t->session ? WOLFSSL_CBIO_ERR_WANT_READ : WOLFSSL_CBIO_ERR_CONN_CLOSE;
    t->reset = true;
    return WOLFSSL_CBIO_ERR_CONN_RST;
}

/* Makes the library read these bytes next. Returns true. */
static bool use_reframed(struct transport *t, const struct reframe *r)
{
    t->refused = REFRAME_WHOLE;
    t->first = r->bytes;
    t->first_len = r->len;
    return true;
}

/* Reads bytes of the second ClientHello. Returns true if the library can read it now. */
static bool feed_second(struct transport *t, const uint8_t *bytes, size_t len)
{
    struct reframe *r = &t->second;
    struct hello h;
    size_t used;

    t->refused = reframe_feed(r, bytes, len, &used);
    if (t->refused == REFRAME_MORE)
        return false;
    t->retrying = false;
    if (t->refused ==
        REFRAME_ALERT) /* the library handles alerts; the record's type was the last byte used */
        return reframe_finish(r, 3, bytes + used - 1, len - used + 1) == 0 && use_reframed(t, r);
    if (t->refused == REFRAME_PLAINTEXT || t->refused == REFRAME_SSL2)
        t->refused = REFRAME_UNEXPECTED;
    if (t->refused == REFRAME_WHOLE &&
        !hello_parse(&h, reframe_message(r), r->len, suites_limits()->sigalgs))
        t->refused = REFRAME_BAD;
    else if (t->refused == REFRAME_WHOLE && h.useless_share)
        t->refused = REFRAME_NO_SECRET;
    /* In a record after its own the library insists on version 3.3, which RFC 8446 section 5.1 says to
     * ignore. */
    if (t->refused == REFRAME_WHOLE && reframe_finish(r, 3, bytes + used, len - used) < 0)
        t->refused = REFRAME_NO_MEMORY;
    return t->refused == REFRAME_WHOLE && use_reframed(t, r);
}

/* Reads the second ClientHello, after a HelloRetryRequest (RFC 8446 section 4.1.4). Returns 0 when it is
 * whole, or a negative code for the library. */
static int read_second(struct transport *t)
{
    uint8_t bytes[2048];

    if (t->first_len > 0) { /* these bytes came with the first ClientHello */
        size_t len = t->first_len;
        t->first_len = 0;
        if (feed_second(t, t->first, len))
            return 0;
        if (!t->retrying)
            return WOLFSSL_CBIO_ERR_GENERAL;
    }
    while (t->budget > 0) {
        ssize_t n = io_receive(t->in, bytes, sizeof bytes);
        if (n == -EAGAIN)
            return WOLFSSL_CBIO_ERR_WANT_READ;
        if (n <= 0)
            return lose_client(t, n);
        t->budget -= (size_t)n < t->budget ? (size_t)n : t->budget;
        if (feed_second(t, bytes, (size_t)n))
            return 0;
        if (!t->retrying)
            return WOLFSSL_CBIO_ERR_GENERAL;
    }
    return WOLFSSL_CBIO_ERR_WANT_READ;
}

/* Gives the library bytes of the client: those read before, then those of the descriptor. */
static int receive(WOLFSSL *ssl, char *buf, int size, void *context)
{
    struct transport *t = context;

    (void)ssl;
    if (t->retrying) {
        int rc = read_second(t);
        if (rc < 0)
            return rc;
    }
    if (t->first_len > 0) {
        size_t n = (size_t)size < t->first_len ? (size_t)size : t->first_len;
        memcpy(buf, t->first, n);
        t->first += n;
        t->first_len -= n;
        return (int)n;
    }
    /* The library reads on until it has data for us. Its answers fill the queue meanwhile, so reading
     * stops here if that is full. */
    if (!transport_may_read(t) || t->budget == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    ssize_t n = io_receive(t->in, buf, (size_t)size);
    if (n > 0) {
        t->budget -= (size_t)n < t->budget ? (size_t)n : t->budget;
        t->header_len = (size_t)n == sizeof t->header ? sizeof t->header : 0;
        memcpy(t->header, buf, t->header_len);
        return (int)n;
    }
    return n == -EAGAIN ? WOLFSSL_CBIO_ERR_WANT_READ : lose_client(t, n);
}

/* Appends bytes to the queue. Returns 0, -ENOBUFS or -ENOMEM. */
static int enqueue(struct transport *t, const uint8_t *bytes, size_t len)
{
    if (t->queue_len == 0)
        t->queue_at = 0;
    if (t->queue_at + t->queue_len + len > t->queue_size) {
        size_t size = t->queue_len + len;
        if (size > QUEUE_MAX)
            return -ENOBUFS;
        uint8_t *queue = malloc(size);
        if (queue == NULL)
            return -ENOMEM;
        if (t->queue_len > 0)
            memcpy(queue, t->queue + t->queue_at, t->queue_len);
        free(t->queue);
        t->queue = queue;
        t->queue_at = 0;
        t->queue_size = size;
    }
    memcpy(t->queue + t->queue_at + t->queue_len, bytes, len);
    t->queue_len += len;
    return 0;
}

/* Corrects the code of a plaintext alert. For certificates the library knows few codes. For its own limits it
 * blames the client. */
static void choose_alert(const struct transport *t, uint8_t *record, size_t len)
{
    int alert = t->answered ? clientcert_alert(t->client) : t->limit_alert;

    if (alert != 0 && len == 7 && record[0] == 21 && record[3] == 0 && record[4] == 2)
        record[6] = (uint8_t)alert;
}

/* True for a HelloRetryRequest: a ServerHello with this random (RFC 8446 section 4.1.3). */
static bool is_retry(const uint8_t *record, size_t len)
{
    static const uint8_t random[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11,
                                       0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
                                       0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e,
                                       0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
    const size_t at = REFRAME_HEADER + 4 + 2; /* behind the message's header and its version */

    return len >= at + sizeof random && record[0] == 22 && record[REFRAME_HEADER] == 2 &&
           memcmp(record + at, random, sizeof random) == 0;
}

/* Notes whether a record is a HelloRetryRequest, a ServerHello or an alert. */
static void note_answer(struct transport *t, const uint8_t *record, size_t len)
{
    bool retry = !t->answered && is_retry(record, len);

    t->retrying = t->retrying || retry;
    if (retry)
        t->limit_alert = 0;
    t->silent = retry;
    t->answered = t->answered || (!retry && record[0] != 21);
}

/* Sends the library's bytes and queues the rest, so that the library never waits. Otherwise an answer that
 * a read causes could interrupt a write that was begun before. */
static int transmit(WOLFSSL *ssl, char *buf, int size, void *context)
{
    struct transport *t = context;
    size_t sent = 0;

    (void)ssl;
    if (t->write_error != 0)
        return WOLFSSL_CBIO_ERR_CONN_RST;
    choose_alert(t, (uint8_t *)buf, (size_t)size);
    note_answer(t, (const uint8_t *)buf, (size_t)size);
    if (t->queue_len == 0) {
        ssize_t n = io_send(t->out, buf, (size_t)size);
        if (n < 0 && n != -EAGAIN)
            t->write_error = (int)n;
        else if (n > 0)
            sent = (size_t)n;
    }
    if (t->write_error == 0 && sent < (size_t)size)
        t->write_error = enqueue(t, (const uint8_t *)buf + sent, (size_t)size - sent);
    return t->write_error == 0 ? size : WOLFSSL_CBIO_ERR_CONN_RST;
}

int transport_flush(struct transport *t)
{
    while (t->queue_len > 0 && t->write_error == 0) {
        ssize_t n = io_send(t->out, t->queue + t->queue_at, t->queue_len);
        if (n == -EAGAIN)
            return -EAGAIN;
        if (n < 0) {
            t->write_error = (int)n;
            break;
        }
        t->queue_at += (size_t)n;
        t->queue_len -= (size_t)n;
    }
    return t->write_error;
}

void transport_init(struct transport *t, int in, int out)
{
    t->in = in;
    t->out = out;
    t->silent = true;
    t->refused = REFRAME_WHOLE;
    t->second.after_retry = true;
}

void transport_use(WOLFSSL_CTX *context)
{
    wolfSSL_CTX_SetIORecv(context, receive);
    wolfSSL_CTX_SetIOSend(context, transmit);
}

void transport_attach(WOLFSSL *ssl, struct transport *t)
{
    wolfSSL_SetIOReadCtx(ssl, t);
    wolfSSL_SetIOWriteCtx(ssl, t);
}

void transport_refill_budget(struct transport *t)
{
    t->budget = READ_BUDGET;
}

void transport_send(struct transport *t, char *record, size_t len)
{
    (void)transmit(NULL, record, (int)len, t);
}

bool transport_may_read(const struct transport *t)
{
    return t->queue_len < QUEUE_STOP_READING;
}

/* A TLS 1.3 client that rejects our certificate may send its alert before it has keys. The library expects
 * an encrypted record and stops at the header, so the alert's two bytes are still unread. */
int transport_read_alert(const struct transport *t)
{
    static const uint8_t alert_of_two[] = {21, 3, 3, 0, 2};
    uint8_t body[2];

    if (t->header_len != sizeof t->header || memcmp(t->header, alert_of_two, t->header_len) != 0)
        return -1;
    return io_receive(t->in, body, sizeof body) == (ssize_t)sizeof body ? body[1] : -1;
}

void transport_free(struct transport *t)
{
    reframe_free(&t->second);
    free(t->queue);
}
