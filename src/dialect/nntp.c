/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NNTP (RFC 3977; 4642 STARTTLS, 4643 AUTHINFO, 8054 COMPRESS, 2980 older extensions). */
#include "dialect/dialect.h"

#include <string.h>

static const struct word words[] = {
    {"CAPABILITIES", COMMAND_CAPABILITY},
    {"STARTTLS", COMMAND_STARTTLS},
    {"QUIT", COMMAND_QUIT},
    {"DATE", COMMAND_OTHER},
    {"HELP", COMMAND_OTHER},
    {"MODE", COMMAND_OTHER},
    {"SLAVE", COMMAND_OTHER},
    {"GROUP", COMMAND_LEAVE},
    {"LISTGROUP", COMMAND_LEAVE},
    {"LAST", COMMAND_LEAVE},
    {"NEXT", COMMAND_LEAVE},
    {"ARTICLE", COMMAND_LEAVE},
    {"HEAD", COMMAND_LEAVE},
    {"BODY", COMMAND_LEAVE},
    {"STAT", COMMAND_LEAVE},
    {"OVER", COMMAND_LEAVE},
    {"XOVER", COMMAND_LEAVE},
    {"XROVER", COMMAND_LEAVE},
    {"HDR", COMMAND_LEAVE},
    {"XHDR", COMMAND_LEAVE},
    {"XPAT", COMMAND_LEAVE},
    {"XPATH", COMMAND_LEAVE},
    {"XGTITLE", COMMAND_LEAVE},
    {"XINDEX", COMMAND_LEAVE},
    {"XTHREAD", COMMAND_LEAVE},
    {"XZVER", COMMAND_LEAVE},
    {"XZHDR", COMMAND_LEAVE},
    {"LIST", COMMAND_LEAVE},
    {"NEWGROUPS", COMMAND_LEAVE},
    {"NEWNEWS", COMMAND_LEAVE},
    {"POST", COMMAND_LEAVE},
    {"IHAVE", COMMAND_LEAVE},
    {"XREPLIC", COMMAND_LEAVE},
    {"CHECK", COMMAND_LEAVE},
    {"TAKETHIS", COMMAND_UNASKED}, /* the article follows at once */
    {"COMPRESS", COMMAND_LEAVE},   /* all bytes behind its answer are compressed */
    {"XFEATURE", COMMAND_LEAVE},
    {"AUTHINFO", COMMAND_PASSWORD},
};

/* Parses the form of AUTHINFO (RFC 4643 section 2; GENERIC and SIMPLE: RFC 2980). Treats an unknown form as a login
 * with a password. */
static void parse_authinfo(struct command *c)
{
    const char *form = c->argument;
    size_t n = dialect_word(&c->argument, &c->argument_len);

    c->login = true;
    c->plain = c->plain && dialect_one_blank(form, n, c->argument, c->argument_len);
    if (n == 0) {
        c->kind = COMMAND_MALFORMED;
    } else if (dialect_is(form, n, "USER")) {
        c->verb = "AUTHINFO USER";
    } else if (dialect_is(form, n, "PASS")) {
        c->verb = "AUTHINFO PASS";
    } else if (dialect_is(form, n, "SASL")) {
        c->verb = "AUTHINFO SASL";
        c->kind = COMMAND_MECHANISM;
        dialect_take_mechanism(c);
        if (c->mechanism_len == 0)
            c->kind = COMMAND_MALFORMED;
    }
    c->argument_len += (size_t)(c->argument - form);
    c->argument = form;
}

static void parse(struct command *c, const char *line, size_t len)
{
    (void)dialect_parse_verb(c, words, sizeof words / sizeof words[0], line, len);
    if (c->kind == COMMAND_PASSWORD)
        parse_authinfo(c);
}

/* The codes are those of RFC 3977 section 3.2.1 and RFC 4642 section 2.2. */
static const struct saying sayings[] = {
    {SAY_GREETING, NULL, "200 %h postern ready\r\n"},
    {SAY_CAPABILITIES, NULL,
     "101 Capability list\r\nVERSION 2\r\nIMPLEMENTATION postern\r\n%+STARTTLS\r\n%..\r\n"},
    {SAY_BYE, NULL, "205 %h closing connection\r\n"},
    {SAY_BEGIN_TLS, NULL, "382 Continue with TLS negotiation\r\n"},
    {SAY_NO_TLS, NULL, "580 TLS is not available now\r\n"},
    {SAY_NEED_TLS, NULL, "483 STARTTLS first\r\n"},
    {SAY_NO_PASSWORD, NULL, "483 No plaintext passwords without TLS\r\n"},
    {SAY_MALFORMED, NULL, "501 Syntax error\r\n"},
    {SAY_UNKNOWN, NULL, "500 Unknown command\r\n"},
    {SAY_TOO_LONG, NULL, "400 Line too long or malformed\r\n"},
    {SAY_TOO_MANY, NULL, "400 Too many commands before STARTTLS\r\n"},
    {SAY_TIMEOUT, NULL, "400 Timeout\r\n"},
    {SAY_UNAVAILABLE, NULL, "400 Service not available\r\n"},
    {SAY_FULL, NULL, "400 Too many connections\r\n"},
    /* Is never used: NNTP has no COMMAND_HARMLESS. */
    {SAY_DONE, NULL, "503 Nothing to tell\r\n"},
    {SAY_FULL, NULL, NULL},
};

