/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/gate.h"

#include "gate/client.h"
#include "gate/end.h"
#include "gate/handshake.h"
#include "common/io.h"
#include "gate/lobby.h"
#include "common/memory.h"
#include "gate/opening.h"
#include "start/policy.h"
#include "start/proxy.h"
#include "gate/relay.h"
#include "common/trace.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef POSTERN_TEST
#include "../../tests/hook/attempt.h"
#endif

#define CLOSE_SECONDS 2

extern char **environ;

static enum order receive_order(void *gate)
{
    return gate_order(gate);
}

/* Traces the handler's first bytes. */
static void trace_first_bytes(void *gate)
{
    const struct gate *g = gate;
    struct trace to_here = g->trace;

    trace_end(&to_here, "first bytes from the handler");
}

#ifdef POSTERN_TEST
/* Tries what an attacker in the gate might try; in test builds only. */
static void try_to_break_out(struct gate *g, bool late)
{
    char text[200];

    if (attempt_run(g->ask.monitor, late, text, sizeof text) != 0)
        gate_end(g, ENDING_LEFT, GRAVITY_ERROR, "%s", text);
}
#endif

/* Narrows the jail: drops what only lobby and handshake needed. */
static void narrow_jail(struct gate *g)
{
    struct jail_report report;
    int rc = jail_narrow(g->jail, &report);

    if (rc < 0)
        gate_end(g, ENDING_SYSTEM, GRAVITY_ERROR, "the jail lacks: %s (--jail=strict)",
                 report.missing);
    if (report.missing[0] != '\0')
        gate_note(g, GRAVITY_DETAIL, "the jail lacks: %s", report.missing);
#ifdef POSTERN_TEST
    try_to_break_out(g, true);
#endif
}

/* Relays until the end of the connection. */
static _Noreturn void relay(struct gate *g, const struct relay_client *ops, void *client,
                            struct handler_ends ends)
{
    struct relay r = {.ops = ops,
                      .client = client,
                      .client_in = g->c->in,
                      .client_out = g->c->out,
                      .to_handler = ends.to,
                      .from_handler = ends.from,
                      .control = g->ask.monitor,
                      .order = receive_order,
                      .order_arg = g,
                      .heard = trace_first_bytes,
                      .greeting_seconds = g->o->timeout_lobby,
                      .idle = g->o->timeout_idle,
                      .session = g->o->timeout_session,
                      .grace = g->o->timeout_grace};

    if (ops == &client_tls && g->dialect != NULL)
        r.greeting = g->dialect->greeting;
    memory_trim_stack(); /* nothing later needs as much stack as the handshake */
    narrow_jail(g);
    trace_begin(&g->trace);
    int rc = relay_run(&r);
    trace_end(&g->trace, "relay is over: %s", ending_name(r.ending));
    g->in += r.in;
    g->out += r.out;
    g->overstayed = r.overstayed;
    g->lingers = false; /* relay_run() closed the client's end */
    if (r.refused)
        gate_note(g, GRAVITY_ERROR,
                  "the handler's greeting can't be used after STARTTLS (PREAUTH, or no greeting at "
                  "all): use immediate TLS, or a login program as handler");
    if (rc < 0)
        gate_complain(g, r.refused_by_system, rc);
    gate_end(g, r.ending, GRAVITY_ERROR, "%s",
             r.ending == ENDING_TLS_ERROR ? "client sent a broken TLS record (damaged, forged, or "
                                            "not allowed here): session ended"
                                          : "");
}

/* Sends close_notify to a client for which there is no handler. */
static void close_unserved(const struct gate *g)
{
    io_time deadline = io_deadline(CLOSE_SECONDS);

    tls_close(g->tls);
    while (tls_flush(g->tls) == -EAGAIN)
        if (io_wait(g->c->out, POLLOUT, -1, deadline) < 0)
            return;
}

/* Answers a UCSPI-TLS handler's request for TLS, and returns its descriptors. */
static struct handler_ends answer_ucspi(struct gate *g, const struct facts *facts)
{
    int rc = ucspi_begin(g->ucspi, &g->c->client, &g->c->server, facts);

    if (rc == 0)
        return (struct handler_ends){g->ucspi->write, g->ucspi->read};
    close_unserved(g);
    gate_end(
        g, rc == -EPIPE || rc == -ECONNRESET ? ENDING_HANDLER_CLOSE : ENDING_SYSTEM, GRAVITY_ERROR,
        "cannot give the handler the environment that it asked for on SSLCTLFD: %s", strerror(-rc));
}

/* Reports the facts of the handshake. Returns the handler's descriptors. */
static struct handler_ends get_handler(struct gate *g, const struct facts *facts)
{
    struct handler_ends ends = {-1, -1};
    enum asked result = ask_session(&g->ask, facts, g->ucspi == NULL ? &ends : NULL);

