/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SMTP and submission (RFC 5321, 3207, 4954), and LMTP (RFC 2033), which differs in a word. */
#include "dialect.h"

#include <string.h>

static const struct {
    const char *verb;
    enum command_kind kind;
} verbs[] = {
    {"HELO", COMMAND_HARMLESS}, {"NOOP", COMMAND_HARMLESS},     {"RSET", COMMAND_HARMLESS},
    {"QUIT", COMMAND_QUIT},     {"STARTTLS", COMMAND_STARTTLS}, {"AUTH", COMMAND_MECHANISM},
    {"MAIL", COMMAND_LEAVE},    {"RCPT", COMMAND_OTHER},        {"DATA", COMMAND_OTHER},
    {"BDAT", COMMAND_UNASKED},  {"VRFY", COMMAND_OTHER},        {"EXPN", COMMAND_OTHER},
    {"HELP", COMMAND_OTHER},    {"ETRN", COMMAND_OTHER},
};

static void parse(struct command *c, const char *line, size_t len, const char *hello,
                  const char *other_hello)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);

    *c = (struct command){.kind = COMMAND_OTHER, .tag = "", .argument = rest, .argument_len = left};
    if (n == 0)
        c->kind = COMMAND_MALFORMED;
    if (dialect_is(line, n, hello)) {
        c->kind = COMMAND_CAPABILITY;
        c->verb = hello;
    } else if (dialect_is(line, n, other_hello)) {
        c->verb = other_hello;
    }
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (c->verb == NULL && dialect_is(line, n, verbs[i].verb)) {
            c->kind = verbs[i].kind;
            c->verb = verbs[i].verb;
        }
    }
    if (c->kind == COMMAND_MECHANISM) {
        c->mechanism = rest;
        c->mechanism_len = dialect_word(&rest, &left);
    }
}

static void parse_smtp(struct command *c, const char *line, size_t len)
{
    parse(c, line, len, "EHLO", "LHLO");
}

static void parse_lmtp(struct command *c, const char *line, size_t len)
{
    parse(c, line, len, "LHLO", "EHLO");
    /* RFC 2033 section 4.1: HELO and EHLO are not known here. */
    if (c->verb != NULL && (strcmp(c->verb, "HELO") == 0 || strcmp(c->verb, "EHLO") == 0)) {
        c->kind = COMMAND_OTHER;
        c->verb = NULL;
    }
}

/* RFC 3207 section 4: the codes; RFC 3463: the enhanced ones. */
static void say(struct text *out, enum occasion occasion, const struct setting *s,
                const char *protocol)
{
    switch (occasion) {
    case SAY_GREETING:
        text_format(out, "220 %s %s postern\r\n", s->host, protocol);
        break;
    case SAY_CAPABILITIES:
        text_format(out, "250-%s\r\n%s", s->host,
                    s->tls ? "250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n"
                           : "250 ENHANCEDSTATUSCODES\r\n");
        break;
    case SAY_DONE:
        text_format(out, "250 2.0.0 OK\r\n");
        break;
    case SAY_BYE:
        text_format(out, "221 2.0.0 %s closing connection\r\n", s->host);
        break;
    case SAY_BEGIN_TLS:
        text_format(out, "220 2.0.0 Ready to start TLS\r\n");
        break;
    case SAY_NO_TLS:
        text_format(out, "454 4.7.0 TLS not available due to temporary reason\r\n");
        break;
    case SAY_NEED_TLS:
        text_format(out, "530 5.7.0 Must issue a STARTTLS command first\r\n");
        break;
    case SAY_NO_PASSWORD:
        text_format(out,
                    "538 5.7.11 Encryption required for requested authentication mechanism\r\n");
        break;
    case SAY_MALFORMED:
        text_format(out, "501 5.5.4 Syntax error\r\n");
        break;
    case SAY_UNKNOWN:
        text_format(out, "500 5.5.1 Command unrecognized\r\n");
        break;
    case SAY_TOO_LONG:
        text_format(out, "500 5.5.2 Line too long or malformed\r\n");
        break;
    case SAY_TOO_MANY:
        text_format(out, "421 4.7.0 %s Too many commands before STARTTLS\r\n", s->host);
        break;
    case SAY_TIMEOUT:
        text_format(out, "421 4.4.2 %s Timeout\r\n", s->host);
        break;
    case SAY_UNAVAILABLE:
        text_format(out, "421 4.3.0 %s Service not available\r\n", s->host);
        break;
    case SAY_FULL:
        text_format(out, "421 4.7.0 %s Too many connections\r\n", s->host);
        break;
    }
}

