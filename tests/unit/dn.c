/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of utf8.c, der.c and dn.c: strangers' bytes become clean text, or nothing. */
#include "x509/dn.h"
#include "common/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void utf8_is_taken_and_nothing_that_only_looks_like_it(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len; /* of the first character; 0: none */
        uint32_t code;
    } cases[] = {
        {"a", 1, 'a'},
        {"\x7f", 1, 0x7f},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xef\xbf\xbf", 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
        {"\x80", 0, 0},             /* a later byte first */
        {"\xc3", 0, 0},             /* cut short */
        {"\xe2\x82", 0, 0},         /* likewise */
        {"\xc3(", 0, 0},            /* no later byte */
        {"\xc0\x80", 0, 0},         /* overlong NUL */
        {"\xc1\xbf", 0, 0},         /* overlong */
        {"\xe0\x9f\xbf", 0, 0},     /* overlong */
        {"\xf0\x8f\xbf\xbf", 0, 0}, /* overlong */
        {"\xed\xa0\x80", 0, 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 0, 0}, /* beyond Unicode */
        {"\xf8\x88\x80\x80", 0, 0}, /* five bytes */
        {"\xff", 0, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t code = 0;
        uint8_t back[4];
        size_t len = strlen(cases[i].bytes);
        size_t got = utf8_next((const uint8_t *)cases[i].bytes, len, &code);
        if (got != cases[i].len || (got > 0 && code != cases[i].code))
            fail_msg("case %zu: %zu bytes, U+%04X", i, got, code);
        if (got > 0) {
            assert_int_equal(utf8_put(back, code), got);
            assert_memory_equal(back, cases[i].bytes, got);
        }
    }
    assert_int_equal(utf8_next((const uint8_t *)"", 0, &(uint32_t){0}), 0);
}

static void text_with_control_characters_is_not_clean(void **state)
{
    (void)state;
    static const char *const clean[] = {"", "alice", "J\xc3\xbcrgen \xe2\x82\xac", "a\\b"};
    static const char *const dirty[] = {"a\nb",     "\x1b[2J",      "\x7f",         "\xc2\x85",
                                        "\xc2\x9f", "\xe2\x80\xa8", "\xe2\x80\xa9", "a\xff"};

    for (size_t i = 0; i < sizeof clean / sizeof clean[0]; i++)
        if (!utf8_is_clean(clean[i]))
            fail_msg("%s is not clean", clean[i]);
    for (size_t i = 0; i < sizeof dirty / sizeof dirty[0]; i++)
        if (utf8_is_clean(dirty[i]))
            fail_msg("dirty case %zu is clean", i);
}

static void der_elements_are_taken_only_in_their_one_right_form(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        int tag; /* or -EBADMSG */
        size_t value_len;
    } cases[] = {
        {"short", "\x04\x02xy", 4, 4, 2},
        {"empty", "\x05\x00", 2, 5, 0},
        {"something behind it", "\x04\x01xyz", 5, 4, 1},
        {"nothing", "", 0, -EBADMSG, 0},
        {"a tag alone", "\x04", 1, -EBADMSG, 0},
        {"too short", "\x04\x03xy", 4, -EBADMSG, 0},
        {"indefinite", "\x30\x80\x00\x00", 4, -EBADMSG, 0},
        {"a long tag", "\x1f\x81\x01\x00", 4, -EBADMSG, 0},
        {"length written too long", "\x04\x81\x02xy", 5, -EBADMSG, 0},
        {"length with a zero", "\x04\x82\x00\x02xy", 6, -EBADMSG, 0},
        {"length cut short", "\x04\x82\x01", 3, -EBADMSG, 0},
        {"length of five bytes", "\x04\x85\x01\x01\x01\x01\x01", 7, -EBADMSG, 0},
        {"length of all bits", "\x04\x84\xff\xff\xff\xff", 6, -EBADMSG, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct der from = {(const uint8_t *)cases[i].bytes, cases[i].len}, value = {NULL, 0};
        int tag = der_next(&from, &value);
        if (tag != cases[i].tag || (tag >= 0 && value.len != cases[i].value_len))
            fail_msg("%s: %d", cases[i].name, tag);
        if (tag >= 0)
            assert_ptr_equal(from.at, value.at + value.len);
        else
            assert_int_equal(from.len, cases[i].len);
    }
}

/* A Name as it is written by hand: attributes, a plus joins one to the one before. */
struct part {
    bool joined;
    const char *oid;
    int tag;
    const char *value;
    size_t len;
};

#define CN "\x55\x04\x03"
#define O "\x55\x04\x0a"
#define OU "\x55\x04\x0b"