    if (result == ASK_OK)
        return g->ucspi == NULL ? ends : answer_ucspi(g, facts);
    close_unserved(g);
    gate_end_unanswered(g, result, "get the handler from the monitor");
}

/* Does the handshake and relays. */
static _Noreturn void serve_tls(struct gate *g)
{
    struct facts facts = {.version = ""};

    handshake(g, &facts);
    relay(g, &client_tls, g->tls, get_handler(g, &facts));
}

/* The functions of struct lobby_gate. They log failures of the system. */

static enum asked lobby_start(void *gate, int *to, int *from)
{
    struct gate *g = gate;
    struct handler_ends ends = {-1, -1};
    enum asked result = ask_plaintext_handler(&g->ask, &ends);

    if (result == ASK_FAILED)
        gate_complain(g, "get the handler from the monitor", g->ask.error);
    *to = ends.to;
    *from = ends.from;
    return result;
}

static enum asked lobby_stop(void *gate)
{
    struct gate *g = gate;
    enum asked result = ask_stop_handler(&g->ask);

    if (result == ASK_FAILED)
        gate_complain(g, "have the handler ended before TLS", g->ask.error);
    return result;
}

static enum asked lobby_leave(void *gate)
{
    struct gate *g = gate;
    int rc = tell_left_lobby(&g->ask);

    trace_end(&g->trace, "the lobby is left without TLS");
    if (rc == 0)
        return ASK_OK;
    if (rc == -EPIPE)
        return ASK_STOP;
    gate_complain(g, "tell the monitor that the client goes on in plaintext", rc);
    return ASK_FAILED;
}

static void lobby_note(void *gate, enum gravity gravity, const char *text)
{
    gate_note(gate, gravity, "%s", text);
}

/* Runs the lobby; then TLS, or the relay in plaintext. */
static _Noreturn void serve_lobby(struct gate *g, bool tls)
{
    const struct lobby_gate host = {g,           lobby_start,   lobby_stop,
                                    lobby_leave, receive_order, lobby_note};
    struct lobby *l = lobby_new();

    if (l == NULL)
        gate_end(g, ENDING_SYSTEM, GRAVITY_ERROR, "cannot begin the conversation before TLS: %s",
                 strerror(ENOMEM));
    l->dialect = g->dialect;
    l->setting.host = g->host;
    l->setting.tls = tls;
    l->policy = policy_for(g->o, g->c);
    l->host = &host;
    l->in = g->c->in;
    l->out = g->c->out;
    l->watch = g->ask.monitor;
    l->deadline = io_deadline(g->o->timeout_lobby);
    l->timeout_idle = g->o->timeout_idle;
    enum lobby_outcome outcome = lobby_run(l);
    enum ending ending = l->ending;
    struct handler_ends ends = {l->to_handler, l->from_handler};
    g->in += l->received;
    g->out += l->sent;
    free(l);
    if (outcome == LOBBY_RELAY)
        relay(g, &client_plain, g->c, ends);
    if (outcome == LOBBY_ENDED)
        gate_end(g, ending, GRAVITY_DETAIL, "%s", "");
    trace_end(&g->trace, "the lobby is left by STARTTLS");
    serve_tls(g);
}

/* Waits for the end of a UCSPI-TLS handler that can't ask for TLS any more, and ends with it. */
static _Noreturn void wait_for_handler(struct gate *g)
{
    enum order order = ORDER_GO_ON;

    (void)tell_left_lobby(&g->ask); /* io_wait() below notices if the monitor is gone */
    activation_close(g->c);
    ucspi_close(g->ucspi);
    while (order == ORDER_GO_ON) {
        int rc = io_wait(g->ask.monitor, POLLIN, -1, 0);
        if (rc < 0)
            gate_end(g, ENDING_SYSTEM, GRAVITY_ERROR, "cannot wait for the handler: %s",
                     strerror(-rc));
        order = gate_order(g);
    }
    gate_end(g, order == ORDER_HANDLER_EXITED ? ENDING_HANDLER_CLOSE : ENDING_SIGTERM,
             GRAVITY_DETAIL, "%s", "");
}

/* Waits until a UCSPI-TLS handler asks for TLS; until then the handler alone uses the socket. */
static _Noreturn void serve_ucspi(struct gate *g)
{
    enum order order = ORDER_GO_ON;
    enum ucspi_result result = UCSPI_WATCH;
    int error = 0;

    g->lingers = false; /* until then gate_end() must not touch the socket */
    while (result == UCSPI_WATCH && order == ORDER_GO_ON) {
        result = ucspi_wait(g->ucspi, g->ask.monitor, &error);
        if (result == UCSPI_WATCH)
            order = gate_order(g);
    }
    switch (result) {
    case UCSPI_BEGIN:
        break;
    case UCSPI_WATCH:
        gate_end(g, order == ORDER_HANDLER_EXITED ? ENDING_HANDLER_CLOSE : ENDING_SIGTERM,
                 GRAVITY_DETAIL, "%s", "");
    case UCSPI_CLOSED:
        wait_for_handler(g);
    case UCSPI_OTHER_BYTE:
        gate_end(g, ENDING_NO_HANDLER, GRAVITY_ERROR,
                 "the handler wrote something else than y or Y to SSLCTLFD");
    case UCSPI_FAILED:
        gate_end(g, ENDING_SYSTEM, GRAVITY_ERROR, "cannot wait for the handler: %s",
                 strerror(-error));
    }
    trace_end(&g->trace, "the handler asks for TLS (SSLCTLFD)");
    g->lingers = g->took_socket = true;
    serve_tls(g);
}

