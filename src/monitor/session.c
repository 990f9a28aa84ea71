/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/session.h"

#include "common/io.h"
#include "common/log.h"
#include "common/memory.h"
#include "monitor/proxy_out.h"
#include "monitor/trace.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

extern char **environ;

#define SLACK_SECONDS 10 /* that the gate may exceed its time-outs before it is killed */
#define LAST_SECONDS 10  /* from SIGTERM to SIGKILL where --timeout-grace is 0 */

void session_set_ending(struct session *s, enum ending ending)
{
    if (!s->ending_known)
        s->ending = ending;
    s->ending_known = true;
}

unsigned session_grace(const struct session *s)
{
    return s->o->timeout_grace != 0 ? s->o->timeout_grace : LAST_SECONDS;
}

void session_set_gate_deadline(struct session *s)
{
    const struct options *o = s->o;
    io_time *kill_at = &s->gate_process.kill_at;
    unsigned header = o->proxy_protocol ? o->timeout_handshake : 0;

    *kill_at = 0;
    if (s->phase == PHASE_ENDED || s->gate < 0)
        *kill_at = io_deadline(SLACK_SECONDS);
    else if (s->phase == PHASE_SESSION && s->left_lobby && o->ucspi_tls)
        return; /* no limit: the handler talks to the client itself, and has time-outs of its own */
    else if (s->phase == PHASE_SESSION && o->timeout_session != 0)
        *kill_at = io_deadline(o->timeout_session + 2 * session_grace(s) + SLACK_SECONDS);
    else if (s->phase < PHASE_SESSION && !o->ucspi_tls && o->timeout_handshake != 0 &&
             (o->starttls == NULL || o->timeout_lobby != 0))
        *kill_at = io_deadline(header + o->timeout_handshake + o->timeout_lobby + SLACK_SECONDS);
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
    child_signal(&s->gate_process, SIGKILL);
    session_set_ending(s, ending);
}

void session_lost_gate(struct session *s, const char *what, int error)
{
    /* -EAGAIN: the gate does not read. -EMSGSIZE: it has sent a message that is too long. */
    bool its_fault = error == -EAGAIN || error == -EMSGSIZE;

    if (error == -EPIPE)
        return;
    log_error("cannot %s: %s", what, strerror(-error));
    session_end_gate(s, its_fault ? ENDING_GATE_DIED : ENDING_SYSTEM);
}

void session_refuse_message(struct session *s, const struct message_reader *r)
{
    log_error("the gate sent a %s message that is malformed or out of turn: connection ended",
              message_name(r->type));
    session_end_gate(s, ENDING_GATE_DIED);
}

void session_drop_secrets(struct session *s)
{
    vault_wipe(&s->vault);
    int rc = jail_monitor(&s->jail);
    if (rc < 0)
        log_detail("the monitor's own jail is missing: %s", strerror(-rc));
    memory_trim_stack();
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
    /* The launcher has looked up the proxy's host names, not the client's. */
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
    int rc = handler_start(&s->ends, &setup);
    environment_free(&e);
    if (rc == 0)
        trace_started_handler(s->handler_since, s->ends.pid, setup.argv[0], setup.account);
    s->handler = (struct child){.kind = CHILD_HANDLER,
                                .name = s->o->handler[0],
                                .pid = s->ends.pid,
                                .errors = s->ends.errors};
    s->handler_ran = rc == 0;
    return rc == 0 ? proxy_out_send(&s->ends, s->o->proxy_out, s->c, facts) : rc;
}
