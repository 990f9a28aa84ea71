/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/handshake.h"

#include "tls/alert.h"
#include "common/io.h"
#include "gate/opening.h"
#include "start/policy.h"
#include "gate/reasons.h"
#include "tls/staple.h"
#include "tls/suites.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Memory that only the handshake needs. */
struct attempt {
    struct opening opening;
    uint8_t chain[MESSAGE_MAX];
    io_time deadline;
};

/* True if a UCSPI-TLS handler exited before the handshake was done. Reads the monitor's order first if one
 * is waiting. */
static bool has_lost_handler(struct gate *g, enum ending ending)
{
    if (g->ucspi == NULL)
        return false;
    if (!g->ask.handler_exited && ending == ENDING_SIGTERM &&
        io_wait(g->ask.monitor, POLLIN, -1, io_now()) == 0)
        (void)gate_order(g);
    return g->ask.handler_exited;
}

/* Ends the process with an outcome. */
static _Noreturn void fail(struct gate *g, const struct outcome *o)
{
    if (has_lost_handler(g, o->ending))
        gate_end(g, ENDING_HANDLER_CLOSE, GRAVITY_ERROR,
                 "handler ended before the handshake that it asked for was done");
    gate_end(g, o->ending, o->gravity, "%s", o->text);
}

/* Sends the outcome's alert to a client that had no answer yet; then ends the process. */
static _Noreturn void fail_with_alert(struct gate *g, const struct outcome *o)
{
    if (o->alert != 0)
        reason_send_alert(g->c->out, o->alert);
    fail(g, o);
}

/* Returns a request's result as an errno for the TLS library's callbacks: 0 or negative. */
static int errno_of(const struct ask *a, enum asked result)
{
    if (result == ASK_OK)
        return 0;
    return result == ASK_FAILED ? a->error : -EACCES;
}

static int sign(void *gate, enum sign_as how, const uint8_t *data, size_t len, uint8_t *sig,
                size_t *sig_len)
{
    struct gate *g = gate;

    return errno_of(&g->ask, ask_signature(&g->ask, how, (struct bytes){data, len}, sig, sig_len));
}

static int seal(void *gate, unsigned version, const struct ticket_state *state,
                struct ticket *ticket)
{
    struct gate *g = gate;

    return errno_of(&g->ask, ask_seal(&g->ask, version, state, ticket));
}

static int open_ticket(void *gate, unsigned version, const struct ticket *ticket,
                       struct ticket_state *state)
{
    struct gate *g = gate;

    g->showed_ticket = true;
    return errno_of(&g->ask, ask_open(&g->ask, version, ticket, state));
}

/* True if tickets can be on for this client. With tickets on, the library ends the handshake over another
 * server's ticket that is longer than its own. */
static bool may_give_tickets(const struct gate *g, const struct hello *h)
{
    return g->tickets.count > 0 &&
           (h->ticket_len == 0 ||
            (h->ticket_len >= TICKET_HEAD_SIZE && ticket_names_have(&g->tickets, h->ticket)));
}

/* Drops an OCSP response that the client did not ask for, or that fails the check. */
static void judge_staple(const struct gate *g, const struct hello *h, struct chain_answer *c)
{
    const struct staple s = {c->chain.at, c->chain.len, c->staple.at, c->staple.len};
    char why[TLS_WHY_SIZE];

    /* Stapling makes the library trust our issuer, also for client certificates. */
    if (g->o->client_cert != CLIENT_CERT_OFF || !h->wants_staple)
        c->staple.len = 0;
    if (c->staple.len == 0 || staple_check(&s, why) == 0)
        return;
    c->staple.len = 0;
    gate_note(g, GRAVITY_ERROR, "--ocsp: response not shown to the client: %s", why);
}

/* Sends an alert to a client for which there is no certificate; then ends the process. */
static _Noreturn void refuse(struct gate *g, const struct hello *h, enum chain_verdict verdict)
{
    struct outcome outcome = {.ending = ENDING_CONFIGURATION};

    switch (verdict) {
    case CHAIN_NO_SUCH_NAME:
        reason_send_alert(g->c->out, ALERT_UNRECOGNIZED_NAME);
        reason_no_name(h, &outcome);
        break;
    case CHAIN_BROKEN: /* the monitor has said what is wrong with it */
        reason_send_alert(g->c->out, ALERT_INTERNAL_ERROR);
        break;
    default:
        reason_send_alert(g->c->out, reason_alert(h, g->o));
        reason_no_certificate(h, g->o, &outcome);
    }
    fail(g, &outcome);
}

/* Ends the connection of a client with which no key exchange group is shared. The library would do so as
 * well, but not in words. */
