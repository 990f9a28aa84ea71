/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POP3 (RFC 1939; 2449 CAPA, 2595 STLS, 5034 AUTH, 3206 response codes, 6856 LANG and UTF8). */
#include "dialect/dialect.h"

#include <string.h>

static const struct word words[] = {
    {"CAPA", COMMAND_CAPABILITY}, {"STLS", COMMAND_STARTTLS},  {"QUIT", COMMAND_QUIT},
    {"NOOP", COMMAND_HARMLESS},   {"USER", COMMAND_PASSWORD},  {"PASS", COMMAND_PASSWORD},
    {"APOP", COMMAND_MECHANISM},  {"AUTH", COMMAND_MECHANISM}, {"LANG", COMMAND_OTHER},
    {"UTF8", COMMAND_OTHER},      {"STAT", COMMAND_OTHER},     {"LIST", COMMAND_OTHER},
    {"UIDL", COMMAND_OTHER},      {"RETR", COMMAND_OTHER},     {"TOP", COMMAND_OTHER},
    {"DELE", COMMAND_OTHER},      {"RSET", COMMAND_OTHER},
};

static void parse(struct command *c, const char *line, size_t len)
{
    size_t n = dialect_parse_verb(c, words, sizeof words / sizeof words[0], line, len);

    if (c->verb == NULL)
        return;
    c->login = c->kind == COMMAND_PASSWORD || c->kind == COMMAND_MECHANISM;
    if (dialect_is(line, n, "APOP")) {
        c->mechanism = line;
        c->mechanism_len = n;
    } else if (c->kind == COMMAND_MECHANISM && c->argument_len > 0) {
        dialect_take_mechanism(c);
    } else if (c->kind == COMMAND_MECHANISM) {
        /* Some clients still send AUTH alone to get the list of mechanisms, as before RFC 5034. */
        c->kind = COMMAND_OTHER;
        c->login = false;
    }
}

/* RFC 3206: [AUTH] tells a client that another try with the same login would fail, too; [SYS/TEMP] that a later try
 * may succeed. */
static const struct saying sayings[] = {
    {SAY_GREETING, NULL, "+OK %h postern ready\r\n"},
    {SAY_CAPABILITIES, NULL,
     "+OK Capabilities follow\r\n%+STLS\r\n%.RESP-CODES\r\nAUTH-RESP-CODE\r\n"
     "IMPLEMENTATION postern\r\n.\r\n"},
    {SAY_DONE, NULL, "+OK\r\n"},
    {SAY_BYE, NULL, "+OK %h closing connection\r\n"},
    {SAY_BEGIN_TLS, NULL, "+OK Begin TLS negotiation now\r\n"},
    {SAY_NO_TLS, NULL, "-ERR [SYS/TEMP] TLS is not available now\r\n"},
    {SAY_NEED_TLS, "USER", "-ERR [AUTH] STLS first\r\n"},
    {SAY_NEED_TLS, "PASS", "-ERR [AUTH] STLS first\r\n"},
    {SAY_NEED_TLS, "APOP", "-ERR [AUTH] STLS first\r\n"},
    {SAY_NEED_TLS, "AUTH", "-ERR %?[AUTH] %.STLS first\r\n"},
    {SAY_NEED_TLS, NULL, "-ERR STLS first\r\n"},
    {SAY_NO_PASSWORD, NULL, "-ERR [AUTH] No plaintext passwords without TLS\r\n"},
    {SAY_MALFORMED, NULL, "-ERR Syntax error\r\n"},
    {SAY_UNKNOWN, NULL, "-ERR Unknown command\r\n"},
    {SAY_TOO_LONG, NULL, "-ERR Line too long or malformed\r\n"},
    {SAY_TOO_MANY, NULL, "-ERR Too many commands before STLS\r\n"},
    {SAY_TIMEOUT, NULL, "-ERR [SYS/TEMP] Timeout\r\n"},
    {SAY_UNAVAILABLE, NULL, "-ERR [SYS/TEMP] Service not available\r\n"},
    {SAY_FULL, NULL, "-ERR [SYS/TEMP] Too many connections\r\n"},
    {SAY_FULL, NULL, NULL},
};

/* Adds the greeting without its <timestamp>, which offers APOP (RFC 1939 section 7). The client would use this
 * timestamp after STLS, too, where another handler with another timestamp checks the login. */