static void say_smtp(struct text *out, enum occasion occasion, const struct command *c,
                     const struct setting *s)
{
    /* RFC 3207 section 4: 530 to every command but a few. */
    if (occasion == SAY_UNKNOWN)
        occasion = SAY_NEED_TLS;
    if (occasion == SAY_DONE && c != NULL && c->verb != NULL && strcmp(c->verb, "HELO") == 0)
        text_format(out, "250 %s\r\n", s->host);
    else
        say(out, occasion, s, "ESMTP");
}

static void say_lmtp(struct text *out, enum occasion occasion, const struct command *c,
                     const struct setting *s)
{
    (void)c;
    say(out, occasion, s, "LMTP");
}

/* "250-" or "250 " and a keyword that is an extension of its own. */
static bool keyword_is(const char *line, size_t len, const char *keyword)
{
    const char *rest = line + 4;
    size_t left = len - 4;
    size_t n = dialect_word(&rest, &left);

    return dialect_is(line + 4, n, keyword);
}

/* Rewrites an AUTH line without what is not allowed; nothing is left of it if all is forbidden.
 * "AUTH=" is what some servers say for very old clients (RFC 4954 has it no more). */
static void add_auth(struct text *out, const char *line, size_t len, const struct setting *s)
{
    size_t before = out->len;

    text_add(out, line, 8);
    if (dialect_add_mechanisms(out, line + 9, len - 9, s) == 0)
        out->len = before;
    else
        text_add(out, "\r\n", 2);
}

/* One line of the answer to EHLO; the first one names the host. A code without text says nothing. */
static void add_extension(const struct reply *r, const char *line, size_t len, struct text *out)
{
    if (len <= 4 && r->lines > 1)
        return;
    if (r->lines > 1 && keyword_is(line, len, "STARTTLS"))
        return;
    if (r->lines > 1 && !r->setting->passwords && len > 8 &&
        dialect_begins(line + 4, len - 4, "AUTH") &&
        (line[8] == ' ' || line[8] == '=' || line[8] == '\t')) {
        add_auth(out, line, len, r->setting);
        return;
    }
    text_add(out, line, len);
    text_add(out, len == 3 ? " \r\n" : "\r\n", len == 3 ? 3 : 2);
}

/* Lines have come and gone: all but the last one say that more follow. */
static void mark_last(struct text *out)
{
    size_t start = 0;

    for (size_t i = 0; i + 1 < out->len; i++) {
        if (i == start + 3)
            out->buf[i] = '-';
        if (out->buf[i] == '\n')
            start = i + 1;
    }
    if (out->len > start + 3)
        out->buf[start + 3] = ' ';
}

/* RFC 5321 section 4.2: three digits, then "-" if more lines come. */
static enum reply_state reply(struct reply *r, const char *line, size_t len, struct text *out)
{
    bool three = len >= 3;
    for (size_t i = 0; i < 3 && three; i++)
        three = line[i] >= '0' && line[i] <= '9';
    bool last = three && (len == 3 || line[3] == ' ');

    if (!three || (!last && line[3] != '-'))
        return REPLY_BROKEN;
    r->lines++;
    if (r->command->kind != COMMAND_CAPABILITY || line[0] != '2') {
        text_add(out, line, len);
        text_add(out, "\r\n", 2);
        return last ? REPLY_LAST : REPLY_MORE;
    }
    add_extension(r, line, len, out);
    if (!last)
        return REPLY_MORE;
    if (r->setting->tls)
        text_format(out, "250-STARTTLS\r\n");
    mark_last(out);
    return REPLY_LAST;
}

/* RFC 4954 section 4: 334 is a challenge. */
static enum answer answer(const struct command *c, const char *line, size_t len)
{
    (void)c;
    if (dialect_begins(line, len, "334"))
        return ANSWER_CHALLENGE;
    return len > 0 && (line[0] == '2' || line[0] == '3') ? ANSWER_YES : ANSWER_NO;
}

static enum greeting_verdict greeting(const char *bytes, size_t len, size_t *used)
{
    size_t at = 0;

    for (;;) {
        const char *end = memchr(bytes + at, '\n', len - at);
        if (end == NULL)
            return GREETING_MORE;
        size_t next = (size_t)(end - bytes) + 1;
        if (next - at < 5 || bytes[at + 3] != '-') {
            *used = next;
            return bytes[0] == '2' ? GREETING_SWALLOW : GREETING_ANSWER;
        }
        at = next;
    }
}

const struct dialect dialect_smtp = {"smtp",   "SMTP", "smtp,esmtp", parse_smtp,
                                     say_smtp, reply,  answer,       greeting};
const struct dialect dialect_lmtp = {"lmtp",   "LMTP", "lmtp", parse_lmtp,
                                     say_lmtp, reply,  answer, greeting};
