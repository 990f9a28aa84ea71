/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/reframe.h"

#include "tls/alert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGE_CIPHER_SPEC = 20, ALERT = 21, HANDSHAKE = 22, APPLICATION_DATA = 23, HEARTBEAT = 24 };

#define MESSAGE_HEADER ((size_t)4)
#define FIRST_SIZE ((size_t)1024)

/* The longest ClientHello that RFC 8446 section 4.1.2 allows: each of its vectors at its longest. */
#define LONGEST ((size_t)4 + 2 + 32 + 1 + 32 + 2 + 65534 + 1 + 255 + 2 + 65535)

static bool reserve(struct reframe *r, size_t needed)
{
    size_t size = r->size > 0 ? r->size : FIRST_SIZE;

    if (needed <= r->size)
        return true;
    while (size < needed)
        size *= 2;
    uint8_t *bytes = realloc(r->bytes, size);
    if (bytes == NULL)
        return false;
    r->bytes = bytes;
    r->size = size;
    return true;
}

/* Recognises an SSL 2.0 header: a length with its highest bit set, 1 for CLIENT-HELLO, a version. */
static enum reframe_verdict judge_ssl2(const struct reframe *r)
{
    if (r->header_len < REFRAME_HEADER)
        return REFRAME_MORE;
    return r->header[2] == 1 && (r->header[3] == 0 || r->header[3] == 3) ? REFRAME_SSL2
                                                                         : REFRAME_PLAINTEXT;
}

/* Judges a first record that is no handshake record. */
static enum reframe_verdict judge_other_type(const struct reframe *r)
{
    uint8_t type = r->header[0];

    if (type == ALERT)
        return REFRAME_ALERT;
    if (type >= 0x80)
        return judge_ssl2(r);
    if (type < CHANGE_CIPHER_SPEC || type > HEARTBEAT)
        return REFRAME_PLAINTEXT;
    if (r->header_len < 2)
        return REFRAME_MORE;
    return r->header[1] == 3 ? REFRAME_UNEXPECTED : REFRAME_PLAINTEXT;
}

/* Judges the header after each byte, so that plaintext is recognised by its first byte. */
static enum reframe_verdict judge_header(struct reframe *r)
{
    bool may_be_ccs = r->after_retry && r->len == 0 && r->header[0] == CHANGE_CIPHER_SPEC;

    if (r->header[0] != HANDSHAKE && !may_be_ccs)
        return r->len == 0 ? judge_other_type(r) : REFRAME_UNEXPECTED;
    if (r->header_len > 1 && r->header[1] != 3)
        return REFRAME_BAD;
    if (r->header_len < REFRAME_HEADER)
        return REFRAME_MORE;
    r->left = (size_t)r->header[3] << 8 | r->header[4];
    if (r->left > REFRAME_RECORD_MAX)
        return REFRAME_LONG_RECORD;
    /* RFC 8446 section 5.4 forbids empty handshake records. */
    if (r->left == 0 || (may_be_ccs && r->left != 1))
        return REFRAME_UNEXPECTED;
    return REFRAME_MORE;
}

/* Returns the bytes of the message with its header; of the header alone as long as that is not whole. */
static size_t message_size(const struct reframe *r)
{
    if (r->len < MESSAGE_HEADER)
        return MESSAGE_HEADER;
    const uint8_t *m = reframe_message(r);
    return MESSAGE_HEADER + ((size_t)m[1] << 16 | (size_t)m[2] << 8 | m[3]);
}

static enum reframe_verdict judge_message(const struct reframe *r)
{
    size_t size = message_size(r);

    if (reframe_message(r)[0] != 1)
        return REFRAME_UNEXPECTED;
    if (size > LONGEST)
        return REFRAME_BAD;
    if (size > REFRAME_MAX)
        return REFRAME_LONG;
    return r->len >= MESSAGE_HEADER && r->len == size ? REFRAME_WHOLE : REFRAME_MORE;
}

