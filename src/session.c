/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "session.h"

#include "io.h"
#include "log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define DIAGNOSTICS_MAX 200 /* lines of the handler's standard error */
#define SLACK_SECONDS 10    /* over its own limits before the gate is killed */
#define LAST_SECONDS 10     /* for whoever should be gone and is not, where --timeout-grace is 0 */

void session_ending(struct session *s, enum ending ending)
{
    if (!s->ending_known)
        s->ending = ending;
    s->ending_known = true;
}

io_time session_after_grace(const struct session *s)
{
    return io_deadline(s->o->timeout_grace != 0 ? s->o->timeout_grace : LAST_SECONDS);
}

void session_bound_gate(struct session *s)
{
    const struct options *o = s->o;
    unsigned grace = o->timeout_grace != 0 ? o->timeout_grace : LAST_SECONDS;
    unsigned header = o->proxy_protocol ? o->timeout_handshake : 0;

    s->gate_kill_at = 0;
    if (s->phase == PHASE_ENDED || s->gate < 0)
        s->gate_kill_at = io_deadline(SLACK_SECONDS);
    else if (s->phase == PHASE_SESSION && o->timeout_session != 0)
        s->gate_kill_at = io_deadline(o->timeout_session + 2 * grace + SLACK_SECONDS);
    else if (s->phase < PHASE_SESSION && !o->ucspi_tls && o->timeout_handshake != 0 &&
             (o->starttls == NULL || o->timeout_lobby != 0))
        s->gate_kill_at =
            io_deadline(header + o->timeout_handshake + o->timeout_lobby + SLACK_SECONDS);
}

int session_send(struct session *s, enum message_type type)
{
    uint8_t buf[16];
    struct message_writer w;

    if (s->gate < 0)
        return -EPIPE;
    message_begin(&w, buf, sizeof buf, type);
    return message_send(s->gate, &w, NULL, 0);
}

void session_end_gate(struct session *s, enum ending ending)
{
    io_close(&s->gate);
    s->gate_told = true;
    if (s->gate_pid > 0)
        (void)kill(s->gate_pid, SIGKILL);
    session_ending(s, ending);
}

void session_lost_gate(struct session *s, const char *what, int error)
{
    /* A gate that doesn't read, or sends what can't be read, has broken a rule. */
    bool its_fault = error == -EAGAIN || error == -EMSGSIZE;

    if (error == -EPIPE)
        return;
    log_error("cannot %s: %s", what, strerror(-error));
    session_end_gate(s, its_fault ? ENDING_GATE_DIED : ENDING_SYSTEM);
}

/* Logs one line of the handler's standard error, up to a bound: a handler that floods it must not
 * flood the log. */
static void log_diagnostic(struct session *s, const char *text, size_t len)
{
    char line[2 * SESSION_DIAGNOSTIC_MAX];

    s->diagnostics++;
    if (s->diagnostics < DIAGNOSTICS_MAX)
        log_note("handler: %s", log_sentence(line, sizeof line, text, len));
    else if (s->diagnostics == DIAGNOSTICS_MAX)
        log_note("handler writes too much to its standard error: further lines are dropped");
}

bool session_take_diagnostics(struct session *s, struct diagnostics *d, bool handler_runs)
{
    ssize_t n = io_read(d->fd, d->text + d->len, sizeof d->text - d->len);

    for (d->len += n > 0 ? (size_t)n : 0; n > 0;) {
        char *newline = memchr(d->text, '\n', d->len);
        bool full = d->len == sizeof d->text;
        if (newline == NULL && !full)
            return true;
        size_t len = newline != NULL ? (size_t)(newline - d->text) : d->len;
        log_diagnostic(s, d->text, len);
        len += newline != NULL;
        d->len -= len;
        memmove(d->text, d->text + len, d->len);
    }
    if (n == -EAGAIN && handler_runs)
        return false;
    if (d->len > 0)
        log_diagnostic(s, d->text, d->len);
    d->len = 0;
    io_close(&d->fd);
    return false;
}

static const char *start_word(const struct session *s)
{
    if (s->o->ucspi_tls)
        return "ucspi-tls";
    if (s->o->starttls == NULL)
        return "immediate";
    return s->left_lobby ? "plaintext" : "starttls";
}

/* Who the client is, by its certificate. */
static char *client_words(char *text, size_t size, const struct client_facts *c)
{
    char user[FACTS_USER_MAX + 2];

    *text = '\0';
    if (c->verify == CLIENT_NONE)
        (void)snprintf(text, size, " client-cert=none");
    else if (c->verify == CLIENT_VERIFIED && c->user[0] == '\0')
        (void)snprintf(text, size, " client-cert=ok");
    else if (c->verify == CLIENT_VERIFIED)
        (void)snprintf(text, size, " client-cert=ok user=%s",
                       log_escape(user, sizeof user, c->user, strlen(c->user)));
    return text;
}

void session_summarise(const struct session *s)
{
    char tls[200] = "", name[300] = "", alpn[80] = "", handler[24] = "", client[300];
    char shown[3][128], shown_name[280];
    const struct facts *f = &s->facts;
    io_time ms = io_now() - s->started;

    if (s->have_facts) {
        (void)log_escape(shown[0], sizeof shown[0], f->version, strlen(f->version));
        (void)log_escape(shown[1], sizeof shown[1], f->cipher, strlen(f->cipher));
        (void)log_escape(shown[2], sizeof shown[2], f->group, strlen(f->group));
        (void)snprintf(tls, sizeof tls, " tls=%.20s cipher=%.64s group=%.24s", shown[0], shown[1],
                       shown[2]);
        if (f->name[0] != '\0')
            (void)snprintf(name, sizeof name, " sni=%s",
                           log_escape(shown_name, sizeof shown_name, f->name, strlen(f->name)));
        if (f->alpn[0] != '\0')
            (void)snprintf(alpn, sizeof alpn, " alpn=%s",
                           log_escape(shown[0], sizeof shown[0], f->alpn, strlen(f->alpn)));
    }
    if (s->handler_ran)
        (void)snprintf(handler, sizeof handler, " handler=%d", s->handler_result);
    log_note("server=%s%s%s start=%s%s%s%s%s%s%s%s%s in=%llu out=%llu seconds=%lld.%lld end=%s",
             s->c->server.text, s->c->proxied ? " proxy=" : "",
             s->c->proxied ? s->c->proxy.text : "", start_word(s),
             s->o->starttls != NULL ? " dialect=" : "",
             s->o->starttls != NULL ? s->o->starttls : "", tls, name, alpn,
             s->have_facts ? f->resumed ? " resumed=yes" : " resumed=no" : "",
             client_words(client, sizeof client, &f->client), handler, (unsigned long long)s->in,
             (unsigned long long)s->out, (long long)(ms / 1000), (long long)(ms % 1000 / 100),
             ending_name(s->ending));
}
