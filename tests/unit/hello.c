/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of hello.c: what a ClientHello says, byte by byte, and what clients say instead. */
#include "tls/hello.h"

#include "tls/reframe.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The library looks at so many signature algorithms. */
#define SIGALGS 19

/* Bytes under construction. */
struct text {
    uint8_t bytes[40000];
    size_t len;
};

static void put(struct text *t, const void *bytes, size_t len)
{
    assert_true(t->len + len <= sizeof t->bytes);
    if (len > 0)
        memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

static void put_number(struct text *t, size_t value, size_t size)
{
    for (size_t i = size; i > 0; i--) {
        uint8_t byte = (uint8_t)(value >> (8 * (i - 1)));
        put(t, &byte, 1);
    }
}

/* A vector: its length in so many bytes, then the bytes. */
static void put_vector(struct text *t, size_t size, const void *bytes, size_t len)
{
    put_number(t, len, size);
    put(t, bytes, len);
}

/* What a ClientHello is made of. Lists are of 16-bit numbers and end with 0. */
struct recipe {
    uint16_t version;
    const uint16_t *suites;
    const char *name;        /* NULL: no server_name extension */
    size_t name_len;         /* 0: strlen(name) */
    const uint16_t *sigalgs; /* NULL: no such extension */
    const uint16_t *versions;
    const char *ticket; /* NULL: no session_ticket extension */
    bool alpn, grease, no_extensions;
};

static void put_list(struct text *t, const uint16_t *list)
{
    for (; *list != 0; list++)
        put_number(t, *list, 2);
}

static void put_extension(struct text *t, uint16_t type, const struct text *body)
{
    put_number(t, type, 2);
    put_vector(t, 2, body->bytes, body->len);
}

static void put_name(struct text *extensions, uint8_t type, const char *name, size_t len)
{
    static struct text entry, body;

    entry.len = body.len = 0;
    put_number(&entry, type, 1);
    put_vector(&entry, 2, name, len);
    put_vector(&body, 2, entry.bytes, entry.len);
    put_extension(extensions, 0, &body);
}

static void put_extensions(struct text *all, const struct recipe *r)
{
    static struct text list, body;

    if (r->grease)
        put(all, "\x0a\x0a\0\0", 4);
    if (r->name != NULL)
        put_name(all, 0, r->name, r->name_len != 0 ? r->name_len : strlen(r->name));
    if (r->sigalgs != NULL) {
        list.len = body.len = 0;
        put_list(&list, r->sigalgs);
        put_vector(&body, 2, list.bytes, list.len);
        put_extension(all, 13, &body);
    }
    if (r->ticket != NULL) {
        body.len = 0;
        put(&body, r->ticket, strlen(r->ticket));
        put_extension(all, 35, &body);
    }
    if (r->alpn) {
        body.len = 0;
        put(&body, "\0\5\4imap", 7);
        put_extension(all, 16, &body);
    }
    if (r->versions != NULL) {
        list.len = body.len = 0;
        put_list(&list, r->versions);
        put_vector(&body, 1, list.bytes, list.len);
        put_extension(all, 43, &body);
    }
    if (r->grease)
        put(all, "\xfa\xfa\0\1\0", 5);
}

/* The body of a ClientHello with these extensions; NULL: none at all. */
static void put_body(struct text *t, uint16_t version, const uint16_t *suites,
                     const struct text *extensions)
{
    static const uint8_t random[32] = {1, 2, 3}, session[32] = {4, 5, 6};
    static struct text list;

    put_number(t, version, 2);
    put(t, random, sizeof random);
    put_vector(t, 1, session, sizeof session);
    list.len = 0;
    put_list(&list, suites);
    put_vector(t, 2, list.bytes, list.len);
    put_vector(t, 1, "\0", 1);
    if (extensions != NULL)
        put_vector(t, 2, extensions->bytes, extensions->len);
}

/* Wraps a handshake message into records of at most `part` bytes. */
static void wrap(struct text *out, uint8_t type, const struct text *body, size_t part)
{
    static struct text message;

    message.len = 0;
    put_number(&message, type, 1);
    put_vector(&message, 3, body->bytes, body->len);
    out->len = 0;
    for (size_t at = 0; at < message.len; at += part) {
        size_t len = message.len - at < part ? message.len - at : part;
        put(out, "\x16\x03\x01", 3);
        put_vector(out, 2, message.bytes + at, len);
    }
}

static void build(struct text *out, const struct recipe *r, size_t part)
{
    static struct text extensions, body;

    extensions.len = body.len = 0;
    put_extensions(&extensions, r);
    put_body(&body, r->version, r->suites, r->no_extensions ? NULL : &extensions);
    wrap(out, 1, &body, part);
}

/* The verdict on exactly these bytes: not one behind them may be read. */
static enum reframe_verdict judge(struct hello *h, const uint8_t *bytes, size_t len)
{
    struct reframe r = {.bytes = NULL};
    uint8_t *copy = malloc(len > 0 ? len : 1);
    size_t used;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    memset(h, 0x55, sizeof *h);
    enum reframe_verdict verdict = reframe_feed(&r, copy, len, &used);
    if (verdict == REFRAME_WHOLE) {
        uint8_t *message = malloc(r.len);
        assert_non_null(message);
        memcpy(message, reframe_message(&r), r.len);
        if (!hello_parse(h, message, r.len, SIGALGS))
            verdict = REFRAME_BAD;
        free(message);
    }
    reframe_free(&r);
    free(copy);
    return verdict;
}

static const uint16_t modern_suites[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0};
static const uint16_t modern_sigalgs[] = {0x0403, 0x0804, 0x0401, 0x0807, 0};
static const uint16_t both_versions[] = {0x0304, 0x0303, 0};

static const struct recipe modern = {.version = 0x0303,
                                     .suites = modern_suites,
                                     .name = "Mail.Example.ORG",
                                     .sigalgs = modern_sigalgs,
                                     .versions = both_versions,
                                     .alpn = true};

static struct text t;

static void a_modern_hello_says_what_it_wants(void **state)
{
    (void)state;
    struct hello h;

    build(&t, &modern, 16384);
    assert_int_equal(judge(&h, t.bytes, t.len), REFRAME_WHOLE);
    assert_string_equal(h.name, "mail.example.org");
    assert_int_equal(h.version_min, 0x0303);
    assert_int_equal(h.version_max, 0x0304);
    assert_true(h.has_sigalgs && h.rsa && h.ecdsa && h.ed25519);
    assert_string_equal(h.alpn, "imap");
    assert_true(h.tls13_suites && h.aead_suites && h.ecdsa_suites && h.rsa_suites);
}

static void a_ticket_is_told_by_its_length_and_its_first_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *ticket;
        size_t len;
        const char *first;
    } cases[] = {{NULL, 0, ""},
                 {"", 0, ""},
                 {"short", 5, "short"},
                 {"0123456789abcdef", 16, "0123456789abcdef"},
                 {"0123456789abcdefghij", 20, "0123456789abcdef"}};
    struct hello h;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct recipe r = modern;
        r.ticket = cases[i].ticket;
        build(&t, &r, 16384);
        assert_int_equal(judge(&h, t.bytes, t.len), REFRAME_WHOLE);
        assert_int_equal(h.ticket_len, cases[i].len);
        assert_int_equal(h.has_ticket, cases[i].len > 0);
        assert_memory_equal(h.ticket, cases[i].first, strlen(cases[i].first));
    }
}

