/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of proxy.c: PROXY headers read, and told from process to process. */
#include "start/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy.h"

/* Parses a copy that ends where it ends: memory checkers see every byte too many. */
static enum proxy_verdict parse(struct proxy_header *h, const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    memset(h, 0x55, sizeof *h);
    enum proxy_verdict verdict = proxy_parse(h, copy, len);
    free(copy);
    return verdict;
}

struct good {
    const char *bytes;
    size_t len;
    const char *client, *server; /* NULL: no addresses */
};

static const struct good good[] = {
    /* The specification's own. */
    {BYTES("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), "192.168.0.1:56324",
     "192.168.0.11:443"},
    {BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535",
     "255.255.255.255:65535"},
    {BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {BYTES("PROXY UNKNOWN\r\n"), NULL, NULL},
    {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     NULL, NULL},
    {BYTES("PROXY UNKNOWN \0 what  ever \xff\r\n"), NULL, NULL},
    {BYTES("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), "0.0.0.0:0", "0.0.0.0:0"},
    {BYTES("PROXY TCP6 2001:DB8::7 ::1 1 2\r\n"), "[2001:db8::7]:1", "[::1]:2"},
    {BYTES("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:c633:6401 1 2\r\n"), "192.0.2.7:1",
     "198.51.100.1:2"},
    /* Version 2. */
    {BYTES(SIGNATURE "\x21\x11\0\x0c" IPV4), "192.0.2.7:50122", "198.51.100.1:993"},
    {BYTES(SIGNATURE "\x21\x21\0\x24" IPV6), "[2001:db8::7]:50122", "[2001:db8::1]:993"},
    {BYTES(SIGNATURE "\x20\0\0\0"), NULL, NULL},
    {BYTES(SIGNATURE "\x20\x11\0\x0c" IPV4), NULL, NULL},
    {BYTES(SIGNATURE "\x20\xff\0\3abc"), NULL, NULL}, /* LOCAL: thrown away, the family too */
    {BYTES(SIGNATURE "\x21\0\0\0"), NULL, NULL},
    {BYTES(SIGNATURE "\x21\0\0\5hello"), NULL, NULL},
    {BYTES(SIGNATURE "\x21\x10\0\0"), NULL, NULL},
    {BYTES(SIGNATURE "\x21\x01\0\0"), NULL, NULL},
    {BYTES(SIGNATURE "\x21\x12\0\x0c" IPV4), NULL, NULL}, /* UDP */
    {BYTES(SIGNATURE "\x21\x22\0\x24" IPV6), NULL, NULL},
    /* TLVs: empty; NOOP; types of tomorrow; the checksum alone, and before another one. */
    {BYTES(SIGNATURE "\x21\x11\0\x0f" IPV4 "\4\0\0"), "192.0.2.7:50122", "198.51.100.1:993"},
    {BYTES(SIGNATURE "\x21\x11\0\x15" IPV4 "\4\0\3abc\xff\0\0"), "192.0.2.7:50122",
     "198.51.100.1:993"},
    {BYTES(SIGNATURE "\x21\x11\0\x13" IPV4 "\3\0\4\x5d\2\x8b\xf9"), "192.0.2.7:50122",
     "198.51.100.1:993"},
    {BYTES(SIGNATURE "\x21\x11\0\x19" IPV4 "\3\0\4\xd2\x4d\1\x5c\4\0\3"
                     "abc"),
     "192.0.2.7:50122", "198.51.100.1:993"},
};

static void a_good_header_tells_both_ends_and_its_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct proxy_header h;
        enum proxy_verdict verdict = parse(&h, good[i].bytes, good[i].len);
        if (verdict != PROXY_OK || h.len != good[i].len ||
            h.has_addresses != (good[i].client != NULL))
            fail_msg("case %zu: %d, %s", i, verdict, h.why);
        if (!h.has_addresses)
            continue;
        assert_string_equal(h.client.text, good[i].client);
        assert_string_equal(h.server.text, good[i].server);
    }
}

static void what_stands_behind_a_header_is_not_looked_at(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        static const char *const more[] = {"\x16\3\1\2\0", "EHLO x\r\n", "PROXY TCP4 x\r\n",
                                           "\r",           "\n",         " 1\r\n"};
        for (size_t k = 0; k < sizeof more / sizeof more[0]; k++) {
            char bytes[1024];
            struct proxy_header h;
            memcpy(bytes, good[i].bytes, good[i].len);
            strcpy(bytes + good[i].len, more[k]);
            assert_int_equal(parse(&h, bytes, good[i].len + strlen(more[k])), PROXY_OK);
            assert_int_equal(h.len, good[i].len);
        }
    }
}

static void every_beginning_of_a_good_header_wants_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        for (size_t len = 0; len < good[i].len; len++) {
            struct proxy_header h;
            if (parse(&h, good[i].bytes, len) != PROXY_MORE)
                fail_msg("case %zu, %zu bytes: %s", i, len, h.why);
        }
    }
}

