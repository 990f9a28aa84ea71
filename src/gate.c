/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate.h"

#include "alert.h"
#include "client.h"
#include "facts.h"
#include "io.h"
#include "lobby.h"
#include "message.h"
#include "opening.h"
#include "policy.h"
#include "proxy.h"
#include "memory.h"
#include "staple.h"
#include "steps.h"
#include "suites.h"
#include "tls.h"
#include "vault.h"
#include "vault_tickets.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#ifdef POSTERN_TEST
#include "../tests/hook/attempt.h"
#endif

#define LINGER_SECONDS 2

extern char **environ;

struct gate {
    struct connection *c;
    const struct options *o;
    const struct dialect *dialect; /* NULL: immediate TLS */
    struct ucspi *ucspi;           /* NULL: the handler's descriptors come from the monitor */
    struct trust *trust;           /* for client certificates */
    int vault;
    struct ticket_names tickets; /* that the vault can open; none: it can't seal any either */
    char host[256];              /* our name in greetings */
    uint64_t in, out;
    struct steps steps; /* for -v */
    bool asked;         /* the vault has been shown a ticket */
    bool overstayed;
    bool handler_exited; /* the monitor has said so */
    bool lost_monitor;   /* what it has to say can't be received */
};

/* The gate writes no log itself: the monitor does, and escapes what it gets. */
static void note(const struct gate *g, enum gravity gravity, const char *text)
{
    uint8_t buf[600];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REPORT_NOTE);
    message_put_number(&w, gravity);
    message_put_text(&w, text);
    /* If the monitor is gone, nobody is left to tell. */
    (void)message_send(g->vault, &w, NULL, 0);
}

/* What the system has refused; `what` completes "cannot". */
static void complain(const struct gate *g, const char *what, int error)
{
    char text[200];

    (void)snprintf(text, sizeof text, "cannot %s: %s", what, strerror(-error));
    note(g, GRAVITY_ERROR, text);
}

/* Why nothing comes of a word with the monitor: it wants the end, or is gone; or the system has refused
 * to carry it. */
static enum ending without_monitor(const struct gate *g, const char *what, int error)
{
    if (error == -ECANCELED || error == -EPIPE)
        return ENDING_SIGTERM;
    complain(g, what, error);
    return ENDING_SYSTEM;
}

/* The last message. Returns the gate's exit status, which says what the message could not. */
static int report_end(const struct gate *g, enum ending ending)
{
    uint8_t buf[64];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REPORT_END);
    message_put_number(&w, ending);
    message_put_number(&w, g->in);
    message_put_number(&w, g->out);
    message_put_number(&w, g->overstayed);
    int rc = message_send(g->vault, &w, NULL, 0);
    if (rc < 0 && rc != -EPIPE) {
        complain(g, "tell the monitor at once how the connection ended", rc);
        rc = message_send(g->vault, &w, NULL, 0);
    }
    return rc < 0 && rc != -EPIPE ? EX_OSERR : EX_OK;
}

static int send_plain(const struct gate *g, enum message_type type)
{
    uint8_t buf[16];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, type);
    return message_send(g->vault, &w, NULL, 0);
}

/* Waits for the monitor's answer of this type. News of a handler that is being ended anyway are
 * passed over. */
static int receive(const struct gate *g, enum message_type type, struct message_reader *r,
                   uint8_t *buf, size_t size)
{
    int rc;

    do {
        rc = message_receive(g->vault, r, buf, size, type == ANS_HANDLER);
    } while (rc == 0 && r->type == EVENT_HANDLER_EXITED && type != EVENT_HANDLER_EXITED);
    return rc == 0 && r->type != type ? -ECANCELED : rc;
}

/* The handler's descriptors, in answer to a request that has been sent. Returns 0, -ENOEXEC when
 * there is no handler, or another negative errno. */
