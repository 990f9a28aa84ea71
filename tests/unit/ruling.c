/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of ruling.c: what becomes of a line in the lobby, by dialect and policy. */
#include "start/policy.h"
#include "gate/ruling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct dialect *const IMAP = &dialect_imap, *const POP3 = &dialect_pop3,
                                   *const SMTP = &dialect_smtp, *const LMTP = &dialect_lmtp,
                                   *const SIEVE = &dialect_sieve, *const NNTP = &dialect_nntp;

/* In the order of the policies: required, auth, optional. A letter for each:
 * a  answered   b  goodbye   r  refused   t  STARTTLS   p  passed   l  may leave by it
 * L  leaves     x  closed    m  malformed */
struct ruling_case {
    const struct dialect *const *dialect;
    const char *line;
    const char *letters;
};

static const struct ruling_case cases[] = {
    {&IMAP, "a CAPABILITY", "app"},
    {&IMAP, "a NOOP", "app"},
    {&IMAP, "a noop", "app"},
    {&IMAP, "a ID (\"name\" \"x\")", "app"},
    {&IMAP, "a LOGOUT", "bpp"},
    {&IMAP, "a STARTTLS", "ttt"},
    {&IMAP, "a STARTTLS x", "mmm"},
    {&IMAP, "a SELECT INBOX", "rpp"},
    {&IMAP, "a LOGIN bob secret", "rrl"},
    {&IMAP, "a LOGIN {5}", "rrL"},
    {&IMAP, "a LOGIN {5+}", "xxL"},
    {&IMAP, "a APPEND x {5}", "mmm"},
    {&IMAP, "a NOOP {5+}", "xxx"},
    {&IMAP, "a AUTHENTICATE PLAIN", "rrl"},
    {&IMAP, "a AUTHENTICATE SCRAM-SHA-256", "rll"},
    {&IMAP, "a authenticate scram-sha-256 biwsbj1ib2I=", "rll"},
    {&IMAP, "a AUTHENTICATE EXTERNAL =", "rll"},
    {&IMAP, "a AUTHENTICATE", "mmm"},
    {&IMAP, "a AUTHENTICATE SCRAM-SHA-256 LOGIN", "rml"},
    {&IMAP, "a AUTHENTICATE SCRAM-SHA-256 biws biws", "rml"},
    {&IMAP, "a AUTHENTICATE  SCRAM-SHA-256", "rml"},
    {&IMAP, "a AUTHENTICATE SCRAM-\"", "rml"},
    {&IMAP, "a XYZZY", "rrp"},
    {&IMAP, "a \"LOGIN\" bob secret", "rrp"},
    {&IMAP, "a (LOGIN) bob secret", "rrp"},
    {&IMAP, "a \\LOGIN bob secret", "rrp"},
    {&IMAP, "a LOGIN\vbob secret", "mmm"},
    {&IMAP, "a LOGIN\fbob secret", "mmm"},
    {&IMAP, "a LOGIN\tbob secret", "rrm"},
    {&IMAP, "a NOOP\t", "mmm"},
    {&IMAP, "a NOOP\x7f", "mmm"},
    {&IMAP, "a NOOP\x01", "mmm"},
    {&IMAP, "a NOOP \x1b[1m", "mmm"},
    {&IMAP, "a NOOP  x", "amp"},
    {&IMAP, "a\vLOGIN bob secret", "mmm"},
    {&IMAP, " a LOGIN bob secret", "mmm"},
    {&IMAP, "", "mmm"},

    {&POP3, "CAPA", "app"},
    {&POP3, "NOOP", "app"},
    {&POP3, "QUIT", "bpp"},
    {&POP3, "QUIT ", "bpp"},
    {&POP3, "STLS", "ttt"},
    {&POP3, "STLS x", "mmm"},
    {&POP3, "USER bob", "rrl"},
    {&POP3, "PASS secret", "rrl"},
    {&POP3, "USER\vbob", "mmm"},
    {&POP3, "USER\fbob", "mmm"},
    {&POP3, "USER\tbob", "rrm"},
    {&POP3, "\"USER\" bob", "rrp"},
    {&POP3, "APOP bob c4c9334bac560ecc979e58001b3e22fb", "rll"},
    {&POP3, "AUTH", "rpp"},
    {&POP3, "AUTH PLAIN", "rrl"},
    {&POP3, "AUTH CRAM-MD5", "rll"},
    {&POP3, "AUTH CRAM-MD5 PLAIN", "rml"},
    {&POP3, "STAT", "rpp"},
    {&POP3, "XTND XMIT", "rrp"},
    {&POP3, " USER bob", "mmm"},

    {&SMTP, "EHLO x", "app"},
    {&SMTP, "HELO x", "app"},
    {&SMTP, "NOOP", "app"},
    {&SMTP, "RSET", "app"},
    {&SMTP, "QUIT", "bpp"},
    {&SMTP, "STARTTLS", "ttt"},
    {&SMTP, "STARTTLS \t", "ttt"},
    {&SMTP, "AUTH PLAIN AGJvYgBz", "rrl"},
    {&SMTP, "AUTH\tPLAIN AGJvYgBz", "rrl"},
    {&SMTP, "AUTH SCRAM-SHA-1 biws", "rll"},
    {&SMTP, "AUTH\vPLAIN AGJvYgBz", "mmm"},
    {&SMTP, "AUTH", "rrl"},
    {&SMTP, "MAIL FROM:<>", "rll"},
    {&SMTP, "RCPT TO:<bob@example.org>", "rpp"},
    {&SMTP, "DATA", "rpp"},
    {&SMTP, "BDAT 7 LAST", "xxx"},
    {&SMTP, "XCLIENT ADDR=127.0.0.1", "rrp"},
    {&SMTP, "\xff\xfe", "rrp"},
    {&SMTP, "\"AUTH\" PLAIN AGJvYgBz", "rrp"},
    {&SMTP, " AUTH PLAIN AGJvYgBz", "mmm"},
    {&LMTP, "LHLO x", "app"},
    {&LMTP, "EHLO x", "rrp"},
    {&LMTP, "MAIL FROM:<>", "rll"},
    {&LMTP, "AUTH LOGIN", "rrl"},

    {&SIEVE, "CAPABILITY", "app"},
    {&SIEVE, "NOOP \"x\"", "app"},
    {&SIEVE, "NOOP x", "mmm"},
    {&SIEVE, "LOGOUT", "bpp"},
    {&SIEVE, "STARTTLS", "ttt"},
    {&SIEVE, "AUTHENTICATE \"PLAIN\" \"AGJvYgBz\"", "rrl"},
    {&SIEVE, "AUTHENTICATE \"SCRAM-SHA-1\"", "rll"},
    {&SIEVE, "AUTHENTICATE \"SCRAM-SHA-1\" \"biws\"", "rll"},
    {&SIEVE, "AUTHENTICATE SCRAM-SHA-1", "rml"},
    {&SIEVE, "AUTHENTICATE \"SCRAM-SHA-1\" biws", "rml"},
    {&SIEVE, "AUTHENTICATE \"SCRAM-SHA-1\"  \"biws\"", "rml"},
    {&SIEVE, "AUTHENTICATE \"SCRAM-SHA-1\" \"biws\" x", "rml"},
    {&SIEVE, "AUTHENTICATE {5}", "rrL"},
    {&SIEVE, "AUTHENTICATE \"SCRAM-SHA-1\" {8+}", "xxL"},
    {&SIEVE, "PUTSCRIPT \"x\" {5+}", "xxx"},
    {&SIEVE, "\"AUTHENTICATE\" \"PLAIN\"", "rrp"},
    {&SIEVE, "AUTHENTICATE\v\"PLAIN\"", "mmm"},

    {&NNTP, "CAPABILITIES", "app"},
    {&NNTP, "DATE", "rpp"},
    {&NNTP, "MODE READER", "rpp"},
    {&NNTP, "MODE\tREADER", "rpp"},
    {&NNTP, "MODE \t READER", "rmp"},
    {&NNTP, "QUIT", "bpp"},
    {&NNTP, "STARTTLS", "ttt"},
    {&NNTP, "AUTHINFO USER bob", "rrl"},
    {&NNTP, "AUTHINFO\tPASS secret", "rrl"},
    {&NNTP, "AUTHINFO  USER bob", "rrl"},
    {&NNTP, "AUTHINFO SASL SCRAM-SHA-1 biws", "rll"},
    {&NNTP, "AUTHINFO SASL  SCRAM-SHA-1", "rml"},
    {&NNTP, "AUTHINFO  SASL SCRAM-SHA-1", "rml"},
    {&NNTP, "AUTHINFO SIMPLE", "rrl"},
    {&NNTP, "AUTHINFO\vUSER bob", "mmm"},
    {&NNTP, "GROUP misc.test", "rll"},
    {&NNTP, "TAKETHIS <x@y>", "xxx"},
    {&NNTP, "XYZZY", "rrp"},
};