/* Adds "AUTHINFO USER SASL" without USER. The rest tells the client that it can log in, after STARTTLS. */
static void add_authinfo(struct text *out, const char *label, size_t label_len, const char *list,
                         size_t len)
{
    text_add(out, label, label_len);
    while (len > 0) {
        const char *word = list;
        size_t n = dialect_word(&list, &len);
        if (dialect_is(word, n, "USER"))
            continue;
        text_add(out, " ", 1);
        text_add(out, word, n);
    }
    text_add(out, "\r\n", 2);
}

/* Adds one line of the answer to CAPABILITIES, without what is not allowed. */
static void add_capability(struct text *out, const char *line, size_t len, const struct setting *s)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);

    if (dialect_is(line, n, "STARTTLS"))
        return;
    if (!s->passwords && dialect_is(line, n, "AUTHINFO")) {
        add_authinfo(out, line, n, rest, left);
    } else if (!s->passwords && dialect_is(line, n, "SASL")) {
        dialect_add_mechanism_line(out, line, n, rest, left, s);
    } else {
        text_add_line(out, line, len);
    }
}

/* True for codes that announce a list that ends with a dot: RFC 3977 appendix C, and RFC 2980's 202 and 282. False
 * for 211, which GROUP has without a list; LISTGROUP leaves the lobby. */
static bool announces_list(const char *code)
{
    static const char codes[][4] = {"100", "101", "202", "215", "220", "221",
                                    "222", "224", "225", "230", "231", "282"};

    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (memcmp(code, codes[i], 3) == 0)
            return true;
    return false;
}

static enum reply_state first_line(struct reply *r, const char *line, size_t len, struct text *out)
{
    if (!dialect_has_code(line, len) || (len > 3 && line[3] != ' ' && line[3] != '\t'))
        return REPLY_BROKEN;
    if (r->command->kind == COMMAND_CAPABILITY && line[0] == '5') {
        /* The handler does not know CAPABILITIES; the lobby answers, to offer STARTTLS. */
        text_format(out, "101 Capability list\r\nVERSION 2\r\n%s.\r\n",
                    r->setting->tls ? "STARTTLS\r\n" : "");
        return REPLY_LAST;
    }
    text_add_line(out, line, len);
    r->many = r->command->kind != COMMAND_GREETING && announces_list(line);
    return r->many ? REPLY_MORE : REPLY_LAST;
}

static enum reply_state reply(struct reply *r, const char *line, size_t len, struct text *out)
{
    bool capabilities = r->command->kind == COMMAND_CAPABILITY;

    if (r->lines++ == 0)
        return first_line(r, line, len, out);
    if (len == 1 && line[0] == '.') {
        if (capabilities && r->setting->tls)
            text_format(out, "STARTTLS\r\n");
        text_format(out, ".\r\n");
        return REPLY_LAST;
    }
    if (capabilities)
        add_capability(out, line, len, r->setting);
    else
        text_add_line(out, line, len);
    return REPLY_MORE;
}

/* RFC 4643 sections 2.3 and 2.4: 381 asks for the password, 383 is a challenge. */
static enum answer answer(const struct command *c, const char *line, size_t len)
{
    (void)c;
    if (dialect_begins(line, len, "381"))
        return ANSWER_STEP;
    if (dialect_begins(line, len, "383"))
        return ANSWER_CHALLENGE;
    return len > 0 && line[0] >= '1' && line[0] <= '3' ? ANSWER_YES : ANSWER_NO;
}

static enum greeting_verdict greeting(const char *bytes, size_t len, size_t *used)
{
    return dialect_greeting(bytes, len, used, "20");
}

const struct dialect dialect_nntp = {
    .name = "nntp",
    .title = "NNTP",
    .alpn = "nntp",
    .tabs = true,
    .sayings = sayings,
    .parse = parse,
    .response = dialect_base64_response,
    .cancel = "*\r\n",
    .reply = reply,
    .answer = answer,
    .greeting = greeting,
};