static int receive_handler(const struct gate *g, int *to, int *from)
{
    uint8_t buf[64];
    struct message_reader r;
    int rc = receive(g, ANS_HANDLER, &r, buf, sizeof buf);

    if (rc < 0)
        return rc;
    *to = r.fds[0];
    *from = r.fds[1] >= 0 ? r.fds[1] : r.fds[0];
    return *to >= 0 ? 0 : -ENOEXEC;
}

static enum relay_order take_order(void *arg)
{
    struct gate *g = arg;
    uint8_t buf[64];
    struct message_reader r;
    int rc = message_receive(g->vault, &r, buf, sizeof buf, false);

    if (rc < 0) {
        g->lost_monitor =
            without_monitor(g, "receive an order of the monitor's", rc) != ENDING_SIGTERM;
        return RELAY_ABANDON;
    }
    if (r.type == EVENT_HANDLER_EXITED) {
        g->handler_exited = true;
        return RELAY_HANDLER_EXITED;
    }
    return r.type == EVENT_DRAIN ? RELAY_DRAIN : RELAY_GO_ON;
}

static void first_bytes(void *arg)
{
    struct gate *g = arg;
    struct steps to_here = g->steps;

    steps_end(&to_here, "first bytes from the handler");
}

static enum ending run_relay(struct gate *g, const struct relay_client *ops, void *client, int to,
                             int from)
{
    struct relay r = {.ops = ops,
                      .client = client,
                      .client_in = g->c->in,
                      .client_out = g->c->out,
                      .to_handler = to,
                      .from_handler = from,
                      .control = g->vault,
                      .order = take_order,
                      .order_arg = g,
                      .heard = first_bytes,
                      .idle = g->o->timeout_idle,
                      .session = g->o->timeout_session,
                      .grace = g->o->timeout_grace};

    if (ops == &client_tls && g->dialect != NULL)
        r.greeting = g->dialect->greeting;
    r.greeting_seconds = g->o->timeout_lobby;
    memory_trim_stack(); /* the handshake was the deepest there is */
    steps_begin(&g->steps);
    int rc = relay_run(&r);
    steps_end(&g->steps, "relay is over: %s", ending_name(r.ending));
    g->in += r.in;
    g->out += r.out;
    g->overstayed = r.overstayed;
    if (r.refused)
        note(g, GRAVITY_ERROR,
             "the handler's greeting can't be used after STARTTLS (PREAUTH, or no greeting at all):"
             " use immediate TLS, or a login program as handler");
    if (rc < 0)
        complain(g, r.refused_by_system, rc);
    if (r.ending == ENDING_TLS_ERROR)
        note(g, GRAVITY_ERROR,
             "client sent a broken TLS record (damaged, forged, or not allowed here): session "
             "ended");
    return r.ending;
}

static int ask_for_signature(void *who, enum sign_as how, const uint8_t *data, size_t len,
                             uint8_t *sig, size_t *sig_len)
{
    struct gate *g = who;
    int rc = vault_ask_signature(g->vault, how, data, len, sig, sig_len);

    g->handler_exited = g->handler_exited || rc == -ECHILD;
    return rc;
}

static int ask_to_seal(void *who, unsigned version, const uint8_t *plain, size_t len,
                       uint8_t *sealed, size_t *sealed_len)
{
    struct gate *g = who;
    int rc = vault_ask_seal(g->vault, version, plain, len, sealed, sealed_len);

    g->handler_exited = g->handler_exited || rc == -ECHILD;
    return rc;
}

static int ask_to_open(void *who, unsigned version, const uint8_t *sealed, size_t sealed_len,
                       uint8_t *plain, size_t *len, bool *old)
{
    struct gate *g = who;
    g->asked = true;
    int rc = vault_ask_open(g->vault, version, sealed, sealed_len, plain, len, old);

    g->handler_exited = g->handler_exited || rc == -ECHILD;
    return rc;
}

/* A ticket of another server's that is longer than the TLS library's own would end the handshake, if
 * tickets were on. */
static bool may_give_tickets(const struct gate *g, const struct hello *h)
{
    return g->tickets.count > 0 && (h->ticket_len == 0 || (h->ticket_len >= TICKETS_HEAD_SIZE &&
                                                           tickets_know(&g->tickets, h->ticket)));
}

