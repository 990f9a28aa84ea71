/* SPDX-License-Identifier: GPL-2.0-or-later */
/* NNTP (RFC 3977; 4642 STARTTLS, 4643 AUTHINFO, 8054 COMPRESS; 2980 for what is older). */
#include "dialect.h"

#include <string.h>

static const struct {
    const char *verb;
    enum command_kind kind;
} verbs[] = {
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
    {"COMPRESS", COMMAND_LEAVE},   /* from its answer on, there are no lines to be read */
    {"XFEATURE", COMMAND_LEAVE},
};

/* RFC 4643 section 2; GENERIC and SIMPLE are RFC 2980's. A form that is not known is taken for one
 * with a password. */
static void parse_authinfo(struct command *c)
{
    const char *rest = c->argument;
    size_t left = c->argument_len;
    size_t n = dialect_word(&rest, &left);

    c->verb = "AUTHINFO";
    c->kind = n > 0 ? COMMAND_PASSWORD : COMMAND_MALFORMED;
    if (dialect_is(c->argument, n, "USER")) {
        c->verb = "AUTHINFO USER";
    } else if (dialect_is(c->argument, n, "PASS")) {
        c->verb = "AUTHINFO PASS";
    } else if (dialect_is(c->argument, n, "SASL")) {
        c->verb = "AUTHINFO SASL";
        c->mechanism = rest;
        c->mechanism_len = dialect_word(&rest, &left);
        c->kind = c->mechanism_len > 0 ? COMMAND_MECHANISM : COMMAND_MALFORMED;
    }
}

static void parse(struct command *c, const char *line, size_t len)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);

    *c = (struct command){.kind = COMMAND_OTHER, .tag = "", .argument = rest, .argument_len = left};
    if (n == 0)
        c->kind = COMMAND_MALFORMED;
    if (dialect_is(line, n, "AUTHINFO"))
        parse_authinfo(c);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (dialect_is(line, n, verbs[i].verb)) {
            c->kind = verbs[i].kind;
            c->verb = verbs[i].verb;
        }
    }
}

/* RFC 3977 section 3.2.1 and RFC 4642 section 2.2: the codes. */
static void say(struct text *out, enum occasion occasion, const struct command *c,
                const struct setting *s)
{
    (void)c;
    switch (occasion) {
    case SAY_GREETING:
        text_format(out, "200 %s postern ready\r\n", s->host);
        break;
    case SAY_CAPABILITIES:
        text_format(out, "101 Capability list\r\nVERSION 2\r\nIMPLEMENTATION postern\r\n%s.\r\n",
                    s->tls ? "STARTTLS\r\n" : "");
        break;
    case SAY_DONE: /* no command of this protocol is harmless: each answer holds something */
        text_format(out, "503 Nothing to tell\r\n");
        break;
    case SAY_BYE:
        text_format(out, "205 %s closing connection\r\n", s->host);
        break;
    case SAY_BEGIN_TLS:
        text_format(out, "382 Continue with TLS negotiation\r\n");
        break;
    case SAY_NO_TLS:
        text_format(out, "580 TLS is not available now\r\n");
        break;
    case SAY_NEED_TLS:
        text_format(out, "483 STARTTLS first\r\n");
        break;
    case SAY_NO_PASSWORD:
        text_format(out, "483 No plaintext passwords without TLS\r\n");
        break;
    case SAY_MALFORMED:
        text_format(out, "501 Syntax error\r\n");
        break;
    case SAY_UNKNOWN:
        text_format(out, "500 Unknown command\r\n");
        break;
    case SAY_TOO_LONG:
        text_format(out, "400 Line too long or malformed\r\n");
        break;
    case SAY_TOO_MANY:
        text_format(out, "400 Too many commands before STARTTLS\r\n");
        break;
    case SAY_TIMEOUT:
        text_format(out, "400 Timeout\r\n");
        break;
    case SAY_UNAVAILABLE:
        text_format(out, "400 Service not available\r\n");
        break;
    case SAY_FULL:
        text_format(out, "400 Too many connections\r\n");
        break;
    }
}

static void add_line(struct text *out, const char *line, size_t len)
{
    text_add(out, line, len);
    text_add(out, "\r\n", 2);
}

/* "AUTHINFO USER SASL" without USER: what is left says that a login is possible, if not yet. */
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

/* One line of the answer to CAPABILITIES. */
static void add_capability(struct text *out, const char *line, size_t len, const struct setting *s)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);
    size_t before = out->len;

    if (dialect_is(line, n, "STARTTLS"))
        return;
    if (!s->passwords && dialect_is(line, n, "AUTHINFO")) {
        add_authinfo(out, line, n, rest, left);
    } else if (!s->passwords && dialect_is(line, n, "SASL")) {
        text_add(out, line, n);
        if (dialect_add_mechanisms(out, rest, left, s) == 0)
            out->len = before;
        else
            text_add(out, "\r\n", 2);
    } else {
        add_line(out, line, len);
    }
}

/* Codes whose line a list follows, up to a dot: RFC 3977 appendix C, and RFC 2980's 202 and 282.
 * 211 is not one of them: GROUP has it too, and LISTGROUP is past the lobby. */
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
    bool three = len >= 3 && (len == 3 || line[3] == ' ' || line[3] == '\t');

    for (size_t i = 0; i < 3 && three; i++)
        three = line[i] >= '0' && line[i] <= '9';
    if (!three)
        return REPLY_BROKEN;
    if (r->command->kind == COMMAND_CAPABILITY && line[0] == '5') {
        /* The handler is older than CAPABILITIES, but STARTTLS is ours to offer. */
        text_format(out, "101 Capability list\r\nVERSION 2\r\n%s.\r\n",
                    r->setting->tls ? "STARTTLS\r\n" : "");
        return REPLY_LAST;
    }
    add_line(out, line, len);
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
        add_line(out, line, len);
    return REPLY_MORE;
}

/* RFC 4643 sections 2.3 and 2.4: 381 wants the password, 383 is a challenge. */
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
    const char *end = memchr(bytes, '\n', len);

    if (end == NULL)
        return GREETING_MORE;
    *used = (size_t)(end - bytes) + 1;
    return dialect_begins(bytes, *used, "20") ? GREETING_SWALLOW : GREETING_ANSWER;
}

const struct dialect dialect_nntp = {"nntp", "NNTP", "nntp", parse, say, reply, answer, greeting};