static void every_truncation_wants_more(void **state)
{
    (void)state;
    struct hello h;
    static const size_t parts[] = {16384, 100, 7, 1};
    struct recipe bare = {.version = 0x0303, .suites = modern_suites, .no_extensions = true};

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        for (int with = 0; with < 2; with++) {
            build(&t, with != 0 ? &modern : &bare, parts[i]);
            for (size_t cut = 0; cut < t.len; cut++) {
                enum reframe_verdict verdict = judge(&h, t.bytes, cut);
                if (verdict != REFRAME_MORE)
                    fail_msg("%zu of %zu bytes: verdict %d", cut, t.len, (int)verdict);
            }
            assert_int_equal(judge(&h, t.bytes, t.len), REFRAME_WHOLE);
        }
    }
}

static void a_hello_may_be_spread_over_records(void **state)
{
    (void)state;
    for (size_t part = 1; part < 300; part++) {
        struct hello h;
        build(&t, &modern, part);
        assert_int_equal(judge(&h, t.bytes, t.len), REFRAME_WHOLE);
        assert_string_equal(h.name, "mail.example.org");
    }
}

static void what_comes_behind_a_hello_does_not_matter(void **state)
{
    (void)state;
    struct hello h;

    build(&t, &modern, 16384);
    put(&t, "\x14\x03\x03\0\1\1garbage", 13);
    assert_int_equal(judge(&h, t.bytes, t.len), REFRAME_WHOLE);
    assert_string_equal(h.name, "mail.example.org");
}

