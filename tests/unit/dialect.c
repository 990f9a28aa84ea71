/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What each dialect makes of lines, says, and lets through; tables of cases. */
#include "dialect/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define ANSWER_MAX 1024 /* what the lobby has room for */
#define LINE_MAX 998    /* without its line end */

static const struct dialect *const dialects[] = {&dialect_imap, &dialect_pop3,  &dialect_smtp,
                                                 &dialect_lmtp, &dialect_sieve, &dialect_nntp};

static unsigned failures;

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A table is gone through to its end, whatever fails on the way. */
static void complain(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprint_error(format, arguments);
    va_end(arguments);
    print_error("\n");
    failures++;
}

static void finish(void)
{
    unsigned seen = failures;

    failures = 0;
    assert_int_equal(seen, 0);
}

/* A copy in a block that ends where it ends: memory checkers see every byte too many. */
static char *exact(const char *bytes, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

static bool is_challenge(const char *name, size_t len)
{
    return dialect_begins(name, len, "SCRAM-") || dialect_is(name, len, "CRAM-MD5") ||
           dialect_is(name, len, "DIGEST-MD5") || dialect_is(name, len, "GSSAPI") ||
           dialect_is(name, len, "APOP");
}

static const struct setting policy_required = {
    .host = "mail.example.org", .tls = true, .mechanism_ok = is_challenge};
static const struct setting policy_auth = {
    .host = "mail.example.org", .tls = true, .handler = true, .mechanism_ok = is_challenge};
static const struct setting policy_optional = {.host = "mail.example.org",
                                               .tls = true,
                                               .passwords = true,
                                               .handler = true,
                                               .mechanism_ok = is_challenge};
static const struct setting without_tls = {.host = "mail.example.org",
                                           .mechanism_ok = is_challenge};

/* Lines of a client. */

struct line_case {
    const struct dialect *dialect;
    const char *line;
    enum command_kind kind;
    const char *verb;
    const char *argument;  /* NULL: not looked at */
    const char *mechanism; /* NULL: none */
    const char *tag;       /* NULL: not looked at */
};

#define IMAP &dialect_imap
#define POP3 &dialect_pop3
#define SMTP &dialect_smtp
#define LMTP &dialect_lmtp
#define SIEVE &dialect_sieve
#define NNTP &dialect_nntp

static const struct line_case imap_lines[] = {
    {IMAP, "a CAPABILITY", COMMAND_CAPABILITY, "CAPABILITY", "", NULL, "a"},
    {IMAP, "A1 cApAbIlItY", COMMAND_CAPABILITY, "CAPABILITY", "", NULL, "A1"},
    {IMAP, "a STARTTLS", COMMAND_STARTTLS, "STARTTLS", "", NULL, "a"},
    {IMAP, "a starttls", COMMAND_STARTTLS, "STARTTLS", "", NULL, "a"},
    {IMAP, "a StartTLS now", COMMAND_STARTTLS, "STARTTLS", "now", NULL, "a"},
    {IMAP, "a STARTTLSS", COMMAND_OTHER, NULL, "", NULL, "a"},
    {IMAP, "a STARTTL", COMMAND_OTHER, NULL, "", NULL, "a"},
    {IMAP, "a LOGOUT", COMMAND_QUIT, "LOGOUT", "", NULL, "a"},
    {IMAP, "a nOoP", COMMAND_HARMLESS, "NOOP", "", NULL, "a"},
    {IMAP, "a ID NIL", COMMAND_HARMLESS, "ID", "NIL", NULL, "a"},
    {IMAP, "a LOGIN bob secret", COMMAND_PASSWORD, "LOGIN", "bob secret", NULL, "a"},
    {IMAP, "a login \"bob\" \"se cret\"", COMMAND_PASSWORD, "LOGIN", NULL, NULL, "a"},
    {IMAP, "a AUTHENTICATE PLAIN", COMMAND_MECHANISM, "AUTHENTICATE", "PLAIN", "PLAIN", "a"},
    {IMAP, "a authenticate scram-sha-256 biws", COMMAND_MECHANISM, "AUTHENTICATE", NULL,
     "scram-sha-256", "a"},
    {IMAP, "a SELECT INBOX", COMMAND_OTHER, "SELECT", "INBOX", NULL, "a"},
    {IMAP, "a XYZZY", COMMAND_OTHER, NULL, "", NULL, "a"},
    {IMAP, "a NOOP\t", COMMAND_HARMLESS, "NOOP", "", NULL, "a"},
    {IMAP, "a LOGIN\tbob secret", COMMAND_PASSWORD, "LOGIN", "bob secret", NULL, "a"},
    {IMAP, "a LOGIN   bob", COMMAND_PASSWORD, "LOGIN", "bob", NULL, "a"},
    {IMAP, "a N\xc3\xb6op", COMMAND_OTHER, NULL, "", NULL, "a"},
    /* tags: legal */
    {IMAP, "0 NOOP", COMMAND_HARMLESS, "NOOP", "", NULL, "0"},
    {IMAP, "A.b-c_d]e[f NOOP", COMMAND_HARMLESS, "NOOP", "", NULL, "A.b-c_d]e[f"},
    {IMAP, "!#$&',/:;<=>?@^`|}~ NOOP", COMMAND_HARMLESS, "NOOP", "", NULL, "!#$&',/:;<=>?@^`|}~"},
    /* ... and illegal: the answer has no tag */
    {IMAP, "", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, " ", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, " a NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "a\tNOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "+ NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "a+b NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "* NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "a( NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "a) NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "a{ NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "a% NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "\"a\" NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "a\\ NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "\x01 NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "\x7f NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "\xc3\xa4 NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    /* a tag, and nothing fit behind it */
    {IMAP, "a ", COMMAND_MALFORMED, NULL, NULL, NULL, "a"},
    {IMAP, "a  NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, "a"},
    /* literals */
    {IMAP, "a LOGIN {5}", COMMAND_LITERAL, "LOGIN", NULL, NULL, "a"},
    {IMAP, "a LOGIN bob {6}", COMMAND_LITERAL, "LOGIN", NULL, NULL, "a"},
    {IMAP, "a APPEND x ~{6}", COMMAND_LITERAL, "APPEND", NULL, NULL, "a"},
    {IMAP, "a STARTTLS {0}", COMMAND_LITERAL, "STARTTLS", NULL, NULL, "a"},
    {IMAP, "a XYZZY {5}", COMMAND_LITERAL, NULL, NULL, NULL, "a"},
    {IMAP, "a LOGIN {5+}", COMMAND_UNASKED, "LOGIN", NULL, NULL, "a"},
    {IMAP, "a LOGIN {99999999999999999999+}", COMMAND_UNASKED, "LOGIN", NULL, NULL, "a"},
    {IMAP, "a LOGIN {5-}", COMMAND_UNASKED, "LOGIN", NULL, NULL, "a"},
    {IMAP, "{5+}", COMMAND_UNASKED, NULL, NULL, NULL, "*"},
    {IMAP, "nonsense {5+}", COMMAND_UNASKED, NULL, NULL, NULL, NULL},
    {IMAP, "a LOGIN {}", COMMAND_PASSWORD, "LOGIN", "{}", NULL, "a"},
    {IMAP, "a LOGIN {+}", COMMAND_PASSWORD, "LOGIN", "{+}", NULL, "a"},
    {IMAP, "a LOGIN {x}", COMMAND_PASSWORD, "LOGIN", "{x}", NULL, "a"},
    {IMAP, "a LOGIN 5}", COMMAND_PASSWORD, "LOGIN", "5}", NULL, "a"},
    {IMAP, "a LOGIN \"{5}\"", COMMAND_PASSWORD, "LOGIN", "\"{5}\"", NULL, "a"},
    {IMAP, "}", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
    {IMAP, "5}", COMMAND_MALFORMED, NULL, NULL, NULL, "*"},
};

static const struct line_case pop3_lines[] = {
    {POP3, "CAPA", COMMAND_CAPABILITY, "CAPA", "", NULL, ""},
    {POP3, "capa", COMMAND_CAPABILITY, "CAPA", "", NULL, ""},
    {POP3, "STLS", COMMAND_STARTTLS, "STLS", "", NULL, ""},
    {POP3, "sTlS", COMMAND_STARTTLS, "STLS", "", NULL, ""},
    {POP3, "STLS \t", COMMAND_STARTTLS, "STLS", "", NULL, ""},
    {POP3, "STLS now", COMMAND_STARTTLS, "STLS", "now", NULL, ""},
    {POP3, "STLSS", COMMAND_OTHER, NULL, "", NULL, ""},
    {POP3, "STARTTLS", COMMAND_OTHER, NULL, "", NULL, ""},
    {POP3, "QUIT", COMMAND_QUIT, "QUIT", "", NULL, ""},
    {POP3, "Noop", COMMAND_HARMLESS, "NOOP", "", NULL, ""},
    {POP3, "USER bob", COMMAND_PASSWORD, "USER", "bob", NULL, ""},
    {POP3, "user\tbob", COMMAND_PASSWORD, "USER", "bob", NULL, ""},
    {POP3, "USER", COMMAND_PASSWORD, "USER", "", NULL, ""},
    {POP3, "pass se cret", COMMAND_PASSWORD, "PASS", "se cret", NULL, ""},
    {POP3, "PASS \xe4\xf6", COMMAND_PASSWORD, "PASS", "\xe4\xf6", NULL, ""},
    {POP3, "apop bob 0123", COMMAND_MECHANISM, "APOP", "bob 0123", "apop", ""},
    {POP3, "APOP", COMMAND_MECHANISM, "APOP", "", "APOP", ""},
    {POP3, "AUTH PLAIN AGJvYgBz", COMMAND_MECHANISM, "AUTH", "PLAIN AGJvYgBz", "PLAIN", ""},
    {POP3, "auth  cram-md5", COMMAND_MECHANISM, "AUTH", "cram-md5", "cram-md5", ""},
    {POP3, "AUTH", COMMAND_OTHER, "AUTH", "", NULL, ""},
    {POP3, "AUTH ", COMMAND_OTHER, "AUTH", "", NULL, ""},
    {POP3, "LANG", COMMAND_OTHER, "LANG", "", NULL, ""},
    {POP3, "LANG de", COMMAND_OTHER, "LANG", "de", NULL, ""},
    {POP3, "UTF8", COMMAND_OTHER, "UTF8", "", NULL, ""},
    {POP3, "STAT", COMMAND_OTHER, "STAT", "", NULL, ""},
    {POP3, "XTND XMIT", COMMAND_OTHER, NULL, "XMIT", NULL, ""},
    {POP3, "USERbob", COMMAND_OTHER, NULL, "", NULL, ""},
    {POP3, "\xc3\x9cSER bob", COMMAND_OTHER, NULL, "bob", NULL, ""},
    {POP3, "", COMMAND_MALFORMED, NULL, "", NULL, ""},
    {POP3, " ", COMMAND_MALFORMED, NULL, NULL, NULL, ""},
    {POP3, " USER bob", COMMAND_MALFORMED, NULL, NULL, NULL, ""},
    {POP3, "\tSTLS", COMMAND_MALFORMED, NULL, NULL, NULL, ""},
};

static const struct line_case smtp_lines[] = {
    {SMTP, "EHLO client.example.org", COMMAND_CAPABILITY, "EHLO", "client.example.org", NULL, ""},
    {SMTP, "ehlo [192.0.2.1]", COMMAND_CAPABILITY, "EHLO", "[192.0.2.1]", NULL, ""},
    {SMTP, "HELO x", COMMAND_HARMLESS, "HELO", "x", NULL, ""},
    {SMTP, "LHLO x", COMMAND_OTHER, "LHLO", "x", NULL, ""},
    {SMTP, "noop", COMMAND_HARMLESS, "NOOP", "", NULL, ""},
    {SMTP, "RSET", COMMAND_HARMLESS, "RSET", "", NULL, ""},
    {SMTP, "Quit", COMMAND_QUIT, "QUIT", "", NULL, ""},
    {SMTP, "STARTTLS", COMMAND_STARTTLS, "STARTTLS", "", NULL, ""},
    {SMTP, "starttls \t ", COMMAND_STARTTLS, "STARTTLS", "", NULL, ""},
    {SMTP, "STARTTLS x", COMMAND_STARTTLS, "STARTTLS", "x", NULL, ""},
    {SMTP, "STARTTLSX", COMMAND_OTHER, NULL, "", NULL, ""},
    {SMTP, "AUTH PLAIN AGJvYgBz", COMMAND_MECHANISM, "AUTH", "PLAIN AGJvYgBz", "PLAIN", ""},
    {SMTP, "auth\tlogin", COMMAND_MECHANISM, "AUTH", "login", "login", ""},
    {SMTP, "MAIL FROM:<ann@example.org>", COMMAND_MAIL, "MAIL", NULL, NULL, ""},
    {SMTP, "mail from:<>", COMMAND_MAIL, "MAIL", "from:<>", NULL, ""},
    {SMTP, "RCPT TO:<bob@example.org>", COMMAND_OTHER, "RCPT", NULL, NULL, ""},
    {SMTP, "DATA", COMMAND_DATA, "DATA", "", NULL, ""},
    {SMTP, "BDAT 10", COMMAND_CHUNK, "BDAT", "10", NULL, ""},
    {SMTP, "VRFY bob", COMMAND_OTHER, "VRFY", "bob", NULL, ""},
    {SMTP, "EXPN all", COMMAND_OTHER, "EXPN", "all", NULL, ""},
    {SMTP, "HELP", COMMAND_OTHER, "HELP", "", NULL, ""},
    {SMTP, "ETRN x", COMMAND_OTHER, "ETRN", "x", NULL, ""},
    {SMTP, "GET / HTTP/1.1", COMMAND_OTHER, NULL, "/ HTTP/1.1", NULL, ""},
    {SMTP, "\xff\xfe", COMMAND_OTHER, NULL, "", NULL, ""},
    {SMTP, "", COMMAND_MALFORMED, NULL, "", NULL, ""},
    {SMTP, " EHLO x", COMMAND_MALFORMED, NULL, NULL, NULL, ""},
    {SMTP, "\tSTARTTLS", COMMAND_MALFORMED, NULL, NULL, NULL, ""},
    {LMTP, "LHLO x", COMMAND_CAPABILITY, "LHLO", "x", NULL, ""},
    {LMTP, "lhlo x", COMMAND_CAPABILITY, "LHLO", "x", NULL, ""},
    {LMTP, "EHLO x", COMMAND_OTHER, NULL, "x", NULL, ""},
    {LMTP, "HELO x", COMMAND_OTHER, NULL, "x", NULL, ""},
    {LMTP, "NOOP", COMMAND_HARMLESS, "NOOP", "", NULL, ""},
    {LMTP, "RSET", COMMAND_HARMLESS, "RSET", "", NULL, ""},
    {LMTP, "QUIT", COMMAND_QUIT, "QUIT", "", NULL, ""},
    {LMTP, "STARTTLS", COMMAND_STARTTLS, "STARTTLS", "", NULL, ""},
    {LMTP, "MAIL FROM:<>", COMMAND_MAIL, "MAIL", NULL, NULL, ""},
    {LMTP, "", COMMAND_MALFORMED, NULL, "", NULL, ""},
};

static const struct line_case sieve_lines[] = {
    {SIEVE, "CAPABILITY", COMMAND_CAPABILITY, "CAPABILITY", "", NULL, ""},
    {SIEVE, "cApability", COMMAND_CAPABILITY, "CAPABILITY", "", NULL, ""},
    {SIEVE, "STARTTLS", COMMAND_STARTTLS, "STARTTLS", "", NULL, ""},
    {SIEVE, "StartTls", COMMAND_STARTTLS, "STARTTLS", "", NULL, ""},
    {SIEVE, "STARTTLS \"x\"", COMMAND_STARTTLS, "STARTTLS", "\"x\"", NULL, ""},
    {SIEVE, "LOGOUT", COMMAND_QUIT, "LOGOUT", "", NULL, ""},
    {SIEVE, "noop", COMMAND_HARMLESS, "NOOP", "", NULL, ""},
    {SIEVE, "NOOP \"STARTTLS-SYNC-42\"", COMMAND_HARMLESS, "NOOP", "\"STARTTLS-SYNC-42\"", NULL,
     ""},
    {SIEVE, "NOOP \"a \\\" \\\\ b\"", COMMAND_HARMLESS, "NOOP", "\"a \\\" \\\\ b\"", NULL, ""},
    {SIEVE, "NOOP \"\"", COMMAND_HARMLESS, "NOOP", "\"\"", NULL, ""},
    {SIEVE, "NOOP \"\xc3\xa4\"", COMMAND_HARMLESS, "NOOP", "\"\xc3\xa4\"", NULL, ""},
    {SIEVE, "NOOP x", COMMAND_MALFORMED, "NOOP", "x", NULL, ""},
    {SIEVE, "NOOP \"", COMMAND_MALFORMED, "NOOP", NULL, NULL, ""},
    {SIEVE, "NOOP \"a", COMMAND_MALFORMED, "NOOP", NULL, NULL, ""},
    {SIEVE, "NOOP \"a\\", COMMAND_MALFORMED, "NOOP", NULL, NULL, ""},
    {SIEVE, "NOOP \"a\\\"", COMMAND_MALFORMED, "NOOP", NULL, NULL, ""},
    {SIEVE, "NOOP \"a\\n\"", COMMAND_MALFORMED, "NOOP", NULL, NULL, ""},
    {SIEVE, "NOOP \"a\"b\"", COMMAND_MALFORMED, "NOOP", NULL, NULL, ""},
    {SIEVE, "NOOP \"a\") BYE", COMMAND_MALFORMED, "NOOP", NULL, NULL, ""},
    {SIEVE, "NOOP \"a\tb\"", COMMAND_MALFORMED, "NOOP", NULL, NULL, ""},
    {SIEVE, "NOOP \"a\x1b[0m\"", COMMAND_MALFORMED, "NOOP", NULL, NULL, ""},
    {SIEVE, "AUTHENTICATE \"PLAIN\" \"AGJvYgBz\"", COMMAND_MECHANISM, "AUTHENTICATE", NULL, "PLAIN",
     ""},
    {SIEVE, "authenticate \"SCRAM-SHA-256\"", COMMAND_MECHANISM, "AUTHENTICATE", NULL,
     "SCRAM-SHA-256", ""},
    {SIEVE, "AUTHENTICATE PLAIN", COMMAND_MECHANISM, "AUTHENTICATE", NULL, "PLAIN", ""},
    {SIEVE, "AUTHENTICATE", COMMAND_MALFORMED, "AUTHENTICATE", "", NULL, ""},
    {SIEVE, "AUTHENTICATE \"\"", COMMAND_MALFORMED, "AUTHENTICATE", NULL, NULL, ""},
    {SIEVE, "AUTHENTICATE \"PLAIN", COMMAND_MALFORMED, "AUTHENTICATE", NULL, NULL, ""},
    {SIEVE, "AUTHENTICATE \"PLAIN\" {8+}", COMMAND_UNASKED, "AUTHENTICATE", NULL, NULL, ""},
    {SIEVE, "AUTHENTICATE {5}", COMMAND_LITERAL, "AUTHENTICATE", NULL, NULL, ""},
    {SIEVE, "NOOP {5+}", COMMAND_UNASKED, "NOOP", NULL, NULL, ""},
    {SIEVE, "STARTTLS {0+}", COMMAND_UNASKED, "STARTTLS", NULL, NULL, ""},
    {SIEVE, "XYZZY {5+}", COMMAND_UNASKED, NULL, NULL, NULL, ""},
    {SIEVE, "{5+}", COMMAND_UNASKED, NULL, NULL, NULL, ""},
    {SIEVE, " {5+}", COMMAND_UNASKED, NULL, NULL, NULL, ""},
    {SIEVE, "{5}", COMMAND_LITERAL, NULL, NULL, NULL, ""},
    {SIEVE, "XYZZY {5-}", COMMAND_OTHER, NULL, NULL, NULL, ""},
    {SIEVE, "XYZZY {+}", COMMAND_OTHER, NULL, NULL, NULL, ""},
    {SIEVE, "XYZZY {}", COMMAND_OTHER, NULL, NULL, NULL, ""},
    {SIEVE, "5+}", COMMAND_OTHER, NULL, NULL, NULL, ""},
    {SIEVE, "}", COMMAND_OTHER, NULL, NULL, NULL, ""},
    {SIEVE, "UNAUTHENTICATE", COMMAND_OTHER, "UNAUTHENTICATE", "", NULL, ""},
    {SIEVE, "PUTSCRIPT \"x\" {5+}", COMMAND_UNASKED, "PUTSCRIPT", NULL, NULL, ""},
    {SIEVE, "LISTSCRIPTS", COMMAND_OTHER, "LISTSCRIPTS", "", NULL, ""},
    {SIEVE, "\xe4", COMMAND_OTHER, NULL, "", NULL, ""},
    {SIEVE, "", COMMAND_MALFORMED, NULL, "", NULL, ""},
    {SIEVE, " NOOP", COMMAND_MALFORMED, NULL, NULL, NULL, ""},
    {SIEVE, "\tSTARTTLS", COMMAND_MALFORMED, NULL, NULL, NULL, ""},
};

static const struct line_case nntp_lines[] = {
    {NNTP, "CAPABILITIES", COMMAND_CAPABILITY, "CAPABILITIES", "", NULL, ""},
    {NNTP, "capabilities AUTOUPDATE", COMMAND_CAPABILITY, "CAPABILITIES", "AUTOUPDATE", NULL, ""},
    {NNTP, "STARTTLS", COMMAND_STARTTLS, "STARTTLS", "", NULL, ""},
    {NNTP, "StartTLS \t", COMMAND_STARTTLS, "STARTTLS", "", NULL, ""},
    {NNTP, "STARTTLS x", COMMAND_STARTTLS, "STARTTLS", "x", NULL, ""},
    {NNTP, "quit", COMMAND_QUIT, "QUIT", "", NULL, ""},
    {NNTP, "DATE", COMMAND_OTHER, "DATE", "", NULL, ""},
    {NNTP, "HELP", COMMAND_OTHER, "HELP", "", NULL, ""},
    {NNTP, "MODE READER", COMMAND_OTHER, "MODE", "READER", NULL, ""},
    {NNTP, "mode\tstream", COMMAND_OTHER, "MODE", "stream", NULL, ""},
    {NNTP, "AUTHINFO USER bob", COMMAND_PASSWORD, "AUTHINFO USER", "USER bob", NULL, ""},
    {NNTP, "authinfo  user\tbob", COMMAND_PASSWORD, "AUTHINFO USER", "user\tbob", NULL, ""},
    {NNTP, "AUTHINFO PASS secret", COMMAND_PASSWORD, "AUTHINFO PASS", NULL, NULL, ""},
    {NNTP, "AUTHINFO SASL PLAIN AGJvYgBz", COMMAND_MECHANISM, "AUTHINFO SASL", NULL, "PLAIN", ""},
    {NNTP, "authinfo sasl scram-sha-1 biws", COMMAND_MECHANISM, "AUTHINFO SASL", NULL,
     "scram-sha-1", ""},
    {NNTP, "AUTHINFO SASL", COMMAND_MALFORMED, "AUTHINFO SASL", NULL, NULL, ""},
    {NNTP, "AUTHINFO", COMMAND_MALFORMED, "AUTHINFO", "", NULL, ""},
    {NNTP, "AUTHINFO SIMPLE", COMMAND_PASSWORD, "AUTHINFO", "SIMPLE", NULL, ""},
    {NNTP, "AUTHINFO GENERIC x y", COMMAND_PASSWORD, "AUTHINFO", NULL, NULL, ""},
    {NNTP, "GROUP local.test", COMMAND_LEAVE, "GROUP", "local.test", NULL, ""},
    {NNTP, "LISTGROUP", COMMAND_LEAVE, "LISTGROUP", "", NULL, ""},
    {NNTP, "article 1", COMMAND_LEAVE, "ARTICLE", "1", NULL, ""},
    {NNTP, "HEAD", COMMAND_LEAVE, "HEAD", "", NULL, ""},
    {NNTP, "BODY", COMMAND_LEAVE, "BODY", "", NULL, ""},
    {NNTP, "STAT", COMMAND_LEAVE, "STAT", "", NULL, ""},
    {NNTP, "NEXT", COMMAND_LEAVE, "NEXT", "", NULL, ""},
    {NNTP, "LAST", COMMAND_LEAVE, "LAST", "", NULL, ""},
    {NNTP, "OVER 1-", COMMAND_LEAVE, "OVER", "1-", NULL, ""},
    {NNTP, "xover 1-", COMMAND_LEAVE, "XOVER", "1-", NULL, ""},
    {NNTP, "HDR Subject", COMMAND_LEAVE, "HDR", "Subject", NULL, ""},
    {NNTP, "XHDR Subject", COMMAND_LEAVE, "XHDR", "Subject", NULL, ""},
    {NNTP, "LIST ACTIVE", COMMAND_LEAVE, "LIST", "ACTIVE", NULL, ""},
    {NNTP, "NEWGROUPS 20260101 000000 GMT", COMMAND_LEAVE, "NEWGROUPS", NULL, NULL, ""},
    {NNTP, "NEWNEWS * 20260101 000000", COMMAND_LEAVE, "NEWNEWS", NULL, NULL, ""},
    {NNTP, "POST", COMMAND_LEAVE, "POST", "", NULL, ""},
    {NNTP, "IHAVE <a@b>", COMMAND_LEAVE, "IHAVE", "<a@b>", NULL, ""},
    {NNTP, "CHECK <a@b>", COMMAND_LEAVE, "CHECK", "<a@b>", NULL, ""},
    {NNTP, "takethis <a@b>", COMMAND_UNASKED, "TAKETHIS", "<a@b>", NULL, ""},
    {NNTP, "COMPRESS DEFLATE", COMMAND_LEAVE, "COMPRESS", "DEFLATE", NULL, ""},
    {NNTP, "XYZZY", COMMAND_OTHER, NULL, "", NULL, ""},
    {NNTP, "\xff", COMMAND_OTHER, NULL, "", NULL, ""},
    {NNTP, "", COMMAND_MALFORMED, NULL, "", NULL, ""},
    {NNTP, " QUIT", COMMAND_MALFORMED, NULL, NULL, NULL, ""},
    {NNTP, "\tSTARTTLS", COMMAND_MALFORMED, NULL, NULL, NULL, ""},
};

static bool bytes_are(const char *bytes, size_t len, const char *text)
{
    if (text == NULL)
        return bytes == NULL && len == 0;
    return len == strlen(text) && (len == 0 || memcmp(bytes, text, len) == 0);
}

static void try_line(const struct line_case *t)
{
    size_t len = strlen(t->line);
    char *line = exact(t->line, len);
    struct command c;
    const char *name = t->dialect->name;

    memset(&c, 0xa5, sizeof c);
    t->dialect->parse(&c, line, len);
    if (c.kind != t->kind)
        complain("%s: '%s': kind %d, not %d", name, t->line, (int)c.kind, (int)t->kind);
    if ((c.verb == NULL) != (t->verb == NULL) ||
        (c.verb != NULL && t->verb != NULL && strcmp(c.verb, t->verb) != 0))
        complain("%s: '%s': verb %s, not %s", name, t->line, c.verb != NULL ? c.verb : "none",
                 t->verb != NULL ? t->verb : "none");
    if (t->argument != NULL && !bytes_are(c.argument, c.argument_len, t->argument))
        complain("%s: '%s': argument '%.*s', not '%s'", name, t->line, (int)c.argument_len,
                 c.argument != NULL ? c.argument : "", t->argument);
    if (t->kind == COMMAND_MECHANISM &&
        (t->mechanism == NULL || !bytes_are(c.mechanism, c.mechanism_len, t->mechanism)))
        complain("%s: '%s': mechanism '%.*s', not '%s'", name, t->line, (int)c.mechanism_len,
                 c.mechanism != NULL ? c.mechanism : "", t->mechanism != NULL ? t->mechanism : "");
    if (t->tag != NULL && !bytes_are(c.tag, c.tag_len, t->tag))
        complain("%s: '%s': tag '%.*s', not '%s'", name, t->line, (int)c.tag_len, c.tag, t->tag);
    free(line);
}

static void try_lines(const struct line_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        try_line(&cases[i]);
    finish();
}

static void imap_knows_its_commands_tags_and_literals(void **state)
{
    (void)state;
    try_lines(imap_lines, COUNT(imap_lines));
}

static void pop3_knows_its_commands(void **state)
{
    (void)state;
    try_lines(pop3_lines, COUNT(pop3_lines));
}

static void smtp_and_lmtp_know_their_commands(void **state)
{
    (void)state;
    try_lines(smtp_lines, COUNT(smtp_lines));
}

static void sieve_knows_its_commands_strings_and_literals(void **state)
{
    (void)state;
    try_lines(sieve_lines, COUNT(sieve_lines));
}

static void nntp_knows_its_commands(void **state)
{
    (void)state;
    try_lines(nntp_lines, COUNT(nntp_lines));
}

static void a_nul_ends_no_word(void **state)
{
    static const char *const lines[] = {"QUIT\0", "STLS\0", "STARTTLS\0", "a NOOP\0"};
    struct command c;

    (void)state;
    for (size_t d = 0; d < COUNT(dialects); d++) {
        for (size_t i = 0; i < COUNT(lines); i++) {
            size_t len = strlen(lines[i]) + 1;
            char *line = exact(lines[i], len);
            dialects[d]->parse(&c, line, len);
            if (c.kind != COMMAND_OTHER && c.kind != COMMAND_MALFORMED)
                complain("%s: '%s' and a NUL: kind %d", dialects[d]->name, lines[i], (int)c.kind);
            free(line);
        }
    }
    finish();
}

static void each_dialect_is_found_by_its_name(void **state)
{
    (void)state;
    for (size_t d = 0; d < COUNT(dialects); d++)
        assert_ptr_equal(dialect_find(dialects[d]->name), dialects[d]);
    assert_null(dialect_find("gopher"));
    assert_null(dialect_find(""));
    assert_null(dialect_find("IMAP"));
}

/* What the lobby says. */

#define CLOSING SAY_TOO_LONG
#define OCCASIONS (SAY_FULL + 1)

/* The command that an answer is for, and how its last line but a dot begins. */
static const struct {
    const char *line;
    const char *answer;
} sayings[COUNT(dialects)][OCCASIONS] = {
    {
        /* imap */
        [SAY_GREETING] = {NULL, "* OK [CAPABILITY IMAP4rev1 "},
        [SAY_CAPABILITIES] = {"a1 CAPABILITY", "a1 OK "},
        [SAY_DONE] = {"a1 NOOP", "a1 OK "},
        [SAY_BYE] = {"a1 LOGOUT", "a1 OK "},
        [SAY_BEGIN_TLS] = {"a1 STARTTLS", "a1 OK "},
        [SAY_NO_TLS] = {"a1 STARTTLS", "a1 NO [UNAVAILABLE] "},
        [SAY_NEED_TLS] = {"a1 SELECT INBOX", "a1 NO [PRIVACYREQUIRED] "},
        [SAY_NO_PASSWORD] = {"a1 LOGIN bob secret", "a1 NO [PRIVACYREQUIRED] "},
        [SAY_MALFORMED] = {"a1 STARTTLS now", "a1 BAD "},
        [SAY_UNKNOWN] = {"a1 XYZZY", "a1 BAD "},
        [SAY_TOO_LONG] = {NULL, "* BYE "},
        [SAY_TOO_MANY] = {NULL, "* BYE "},
        [SAY_TIMEOUT] = {NULL, "* BYE "},
        [SAY_UNAVAILABLE] = {NULL, "* BYE [UNAVAILABLE] "},
        [SAY_FULL] = {NULL, "* BYE [UNAVAILABLE] "},
    },
    {
        /* pop3 */
        [SAY_GREETING] = {NULL, "+OK mail.example.org postern ready"},
        [SAY_CAPABILITIES] = {"CAPA", "IMPLEMENTATION postern"},
        [SAY_DONE] = {"NOOP", "+OK"},
        [SAY_BYE] = {"QUIT", "+OK "},
        [SAY_BEGIN_TLS] = {"STLS", "+OK "},
        [SAY_NO_TLS] = {"STLS", "-ERR [SYS/TEMP] "},
        [SAY_NEED_TLS] = {"USER bob", "-ERR [AUTH] STLS first"},
        [SAY_NO_PASSWORD] = {"PASS secret", "-ERR [AUTH] "},
        [SAY_MALFORMED] = {"STLS now", "-ERR S"},
        [SAY_UNKNOWN] = {"XYZZY", "-ERR U"},
        [SAY_TOO_LONG] = {NULL, "-ERR L"},
        [SAY_TOO_MANY] = {NULL, "-ERR T"},
        [SAY_TIMEOUT] = {NULL, "-ERR [SYS/TEMP] "},
        [SAY_UNAVAILABLE] = {NULL, "-ERR [SYS/TEMP] "},
        [SAY_FULL] = {NULL, "-ERR [SYS/TEMP] "},
    },
    {
        /* smtp */
        [SAY_GREETING] = {NULL, "220 mail.example.org ESMTP "},
        [SAY_CAPABILITIES] = {"EHLO x", "250 "},
        [SAY_DONE] = {"NOOP", "250 2.0.0 "},
        [SAY_BYE] = {"QUIT", "221 2.0.0 "},
        [SAY_BEGIN_TLS] = {"STARTTLS", "220 2.0.0 "},
        [SAY_NO_TLS] = {"STARTTLS", "454 4.7.0 "},
        [SAY_NEED_TLS] = {"MAIL FROM:<>", "530 5.7.0 Must issue a STARTTLS command first"},
        [SAY_NO_PASSWORD] = {"AUTH PLAIN", "538 5.7.11 "},
        [SAY_MALFORMED] = {"STARTTLS now", "501 5.5.4 "},
        [SAY_UNKNOWN] = {"XYZZY", "530 5.7.0 "},
        [SAY_TOO_LONG] = {NULL, "500 5.5.2 "},
        [SAY_TOO_MANY] = {NULL, "421 4.7.0 mail.example.org "},
        [SAY_TIMEOUT] = {NULL, "421 4.4.2 mail.example.org "},
        [SAY_UNAVAILABLE] = {NULL, "421 4.3.0 mail.example.org "},
        [SAY_FULL] = {NULL, "421 4.7.0 mail.example.org "},
    },
    {
        /* lmtp */
        [SAY_GREETING] = {NULL, "220 mail.example.org LMTP "},
        [SAY_CAPABILITIES] = {"LHLO x", "250 "},
        [SAY_DONE] = {"RSET", "250 2.0.0 "},
        [SAY_BYE] = {"QUIT", "221 2.0.0 "},
        [SAY_BEGIN_TLS] = {"STARTTLS", "220 2.0.0 "},
        [SAY_NO_TLS] = {"STARTTLS", "454 4.7.0 "},
        [SAY_NEED_TLS] = {"MAIL FROM:<>", "530 5.7.0 Must issue a STARTTLS command first"},
        [SAY_NO_PASSWORD] = {"AUTH PLAIN", "538 5.7.11 "},
        [SAY_MALFORMED] = {"STARTTLS now", "501 5.5.4 "},
        [SAY_UNKNOWN] = {"XYZZY", "500 5.5.1 "},
        [SAY_TOO_LONG] = {NULL, "500 5.5.2 "},
        [SAY_TOO_MANY] = {NULL, "421 4.7.0 mail.example.org "},
        [SAY_TIMEOUT] = {NULL, "421 4.4.2 mail.example.org "},
        [SAY_UNAVAILABLE] = {NULL, "421 4.3.0 mail.example.org "},
        [SAY_FULL] = {NULL, "421 4.7.0 mail.example.org "},
    },
    {
        /* sieve */
        [SAY_GREETING] = {NULL, "OK \"mail.example.org postern ready\""},
        [SAY_CAPABILITIES] = {"CAPABILITY", "OK \""},
        [SAY_DONE] = {"NOOP", "OK \""},
        [SAY_BYE] = {"LOGOUT", "OK \""},
        [SAY_BEGIN_TLS] = {"STARTTLS", "OK \""},
        [SAY_NO_TLS] = {"STARTTLS", "NO (TRYLATER) \""},
        [SAY_NEED_TLS] = {"LISTSCRIPTS", "NO (ENCRYPT-NEEDED) \""},
        [SAY_NO_PASSWORD] = {"AUTHENTICATE \"PLAIN\"", "NO (ENCRYPT-NEEDED) \""},
        [SAY_MALFORMED] = {"STARTTLS now", "NO \""},
        [SAY_UNKNOWN] = {"XYZZY", "NO \""},
        [SAY_TOO_LONG] = {NULL, "BYE \""},
        [SAY_TOO_MANY] = {NULL, "BYE \""},
        [SAY_TIMEOUT] = {NULL, "BYE \""},
        [SAY_UNAVAILABLE] = {NULL, "BYE (TRYLATER) \""},
        [SAY_FULL] = {NULL, "BYE (TRYLATER) \""},
    },
    {
        /* nntp */
        [SAY_GREETING] = {NULL, "200 mail.example.org postern ready"},
        [SAY_CAPABILITIES] = {"CAPABILITIES", NULL},
        [SAY_DONE] = {NULL, "503 "},
        [SAY_BYE] = {"QUIT", "205 "},
        [SAY_BEGIN_TLS] = {"STARTTLS", "382 "},
        [SAY_NO_TLS] = {"STARTTLS", "580 "},
        [SAY_NEED_TLS] = {"GROUP local.test", "483 "},
        [SAY_NO_PASSWORD] = {"AUTHINFO USER bob", "483 "},
        [SAY_MALFORMED] = {"STARTTLS now", "501 "},
        [SAY_UNKNOWN] = {"XYZZY", "500 "},
        [SAY_TOO_LONG] = {NULL, "400 "},
        [SAY_TOO_MANY] = {NULL, "400 "},
        [SAY_TIMEOUT] = {NULL, "400 "},
        [SAY_UNAVAILABLE] = {NULL, "400 "},
        [SAY_FULL] = {NULL, "400 "},
    },
};

/* Says something in answer to a line, or of its own accord; ended by a NUL in a buffer of
 * ANSWER_MAX + 1. */
static void say(char *answer, const struct dialect *d, enum occasion occasion, const char *line,
                const struct setting *s)
{
    struct text out = {.buf = answer, .size = ANSWER_MAX};
    size_t len = line != NULL ? strlen(line) : 0;
    char *copy = exact(line, len);
    struct command c;

    if (line != NULL)
        d->parse(&c, copy, len);
    dialect_say(d, &out, occasion, line != NULL ? &c : NULL, s);
    if (out.full)
        complain("%s: occasion %d does not fit", d->name, (int)occasion);
    answer[out.len] = '\0';
    free(copy);
}

/* The last line that is not a dot alone. */
static const char *last_line(const char *text)
{
    size_t len = strlen(text);

    if (len > 5 && strcmp(text + len - 5, "\r\n.\r\n") == 0)
        len -= 3;
    size_t start = len;
    while (start > 0 && !(start < len && text[start - 1] == '\n'))
        start--;
    return text + start;
}

/* Every LF has its CR, there are no other control characters, and the text ends in CR LF. */
static bool is_lines(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool cr = text[i] == '\r', lf = text[i] == '\n';
        if (cr && (i + 1 == len || text[i + 1] != '\n'))
            return false;
        if (lf && (i == 0 || text[i - 1] != '\r'))
            return false;
        if (!cr && !lf && (unsigned char)text[i] < ' ')
            return false;
    }
    return len >= 2 && text[len - 1] == '\n';
}

static void every_answer_has_its_code_and_ends_its_lines(void **state)
{
    char answer[ANSWER_MAX + 1];

    (void)state;
    for (size_t d = 0; d < COUNT(dialects); d++) {
        for (unsigned o = 0; o < OCCASIONS; o++) {
            for (unsigned tls = 0; tls < 2; tls++) {
                const char *line = sayings[d][o].line, *expected = sayings[d][o].answer;
                say(answer, dialects[d], (enum occasion)o, line,
                    tls ? &policy_required : &without_tls);
                if (!is_lines(answer, strlen(answer)))
                    complain("%s: occasion %u: not lines: '%s'", dialects[d]->name, o, answer);
                if (expected != NULL && strncmp(last_line(answer), expected, strlen(expected)) != 0)
                    complain("%s: occasion %u: '%s', not '%s…'", dialects[d]->name, o,
                             last_line(answer), expected);
            }
        }
    }
    finish();
}

static void an_unknown_command_gets_530_only_where_nothing_else_answers_before_tls(void **state)
{
    char answer[ANSWER_MAX + 1];

    (void)state;
    say(answer, &dialect_smtp, SAY_UNKNOWN, "XYZZY", &policy_required);
    assert_string_equal(answer, "530 5.7.0 Must issue a STARTTLS command first\r\n");
    say(answer, &dialect_smtp, SAY_UNKNOWN, "XYZZY", &policy_auth);
    assert_string_equal(answer, "500 5.5.1 Command unrecognized\r\n");
}

static void starttls_is_offered_only_if_there_is_tls(void **state)
{
    /* of imap, pop3, smtp, lmtp, sieve, nntp; NULL: the greeting offers nothing */
    static const char *const greetings[] = {" STARTTLS ", NULL, NULL, NULL, "\"STARTTLS\"", NULL};
    static const char *const lists[] = {" STARTTLS ",   "\r\nSTLS\r\n", "STARTTLS\r\n",
                                        "STARTTLS\r\n", "\"STARTTLS\"", "\r\nSTARTTLS\r\n"};
    char answer[ANSWER_MAX + 1];

    (void)state;
    for (size_t d = 0; d < COUNT(dialects); d++) {
        const char *line = sayings[d][SAY_CAPABILITIES].line;
        say(answer, dialects[d], SAY_CAPABILITIES, line, &policy_required);
        assert_non_null(strstr(answer, lists[d]));
        say(answer, dialects[d], SAY_CAPABILITIES, line, &without_tls);
        assert_null(strstr(answer, "TLS"));
        assert_null(strstr(answer, "STLS"));
        say(answer, dialects[d], SAY_GREETING, NULL, &policy_required);
        if (greetings[d] != NULL)
            assert_non_null(strstr(answer, greetings[d]));
        say(answer, dialects[d], SAY_GREETING, NULL, &without_tls);
        assert_null(strstr(answer, "STARTTLS"));
    }
}

static const struct {
    const char *name;
    const struct dialect *dialect;
    enum occasion occasion;
    const char *line;
    const char *answer;
} whole_sayings[] = {
    {"CAPA lists what the lobby has", POP3, SAY_CAPABILITIES, "CAPA",
     "+OK Capabilities follow\r\nSTLS\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nIMPLEMENTATION "
     "postern\r\n.\r\n"},
    {"STAT is refused without a login's code", POP3, SAY_NEED_TLS, "STAT", "-ERR STLS first\r\n"},
    {"AUTH is refused with a login's code", POP3, SAY_NEED_TLS, "AUTH PLAIN",
     "-ERR [AUTH] STLS first\r\n"},
    {"CAPABILITIES lists what the lobby has", NNTP, SAY_CAPABILITIES, "CAPABILITIES",
     "101 Capability list\r\nVERSION 2\r\nIMPLEMENTATION postern\r\nSTARTTLS\r\n.\r\n"},
    {"CAPABILITY lists what the lobby has", SIEVE, SAY_CAPABILITIES, "CAPABILITY",
     "\"IMPLEMENTATION\" \"postern\"\r\n\"SIEVE\" \"\"\r\n\"SASL\" \"\"\r\n\"STARTTLS\"\r\n"
     "\"VERSION\" \"1.0\"\r\nOK \"Done\"\r\n"},
    {"NOOP gives its string back", SIEVE, SAY_DONE, "NOOP \"STARTTLS-SYNC-42\"",
     "OK (TAG \"STARTTLS-SYNC-42\") \"Done\"\r\n"},
    {"NOOP gives its string back as escaped as it was", SIEVE, SAY_DONE, "NOOP \"a\\\"\\\\b\"",
     "OK (TAG \"a\\\"\\\\b\") \"Done\"\r\n"},
    {"NOOP without a string gives none back", SIEVE, SAY_DONE, "noop", "OK \"Done\"\r\n"},
    {"ID is answered", IMAP, SAY_DONE, "x ID NIL", "* ID NIL\r\nx OK Done\r\n"},
    {"NOOP is answered", IMAP, SAY_DONE, "x NOOP", "x OK Done\r\n"},
    {"LOGOUT says BYE first", IMAP, SAY_BYE, "x LOGOUT",
     "* BYE mail.example.org closing connection\r\nx OK Done\r\n"},
    {"a line without a tag is refused without one", IMAP, SAY_MALFORMED, "NOOP",
     "* BAD Syntax error\r\n"},
    {"CAPABILITY says that logins are disabled", IMAP, SAY_CAPABILITIES, "x CAPABILITY",
     "* CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED\r\nx OK Done\r\n"},
    {"EHLO lists what the lobby has", SMTP, SAY_CAPABILITIES, "EHLO x",
     "250-mail.example.org\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n"},
    {"HELO is greeted by name", SMTP, SAY_DONE, "HELO x", "250 mail.example.org\r\n"},
};

static void answers_are_as_the_protocols_want_them(void **state)
{
    char answer[ANSWER_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(whole_sayings); i++) {
        say(answer, whole_sayings[i].dialect, whole_sayings[i].occasion, whole_sayings[i].line,
            &policy_required);
        if (strcmp(answer, whole_sayings[i].answer) != 0)
            complain("%s: %s: '%s'", whole_sayings[i].dialect->name, whole_sayings[i].name, answer);
    }
    finish();
}

static void the_own_greeting_holds_no_apop_timestamp(void **state)
{
    char answer[ANSWER_MAX + 1];

    (void)state;
    say(answer, &dialect_pop3, SAY_GREETING, NULL, &policy_required);
    assert_null(strchr(answer, '<'));
}

/* Whatever is echoed (a tag, a string), the answer to the longest line fits. */
static void the_answer_to_the_longest_line_fits(void **state)
{
    static const char *const ends[] = {" NOOP",       " ID",         " LOGOUT",
                                       " CAPABILITY", " STARTTLS x", " LOGIN x {1}",
                                       " SELECT",     " x",          "\""};
    static const char *const starts[] = {"", "NOOP \""};
    static const enum occasion occasions[] = {SAY_NEED_TLS, SAY_NO_PASSWORD, SAY_MALFORMED,
                                              SAY_UNKNOWN, SAY_NO_TLS};
    char answer[ANSWER_MAX + 1], line[LINE_MAX + 1];

    (void)state;
    line[LINE_MAX] = '\0';
    for (size_t d = 0; d < COUNT(dialects); d++) {
        for (size_t i = 0; i < COUNT(ends) * COUNT(starts); i++) {
            const char *start = starts[i / COUNT(ends)], *end = ends[i % COUNT(ends)];
            struct command c;
            memset(line, 'a', LINE_MAX);
            memcpy(line, start, strlen(start));
            memcpy(line + LINE_MAX - strlen(end), end, strlen(end));
            dialects[d]->parse(&c, line, LINE_MAX);
            for (size_t o = 0; o < COUNT(occasions); o++)
                say(answer, dialects[d], occasions[o], line, &policy_required);
            if (c.kind == COMMAND_HARMLESS)
                say(answer, dialects[d], SAY_DONE, line, &policy_required);
            if (c.kind == COMMAND_CAPABILITY)
                say(answer, dialects[d], SAY_CAPABILITIES, line, &policy_required);
            if (c.kind == COMMAND_QUIT)
                say(answer, dialects[d], SAY_BYE, line, &policy_required);
        }
    }
    finish();
}

/* Answers of a handler, as real ones give them. */

#define BROKEN NULL

struct answer_case {
    const char *name;
    const struct dialect *dialect;
    const char *line; /* NULL: the greeting */
    const char *handler;
    const char *auth;     /* what the client sees under policy auth; BROKEN: nothing */
    const char *optional; /* ... and under policy optional */
};

#define SAME(text) text, text, text

/* Of this policy the row says nothing. */
static const char unasked[] = "";
#define UNASKED unasked

static const struct answer_case imap_answers[] = {
    {"Dovecot greets", IMAP, NULL,
     "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE STARTTLS "
     "LOGINDISABLED] Dovecot (Debian) ready.\r\n",
     "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE STARTTLS "
     "LOGINDISABLED] Dovecot (Debian) ready.\r\n",
     "* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LOGINDISABLED "
     "STARTTLS] Dovecot (Debian) ready.\r\n"},
    {"Dovecot tells what it can", IMAP, "a CAPABILITY",
     "* CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE AUTH=PLAIN AUTH=LOGIN "
     "AUTH=SCRAM-SHA-256 AUTH=XOAUTH2\r\n"
     "a OK Pre-login capabilities listed, post-login capabilities have more.\r\n",
     "* CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE AUTH=SCRAM-SHA-256 STARTTLS "
     "LOGINDISABLED\r\n"
     "a OK Pre-login capabilities listed, post-login capabilities have more.\r\n",
     "* CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE AUTH=PLAIN AUTH=LOGIN "
     "AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 STARTTLS\r\n"
     "a OK Pre-login capabilities listed, post-login capabilities have more.\r\n"},
    {"Courier greets", IMAP, NULL,
     "* OK [CAPABILITY IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT "
     "THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION ENABLE UTF8=ACCEPT] Courier-IMAP ready. "
     "Copyright 1998-2019 Double Precision, Inc.  See COPYING for distribution "
     "information.\r\n",
     "* OK [CAPABILITY IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT "
     "THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION ENABLE UTF8=ACCEPT STARTTLS "
     "LOGINDISABLED] Courier-IMAP ready. Copyright 1998-2019 Double Precision, Inc.  See COPYING "
     "for distribution information.\r\n",
     "* OK [CAPABILITY IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT "
     "THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION ENABLE UTF8=ACCEPT STARTTLS] Courier-IMAP "
     "ready. Copyright 1998-2019 Double Precision, Inc.  See COPYING for distribution "
     "information.\r\n"},
    {"Courier knows no command", IMAP, "d FOO",
     SAME("d NO Error in IMAP command received by server.\r\n")},
    {"mailutils greets without capabilities", IMAP, NULL, SAME("* OK IMAP4rev1\r\n")},
    {"mailutils tells what it can", IMAP, "a CAPABILITY",
     "* CAPABILITY IMAP4rev1 NAMESPACE ID IDLE UNSELECT AUTH=GSSAPI AUTH=ANONYMOUS AUTH=EXTERNAL "
     "AUTH=LOGIN AUTH=PLAIN AUTH=SECURID AUTH=DIGEST-MD5 AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1\r\n"
     "a OK CAPABILITY Completed\r\n",
     "* CAPABILITY IMAP4rev1 NAMESPACE ID IDLE UNSELECT AUTH=GSSAPI AUTH=DIGEST-MD5 "
     "AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1 STARTTLS LOGINDISABLED\r\n"
     "a OK CAPABILITY Completed\r\n",
     "* CAPABILITY IMAP4rev1 NAMESPACE ID IDLE UNSELECT AUTH=GSSAPI AUTH=ANONYMOUS AUTH=EXTERNAL "
     "AUTH=LOGIN AUTH=PLAIN AUTH=SECURID AUTH=DIGEST-MD5 AUTH=CRAM-MD5 AUTH=SCRAM-SHA-1 "
     "STARTTLS\r\n"
     "a OK CAPABILITY Completed\r\n"},
    {"mailutils says goodbye", IMAP, "h LOGOUT",
     SAME("* BYE Session terminating.\r\nh OK LOGOUT Completed\r\n")},
    {"a bare LF ends a line too", IMAP, "a NOOP", "* OK still here\na OK done\n",
     "* OK still here\r\na OK done\r\n", "* OK still here\r\na OK done\r\n"},
    {"a greeting that says no", IMAP, NULL, SAME("* BYE Too many connections\r\n")},
    {"PREAUTH can't be used", IMAP, NULL, "* PREAUTH Logged in as bob\r\n", BROKEN, BROKEN},
    {"another one's tag", IMAP, "a NOOP", "b OK done\r\n", BROKEN, BROKEN},
    {"the tag is a prefix of another", IMAP, "a NOOP", "ab OK done\r\n", BROKEN, BROKEN},
    {"a request to go on", IMAP, "a IDLE", "+ idling\r\n", BROKEN, BROKEN},
    {"an empty line", IMAP, "a NOOP", "\r\n", BROKEN, BROKEN},
    {"all IMAP capabilities under auth", IMAP, "b CAPABILITY",
     "* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER "
     "AUTH=NTLMX AUTH=CRAM-MD5 AUTH=DIGEST-MD5 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 SASL-IR IDLE\r\n"
     "b OK done\r\n",
     "* CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 AUTH=DIGEST-MD5 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 "
     "SASL-IR IDLE STARTTLS LOGINDISABLED\r\n"
     "b OK done\r\n",
     UNASKED},
    {"all IMAP capabilities under optional", IMAP, "b CAPABILITY",
     "* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER "
     "AUTH=NTLMX AUTH=CRAM-MD5 AUTH=DIGEST-MD5 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 SASL-IR IDLE\r\n"
     "b OK done\r\n",
     UNASKED,
     "* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER AUTH=NTLMX "
     "AUTH=CRAM-MD5 AUTH=DIGEST-MD5 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 SASL-IR IDLE STARTTLS\r\n"
     "b OK done\r\n"},
    {"IMAP capabilities in small letters", IMAP, "b capability",
     "* capability imap4rev1 starttls auth=plain auth=cram-md5 logindisabled\r\n"
     "b ok done\r\n",
     "* capability imap4rev1 auth=cram-md5 STARTTLS LOGINDISABLED\r\n"
     "b ok done\r\n",
     UNASKED},
    {"LOGINDISABLED of the handler under auth", IMAP, "b CAPABILITY",
     "* CAPABILITY IMAP4rev1 LOGINDISABLED STARTTLS\r\n"
     "b OK done\r\n",
     "* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\n"
     "b OK done\r\n",
     UNASKED},
    {"IMAP capabilities in a response code", IMAP, "b NOOP",
     "* OK still here\r\n"
     "b OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN AUTH=CRAM-MD5] done\r\n",
     "* OK still here\r\n"
     "b OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 STARTTLS LOGINDISABLED] done\r\n",
     UNASKED},
    {"IMAP literals, which have no place here", IMAP, "b CAPABILITY",
     "* CAPABILITY IMAP4rev1 LITERAL+ AUTH=PLAIN LITERAL-\r\n"
     "b OK done\r\n",
     UNASKED,
     "* CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS\r\n"
     "b OK done\r\n"},
    {"an IMAP answer that is no list of capabilities", IMAP, "b ID NIL",
     "* ID (\"name\" \"STARTTLS AUTH=PLAIN\")\r\n"
     "b OK STARTTLS [AUTH=PLAIN]\r\n",
     "* ID (\"name\" \"STARTTLS AUTH=PLAIN\")\r\n"
     "b OK STARTTLS [AUTH=PLAIN]\r\n",
     UNASKED},
    {"an IMAP greeting with capabilities under auth", IMAP, NULL,
     "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER "
     "AUTH=NTLMX AUTH=CRAM-MD5 AUTH=DIGEST-MD5 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256] ready\r\n",
     "* OK [CAPABILITY IMAP4rev1 AUTH=CRAM-MD5 AUTH=DIGEST-MD5 AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 "
     "STARTTLS LOGINDISABLED] ready\r\n",
     UNASKED},
    {"an IMAP greeting with capabilities under optional", IMAP, NULL,
     "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\n", UNASKED,
     "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN STARTTLS] ready\r\n"},
    {"an IMAP greeting without capabilities", IMAP, NULL, "* OK ready\r\n", "* OK ready\r\n",
     UNASKED},
};

static const struct answer_case pop3_answers[] = {
    {"popa3d greets", POP3, NULL, SAME("+OK\r\n")},
    {"popa3d knows no CAPA", POP3, "CAPA", "-ERR\r\n", "+OK Capabilities follow\r\nSTLS\r\n.\r\n",
     "+OK Capabilities follow\r\nUSER\r\nSTLS\r\n.\r\n"},
    {"popa3d knows no AUTH", POP3, "AUTH", SAME("-ERR\r\n")},
    {"mailutils greets with a timestamp", POP3, NULL, "+OK POP3 Ready <22643.1795533495@vm>\r\n",
     "+OK POP3 Ready\r\n", "+OK POP3 Ready\r\n"},
    {"mailutils tells what it can", POP3, "CAPA",
     "+OK Capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\n"
     "AUTH-RESP-CODE\r\nEXPIRENEVER\r\nUSER\r\n.\r\n",
     "+OK Capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\n"
     "AUTH-RESP-CODE\r\nEXPIRENEVER\r\nSTLS\r\n.\r\n",
     "+OK Capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\n"
     "AUTH-RESP-CODE\r\nEXPIRENEVER\r\nUSER\r\nSTLS\r\n.\r\n"},
    {"Dovecot greets with a timestamp", POP3, NULL,
     "+OK Dovecot (Debian) ready. <3f9.2.65a1b2c3.q1/9aQ==@mail>\r\n",
     "+OK Dovecot (Debian) ready.\r\n", "+OK Dovecot (Debian) ready.\r\n"},
    {"Dovecot tells what it can", POP3, "CAPA",
     "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\nSTLS\r\n"
     "USER\r\nSASL PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1\r\n.\r\n",
     "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\n"
     "SASL CRAM-MD5 SCRAM-SHA-1\r\nSTLS\r\n.\r\n",
     "+OK\r\nCAPA\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nAUTH-RESP-CODE\r\n"
     "USER\r\nSASL PLAIN LOGIN CRAM-MD5 SCRAM-SHA-1\r\nSTLS\r\n.\r\n"},
    {"Courier tells what it can", POP3, "CAPA",
     "+OK Here's what I can do:\r\nSTLS\r\nTOP\r\nUSER\r\nLOGIN-DELAY 10\r\nPIPELINING\r\nUIDL\r\n"
     "UTF8 USER\r\nIMPLEMENTATION Courier Mail Server\r\n.\r\n",
     "+OK Here's what I can do:\r\nTOP\r\nLOGIN-DELAY 10\r\nPIPELINING\r\nUIDL\r\n"
     "UTF8 USER\r\nIMPLEMENTATION Courier Mail Server\r\nSTLS\r\n.\r\n",
     "+OK Here's what I can do:\r\nTOP\r\nUSER\r\nLOGIN-DELAY 10\r\nPIPELINING\r\nUIDL\r\n"
     "UTF8 USER\r\nIMPLEMENTATION Courier Mail Server\r\nSTLS\r\n.\r\n"},
    {"nothing is left of SASL", POP3, "CAPA", "+OK\r\nsasl PLAIN LOGIN\r\nuser\r\n.\r\n",
     "+OK\r\nSTLS\r\n.\r\n", "+OK\r\nsasl PLAIN LOGIN\r\nuser\r\nSTLS\r\n.\r\n"},
    {"a stuffed dot stays", POP3, "CAPA", "+OK\r\n..\r\n.x\r\n.\r\n",
     "+OK\r\n..\r\n.x\r\nSTLS\r\n.\r\n", "+OK\r\n..\r\n.x\r\nSTLS\r\n.\r\n"},
    {"an empty list", POP3, "CAPA", "+OK\n.\n", "+OK\r\nSTLS\r\n.\r\n", "+OK\r\nSTLS\r\n.\r\n"},
    {"AUTH lists mechanisms", POP3, "AUTH", "+OK\r\nPLAIN\r\nLOGIN\r\nCRAM-MD5\r\n.\r\n",
     "+OK\r\nCRAM-MD5\r\n.\r\n", "+OK\r\nPLAIN\r\nLOGIN\r\nCRAM-MD5\r\n.\r\n"},
    {"LANG lists languages", POP3, "LANG", SAME("+OK\r\nen English\r\nde Deutsch\r\n.\r\n")},
    {"LANG with a language is one line", POP3, "LANG de", SAME("+OK de Sprache\r\n")},
    {"LANG may be unknown", POP3, "LANG", SAME("-ERR Invalid command\r\n")},
    {"anything else is one line", POP3, "UTF8", SAME("-ERR Invalid command\r\n")},
    {"goodbye", POP3, "QUIT", SAME("+OK Logging out.\r\n")},
    {"a timestamp alone", POP3, NULL, "+OK <1@a>\r\n", "+OK\r\n", "+OK\r\n"},
    {"a timestamp in the middle", POP3, NULL, "+OK hello <1@a> there\r\n", "+OK hello there\r\n",
     "+OK hello there\r\n"},
    {"two timestamps", POP3, NULL, "+OK <1@a> or <2@b>\r\n", "+OK or\r\n", "+OK or\r\n"},
    {"a timestamp in a timestamp", POP3, NULL, "+OK <a<1@a>2@b> ready\r\n", "+OK 2@b> ready\r\n",
     "+OK 2@b> ready\r\n"},
    {"no timestamp", POP3, NULL, SAME("+OK 1 > 0 < 2\r\n")},
    {"a timestamp in a refusal is none", POP3, NULL, SAME("-ERR go away <1@a>\r\n")},
    {"no answer in this protocol", POP3, "NOOP", "* OK\r\n", BROKEN, BROKEN},
    {"a challenge", POP3, "AUTH", "+ \r\n", BROKEN, BROKEN},
    {"an empty line", POP3, NULL, "\r\n", BROKEN, BROKEN},
    {"all POP3 capabilities under auth", POP3, "CAPA",
     "+OK list\r\n"
     "TOP\r\n"
     "STLS\r\n"
     "USER\r\n"
     "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     "UIDL\r\n"
     "IMPLEMENTATION x\r\n"
     ".\r\n",
     "+OK list\r\n"
     "TOP\r\n"
     "SASL CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     "UIDL\r\n"
     "IMPLEMENTATION x\r\n"
     "STLS\r\n"
     ".\r\n",
     UNASKED},
    {"all POP3 capabilities under optional", POP3, "CAPA",
     "+OK list\r\n"
     "TOP\r\n"
     "STLS\r\n"
     "USER\r\n"
     "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     "UIDL\r\n"
     ".\r\n",
     UNASKED,
     "+OK list\r\n"
     "TOP\r\n"
     "USER\r\n"
     "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     "UIDL\r\n"
     "STLS\r\n"
     ".\r\n"},
    {"POP3 capabilities in small letters", POP3, "capa",
     "+ok list\r\n"
     "stls\r\n"
     "user\r\n"
     "sasl plain cram-md5\r\n"
     ".\r\n",
     "+ok list\r\n"
     "sasl cram-md5\r\n"
     "STLS\r\n"
     ".\r\n",
     UNASKED},
    {"POP3 mechanisms that are all forbidden", POP3, "CAPA",
     "+OK list\r\n"
     "SASL PLAIN LOGIN\r\n"
     "UIDL\r\n"
     ".\r\n",
     "+OK list\r\n"
     "UIDL\r\n"
     "STLS\r\n"
     ".\r\n",
     UNASKED},
    {"POP3 without CAPA under auth", POP3, "CAPA", "-ERR what?\r\n",
     "+OK Capabilities follow\r\n"
     "STLS\r\n"
     ".\r\n",
     UNASKED},
    {"POP3 without CAPA under optional", POP3, "CAPA", "-ERR what?\r\n", UNASKED,
     "+OK Capabilities follow\r\n"
     "USER\r\n"
     "STLS\r\n"
     ".\r\n"},
    {"the list of mechanisms that POP3 had of old", POP3, "AUTH",
     "+OK list\r\n"
     "PLAIN\r\n"
     "LOGIN\r\n"
     "CRAM-MD5\r\n"
     ".\r\n",
     "+OK list\r\n"
     "CRAM-MD5\r\n"
     ".\r\n",
     UNASKED},
    {"a timestamp for APOP", POP3, NULL,
     "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n", "+OK POP3 server ready\r\n",
     UNASKED},
    {"a timestamp for APOP under optional", POP3, NULL,
     "+OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\r\n", UNASKED,
     "+OK POP3 server ready\r\n"},
    {"a timestamp for APOP amid words", POP3, NULL, "+OK hello <1.2@localhost> and welcome\r\n",
     "+OK hello and welcome\r\n", UNASKED},
    {"a timestamp for APOP alone", POP3, NULL, "+OK <1.2@localhost>\r\n", "+OK\r\n", UNASKED},
};

static const struct answer_case smtp_answers[] = {
    {"Postfix greets", SMTP, NULL, SAME("220 mail.example.org ESMTP Postfix (Debian/GNU)\r\n")},
    {"Postfix tells what it can", SMTP, "EHLO x",
     "250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n250-ETRN\r\n"
     "250-STARTTLS\r\n250-AUTH PLAIN LOGIN CRAM-MD5\r\n250-AUTH=PLAIN LOGIN CRAM-MD5\r\n"
     "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250 CHUNKING\r\n",
     "250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n250-ETRN\r\n"
     "250-AUTH CRAM-MD5\r\n250-AUTH CRAM-MD5\r\n"
     "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
     "250 STARTTLS\r\n",
     "250-mail.example.org\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n250-ETRN\r\n"
     "250-AUTH PLAIN LOGIN CRAM-MD5\r\n250-AUTH=PLAIN LOGIN CRAM-MD5\r\n"
     "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n"
     "250 STARTTLS\r\n"},
    {"Exim tells what it can", SMTP, "EHLO x",
     "250-localhost Hello root at x\r\n250-SIZE 20971520\r\n250-8BITMIME\r\n250-PIPELINING\r\n"
     "250-CHUNKING\r\n250-STARTTLS\r\n250-SMTPUTF8\r\n250 HELP\r\n",
     "250-localhost Hello root at x\r\n250-SIZE 20971520\r\n250-8BITMIME\r\n250-PIPELINING\r\n"
     "250-CHUNKING\r\n250-SMTPUTF8\r\n250-HELP\r\n250 STARTTLS\r\n",
     "250-localhost Hello root at x\r\n250-SIZE 20971520\r\n250-8BITMIME\r\n250-PIPELINING\r\n"
     "250-CHUNKING\r\n250-SMTPUTF8\r\n250-HELP\r\n250 STARTTLS\r\n"},
    {"Exim helps in two lines", SMTP, "HELP",
     SAME("214-Commands supported:\r\n214 AUTH STARTTLS HELO EHLO MAIL RCPT DATA BDAT NOOP QUIT "
          "RSET HELP\r\n")},
    {"Exim greets a HELO", SMTP, "HELO x", SAME("250 localhost Hello root at x\r\n")},
    {"mailfront tells what it can", SMTP, "EHLO x",
     "250-unknown\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 PIPELINING\r\n",
     "250-unknown\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n250 "
     "STARTTLS\r\n",
     "250-unknown\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n250 "
     "STARTTLS\r\n"},
    {"the last line is forbidden", SMTP, "EHLO x", "250-x\r\n250-SIZE\r\n250 AUTH PLAIN LOGIN\r\n",
     "250-x\r\n250-SIZE\r\n250 STARTTLS\r\n",
     "250-x\r\n250-SIZE\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n"},
    {"the last line is the handler's STARTTLS", SMTP, "EHLO x", "250-x\r\n250 STARTTLS\r\n",
     "250-x\r\n250 STARTTLS\r\n", "250-x\r\n250 STARTTLS\r\n"},
    {"one line is all there is", SMTP, "EHLO x", "250 x\r\n", "250-x\r\n250 STARTTLS\r\n",
     "250-x\r\n250 STARTTLS\r\n"},
    {"the last line is a bare code", SMTP, "EHLO x", "250-x\r\n250-SIZE\r\n250\r\n",
     "250-x\r\n250-SIZE\r\n250 STARTTLS\r\n", "250-x\r\n250-SIZE\r\n250 STARTTLS\r\n"},
    {"a host called STARTTLS", SMTP, "EHLO x", "250-STARTTLS\r\n250 SIZE\r\n",
     "250-STARTTLS\r\n250-SIZE\r\n250 STARTTLS\r\n",
     "250-STARTTLS\r\n250-SIZE\r\n250 STARTTLS\r\n"},
    {"a tab behind AUTH", SMTP, "EHLO x", "250-x\r\n250 AUTH\tPLAIN\r\n",
     "250-x\r\n250 STARTTLS\r\n", "250-x\r\n250-AUTH\tPLAIN\r\n250 STARTTLS\r\n"},
    {"EHLO refused", SMTP, "EHLO x", SAME("500 unrecognized command\r\n")},
    {"a greeting in three lines", SMTP, NULL, SAME("220-a\r\n220-b\r\n220 c\r\n")},
    {"a greeting that says no", SMTP, NULL, SAME("554 5.3.2 No mail here\r\n")},
    {"a bare code", SMTP, "NOOP", SAME("250\r\n")},
    {"no answer in this protocol", SMTP, "NOOP", "OK\r\n", BROKEN, BROKEN},
    {"too few digits", SMTP, "NOOP", "25 OK\r\n", BROKEN, BROKEN},
    {"no blank behind the code", SMTP, "NOOP", "250OK\r\n", BROKEN, BROKEN},
    {"Dovecot greets", LMTP, NULL, SAME("220 vm Dovecot (Debian) ready.\r\n")},
    {"Dovecot tells what it can", LMTP, "LHLO x",
     "250-vm\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250 PIPELINING\r\n",
     "250-vm\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n"
     "250 STARTTLS\r\n",
     "250-vm\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n"
     "250 STARTTLS\r\n"},
    {"Dovecot knows no EHLO", LMTP, "EHLO x", SAME("500 5.5.1 Unknown command\r\n")},
    {"all SMTP extensions under auth", SMTP, "EHLO x",
     "250-handler\r\n"
     "250-STARTTLS\r\n"
     "250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 "
     "SCRAM-SHA-256\r\n"
     "250-AUTH=PLAIN LOGIN\r\n"
     "250-SIZE 1000\r\n"
     "250 HELP\r\n",
     "250-handler\r\n"
     "250-AUTH CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     "250-SIZE 1000\r\n"
     "250-HELP\r\n"
     "250 STARTTLS\r\n",
     UNASKED},
    {"all SMTP extensions under optional", SMTP, "EHLO x",
     "250-handler\r\n"
     "250-STARTTLS\r\n"
     "250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 "
     "SCRAM-SHA-256\r\n"
     "250-AUTH=PLAIN\r\n"
     "250 HELP\r\n",
     UNASKED,
     "250-handler\r\n"
     "250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 "
     "SCRAM-SHA-256\r\n"
     "250-AUTH=PLAIN\r\n"
     "250-HELP\r\n"
     "250 STARTTLS\r\n"},
    {"SMTP extensions in small letters", SMTP, "ehlo x",
     "250-handler\r\n"
     "250-starttls\r\n"
     "250-auth plain cram-md5\r\n"
     "250 size\r\n",
     "250-handler\r\n"
     "250-auth cram-md5\r\n"
     "250-size\r\n"
     "250 STARTTLS\r\n",
     UNASKED},
    {"SMTP with STARTTLS last", SMTP, "EHLO x",
     "250-handler\r\n"
     "250-SIZE\r\n"
     "250 STARTTLS\r\n",
     "250-handler\r\n"
     "250-SIZE\r\n"
     "250 STARTTLS\r\n",
     UNASKED},
    {"SMTP with forbidden mechanisms last", SMTP, "EHLO x",
     "250-handler\r\n"
     "250-SIZE\r\n"
     "250 AUTH PLAIN\r\n",
     "250-handler\r\n"
     "250-SIZE\r\n"
     "250 STARTTLS\r\n",
     UNASKED},
    {"SMTP without extensions", SMTP, "EHLO x", "250 handler\r\n",
     "250-handler\r\n"
     "250 STARTTLS\r\n",
     UNASKED},
    {"SMTP of a host called STARTTLS", SMTP, "EHLO x",
     "250-STARTTLS AUTH PLAIN\r\n"
     "250 SIZE\r\n",
     "250-STARTTLS AUTH PLAIN\r\n"
     "250-SIZE\r\n"
     "250 STARTTLS\r\n",
     UNASKED},
    {"SMTP without EHLO", SMTP, "EHLO x", "502 what?\r\n", "502 what?\r\n", UNASKED},
    {"SMTP after HELO", SMTP, "HELO x", "250 STARTTLS\r\n", "250 STARTTLS\r\n", UNASKED},
    {"SMTP help", SMTP, "HELP",
     "214-STARTTLS\r\n"
     "214 AUTH PLAIN\r\n",
     "214-STARTTLS\r\n"
     "214 AUTH PLAIN\r\n",
     UNASKED},
    {"an SMTP greeting of many lines", SMTP, NULL,
     "220-handler ESMTP\r\n"
     "220-STARTTLS\r\n"
     "220 ready\r\n",
     "220-handler ESMTP\r\n"
     "220-STARTTLS\r\n"
     "220 ready\r\n",
     UNASKED},
    {"all LMTP extensions under auth", LMTP, "LHLO x",
     "250-handler\r\n"
     "250-STARTTLS\r\n"
     "250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 "
     "SCRAM-SHA-256\r\n"
     "250 PIPELINING\r\n",
     "250-handler\r\n"
     "250-AUTH CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     "250-PIPELINING\r\n"
     "250 STARTTLS\r\n",
     UNASKED},
};

#define SIEVE_EXTENSIONS                                                                           \
    "\"SIEVE\" \"fileinto reject envelope vacation\"\r\n\"NOTIFY\" \"mailto\"\r\n"

static const struct answer_case sieve_answers[] = {
    {"Dovecot greets", SIEVE, NULL,
     "\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"\r\n" SIEVE_EXTENSIONS
     "\"SASL\" \"PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5\"\r\n\"STARTTLS\"\r\n\"VERSION\" \"1.0\"\r\n"
     "OK \"Dovecot (Debian) ready.\"\r\n",
     "\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"\r\n" SIEVE_EXTENSIONS
     "\"SASL\" \"SCRAM-SHA-256 CRAM-MD5\"\r\n\"VERSION\" \"1.0\"\r\n\"STARTTLS\"\r\n"
     "OK \"Dovecot (Debian) ready.\"\r\n",
     "\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"\r\n" SIEVE_EXTENSIONS
     "\"SASL\" \"PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5\"\r\n\"VERSION\" \"1.0\"\r\n\"STARTTLS\"\r\n"
     "OK \"Dovecot (Debian) ready.\"\r\n"},
    {"Dovecot tells what it can", SIEVE, "CAPABILITY",
     "\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"\r\n" SIEVE_EXTENSIONS
     "\"SASL\" \"PLAIN\"\r\n\"VERSION\" \"1.0\"\r\nOK \"Capability completed.\"\r\n",
     "\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"\r\n" SIEVE_EXTENSIONS
     "\"SASL\" \"\"\r\n\"VERSION\" \"1.0\"\r\n\"STARTTLS\"\r\nOK \"Capability completed.\"\r\n",
     "\"IMPLEMENTATION\" \"Dovecot (Debian) Pigeonhole\"\r\n" SIEVE_EXTENSIONS
     "\"SASL\" \"PLAIN\"\r\n\"VERSION\" \"1.0\"\r\n\"STARTTLS\"\r\n"
     "OK \"Capability completed.\"\r\n"},
    {"keywords in any case", SIEVE, "CAPABILITY", "\"sasl\" \"PLAIN gssapi\"\n\"starttls\"\nok\n",
     "\"SASL\" \"gssapi\"\r\n\"STARTTLS\"\r\nok\r\n",
     "\"sasl\" \"PLAIN gssapi\"\r\n\"STARTTLS\"\r\nok\r\n"},
    {"SASL without a value", SIEVE, "CAPABILITY", "\"SASL\"\r\nOK\r\n",
     "\"SASL\" \"\"\r\n\"STARTTLS\"\r\nOK\r\n", "\"SASL\"\r\n\"STARTTLS\"\r\nOK\r\n"},
    {"CAPABILITY refused", SIEVE, "CAPABILITY", SAME("NO \"Not now\"\r\n")},
    {"a greeting that says no", SIEVE, NULL, SAME("BYE \"Too many connections\"\r\n")},
    {"Dovecot gives a string back", SIEVE, "NOOP \"x\"", SAME("OK (TAG \"x\") \"Done\"\r\n")},
    {"Dovecot knows no command", SIEVE, "FOO",
     SAME("NO \"Error in MANAGESIEVE command FOO: Unknown command.\"\r\n")},
    {"STARTTLS in another answer is no capability", SIEVE, "LISTSCRIPTS",
     SAME("\"STARTTLS\"\r\n\"x\" ACTIVE\r\nOK\r\n")},
    {"goodbye", SIEVE, "LOGOUT", SAME("OK \"Logout completed.\"\r\n")},
    {"a literal", SIEVE, "FOO", "NO {5}\r\n", BROKEN, BROKEN},
    {"a literal capability", SIEVE, "CAPABILITY", "\"SASL\" {5}\r\n", BROKEN, BROKEN},
    {"no answer in this protocol", SIEVE, "NOOP", "+OK\r\n", BROKEN, BROKEN},
    {"a word that begins like one", SIEVE, "NOOP", "OKAY\r\n", BROKEN, BROKEN},
    {"an empty line", SIEVE, NULL, "\r\n", BROKEN, BROKEN},
    {"all ManageSieve capabilities under auth", SIEVE, "CAPABILITY",
     "\"IMPLEMENTATION\" \"x\"\r\n"
     "\"SASL\" \"PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 "
     "SCRAM-SHA-256\"\r\n"
     "\"STARTTLS\"\r\n"
     "\"SIEVE\" \"reject\"\r\n"
     "OK\r\n",
     "\"IMPLEMENTATION\" \"x\"\r\n"
     "\"SASL\" \"CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\"\r\n"
     "\"SIEVE\" \"reject\"\r\n"
     "\"STARTTLS\"\r\n"
     "OK\r\n",
     UNASKED},
    {"all ManageSieve capabilities under optional", SIEVE, "CAPABILITY",
     "\"IMPLEMENTATION\" \"x\"\r\n"
     "\"SASL\" \"PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 "
     "SCRAM-SHA-256\"\r\n"
     "\"STARTTLS\"\r\n"
     "OK \"done\"\r\n",
     UNASKED,
     "\"IMPLEMENTATION\" \"x\"\r\n"
     "\"SASL\" \"PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 "
     "SCRAM-SHA-256\"\r\n"
     "\"STARTTLS\"\r\n"
     "OK \"done\"\r\n"},
    {"ManageSieve mechanisms that are all forbidden", SIEVE, "CAPABILITY",
     "\"SASL\" \"PLAIN LOGIN\"\r\n"
     "\"SIEVE\" \"\"\r\n"
     "OK\r\n",
     "\"SASL\" \"\"\r\n"
     "\"SIEVE\" \"\"\r\n"
     "\"STARTTLS\"\r\n"
     "OK\r\n",
     UNASKED},
    {"ManageSieve capabilities in small letters", SIEVE, "capability",
     "\"sasl\" \"plain cram-md5\"\r\n"
     "\"starttls\"\r\n"
     "ok\r\n",
     "\"SASL\" \"cram-md5\"\r\n"
     "\"STARTTLS\"\r\n"
     "ok\r\n",
     UNASKED},
    {"a ManageSieve greeting", SIEVE, NULL,
     "\"IMPLEMENTATION\" \"x\"\r\n"
     "\"SASL\" \"PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 "
     "SCRAM-SHA-256\"\r\n"
     "\"STARTTLS\"\r\n"
     "OK \"hello\"\r\n",
     "\"IMPLEMENTATION\" \"x\"\r\n"
     "\"SASL\" \"CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\"\r\n"
     "\"STARTTLS\"\r\n"
     "OK \"hello\"\r\n",
     UNASKED},
};

#define INN_LISTS                                                                                  \
    "LIST ACTIVE ACTIVE.TIMES COUNTS DISTRIB.PATS HEADERS MODERATORS MOTD NEWSGROUPS "             \
    "OVERVIEW.FMT SUBSCRIPTIONS\r\nNEWNEWS\r\nOVER\r\nPOST\r\nREADER\r\n"

static const struct answer_case nntp_answers[] = {
    {"leafnode greets", NNTP, NULL,
     SAME("200 Leafnode NNTP Daemon, version 1.12.0 running at news.example.org (my fqdn: "
          "news.example.org)\r\n")},
    {"leafnode knows no CAPABILITIES", NNTP, "CAPABILITIES", "500 Unknown command\r\n",
     "101 Capability list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n",
     "101 Capability list\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"},
    {"leafnode helps", NNTP, "HELP",
     SAME("100 Legal commands on THIS server:\r\n ARTICLE [<Message-ID>|<Number>]\r\n"
          " MODE READER\r\n.\r\n")},
    {"leafnode tells the date", NNTP, "DATE", SAME("111 20261124151836\r\n")},
    {"leafnode is pleased to meet a reader", NNTP, "MODE READER",
     SAME("200 Leafnode 1.12.0, pleased to meet you!\r\n")},
    {"goodbye", NNTP, "QUIT", SAME("205 Always happy to serve!\r\n")},
    {"INN greets", NNTP, NULL,
     SAME("200 news.example.org InterNetNews NNRP server INN 2.7.1 ready (posting ok)\r\n")},
    {"INN tells what it can", NNTP, "CAPABILITIES",
     "101 Capability list:\r\nVERSION 2\r\nIMPLEMENTATION INN 2.7.1\r\nAUTHINFO USER SASL\r\n"
     "COMPRESS DEFLATE\r\nHDR\r\n" INN_LISTS
     "SASL PLAIN LOGIN DIGEST-MD5 CRAM-MD5\r\nSTARTTLS\r\nXPAT\r\n.\r\n",
     "101 Capability list:\r\nVERSION 2\r\nIMPLEMENTATION INN 2.7.1\r\nAUTHINFO SASL\r\n"
     "COMPRESS DEFLATE\r\nHDR\r\n" INN_LISTS
     "SASL DIGEST-MD5 CRAM-MD5\r\nXPAT\r\nSTARTTLS\r\n.\r\n",
     "101 Capability list:\r\nVERSION 2\r\nIMPLEMENTATION INN 2.7.1\r\nAUTHINFO USER SASL\r\n"
     "COMPRESS DEFLATE\r\nHDR\r\n" INN_LISTS
     "SASL PLAIN LOGIN DIGEST-MD5 CRAM-MD5\r\nXPAT\r\nSTARTTLS\r\n.\r\n"},
    {"INN knows passwords only", NNTP, "CAPABILITIES",
     "101 Capability list:\r\nVERSION 2\r\nAUTHINFO USER\r\nSASL PLAIN\r\n.\r\n",
     "101 Capability list:\r\nVERSION 2\r\nAUTHINFO\r\nSTARTTLS\r\n.\r\n",
     "101 Capability list:\r\nVERSION 2\r\nAUTHINFO USER\r\nSASL PLAIN\r\nSTARTTLS\r\n.\r\n"},
    {"a list of extensions", NNTP, "XYZZY",
     SAME("202 extensions supported follow\r\nHDR\r\nSTARTTLS\r\n.\r\n")},
    {"a stuffed dot stays", NNTP, "HELP", SAME("100 Help\r\n..\r\n.x\r\n.\r\n")},
    {"CAPABILITIES puts off", NNTP, "CAPABILITIES", SAME("400 Come back later\r\n")},
    {"a greeting that says no", NNTP, NULL, SAME("502 Remote access denied\r\n")},
    {"a greeting is never a list", NNTP, NULL, SAME("215 odd\r\n")},
    {"a bare code", NNTP, "XYZZY", SAME("500\r\n")},
    {"no answer in this protocol", NNTP, "DATE", "+OK\r\n", BROKEN, BROKEN},
    {"a hyphen behind the code", NNTP, "DATE", "111-x\r\n", BROKEN, BROKEN},
    {"an empty line", NNTP, NULL, "\r\n", BROKEN, BROKEN},
    {"all NNTP capabilities under auth", NNTP, "CAPABILITIES",
     "101 list\r\n"
     "VERSION 2\r\n"
     "STARTTLS\r\n"
     "AUTHINFO USER SASL\r\n"
     "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     "READER\r\n"
     ".\r\n",
     "101 list\r\n"
     "VERSION 2\r\n"
     "AUTHINFO SASL\r\n"
     "SASL CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     "READER\r\n"
     "STARTTLS\r\n"
     ".\r\n",
     UNASKED},
    {"all NNTP capabilities under optional", NNTP, "CAPABILITIES",
     "101 list\r\n"
     "VERSION 2\r\n"
     "STARTTLS\r\n"
     "AUTHINFO USER SASL\r\n"
     "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     ".\r\n",
     UNASKED,
     "101 list\r\n"
     "VERSION 2\r\n"
     "AUTHINFO USER SASL\r\n"
     "SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER NTLMX CRAM-MD5 DIGEST-MD5 SCRAM-SHA-1 SCRAM-SHA-256\r\n"
     "STARTTLS\r\n"
     ".\r\n"},
    {"NNTP mechanisms that are all forbidden", NNTP, "capabilities",
     "101 list\r\n"
     "VERSION 2\r\n"
     "AUTHINFO USER\r\n"
     "SASL PLAIN\r\n"
     ".\r\n",
     "101 list\r\n"
     "VERSION 2\r\n"
     "AUTHINFO\r\n"
     "STARTTLS\r\n"
     ".\r\n",
     UNASKED},
    {"NNTP without CAPABILITIES", NNTP, "CAPABILITIES", "500 what?\r\n",
     "101 Capability list\r\n"
     "VERSION 2\r\n"
     "STARTTLS\r\n"
     ".\r\n",
     UNASKED},
    {"NNTP help", NNTP, "HELP",
     "100 help\r\n"
     "STARTTLS\r\n"
     "AUTHINFO USER\r\n"
     ".\r\n",
     "100 help\r\n"
     "STARTTLS\r\n"
     "AUTHINFO USER\r\n"
     ".\r\n",
     UNASKED},
};

/* Feeds a handler's answer, line by line, as the lobby does. Returns the last state. */
static enum reply_state feed(const struct dialect *d, const char *line, const char *handler,
                             const struct setting *s, struct text *out)
{
    static const struct command connection = {.kind = COMMAND_GREETING, .tag = ""};
    size_t line_len = line != NULL ? strlen(line) : 0;
    char *line_copy = exact(line, line_len);
    struct command c = connection;
    enum reply_state state = REPLY_MORE;

    if (line != NULL)
        d->parse(&c, line_copy, line_len);
    struct reply r = {.setting = s, .command = &c};
    while (state == REPLY_MORE && *handler != '\0') {
        const char *end = strchr(handler, '\n');
        size_t len = (size_t)(end - handler);
        if (len > 0 && handler[len - 1] == '\r')
            len--;
        char *copy = exact(handler, len);
        state = d->reply(&r, copy, len, out);
        free(copy);
        handler = end + 1;
    }
    if (state == REPLY_LAST && *handler != '\0')
        complain("%s: the answer is over before '%s'", d->name, handler);
    free(line_copy);
    return state;
}

static void try_answer(const struct answer_case *t, const struct setting *s, const char *expected)
{
    char answer[4096];
    struct text out = {.buf = answer, .size = sizeof answer - 1};
    enum reply_state state = feed(t->dialect, t->line, t->handler, s, &out);

    answer[out.len] = '\0';
    if (state != (expected != BROKEN ? REPLY_LAST : REPLY_BROKEN))
        complain("%s: %s: state %d", t->dialect->name, t->name, (int)state);
    else if (expected != BROKEN && strcmp(answer, expected) != 0)
        complain("%s: %s: gave\n%snot\n%s", t->dialect->name, t->name, answer, expected);
}

/* Without TLS, only what is offered as ours is missing. */
static void try_answer_without_tls(const struct answer_case *t)
{
    char answer[4096];
    struct text out = {.buf = answer, .size = sizeof answer - 1};
    bool list = t->line == NULL || strncasecmp(t->line, "CAPA", 4) == 0 ||
                strncasecmp(t->line, "EHLO", 4) == 0 || strncasecmp(t->line, "LHLO", 4) == 0 ||
                strncasecmp(t->line, "a CAPA", 6) == 0;

    if (t->auth == BROKEN || !list || strstr(t->name, "host called") != NULL)
        return;
    (void)feed(t->dialect, t->line, t->handler, &without_tls, &out);
    answer[out.len] = '\0';
    if (strstr(answer, "STARTTLS") != NULL || strstr(answer, "STLS") != NULL)
        complain("%s: %s: offers TLS: %s", t->dialect->name, t->name, answer);
}

static void try_answers(const struct answer_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (cases[i].auth != unasked)
            try_answer(&cases[i], &policy_auth, cases[i].auth);
        if (cases[i].optional != unasked)
            try_answer(&cases[i], &policy_optional, cases[i].optional);
        if (cases[i].auth != unasked && cases[i].optional != unasked)
            try_answer_without_tls(&cases[i]);
    }
    finish();
}

static void imap_handlers_answers_are_edited(void **state)
{
    (void)state;
    try_answers(imap_answers, COUNT(imap_answers));
}

static void pop3_handlers_answers_are_edited(void **state)
{
    (void)state;
    try_answers(pop3_answers, COUNT(pop3_answers));
}

static void smtp_and_lmtp_handlers_answers_are_edited(void **state)
{
    (void)state;
    try_answers(smtp_answers, COUNT(smtp_answers));
}

static void sieve_handlers_answers_are_edited(void **state)
{
    (void)state;
    try_answers(sieve_answers, COUNT(sieve_answers));
}

static void nntp_handlers_answers_are_edited(void **state)
{
    (void)state;
    try_answers(nntp_answers, COUNT(nntp_answers));
}

static void preauth_is_told_apart(void **state)
{
    static const char line[] = "* PREAUTH [CAPABILITY IMAP4rev1] Logged in as bob";
    struct command c = {.kind = COMMAND_GREETING, .tag = ""};
    struct reply r = {.setting = &policy_auth, .command = &c};
    char buf[100];
    struct text out = {.buf = buf, .size = sizeof buf};

    (void)state;
    assert_int_equal(dialect_imap.reply(&r, line, strlen(line), &out), REPLY_BROKEN);
    assert_true(r.preauth);
}

/* Greetings of a fresh handler. */

static const struct {
    const struct dialect *dialect;
    const char *greeting;
    enum greeting_verdict verdict;
} greetings[] = {
    {IMAP, "* OK IMAP4rev1\r\n", GREETING_SWALLOW},
    {IMAP, "* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", GREETING_SWALLOW},
    {IMAP, "* ok ready\n", GREETING_SWALLOW},
    {IMAP, "* BYE Too many connections\r\n", GREETING_ANSWER},
    {IMAP, "* PREAUTH Logged in as bob\r\n", GREETING_REFUSE},
    {IMAP, "* preauth Logged in as bob\n", GREETING_REFUSE},
    {IMAP, "imapd: cannot open /var/mail\n", GREETING_ANSWER},
    {IMAP, "\n", GREETING_ANSWER},
    {POP3, "+OK\r\n", GREETING_SWALLOW},
    {POP3, "+OK POP3 Ready <22643.1795533495@vm>\r\n", GREETING_SWALLOW},
    {POP3, "+OK\n", GREETING_SWALLOW},
    {POP3, "-ERR [SYS/TEMP] Try later\r\n", GREETING_ANSWER},
    {POP3, "\r\n", GREETING_ANSWER},
    {POP3, "+O\n", GREETING_ANSWER},
    {SMTP, "220 mail.example.org ESMTP\r\n", GREETING_SWALLOW},
    {SMTP, "220\r\n", GREETING_SWALLOW},
    {SMTP, "220-a\r\n220-b\r\n220 c\r\n", GREETING_SWALLOW},
    {SMTP, "220-a\n220 b\n", GREETING_SWALLOW},
    {SMTP, "421 4.3.2 Not now\r\n", GREETING_ANSWER},
    {SMTP, "554-No\r\n554 mail here\r\n", GREETING_ANSWER},
    {SMTP, "\n", GREETING_ANSWER},
    {LMTP, "220 vm Dovecot (Debian) ready.\r\n", GREETING_SWALLOW},
    {LMTP, "421 4.3.2 Not now\r\n", GREETING_ANSWER},
    {NNTP, "200 news.example.org ready\r\n", GREETING_SWALLOW},
    {NNTP, "201 news.example.org ready, no posting\r\n", GREETING_SWALLOW},
    {NNTP, "400 Not now\r\n", GREETING_ANSWER},
    {NNTP, "502 Remote access denied\n", GREETING_ANSWER},
    {NNTP, "\r\n", GREETING_ANSWER},
};

static void greetings_are_judged_when_they_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(greetings); i++) {
        const struct dialect *d = greetings[i].dialect;
        const char *text = greetings[i].greeting;
        size_t whole = strlen(text), used = 0;
        for (size_t len = 0; len <= whole; len++) {
            char *copy = exact(text, len);
            enum greeting_verdict verdict = d->greeting(copy, len, &used);
            if (verdict != (len < whole ? GREETING_MORE : greetings[i].verdict))
                complain("%s: %zu bytes of '%s': verdict %d", d->name, len, text, (int)verdict);
            free(copy);
        }
        if (used != whole)
            complain("%s: '%s': %zu bytes used", d->name, text, used);
    }
    finish();
}

static void bytes_behind_a_greeting_are_not_used(void **state)
{
    char both[200];

    (void)state;
    for (size_t i = 0; i < COUNT(greetings); i++) {
        const struct dialect *d = greetings[i].dialect;
        size_t whole = strlen(greetings[i].greeting), used = 0;
        int len = snprintf(both, sizeof both, "%s220 x\r\n* OK\n", greetings[i].greeting);
        char *copy = exact(both, (size_t)len);
        if (d->greeting(copy, (size_t)len, &used) != greetings[i].verdict || used != whole)
            complain("%s: '%s' with more behind it: %zu bytes used", d->name, greetings[i].greeting,
                     used);
        free(copy);
    }
    assert_null(dialect_sieve.greeting);
    finish();
}

/* Buffers that are too small. */

#define GUARD 0x5a

static void try_small(const char *name, const char *whole, size_t whole_len, const char *buf,
                      size_t size, const struct text *out)
{
    if (out->len > size || memcmp(buf, whole, out->len) != 0)
        complain("%s: wrong in %zu bytes", name, size);
    if (size < whole_len && !out->full)
        complain("%s: not full in %zu bytes of %zu", name, size, whole_len);
    if (size > whole_len && (out->full || out->len != whole_len))
        complain("%s: full in %zu bytes of %zu", name, size, whole_len);
    for (size_t i = size; i < size + 16; i++)
        if (buf[i] != GUARD)
            complain("%s: wrote past %zu bytes", name, size);
}

static void what_is_said_stays_in_its_buffer(void **state)
{
    char whole[ANSWER_MAX + 1], buf[ANSWER_MAX + 16];

    (void)state;
    for (size_t d = 0; d < COUNT(dialects); d++) {
        for (unsigned o = 0; o < OCCASIONS; o++) {
            const char *line = sayings[d][o].line;
            struct command c;
            if (line != NULL)
                dialects[d]->parse(&c, line, strlen(line));
            say(whole, dialects[d], (enum occasion)o, line, &policy_required);
            for (size_t size = 0; size < strlen(whole) + 3; size++) {
                struct text out = {.buf = buf, .size = size};
                memset(buf, GUARD, sizeof buf);
                dialect_say(dialects[d], &out, (enum occasion)o, line != NULL ? &c : NULL,
                            &policy_required);
                try_small(dialects[d]->name, whole, strlen(whole), buf, size, &out);
            }
        }
    }
    finish();
}

/* Edits may take back what they have written, so only bounds and `full` are looked at. */
static void try_small_answer(const struct answer_case *t, const struct setting *s)
{
    char whole[4096], buf[4096 + 16];
    struct text all = {.buf = whole, .size = sizeof whole};

    if (feed(t->dialect, t->line, t->handler, s, &all) != REPLY_LAST)
        return;
    for (size_t size = 0; size < all.len; size++) {
        struct text out = {.buf = buf, .size = size};
        memset(buf, GUARD, sizeof buf);
        (void)feed(t->dialect, t->line, t->handler, s, &out);
        if (!out.full || out.len > size)
            complain("%s: %s: not full in %zu bytes of %zu", t->dialect->name, t->name, size,
                     all.len);
        for (size_t i = size; i < size + 16; i++)
            if (buf[i] != GUARD)
                complain("%s: %s: wrote past %zu bytes", t->dialect->name, t->name, size);
    }
}

static void what_is_let_through_stays_in_its_buffer(void **state)
{
    static const struct {
        const struct answer_case *cases;
        size_t count;
    } tables[] = {
        {imap_answers, COUNT(imap_answers)}, {pop3_answers, COUNT(pop3_answers)},
        {smtp_answers, COUNT(smtp_answers)}, {sieve_answers, COUNT(sieve_answers)},
        {nntp_answers, COUNT(nntp_answers)},
    };

    (void)state;
    for (size_t t = 0; t < COUNT(tables); t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            try_small_answer(&tables[t].cases[i], &policy_auth);
            try_small_answer(&tables[t].cases[i], &policy_optional);
        }
    }
    finish();
}

static void text_takes_what_fits_and_nothing_after(void **state)
{
    char buf[8];
    struct text t = {.buf = buf, .size = 4};

    (void)state;
    memset(buf, GUARD, sizeof buf);
    text_add(&t, "abcd", 4);
    assert_false(t.full);
    text_add(&t, "", 0);
    assert_false(t.full);
    text_add(&t, "e", 1);
    assert_true(t.full);
    t.len = 0;
    text_add(&t, "x", 1);
    text_format(&t, "y");
    assert_int_equal(t.len, 0);
    t = (struct text){.buf = buf, .size = 4};
    text_format(&t, "%s", "abc");
    assert_int_equal(t.len, 3);
    assert_false(t.full);
    text_format(&t, "%d", 1234);
    assert_true(t.full);
    assert_int_equal(t.len, 3);
    assert_int_equal(buf[4], GUARD);
}

static void words_end_at_blanks(void **state)
{
    static const char line[] = "one \t two";
    const char *rest = line;
    size_t len = strlen(line);

    (void)state;
    assert_int_equal(dialect_word(&rest, &len), 3);
    assert_int_equal(len, 3);
    assert_memory_equal(rest, "two", 3);
    assert_int_equal(dialect_word(&rest, &len), 3);
    assert_int_equal(len, 0);
    assert_int_equal(dialect_word(&rest, &len), 0);
    assert_true(dialect_is("QuIt", 4, "QUIT"));
    assert_false(dialect_is("QUI", 3, "QUIT"));
    assert_false(dialect_is("QUITX", 5, "QUIT"));
    assert_true(dialect_begins("quitx", 5, "QUIT"));
    assert_false(dialect_begins("qui", 3, "QUIT"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(imap_knows_its_commands_tags_and_literals),
        cmocka_unit_test(pop3_knows_its_commands),
        cmocka_unit_test(smtp_and_lmtp_know_their_commands),
        cmocka_unit_test(sieve_knows_its_commands_strings_and_literals),
        cmocka_unit_test(nntp_knows_its_commands),
        cmocka_unit_test(a_nul_ends_no_word),
        cmocka_unit_test(each_dialect_is_found_by_its_name),
        cmocka_unit_test(every_answer_has_its_code_and_ends_its_lines),
        cmocka_unit_test(an_unknown_command_gets_530_only_where_nothing_else_answers_before_tls),
        cmocka_unit_test(starttls_is_offered_only_if_there_is_tls),
        cmocka_unit_test(answers_are_as_the_protocols_want_them),
        cmocka_unit_test(the_own_greeting_holds_no_apop_timestamp),
        cmocka_unit_test(the_answer_to_the_longest_line_fits),
        cmocka_unit_test(imap_handlers_answers_are_edited),
        cmocka_unit_test(pop3_handlers_answers_are_edited),
        cmocka_unit_test(smtp_and_lmtp_handlers_answers_are_edited),
        cmocka_unit_test(sieve_handlers_answers_are_edited),
        cmocka_unit_test(nntp_handlers_answers_are_edited),
        cmocka_unit_test(preauth_is_told_apart),
        cmocka_unit_test(greetings_are_judged_when_they_are_whole),
        cmocka_unit_test(bytes_behind_a_greeting_are_not_used),
        cmocka_unit_test(what_is_said_stays_in_its_buffer),
        cmocka_unit_test(what_is_let_through_stays_in_its_buffer),
        cmocka_unit_test(text_takes_what_fits_and_nothing_after),
        cmocka_unit_test(words_end_at_blanks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
