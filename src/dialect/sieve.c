/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ManageSieve (RFC 5804). */
#include "dialect/dialect.h"

#include <string.h>

#define TAG_MAX 256 /* bytes of the string that the answer to NOOP repeats */

static const struct word words[] = {
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

/* Finds a literal at the end of a line: a client's is {n+}, a server's is {n} (RFC 5804 section 4).
 * Returns COMMAND_UNASKED, COMMAND_LITERAL, or COMMAND_OTHER if there is none. */
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

/* Returns the length of the quoted string at the start, with its quotes. Returns 0 if there is none or if it is
 * malformed. A well-formed one may be sent back unchanged. */
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

/* True for a quoted string of base64, or of a star, which cancels (RFC 5804 section 2.1). */
static bool is_response(const char *text, size_t len)
{
    size_t ignored;

    return len >= 2 && text[0] == '"' && text[len - 1] == '"' &&
           dialect_base64_response(text + 1, len - 2, &ignored);
}

/* Accepts a literal as well as a string: its text follows in a line of its own. */
static bool response(const char *line, size_t len, size_t *announced)
{
    *announced = 0;
    if (is_response(line, len))
        return true;
    if (len < 4 || len > 9 || line[0] != '{' || memcmp(line + len - 2, "+}", 2) != 0)
        return false;
    for (size_t i = 1; i < len - 2; i++) {
        if (line[i] < '0' || line[i] > '9')
            return false;
        *announced = *announced * 10 + (size_t)(line[i] - '0');
    }
    return *announced > 0;
}

/* Reads a mechanism and perhaps an initial response, both strings (RFC 5804 section 2.1). Reads a mechanism without
 * quotes, too, so that the policy sees it, but clears c->plain. */
static void parse_mechanism(struct command *c)
{
    const char *rest = c->argument;
    size_t left = c->argument_len;
    size_t n = quoted_length(rest, left);
    bool bare = n == 0 && left > 0 && rest[0] != '"';

    if (bare)
        n = dialect_word(&rest, &left);
    c->mechanism = c->argument + (bare ? 0 : 1);
    c->mechanism_len = bare ? n : n > 2 ? n - 2 : 0;
    if (c->mechanism_len == 0) {
        c->kind = COMMAND_MALFORMED;
        return;
    }
    const char *first = c->argument + n;
    size_t first_len = c->argument_len - n;
    bool sound = first_len == 0 || (first_len > 2 && first[0] == ' ' && first[1] == '"' &&
                                    is_response(first + 1, first_len - 1));
    c->plain = c->plain && !bare && dialect_is_mechanism(c->mechanism, c->mechanism_len) && sound;
}

static void parse(struct command *c, const char *line, size_t len)
{
    enum command_kind announced = literal(line, len);

    (void)dialect_parse_verb(c, words, sizeof words / sizeof words[0], line, len);
    c->login = c->kind == COMMAND_MECHANISM;
    if (announced != COMMAND_OTHER)
        c->kind = announced;
    else if (c->kind == COMMAND_MECHANISM)
        parse_mechanism(c);
    else if (c->kind == COMMAND_HARMLESS && c->argument_len > 0 &&
             (c->argument_len > TAG_MAX ||
              quoted_length(c->argument, c->argument_len) != c->argument_len))
        c->kind = COMMAND_MALFORMED;
}

/* The capabilities are those of RFC 5804 section 1.7, the response codes those of section 1.3. */
#define CAPABILITIES                                                                               \
    "\"IMPLEMENTATION\" \"postern\"\r\n\"SIEVE\" \"\"\r\n\"SASL\" \"\"\r\n%+\"STARTTLS\"\r\n%."    \
    "\"VERSION\" \"1.0\"\r\n"

static const struct saying sayings[] = {
    {SAY_GREETING, NULL, CAPABILITIES "OK \"%h postern ready\"\r\n"},
    {SAY_CAPABILITIES, NULL, CAPABILITIES "OK \"Done\"\r\n"},
    {SAY_DONE, NULL, "OK %?(TAG %a) %.\"Done\"\r\n"},
    {SAY_BYE, NULL, "OK \"%h closing connection\"\r\n"},
    {SAY_BEGIN_TLS, NULL, "OK \"Begin TLS negotiation now\"\r\n"},
    {SAY_NO_TLS, NULL, "NO (TRYLATER) \"TLS is not available now\"\r\n"},
    {SAY_NEED_TLS, NULL, "NO (ENCRYPT-NEEDED) \"STARTTLS first\"\r\n"},
    {SAY_NO_PASSWORD, NULL, "NO (ENCRYPT-NEEDED) \"No plaintext passwords without TLS\"\r\n"},
    {SAY_MALFORMED, NULL, "NO \"Syntax error\"\r\n"},
    {SAY_UNKNOWN, NULL, "NO \"Unknown command\"\r\n"},
    {SAY_TOO_LONG, NULL, "BYE \"Line too long or malformed\"\r\n"},
    {SAY_TOO_MANY, NULL, "BYE \"Too many commands before STARTTLS\"\r\n"},
    {SAY_TIMEOUT, NULL, "BYE \"Timeout\"\r\n"},
    {SAY_UNAVAILABLE, NULL, "BYE (TRYLATER) \"Service not available\"\r\n"},
    {SAY_FULL, NULL, "BYE (TRYLATER) \"Too many connections\"\r\n"},
    {SAY_FULL, NULL, NULL},
};

/* Adds the line "SASL" with the allowed mechanisms, even if there are none: RFC 5804 wants this line. */
static void add_sasl(struct text *out, const char *value, size_t len, const struct setting *s)
{
    size_t n = quoted_length(value, len);

    text_format(out, "\"SASL\" \"");
    size_t start = out->len;
    if (n > 2 && dialect_add_mechanisms(out, value + 1, n - 2, s) > 0 && out->len > start) {
        out->len--; /* removes the blank before the first one */
        memmove(out->buf + start, out->buf + start + 1, out->len - start);
    }
    text_format(out, "\"\r\n");
}

/* Adds one line of a list of capabilities, without what is not allowed. */
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
    text_add_line(out, line, len);
}

/* An answer is lines of strings, then one that begins with OK, NO or BYE. Refuses literals: their text could
 * imitate any line, and no answer before the login needs one. */
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
    text_add_line(out, line, len);
    return last ? REPLY_LAST : REPLY_MORE;
}

/* Challenges are strings (RFC 5804 section 2.1). */
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
    /* The first line of a literal holds only its length. */
    return line[0] == '{' ? ANSWER_MORE : ANSWER_CHALLENGE;
}

const struct dialect dialect_sieve = {
    .name = "sieve",
    .title = "ManageSieve",
    .alpn = "managesieve",
    .tabs = false,
    .sayings = sayings,
    .parse = parse,
    .response = response,
    .cancel = "\"*\"\r\n",
    .reply = reply,
    .answer = answer,
};
