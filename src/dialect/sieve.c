/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ManageSieve (RFC 5804). */
#include "dialect.h"

#include <string.h>

#define TAG_MAX 256 /* what NOOP may ask to hear again */

static const struct {
    const char *verb;
    enum command_kind kind;
} verbs[] = {
    {"CAPABILITY", COMMAND_CAPABILITY},
    {"STARTTLS", COMMAND_STARTTLS},
    {"LOGOUT", COMMAND_QUIT},
    {"NOOP", COMMAND_HARMLESS},
    {"AUTHENTICATE", COMMAND_MECHANISM},
    {"UNAUTHENTICATE", COMMAND_OTHER},
    {"HAVESPACE", COMMAND_OTHER},
    {"PUTSCRIPT", COMMAND_OTHER},
    {"LISTSCRIPTS", COMMAND_OTHER},
    {"SETACTIVE", COMMAND_OTHER},
    {"GETSCRIPT", COMMAND_OTHER},
    {"DELETESCRIPT", COMMAND_OTHER},
    {"RENAMESCRIPT", COMMAND_OTHER},
    {"CHECKSCRIPT", COMMAND_OTHER},
};

/* RFC 5804 section 4: a client's literal is {n+}, a server's is {n}. */
static enum command_kind literal(const char *line, size_t len)
{
    if (len < 3 || line[len - 1] != '}')
        return COMMAND_OTHER;
    bool unasked = line[len - 2] == '+';
    size_t end = len - (unasked ? 2 : 1);
    size_t start = end;
    while (start > 0 && line[start - 1] >= '0' && line[start - 1] <= '9')
        start--;
    if (start == end || start == 0 || line[start - 1] != '{')
        return COMMAND_OTHER;
    return unasked ? COMMAND_UNASKED : COMMAND_LITERAL;
}

/* The length of the quoted string at the start, with its quotes; 0 if there is none, or if it holds
 * what must not be. So what is sound can be said again as it is. */
static size_t quoted_length(const char *text, size_t len)
{
    if (len == 0 || text[0] != '"')
        return 0;
    for (size_t i = 1; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte == '"')
            return i + 1;
        if (byte < ' ' || byte == 0x7f)
            return 0;
        if (byte == '\\' && (++i == len || (text[i] != '"' && text[i] != '\\')))
            return 0;
    }
    return 0;
}

/* RFC 5804 section 2.1: the mechanism is a string; a bare word is taken too, to be judged. */
static void parse_mechanism(struct command *c)
{
    const char *rest = c->argument;
    size_t left = c->argument_len;
    size_t n = quoted_length(rest, left);

    if (n > 2) {
        c->mechanism = rest + 1;
        c->mechanism_len = n - 2;
    } else if (left > 0 && rest[0] != '"') {
        c->mechanism = rest;
        c->mechanism_len = dialect_word(&rest, &left);
    } else {
        c->kind = COMMAND_MALFORMED;
    }
}

static void parse(struct command *c, const char *line, size_t len)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);
    enum command_kind announced = literal(line, len);

    *c = (struct command){.kind = COMMAND_OTHER, .tag = "", .argument = rest, .argument_len = left};
    if (n == 0)
        c->kind = COMMAND_MALFORMED;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (dialect_is(line, n, verbs[i].verb)) {
            c->kind = verbs[i].kind;
            c->verb = verbs[i].verb;
        }
    }
    c->login = c->kind == COMMAND_MECHANISM;
    if (announced != COMMAND_OTHER)
        c->kind = announced;
    else if (c->kind == COMMAND_MECHANISM)
        parse_mechanism(c);
    else if (c->kind == COMMAND_HARMLESS && left > 0 &&
             (left > TAG_MAX || quoted_length(rest, left) != left))
        c->kind = COMMAND_MALFORMED;
}

/* RFC 5804 section 1.7. */
static void add_capabilities(struct text *out, const struct setting *s)
{
    text_format(out,
                "\"IMPLEMENTATION\" \"postern\"\r\n\"SIEVE\" \"\"\r\n\"SASL\" \"\"\r\n%s"
                "\"VERSION\" \"1.0\"\r\n",
                s->tls ? "\"STARTTLS\"\r\n" : "");
}

