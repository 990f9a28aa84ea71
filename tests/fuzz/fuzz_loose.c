/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a byte that chooses a dialect, then a client's line, as the policy auth gets it. A second
 * reader is as loose as the loosest of mail daemons; what it takes for a login with a password, the
 * lobby must not pass to the handler. */
#include "common.h"

#include "start/policy.h"
#include "gate/ruling.h"

#include <stdlib.h>
#include <string.h>

#define LINE_MAX 998
#define WORDS_MAX 4
#define WORD_MAX 40

/* The first words of a line, in capitals, without quotes, brackets and backslashes. */
struct loose {
    char words[WORDS_MAX][WORD_MAX];
    size_t count;
};

static bool is_loose_blank(unsigned char byte)
{
    return byte <= ' ' || byte == 0x7f || byte == 0xa0;
}

static bool is_dropped(unsigned char byte)
{
    return strchr("\"'\\(){}<>[]*%", byte) != NULL && byte != '\0';
}

/* Any control character is a blank, and blanks at the start mean nothing (folded lines). */
static void read_loosely(struct loose *l, const char *line, size_t len)
{
    bool in_word = false;
    size_t n = 0;

    memset(l, 0, sizeof *l);
    for (size_t i = 0; i < len && l->count <= WORDS_MAX; i++) {
        unsigned char byte = (unsigned char)line[i];
        if (is_loose_blank(byte)) {
            in_word = false;
            continue;
        }
        if (!in_word) {
            if (++l->count > WORDS_MAX)
                break;
            in_word = true;
            n = 0;
        }
        if (!is_dropped(byte) && n + 1 < WORD_MAX)
            l->words[l->count - 1][n++] =
                (char)(byte >= 'a' && byte <= 'z' ? byte - ('a' - 'A') : byte);
    }
    if (l->count > WORDS_MAX)
        l->count = WORDS_MAX;
}

static bool word_is(const struct loose *l, size_t i, const char *name)
{
    return i < l->count && strcmp(l->words[i], name) == 0;
}

/* True for a mechanism by which no reusable password is shown: said here a second time, on purpose. */
static bool is_challenge(const char *name)
{
    static const char *const starts[] = {"SCRAM-", "GS2-", "SRP"};
    static const char *const names[] = {"CRAM-MD5",   "DIGEST-MD5", "APOP",      "NTLM", "GSSAPI",
                                        "GSS-SPNEGO", "EXTERNAL",   "ANONYMOUS", "OTP",  "SKEY"};

    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (strncmp(name, starts[i], strlen(starts[i])) == 0)
            return true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool shows_password_by_mechanism(const struct loose *l, size_t at)
{
    return at < l->count && !is_challenge(l->words[at]);
}

/* What the loosest reader of this protocol takes for a login that shows a password. */
static bool is_loose_login(const struct dialect *d, const struct loose *l)
{
    if (strcmp(d->name, "imap") == 0)
        return word_is(l, 1, "LOGIN") ||
               (word_is(l, 1, "AUTHENTICATE") && shows_password_by_mechanism(l, 2));
    if (strcmp(d->name, "pop3") == 0)
        return word_is(l, 0, "USER") || word_is(l, 0, "PASS") ||
               (word_is(l, 0, "AUTH") && shows_password_by_mechanism(l, 1));
    if (strcmp(d->name, "sieve") == 0)
        return word_is(l, 0, "AUTHENTICATE") && shows_password_by_mechanism(l, 1);
    if (strcmp(d->name, "nntp") == 0)
        return word_is(l, 0, "AUTHINFO") &&
               (!word_is(l, 1, "SASL") || shows_password_by_mechanism(l, 2));
    return word_is(l, 0, "AUTH") && shows_password_by_mechanism(l, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dialect *const dialects[] = {&dialect_imap, &dialect_pop3,  &dialect_smtp,
                                                     &dialect_lmtp, &dialect_sieve, &dialect_nntp};
    struct setting s = {.host = "mail.example.org",
                        .tls = true,
                        .handler = true,
                        .mechanism_ok = policy_is_challenge};
    struct command c;
    struct loose loose;

    if (size < 1 || size - 1 > LINE_MAX || memchr(data + 1, '\n', size - 1) != NULL)
        return 0;
    const struct dialect *d = dialects[(data[0] & 0x7f) % 6];
    s.mail = (data[0] & 0x80) != 0;
    size_t len = size - 1;
    char *line = fuzz_copy((const char *)data + 1, len);
    d->parse(&c, line, len);
    struct ruling ruling = ruling_of(d, &s, &c, line, len);
    CHECK(ruling.kind <= RULING_CLOSE);
    read_loosely(&loose, line, len);
    if (is_loose_login(d, &loose))
        CHECK(ruling.kind != RULING_PASS && ruling.kind != RULING_TRY &&
              ruling.kind != RULING_LEAVE);
    if (ruling.kind == RULING_PASS || ruling.kind == RULING_TRY || ruling.kind == RULING_LEAVE)
        CHECK(c.verb != NULL && c.plain && !dialect_has_control(d, line, len));
    free(line);
    return 0;
}