/* After MAIL, under auth and optional. */
static const struct ruling_case mail_cases[] = {
    {&SMTP, "MAIL FROM:<>", "pl"},  {&SMTP, "RCPT TO:<bob@example.org>", "pp"},
    {&SMTP, "RSET", "pp"},          {&SMTP, "DATA", "ll"},
    {&SMTP, "BDAT 7 LAST", "LL"},   {&SMTP, "AUTH PLAIN AGJvYgBz", "rl"},
    {&SMTP, "AUTH CRAM-MD5", "ll"}, {&SMTP, "XYZZY", "rp"},
    {&LMTP, "DATA", "ll"},          {&LMTP, "AUTH LOGIN", "rl"},
};

static char letter(struct ruling r)
{
    switch (r.kind) {
    case RULING_SAY:
        return r.say == SAY_MALFORMED ? 'm' : 'a';
    case RULING_SAY_BYE:
        return 'b';
    case RULING_REFUSE:
        return 'r';
    case RULING_STARTTLS:
        return 't';
    case RULING_PASS:
        return 'p';
    case RULING_TRY:
        return 'l';
    case RULING_LEAVE:
        return 'L';
    default:
        return 'x';
    }
}

/* The line stands in memory of its own length, and again with bytes behind it that change nothing. */
static char rule(const struct ruling_case *t, enum policy policy, bool mail, size_t behind)
{
    struct setting s = {.host = "mail.example.org",
                        .tls = true,
                        .handler = policy_has_handler(policy),
                        .passwords = policy_allows_passwords(policy),
                        .mail = mail,
                        .mechanism_ok = policy_is_challenge};
    size_t len = strlen(t->line);
    char *line = malloc(len + behind + (len + behind == 0));
    struct command c;

    assert_non_null(line);
    memcpy(line, t->line, len);
    memset(line + len, 'A', behind);
    (*t->dialect)->parse(&c, line, len);
    char seen = letter(ruling_of(*t->dialect, &s, &c, line, len));
    free(line);
    return seen;
}

