/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a letter, which says how the rest is fed, and a client's first bytes; in upper case it is what
 * comes after a HelloRetryRequest. */
#include "common.h"

#include "tls/reframe.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Feeds `step` bytes at a time, each from memory of exactly that size. */
static enum reframe_verdict feed(struct reframe *r, const uint8_t *bytes, size_t len, size_t step,
                                 size_t *used)
{
    enum reframe_verdict verdict = REFRAME_MORE;

    *used = 0;
    while (verdict == REFRAME_MORE && *used < len) {
        size_t part = len - *used < step ? len - *used : step, taken = 0;
        uint8_t *copy = fuzz_copy(bytes + *used, part);
        verdict = reframe_feed(r, copy, part, &taken);
        CHECK(taken <= part && (taken == part || verdict != REFRAME_MORE));
        *used += taken;
        free(copy);
    }
    return verdict;
}

/* However many bytes come at once, nothing changes; but what is refused may have been read further. */
static void check_steps(const struct reframe *whole, enum reframe_verdict verdict, size_t used,
                        const uint8_t *bytes, size_t len)
{
    static const size_t steps[] = {1, 2, 3, 7, 64};

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct reframe r = {.bytes = NULL, .after_retry = whole->after_retry};
        size_t taken;
        CHECK(feed(&r, bytes, len, steps[i], &taken) == verdict);
        if (verdict == REFRAME_MORE || verdict == REFRAME_WHOLE) {
            CHECK(taken == used && r.len == whole->len && r.left == whole->left);
            CHECK(r.len == 0 || memcmp(reframe_message(&r), reframe_message(whole), r.len) == 0);
        }
        reframe_free(&r);
    }
}

/* The records that the library gets hold the message, and then what came behind it. */
static void check_layout(const struct reframe *r, const uint8_t *message, size_t len, size_t left,
                         const uint8_t *rest, size_t rest_len)
{
    size_t at = 0;

    for (size_t seen = 0, part; seen < len; seen += part) {
        part = len - seen < REFRAME_RECORD_MAX ? len - seen : REFRAME_RECORD_MAX;
        const uint8_t header[] = {22, 3, 3, (uint8_t)(part >> 8), (uint8_t)part};
        CHECK(at + sizeof header + part <= r->len);
        CHECK(memcmp(r->bytes + at, header, sizeof header) == 0);
        CHECK(memcmp(r->bytes + at + sizeof header, message + seen, part) == 0);
        at += sizeof header + part;
    }
    if (left > 0) {
        const uint8_t header[] = {22, 3, 3, (uint8_t)(left >> 8), (uint8_t)left};
        CHECK(at + sizeof header <= r->len);
        CHECK(memcmp(r->bytes + at, header, sizeof header) == 0);
        at += sizeof header;
    }
    CHECK(r->len - at == rest_len);
    CHECK(rest_len == 0 || memcmp(r->bytes + at, rest, rest_len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t used;

    if (size == 0)
        return 0;
    struct reframe r = {.bytes = NULL, .after_retry = isupper(data[0])};
    const uint8_t *bytes = data + 1;
    size_t len = size - 1;
    enum reframe_verdict verdict = feed(&r, bytes, len, 1 + data[0] % 16 * (size_t)300, &used);
    CHECK(verdict <= REFRAME_BAD && used <= len);
    CHECK(r.len <= used && r.len <= REFRAME_MAX && r.size <= 2 * (REFRAME_MAX + REFRAME_HEADER));
    check_steps(&r, verdict, used, bytes, len);
    if (verdict == REFRAME_WHOLE) {
        size_t message_len = r.len, left = r.left;
        uint8_t *message = fuzz_copy(reframe_message(&r), message_len);
        CHECK(reframe_finish(&r, 3, bytes + used, len - used) == 0);
        check_layout(&r, message, message_len, left, bytes + used, len - used);
        free(message);
    }
    CHECK(reframe_words(verdict) == NULL || *reframe_words(verdict) != '\0');
    reframe_free(&r);
    return 0;
}