static void grease_means_nothing(void **state)
{
    (void)state;
    static const uint16_t suites[] = {0x0a0a, 0x1a1a, 0xfafa, 0x00ff, 0x5600, 0x1301, 0};
    static const uint16_t sigalgs[] = {0x2a2a, 0x0403, 0};
    static const uint16_t versions[] = {0x7a7a, 0x0304, 0x0a0a, 0};
    static const struct recipe r = {.version = 0x0303,
                                    .suites = suites,
                                    .name = "a.example",
                                    .sigalgs = sigalgs,
                                    .versions = versions,
                                    .grease = true};
    struct hello h;

    build(&t, &r, 16384);
    assert_int_equal(judge(&h, t.bytes, t.len), REFRAME_WHOLE);
    assert_string_equal(h.name, "a.example");
    assert_int_equal(h.version_min, 0x0304);
    assert_int_equal(h.version_max, 0x0304);
    assert_true(h.tls13_suites);
    assert_int_equal(h.suite_count, 1);
    assert_false(h.rsa_suites || h.ecdsa_suites || h.aead_suites);
    assert_true(h.ecdsa);
    assert_false(h.rsa || h.ed25519);
}

static void the_certificate_follows_from_versions_suites_and_signatures(void **state)
{
    (void)state;
    static const uint16_t tls13[] = {0x1301, 0}, rsa_only[] = {0xc02f, 0xc030, 0},
                          ecdsa_only[] = {0xc02b, 0}, old[] = {0x002f, 0xc013, 0xc009, 0},
                          mixed[] = {0x1301, 0xc02f, 0}, ccm[] = {0xc0ac, 0};
    static const uint16_t all[] = {0x0403, 0x0804, 0x0401, 0x0807, 0}, pss[] = {0x0804, 0},
                          pkcs1[] = {0x0401, 0x0201, 0}, ec[] = {0x0503, 0}, ed[] = {0x0807, 0},
                          sha1[] = {0x0201, 0x0203, 0};
    static const uint16_t v13[] = {0x0304, 0}, v12[] = {0x0303, 0}, v10[] = {0x0303, 0x0301, 0};
    static const struct {
        const char *name;
        uint16_t version;
        const uint16_t *suites, *sigalgs, *versions;
        uint16_t min, max;
        bool rsa, ecdsa, ed25519;
    } cases[] = {
        {"1.3 with all", 0x0303, tls13, all, v13, 0x0304, 0x0304, true, true, true},
        {"1.3 with PSS", 0x0303, tls13, pss, v13, 0x0304, 0x0304, true, false, false},
        {"1.3 with ECDSA", 0x0303, tls13, ec, v13, 0x0304, 0x0304, false, true, false},
        {"1.3 with Ed25519", 0x0303, tls13, ed, v13, 0x0304, 0x0304, false, false, true},
        {"1.2 with RSA suites", 0x0303, rsa_only, all, NULL, 0x0303, 0x0303, true, false, false},
        {"1.2 with ECDSA suites", 0x0303, ecdsa_only, all, NULL, 0x0303, 0x0303, false, true, true},
        {"1.2 with CCM", 0x0303, ccm, all, NULL, 0x0303, 0x0303, false, true, true},
        {"1.2 with PKCS#1", 0x0303, rsa_only, pkcs1, v12, 0x0303, 0x0303, true, false, false},
        {"1.2, no signature fits", 0x0303, rsa_only, ec, v12, 0x0303, 0x0303, false, false, false},
        {"only SHA-1", 0x0303, old, sha1, NULL, 0x0303, 0x0303, false, false, false},
        {"1.2 without the extension", 0x0303, old, NULL, NULL, 0x0303, 0x0303, true, true, false},
        {"1.0", 0x0301, old, NULL, NULL, 0x0301, 0x0301, true, true, false},
        {"SSL 3.0", 0x0300, old, NULL, NULL, 0x0300, 0x0300, true, true, false},
        {"1.3 offered without its suites", 0x0303, rsa_only, all, both_versions, 0x0303, 0x0304,
         true, false, false},
        {"1.3 and 1.2", 0x0303, mixed, all, both_versions, 0x0303, 0x0304, true, true, true},
        {"1.2 and 1.0", 0x0303, old, NULL, v10, 0x0301, 0x0303, true, true, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hello h;
        struct recipe r = {.version = cases[i].version,
                           .suites = cases[i].suites,
                           .sigalgs = cases[i].sigalgs,
                           .versions = cases[i].versions};
        build(&t, &r, 16384);
        if (judge(&h, t.bytes, t.len) != REFRAME_WHOLE)
            fail_msg("%s: not taken", cases[i].name);
        if (h.version_min != cases[i].min || h.version_max != cases[i].max)
            fail_msg("%s: versions %04x to %04x", cases[i].name, h.version_min, h.version_max);
        if (h.rsa != cases[i].rsa || h.ecdsa != cases[i].ecdsa || h.ed25519 != cases[i].ed25519)
            fail_msg("%s: RSA %d, ECDSA %d, Ed25519 %d", cases[i].name, h.rsa, h.ecdsa, h.ed25519);
        assert_true(h.has_sigalgs == (cases[i].sigalgs != NULL));
        assert_string_equal(h.name, "");
        assert_string_equal(h.alpn, "");
    }
}

static void suites_are_told_by_kind(void **state)
{
    (void)state;
    static const struct {
        uint16_t suite;
        bool tls13, aead, ecdsa, rsa;
    } cases[] = {
        {0x1301, true, false, false, false},  {0x1305, true, false, false, false},
        {0x1306, false, false, false, true},  {0xc02b, false, true, true, false},
        {0xc02c, false, true, true, false},   {0xc02f, false, true, false, true},
        {0xc030, false, true, false, true},   {0xcca8, false, true, false, true},
        {0xcca9, false, true, true, false},   {0xc0ae, false, true, true, false},
        {0xc009, false, false, true, false},  {0xc013, false, false, false, true},
        {0x009c, false, false, false, true},  {0x00ff, false, false, false, false},
        {0x5600, false, false, false, false}, {0x3a3a, false, false, false, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hello h;
        const uint16_t suites[] = {cases[i].suite, 0};
        struct recipe r = {.version = 0x0303, .suites = suites};
        build(&t, &r, 16384);
        assert_int_equal(judge(&h, t.bytes, t.len), REFRAME_WHOLE);
        if (h.tls13_suites != cases[i].tls13 || h.aead_suites != cases[i].aead ||
            h.ecdsa_suites != cases[i].ecdsa || h.rsa_suites != cases[i].rsa)
            fail_msg("suite %04x", cases[i].suite);
    }
}

static void a_hello_without_extensions_is_taken(void **state)
{
    (void)state;
    static const struct recipe r = {
        .version = 0x0301, .suites = modern_suites, .no_extensions = true};
    struct hello h;

    build(&t, &r, 16384);
    assert_int_equal(judge(&h, t.bytes, t.len), REFRAME_WHOLE);
    assert_string_equal(h.name, "");
    assert_false(h.has_sigalgs);
    assert_true(h.rsa && h.ecdsa);
}

static char long_name[300];

static void names_are_taken_in_lower_case_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *what, *name;
        size_t len;
        const char *taken; /* NULL: the hello is bad */
    } cases[] = {
        {"plain", "mail.example.org", 16, "mail.example.org"},
        {"capitals", "MAIL.EXAMPLE.ORG", 16, "mail.example.org"},
        {"digits, hyphen, underscore", "a-1_b.example", 13, "a-1_b.example"},
        {"punycode", "xn--bcher-kva.example", 21, "xn--bcher-kva.example"},
        {"a trailing dot", "mail.example.org.", 17, "mail.example.org"},
        {"one letter", "a", 1, "a"},
        {"NUL inside", "mail\0.example", 13, ""},
        {"NUL at the end", "mail.example\0", 13, ""},
        {"space", "mail example", 12, ""},
        {"line end", "mail.example\r\n", 14, ""},
        {"DEL", "mail\177", 5, ""},
        {"8-bit", "m\303\244il.example", 13, ""},
        {"control", "\033[2J", 4, ""},
        {"255 letters", long_name, 255, long_name},
        {"256 letters", long_name, 256, NULL},
    };

    memset(long_name, 'a', 255);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hello h;
        struct recipe r = modern;
        r.name = cases[i].name;
        r.name_len = cases[i].len;
        long_name[255] = cases[i].len == 256 ? 'a' : '\0';
        build(&t, &r, 16384);
        enum reframe_verdict verdict = judge(&h, t.bytes, t.len);
        if (verdict != (cases[i].taken != NULL ? REFRAME_WHOLE : REFRAME_BAD))
            fail_msg("%s: verdict %d", cases[i].what, (int)verdict);
        if (cases[i].taken != NULL)
            assert_string_equal(h.name, cases[i].taken);
    }
}