static size_t wrap(uint8_t *out, int tag, const uint8_t *bytes, size_t len)
{
    uint8_t head[4] = {(uint8_t)tag, (uint8_t)len};
    size_t n = 2;

    if (len >= 0x80) {
        head[1] = 0x82;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        n = 4;
        if (len < 0x100) {
            head[1] = 0x81;
            head[2] = (uint8_t)len;
            n = 3;
        }
    }
    memmove(out + n, bytes, len);
    memcpy(out, head, n);
    return n + len;
}

static size_t build(uint8_t *name, const struct part *parts, size_t count)
{
    size_t len = 0;
    uint8_t set[4096];
    size_t set_len = 0;

    for (size_t i = 0; i < count; i++) {
        uint8_t pair[4096];
        size_t n = wrap(pair, 6, (const uint8_t *)parts[i].oid, strlen(parts[i].oid));
        n += wrap(pair + n, parts[i].tag, (const uint8_t *)parts[i].value, parts[i].len);
        set_len += wrap(set + set_len, 0x30, pair, n);
        if (i + 1 == count || !parts[i + 1].joined) {
            len += wrap(name + len, 0x31, set, set_len);
            set_len = 0;
        }
    }
    return len;
}

static void check_name(const char *what, const struct part *parts, size_t count, const char *wanted)
{
    uint8_t name[8192];
    char text[512];
    size_t len = build(name, parts, count);

    int rc = dn_text(text, sizeof text, (struct der){name, len});
    if (rc != 0 || strcmp(text, wanted) != 0)
        fail_msg("%s: %d, %s, not %s", what, rc, text, wanted);
}

#define ONE(tag, value)                                                                            \
    {                                                                                              \
        {                                                                                          \
            false, CN, tag, value, sizeof(value) - 1                                               \
        }                                                                                          \
    }

static void values_are_escaped_as_rfc_4514_has_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct part part[1];
        const char *dn;
        const char *value;
    } cases[] = {
        {"plain", ONE(12, "alice"), "CN=alice", "alice"},
        {"empty", ONE(12, ""), "CN=", ""},
        {"meanings", ONE(12, "a,b+c\"d\\e<f>g;h=i"), "CN=a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h=i",
         "a,b+c\"d\\\\e<f>g;h=i"},
        {"a number sign first", ONE(12, "#a#"), "CN=\\#a#", "#a#"},
        {"spaces at both ends", ONE(12, "  a  "), "CN=\\  a \\ ", "  a  "},
        {"one space", ONE(12, " "), "CN=\\ ", " "},
        {"NUL", ONE(12, "bank.com\0.evil.com"), "CN=bank.com\\00.evil.com",
         "bank.com\\00.evil.com"},
        {"line end", ONE(12, "a\r\nb"), "CN=a\\0D\\0Ab", "a\\0D\\0Ab"},
        {"DEL and C1", ONE(12, "\x7f\xc2\x85"), "CN=\\7F\\C2\\85", "\\7F\\C2\\85"},
        {"line separator", ONE(12, "\xe2\x80\xa8"), "CN=\\E2\\80\\A8", "\\E2\\80\\A8"},
        {"UTF-8", ONE(12, "J\xc3\xbcrgen"), "CN=J\xc3\xbcrgen", "J\xc3\xbcrgen"},
        {"no UTF-8", ONE(12, "J\xfcrgen\xc3"), "CN=J\\FCrgen\\C3", "J\\FCrgen\\C3"},
        {"overlong NUL", ONE(12, "\xc0\x80"), "CN=\\C0\\80", "\\C0\\80"},
        {"PrintableString", ONE(19, "alice"), "CN=alice", "alice"},
        {"IA5String with UTF-8", ONE(22, "\xc3\xbc"), "CN=\xc3\xbc", "\xc3\xbc"},
        {"NumericString", ONE(18, "12"), "CN=12", "12"},
        {"VisibleString", ONE(26, "v"), "CN=v", "v"},
        {"T61String", ONE(20, "J\xfcrgen\x85"), "CN=J\xc3\xbcrgen\\C2\\85",
         "J\xc3\xbcrgen\\C2\\85"},
        {"BMPString", ONE(30, "\0J\0\xfc\x20\xac"), "CN=J\xc3\xbc\xe2\x82\xac",
         "J\xc3\xbc\xe2\x82\xac"},
        {"BMPString with NUL", ONE(30, "\0a\0\0\0b"), "CN=a\\00b", "a\\00b"},
        {"BMPString of odd length", ONE(30, "\0ab"), "CN=#1E03006162", "#1E03006162"},
        {"BMPString with a surrogate", ONE(30, "\xd8\0"), "CN=#1E02D800", "#1E02D800"},
        {"UniversalString", ONE(28, "\0\0\0J\0\1\xf6\0"), "CN=J\xf0\x9f\x98\x80",
         "J\xf0\x9f\x98\x80"},
        {"UniversalString beyond Unicode", ONE(28, "\0\x11\0\0"), "CN=#1C0400110000",
         "#1C0400110000"},
        {"no string", ONE(3, "\0\1"), "CN=#03020001", "#03020001"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t name[256];
        char text[256];
        struct dn_value value;
        check_name(cases[i].name, cases[i].part, 1, cases[i].dn);
        struct der all = {name, build(name, cases[i].part, 1)};
        assert_int_equal(dn_find(all, DN_COMMON_NAME, &value), 1);
        assert_int_equal(dn_value_text(text, sizeof text, &value), 0);
        if (strcmp(text, cases[i].value) != 0)
            fail_msg("%s: %s, not %s", cases[i].name, text, cases[i].value);
        assert_true(utf8_is_clean(text));
    }
}