static void add_greeting(struct text *out, const char *line, size_t len)
{
    size_t start = out->len;

    while (len > 0) {
        const char *open = memchr(line, '<', len);
        size_t before = open != NULL ? (size_t)(open - line) : len;
        const char *close = open != NULL ? memchr(open, '>', len - before) : NULL;
        if (close == NULL)
            break;
        size_t whole = (size_t)(close - line) + 1;
        text_add(out, line, before);
        line += whole;
        len -= whole;
        /* Removes one of the two blanks around the timestamp, and a blank at the end. */
        if ((len == 0 || line[0] == ' ') && out->len > start && out->buf[out->len - 1] == ' ')
            out->len--;
    }
    text_add_line(out, line, len);
}

/* Adds one line of the answer to CAPA, without what is not allowed. */
static void add_capability(struct text *out, const char *line, size_t len, const struct setting *s)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);

    if (dialect_is(line, n, "STLS"))
        return;
    if (!s->passwords && dialect_is(line, n, "USER"))
        return;
    if (!s->passwords && dialect_is(line, n, "SASL"))
        dialect_add_mechanism_line(out, line, n, rest, left, s);
    else
        text_add_line(out, line, len);
}

/* Adds one line of the answer to AUTH alone, the name of a mechanism, if it is allowed. */
static void add_mechanism(struct text *out, const char *line, size_t len, const struct setting *s)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);

    if (s->passwords || s->mechanism_ok(line, n))
        text_add_line(out, line, len);
}

/* True for commands before the login whose answer, if it is +OK, is a list that ends with a dot. */
static bool asks_for_list(const struct command *c)
{
    return c->kind == COMMAND_CAPABILITY ||
           (c->verb != NULL && c->argument_len == 0 &&
            (strcmp(c->verb, "AUTH") == 0 || strcmp(c->verb, "LANG") == 0));
}

static enum reply_state first_line(struct reply *r, const char *line, size_t len, struct text *out)
{
    const struct setting *s = r->setting;
    bool ok = dialect_begins(line, len, "+OK");

    if (!ok && !dialect_begins(line, len, "-ERR"))
        return REPLY_BROKEN;
    if (ok && r->command->kind == COMMAND_GREETING) {
        add_greeting(out, line, len);
    } else if (!ok && r->command->kind == COMMAND_CAPABILITY) {
        /* The handler does not know CAPA; the lobby answers, to offer STLS. */
        text_format(out, "+OK Capabilities follow\r\n%s%s.\r\n", s->passwords ? "USER\r\n" : "",
                    s->tls ? "STLS\r\n" : "");
    } else {
        text_add_line(out, line, len);
    }
    r->many = ok && asks_for_list(r->command);
    return r->many ? REPLY_MORE : REPLY_LAST;
}

static enum reply_state reply(struct reply *r, const char *line, size_t len, struct text *out)
{
    const struct command *c = r->command;

    if (r->lines++ == 0)
        return first_line(r, line, len, out);
    if (len == 1 && line[0] == '.') {
        if (c->kind == COMMAND_CAPABILITY && r->setting->tls)
            text_format(out, "STLS\r\n");
        text_format(out, ".\r\n");
        return REPLY_LAST;
    }
    if (c->kind == COMMAND_CAPABILITY)
        add_capability(out, line, len, r->setting);
    else if (strcmp(c->verb, "AUTH") == 0)
        add_mechanism(out, line, len, r->setting);
    else
        text_add_line(out, line, len);
    return REPLY_MORE;
}

/* +OK to USER is half of a login (RFC 1939 section 7). A single + is a challenge (RFC 5034). */
static enum answer answer(const struct command *c, const char *line, size_t len)
{
    if (dialect_begins(line, len, "+OK"))
        return c->verb != NULL && strcmp(c->verb, "USER") == 0 ? ANSWER_STEP : ANSWER_YES;
    return len > 0 && line[0] == '+' ? ANSWER_CHALLENGE : ANSWER_NO;
}

static enum greeting_verdict greeting(const char *bytes, size_t len, size_t *used)
{
    return dialect_greeting(bytes, len, used, "+OK");
}

const struct dialect dialect_pop3 = {
    .name = "pop3",
    .title = "POP3",
    .alpn = "pop3",
    .tabs = false,
    .sayings = sayings,
    .parse = parse,
    .response = dialect_base64_response,
    .cancel = "*\r\n",
    .reply = reply,
    .answer = answer,
    .greeting = greeting,
};