static void a_unix_header_has_ends_without_addresses(void **state)
{
    (void)state;
    uint8_t bytes[16 + 216 + 3] = SIGNATURE "\x21\x31\0\xdb";
    struct proxy_header h;

    strcpy((char *)bytes + 16, "/run/secret\nname");
    bytes[16 + 216] = 4;
    assert_int_equal(parse(&h, bytes, sizeof bytes), PROXY_OK);
    assert_true(h.has_addresses);
    assert_int_equal(h.client.family, AF_UNIX);
    assert_string_equal(h.client.text, "unix");
    assert_string_equal(h.server.text, "unix");
    bytes[13] = 0x32;
    assert_int_equal(parse(&h, bytes, sizeof bytes), PROXY_OK);
    assert_false(h.has_addresses);
}

static void a_malformed_header_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *why;
    } cases[] = {
        {BYTES("PROXYTCP4"), "no space behind PROXY"},
        {BYTES("PROXY\r\n"), "no space behind PROXY"},
        {BYTES("PROXY \r\n"), "neither TCP4"},
        {BYTES("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n"), "neither TCP4"},
        {BYTES("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n"), "neither TCP4"},
        {BYTES("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n"), "neither TCP4"},
        {BYTES("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n"), "neither TCP4"},
        {BYTES("PROXY UNKNOWNX\r\n"), "neither TCP4"},
        {BYTES("PROXY TCP4\r\n"), "neither TCP4"},
        {BYTES("PROXY TCP4 \r\n"), "two addresses and two ports"},
        {BYTES("PROXY TCP4 1.2.3.4\r\n"), "two addresses and two ports"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), "two addresses and two ports"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n"), "two addresses and two ports"},
        {BYTES("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n"), "two addresses and two ports"},
        {BYTES("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"), "two addresses and two ports"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"), "something behind the ports"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"), "something behind the ports"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\t2\r\n"), "two addresses and two ports"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1\0 2\r\n"), "a NUL"},
        {BYTES("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n"), "not IPv4"},
        {BYTES("PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n"), "not IPv4"},
        {BYTES("PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n"), "not IPv4"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4/8 1 2\r\n"), "not IPv4"},
        {BYTES("PROXY TCP4 ::1 ::1 1 2\r\n"), "not IPv4"},
        {BYTES("PROXY TCP4 1.2.3.4 ::1 1 2\r\n"), "not IPv4"},
        {BYTES("PROXY TCP4 localhost 1.2.3.4 1 2\r\n"), "not IPv4"},
        {BYTES("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"), "not IPv6"},
        {BYTES("PROXY TCP6 :::1 ::1 1 2\r\n"), "not IPv6"},
        {BYTES("PROXY TCP6 [::1] ::1 1 2\r\n"), "not IPv6"},
        {BYTES("PROXY TCP6 fe80::1%lo ::1 1 2\r\n"), "not IPv6"},
        {BYTES("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n"), "not IPv6"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n"), "a port"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n"), "a port"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"), "a port"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 00\r\n"), "a port"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"), "a port"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n"), "a port"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 0x1 2\r\n"), "a port"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n"), "a LF without CR"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r"
               "x"),
         "a CR without LF"},
        {BYTES("PROXY TCP4 1.2.3.4\r 1.2.3.4 1 2\r\n"), "a CR without LF"},
        {BYTES("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r\n"), "a CR without LF"},
        {BYTES("PROXY UNKNOWN \r x\r\n"), "a CR without LF"},
        /* 107 bytes are too few for this one. */
        {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n"),
         "no CR LF within 107 bytes"},

        {BYTES(SIGNATURE "\x11"), "neither version 1 nor 2"},
        {BYTES(SIGNATURE "\x31\x11\0\x0c" IPV4), "neither version 1 nor 2"},
        {BYTES(SIGNATURE "\x22"), "neither LOCAL nor PROXY"},
        {BYTES(SIGNATURE "\x2f\x11\0\x0c" IPV4), "neither LOCAL nor PROXY"},
        {BYTES(SIGNATURE "\x21\x41\0\0"), "does not exist"},
        {BYTES(SIGNATURE "\x21\xf1\0\x0c" IPV4), "does not exist"},
        {BYTES(SIGNATURE "\x21\x13\0\x0c" IPV4), "does not exist"},
        {BYTES(SIGNATURE "\x21\x03\0\0"), "does not exist"},
        {BYTES(SIGNATURE "\x21\x11\0\0"), "too short for its addresses"},
        {BYTES(SIGNATURE "\x21\x11\0\x0b" IPV4), "too short for its addresses"},
        {BYTES(SIGNATURE "\x21\x12\0\x0b" IPV4), "too short for its addresses"},
        {BYTES(SIGNATURE "\x21\x21\0\x23" IPV6), "too short for its addresses"},
        {BYTES(SIGNATURE "\x21\x31\0\x24" IPV6), "too short for its addresses"},
        {BYTES(SIGNATURE "\x21\x11\x0f\xf1"), "longer than 4096 bytes"},
        {BYTES(SIGNATURE "\x20\0\xff\xff"), "longer than 4096 bytes"},
        {BYTES(SIGNATURE "\x21\x11\0\x0d" IPV4 "\4"), "a TLV that reaches"},
        {BYTES(SIGNATURE "\x21\x11\0\x0e" IPV4 "\4\0"), "a TLV that reaches"},
        {BYTES(SIGNATURE "\x21\x11\0\x0f" IPV4 "\4\0\1"), "a TLV that reaches"},
        {BYTES(SIGNATURE "\x21\x11\0\x0f" IPV4 "\4\xff\xff"), "a TLV that reaches"},
        {BYTES(SIGNATURE "\x21\x12\0\x0f" IPV4 "\4\0\1"), "a TLV that reaches"},
        {BYTES(SIGNATURE "\x21\x11\0\x13" IPV4 "\3\0\4\x5d\2\x8b\xf8"), "checksum is wrong"},
        {BYTES(SIGNATURE "\x21\x12\0\x13" IPV4 "\3\0\4\x5d\2\x8b\xf9"), "checksum is wrong"},
        {BYTES(SIGNATURE "\x21\x11\0\x13" IPV4 "\3\0\4\0\0\0\0"), "checksum is wrong"},
        {BYTES(SIGNATURE "\x21\x11\0\x12" IPV4 "\3\0\3\x5d\2\x8b"), "not four bytes"},
        {BYTES(SIGNATURE "\x21\x11\0\x0f" IPV4 "\3\0\0"), "not four bytes"},
        {BYTES(SIGNATURE "\x21\x11\0\x1a" IPV4 "\3\0\4\x5d\2\x8b\xf9\3\0\4\x5d\2\x8b\xf9"),
         "or two of them"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proxy_header h;
        enum proxy_verdict verdict = parse(&h, cases[i].bytes, cases[i].len);
        if (verdict != PROXY_BAD || strstr(h.why, cases[i].why) == NULL)
            fail_msg("case %zu: %d, %s instead of %s", i, verdict, h.why, cases[i].why);
        assert_false(h.has_addresses);
    }
}

