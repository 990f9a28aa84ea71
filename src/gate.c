/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate.h"

#include "facts.h"
#include "hello.h"
#include "io.h"
#include "log.h"
#include "message.h"
#include "relay.h"
#include "tls.h"
#include "vault.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_SIZE 160
#define TEXT_MAX 512

struct gate {
    struct connection *c;
    const struct options *o;
    int vault;
    uint64_t in, out;
    bool overstayed;
};

enum gravity { DETAIL, NOTE, ERROR };

/* The gate writes no log itself: the monitor does, and escapes what it gets. */
static void note(const struct gate *g, enum gravity gravity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void note(const struct gate *g, enum gravity gravity, const char *format, ...)
{
    char text[TEXT_MAX];
    uint8_t buf[TEXT_MAX + 32];
    struct message_writer w;
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    message_begin(&w, buf, sizeof buf, MESSAGE_NOTE);
    message_put_number(&w, gravity);
    message_put_text(&w, text);
    /* If the monitor is gone, nobody is left to tell. */
    (void)message_send(g->vault, &w, NULL, 0);
}

static void report_end(const struct gate *g, enum ending ending)
{
    uint8_t buf[64];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, MESSAGE_END);
    message_put_number(&w, ending);
    message_put_number(&w, g->in);
    message_put_number(&w, g->out);
    message_put_number(&w, g->overstayed);
    (void)message_send(g->vault, &w, NULL, 0);
}

/* The client's first bytes and what they say. */
struct opening {
    uint8_t bytes[HELLO_MAX + 1];
    size_t len;
    struct hello hello;
};

/* Says why no handshake is possible with what came instead of a ClientHello. */
static enum ending refuse_opening(const struct gate *g, const struct opening *o,
                                  enum hello_verdict verdict)
{
    static const char *const dialects[][2] = {
        {"IMAP", "imap"}, {"POP3", "pop3"},         {"SMTP", "smtp"},
        {"LMTP", "lmtp"}, {"ManageSieve", "sieve"}, {"NNTP", "nntp"},
    };
    const char *protocol = hello_plaintext(o->bytes, o->len);
    const char *dialect = NULL;

    switch (verdict) {
    case HELLO_PLAINTEXT:
        for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++)
            if (strcmp(dialects[i][0], protocol) == 0)
                dialect = dialects[i][1];
        if (dialect != NULL)
            note(g, ERROR,
                 "handshake failed: client speaks %s in plaintext, but TLS starts at once here; "
                 "for clients set to STARTTLS run postern with --starttls=%s on that port",
                 protocol, dialect);
        else
            note(g, ERROR, "handshake failed: client speaks %s, not TLS", protocol);
        break;
    case HELLO_SSL2:
        note(g, ERROR, "handshake failed: client speaks SSL 2.0, which must not be answered");
        break;
    case HELLO_ALERT:
        note(g, ERROR, "handshake failed: client began with a TLS alert");
        break;
    default:
        note(g, ERROR, "handshake failed: client sent a malformed ClientHello");
    }
    return ENDING_HANDSHAKE;
}

/* Says why the client's ClientHello never was complete. */
static enum ending no_opening(const struct gate *g, const struct opening *o, int error)
{
    if (error == -ECANCELED)
        return ENDING_SIGTERM;
    if (error == -ETIMEDOUT) {
        if (o->len == 0)
            note(g, ERROR,
                 "handshake failed: client sent nothing in %u seconds; it may be waiting for a "
                 "plaintext greeting: then set it to TLS (SSL), or postern to --starttls",
                 g->o->timeout_handshake);
        else
            note(g, ERROR, "handshake failed: client sent half a ClientHello in %u seconds",
                 g->o->timeout_handshake);
        return ENDING_TIMEOUT_HANDSHAKE;
    }
    note(g, NOTE,
         o->len == 0 ? "client left without a word (a port scan or a health check?)"
                     : "client left before it had sent a whole ClientHello (a port scan?)");
    return ENDING_LEFT;
}

/* Reads the first record or records, up to a whole ClientHello. Returns 0, or -EPROTO and the
 * ending in *ending. */
static int read_opening(const struct gate *g, struct opening *o, io_time deadline,
                        enum ending *ending)
{
    enum hello_verdict verdict = HELLO_MORE;
    int error = 0;

    o->len = 0;
    while (verdict == HELLO_MORE && error == 0) {
        ssize_t n = io_read(g->c->in, o->bytes + o->len, sizeof o->bytes - o->len);
        if (n > 0) {
            o->len += (size_t)n;
            verdict = hello_parse(&o->hello, o->bytes, o->len);
        } else if (n == -EAGAIN) {
            error = io_wait(g->c->in, POLLIN, g->vault, deadline);
        } else {
            error = -EPIPE;
        }
    }
    if (error < 0) {
        *ending = no_opening(g, o, error);
        return -EPROTO;
    }
    if (verdict != HELLO_OK) {
        *ending = refuse_opening(g, o, verdict);
        return -EPROTO;
    }
    return 0;
}

