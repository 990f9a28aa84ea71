/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "session.h"

#include "io.h"
#include "log.h"
#include "proxy.h"
#include "monitor_trace.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

extern char **environ;

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

/* Writes the PROXY header (--proxy-out) to the handler's standard input. Returns 0, or logs one line and
 * returns a negative errno. */
static int send_header(struct session *s, const struct facts *facts)
{
    uint8_t buf[PROXY_BUILD_MAX];
    size_t len = proxy_build(buf, s->o->proxy_out, &s->c->client, &s->c->server, facts);
    ssize_t n = len == 0 ? 0 : io_write(s->handler.in, buf, len);

    /* An empty pipe has room for it. That a handler has closed its input, the relay finds out. */
    if (n == (ssize_t)len || n == -EPIPE)
        return 0;
    log_error("cannot give the handler its PROXY header (--proxy-out): %s",
              n < 0 ? strerror((int)-n) : "no room");
    /* Without it, it would take the client's own words for one. */
    handler_close(&s->handler);
    return n < 0 ? (int)n : -ENOSPC;
}

int session_start_handler(struct session *s, const struct facts *facts, const struct ucspi *ucspi)
{
    struct environment e;
    struct handler_setup setup = {
        .argv = s->o->handler,
        .stdio = s->o->stdio,
        .account = s->o->handler_user != NULL ? &s->account : NULL,
        .take_errors = s->c->stderr_was_client,
        .environment = &e,
        .signals = &s->before,
    };

    environment_copy(&e, environ);
    /* The launcher's names are those of proxy and proxied connection. */
    if (s->c->proxied) {
        environment_remove(&e, "TCPREMOTEHOST");
        environment_remove(&e, "TCPLOCALHOST");
    }
    environment_describe(&e, &s->c->client, &s->c->server, facts);
    if (ucspi != NULL) {
        ucspi_describe(&e, HANDLER_EXTRA_FIRST);
        setup.given = true;
        setup.given_in = s->c->in;
        setup.given_out = s->c->out;
        setup.extra[0] = ucspi->control;
        setup.extra[1] = ucspi->read;
        setup.extra[2] = ucspi->write;
    }
    s->handler_since = trace_now();
    int rc = handler_start(&s->handler, &setup);
    environment_free(&e);
    if (rc == 0)
        trace_started_handler(s->handler_since, s->handler.pid, setup.argv[0], setup.account);
    s->errors.fd = s->handler.errors;
    s->handler.errors = -1;
    s->handler_ran = rc == 0;
    return rc == 0 ? send_header(s, facts) : rc;
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

/* The summary under construction. */
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

/* What is empty is not there. */
static void add_if(struct summary *m, const char *name, const char *text)
{
    if (*text != '\0')
        add_text(m, name, text);
}

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
    add_if(m, "group", f->group); /* a session resumed in TLS 1.2 has exchanged no keys */
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

void session_summarise(const struct session *s)
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
