/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of facts.c: what the gate reports crosses unharmed; what it forges is refused. */
#include "common/facts.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct facts all = {.version = "TLSv1.3",
                                 .cipher = "TLS_AES_128_GCM_SHA256",
                                 .group = "x25519",
                                 .name = "mail.example.org",
                                 .resumed = true,
                                 .has_exporter = true,
                                 .exporter = {1, 2, 3, 0, 255},
                                 .client = {.verify = CLIENT_VERIFIED,
                                            .subject = "CN=J\xc3\xbcrgen,O=Example",
                                            .common_name = "J\xc3\xbcrgen",
                                            .issuer = "CN=Root",
                                            .serial = "0A",
                                            .fingerprint = "00ff",
                                            .user = "alice@example.org"}};

static size_t write_facts(uint8_t *buf, size_t size, const struct facts *f)
{
    struct message_writer w;

    message_begin(&w, buf, size, REQ_SESSION);
    facts_put(&w, f);
    assert_false(w.failed);
    return w.len;
}

static bool read_facts(struct facts *f, const uint8_t *buf, size_t len)
{
    struct message_reader r;

    memset(f, 0x55, sizeof *f);
    message_parse(&r, buf, len);
    facts_get(&r, f);
    return message_complete(&r);
}

static void check_same(const struct facts *sent)
{
    uint8_t buf[FACTS_MESSAGE_MAX];
    struct facts got;

    assert_true(read_facts(&got, buf, write_facts(buf, sizeof buf, sent)));
    assert_string_equal(got.version, sent->version);
    assert_string_equal(got.cipher, sent->cipher);
    assert_string_equal(got.group, sent->group);
    assert_string_equal(got.name, sent->name);
    assert_true(got.resumed == sent->resumed);
    assert_true(got.has_exporter == sent->has_exporter);
    if (sent->has_exporter)
        assert_memory_equal(got.exporter, sent->exporter, sizeof got.exporter);
    assert_true(got.client.verify == sent->client.verify);
    assert_string_equal(got.client.subject, sent->client.subject);
    assert_string_equal(got.client.common_name, sent->client.common_name);
    assert_string_equal(got.client.issuer, sent->client.issuer);
    assert_string_equal(got.client.serial, sent->client.serial);
    assert_string_equal(got.client.fingerprint, sent->client.fingerprint);
    assert_string_equal(got.client.user, sent->client.user);
}

static void facts_come_over_as_they_were(void **state)
{
    (void)state;
    struct facts none = {.version = ""}, full = all;

    memset(full.name, 'a', sizeof full.name - 1);
    memset(full.version, 'b', sizeof full.version - 1);
    memset(full.cipher, 'c', sizeof full.cipher - 1);
    memset(full.group, 'd', sizeof full.group - 1);
    memset(full.alpn, 'e', sizeof full.alpn - 1);
    memset(full.client.subject, 'e', sizeof full.client.subject - 1);
    memset(full.client.common_name, 'f', sizeof full.client.common_name - 1);
    memset(full.client.issuer, 'g', sizeof full.client.issuer - 1);
    memset(full.client.serial, 'A', sizeof full.client.serial - 1);
    memset(full.client.fingerprint, 'b', sizeof full.client.fingerprint - 1);
    memset(full.client.user, 'h', FACTS_USER_MAX);
    check_same(&all);
    check_same(&none);
    check_same(&full);
}

static void every_truncation_of_facts_is_refused(void **state)
{
    (void)state;
    uint8_t buf[FACTS_MESSAGE_MAX];
    struct facts got;
    size_t len = write_facts(buf, sizeof buf, &all);

    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, buf, cut);
        assert_false(read_facts(&got, copy, cut));
        assert_non_null(memchr(got.name, '\0', sizeof got.name));
        free(copy);
    }
}

/* Facts as a broken gate would send them: one field other than facts_put() writes it. */
struct forged {
    const char *name;
    const char *version;
    size_t version_len, cipher_len, group_len, name_len, alpn_len;
    uint64_t resumed;
    size_t exporter_len;
    bool ok;
};

