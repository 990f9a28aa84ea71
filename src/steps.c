/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "steps.h"

#include "log.h"
#include "message.h"
#include "suites.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_SIZE 500 /* of the gate's lines: less than the monitor takes */

int64_t steps_now(void)
{
    struct timespec now = {0};

    if (!log_has_details())
        return 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* `us`: how long it has taken; -1: that is not said. */
static void send_line(const struct steps *s, int64_t us, const char *format, va_list arguments)
{
    char text[TEXT_SIZE];
    uint8_t buf[TEXT_SIZE + 64];
    struct message_writer w;

    (void)vsnprintf(text, sizeof text, format, arguments);
    message_begin(&w, buf, sizeof buf, REPORT_STEP);
    message_put_number(&w, (uint64_t)(us + 1));
    message_put_text(&w, text);
    /* If the monitor is gone, nobody is left to tell. */
    (void)message_send(s->vault, &w, NULL, 0);
}

static void tell(const struct steps *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line in the middle of a step. */
static void tell(const struct steps *s, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    send_line(s, -1, format, arguments);
    va_end(arguments);
}

void steps_begin(struct steps *s)
{
    s->since = steps_now();
}

void steps_end(struct steps *s, const char *format, ...)
{
    va_list arguments;

    if (!log_has_details())
        return;
    int64_t now = steps_now();
    va_start(arguments, format);
    send_line(s, now - s->since, format, arguments);
    va_end(arguments);
    s->since = now;
}

void steps_jailed(struct steps *s, const struct jail *j, const struct jail_report *report)
{
    char text[256];

    if (!log_has_details())
        return;
    jail_describe(j, report, text, sizeof text);
    if (j->mode == JAIL_OFF)
        steps_end(s, "the gate is not jailed (--jail=off)%s",
                  j->as_root ? ", only no longer root" : "");
    else
        steps_end(s, "the gate is jailed: %s", text);
}

void steps_greeted(struct steps *s, const struct hello *h)
{
    bool one = h->version_min == h->version_max;

    steps_end(s, "ClientHello: %s%s%s, server name %s, ALPN %s, %zu cipher suites, %zu groups%s",
              one ? "" : hello_version_name(h->version_min), one ? "" : " to ",
              hello_version_name(h->version_max), h->name[0] != '\0' ? h->name : "not given",
              h->alpn[0] != '\0' ? h->alpn : "not offered", h->suite_count, h->group_count,
              h->has_ticket ? ", a session ticket" : "");
}

static void tell_client(const struct steps *s, const struct client_facts *c)
{
    if (c->verify == CLIENT_NONE)
        tell(s, "client certificate: asked for, none given");
    else if (c->verify == CLIENT_VERIFIED)
        tell(s, "client certificate: good, user %s, subject %.300s",
             c->user[0] != '\0' ? c->user : "unknown", c->subject);
}

void steps_shook_hands(struct steps *s, const struct facts *f, const struct options *o)
{
    if (!log_has_details())
        return;
    if (f->resumed)
        tell(s, "cipher suite %s: that of the session which is resumed", f->cipher);
    else
        tell(s, "cipher suite %s: the first of ours that client and certificate can do; %s",
             f->cipher, suites_order(o->tls_min, o->ciphers));
    if (f->group[0] != '\0')
        tell(s, "key exchange group %s: offered by the client, and one of %.200s", f->group,
             suites_groups(o->groups));
    else
        tell(s, "no key exchange group: in TLS 1.2 a session is resumed without one");
    tell_client(s, &f->client);
    steps_end(s, "handshake is done: %s, %s, ALPN %s", f->version,
              f->resumed ? "an old session is resumed" : "a new session",
              f->alpn[0] != '\0' ? f->alpn : "not used");
}

void steps_kept_ticket(const struct steps *s, bool has_keys)
{
    if (log_has_details())
        tell(s, "the client's session ticket is not used: %s",
             has_keys ? "not sealed with a key that is in the file"
                      : "there are no ticket keys here (--tickets)");
}

void steps_write(int64_t us, const char *line)
{
    if (us > 0)
        log_timed(us - 1, "%s", line);
    else
        log_detail("%s", line);
}

void steps_connected(const struct connection *c)
{
    static const char *const ways[] = {
        [GIVEN_STANDARD] = "as inetd and tcpserver do",
        [GIVEN_PASSED] = "by LISTEN_FDS, as systemd does (Accept=yes)",
        [GIVEN_ACCEPTED] = "from a listening socket (wait mode)",
    };
    const char *what = c->given != GIVEN_STANDARD ? ""
                       : c->in == c->out          ? "on standard input, "
                                                  : "on standard input and output, ";

    log_detail("connected to %s: given %s%s", c->server.text, what, ways[c->given]);
}

void steps_ready(int64_t since, bool have_tls, pid_t gate)
{
    log_timed(steps_now() - since, "%s; the gate is process %ld",
              have_tls ? "certificates and keys are ready" : "there are no usable certificates",
              (long)gate);
}

void steps_chose(int64_t since, const struct steps_choice *c)
{
    static const char *const others[] = {
        [OTHER_NONE] = "",
        [OTHER_UNFIT] = "; the client can't use the other one",
        [OTHER_OUTWORN] = "; with the other one the client has only outworn cipher suites",
        [OTHER_FITS] = "; the client could use the other one, too",
        [OTHER_SLOWER] = "; the client could use the other one, too, but RSA is slower",
        [OTHER_NAMES] = "; the other one is not for this name (--sni=strict)",
    };
    const char *why = "the default";

    if (c->named)
        why = "the folder of --cert-dir for ";
    else if (c->has_folders && *c->name == '\0')
        why = "the default, since the client names no server";
    else if (c->has_folders)
        why = "the default, since --cert-dir has no folder for ";
    log_timed(steps_now() - since, "certificate %s (%s): %s%s%s", c->cert_file,
              chain_kind_name(c->kind), why, c->has_folders ? c->name : "", others[c->other]);
}

void steps_signed(int64_t since, enum key_kind kind, const char *key_file)
{
    log_timed(steps_now() - since, "signed with the %s key of %s", chain_kind_name(kind), key_file);
}

void steps_opened_ticket(int64_t since)
{
    log_timed(steps_now() - since, "the client's session ticket is good");
}

void steps_sealed_ticket(int64_t since)
{
    log_timed(steps_now() - since, "a session ticket is made for the client");
}

void steps_started_handler(int64_t since, pid_t pid, const char *program,
                           const struct account *account)
{
    char user[100];

    if (!log_has_details())
        return;
    if (account == NULL)
        (void)snprintf(user, sizeof user, "user %ld, as postern was started", (long)geteuid());
    else
        (void)snprintf(user, sizeof user, "user %ld%s%s", (long)account->uid,
                       account->name[0] != '\0' ? ", " : "", account->name);
    log_timed(steps_now() - since, "handler %s is process %ld of %s", program, (long)pid, user);
}

void steps_ended_handler(int64_t since, int status)
{
    log_timed(steps_now() - since, "handler has ended with status %d", status);
}
