/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of x509.c and identity.c: what a certificate says, and whom it names. */
#include "x509/user.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Bytes under construction. */
struct bytes {
    uint8_t at[2048];
    size_t len;
};

static void add(struct bytes *b, const void *bytes, size_t len)
{
    assert_true(b->len + len <= sizeof b->at);
    if (len > 0)
        memcpy(b->at + b->len, bytes, len);
    b->len += len;
}

static void add_element(struct bytes *b, int tag, const void *value, size_t len)
{
    const uint8_t head[] = {(uint8_t)tag, 0x82, (uint8_t)(len >> 8), (uint8_t)len};

    if (len < 0x80) {
        const uint8_t shorter[] = {(uint8_t)tag, (uint8_t)len};
        add(b, shorter, sizeof shorter);
    } else if (len < 0x100) {
        const uint8_t middle[] = {(uint8_t)tag, 0x81, (uint8_t)len};
        add(b, middle, sizeof middle);
    } else {
        add(b, head, sizeof head);
    }
    add(b, value, len);
}

static void add_bytes(struct bytes *b, int tag, const struct bytes *value)
{
    add_element(b, tag, value->at, value->len);
}

#define LITERAL(text) text, sizeof(text) - 1

static void add_name(struct bytes *b, const char *oid, size_t oid_len, const char *value)
{
    struct bytes pair = {.len = 0}, set = {.len = 0}, one = {.len = 0};

    add_element(&pair, 6, oid, oid_len);
    add_element(&pair, 12, value, strlen(value));
    add_bytes(&set, 0x30, &pair);
    add_bytes(&one, 0x31, &set);
    add(b, one.at, one.len);
}

/* What varies; NULL or 0 for what is usual. */
struct plan {
    const char *extensions; /* DER, one behind the other */
    size_t extensions_len;
    const char *algorithm; /* what is in the AlgorithmIdentifier */
    size_t algorithm_len;
    const char *serial;
    size_t serial_len;
    const char *until; /* a UTCTime */
    const char *mail;  /* in the subject */
    const char *again; /* what is in the AlgorithmIdentifier behind the signed part */
    size_t again_len;
    const char *signature; /* the BIT STRING */
    size_t signature_len;
    const char *more; /* behind the extensions, within what is signed */
    size_t more_len;
    const char *behind; /* behind the signature */
    size_t behind_len;
    const char *tail; /* behind all */
    size_t tail_len;
    size_t rsa_bytes; /* of the modulus */
};

static void add_key(struct bytes *body, size_t rsa_bytes)
{
    struct bytes key = {.len = 0}, algorithm = {.len = 0}, bits = {.len = 0}, numbers = {.len = 0};
    uint8_t modulus[600] = {0x00, 0x80};

    if (rsa_bytes == 0) {
        add_element(&algorithm, 6, LITERAL("\x2b\x65\x70")); /* Ed25519 */
        add(&bits, LITERAL("\0key"));
    } else {
        add_element(&algorithm, 6, LITERAL("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"));
        add_element(&algorithm, 5, "", 0);
        add_element(&numbers, 2, modulus, rsa_bytes + 1);
        add_element(&numbers, 2, LITERAL("\3"));
        add(&bits, LITERAL("\0"));
        add_bytes(&bits, 0x30, &numbers);
    }
    add_bytes(&key, 0x30, &algorithm);
    add_bytes(&key, 3, &bits);
    add_bytes(body, 0x30, &key);
}

static struct bytes build(const struct plan *p)
{
    struct bytes body = {.len = 0}, part = {.len = 0}, all = {.len = 0};

