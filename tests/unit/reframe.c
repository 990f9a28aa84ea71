/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of reframe.c: records are taken apart and put together again, and the message stays. */
#include "tls/reframe.h"

#include "tls/alert.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGE_MOST 140000

struct text {
    uint8_t bytes[6 * MESSAGE_MOST];
    size_t len;
};

static struct text message, records;

static void put(struct text *t, const void *bytes, size_t len)
{
    assert_true(t->len + len <= sizeof t->bytes);
    if (len > 0)
        memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

static void put_record(struct text *t, const uint8_t *body, size_t len)
{
    const uint8_t header[] = {22, 3, 1, (uint8_t)(len >> 8), (uint8_t)len};

    put(t, header, sizeof header);
    put(t, body, len);
}

/* A message of so many bytes, its header included. What stands in it is no concern of the records. */
static void make_message(size_t len)
{
    size_t body = len - 4;
    const uint8_t header[] = {1, (uint8_t)(body >> 16), (uint8_t)(body >> 8), (uint8_t)body};

    message.len = 0;
    put(&message, header, sizeof header);
    while (message.len < len)
        put(&message, &(uint8_t){(uint8_t)(message.len * 7 + message.len / 251)}, 1);
}

/* The same in records of `part` bytes. */
static void make_records(size_t len, size_t part)
{
    make_message(len);
    records.len = 0;
    for (size_t at = 0; at < len; at += part)
        put_record(&records, message.bytes + at, len - at < part ? len - at : part);
}

/* Feeds `step` bytes at a time, each time from memory of exactly that size. *used: of all of them. */
static enum reframe_verdict feed(struct reframe *r, const struct text *t, size_t step, size_t *used)
{
    enum reframe_verdict verdict = REFRAME_MORE;

    *used = 0;
    while (verdict == REFRAME_MORE && *used < t->len) {
        size_t len = t->len - *used < step ? t->len - *used : step, taken;
        uint8_t *copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, t->bytes + *used, len);
        verdict = reframe_feed(r, copy, len, &taken);
        assert_true(taken == len || verdict != REFRAME_MORE);
        *used += taken;
        free(copy);
    }
    return verdict;
}

/* What the library is given must be full records of this version with the same message in them, then
 * `rest`. */
static void check_layout(const struct reframe *r, uint8_t minor, const void *rest, size_t rest_len)
{
    size_t at = 0, seen = 0;

    while (seen < message.len) {
        size_t left = message.len - seen;
        size_t len = left < REFRAME_RECORD_MAX ? left : REFRAME_RECORD_MAX;
        const uint8_t header[] = {22, 3, minor, (uint8_t)(len >> 8), (uint8_t)len};
        assert_true(at + sizeof header + len <= r->len);
        assert_memory_equal(r->bytes + at, header, sizeof header);
        assert_memory_equal(r->bytes + at + sizeof header, message.bytes + seen, len);
        at += sizeof header + len;
        seen += len;
    }
    assert_int_equal(r->len - at, rest_len);
    if (rest_len > 0)
        assert_memory_equal(r->bytes + at, rest, rest_len);
}

static void however_it_is_cut_the_message_comes_out_in_full_records(void **state)
{
    (void)state;
    static const size_t sizes[] = {5, 300, 1019, 1024, 16384, 16385, 32768, 32769, REFRAME_MAX};
    static const size_t parts[] = {1, 2, 3, 4, 5, 64, 1500, 16384};
    static const size_t steps[] = {1, 7, 4096, sizeof records.bytes};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t j = 0; j < sizeof parts / sizeof parts[0]; j++)
            for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
                struct reframe r = {.bytes = NULL};
                size_t used;
                make_records(sizes[i], parts[j]);
                assert_int_equal(feed(&r, &records, steps[k], &used), REFRAME_WHOLE);
                assert_int_equal(used, records.len);
                assert_int_equal(r.len, message.len);
                assert_memory_equal(reframe_message(&r), message.bytes, message.len);
                assert_int_equal(reframe_finish(&r, 1, NULL, 0), 0);
                check_layout(&r, 1, NULL, 0);
                reframe_free(&r);
            }
}

