/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/trace.h"

#include "common/log.h"
#include "tls/suites.h"
#include "common/trace.h"

#include <stdarg.h>
#include <stdio.h>

#define TEXT_SIZE 500 /* bytes of a line: fewer than the monitor takes */

/* Sends a line. `us`: microseconds that the step took; -1: not known. */
static void send_line(const struct trace *s, int64_t us, const char *format, va_list arguments)
{
    char text[TEXT_SIZE];

    (void)vsnprintf(text, sizeof text, format, arguments);
    /* Without the monitor there is no log, so this result does not matter. */
    (void)tell_step(s->ask, us, text);
}

static void send_detail(const struct trace *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Sends a line in the middle of a step. */
static void send_detail(const struct trace *s, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    send_line(s, -1, format, arguments);
    va_end(arguments);
}

void trace_begin(struct trace *s)
{
    s->since = trace_now();
}

void trace_end(struct trace *s, const char *format, ...)
{
    va_list arguments;

    if (!log_has_details())
        return;
    int64_t now = trace_now();
    va_start(arguments, format);
    send_line(s, now - s->since, format, arguments);
    va_end(arguments);
    s->since = now;
}

void trace_jail(struct trace *s, const struct jail *j, const struct jail_report *report)
{
    char text[256];

    if (!log_has_details())
        return;
    jail_describe(j, report, text, sizeof text);
    if (j->mode == JAIL_OFF)
        trace_end(s, "the gate is not jailed (--jail=off)%s",
                  j->as_root ? ", only no longer root" : "");
    else
        trace_end(s, "the gate is jailed: %s", text);
}

void trace_hello(struct trace *s, const struct hello *h)
{
    bool one = h->version_min == h->version_max;

    trace_end(s, "ClientHello: %s%s%s, server name %s, ALPN %s, %zu cipher suites, %zu groups%s",
              one ? "" : hello_version_name(h->version_min), one ? "" : " to ",
              hello_version_name(h->version_max), h->name[0] != '\0' ? h->name : "not given",
              h->alpn[0] != '\0' ? h->alpn : "not offered", h->suite_count, h->group_count,
              h->has_ticket ? ", a session ticket" : "");
}

static void send_client_details(const struct trace *s, const struct client_facts *c)
{
    if (c->verify == CLIENT_NONE)
        send_detail(s, "client certificate: asked for, none given");
    else if (c->verify == CLIENT_VERIFIED)
        send_detail(s, "client certificate: good, user %s, subject %.300s",
                    c->user[0] != '\0' ? c->user : "unknown", c->subject);
}

void trace_handshake(struct trace *s, const struct facts *f, const struct options *o)
{
    if (!log_has_details())
        return;
    if (f->resumed)
        send_detail(s, "cipher suite %s: that of the session which is resumed", f->cipher);
    else
        send_detail(s, "cipher suite %s: the first of ours that client and certificate can do; %s",
                    f->cipher, suites_order(o->tls_min, o->ciphers));
    if (f->group[0] != '\0')
        send_detail(s, "key exchange group %s: offered by the client, and one of %.200s", f->group,
                    suites_groups(o->groups));
    else
        send_detail(s, "no key exchange group: in TLS 1.2 a session is resumed without one");
    send_client_details(s, &f->client);
    trace_end(s, "handshake is done: %s, %s, ALPN %s", f->version,
              f->resumed ? "an old session is resumed" : "a new session",
              f->alpn[0] != '\0' ? f->alpn : "not used");
}

void trace_unused_ticket(const struct trace *s, bool has_keys)
{
    if (log_has_details())
        send_detail(s, "the client's session ticket is not used: %s",
                    has_keys ? "not sealed with a key that is in the file"
                             : "there are no ticket keys here (--tickets)");
}
