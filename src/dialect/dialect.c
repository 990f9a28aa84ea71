/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dialect/dialect.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void text_add(struct text *t, const char *bytes, size_t len)
{
    if (t->full || len > t->size - t->len) {
        t->full = true;
        return;
    }
    if (len > 0)
        memcpy(t->buf + t->len, bytes, len);
    t->len += len;
}

void text_add_line(struct text *t, const char *line, size_t len)
{
    text_add(t, line, len);
    text_add(t, "\r\n", 2);
}

void text_format(struct text *t, const char *format, ...)
{
    va_list arguments;

    if (t->full)
        return;
    va_start(arguments, format);
    int n = vsnprintf(t->buf + t->len, t->size - t->len, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= t->size - t->len)
        t->full = true;
    else
        t->len += (size_t)n;
}

const struct dialect *dialect_find(const char *name)
{
    static const struct dialect *const all[] = {&dialect_imap, &dialect_pop3,  &dialect_smtp,
                                                &dialect_lmtp, &dialect_sieve, &dialect_nntp};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

size_t dialect_word(const char **rest, size_t *len)
{
    const char *p = *rest;
    size_t n = 0;

    while (n < *len && !is_blank(p[n]))
        n++;
    size_t next = n;
    while (next < *len && is_blank(p[next]))
        next++;
    *rest += next;
    *len -= next;
    return n;
}

bool dialect_is(const char *word, size_t len, const char *name)
{
    return len == strlen(name) && strncasecmp(word, name, len) == 0;
}

bool dialect_one_blank(const char *word, size_t n, const char *next, size_t left)
{
    return left == 0 || next == word + n + 1;
}

static bool is_alphanumeric(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool dialect_is_mechanism(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_alphanumeric(name[i]) && name[i] != '-' && name[i] != '_')
            return false;
    return len > 0 && len <= 20;
}

void dialect_take_mechanism(struct command *c)
{
    const char *rest = c->argument;
    size_t left = c->argument_len;

    c->mechanism = rest;
    c->mechanism_len = dialect_word(&rest, &left);
    bool sound = dialect_is_base64(rest, left) || (left == 1 && rest[0] == '=');
    c->plain = c->plain && sound && dialect_is_mechanism(c->mechanism, c->mechanism_len) &&
               dialect_one_blank(c->mechanism, c->mechanism_len, rest, left);
}

bool dialect_is_base64(const char *text, size_t len)
{
    size_t n = len;

    while (n > 0 && len - n < 2 && text[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        if (!is_alphanumeric(text[i]) && text[i] != '+' && text[i] != '/')
            return false;
    return len % 4 == 0;
}

bool dialect_base64_response(const char *line, size_t len, size_t *announced)
{
    *announced = 0;
    return dialect_is_base64(line, len) || (len == 1 && line[0] == '*');
}

const struct word *dialect_find_word(const struct word *words, size_t count, const char *word,
                                     size_t len)
{
    for (size_t i = 0; i < count; i++)
        if (dialect_is(word, len, words[i].verb))
            return &words[i];
    return NULL;
}

size_t dialect_parse_verb(struct command *c, const struct word *words, size_t count,
                          const char *line, size_t len)
{
    const char *rest = line;
    size_t left = len;
    size_t n = dialect_word(&rest, &left);
    const struct word *word = dialect_find_word(words, count, line, n);

    *c = (struct command){.kind = n == 0 ? COMMAND_MALFORMED : COMMAND_OTHER,
                          .tag = "",
                          .argument = rest,
                          .argument_len = left};
    if (word != NULL) {
        c->kind = word->kind;
        c->verb = word->verb;
        c->plain = dialect_one_blank(line, n, rest, left);
    }
    return n;
}

bool dialect_has_code(const char *line, size_t len)
{
    for (size_t i = 0; i < 3; i++)
        if (i >= len || line[i] < '0' || line[i] > '9')
            return false;
    return true;
}

bool dialect_has_control(const struct dialect *d, const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)line[i];
        if (byte == 0x7f || (byte < ' ' && (byte != '\t' || !d->tabs)))
            return true;
    }
    return false;
}

/* Returns the first row that fits this occasion and command; NULL if there is none. */
static const struct saying *find_saying(const struct dialect *d, enum occasion occasion,
                                        const char *verb)
{
    const struct saying *const tables[] = {d->sayings, d->shared};

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct saying *row = tables[i]; row != NULL && row->text != NULL; row++) {
            bool fits = row->verb == NULL || (verb != NULL && strcmp(row->verb, verb) == 0);
            if (row->occasion == occasion && fits)
                return row;
        }
    }
    return NULL;
}

/* Writes what the letter behind a % stands for. Returns false if it begins a part whose condition fails. */
static bool say_part(struct text *out, char letter, const struct command *c,
                     const struct setting *s)
{
    switch (letter) {
    case 'h':
        text_add(out, s->host, strlen(s->host));
        return true;
    case 't':
        text_add(out, c != NULL ? c->tag : "*", c != NULL ? c->tag_len : 1);
        return true;
    case 'a':
        text_add(out, c != NULL ? c->argument : "", c != NULL ? c->argument_len : 0);
        return true;
    case '+':
        return s->tls;
    case '-':
        return !s->tls;
    case '?':
        return c != NULL && c->argument_len > 0;
    case '=':
        return s->handler;
    case '~':
        return !s->handler;
    default:
        return true;
    }
}

void dialect_say(const struct dialect *d, struct text *out, enum occasion occasion,
                 const struct command *c, const struct setting *s)
{
    const struct saying *row = find_saying(d, occasion, c != NULL ? c->verb : NULL);
    bool said = true;

    for (const char *p = row != NULL ? row->text : ""; *p != '\0'; p++) {
        if (*p != '%') {
            if (said)
                text_add(out, p, 1);
        } else if (*++p == '.') {
            said = true;
        } else if (said) {
            said = say_part(out, *p, c, s);
        }
    }
}

bool dialect_begins(const char *line, size_t len, const char *start)
{
    size_t n = strlen(start);

    return len >= n && strncasecmp(line, start, n) == 0;
}

enum greeting_verdict dialect_greeting(const char *bytes, size_t len, size_t *used,
                                       const char *good)
{
    const char *end = memchr(bytes, '\n', len);

    if (end == NULL)
        return GREETING_MORE;
    *used = (size_t)(end - bytes) + 1;
    return dialect_begins(bytes, *used, good) ? GREETING_SWALLOW : GREETING_ANSWER;
}

unsigned dialect_add_mechanisms(struct text *out, const char *list, size_t len,
                                const struct setting *s)
{
    unsigned count = 0;

    while (len > 0) {
        const char *word = list;
        size_t n = dialect_word(&list, &len);
        if (n == 0 || (!s->passwords && !s->mechanism_ok(word, n)))
            continue;
        text_add(out, " ", 1);
        text_add(out, word, n);
        count++;
    }
    return count;
}

void dialect_add_mechanism_line(struct text *out, const char *label, size_t label_len,
                                const char *list, size_t len, const struct setting *s)
{
    size_t before = out->len;

    text_add(out, label, label_len);
    if (dialect_add_mechanisms(out, list, len, s) == 0)
        out->len = before;
    else
        text_add(out, "\r\n", 2);
}