static void memory_grows_with_what_comes_not_with_what_is_announced(void **state)
{
    (void)state;
    struct reframe r = {.bytes = NULL};
    size_t used;

    make_records(REFRAME_MAX, REFRAME_RECORD_MAX);
    records.len = 600;
    assert_int_equal(feed(&r, &records, 100, &used), REFRAME_MORE);
    assert_true(r.size <= 1024);
    reframe_free(&r);
    make_records(REFRAME_MAX, REFRAME_RECORD_MAX);
    assert_int_equal(feed(&r, &records, 100, &used), REFRAME_WHOLE);
    assert_true(r.size <= 2 * (REFRAME_MAX + REFRAME_HEADER));
    reframe_free(&r);
}

static void what_comes_behind_a_hello_stays_behind_it(void **state)
{
    (void)state;
    static const char next[] = "\x14\x03\x03\0\1\1";
    struct reframe r = {.bytes = NULL};
    size_t used;

    make_records(300, 100);
    put(&records, next, sizeof next - 1);
    assert_int_equal(feed(&r, &records, sizeof records.bytes, &used), REFRAME_WHOLE);
    assert_int_equal(reframe_finish(&r, 3, records.bytes + used, records.len - used), 0);
    check_layout(&r, 3, next, sizeof next - 1);
    reframe_free(&r);
}

static void the_rest_of_a_record_becomes_a_record(void **state)
{
    (void)state;
    static const char rest[] = "\x16\x03\x01\0\6ab";
    struct reframe r = {.bytes = NULL};
    size_t used;

    make_message(300);
    records.len = 0;
    put_record(&records, message.bytes, 200);
    put(&message, "abcdef", 6);
    put_record(&records, message.bytes + 200, 106);
    message.len -= 6;
    records.len -= 4; /* not all of it is there yet */
    assert_int_equal(feed(&r, &records, sizeof records.bytes, &used), REFRAME_WHOLE);
    assert_int_equal(records.len - used, 2);
    assert_int_equal(reframe_finish(&r, 1, records.bytes + used, records.len - used), 0);
    check_layout(&r, 1, rest, sizeof rest - 1);
    reframe_free(&r);
}

/* What is fed, and what becomes of it; the same byte by byte. */
struct case_of {
    const char *what, *bytes;
    size_t len;
    enum reframe_verdict verdict;
};

static void judge_cases(const struct case_of *cases, size_t count, bool after_retry)
{
    for (size_t i = 0; i < count; i++)
        for (size_t step = 1; step <= 100; step += 99) {
            struct reframe r = {.bytes = NULL, .after_retry = after_retry};
            size_t used;
            records.len = 0;
            put(&records, cases[i].bytes, cases[i].len);
            enum reframe_verdict verdict = feed(&r, &records, step, &used);
            if (verdict != cases[i].verdict)
                fail_msg("%s: verdict %d", cases[i].what, (int)verdict);
            reframe_free(&r);
        }
}