/* Wipes the environment. It is meant for the handler and may hold secrets; the gate needs none of it. */
static void wipe_environment(void)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        explicit_bzero(*entry, strlen(*entry));
    environ = NULL;
}

/* Reads the PROXY header, and gives gate and monitor the addresses in it. */
static void read_proxy_header(struct gate *g)
{
    struct proxy_header h;
    struct outcome outcome;

    if (!opening_read_proxy(&h, g->c->in, g->ask.monitor, io_deadline(g->o->timeout_handshake),
                            g->o, &outcome))
        gate_end(g, outcome.ending, outcome.gravity, "%s", outcome.text);
    if (h.has_addresses)
        activation_set_proxied(g->c, &h.client, &h.server);
    trace_end(&g->trace, "PROXY header: client %s, server %s", g->c->client.text,
              g->c->server.text);
    if (tell_proxy(&g->ask, &h) < 0)
        gate_end_unanswered(g, ASK_STOP, "");
}

/* Does what is impossible inside the jail: host name, descriptors, the TLS library. Returns 0 or a negative
 * errno. */
static int prepare(struct gate *g, const struct jail *j)
{
    int keep[] = {g->c->in, g->c->out, g->ask.monitor, j->root, -1, -1, -1};
    int rc = 0;

    if (g->ucspi != NULL) {
        keep[4] = g->ucspi->control;
        keep[5] = g->ucspi->read;
        keep[6] = g->ucspi->write;
    }
    if (g->o->name != NULL)
        (void)snprintf(g->host, sizeof g->host, "%s", g->o->name);
    else if (gethostname(g->host, sizeof g->host - 1) != 0)
        (void)snprintf(g->host, sizeof g->host, "localhost");
    /* Standard error goes, too: only the monitor writes the log. */
    rc = io_blank_standard(true, true);
    if (rc == 0)
        rc = io_close_others(keep, sizeof keep / sizeof keep[0]);
    /* A UCSPI-TLS handler shares the socket and expects it to block. */
    if (rc == 0 && g->ucspi == NULL)
        rc = io_set_nonblocking(g->c->in, true);
    if (rc == 0 && g->ucspi == NULL)
        rc = io_set_nonblocking(g->c->out, true);
#ifdef POSTERN_TEST
    attempt_remember();
#endif
    wipe_environment();
    return rc == 0 ? tls_start() : rc;
}

/* Enters the jail. */
static void enter_jail(struct gate *g, struct jail *j)
{
    struct jail_report report;
    int rc = prepare(g, j);

    if (rc < 0)
        gate_end(g, ENDING_SYSTEM, GRAVITY_ERROR,
                 "cannot set up descriptors, randomness and library: %s", strerror(-rc));
    rc = jail_enter(j, &report);
    if (rc < 0)
        gate_end(g, ENDING_SYSTEM, GRAVITY_ERROR, "the jail cannot be closed: %s%s", report.missing,
                 rc == -ENOTSUP ? " missing (--jail=strict)" : "");
    trace_jail(&g->trace, j, &report);
    if (report.missing[0] != '\0')
        gate_note(g, GRAVITY_DETAIL, "the jail lacks: %s", report.missing);
}

_Noreturn void gate_run(struct connection *c, const struct options *o, struct jail *j, int monitor,
                        struct ucspi *ucspi, struct trust *trust)
{
    struct gate g = {
        .c = c, .o = o, .ucspi = ucspi, .trust = trust, .jail = j, .ask = {.monitor = monitor}};
    bool tls = false;

    g.trace = (struct trace){&g.ask, trace_now()};
    if (o->starttls != NULL)
        g.dialect = dialect_find(o->starttls);
    enter_jail(&g, j);
    enum asked result = ask_go(&g.ask, &tls, &g.tickets);
    if (result != ASK_OK)
        gate_end_unanswered(&g, result, "hear from the monitor");
    trace_begin(&g.trace);
#ifdef POSTERN_TEST
    try_to_break_out(&g, false);
#endif
    g.lingers = true;
    if (o->proxy_protocol)
        read_proxy_header(&g);
    if (ucspi != NULL)
        serve_ucspi(&g);
    if (g.dialect != NULL)
        serve_lobby(&g, tls);
    serve_tls(&g);
}