static void forged_facts_are_refused(void **state)
{
    (void)state;
    static const struct forged cases[] = {
        {"all in order", "TLSv1.3", 7, 63, 23, 255, 4, 1, 32, true},
        {"no exporter", "TLSv1.3", 7, 1, 1, 1, 4, 0, 0, true},
        {"version too long", "aaaaaaaaaaaaaaaa", 16, 1, 1, 1, 4, 0, 32, false},
        {"cipher too long", "TLSv1.3", 7, 64, 1, 1, 4, 0, 32, false},
        {"group too long", "TLSv1.3", 7, 1, 24, 1, 4, 0, 32, false},
        {"name too long", "TLSv1.3", 7, 1, 1, 256, 4, 0, 32, false},
        {"protocol too long", "TLSv1.3", 7, 1, 1, 1, 32, 0, 32, false},
        {"NUL in a text", "TLS\0v13", 7, 1, 1, 1, 4, 0, 32, false},
        {"resumed is neither", "TLSv1.3", 7, 1, 1, 1, 4, 2, 32, false},
        {"exporter too short", "TLSv1.3", 7, 1, 1, 1, 4, 0, 31, false},
        {"exporter of one byte", "TLSv1.3", 7, 1, 1, 1, 4, 0, 1, false},
        {"exporter too long", "TLSv1.3", 7, 1, 1, 1, 4, 0, 33, false},
    };
    static const char filler[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct forged *c = &cases[i];
        uint8_t buf[FACTS_MESSAGE_MAX];
        struct message_writer w;
        struct facts got;
        message_begin(&w, buf, sizeof buf, REQ_SESSION);
        message_put_bytes(&w, c->version, c->version_len);
        message_put_bytes(&w, filler, c->cipher_len);
        message_put_bytes(&w, filler, c->group_len);
        message_put_bytes(&w, filler, c->name_len);
        message_put_bytes(&w, filler, c->alpn_len);
        message_put_number(&w, c->resumed);
        message_put_bytes(&w, filler, c->exporter_len);
        message_put_number(&w, CLIENT_NOT_ASKED);
        for (int field = 0; field < 6; field++)
            message_put_text(&w, "");
        assert_false(w.failed);
        if (read_facts(&got, buf, w.len) != c->ok)
            fail_msg("%s", c->name);
    }
}

static void forged_client_certificates_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t verify;
        const char *fields[6]; /* subject, common name, issuer, serial, fingerprint, user */
        bool ok;
    } cases[] = {
        {"all in order", 2, {"CN=a", "a", "CN=r", "0A", "ff", "a"}, true},
        {"no name at all", 2, {"", "", "", "", "", ""}, true},
        {"nothing asked", 0, {"", "", "", "", "", ""}, true},
        {"none given", 1, {"", "", "", "", "", ""}, true},
        {"unknown verdict", 3, {"", "", "", "", "", ""}, false},
        {"a name without certificate", 1, {"CN=a", "", "", "", "", ""}, false},
        {"a user without certificate", 1, {"", "", "", "", "", "a"}, false},
        {"a user who was not asked", 0, {"", "", "", "", "", "a"}, false},
        {"line end in a name", 2, {"CN=a\nb", "", "", "", "", ""}, false},
        {"escape in a common name", 2, {"", "\x1b[2J", "", "", "", ""}, false},
        {"no UTF-8 in an issuer", 2, {"", "", "CN=\xff", "", "", ""}, false},
        {"blank in a serial number", 2, {"", "", "", "0 A", "", ""}, false},
        {"slash in a user", 2, {"", "", "", "", "", "a/b"}, false},
        {"a way up as user", 2, {"", "", "", "", "", ".."}, false},
        {"an option as user", 2, {"", "", "", "", "", "-a"}, false},
        {"blank in a user", 2, {"", "", "", "", "", "a b"}, false},
        {"UTF-8 in a user", 2, {"", "", "", "", "", "\xc3\xbc"}, false},
        {"a command as user", 2, {"", "", "", "", "", "$(a)"}, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t buf[FACTS_MESSAGE_MAX];
        struct message_writer w;
        struct facts got;
        message_begin(&w, buf, sizeof buf, REQ_SESSION);
        for (int field = 0; field < 5; field++)
            message_put_text(&w, "a");
        message_put_number(&w, 0);
        message_put_bytes(&w, "", 0);
        message_put_number(&w, cases[i].verify);
        for (int field = 0; field < 6; field++)
            message_put_text(&w, cases[i].fields[field]);
        if (read_facts(&got, buf, w.len) != cases[i].ok)
            fail_msg("%s", cases[i].name);
    }
}