static int ask_for_signature(void *who, enum sign_as how, const uint8_t *data, size_t len,
                             uint8_t *sig, size_t *sig_len)
{
    const struct gate *g = who;

    return vault_ask_signature(g->vault, how, data, len, sig, sig_len);
}

/* Makes the TLS session for this ClientHello. Returns 0, or -EPROTO and the ending. */
static int open_tls(struct gate *g, const struct opening *o, struct tls **t, enum ending *ending)
{
    char why[WHY_SIZE] = "";
    struct tls_setup setup = {.version_min = g->o->tls_min,
                              .ciphers = g->o->ciphers,
                              .groups = g->o->groups,
                              .first = o->bytes,
                              .first_len = o->len,
                              .sign = ask_for_signature,
                              .signer = g};
    uint8_t *buf = malloc(MESSAGE_MAX);
    int rc = buf == NULL ? -ENOMEM : 0;

    if (rc == 0)
        rc = vault_ask_chain(g->vault, &o->hello, buf, MESSAGE_MAX, &setup.chain, &setup.chain_len);
    if (rc == 0) {
        rc = tls_new(t, g->c->in, g->c->out, &setup, why);
        if (rc < 0)
            note(g, ERROR, "%s", why);
    }
    free(buf);
    *ending = rc == -ENOMEM                      ? ENDING_SYSTEM
              : rc == -ECANCELED || rc == -EPIPE ? ENDING_SIGTERM
                                                 : ENDING_CONFIGURATION;
    return rc < 0 ? -EPROTO : 0;
}

/* Puts the library's reason, or a better one from the ClientHello, into the log. */
static enum ending handshake_failed(const struct gate *g, const struct hello *h, int error,
                                    const char *why)
{
    switch (error) {
    case -ECANCELED:
        return ENDING_SIGTERM;
    case -ETIMEDOUT:
        note(g, ERROR, "handshake failed: not done in %u seconds (--timeout-handshake)",
             g->o->timeout_handshake);
        return ENDING_TIMEOUT_HANDSHAKE;
    case -EPIPE:
        note(g, NOTE, "%s (a port scan?)", why);
        return ENDING_LEFT;
    default:
        break;
    }
    if (h->version_max < g->o->tls_min)
        note(g, ERROR, "handshake failed: client offers only %s, --tls-min is 1.%u",
             hello_version_name(h->version_max), g->o->tls_min - 0x0301);
    else if (!h->rsa && !h->ecdsa && !h->ed25519)
        note(g, ERROR,
             "handshake failed: client can check no RSA, ECDSA or Ed25519 signature "
             "without SHA-1");
    else
        note(g, ERROR, "handshake failed: %s", why);
    return ENDING_HANDSHAKE;
}

static int shake_hands(struct gate *g, const struct opening *o, struct tls *t, io_time deadline,
                       enum ending *ending)
{
    char why[WHY_SIZE] = "";
    int rc = tls_handshake(t, g->vault, deadline, why);

    if (rc < 0)
        *ending = handshake_failed(g, &o->hello, rc, why);
    return rc;
}

/* Reports the facts and gets the handler's descriptors in return. Returns 0, -ENOEXEC when there is
 * no handler, or another negative errno. */
static int ask_for_handler(const struct gate *g, const struct facts *f, int fds[2])
{
    uint8_t buf[1024];
    struct message_writer w;
    struct message_reader r;

    message_begin(&w, buf, sizeof buf, MESSAGE_FACTS);
    facts_put(&w, f);
    int rc = message_send(g->vault, &w, NULL, 0);
    if (rc == 0)
        rc = message_receive(g->vault, &r, buf, sizeof buf, true);
    if (rc < 0)
        return rc;
    if (r.type != MESSAGE_HANDLER)
        return -ECANCELED;
    fds[0] = r.fds[0];
    fds[1] = r.fds[1] >= 0 ? r.fds[1] : r.fds[0];
    return fds[0] >= 0 ? 0 : -ENOEXEC;
}

static ssize_t tls_client_read(void *client, void *buf, size_t len)
{
    return tls_read(client, buf, len);
}

static ssize_t tls_client_write(void *client, const void *buf, size_t len)
{
    int rc = tls_write(client, buf, len);

    return rc < 0 ? rc : (ssize_t)len;
}

static int tls_client_flush(void *client)
{
    return tls_flush(client);
}

static bool tls_client_may_read(void *client)
{
    return tls_may_read(client);
}