static void a_name_with_other_than_host_characters_counts_as_none(void **state)
{
    (void)state;
    static const char *const names[] = {
        "../../etc/passwd", "a/b", "a\\b.example", "a\"b", "a=b", "a;b.c", "<b>", "*.example"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct hello h;
        struct recipe r = modern;
        r.name = names[i];
        build(&t, &r, 16384);
        if (judge(&h, t.bytes, t.len) != REFRAME_WHOLE || h.name[0] != '\0')
            fail_msg("%s is taken", names[i]);
    }
}

/* A hello with these extensions as they are. */
static enum reframe_verdict judge_extensions(struct hello *h, const struct text *extensions)
{
    static struct text body;

    body.len = 0;
    put_body(&body, 0x0303, modern_suites, extensions);
    wrap(&t, 1, &body, 16384);
    return judge(h, t.bytes, t.len);
}

static void of_several_names_the_first_host_name_counts(void **state)
{
    (void)state;
    static struct text extensions, entries, body;
    struct hello h;

    extensions.len = entries.len = body.len = 0;
    put(&entries, "\x07\0\3xyz", 6); /* a type of name that nobody knows */
    put(&entries, "\0\0\3one", 6);
    put(&entries, "\0\0\3two", 6);
    put_vector(&body, 2, entries.bytes, entries.len);
    put_extension(&extensions, 0, &body);
    assert_int_equal(judge_extensions(&h, &extensions), REFRAME_WHOLE);
    assert_string_equal(h.name, "one");
}