/* Takes as much of a record's body as has come, and adds that number to *used. */
static enum reframe_verdict take_body(struct reframe *r, const uint8_t *bytes, size_t len,
                                      size_t *used)
{
    size_t part = r->left < len ? r->left : len;
    size_t wanted = message_size(r) - r->len;

    if (r->header[0] == CHANGE_CIPHER_SPEC) {
        /* RFC 8446 appendix D.4: a dummy record without meaning, which is dropped. */
        *used += 1;
        r->left = 0;
        r->header_len = 0;
        return *bytes == 1 ? REFRAME_MORE : REFRAME_UNEXPECTED;
    }
    if (part > wanted)
        part = wanted;
    if (!reserve(r, REFRAME_HEADER + r->len + part))
        return REFRAME_NO_MEMORY;
    memcpy(r->bytes + REFRAME_HEADER + r->len, bytes, part);
    r->len += part;
    r->left -= part;
    if (r->left == 0)
        r->header_len = 0;
    *used += part;
    return judge_message(r);
}

enum reframe_verdict reframe_feed(struct reframe *r, const uint8_t *bytes, size_t len, size_t *used)
{
    enum reframe_verdict verdict = REFRAME_MORE;

    *used = 0;
    while (verdict == REFRAME_MORE && *used < len) {
        if (r->left > 0) {
            verdict = take_body(r, bytes + *used, len - *used, used);
        } else {
            r->header[r->header_len++] = bytes[(*used)++];
            verdict = judge_header(r);
        }
    }
    return verdict;
}

const uint8_t *reframe_message(const struct reframe *r)
{
    return r->bytes + REFRAME_HEADER;
}

static void put_header(uint8_t *at, uint8_t minor, size_t len)
{
    at[0] = HANDSHAKE;
    at[1] = 3;
    at[2] = minor;
    at[3] = (uint8_t)(len >> 8);
    at[4] = (uint8_t)len;
}

int reframe_finish(struct reframe *r, uint8_t minor, const uint8_t *rest, size_t rest_len)
{
    const size_t step = REFRAME_HEADER + REFRAME_RECORD_MAX;
    size_t records = (r->len + REFRAME_RECORD_MAX - 1) / REFRAME_RECORD_MAX;
    size_t total = r->len + records * REFRAME_HEADER;

    if (!reserve(r, total + REFRAME_HEADER + rest_len))
        return -ENOMEM;
    /* The last record goes first, since each moves up by one header more than the one before it. */
    for (size_t i = records; i-- > 0;) {
        size_t at = i * REFRAME_RECORD_MAX;
        size_t part = r->len - at < REFRAME_RECORD_MAX ? r->len - at : REFRAME_RECORD_MAX;
        memmove(r->bytes + i * step + REFRAME_HEADER, r->bytes + REFRAME_HEADER + at, part);
        put_header(r->bytes + i * step, minor, part);
    }
    if (r->left > 0) {
        put_header(r->bytes + total, minor, r->left);
        total += REFRAME_HEADER;
    }
    if (rest_len > 0)
        memcpy(r->bytes + total, rest, rest_len);
    r->len = total + rest_len;
    return 0;
}

int reframe_alert(enum reframe_verdict verdict)
{
    switch (verdict) {
    case REFRAME_UNEXPECTED:
        return ALERT_UNEXPECTED_MESSAGE;
    case REFRAME_LONG_RECORD:
        return ALERT_RECORD_OVERFLOW;
    case REFRAME_LONG:
    case REFRAME_BAD:
        return ALERT_DECODE_ERROR;
    case REFRAME_NO_SECRET:
        return ALERT_ILLEGAL_PARAMETER;
    case REFRAME_NO_MEMORY:
        return ALERT_INTERNAL_ERROR;
    default:
        return 0;
    }
}

const char *reframe_words(enum reframe_verdict verdict)
{
    switch (verdict) {
    case REFRAME_SSL2:
        return "client speaks SSL 2.0, which must not be answered";
    case REFRAME_ALERT:
        return "client began with a TLS alert";
    case REFRAME_UNEXPECTED:
        return "client sent something else than a ClientHello";
    case REFRAME_LONG_RECORD:
        return "client sent a TLS record that is longer than any may be";
    case REFRAME_LONG:
        return "client sent a ClientHello of over 65,536 bytes: no longer ones are taken here";
    case REFRAME_BAD:
        return "client sent a malformed ClientHello";
    case REFRAME_NO_SECRET:
        return "client sent a key from which no secret can come";
    case REFRAME_NO_MEMORY:
        return "no memory for the ClientHello";
    default:
        return NULL;
    }
}

void reframe_free(struct reframe *r)
{
    free(r->bytes);
    *r = (struct reframe){.bytes = NULL};
}
