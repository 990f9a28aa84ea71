/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of proxy_out.c: PROXY headers built for the handler. */
#include "monitor/proxy_out.h"

#include "start/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "proxy.h"

static void what_is_built_is_as_the_specification_has_it(void **state)
{
    (void)state;
    static const struct {
        const char *client, *server;
        enum proxy_out version;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"192.0.2.7", "198.51.100.1", PROXY_OUT_V1,
         BYTES("PROXY TCP4 192.0.2.7 198.51.100.1 50122 993\r\n")},
        {"2001:db8::7", "2001:db8::1", PROXY_OUT_V1,
         BYTES("PROXY TCP6 2001:db8::7 2001:db8::1 50122 993\r\n")},
        {"192.0.2.7", "2001:db8::1", PROXY_OUT_V1,
         BYTES("PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 50122 993\r\n")},
        {"2001:db8::7", "192.0.2.7", PROXY_OUT_V1,
         BYTES("PROXY TCP6 2001:db8::7 ::ffff:192.0.2.7 50122 993\r\n")},
        {"unix", "unix", PROXY_OUT_V1, BYTES("PROXY UNKNOWN\r\n")},
        {"pipe", "pipe", PROXY_OUT_V1, BYTES("PROXY UNKNOWN\r\n")},
        {"192.0.2.7", "unix", PROXY_OUT_V1, BYTES("PROXY UNKNOWN\r\n")},
        {"192.0.2.7", "198.51.100.1", PROXY_OUT_V2, BYTES(SIGNATURE "\x21\x11\0\x0c" IPV4)},
        {"2001:db8::7", "2001:db8::1", PROXY_OUT_V2, BYTES(SIGNATURE "\x21\x21\0\x24" IPV6)},
        {"192.0.2.7", "2001:db8::1", PROXY_OUT_V2,
         BYTES(SIGNATURE "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\7"
                         "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" PORTS)},
        {"unix", "unix", PROXY_OUT_V2, BYTES(SIGNATURE "\x21\0\0\0")},
        {"pipe", "pipe", PROXY_OUT_V2, BYTES(SIGNATURE "\x21\0\0\0")},
        {"192.0.2.7", "198.51.100.1", PROXY_OUT_OFF, "", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t buf[PROXY_OUT_BYTES_MAX];
        struct peer client = peer_at(cases[i].client, 50122);
        struct peer server = peer_at(cases[i].server, 993);
        size_t len = proxy_out_build(buf, cases[i].version, &client, &server, NULL);
        if (len != cases[i].len || memcmp(buf, cases[i].bytes, len) != 0)
            fail_msg("case %zu: %zu bytes", i, len);
    }
}

static void version_2_tells_of_tls(void **state)
{
    (void)state;
    static const char tlvs[] = "\2\0\x10mail.example.org"
                               "\x20\0\x0f\1\0\0\0\1\x21\0\7TLSv1.3";
    struct facts facts = {.version = "TLSv1.3", .name = "mail.example.org"};
    struct peer client = peer_at("192.0.2.7", 50122), server = peer_at("198.51.100.1", 993);
    uint8_t buf[PROXY_OUT_BYTES_MAX];
    size_t len = proxy_out_build(buf, PROXY_OUT_V2, &client, &server, &facts);

    assert_int_equal(len, 28 + sizeof tlvs - 1);
    assert_int_equal(buf[14] << 8 | buf[15], len - 16);
    assert_memory_equal(buf + 28, tlvs, sizeof tlvs - 1);
    facts.name[0] = '\0';
    len = proxy_out_build(buf, PROXY_OUT_V2, &client, &server, &facts);
    assert_int_equal(len, 28 + sizeof tlvs - 1 - 19);
    assert_memory_equal(buf + 28, tlvs + 19, sizeof tlvs - 1 - 19);
    /* A client certificate that was verified now, or when the session began. */
    facts.client.verify = CLIENT_VERIFIED;
    strcpy(facts.client.common_name, "ann");
    len = proxy_out_build(buf, PROXY_OUT_V2, &client, &server, &facts);
    assert_int_equal(len, 28 + 24);
    assert_memory_equal(buf + 28, "\x20\0\x15\7\0\0\0\0\x21\0\7TLSv1.3\x22\0\3ann", 24);
    facts.resumed = true;
    facts.client.common_name[0] = '\0';
    len = proxy_out_build(buf, PROXY_OUT_V2, &client, &server, &facts);
    assert_memory_equal(buf + 28, "\x20\0\x0f\5\0\0\0\0\x21\0\7TLSv1.3", 18);
    /* One that was asked for and not given. */
    facts.client.verify = CLIENT_NONE;
    len = proxy_out_build(buf, PROXY_OUT_V2, &client, &server, &facts);
    assert_memory_equal(buf + 28, tlvs + 19, sizeof tlvs - 1 - 19);
    /* Version 1 has no place for it. */
    len = proxy_out_build(buf, PROXY_OUT_V1, &client, &server, &facts);
    assert_int_equal(len, strlen("PROXY TCP4 192.0.2.7 198.51.100.1 50122 993\r\n"));
}

static void the_longest_that_is_built_can_be_read(void **state)
{
    (void)state;
    struct facts facts = {.version = "TLSv1.3"};
    struct peer far = peer_at("1111:2222:3333:4444:5555:6666:7777:8888", 65535);

    memset(facts.name, 'x', sizeof facts.name - 1);
    memset(facts.version, 'x', sizeof facts.version - 1);
    memset(facts.client.common_name, 'x', sizeof facts.client.common_name - 1);
    facts.client.verify = CLIENT_VERIFIED;
    for (int version = PROXY_OUT_V1; version <= PROXY_OUT_V2; version++) {
        uint8_t buf[PROXY_OUT_BYTES_MAX];
        struct proxy_header h;
        size_t len = proxy_out_build(buf, (enum proxy_out)version, &far, &far, &facts);
        assert_int_equal(proxy_parse(&h, buf, len), PROXY_OK);
        assert_int_equal(h.len, len);
        assert_string_equal(h.client.text, far.text);
        assert_string_equal(h.server.text, far.text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_built_is_as_the_specification_has_it),
        cmocka_unit_test(version_2_tells_of_tls),
        cmocka_unit_test(the_longest_that_is_built_can_be_read),
    };

    return cmocka_run_group_tests_name("proxy_out", tests, NULL, NULL);
}
