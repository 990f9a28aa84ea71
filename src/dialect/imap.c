/* SPDX-License-Identifier: GPL-2.0-or-later */
/* IMAP (RFC 9051, RFC 3501). */
#include "dialect/dialect.h"

#include <string.h>

static const struct word words[] = {
    {"CAPABILITY", COMMAND_CAPABILITY},
    {"STARTTLS", COMMAND_STARTTLS},
    {"LOGOUT", COMMAND_QUIT},
    {"NOOP", COMMAND_HARMLESS},
    {"ID", COMMAND_HARMLESS},
    {"LOGIN", COMMAND_PASSWORD},
    {"AUTHENTICATE", COMMAND_MECHANISM},
    {"SELECT", COMMAND_OTHER},
    {"EXAMINE", COMMAND_OTHER},
    {"LIST", COMMAND_OTHER},
    {"STATUS", COMMAND_OTHER},
    {"APPEND", COMMAND_OTHER},
    {"ENABLE", COMMAND_OTHER},
    {"IDLE", COMMAND_OTHER},
    {"NAMESPACE", COMMAND_OTHER},
};

/* Returns the length of the tag; 0 if there is none. RFC 9051 section 9: tag = 1*<any ASTRING-CHAR except "+">. */
static size_t tag_length(const char *line, size_t len)
{
    size_t n = 0;

    while (n < len && line[n] > ' ' && line[n] < 0x7f && strchr("(){%*\"\\+", line[n]) == NULL)
        n++;
    return n;
}

/* Finds a literal: a line that ends in {n} or {n+} announces n bytes (RFC 9051 section 4.3, RFC 7888).
 * Returns COMMAND_LITERAL, COMMAND_UNASKED, or COMMAND_OTHER if there is none. */
static enum command_kind literal(const char *line, size_t len)
{
    size_t n = len;

    if (n < 3 || line[n - 1] != '}')
        return COMMAND_OTHER;
    n--;
    bool unasked = line[n - 1] == '+' || line[n - 1] == '-';
    if (unasked)
        n--;
    size_t digits = 0;
    while (n > digits && line[n - 1 - digits] >= '0' && line[n - 1 - digits] <= '9')
        digits++;
    if (digits == 0 || n == digits || line[n - 1 - digits] != '{')
        return COMMAND_OTHER;
    return unasked ? COMMAND_UNASKED : COMMAND_LITERAL;
}

static void parse(struct command *c, const char *line, size_t len)
{
    size_t tag = tag_length(line, len);

    *c = (struct command){.kind = COMMAND_MALFORMED, .tag = "*", .tag_len = 1};
    enum command_kind announced = literal(line, len);
    if (announced == COMMAND_UNASKED)
        c->kind = announced;
    if (tag == 0 || tag > DIALECT_TAG_MAX || tag >= len || line[tag] != ' ')
        return;
    c->tag = line;
    c->tag_len = tag;
    const char *verb = line + tag + 1;
    const char *rest = verb;
    size_t left = len - tag - 1;
    size_t n = dialect_word(&rest, &left);
    c->argument = rest;
    c->argument_len = left;
    if (n == 0)
        return;
    const struct word *word = dialect_find_word(words, sizeof words / sizeof words[0], verb, n);
    c->verb = word != NULL ? word->verb : NULL;
    c->kind = word != NULL ? word->kind : COMMAND_OTHER;
    c->plain = word != NULL && dialect_one_blank(verb, n, rest, left);
    if (c->kind == COMMAND_MECHANISM)
        dialect_take_mechanism(c);
    if (c->kind == COMMAND_MECHANISM && c->mechanism_len == 0)
        c->kind = COMMAND_MALFORMED;
    c->login = c->kind == COMMAND_PASSWORD || c->kind == COMMAND_MECHANISM;
    if (announced != COMMAND_OTHER)
        c->kind = announced;
}

/* The lists of capabilities name only commands that the lobby itself answers. */
static const struct saying sayings[] = {
    {SAY_GREETING, NULL,
     "* OK [CAPABILITY IMAP4rev1 ID%+ STARTTLS%. LOGINDISABLED] %h postern ready\r\n"},
    {SAY_CAPABILITIES, NULL,
     "* CAPABILITY IMAP4rev1 ID%+ STARTTLS%. LOGINDISABLED\r\n%t OK Done\r\n"},
    {SAY_DONE, "ID", "* ID NIL\r\n%t OK Done\r\n"},
    {SAY_DONE, NULL, "%t OK Done\r\n"},
    {SAY_BYE, NULL, "* BYE %h closing connection\r\n%t OK Done\r\n"},
    {SAY_BEGIN_TLS, NULL, "%t OK Begin TLS negotiation now\r\n"},
    {SAY_NO_TLS, NULL, "%t NO [UNAVAILABLE] TLS is not available now\r\n"},
    {SAY_NEED_TLS, NULL, "%t NO [PRIVACYREQUIRED] STARTTLS first\r\n"},
    {SAY_NO_PASSWORD, NULL, "%t NO [PRIVACYREQUIRED] No plaintext passwords without TLS\r\n"},
    {SAY_MALFORMED, NULL, "%t BAD Syntax error\r\n"},
    {SAY_UNKNOWN, NULL, "%t BAD Unknown command\r\n"},
    {SAY_TOO_LONG, NULL, "* BYE Line too long or malformed\r\n"},
    {SAY_TOO_MANY, NULL, "* BYE Too many commands before STARTTLS\r\n"},
    {SAY_TIMEOUT, NULL, "* BYE Timeout\r\n"},
    {SAY_UNAVAILABLE, NULL, "* BYE [UNAVAILABLE] Service not available\r\n"},
    {SAY_FULL, NULL, "* BYE [UNAVAILABLE] Too many connections\r\n"},
    {SAY_FULL, NULL, NULL},
};