static void malformed_extensions_make_a_bad_hello(void **state)
{
    (void)state;
    static const struct {
        const char *what, *bytes;
        size_t len;
        enum reframe_verdict verdict;
    } cases[] = {
        {"an unknown one", "\x12\x34\0\2ab", 6, REFRAME_WHOLE},
        {"an unknown one, empty", "\x12\x34\0\0", 4, REFRAME_WHOLE},
        {"half a type", "\0", 1, REFRAME_BAD},
        {"no length", "\0\x0d", 2, REFRAME_BAD},
        {"longer than there is", "\x12\x34\0\3ab", 6, REFRAME_BAD},
        {"name: nothing in it", "\0\0\0\0", 4, REFRAME_BAD},
        {"name: list longer than extension", "\0\0\0\4\0\5\0\0", 8, REFRAME_BAD},
        {"name: longer than list", "\0\0\0\6\0\4\0\0\4a", 10, REFRAME_BAD},
        {"name: empty", "\0\0\0\5\0\3\0\0\0", 9, REFRAME_BAD},
        {"name: cut in its length", "\0\0\0\4\0\2\0\0", 8, REFRAME_BAD},
        {"signatures: nothing in it", "\0\x0d\0\0", 4, REFRAME_BAD},
        {"signatures: half a scheme", "\0\x0d\0\3\0\1\4", 7, REFRAME_BAD},
        {"signatures: list too long", "\0\x0d\0\4\0\4\4\3", 8, REFRAME_BAD},
        {"versions: nothing in it", "\0\x2b\0\0", 4, REFRAME_BAD},
        {"versions: half a version", "\0\x2b\0\2\1\3", 6, REFRAME_BAD},
        {"versions: list too long", "\0\x2b\0\3\4\3\4", 7, REFRAME_BAD},
        {"name: bytes behind the list", "\0\0\0\7\0\4\0\0\1ab", 11, REFRAME_BAD},
        {"signatures: empty list", "\0\x0d\0\2\0\0", 6, REFRAME_BAD},
        {"signatures: bytes behind the list", "\0\x0d\0\5\0\2\4\3x", 9, REFRAME_BAD},
        {"groups: one", "\0\x0a\0\4\0\2\0\x1d", 8, REFRAME_WHOLE},
        {"groups: empty list", "\0\x0a\0\2\0\0", 6, REFRAME_BAD},
        {"groups: half a group", "\0\x0a\0\3\0\1\0", 7, REFRAME_BAD},
        {"groups: bytes behind the list", "\0\x0a\0\5\0\2\0\x1dx", 9, REFRAME_BAD},
        {"versions: empty list", "\0\x2b\0\1\0", 5, REFRAME_BAD},
        {"versions: bytes behind the list", "\0\x2b\0\4\2\3\4x", 8, REFRAME_BAD},
        {"protocols: one", "\0\x10\0\4\0\2\1a", 8, REFRAME_WHOLE},
        {"protocols: empty list", "\0\x10\0\2\0\0", 6, REFRAME_BAD},
        {"protocols: an empty name", "\0\x10\0\5\0\3\0\1a", 9, REFRAME_BAD},
        {"protocols: bytes behind the list", "\0\x10\0\5\0\2\1ax", 9, REFRAME_BAD},
        {"pre-shared keys: nothing in it", "\0\x29\0\0", 4,
         REFRAME_WHOLE}, /* the library's to judge */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct text extensions;
        struct hello h;
        extensions.len = 0;
        put(&extensions, cases[i].bytes, cases[i].len);
        enum reframe_verdict verdict = judge_extensions(&h, &extensions);
        if (verdict != cases[i].verdict)
            fail_msg("%s: verdict %d", cases[i].what, (int)verdict);
    }
}