/* The response is judged only for clients that ask for it. */
static void judge_staple(const struct gate *g, const struct hello *h, struct vault_chain *c)
{
    const struct staple s = {c->der, c->len, c->staple, c->staple_len};
    char why[TLS_WHY_SIZE], text[TLS_WHY_SIZE + 80];

    /* Who signs our responses would be believed about clients. */
    if (g->o->client_cert != CLIENT_CERT_OFF)
        c->staple_len = 0;
    if (c->staple_len == 0 || (h->wants_staple && staple_check(&s, why) == 0))
        return;
    c->staple_len = 0;
    if (!h->wants_staple)
        return;
    (void)snprintf(text, sizeof text, "--ocsp: response not shown to the client: %s", why);
    note(g, GRAVITY_ERROR, text);
}

/* No certificate for this client: answers its ClientHello and says why. */
static void refuse_hello(const struct gate *g, const struct hello *h, int error,
                         struct outcome *outcome)
{
    switch (error) {
    case -ENXIO:
        opening_refuse(g->c->out, ALERT_UNRECOGNIZED_NAME);
        opening_explain_name(h, outcome);
        break;
    case -EKEYREJECTED: /* the monitor has said what is wrong with it */
        opening_refuse(g->c->out, ALERT_INTERNAL_ERROR);
        *outcome = (struct outcome){.ending = ENDING_CONFIGURATION};
        break;
    default:
        opening_refuse(g->c->out, opening_alert(h, g->o));
        opening_explain_certificates(h, g->o, outcome);
    }
}

/* Asks for a certificate chain and makes the TLS session for it. */
static int make_tls(struct gate *g, const struct opening *o, uint8_t *buf, struct tls **t,
                    char *why)
{
    struct tls_setup setup = {.version_min = g->o->tls_min,
                              .ciphers = g->o->ciphers,
                              .groups = g->o->groups,
                              .alpn = policy_alpn(g->o, &g->c->server),
                              .first = o->bytes,
                              .first_len = o->len,
                              .sign = ask_for_signature,
                              .signer = g,
                              .client = {g->o->client_cert, g->o->client_name, g->trust},
                              .resumption = {.open = ask_to_open,
                                             .names = &g->tickets,
                                             .who = g,
                                             .lifetime = g->o->ticket_lifetime}};
    struct vault_chain c;
    int rc = vault_ask_chain(g->vault, &o->hello, buf, MESSAGE_MAX, &c);

    if (rc < 0)
        return rc;
    if (may_give_tickets(g, &o->hello))
        setup.resumption.seal = ask_to_seal;
    judge_staple(g, &o->hello, &c);
    setup.chain = c.der;
    setup.chain_len = c.len;
    setup.staple = c.staple;
    setup.staple_len = c.staple_len;
    return tls_new(t, g->c->in, g->c->out, &setup, why);
}

/* Makes the TLS session for this ClientHello; the chain goes to buf (MESSAGE_MAX bytes), which has
 * to stay for as long as the handshake. Returns 0, or a negative errno and the outcome. */
static int open_tls(struct gate *g, const struct opening *o, uint8_t *buf, struct tls **t,
                    struct outcome *outcome)
{
    char why[TLS_WHY_SIZE] = "";
    const struct hello *h = &o->hello;