    add(&body, LITERAL("\xa0\x03\x02\x01\x02"));
    add_element(&body, 2, p->serial != NULL ? p->serial : "\x0a",
                p->serial != NULL ? p->serial_len : 1);
    if (p->algorithm != NULL)
        add_element(&body, 0x30, p->algorithm, p->algorithm_len);
    else
        add(&body, LITERAL("\x30\x05\x06\x03\x2b\x65\x70"));
    add_name(&part, LITERAL("\x55\x04\x03"), "Root");
    add_bytes(&body, 0x30, &part);
    part.len = 0;
    add_element(&part, 0x17, LITERAL("240101000000Z"));
    if (p->until != NULL)
        add_element(&part, strlen(p->until) > 13 ? 0x18 : 0x17, p->until, strlen(p->until));
    else
        add_element(&part, 0x17, LITERAL("300102030405Z"));
    add_bytes(&body, 0x30, &part);
    part.len = 0;
    add_name(&part, LITERAL("\x55\x04\x03"), "alice");
    if (p->mail != NULL)
        add_name(&part, LITERAL("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"), p->mail);
    add_bytes(&body, 0x30, &part);
    add_key(&body, p->rsa_bytes);
    if (p->extensions != NULL) {
        part.len = 0;
        add_element(&part, 0x30, p->extensions, p->extensions_len);
        add_bytes(&body, 0xa3, &part);
    }
    add(&body, p->more, p->more_len);
    part.len = 0;
    add_bytes(&part, 0x30, &body);
    if (p->again != NULL)
        add_element(&part, 0x30, p->again, p->again_len);
    else if (p->algorithm != NULL)
        add_element(&part, 0x30, p->algorithm, p->algorithm_len);
    else
        add(&part, LITERAL("\x30\x05\x06\x03\x2b\x65\x70"));
    if (p->signature != NULL)
        add_element(&part, 3, p->signature, p->signature_len);
    else
        add_element(&part, 3, LITERAL("\0signature"));
    add(&part, p->behind, p->behind_len);
    add_bytes(&all, 0x30, &part);
    add(&all, p->tail, p->tail_len);
    return all;
}

static struct certificate read_plan(const struct plan *p, struct bytes *b)
{
    struct certificate c;

    *b = build(p);
    assert_int_equal(x509_read(&c, b->at, b->len), 0);
    return c;
}

#define EXTENSIONS(text) .extensions = (text), .extensions_len = sizeof(text) - 1
#define PART(name, text) .name = (text), .name##_len = sizeof(text) - 1
#define ALGORITHM(text) .algorithm = (text), .algorithm_len = sizeof(text) - 1

static void a_plain_certificate_is_read(void **state)
{
    (void)state;
    const struct plan plan = {.serial = NULL};
    struct bytes b;
    struct certificate c = read_plan(&plan, &b);
    char date[16];

    assert_int_equal(c.version, 3);
    assert_int_equal(c.rsa_bits, 0);
    assert_false(c.weak_signature || c.self_issued || c.is_ca);
    assert_true(c.may_certify && c.may_sign && c.for_clients);
    assert_null(c.alt_names.at);
    x509_date(date, sizeof date, c.not_after);
    assert_string_equal(date, "2030-01-02");
}

/* RFC 5280 section 4.1.2.5: two digits of a year stand for 1950 to 2049. */
static void dates_are_read_to_the_second(void **state)
{
    static const struct {
        const char *text;
        long long when;
    } cases[] = {
        {"700101000000Z", 0},
        {"691231235959Z", -1},
        {"500101000000Z", -631152000},
        {"491231235959Z", 2524607999},
        {"20500101000000Z", 2524608000},
        {"19500101000000Z", -631152000},
        {"99991231235959Z", 253402300799},
        {"240228235959Z", 1709164799},
        {"240229000000Z", 1709164800},
        {"240301000000Z", 1709251200},
        {"21000228235959Z", 4107542399},
        {"21000301000000Z", 4107542400},
        {"161231235959Z", 1483228799},
        {"161231235960Z", 1483228800}, /* a leap second is the first of the next day */
        {"170101000000Z", 1483228800},
    };
    struct bytes b;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct plan plan = {.until = cases[i].text};
        struct certificate c = read_plan(&plan, &b);
        assert_true((long long)c.not_after == cases[i].when);
        assert_true((long long)c.not_before == 1704067200);
    }
}

static void dates_of_another_form_are_refused(void **state)
{
    static const char *const cases[] = {"",
                                        "Z",
                                        "240229000000",
                                        "2402290000Z",
                                        "240229000000+",
                                        "24022900000aZ",
                                        "240229 00000Z",
                                        "2402290000000Z",
                                        "20240229000000",
                                        "202402290000Z0",
                                        "20240229000000.5Z",
                                        "20240229000000+0100"};
    struct bytes b;
    struct certificate c;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct plan plan = {.until = cases[i]};
        b = build(&plan);
        if (x509_read(&c, b.at, b.len) == 0)
            fail_msg("\"%s\" is taken", cases[i]);
    }
}