/* What is REFRAME_WHOLE with its length as it should be must not be taken with its body cut. */
static void a_body_that_is_cut_or_too_long_is_bad(void **state)
{
    (void)state;
    static struct text extensions, body, cut;
    struct hello h;

    extensions.len = body.len = 0;
    put_extensions(&extensions, &modern);
    put_body(&body, 0x0303, modern_suites, &extensions);
    size_t without = body.len - extensions.len - 2;
    for (size_t len = 0; len <= body.len + 1; len++) {
        cut.len = 0;
        put(&cut, body.bytes, len);
        wrap(&t, 1, &cut, 16384);
        /* Whole, or whole without extensions: nothing else. */
        bool good = len == body.len || len == without;
        if (judge(&h, t.bytes, t.len) != (good ? REFRAME_WHOLE : REFRAME_BAD))
            fail_msg("body of %zu bytes instead of %zu", len, body.len);
    }
}

static void lengths_are_told_of_what_the_library_has_limits_for(void **state)
{
    (void)state;
    static struct text extensions;
    struct hello h;

    extensions.len = 0;
    put(&extensions, "\0\x29\0\x13\0\x11\0\1a\0\0\0\0\0\4bcde\0\0\0\0", 23);
    assert_int_equal(judge_extensions(&h, &extensions), REFRAME_WHOLE);
    assert_true(h.has_ticket);
    assert_int_equal(h.identity_max, 4);
    assert_int_equal(h.session_id_len, 32);
    assert_int_equal(h.suites_sent, 5);
    assert_int_equal(h.size, t.len - REFRAME_HEADER);
}