static void what_is_no_hello_is_told_by_its_kind(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {"nothing", "", 0, REFRAME_MORE},
        {"one byte", "\x16", 1, REFRAME_MORE},
        {"a version that is none", "\x16\x02\x00\0\5", 5, REFRAME_BAD},
        {"an empty record", "\x16\x03\x01\0\0", 5, REFRAME_UNEXPECTED},
        {"an empty record in between", "\x16\x03\x01\0\1\1\x16\x03\x01\0\0", 11,
         REFRAME_UNEXPECTED},
        {"a record of 16 KB", "\x16\x03\x01\x40\x00", 5, REFRAME_MORE},
        {"a record over 16 KB", "\x16\x03\x01\x40\x01", 5, REFRAME_LONG_RECORD},
        {"a ServerHello", "\x16\x03\x01\0\4\2\0\0\0", 9, REFRAME_UNEXPECTED},
        {"a Finished's first byte", "\x16\x03\x01\0\1\x14", 6, REFRAME_UNEXPECTED},
        {"a message without a body", "\x16\x03\x01\0\4\1\0\0\0", 9, REFRAME_WHOLE},
        {"a message of 64 KB", "\x16\x03\x01\0\4\1\0\xff\xfc", 9, REFRAME_MORE},
        {"a message over 64 KB", "\x16\x03\x01\0\4\1\0\xff\xfd", 9, REFRAME_LONG},
        {"the longest that is legal", "\x16\x03\x01\0\4\1\2\x01\x44", 9, REFRAME_LONG},
        {"one longer than that", "\x16\x03\x01\0\4\1\2\x01\x45", 9, REFRAME_BAD},
        {"a message of 16 MB", "\x16\x03\x01\0\4\1\xff\xff\xff", 9, REFRAME_BAD},
        {"data in between", "\x16\x03\x01\0\1\1\x17\x03\x03\0\1x", 12, REFRAME_UNEXPECTED},
        {"an alert in between", "\x16\x03\x01\0\1\1\x15\x03\x03\0\2\1\0", 13, REFRAME_UNEXPECTED},
        {"change_cipher_spec", "\x14\x03\x03\0\1\1", 6, REFRAME_UNEXPECTED},
        {"application data", "\x17\x03\x03\0\1x", 6, REFRAME_UNEXPECTED},
        {"heartbeat", "\x18\x03\x03\0\1x", 6, REFRAME_UNEXPECTED},
        {"a control character", "\x17z", 2, REFRAME_PLAINTEXT},
        {"an alert", "\x15\x03\x01\0\2\1\0", 7, REFRAME_ALERT},
        {"an alert's first byte", "\x15", 1, REFRAME_ALERT},
        {"SSL 2.0", "\x80\x2e\x01\x00\x02\0\x15\0\0\0\x10", 11, REFRAME_SSL2},
        {"SSL 2.0's hello for SSL 3.0", "\x80\x2e\x01\x03\x00\0\x15", 7, REFRAME_SSL2},
        {"SSL 2.0's hello for TLS 1.0", "\x80\x2e\x01\x03\x01\0\x15", 7, REFRAME_SSL2},
        {"the first bytes of SSL 2.0", "\x80\x2e\x01", 3, REFRAME_MORE},
        {"8-bit rubbish", "\xc3\xa4\xc3\xa4\xc3\xa4", 6, REFRAME_PLAINTEXT},
        {"NULs", "\0\0\0\0\0", 5, REFRAME_PLAINTEXT},
        {"IMAP", "a1 CAPABILITY\r\n", 15, REFRAME_PLAINTEXT},
        {"a line end", "\r\n", 2, REFRAME_PLAINTEXT},
        {"HTTP's first letter", "G", 1, REFRAME_PLAINTEXT},
    };

    judge_cases(cases, sizeof cases / sizeof cases[0], false);
}

static void after_a_retry_a_change_cipher_spec_may_come_first(void **state)
{
    (void)state;
    static const struct case_of cases[] = {
        {"the dummy", "\x14\x03\x03\0\1\1", 6, REFRAME_MORE},
        {"the dummy and a hello", "\x14\x03\x03\0\1\1\x16\x03\x03\0\4\1\0\0\0", 15, REFRAME_WHOLE},
        {"another value", "\x14\x03\x03\0\1\2", 6, REFRAME_UNEXPECTED},
        {"a longer one", "\x14\x03\x03\0\2\1\1", 7, REFRAME_UNEXPECTED},
        {"within a hello", "\x16\x03\x03\0\1\1\x14\x03\x03\0\1\1", 12, REFRAME_UNEXPECTED},
        {"an alert", "\x15\x03\x03\0\2\2\x28", 7, REFRAME_ALERT},
        {"data", "\x17\x03\x03\0\1x", 6, REFRAME_UNEXPECTED},
    };

    judge_cases(cases, sizeof cases / sizeof cases[0], true);
}

static void each_verdict_has_its_alert_and_its_words(void **state)
{
    (void)state;
    static const struct {
        enum reframe_verdict verdict;
        int alert;
    } cases[] = {
        {REFRAME_PLAINTEXT, 0},
        {REFRAME_SSL2, 0},
        {REFRAME_ALERT, 0},
        {REFRAME_UNEXPECTED, ALERT_UNEXPECTED_MESSAGE},
        {REFRAME_LONG_RECORD, ALERT_RECORD_OVERFLOW},
        {REFRAME_LONG, ALERT_DECODE_ERROR},
        {REFRAME_BAD, ALERT_DECODE_ERROR},
        {REFRAME_NO_MEMORY, ALERT_INTERNAL_ERROR},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(reframe_alert(cases[i].verdict), cases[i].alert);
        assert_int_equal(reframe_words(cases[i].verdict) == NULL,
                         cases[i].verdict == REFRAME_PLAINTEXT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(however_it_is_cut_the_message_comes_out_in_full_records),
        cmocka_unit_test(memory_grows_with_what_comes_not_with_what_is_announced),
        cmocka_unit_test(what_comes_behind_a_hello_stays_behind_it),
        cmocka_unit_test(the_rest_of_a_record_becomes_a_record),
        cmocka_unit_test(what_is_no_hello_is_told_by_its_kind),
        cmocka_unit_test(after_a_retry_a_change_cipher_spec_may_come_first),
        cmocka_unit_test(each_verdict_has_its_alert_and_its_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