static void every_truncation_of_a_certificate_is_refused(void **state)
{
    (void)state;
    const struct plan plan = {EXTENSIONS("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00"),
                              .rsa_bytes = 256};
    struct bytes b = build(&plan);

    for (size_t len = 0; len < b.len; len++) {
        struct certificate c;
        uint8_t *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, b.at, len);
        assert_int_equal(x509_read(&c, copy, len), -EBADMSG);
        free(copy);
    }
}

static void what_a_key_may_do_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct plan plan;
        bool is_ca, may_certify, may_sign, for_clients;
    } cases[] = {
        {"CA:TRUE",
         {EXTENSIONS("\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x01\x01\xff")},
         true,
         true,
         true,
         true},
        {"CA:FALSE",
         {EXTENSIONS("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00")},
         false,
         true,
         true,
         true},
        {"critical CA:TRUE",
         {EXTENSIONS("\x30\x0f\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x05\x30\x03\x01\x01\xff")},
         true,
         true,
         true,
         true},
        {"digitalSignature",
         {EXTENSIONS("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x07\x80")},
         false,
         false,
         true,
         true},
        {"keyCertSign",
         {EXTENSIONS("\x30\x0b\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x02\x04")},
         false,
         true,
         false,
         true},
        {"serverAuth",
         {EXTENSIONS("\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07"
                     "\x03\x01")},
         false,
         true,
         true,
         false},
        {"clientAuth",
         {EXTENSIONS("\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07"
                     "\x03\x02")},
         false,
         true,
         true,
         true},
        {"any",
         {EXTENSIONS("\x30\x0f\x06\x03\x55\x1d\x25\x04\x08\x30\x06\x06\x04\x55\x1d\x25\x00")},
         false,
         true,
         true,
         true},
        {"another extension",
         {EXTENSIONS("\x30\x09\x06\x03\x55\x1d\x0e\x04\x02\x05\x00")},
         false,
         true,
         true,
         true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes b;
        struct certificate c = read_plan(&cases[i].plan, &b);
        if (c.is_ca != cases[i].is_ca || c.may_certify != cases[i].may_certify ||
            c.may_sign != cases[i].may_sign || c.for_clients != cases[i].for_clients)
            fail_msg("%s", cases[i].name);
    }
}

static void damaged_certificates_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct plan plan;
    } cases[] = {
        {"basicConstraints twice",
         {EXTENSIONS("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00"
                     "\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x01\x01\xff")}},
        {"keyUsage without bits", {EXTENSIONS("\x30\x09\x06\x03\x55\x1d\x0f\x04\x02\x03\x00")}},
        {"extendedKeyUsage of something else",
         {EXTENSIONS("\x30\x0b\x06\x03\x55\x1d\x25\x04\x04\x30\x02\x05\x00")}},
        {"an extension without value", {EXTENSIONS("\x30\x05\x06\x03\x55\x1d\x13")}},
        {"a date without seconds", {.until = "3001020304Z  "}},
        {"a date with letters", {.until = "30010203040aZ"}},
        {"a date in another zone", {.until = "300102030405+"}},
        {"bytes behind all", {PART(tail, "\0")}},
        {"an element behind all", {PART(tail, "\5\0")}},
        {"an element behind the signature", {PART(behind, "\5\0")}},
        {"another algorithm behind than is signed", {PART(again, "\6\3\x2b\x65\x71")}},
        {"parameters that are not signed", {PART(again, "\6\3\x2b\x65\x70\5\0")}},
        {"a signature of no whole bytes", {PART(signature, "\4\xf0")}},
        {"a signature without a byte", {PART(signature, "")}},
        {"extensions twice",
         {EXTENSIONS("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00"),
          PART(more, "\xa3\x10\x30\x0e\x30\x0c\x06\x03\x55\x1d\x13\x04\x05\x30\x03\x01\x01\xff")}},
        {"a unique identifier behind the extensions",
         {EXTENSIONS("\x30\x09\x06\x03\x55\x1d\x13\x04\x02\x30\x00"),
          PART(more, "\x81\x02\x00\x01")}},
        {"something unknown", {PART(more, "\xa4\x00")}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct certificate c;
        struct bytes b = build(&cases[i].plan);
        if (x509_read(&c, b.at, b.len) != -EBADMSG)
            fail_msg("%s", cases[i].name);
    }
}

