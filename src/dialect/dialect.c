/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dialect.h"

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

bool dialect_begins(const char *line, size_t len, const char *start)
{
    size_t n = strlen(start);

    return len >= n && strncasecmp(line, start, n) == 0;
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