/* Copies a list of capabilities. Leaves out what is not allowed, adds STARTTLS and LOGINDISABLED. */
static void edit_capabilities(struct text *out, const char *list, size_t len,
                              const struct setting *s)
{
    while (len > 0) {
        const char *word = list;
        size_t n = dialect_word(&list, &len);
        /* The lobby takes no literals (RFC 7888). */
        if (n == 0 || dialect_is(word, n, "STARTTLS") || dialect_begins(word, n, "LITERAL"))
            continue;
        if (!s->passwords && dialect_is(word, n, "LOGINDISABLED"))
            continue;
        if (!s->passwords && dialect_begins(word, n, "AUTH=") && !s->mechanism_ok(word + 5, n - 5))
            continue;
        text_add(out, " ", 1);
        text_add(out, word, n);
    }
    if (s->tls)
        text_format(out, " STARTTLS");
    if (!s->passwords)
        text_format(out, " LOGINDISABLED");
}

/* Finds the list of capabilities in a line: behind "* CAPABILITY", or in a response code "[CAPABILITY …]".
 * Returns false if there is none. */
static bool find_capabilities(const char *line, size_t len, size_t *start, size_t *end)
{
    static const char untagged[] = "* CAPABILITY", code[] = "[CAPABILITY ";

    if (dialect_begins(line, len, untagged)) {
        *start = sizeof untagged - 1;
        *end = len;
        return true;
    }
    /* A bracket begins a response code only behind "* OK " or "tag OK ". */
    const char *bracket = memchr(line, '[', len);
    if (bracket == NULL)
        return false;
    size_t at = (size_t)(bracket - line);
    if (at < 4 || !dialect_begins(bracket - 4, 4, " OK "))
        return false;
    if (!dialect_begins(bracket, len - at, code))
        return false;
    const char *close = memchr(bracket, ']', len - at);
    if (close == NULL)
        return false;
    *start = at + sizeof code - 2;
    *end = (size_t)(close - line);
    return true;
}

static enum reply_state reply(struct reply *r, const char *line, size_t len, struct text *out)
{
    const struct command *c = r->command;
    bool greeting = c->kind == COMMAND_GREETING;
    bool untagged = dialect_begins(line, len, "* ");
    bool tagged = !greeting && len > c->tag_len && memcmp(line, c->tag, c->tag_len) == 0 &&
                  line[c->tag_len] == ' ';
    size_t start, end;

    r->lines++;
    if (!untagged && !tagged)
        return REPLY_BROKEN;
    if (dialect_begins(line, len, "* PREAUTH")) {
        r->preauth = true;
        return REPLY_BROKEN;
    }
    if (find_capabilities(line, len, &start, &end)) {
        text_add(out, line, start);
        edit_capabilities(out, line + start, end - start, r->setting);
        text_add_line(out, line + end, len - end);
    } else {
        text_add_line(out, line, len);
    }
    return tagged || greeting ? REPLY_LAST : REPLY_MORE;
}

/* Untagged lines come first, + is a challenge, the tagged line decides (RFC 9051 sections 2.2.1 and 7). */
static enum answer answer(const struct command *c, const char *line, size_t len)
{
    if (dialect_begins(line, len, "* "))
        return ANSWER_MORE;
    if (len > 0 && line[0] == '+')
        return ANSWER_CHALLENGE;
    bool tagged = len > c->tag_len + 1 && memcmp(line, c->tag, c->tag_len) == 0;
    if (tagged && dialect_begins(line + c->tag_len, len - c->tag_len, " OK"))
        return ANSWER_YES;
    return ANSWER_NO;
}

static enum greeting_verdict greeting(const char *bytes, size_t len, size_t *used)
{
    enum greeting_verdict verdict = dialect_greeting(bytes, len, used, "* OK");

    if (verdict == GREETING_ANSWER && dialect_begins(bytes, *used, "* PREAUTH"))
        return GREETING_REFUSE;
    return verdict;
}

const struct dialect dialect_imap = {
    .name = "imap",
    .title = "IMAP",
    .alpn = "imap",
    .tabs = false,
    .sayings = sayings,
    .parse = parse,
    .response = dialect_base64_response,
    .cancel = "*\r\n",
    .reply = reply,
    .answer = answer,
    .greeting = greeting,
};