static void weak_signatures_and_keys_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct plan plan;
        bool weak;
        unsigned bits;
    } cases[] = {
        {"SHA-256 with RSA",
         {ALGORITHM("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00")},
         false,
         0},
        {"SHA-1 with RSA",
         {ALGORITHM("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00")},
         true,
         0},
        {"MD5 with RSA",
         {ALGORITHM("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04\x05\x00")},
         true,
         0},
        {"SHA-1 with ECDSA", {ALGORITHM("\x06\x07\x2a\x86\x48\xce\x3d\x04\x01")}, true, 0},
        {"SHA-256 with ECDSA", {ALGORITHM("\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02")}, false, 0},
        {"PSS by default",
         {ALGORITHM("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x00")},
         true,
         0},
        {"PSS with SHA-1",
         {ALGORITHM("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x0b\xa0\x09\x30\x07\x06\x05"
                    "\x2b\x0e\x03\x02\x1a")},
         true,
         0},
        {"PSS with SHA-256",
         {ALGORITHM("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x0f\xa0\x0d\x30\x0b\x06\x09"
                    "\x60\x86\x48\x01\x65\x03\x04\x02\x01")},
         false,
         0},
        {"no algorithm", {ALGORITHM("\x05\x00")}, true, 0},
        {"RSA of 2048 bits", {.rsa_bytes = 256}, false, 2048},
        {"RSA of 1024 bits", {.rsa_bytes = 128}, false, 1024},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes b;
        struct certificate c = read_plan(&cases[i].plan, &b);
        if (c.weak_signature != cases[i].weak || c.rsa_bits != cases[i].bits)
            fail_msg("%s", cases[i].name);
    }
}

static void serial_numbers_are_hexadecimal(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *text;
    } cases[] = {
        {"\x0a", 1, "0A"},
        {"\x00", 1, "00"},
        {"\x00\xff", 2, "FF"},
        {"\x01\x00\xab", 3, "0100AB"},
        {"0123456789012345678901234567890", 31,
         "30313233343536373839303132333435363738393031323334353637383930"},
        {"01234567890123456789012345678901", 32, ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct plan plan = {.serial = cases[i].bytes, .serial_len = cases[i].len};
        struct bytes b;
        struct client_facts f;
        struct certificate c = read_plan(&plan, &b);
        assert_int_equal(identity_take(&f, &c, CLIENT_NAME_CN), 0);
        assert_string_equal(f.serial, cases[i].text);
    }
}

/* subjectAltName with these GeneralNames */
static struct bytes alt_names(const char *names, size_t len)
{
    struct bytes sequence = {.len = 0}, one = {.len = 0}, extension = {.len = 0};

    add_element(&sequence, 0x30, names, len);
    add_element(&one, 6, LITERAL("\x55\x1d\x11"));
    add_bytes(&one, 4, &sequence);
    add_bytes(&extension, 0x30, &one);
    return extension;
}

#define EMAIL(text, size) "\x81" size text
#define DNS(text, size) "\x82" size text
#define UPN(text, size, inner, outer)                                                              \
    "\xa0" outer "\x06\x0a\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x03\xa0" inner "\x0c" size text