static void what_does_not_begin_like_a_header_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {BYTES("\x16\3\1")},
        {BYTES("E")},
        {BYTES("EHLO x\r\n")},
        {BYTES("PASS x\r\n")},
        {BYTES("proxy TCP4 ")},
        {BYTES(" PROXY TCP4 ")},
        {BYTES("PROX TCP4 ")},
        {BYTES("\0")},
        {BYTES("\n")},
        {BYTES("\r\r")},
        {BYTES("\r\n\r\n\r")},
        {BYTES("\r\n\r\n\0\r\nQUIT\r\n")},
        {BYTES("\r\n\r\n\0\r\nquit\n")},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct proxy_header h;
        if (parse(&h, cases[i].bytes, cases[i].len) != PROXY_ABSENT)
            fail_msg("case %zu", i);
    }
}

static void a_header_may_have_4096_bytes_and_not_one_more(void **state)
{
    (void)state;
    static uint8_t bytes[PROXY_HEADER_MAX + 1] = SIGNATURE "\x21\x11\x0f\xf0" IPV4 "\4\x0f\xe1";
    struct proxy_header h;

    assert_int_equal(parse(&h, bytes, PROXY_HEADER_MAX - 1), PROXY_MORE);
    assert_int_equal(parse(&h, bytes, sizeof bytes), PROXY_OK);
    assert_int_equal(h.len, PROXY_HEADER_MAX);
    assert_string_equal(h.client.text, "192.0.2.7:50122");
    bytes[15]++;
    assert_int_equal(parse(&h, bytes, sizeof bytes), PROXY_BAD);
}