    if (h->group_count > 0 && h->group_count < HELLO_GROUPS_MAX &&
        h->version_max >= g->o->tls_min &&
        !suites_share_group(g->o->groups, h->groups, h->group_count)) {
        opening_refuse(g->c->out, opening_alert(h, g->o));
        opening_explain_groups(outcome);
        return -EPROTO;
    }
    int rc = make_tls(g, o, buf, t, why);
    g->handler_exited = g->handler_exited || rc == -ECHILD;
    trust_free(g->trust);
    if (rc == -ENOENT || rc == -ENXIO || rc == -EKEYREJECTED) {
        refuse_hello(g, h, rc, outcome);
        return rc;
    }
    outcome->gravity = GRAVITY_ERROR;
    (void)snprintf(outcome->text, sizeof outcome->text, "%s", why);
    outcome->ending = rc == -ECANCELED ? ENDING_SIGTERM : ENDING_SYSTEM;
    if (why[0] != '\0' && rc != -ENOMEM)
        outcome->ending = ENDING_CONFIGURATION;
    else if (rc < 0 && why[0] == '\0' && rc != -ECANCELED)
        (void)snprintf(outcome->text, sizeof outcome->text,
                       "handshake failed: no certificate chain: %s", strerror(-rc));
    return rc;
}

/* Everything up to an established session. Returns 0 and *t, or a negative errno and the outcome;
 * *t is to be freed either way. */
static int shake_hands(struct gate *g, struct tls **t, struct facts *facts, struct outcome *outcome)
{
    io_time deadline = io_deadline(g->o->timeout_handshake);
    char why[TLS_WHY_SIZE] = "";
    struct opening *o = malloc(sizeof *o);
    uint8_t *chain = malloc(MESSAGE_MAX);
    int rc = -ENOMEM;

    *outcome = (struct outcome){ENDING_SYSTEM, GRAVITY_ERROR, "handshake failed: out of memory"};
    if (o == NULL || chain == NULL)
        goto out;
    rc = opening_read(o, g->c->in, g->vault, deadline, g->o, outcome);
    if (rc == 0) {
        steps_greeted(&g->steps, &o->hello);
        rc = open_tls(g, o, chain, t, outcome);
    }
    if (rc == 0) {
        rc = tls_handshake(*t, g->vault, deadline, why);
        if (rc < 0)
            opening_explain(&o->hello, rc, why, g->o, outcome);
    }
    if (rc == 0) {
        memcpy(facts->name, o->hello.name, sizeof facts->name);
        if (!tls_take_facts(*t, facts)) {
            opening_explain(&o->hello, -EPROTO, "the client's certificate was not verified", g->o,
                            outcome);
            rc = -EPROTO;
        }
        /* Builds of the library that can't forbid a group to TLS 1.2 get no further than here. */
        if (rc == 0 && facts->group[0] != '\0' && !suites_allow_group(g->o->groups, facts->group)) {
            opening_explain_groups(outcome);
            rc = -EPROTO;
        }
    }
    if (rc == 0 && o->hello.has_ticket && !g->asked)
        steps_kept_ticket(&g->steps, g->tickets.count > 0);
    if (rc == 0)
        steps_shook_hands(&g->steps, facts, g->o);
out:
    free(chain);
    free(o);
    return rc;
}

static int report_facts(const struct gate *g, const struct facts *f)
{
    uint8_t buf[FACTS_MESSAGE_MAX];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REQ_SESSION);
    facts_put(&w, f);
    return message_send(g->vault, &w, NULL, 0);
}

/* Answers a UCSPI-TLS handler's request. Returns 0, or a negative errno and the ending. */
static int answer_ucspi(const struct gate *g, const struct facts *facts, enum ending *ending)
{
    int rc = ucspi_begin(g->ucspi, &g->c->client, &g->c->server, facts);

    if (rc == 0)
        return 0;
    *ending = rc == -EPIPE || rc == -ECONNRESET ? ENDING_HANDLER_CLOSE : ENDING_SYSTEM;
    complain(g, "give the handler the environment that it asked for on SSLCTLFD", rc);
    return rc;
}

/* Tells the monitor that the handshake is done, and finds the handler's descriptors. Returns 0, or a
 * negative errno and the ending. */
static int get_handler(const struct gate *g, const struct facts *facts, int *to, int *from,
                       enum ending *ending)
{
    int rc = report_facts(g, facts);