/* A hello whose signature algorithms are `many` unknown ones, and then those of the list. */
static void build_late(uint16_t *list, size_t many, const uint16_t *then)
{
    struct recipe r = modern;
    size_t n = 0;

    for (; n < many; n++)
        list[n] = (uint16_t)(0xfe00 + n);
    do {
        list[n++] = *then;
    } while (*then++ != 0);
    r.sigalgs = list;
    build(&t, &r, 16384);
}

static void signature_algorithms_that_the_library_does_not_look_at_count_apart(void **state)
{
    (void)state;
    static const uint16_t all[] = {0x0403, 0x0804, 0x0807, 0x0401, 0};
    uint16_t list[100];
    struct hello h;

    for (size_t many = SIGALGS - 4; many <= SIGALGS; many++) {
        size_t seen = SIGALGS - many; /* of the four */
        build_late(list, many, all);
        assert_int_equal(judge(&h, t.bytes, t.len), REFRAME_WHOLE);
        assert_int_equal(h.sigalg_count, many + 4);
        assert_int_equal(h.ecdsa, seen > 0);
        assert_int_equal(h.rsa, seen > 1);
        assert_int_equal(h.ed25519, seen > 2);
        assert_int_equal(h.late.ecdsa, seen == 0);
        assert_int_equal(h.late.rsa, seen <= 1);
        assert_int_equal(h.late.ed25519, seen <= 2);
    }
}

/* No input whatever may crash it or read beyond its end (the copy is of exact size). */
static void changed_bytes_never_crash_it(void **state)
{
    (void)state;
    uint32_t seed = 12345;

    build(&t, &modern, 50);
    for (size_t at = 0; at < t.len; at++) {
        for (int n = 0; n < 40; n++) {
            struct hello h;
            uint8_t before = t.bytes[at];
            seed = seed * 1664525 + 1013904223;
            t.bytes[at] = (uint8_t)(seed >> 24);
            enum reframe_verdict verdict = judge(&h, t.bytes, t.len);
            if (verdict == REFRAME_WHOLE)
                assert_non_null(memchr(h.name, '\0', sizeof h.name));
            t.bytes[at] = before;
        }
    }
}