static void what_the_gate_tells_is_what_the_monitor_hears(void **state)
{
    (void)state;
    static const char *const ends[][2] = {
        {"192.0.2.7", "198.51.100.1"}, {"2001:db8::7", "2001:db8::1"},
        {"192.0.2.7", "2001:db8::1"},  {"unix", "unix"},
        {"nowhere", "nowhere"},
    };

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        uint8_t buf[128];
        struct message_writer w;
        struct message_reader r;
        struct proxy_header told = {.client = peer_at(ends[i][0], 50122),
                                    .server = peer_at(ends[i][1], 993)};
        struct proxy_header heard;
        message_begin(&w, buf, sizeof buf, REPORT_PROXY);
        proxy_put(&w, &told);
        assert_false(w.failed);
        message_parse(&r, buf, w.len);
        memset(&heard, 0x55, sizeof heard);
        proxy_get(&r, &heard);
        assert_true(message_complete(&r));
        assert_true(heard.has_addresses == (i != 4));
        if (!heard.has_addresses)
            continue;
        assert_string_equal(heard.client.text, told.client.text);
        assert_string_equal(heard.server.text, told.server.text);
        assert_int_equal(heard.client.port, told.client.port);
    }
}

static void the_monitor_believes_no_message_that_does_not_fit(void **state)
{
    (void)state;
    static const struct {
        struct {
            uint64_t kind;
            size_t len;
            uint64_t port;
        } ends[2];
    } cases[] = {
        {{{4, 4, 1}, {1, 4, 1}}},          {{{1, 5, 1}, {1, 4, 1}}},  {{{1, 16, 1}, {1, 4, 1}}},
        {{{2, 4, 1}, {2, 16, 1}}},         {{{1, 4, 1}, {2, 15, 1}}}, {{{1, 4, 65536}, {1, 4, 1}}},
        {{{1, 4, 1}, {1, 4, UINT64_MAX}}}, {{{0, 4, 1}, {0, 4, 1}}},  {{{0, 0, 1}, {1, 4, 1}}},
        {{{1, 4, 1}, {0, 0, 1}}},          {{{3, 4, 1}, {3, 0, 1}}},  {{{2, 17, 1}, {2, 16, 1}}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t buf[256], bytes[32] = {1};
        struct message_writer w;
        struct message_reader r;
        struct proxy_header h;
        message_begin(&w, buf, sizeof buf, REPORT_PROXY);
        for (int k = 0; k < 2; k++) {
            message_put_number(&w, cases[i].ends[k].kind);
            message_put_bytes(&w, bytes, cases[i].ends[k].len);
            message_put_number(&w, cases[i].ends[k].port);
        }
        message_parse(&r, buf, w.len);
        proxy_get(&r, &h);
        if (message_complete(&r) || h.has_addresses)
            fail_msg("case %zu is believed", i);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_header_tells_both_ends_and_its_length),
        cmocka_unit_test(what_stands_behind_a_header_is_not_looked_at),
        cmocka_unit_test(every_beginning_of_a_good_header_wants_more),
        cmocka_unit_test(a_unix_header_has_ends_without_addresses),
        cmocka_unit_test(a_malformed_header_is_refused_with_the_reason),
        cmocka_unit_test(what_does_not_begin_like_a_header_is_none),
        cmocka_unit_test(a_header_may_have_4096_bytes_and_not_one_more),
        cmocka_unit_test(what_the_gate_tells_is_what_the_monitor_hears),
        cmocka_unit_test(the_monitor_believes_no_message_that_does_not_fit),
    };

    return cmocka_run_group_tests_name("proxy", tests, NULL, NULL);
}