    if (rc == 0 && g->ucspi != NULL) {
        *to = g->ucspi->write;
        *from = g->ucspi->read;
        return answer_ucspi(g, facts, ending);
    }
    if (rc == 0)
        rc = receive_handler(g, to, from);
    if (rc == -ENOEXEC)
        *ending = ENDING_NO_HANDLER;
    else if (rc < 0)
        *ending = without_monitor(g, "get the handler from the monitor", rc);
    return rc;
}

/* Closes the session in an orderly way when there is nobody to relay to. */
static void close_unserved(const struct gate *g, struct tls *t)
{
    io_time deadline = io_deadline(LINGER_SECONDS);

    tls_close(t);
    while (tls_flush(t) == -EAGAIN)
        if (io_wait(g->c->out, POLLOUT, -1, deadline) < 0)
            break;
    io_linger(g->c->in, g->c->out, deadline);
}

/* A UCSPI-TLS handler may end before anybody can be relayed to it: then that is why the handshake was
 * broken off. The monitor's word about it may have been heard already, or has only been announced. */
static void name_lost_handler(struct gate *g, struct outcome *outcome)
{
    if (g->ucspi == NULL)
        return;
    if (!g->handler_exited && outcome->ending == ENDING_SIGTERM &&
        io_wait(g->vault, POLLIN, -1, io_now()) == 0)
        (void)take_order(g);
    if (!g->handler_exited)
        return;
    *outcome = (struct outcome){ENDING_HANDLER_CLOSE, GRAVITY_ERROR,
                                "handler ended before the handshake that it asked for was done"};
}

/* TLS from the client's first byte to the end of the session. */
static enum ending serve_tls(struct gate *g)
{
    struct facts facts = {.version = ""};
    struct outcome outcome;
    enum ending ending = ENDING_SYSTEM;
    struct tls *t = NULL;
    int to = -1, from = -1;
    int rc = shake_hands(g, &t, &facts, &outcome);

    if (rc < 0) {
        name_lost_handler(g, &outcome);
        if (outcome.text[0] != '\0')
            note(g, outcome.gravity, outcome.text);
        tls_free(t);
        io_linger(g->c->in, g->c->out, io_deadline(LINGER_SECONDS));
        return outcome.ending;
    }
    if (get_handler(g, &facts, &to, &from, &ending) == 0)
        ending = run_relay(g, &client_tls, t, to, from);
    else
        close_unserved(g, t);
    tls_free(t);
    return ending;
}

static int lobby_start(void *gate, int *to, int *from)
{
    const struct gate *g = gate;
    int rc = send_plain(g, REQ_PLAINTEXT_HANDLER);

    return rc < 0 ? rc : receive_handler(g, to, from);
}

static int lobby_stop(void *gate)
{
    const struct gate *g = gate;
    uint8_t buf[64];
    struct message_reader r;
    int rc = send_plain(g, REQ_STOP_HANDLER);

    return rc < 0 ? rc : receive(g, ANS_HANDLER_STOPPED, &r, buf, sizeof buf);
}

static int lobby_order(void *gate)
{
    switch (take_order(gate)) {
    case RELAY_GO_ON:
        return 0;
    case RELAY_HANDLER_EXITED:
        return -ECHILD;
    default:
        return -ECANCELED;
    }
}

static void lobby_note(void *gate, bool wrong, const char *text)
{
    note(gate, wrong ? GRAVITY_ERROR : GRAVITY_NOTE, text);
}

/* STARTTLS: plaintext first. */
static enum ending serve_lobby(struct gate *g, bool tls)
{
    const struct lobby_gate host = {g, lobby_start, lobby_stop, lobby_order, lobby_note};
    struct lobby *l = calloc(1, sizeof *l);

