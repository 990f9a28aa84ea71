/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a client's line, and behind its LF what a handler sends, for one dialect, that of
 * -DFUZZ_DIALECT=dialect_pop3 or another. */
#include "common.h"

#include "dialect/dialect.h"

#include <stdlib.h>
#include <string.h>

#ifndef FUZZ_DIALECT
#define FUZZ_DIALECT dialect_imap
#endif

#define LINE_MAX 998 /* without its line end: longer ones never reach a dialect */
#define SAY_MAX 1024
#define REPLY_MAX 9216

static const struct dialect *const dialect = &FUZZ_DIALECT;

static bool is_challenge(const char *name, size_t len)
{
    return dialect_begins(name, len, "SCRAM-") || dialect_is(name, len, "CRAM-MD5") ||
           dialect_is(name, len, "APOP");
}

static bool is_dialect(const char *name)
{
    return strcmp(dialect->name, name) == 0;
}

/* True if the bytes lie in the line. */
static bool lies_in(const char *bytes, size_t bytes_len, const char *line, size_t len)
{
    return bytes >= line && bytes <= line + len && bytes_len <= (size_t)(line + len - bytes);
}

static void check_command(const struct command *c, const char *line, size_t len)
{
    CHECK(c->kind > COMMAND_GREETING && c->kind <= COMMAND_UNASKED);
    CHECK(c->tag != NULL && c->tag_len <= len + 1);
    CHECK(c->argument_len == 0 || lies_in(c->argument, c->argument_len, line, len));
    CHECK(c->kind != COMMAND_MECHANISM || lies_in(c->mechanism, c->mechanism_len, line, len));
    CHECK(c->verb == NULL || strlen(c->verb) < 40);
}

/* CR LF only in pairs, no other control character but tab, and the end of a line at the end. */
static void check_lines(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        CHECK(byte != '\r' || (i + 1 < len && text[i + 1] == '\n'));
        CHECK(byte != '\n' || (i > 0 && text[i - 1] == '\r'));
        CHECK(byte >= ' ' || byte == '\r' || byte == '\n' || byte == '\t');
    }
    CHECK(len >= 2 && text[len - 1] == '\n');
}

/* The next line of a text, without its line end; false at its end. */
static bool next_line(const char **text, size_t *len, const char **line, size_t *line_len)
{
    const char *lf = *len > 0 ? memchr(*text, '\n', *len) : NULL;

    if (lf == NULL)
        return false;
    *line = *text;
    *line_len = (size_t)(lf - *text);
    *text = lf + 1;
    *len -= *line_len + 1;
    if (*line_len > 0 && (*line)[*line_len - 1] == '\r')
        --*line_len;
    return true;
}

/* How often a line of a list of capabilities offers TLS. */
static unsigned offers(const char *line, size_t len)
{
    const char *word = line;
    unsigned count = 0;
    bool smtp = is_dialect("smtp") || is_dialect("lmtp");
    const char *offer = is_dialect("pop3")    ? "STLS"
                        : is_dialect("sieve") ? "\"STARTTLS\""
                                              : "STARTTLS";

    if (smtp) {
        word += len < 4 ? len : 4;
        len -= len < 4 ? len : 4;
    }
    do {
        const char *start = word;
        size_t n = dialect_word(&word, &len);
        count += dialect_is(start, n, offer);
    } while (is_dialect("imap") && len > 0);
    return count;
}

/* In a whole answer to a COMMAND_CAPABILITY, TLS is offered once if there is TLS, else never. */
static void check_offer(const char *text, size_t len, const struct setting *s)
{
    const char *line;
    size_t line_len;
    unsigned count = 0, expected = s->tls ? 1 : 0;
    bool imap = is_dialect("imap"), smtp = is_dialect("smtp") || is_dialect("lmtp");

    for (unsigned number = 0; next_line(&text, &len, &line, &line_len); number++) {
        if (imap && dialect_begins(line, line_len, "* CAPABILITY"))
            CHECK(offers(line, line_len) == expected);
        else if (smtp && dialect_begins(line, line_len, "2"))
            count += number > 0 ? offers(line, line_len) : 0;
        else if (smtp)
            return; /* a refusal */
        else
            count += offers(line, line_len);
        if ((number == 0 && is_dialect("pop3") && !dialect_begins(line, line_len, "+OK")) ||
            (number == 0 && is_dialect("nntp") && !dialect_begins(line, line_len, "101")) ||
            (is_dialect("sieve") &&
             (dialect_begins(line, line_len, "NO") || dialect_begins(line, line_len, "BYE"))))
            return;
    }
    CHECK(imap || count == expected);
}

