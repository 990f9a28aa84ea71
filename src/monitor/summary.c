/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/summary.h"

#include "common/io.h"
#include "common/log.h"

#include <stdio.h>

static const char *start_word(const struct session *s)
{
    if (s->o->ucspi_tls)
        return "ucspi-tls";
    if (s->o->starttls == NULL)
        return "immediate";
    return s->left_lobby ? "plaintext" : "starttls";
}

/* The fields of the summary, and the texts of its numbers. */
struct summary {
    struct log_field fields[24];
    size_t count;
    char numbers[6][24];
    size_t number_count;
};

static void add_text(struct summary *m, const char *name, const char *text)
{
    if (m->count < sizeof m->fields / sizeof m->fields[0])
        m->fields[m->count++] = (struct log_field){.name = name, .text = text};
}

/* Adds a field, unless its text is empty. */
static void add_if(struct summary *m, const char *name, const char *text)
{
    if (*text != '\0')
        add_text(m, name, text);
}

/* Adds a number. Returns its text, which the caller may change. */
static char *add_number(struct summary *m, const char *name, unsigned long long number)
{
    char *text = m->numbers[m->number_count++];

    (void)snprintf(text, sizeof m->numbers[0], "%llu", number);
    m->fields[m->count++] = (struct log_field){.name = name, .text = text, .is_number = true};
    return text;
}

static void add_facts(struct summary *m, const struct facts *f)
{
    add_text(m, "tls", f->version);
    add_text(m, "cipher", f->cipher);
    add_if(m, "group",
           f->group); /* empty for a session resumed in TLS 1.2, which exchanges no keys */
    add_if(m, "sni", f->name);
    add_if(m, "alpn", f->alpn);
    add_text(m, "resumed", f->resumed ? "yes" : "no");
    if (f->client.verify == CLIENT_NONE)
        add_text(m, "client-cert", "none");
    else if (f->client.verify == CLIENT_VERIFIED)
        add_text(m, "client-cert", "ok");
    if (f->client.verify == CLIENT_VERIFIED)
        add_if(m, "user", f->client.user);
}

void summary_write(const struct session *s)
{
    struct summary m = {.count = 0};
    unsigned long long ms = (unsigned long long)(io_now() - s->started);

    add_text(&m, "server", s->c->server.text);
    if (s->c->proxied)
        add_text(&m, "proxy", s->c->proxy.text);
    add_text(&m, "start", start_word(s));
    if (s->o->starttls != NULL)
        add_text(&m, "dialect", s->o->starttls);
    if (s->have_facts)
        add_facts(&m, &s->facts);
    if (s->handler_ran)
        add_number(&m, "handler", (unsigned)s->handler_result);
    add_number(&m, "in", s->in);
    add_number(&m, "out", s->out);
    char *seconds = add_number(&m, "seconds", 0);
    (void)snprintf(seconds, sizeof m.numbers[0], "%llu.%llu", ms / 1000, ms % 1000 / 100);
    add_text(&m, "end", ending_name(s->ending));
    log_summary(m.fields, m.count);
}