    if (l == NULL) {
        complain(g, "begin the conversation before TLS", -ENOMEM);
        return ENDING_SYSTEM;
    }
    l->dialect = g->dialect;
    l->setting.host = g->host;
    l->setting.tls = tls;
    l->policy = policy_for(g->o, g->c);
    l->host = &host;
    l->in = g->c->in;
    l->out = g->c->out;
    l->watch = g->vault;
    l->deadline = io_deadline(g->o->timeout_lobby);
    enum lobby_outcome outcome = lobby_run(l);
    enum ending ending = l->ending;
    g->in += l->received;
    g->out += l->sent;
    int to = l->to_handler, from = l->from_handler;
    free(l);
    if (outcome == LOBBY_TLS) {
        steps_end(&g->steps, "the lobby is left by STARTTLS");
        return serve_tls(g);
    }
    if (outcome == LOBBY_RELAY) {
        int rc = send_plain(g, REPORT_LEFT_LOBBY);
        steps_end(&g->steps, "the lobby is left without TLS");
        if (rc == 0)
            return run_relay(g, &client_plain, g->c, to, from);
        ending = without_monitor(g, "tell the monitor that the client goes on in plaintext", rc);
        if (to != from)
            io_close(&from);
        io_close(&to);
    }
    io_linger(g->c->in, g->c->out, io_deadline(LINGER_SECONDS));
    return ending;
}

/* The handler will never ask for TLS: nothing is left to do here but to end when it ends. Returns
 * -ECHILD or another negative errno. */
static int wait_for_handler(struct gate *g)
{
    int rc;

    activation_close(g->c);
    ucspi_close(g->ucspi);
    do {
        rc = io_wait(g->vault, POLLIN, -1, 0);
        if (rc == 0)
            rc = lobby_order(g);
    } while (rc == 0);
    return rc;
}

/* UCSPI-TLS: the handler has the plaintext to itself and says when TLS shall begin. */
static enum ending serve_ucspi(struct gate *g)
{
    int rc;

    do {
        rc = ucspi_wait(g->ucspi, g->vault);
    } while (rc == -ECANCELED && (rc = lobby_order(g)) == 0);
    if (rc == -EPIPE)
        rc = wait_for_handler(g);
    if (rc == -ECHILD)
        return ENDING_HANDLER_CLOSE;
    if (rc == -EBADMSG) {
        note(g, GRAVITY_ERROR, "the handler wrote something else than y or Y to SSLCTLFD");
        return ENDING_NO_HANDLER;
    }
    if (rc < 0)
        return without_monitor(g, "wait for the handler", rc);
    steps_end(&g->steps, "the handler asks for TLS (SSLCTLFD)");
    enum ending ending = serve_tls(g);
    /* The handler still holds copies of the socket: the client shall see it closed all the same. */
    (void)shutdown(g->c->out, SHUT_RDWR);
    return ending;
}

/* The monitor's first word: whether TLS can be had. Returns 0; -EPIPE when it has none; or another
 * negative errno. */
static int wait_for_go(struct gate *g, bool *tls)
{
    uint8_t buf[64 + sizeof(struct ticket_names)];
    struct message_reader r;
    size_t len;
    int rc = message_receive(g->vault, &r, buf, sizeof buf, false);

    if (rc < 0)
        return rc;
    if (r.type != EVENT_GO)
        return -ECANCELED;
    *tls = message_get_number(&r, 1) != 0;
    g->tickets.count = (size_t)message_get_number(&r, TICKETS_KEYS_MAX);
    for (size_t i = 0; i < g->tickets.count; i++) {
        const uint8_t *name = message_get_bytes(&r, TICKETS_NAME_SIZE, &len);
        memcpy(g->tickets.names[i], name, len);
    }
    return message_complete(&r) ? 0 : -ECANCELED;
}

/* It is the handler's, and may hold secrets of its own: nothing here needs it. */
static void forget_environment(void)
{
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        explicit_bzero(*entry, strlen(*entry));
    environ = NULL;
}

/* The PROXY header: from here on both processes know the client by what it says. Returns 0, or a
 * negative errno and how the connection has ended. */