static void a_user_is_a_word_that_nobody_misreads(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "Alice", "u1", "a.b-c_d+e@example.org",
                                       "0", "_x",    "+x"};
    static const char *const bad[] = {"",    ".",        ".a",   "-a",  "a b",  "a/b", "a\\b",
                                      "a,b", "a'b",      "a\"b", "a;b", "a\nb", "a:b", "a=b",
                                      "a%b", "\xc3\xbc", "a*",   "~a",  "a`b",  "a|b", "a$b"};
    char longest[FACTS_USER_MAX + 2];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!facts_is_user(good[i]))
            fail_msg("%s is no user", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (facts_is_user(bad[i]))
            fail_msg("%s is a user", bad[i]);
    memset(longest, 'a', sizeof longest);
    longest[FACTS_USER_MAX] = '\0';
    assert_true(facts_is_user(longest));
    longest[FACTS_USER_MAX] = 'a';
    longest[FACTS_USER_MAX + 1] = '\0';
    assert_false(facts_is_user(longest));
}

static void what_is_no_word_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool as_name, as_alpn;
    } cases[] = {
        {"mail.example.org", true, true}, {"", true, true},      {"http/1.1", false, true},
        {"../../etc/x", false, true},     {"a b", false, false}, {"$(reboot)", false, false},
        {"a\nPATH=x", false, false},      {"a=b", false, false}, {"\033[2J", false, false},
        {"m\303\244il", false, false},    {"a,b", false, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct facts named = all, spoken = all, got;
        uint8_t buf[FACTS_MESSAGE_MAX];
        (void)snprintf(named.name, sizeof named.name, "%s", cases[i].text);
        (void)snprintf(spoken.alpn, sizeof spoken.alpn, "%s", cases[i].text);
        if (read_facts(&got, buf, write_facts(buf, sizeof buf, &named)) != cases[i].as_name)
            fail_msg("name %s", cases[i].text);
        if (read_facts(&got, buf, write_facts(buf, sizeof buf, &spoken)) != cases[i].as_alpn)
            fail_msg("protocol %s", cases[i].text);
    }
}

static void every_ending_has_a_word_of_its_own(void **state)
{
    (void)state;
    for (int a = 0; a < ENDING_COUNT; a++) {
        const char *name = ending_name((enum ending)a);
        assert_non_null(name);
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        for (int b = 0; b < a; b++)
            assert_string_not_equal(name, ending_name((enum ending)b));
    }
}

static void endings_give_the_exit_status_that_the_manual_names(void **state)
{
    (void)state;
    static const struct {
        enum ending ending;
        int status;
    } cases[] = {
        {ENDING_LEFT, 0},          {ENDING_PROTOCOL, 65},          {ENDING_NO_HANDLER, 69},
        {ENDING_SYSTEM, 71},       {ENDING_TIMEOUT_HANDSHAKE, 75}, {ENDING_TIMEOUT_LOBBY, 75},
        {ENDING_HANDSHAKE, 76},    {ENDING_CONFIGURATION, 78},     {ENDING_CLIENT_CLOSE, 0},
        {ENDING_HANDLER_CLOSE, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (ending_status(cases[i].ending) != cases[i].status)
            fail_msg("%s: %d, not %d", ending_name(cases[i].ending), ending_status(cases[i].ending),
                     cases[i].status);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_come_over_as_they_were),
        cmocka_unit_test(every_truncation_of_facts_is_refused),
        cmocka_unit_test(forged_facts_are_refused),
        cmocka_unit_test(forged_client_certificates_are_refused),
        cmocka_unit_test(a_user_is_a_word_that_nobody_misreads),
        cmocka_unit_test(what_is_no_word_is_refused),
        cmocka_unit_test(every_ending_has_a_word_of_its_own),
        cmocka_unit_test(endings_give_the_exit_status_that_the_manual_names),
    };

    return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