static void the_user_is_where_client_name_says(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum client_name part;
        const char *names;
        size_t names_len;
        const char *mail;
        const char *user;
    } cases[] = {
        {"common name", CLIENT_NAME_CN, LITERAL(EMAIL("a@b", "\3")), NULL, "alice"},
        {"address", CLIENT_NAME_EMAIL, LITERAL(EMAIL("a@b", "\3")), NULL, "a@b"},
        {"address beside others", CLIENT_NAME_EMAIL, LITERAL(DNS("h", "\1") EMAIL("a@b", "\3")),
         NULL, "a@b"},
        {"two addresses", CLIENT_NAME_EMAIL, LITERAL(EMAIL("a@b", "\3") EMAIL("c@d", "\3")), NULL,
         ""},
        {"twice the same address", CLIENT_NAME_EMAIL,
         LITERAL(EMAIL("a@b", "\3") EMAIL("a@b", "\3")), NULL, ""},
        {"address in the subject", CLIENT_NAME_EMAIL, LITERAL(""), "s@b", "s@b"},
        {"both addresses", CLIENT_NAME_EMAIL, LITERAL(EMAIL("a@b", "\3")), "s@b", "a@b"},
        {"a bad address and a good one in the subject", CLIENT_NAME_EMAIL,
         LITERAL(EMAIL("a b", "\3")), "s@b", ""},
        {"no address", CLIENT_NAME_EMAIL, LITERAL(DNS("h", "\1")), NULL, ""},
        {"no at sign", CLIENT_NAME_EMAIL, LITERAL(EMAIL("abc", "\3")), NULL, ""},
        {"NUL in it", CLIENT_NAME_EMAIL,
         LITERAL("\x81\x07"
                 "a@b\0.ev"),
         NULL, ""},
        {"the only name", CLIENT_NAME_SAN, LITERAL(DNS("host", "\4")), NULL, "host"},
        {"the only address", CLIENT_NAME_SAN, LITERAL(EMAIL("a@b", "\3")), NULL, "a@b"},
        {"principal", CLIENT_NAME_SAN, LITERAL(UPN("a@b", "\3", "\5", "\x13")), NULL, "a@b"},
        {"several", CLIENT_NAME_SAN, LITERAL(DNS("host", "\4") EMAIL("a@b", "\3")), NULL, ""},
        {"an IP address", CLIENT_NAME_SAN, LITERAL("\x87\x04host"), NULL, ""},
        {"a URI", CLIENT_NAME_SAN, LITERAL("\x86\x04host"), NULL, ""},
        {"another otherName", CLIENT_NAME_SAN,
         LITERAL("\xa0\x0a\x06\x01\x2a\xa0\x05\x0c\x03"
                 "a@b"),
         NULL, ""},
        {"no subjectAltName", CLIENT_NAME_SAN, LITERAL(""), NULL, ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes names = alt_names(cases[i].names, cases[i].names_len), b;
        struct plan plan = {.mail = cases[i].mail};
        struct client_facts f;
        if (cases[i].names_len > 0) {
            plan.extensions = (const char *)names.at;
            plan.extensions_len = names.len;
        }
        struct certificate c = read_plan(&plan, &b);
        if (identity_take(&f, &c, cases[i].part) != 0 || strcmp(f.user, cases[i].user) != 0)
            fail_msg("%s: %s, not %s", cases[i].name, f.user, cases[i].user);
        assert_string_equal(f.common_name, "alice");
        assert_string_equal(f.issuer, "CN=Root");
    }
}

static void a_long_name_is_cut_for_the_log_between_characters(void **state)
{
    (void)state;
    static const struct der name = {
        (const uint8_t *)"\x31\x0f\x30\x0d\x06\x03\x55\x04\x03\x0c\x06\xe2\x82\xac\xe2\x82\xac",
        17};
    static const struct {
        size_t size;
        const char *text;
    } cases[] = {{10, "CN=\xe2\x82\xac\xe2\x82\xac"}, {9, "CN=..."}, {8, "CN=..."}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[16];
        identity_name(text, cases[i].size, name);
        assert_string_equal(text, cases[i].text);
    }
    char text[64];
    identity_name(text, sizeof text, (struct der){NULL, 0});
    assert_string_equal(text, "(no name)");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_certificate_is_read),
        cmocka_unit_test(dates_are_read_to_the_second),
        cmocka_unit_test(dates_of_another_form_are_refused),
        cmocka_unit_test(every_truncation_of_a_certificate_is_refused),
        cmocka_unit_test(what_a_key_may_do_is_read),
        cmocka_unit_test(damaged_certificates_are_refused),
        cmocka_unit_test(weak_signatures_and_keys_are_known),
        cmocka_unit_test(serial_numbers_are_hexadecimal),
        cmocka_unit_test(the_user_is_where_client_name_says),
        cmocka_unit_test(a_long_name_is_cut_for_the_log_between_characters),
    };

    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