static void the_last_attribute_goes_first(void **state)
{
    (void)state;
    static const struct part parts[] = {
        {false, O, 12, "Example", 7},
        {false, OU, 12, "a", 1},
        {true, OU, 12, "b", 1},
        {false, CN, 12, "alice", 5},
        {false, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", 22, "a@b", 3},
        {false, "\x2a\x03\x04", 12, "x", 1},
        {false, "\x88\x37\x03", 12, "y", 1},
    };

    check_name("all", parts, 7,
               "2.999.3=#0C0179,1.2.3.4=#0C0178,emailAddress=a@b,CN=alice,OU=b+OU=a,O=Example");
    check_name("none", parts, 0, "");
}

static void what_is_no_name_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
    } cases[] = {
        {"no set", "\x30\x00", 2},
        {"an empty set", "\x31\x00", 2},
        {"no pair in it", "\x31\x02\x05\x00", 4},
        {"an empty pair", "\x31\x02\x30\x00", 4},
        {"no value", "\x31\x07\x30\x05\x06\x03\x55\x04\x03", 9},
        {"two values", "\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x05\x00\x05\x00", 13},
        {"no OID", "\x31\x07\x30\x05\x02\x01\x01\x05\x00", 9},
        {"an OID that does not end", "\x31\x08\x30\x06\x06\x02\x2a\x83\x05\x00", 10},
        {"an empty OID", "\x31\x06\x30\x04\x06\x00\x05\x00", 8},
        {"cut short", "\x31\x07\x30\x05\x06\x03\x55", 7},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64] = "x";
        struct der name = {(const uint8_t *)cases[i].bytes, cases[i].len};
        if (dn_text(text, sizeof text, name) != -EBADMSG || text[0] != '\0')
            fail_msg("%s: %s", cases[i].name, text);
    }
}

static void what_does_not_fit_is_not_cut_but_left_out(void **state)
{
    (void)state;
    uint8_t name[256];
    const struct part part = {false, CN, 12, "al\nice", 6};
    struct der all = {name, build(name, &part, 1)};
    static const char wanted[] = "CN=al\\0Aice";

    for (size_t size = 1; size <= sizeof wanted; size++) {
        char *text = malloc(size);
        assert_non_null(text);
        int rc = dn_text(text, size, all);
        assert_int_equal(rc, size < sizeof wanted ? -ENOSPC : 0);
        assert_string_equal(text, size < sizeof wanted ? "" : wanted);
        free(text);
    }
    struct part many[65];
    uint8_t long_name[4096];
    char text[8192];
    for (size_t i = 0; i < 65; i++)
        many[i] = part;
    assert_int_equal(
        dn_text(text, sizeof text, (struct der){long_name, build(long_name, many, 64)}), 0);
    assert_int_equal(
        dn_text(text, sizeof text, (struct der){long_name, build(long_name, many, 65)}), -ENOSPC);
}

static void attributes_are_counted_and_the_first_is_given(void **state)
{
    (void)state;
    uint8_t name[256];
    static const struct part parts[] = {
        {false, CN, 12, "alice", 5}, {true, CN, 12, "root", 4}, {false, O, 12, "x", 1}};
    struct der all = {name, build(name, parts, 3)};
    struct dn_value value;
    char text[16];

    assert_int_equal(dn_find(all, DN_COMMON_NAME, &value), 2);
    assert_int_equal(dn_value_text(text, sizeof text, &value), 0);
    assert_string_equal(text, "alice");
    assert_int_equal(dn_find(all, DN_EMAIL, &value), 0);
    assert_int_equal(dn_find((struct der){name, 3}, DN_EMAIL, &value), -EBADMSG);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_taken_and_nothing_that_only_looks_like_it),
        cmocka_unit_test(text_with_control_characters_is_not_clean),
        cmocka_unit_test(der_elements_are_taken_only_in_their_one_right_form),
        cmocka_unit_test(values_are_escaped_as_rfc_4514_has_it),
        cmocka_unit_test(the_last_attribute_goes_first),
        cmocka_unit_test(what_is_no_name_is_refused),
        cmocka_unit_test(what_does_not_fit_is_not_cut_but_left_out),
        cmocka_unit_test(attributes_are_counted_and_the_first_is_given),
    };

    return cmocka_run_group_tests_name("dn", tests, NULL, NULL);
}
