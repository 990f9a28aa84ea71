/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SMTP and submission (RFC 5321, 3207, 4954), and LMTP (RFC 2033), which has LHLO in place of EHLO. */
#include "dialect/dialect.h"

#include <string.h>

static const struct word words[] = {
    {"HELO", COMMAND_HARMLESS}, {"NOOP", COMMAND_HARMLESS},     {"RSET", COMMAND_HARMLESS},
    {"QUIT", COMMAND_QUIT},     {"STARTTLS", COMMAND_STARTTLS}, {"AUTH", COMMAND_MECHANISM},
    {"MAIL", COMMAND_MAIL},     {"RCPT", COMMAND_OTHER},        {"DATA", COMMAND_DATA},
    {"BDAT", COMMAND_CHUNK},    {"VRFY", COMMAND_OTHER},        {"EXPN", COMMAND_OTHER},
    {"HELP", COMMAND_OTHER},    {"ETRN", COMMAND_OTHER},
};

static void parse(struct command *c, const char *line, size_t len, const char *hello,
                  const char *other_hello)
{
    size_t n = dialect_parse_verb(c, words, sizeof words / sizeof words[0], line, len);

    if (dialect_is(line, n, hello)) {
        c->kind = COMMAND_CAPABILITY;
        c->verb = hello;
    } else if (dialect_is(line, n, other_hello)) {
        c->verb = other_hello;
    }
    c->plain = c->verb != NULL && dialect_one_blank(line, n, c->argument, c->argument_len);
    if (c->kind == COMMAND_MECHANISM) {
        c->login = true;
        dialect_take_mechanism(c);
    }
}

static void parse_smtp(struct command *c, const char *line, size_t len)
{
    parse(c, line, len, "EHLO", "LHLO");
}

static void parse_lmtp(struct command *c, const char *line, size_t len)
{
    parse(c, line, len, "LHLO", "EHLO");
    /* LMTP has no HELO and EHLO (RFC 2033 section 4.1). */
    if (c->verb != NULL && (strcmp(c->verb, "HELO") == 0 || strcmp(c->verb, "EHLO") == 0)) {
        c->kind = COMMAND_OTHER;
        c->verb = NULL;
    }
}

/* The codes are those of RFC 3207 section 4, the enhanced ones those of RFC 3463. Without a handler 530 answers
 * almost every command. */
static const struct saying smtp_sayings[] = {
    {SAY_GREETING, NULL, "220 %h ESMTP postern\r\n"},
    {SAY_DONE, "HELO", "250 %h\r\n"},
    {SAY_UNKNOWN, NULL,
     "%~530 5.7.0 Must issue a STARTTLS command first%.%=500 5.5.1 Command unrecognized%.\r\n"},
    {SAY_FULL, NULL, NULL},
};

static const struct saying lmtp_sayings[] = {
    {SAY_GREETING, NULL, "220 %h LMTP postern\r\n"},
    {SAY_UNKNOWN, NULL, "500 5.5.1 Command unrecognized\r\n"},
    {SAY_FULL, NULL, NULL},
};

/* Texts of both SMTP and LMTP. */
static const struct saying sayings[] = {
    {SAY_CAPABILITIES, NULL,
     "250-%h\r\n%+250-ENHANCEDSTATUSCODES\r\n250 STARTTLS%.%-250 ENHANCEDSTATUSCODES%.\r\n"},
    {SAY_DONE, NULL, "250 2.0.0 OK\r\n"},
    {SAY_BYE, NULL, "221 2.0.0 %h closing connection\r\n"},
    {SAY_BEGIN_TLS, NULL, "220 2.0.0 Ready to start TLS\r\n"},
    {SAY_NO_TLS, NULL, "454 4.7.0 TLS not available due to temporary reason\r\n"},
    {SAY_NEED_TLS, NULL, "530 5.7.0 Must issue a STARTTLS command first\r\n"},
    {SAY_NO_PASSWORD, NULL,
     "538 5.7.11 Encryption required for requested authentication mechanism\r\n"},
    {SAY_MALFORMED, NULL, "501 5.5.4 Syntax error\r\n"},
    {SAY_TOO_LONG, NULL, "500 5.5.2 Line too long or malformed\r\n"},
    {SAY_TOO_MANY, NULL, "421 4.7.0 %h Too many commands before STARTTLS\r\n"},
    {SAY_TIMEOUT, NULL, "421 4.4.2 %h Timeout\r\n"},
    {SAY_UNAVAILABLE, NULL, "421 4.3.0 %h Service not available\r\n"},
    {SAY_FULL, NULL, "421 4.7.0 %h Too many connections\r\n"},
    {SAY_FULL, NULL, NULL},
};

/* True if a line is "250-" or "250 " and then this keyword. */
static bool keyword_is(const char *line, size_t len, const char *keyword)
{
    const char *rest = line + 4;
    size_t left = len - 4;
    size_t n = dialect_word(&rest, &left);

    return dialect_is(line + 4, n, keyword);
}

/* Adds one line of the answer to EHLO, without what is not allowed. The first line names the host. Later lines
 * without text are left out. */
static void add_extension(const struct reply *r, const char *line, size_t len, struct text *out)
{
    if (len <= 4 && r->lines > 1)
        return;
    if (r->lines > 1 && keyword_is(line, len, "STARTTLS"))
        return;
    if (r->lines > 1 && !r->setting->passwords && len > 8 &&
        dialect_begins(line + 4, len - 4, "AUTH") &&
        (line[8] == ' ' || line[8] == '=' || line[8] == '\t')) {
        /* "AUTH=" is for very old clients; it is not in RFC 4954 any more. */
        dialect_add_mechanism_line(out, line, 8, line + 9, len - 9, r->setting);
        return;
    }
    text_add(out, line, len);
    text_add(out, len == 3 ? " \r\n" : "\r\n", len == 3 ? 3 : 2);
}

/* Sets "-" behind the code of each line but the last one, since lines were added and removed. */
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

/* A line is three digits, then "-" if more lines follow (RFC 5321 section 4.2). */
static enum reply_state reply(struct reply *r, const char *line, size_t len, struct text *out)
{
    bool last = len == 3 || (len > 3 && line[3] == ' ');

    if (!dialect_has_code(line, len) || (!last && line[3] != '-'))
        return REPLY_BROKEN;
    r->lines++;
    if (r->command->kind != COMMAND_CAPABILITY || line[0] != '2') {
        text_add_line(out, line, len);
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

/* 334 is a challenge (RFC 4954 section 4). */
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

const struct dialect dialect_smtp = {
    .name = "smtp",
    .title = "SMTP",
    .alpn = "smtp,esmtp",
    .tabs = true,
    .sayings = smtp_sayings,
    .shared = sayings,
    .parse = parse_smtp,
    .response = dialect_base64_response,
    .cancel = "*\r\n",
    .reply = reply,
    .answer = answer,
    .greeting = greeting,
};

const struct dialect dialect_lmtp = {
    .name = "lmtp",
    .title = "LMTP",
    .alpn = "lmtp",
    .tabs = true,
    .sayings = lmtp_sayings,
    .shared = sayings,
    .parse = parse_lmtp,
    .response = dialect_base64_response,
    .cancel = "*\r\n",
    .reply = reply,
    .answer = answer,
    .greeting = greeting,
};