static void try_say(enum occasion occasion, const struct command *c, const struct setting *s)
{
    char *room = malloc(SAY_MAX);
    CHECK(room != NULL);
    struct text out = {.buf = room, .size = SAY_MAX};

    dialect_say(dialect, &out, occasion, c, s);
    CHECK(!out.full);
    check_lines(room, out.len);
    if (occasion == SAY_CAPABILITIES)
        check_offer(room, out.len, s);
    free(room);
}

static void try_sayings(const struct command *c, const struct setting *s)
{
    try_say(SAY_MALFORMED, c, s);
    try_say(SAY_NEED_TLS, c, s);
    try_say(SAY_UNKNOWN, c, s);
    switch (c->kind) {
    case COMMAND_CAPABILITY:
        try_say(SAY_CAPABILITIES, c, s);
        break;
    case COMMAND_STARTTLS:
        try_say(SAY_BEGIN_TLS, c, s);
        try_say(SAY_NO_TLS, c, s);
        break;
    case COMMAND_QUIT:
        try_say(SAY_BYE, c, s);
        break;
    case COMMAND_HARMLESS:
        try_say(SAY_DONE, c, s);
        break;
    case COMMAND_PASSWORD:
    case COMMAND_MECHANISM:
        try_say(SAY_NO_PASSWORD, c, s);
        break;
    default:
        break;
    }
}

/* Feeds lines as the lobby does, into a buffer of REPLY_MAX. */
static enum reply_state feed(const struct command *c, const struct setting *s, const char *bytes,
                             size_t len, struct text *out)
{
    struct reply r = {.setting = s, .command = c};
    enum reply_state state = REPLY_MORE;
    const char *line;
    size_t line_len;

    while (state == REPLY_MORE && !out->full && next_line(&bytes, &len, &line, &line_len)) {
        char *copy = fuzz_copy(line, line_len);
        state = dialect->reply(&r, copy, line_len, out);
        free(copy);
        CHECK(state <= REPLY_BROKEN && out->len <= out->size);
        CHECK(out->full || state == REPLY_BROKEN || out->len == 0 ||
              out->buf[out->len - 1] == '\n');
    }
    return state;
}

/* An answer that has been edited has nothing in it to be edited once more. */
static void try_reply(const struct command *c, const struct setting *s, const char *bytes,
                      size_t len)
{
    char *once = malloc(REPLY_MAX), *twice = malloc(REPLY_MAX);
    CHECK(once != NULL && twice != NULL);
    struct text first = {.buf = once, .size = REPLY_MAX};
    struct text second = {.buf = twice, .size = REPLY_MAX};

    if (feed(c, s, bytes, len, &first) == REPLY_LAST && !first.full) {
        CHECK(first.len >= 2 && once[first.len - 1] == '\n' && once[first.len - 2] == '\r');
        if (c->kind == COMMAND_CAPABILITY)
            check_offer(once, first.len, s);
        CHECK(feed(c, s, once, first.len, &second) == REPLY_LAST || second.full);
        CHECK(second.full || (second.len == first.len && memcmp(once, twice, first.len) == 0));
    }
    free(once);
    free(twice);
}

/* No part of a greeting is taken for a whole one, and nothing behind it for a part of it. */
static void try_greeting(const char *bytes, size_t len)
{
    size_t used = 0;

    if (dialect->greeting == NULL)
        return;
    enum greeting_verdict verdict = dialect->greeting(bytes, len, &used);
    if (verdict == GREETING_MORE) {
        CHECK(used == 0);
        return;
    }
    CHECK(used > 0 && used <= len && bytes[used - 1] == '\n');
    for (size_t n = used; n + 5 > used; n--) {
        size_t part_used = 0;
        char *part = fuzz_copy(bytes, n);
        enum greeting_verdict part_verdict = dialect->greeting(part, n, &part_used);
        CHECK(n == used ? part_verdict == verdict && part_used == used
                        : part_verdict == GREETING_MORE);
        free(part);
        if (n == 0)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct command connection = {.kind = COMMAND_GREETING, .tag = ""};
    const char *bytes = (const char *)data;
    const char *line = bytes;
    size_t line_len = 0;
    struct command c;

    if (!next_line(&bytes, &size, &line, &line_len) || line_len > LINE_MAX)
        return 0;
    char *client = fuzz_copy(line, line_len);
    char *handler = fuzz_copy(bytes, size);
    memset(&c, 0xa5, sizeof c);
    dialect->parse(&c, client, line_len);
    check_command(&c, client, line_len);
    for (unsigned i = 0; i < 4; i++) {
        const struct setting s = {.host = "mail.example.org",
                                  .tls = (i & 1) != 0,
                                  .passwords = (i & 2) != 0,
                                  .handler = true,
                                  .mechanism_ok = is_challenge};
        try_sayings(&c, &s);
        try_reply(&connection, &s, handler, size);
        try_reply(&c, &s, handler, size);
    }
    try_greeting(handler, size);
    free(client);
    free(handler);
    return 0;
}