/* RFC 5804 section 1.3: the response codes. */
static void say(struct text *out, enum occasion occasion, const struct command *c,
                const struct setting *s)
{
    switch (occasion) {
    case SAY_GREETING:
        add_capabilities(out, s);
        text_format(out, "OK \"%s postern ready\"\r\n", s->host);
        break;
    case SAY_CAPABILITIES:
        add_capabilities(out, s);
        text_format(out, "OK \"Done\"\r\n");
        break;
    case SAY_DONE:
        text_format(out, "OK ");
        if (c != NULL && c->argument_len > 0) {
            text_format(out, "(TAG ");
            text_add(out, c->argument, c->argument_len);
            text_format(out, ") ");
        }
        text_format(out, "\"Done\"\r\n");
        break;
    case SAY_BYE:
        text_format(out, "OK \"%s closing connection\"\r\n", s->host);
        break;
    case SAY_BEGIN_TLS:
        text_format(out, "OK \"Begin TLS negotiation now\"\r\n");
        break;
    case SAY_NO_TLS:
        text_format(out, "NO (TRYLATER) \"TLS is not available now\"\r\n");
        break;
    case SAY_NEED_TLS:
        text_format(out, "NO (ENCRYPT-NEEDED) \"STARTTLS first\"\r\n");
        break;
    case SAY_NO_PASSWORD:
        text_format(out, "NO (ENCRYPT-NEEDED) \"No plaintext passwords without TLS\"\r\n");
        break;
    case SAY_MALFORMED:
        text_format(out, "NO \"Syntax error\"\r\n");
        break;
    case SAY_UNKNOWN:
        text_format(out, "NO \"Unknown command\"\r\n");
        break;
    case SAY_TOO_LONG:
        text_format(out, "BYE \"Line too long or malformed\"\r\n");
        break;
    case SAY_TOO_MANY:
        text_format(out, "BYE \"Too many commands before STARTTLS\"\r\n");
        break;
    case SAY_TIMEOUT:
        text_format(out, "BYE \"Timeout\"\r\n");
        break;
    case SAY_UNAVAILABLE:
        text_format(out, "BYE (TRYLATER) \"Service not available\"\r\n");
        break;
    case SAY_FULL:
        text_format(out, "BYE (TRYLATER) \"Too many connections\"\r\n");
        break;
    }
}

/* Rewrites a line "SASL" "mechanisms" without what is not allowed; it stays, as RFC 5804 wants. */
static void add_sasl(struct text *out, const char *value, size_t len, const struct setting *s)
{
    size_t n = quoted_length(value, len);

    text_format(out, "\"SASL\" \"");
    size_t start = out->len;
    if (n > 2 && dialect_add_mechanisms(out, value + 1, n - 2, s) > 0 && out->len > start) {
        out->len--; /* the blank before the first one */
        memmove(out->buf + start, out->buf + start + 1, out->len - start);
    }
    text_format(out, "\"\r\n");
}

/* One line of a list of capabilities. */
static void add_capability(struct text *out, const char *line, size_t len, const struct setting *s)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);

    if (dialect_is(line, n, "\"STARTTLS\""))
        return;
    if (!s->passwords && dialect_is(line, n, "\"SASL\"")) {
        add_sasl(out, rest, left, s);
        return;
    }
    text_add(out, line, len);
    text_add(out, "\r\n", 2);
}

/* Lines of strings come, then one that begins with OK, NO or BYE. A string that is sent as a literal
 * could hold any line at all: there is no need for one before the login. */
static enum reply_state reply(struct reply *r, const char *line, size_t len, struct text *out)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);
    bool ok = dialect_is(line, n, "OK");
    bool last = ok || dialect_is(line, n, "NO") || dialect_is(line, n, "BYE");
    bool capabilities =
        r->command->kind == COMMAND_GREETING || r->command->kind == COMMAND_CAPABILITY;

    r->lines++;
    if ((!last && (len == 0 || line[0] != '"')) || literal(line, len) != COMMAND_OTHER)
        return REPLY_BROKEN;
    if (capabilities && !last) {
        add_capability(out, line, len, r->setting);
        return REPLY_MORE;
    }
    if (capabilities && ok && r->setting->tls)
        text_format(out, "\"STARTTLS\"\r\n");
    text_add(out, line, len);
    text_add(out, "\r\n", 2);
    return last ? REPLY_LAST : REPLY_MORE;
}

/* RFC 5804 section 2.1: challenges are strings. */
static enum answer answer(const struct command *c, const char *line, size_t len)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);

    (void)c;
    if (dialect_is(line, n, "OK"))
        return ANSWER_YES;
    if (dialect_is(line, n, "NO") || dialect_is(line, n, "BYE") || n == 0)
        return ANSWER_NO;
    /* A literal's length comes on a line of its own. */
    return line[0] == '{' ? ANSWER_MORE : ANSWER_CHALLENGE;
}

const struct dialect dialect_sieve = {"sieve", "ManageSieve", "managesieve", parse,
                                      say,     reply,         answer,        NULL};