static void tls_client_close(void *client)
{
    tls_close(client);
}

static const struct relay_client tls_client = {tls_client_read, tls_client_write, tls_client_flush,
                                               tls_client_may_read, tls_client_close};

static enum relay_order take_order(void *arg)
{
    const struct gate *g = arg;
    uint8_t buf[64];
    struct message_reader r;

    if (message_receive(g->vault, &r, buf, sizeof buf, false) < 0)
        return RELAY_ABANDON;
    if (r.type == MESSAGE_EXITED)
        return RELAY_HANDLER_EXITED;
    return r.type == MESSAGE_DRAIN ? RELAY_DRAIN : RELAY_GO_ON;
}

static enum ending run_relay(struct gate *g, struct tls *t, const int fds[2])
{
    struct relay r = {.ops = &tls_client,
                      .client = t,
                      .client_in = g->c->in,
                      .client_out = g->c->out,
                      .to_handler = fds[0],
                      .from_handler = fds[1],
                      .control = g->vault,
                      .order = take_order,
                      .order_arg = g,
                      .idle = g->o->timeout_idle,
                      .session = g->o->timeout_session,
                      .grace = g->o->timeout_grace};

    int rc = relay_run(&r);
    g->in = r.in;
    g->out = r.out;
    g->overstayed = r.overstayed;
    return rc < 0 ? ENDING_SYSTEM : r.ending;
}

/* Closes the session in an orderly way when there is nobody to relay to. */
static enum ending close_unserved(const struct gate *g, struct tls *t, int error)
{
    io_time deadline = io_deadline(g->o->timeout_grace);

    tls_close(t);
    while (tls_flush(t) == -EAGAIN)
        if (io_wait(g->c->out, POLLOUT, -1, deadline) < 0)
            break;
    return error == -ENOEXEC ? ENDING_NO_HANDLER : ENDING_SIGTERM;
}

/* TLS from the client's first byte to the end of the session. */
static enum ending serve_tls(struct gate *g)
{
    struct facts facts = {.version = ""};
    struct tls *t = NULL;
    enum ending ending = ENDING_SYSTEM;
    io_time deadline = io_deadline(g->o->timeout_handshake);
    int fds[2] = {-1, -1};
    struct opening *o = malloc(sizeof *o);

    if (o == NULL)
        return ENDING_SYSTEM;
    int rc = read_opening(g, o, deadline, &ending);
    if (rc == 0)
        rc = open_tls(g, o, &t, &ending);
    if (rc == 0)
        rc = shake_hands(g, o, t, deadline, &ending);
    if (rc == 0)
        memcpy(facts.name, o->hello.name, sizeof facts.name);
    free(o);
    if (rc == 0) {
        tls_take_facts(t, &facts);
        rc = ask_for_handler(g, &facts, fds);
        ending = rc < 0 ? close_unserved(g, t, rc) : run_relay(g, t, fds);
    }
    tls_free(t);
    return ending;
}

/* The monitor's first word. Returns 0, or -EPIPE when it has none. */
static int wait_for_go(const struct gate *g)
{
    uint8_t buf[64];
    struct message_reader r;
    int rc = message_receive(g->vault, &r, buf, sizeof buf, false);

    return rc < 0 || r.type != MESSAGE_GO ? -EPIPE : 0;
}

static enum ending serve(struct gate *g, struct jail *j)
{
    struct jail_report report;
    const int keep[] = {g->c->in, g->c->out, g->vault, j->root};

    int rc = io_close_others(keep, sizeof keep / sizeof keep[0]);
    if (rc == 0)
        rc = io_set_nonblocking(g->c->in, true);
    if (rc == 0)
        rc = io_set_nonblocking(g->c->out, true);
    if (rc < 0) {
        note(g, ERROR, "cannot set up the connection's descriptors: %s", strerror(-rc));
        return ENDING_SYSTEM;
    }
    if (tls_start() < 0) {
        note(g, ERROR, "the TLS library does not start");
        return ENDING_SYSTEM;
    }
    rc = jail_enter(j, &report);
    if (rc < 0) {
        note(g, ERROR, "the jail cannot be closed: %s%s", report.missing,
             rc == -ENOTSUP ? " missing (--jail=strict)" : "");
        return ENDING_SYSTEM;
    }
    if (report.missing[0] != '\0')
        note(g, DETAIL, "the jail lacks: %s", report.missing);
    if (wait_for_go(g) < 0)
        return ENDING_SIGTERM;
    return serve_tls(g);
}

void gate_run(struct connection *c, const struct options *o, struct jail *j, int vault)
{
    struct gate g = {.c = c, .o = o, .vault = vault};

    enum ending ending = serve(&g, j);
    report_end(&g, ending);
    activation_close(c);
}