static void check_groups(struct gate *g, const struct hello *h)
{
    struct outcome outcome;

    if (h->group_count == 0 || h->group_count >= HELLO_GROUPS_MAX ||
        h->version_max < g->o->tls_min ||
        suites_share_group(g->o->groups, h->groups, h->group_count))
        return;
    reason_send_alert(g->c->out, reason_alert(h, g->o));
    reason_no_group(&outcome);
    fail(g, &outcome);
}

/* Asks for the chain that fits. Its bytes stay in a->chain. */
static struct chain_answer get_chain(struct gate *g, struct attempt *a)
{
    struct outcome outcome = {.ending = ENDING_SIGTERM};
    struct chain_answer c;
    enum asked result = ask_chain(&g->ask, &a->opening.hello, a->chain, &c);

    if (result == ASK_OK && c.verdict == CHAIN_GIVEN)
        return c;
    if (result == ASK_OK)
        refuse(g, &a->opening.hello, c.verdict);
    if (result == ASK_FAILED)
        gate_end(g, ENDING_SYSTEM, GRAVITY_ERROR, "handshake failed: no certificate chain: %s",
                 strerror(-g->ask.error));
    fail(g, &outcome);
}

static void make_session(struct gate *g, struct attempt *a)
{
    const struct hello *h = &a->opening.hello;
    char why[TLS_WHY_SIZE] = "";
    struct chain_answer c = get_chain(g, a);

    judge_staple(g, h, &c);
    const struct tls_setup setup = {.version_min = g->o->tls_min,
                                    .ciphers = g->o->ciphers,
                                    .groups = g->o->groups,
                                    .offered = h->groups,
                                    .offered_count = h->group_count,
                                    .alpn = policy_alpn(g->o, &g->c->server),
                                    .chain = c.chain.at,
                                    .chain_len = c.chain.len,
                                    .staple = c.staple.at,
                                    .staple_len = c.staple.len,
                                    .first = a->opening.frame.bytes,
                                    .first_len = a->opening.frame.len,
                                    .limit_alert = reason_limit(h),
                                    .sign = sign,
                                    .signer = g,
                                    .client = {g->o->client_cert, g->o->client_name, g->trust},
                                    .resumption = {.seal = may_give_tickets(g, h) ? seal : NULL,
                                                   .open = open_ticket,
                                                   .names = &g->tickets,
                                                   .who = g,
                                                   .lifetime = g->o->ticket_lifetime}};
    int rc = tls_new(&g->tls, g->c->in, g->c->out, &setup, why);
    trust_free(g->trust);
    if (rc < 0)
        gate_end(g, rc == -ENOMEM ? ENDING_SYSTEM : ENDING_CONFIGURATION, GRAVITY_ERROR, "%s", why);
}

static void shake_hands(struct gate *g, struct attempt *a, struct facts *facts)
{
    const struct hello *h = &a->opening.hello;
    char why[TLS_WHY_SIZE] = "";
    struct outcome outcome;
    enum tls_result result = tls_handshake(g->tls, g->ask.monitor, a->deadline, why);

    if (result != TLS_DONE && (g->ask.failure == ASK_STOP || g->ask.failure == ASK_HANDLER_EXITED))
        result = TLS_STOPPED; /* the monitor wants the end; no signature failed */
    if (result != TLS_DONE) {
        reason_failed(h, result, why, g->o, &outcome);
        if (tls_is_silent(g->tls))
            fail_with_alert(g, &outcome);
        fail(g, &outcome);
    }
    memcpy(facts->name, h->name, sizeof facts->name);
    if (!tls_take_facts(g->tls, h->extended_master, facts))
        gate_end(g, ENDING_HANDSHAKE, GRAVITY_ERROR,
                 "handshake failed: the client's certificate was not verified");
    /* Some builds of the library can't forbid TLS 1.2 a group, so it is checked here. */
    if (facts->group[0] != '\0' && !suites_allow_group(g->o->groups, facts->group)) {
        reason_no_group(&outcome);
        fail(g, &outcome);
    }
}

void handshake(struct gate *g, struct facts *facts)
{
    struct attempt *a = malloc(sizeof *a);
    struct outcome outcome;

    if (a == NULL)
        gate_end(g, ENDING_SYSTEM, GRAVITY_ERROR, "handshake failed: out of memory");
    a->deadline = io_deadline(g->o->timeout_handshake);
    if (!opening_read(&a->opening, g->c->in, g->ask.monitor, a->deadline, g->o, &outcome))
        fail_with_alert(g, &outcome);
    trace_hello(&g->trace, &a->opening.hello);
    check_groups(g, &a->opening.hello);
    make_session(g, a);
    shake_hands(g, a, facts);
    if (a->opening.hello.has_ticket && !g->showed_ticket)
        trace_unused_ticket(&g->trace, g->tickets.count > 0);
    trace_handshake(&g->trace, facts, g->o);
    opening_free(&a->opening);
    free(a);
}