static void plaintext_protocols_are_known_by_their_opening(void **state)
{
    (void)state;
    static const struct {
        const char *opening, *protocol;
    } cases[] = {
        {"EHLO client.example\r\n", "SMTP"},
        {"ehlo client.example\r\n", "SMTP"},
        {"HELO client.example\r\n", "SMTP"},
        {"MAIL FROM:<a@b>\r\n", "SMTP"},
        {"LHLO client.example\r\n", "LMTP"},
        {"a1 CAPABILITY\r\n", "IMAP"},
        {"0001 capability\r\n", "IMAP"},
        {". LOGIN a b\r\n", "IMAP"},
        {"A STARTTLS\r\n", "IMAP"},
        {"x NOOP\r\n", "IMAP"},
        {"x ID NIL\r\n", "IMAP"},
        {"CAPA\r\n", "POP3"},
        {"capa\r\n", "POP3"},
        {"USER joe\r\n", "POP3"},
        {"APOP joe c4c9334bac560ecc979e58001b3e22fb\r\n", "POP3"},
        {"STLS\r\n", "POP3"},
        {"AUTH PLAIN\r\n", "POP3"},
        {"CAPABILITY\r\n", "ManageSieve"},
        {"AUTHENTICATE \"PLAIN\"\r\n", "ManageSieve"},
        {"CAPABILITIES\r\n", "NNTP"},
        {"MODE READER\r\n", "NNTP"},
        {"GET / HTTP/1.1\r\n", "HTTP"},
        {"POST /x HTTP/1.1\r\n", "HTTP"},
        {"HEAD / HTTP/1.0\r\n", "HTTP"},
        {"PRI * HTTP/2.0\r\n\r\n", "HTTP"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "SSH"},
        {"", "a plaintext protocol"},
        {"\r\n", "a plaintext protocol"},
        {"hello\r\n", "a plaintext protocol"},
        {"EHL", "a plaintext protocol"},
        {"a1 ", "a plaintext protocol"},
        {" CAPABILITY\r\n", "a plaintext protocol"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].opening);
        uint8_t *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, cases[i].opening, len);
        const char *protocol = hello_plaintext(copy, len);
        if (strcmp(protocol, cases[i].protocol) != 0)
            fail_msg("%s: %s", cases[i].opening, protocol);
        free(copy);
    }
}

static void versions_have_names(void **state)
{
    (void)state;
    assert_string_equal(hello_version_name(0x0300), "SSL 3.0");
    assert_string_equal(hello_version_name(0x0301), "TLS 1.0");
    assert_string_equal(hello_version_name(0x0303), "TLS 1.2");
    assert_string_equal(hello_version_name(0x0304), "TLS 1.3");
    assert_string_equal(hello_version_name(0x0305), "an unknown version");
    assert_string_equal(hello_version_name(0), "an unknown version");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_modern_hello_says_what_it_wants),
        cmocka_unit_test(a_ticket_is_told_by_its_length_and_its_first_bytes),
        cmocka_unit_test(every_truncation_wants_more),
        cmocka_unit_test(a_hello_may_be_spread_over_records),
        cmocka_unit_test(what_comes_behind_a_hello_does_not_matter),
        cmocka_unit_test(grease_means_nothing),
        cmocka_unit_test(the_certificate_follows_from_versions_suites_and_signatures),
        cmocka_unit_test(suites_are_told_by_kind),
        cmocka_unit_test(a_hello_without_extensions_is_taken),
        cmocka_unit_test(names_are_taken_in_lower_case_or_not_at_all),
        cmocka_unit_test(a_name_with_other_than_host_characters_counts_as_none),
        cmocka_unit_test(of_several_names_the_first_host_name_counts),
        cmocka_unit_test(malformed_extensions_make_a_bad_hello),
        cmocka_unit_test(a_body_that_is_cut_or_too_long_is_bad),
        cmocka_unit_test(lengths_are_told_of_what_the_library_has_limits_for),
        cmocka_unit_test(signature_algorithms_that_the_library_does_not_look_at_count_apart),
        cmocka_unit_test(changed_bytes_never_crash_it),
        cmocka_unit_test(plaintext_protocols_are_known_by_their_opening),
        cmocka_unit_test(versions_have_names),
    };

    return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