static int take_header(struct gate *g, enum ending *ending)
{
    struct proxy_header h;
    struct outcome outcome;
    uint8_t buf[128];
    struct message_writer w;
    int rc = opening_read_proxy(&h, g->c->in, g->vault, io_deadline(g->o->timeout_handshake), g->o,
                                &outcome);

    *ending = ENDING_SIGTERM;
    if (rc < 0) {
        note(g, outcome.gravity, outcome.text);
        io_linger(g->c->in, g->c->out, io_deadline(LINGER_SECONDS));
        *ending = outcome.ending;
        return rc;
    }
    if (h.has_addresses)
        activation_set_proxied(g->c, &h.client, &h.server);
    steps_end(&g->steps, "PROXY header: client %s, server %s", g->c->client.text,
              g->c->server.text);
    message_begin(&w, buf, sizeof buf, REPORT_PROXY);
    proxy_put(&w, &h);
    return message_send(g->vault, &w, NULL, 0);
}

/* All that still needs files, names or many descriptors. */
static int prepare(struct gate *g, const struct jail *j)
{
    int keep[] = {g->c->in, g->c->out, g->vault, j->root, -1, -1, -1};
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
    /* Not even standard error is left: the log is the monitor's alone. */
    rc = io_blank_standard(true, true);
    if (rc == 0)
        rc = io_close_others(keep, sizeof keep / sizeof keep[0]);
    /* A UCSPI-TLS handler shares these, and expects them blocking. */
    if (rc == 0 && g->ucspi == NULL)
        rc = io_set_nonblocking(g->c->in, true);
    if (rc == 0 && g->ucspi == NULL)
        rc = io_set_nonblocking(g->c->out, true);
#ifdef POSTERN_TEST
    attempt_remember();
#endif
    forget_environment();
    return rc == 0 ? tls_start() : rc;
}

#ifdef POSTERN_TEST
/* Test builds only: what a gate that has been taken over might try. */
static bool try_to_break_out(const struct gate *g)
{
    char text[200];

    if (attempt_run(g->vault, text, sizeof text) == 0)
        return false;
    note(g, GRAVITY_ERROR, text);
    return true;
}
#endif

static enum ending serve(struct gate *g, struct jail *j)
{
    struct jail_report report;
    char text[400];
    bool tls = false;
    enum ending ending;
    int rc = prepare(g, j);

    if (rc < 0) {
        (void)snprintf(text, sizeof text, "cannot set up descriptors, randomness and library: %s",
                       strerror(-rc));
        note(g, GRAVITY_ERROR, text);
        return ENDING_SYSTEM;
    }
    rc = jail_enter(j, &report);
    if (rc < 0) {
        (void)snprintf(text, sizeof text, "the jail cannot be closed: %s%s", report.missing,
                       rc == -ENOTSUP ? " missing (--jail=strict)" : "");
        note(g, GRAVITY_ERROR, text);
        return ENDING_SYSTEM;
    }
    steps_jailed(&g->steps, j, &report);
    if (report.missing[0] != '\0') {
        (void)snprintf(text, sizeof text, "the jail lacks: %s", report.missing);
        note(g, GRAVITY_DETAIL, text);
    }
    rc = wait_for_go(g, &tls);
    if (rc < 0)
        return without_monitor(g, "hear from the monitor", rc);
    steps_begin(&g->steps);
#ifdef POSTERN_TEST
    if (try_to_break_out(g))
        return ENDING_LEFT;
#endif
    if (g->o->proxy_protocol && take_header(g, &ending) < 0)
        return ending;
    if (g->ucspi != NULL)
        return serve_ucspi(g);
    return g->dialect != NULL ? serve_lobby(g, tls) : serve_tls(g);
}

int gate_run(struct connection *c, const struct options *o, struct jail *j, int vault,
             struct ucspi *ucspi, struct trust *trust)
{
    struct gate g = {.c = c,
                     .o = o,
                     .vault = vault,
                     .ucspi = ucspi,
                     .trust = trust,
                     .steps = {vault, steps_now()}};

    if (o->starttls != NULL)
        g.dialect = dialect_find(o->starttls);
    enum ending ending = serve(&g, j);
    int status = report_end(&g, g.lost_monitor ? ENDING_SYSTEM : ending);
    activation_close(c);
    return status;
}