static unsigned try_case(const struct ruling_case *t, const enum policy *policies, bool mail)
{
    unsigned wrong = 0;

    for (size_t i = 0; t->letters[i] != '\0'; i++) {
        char seen = rule(t, policies[i], mail, 0);
        if (seen == t->letters[i] && rule(t, policies[i], mail, 9) == seen)
            continue;
        wrong++;
        print_error("%s: '%s' under %s: %c, not %c\n", (*t->dialect)->name, t->line,
                    options_policy_name(policies[i]), seen, t->letters[i]);
    }
    return wrong;
}

static void what_the_lobby_knows_is_answered_passed_or_refused_by_policy(void **state)
{
    static const enum policy all[] = {POLICY_REQUIRED, POLICY_AUTH, POLICY_OPTIONAL};
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        wrong += try_case(&cases[i], all, false);
    assert_int_equal(wrong, 0);
}

static void commands_are_still_judged_amid_a_mail_transaction(void **state)
{
    static const enum policy two[] = {POLICY_AUTH, POLICY_OPTIONAL};
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(mail_cases); i++)
        wrong += try_case(&mail_cases[i], two, true);
    assert_int_equal(wrong, 0);
}

static void a_literal_in_a_login_is_refused_in_the_words_for_logins(void **state)
{
    struct setting s = {.tls = true, .mechanism_ok = policy_is_challenge};
    struct command c;

    (void)state;
    dialect_imap.parse(&c, "a LOGIN {5}", 11);
    assert_int_equal(ruling_of(IMAP, &s, &c, "a LOGIN {5}", 11).say, SAY_NEED_TLS);
    s.handler = true;
    assert_int_equal(ruling_of(IMAP, &s, &c, "a LOGIN {5}", 11).say, SAY_NO_PASSWORD);
}

/* Responses in a SASL exchange: the line, and the length it announces; -1: no response. */
static const struct {
    const struct dialect *const *dialect;
    const char *line;
    int announced;
} responses[] = {
    {&IMAP, "", 0},
    {&IMAP, "*", 0},
    {&IMAP, "Ym9iIGRlYWRiZWVm", 0},
    {&IMAP, "dXNlcm5hbWU=", 0},
    {&IMAP, "dXNlcm5hbW==", 0},
    {&IMAP, "dXNlcm5hb===", -1},
    {&IMAP, "YWJj Ym9i", -1},
    {&IMAP, "YWJ", -1},
    {&IMAP, "a LOGIN bob secret", -1},
    {&IMAP, "=", -1},
    {&IMAP, "{5}", -1},
    {&POP3, "PASS secret", -1},
    {&SMTP, "Ym9i", 0},
    {&NNTP, "AUTHINFO USER bob", -1},
    {&SIEVE, "\"\"", 0},
    {&SIEVE, "\"*\"", 0},
    {&SIEVE, "\"Ym9i\"", 0},
    {&SIEVE, "Ym9i", -1},
    {&SIEVE, "\"Ym9i", -1},
    {&SIEVE, "\"", -1},
    {&SIEVE, "{16+}", 16},
    {&SIEVE, "{12288+}", 12288},
    {&SIEVE, "{0+}", -1},
    {&SIEVE, "{16}", -1},
    {&SIEVE, "{+}", -1},
    {&SIEVE, "{99999999999999999999+}", -1},
    {&SIEVE, "AUTHENTICATE \"PLAIN\"", -1},
};

static void a_response_is_base64_or_gives_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(responses); i++) {
        size_t announced = 99;
        bool is = (*responses[i].dialect)
                      ->response(responses[i].line, strlen(responses[i].line), &announced);
        int seen = is ? (int)announced : -1;
        if (seen != responses[i].announced)
            print_error("'%s': %d, not %d\n", responses[i].line, seen, responses[i].announced);
        assert_int_equal(seen, responses[i].announced);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_lobby_knows_is_answered_passed_or_refused_by_policy),
        cmocka_unit_test(commands_are_still_judged_amid_a_mail_transaction),
        cmocka_unit_test(a_literal_in_a_login_is_refused_in_the_words_for_logins),
        cmocka_unit_test(a_response_is_base64_or_gives_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
