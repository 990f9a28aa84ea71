/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "service.h"

#include "io.h"
#include "log.h"
#include "message.h"
#include "policy.h"
#include "proxy.h"
#include "memory.h"
#include "steps.h"
#include "vault_tickets.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define OLD_HANDLER_SECONDS                                                                        \
    1                     /* for the handler of the plaintext phase after the end of its input */
#define NOTES_MAX 40      /* lines that one gate may write: some 20 are its most, with -v */
#define NOTE_TEXT_MAX 512 /* bytes of each */

extern char **environ;

/* The first that the handler finds on its standard input, before anything of the client's. Returns 0,
 * or logs one line and returns a negative errno. */
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

/* Starts the handler: with facts after the handshake, without them before. `ucspi`: with the network
 * socket and these descriptors instead of pipes. */
int service_start_handler(struct session *s, const struct facts *facts, const struct ucspi *ucspi)
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
    s->handler_since = steps_now();
    int rc = handler_start(&s->handler, &setup);
    environment_free(&e);
    if (rc == 0)
        steps_started_handler(s->handler_since, s->handler.pid, setup.argv[0], setup.account);
    s->errors.fd = s->handler.errors;
    s->handler.errors = -1;
    s->handler_ran = rc == 0;
    return rc == 0 ? send_header(s, facts) : rc;
}

static void refuse_message(struct session *s, const struct message_reader *r)
{
    log_error("the gate sent a %s message that is malformed or out of turn: connection ended",
              message_name(r->type));
    session_end_gate(s, ENDING_GATE_DIED);
}

/* A note, or a step's line, which nobody has asked for without -v. */
static void write_note(struct session *s, struct message_reader *r)
{
    char text[NOTE_TEXT_MAX], line[2 * NOTE_TEXT_MAX];
    bool step = r->type == REPORT_STEP;
    uint64_t number = message_get_number(r, step ? STEPS_TIME_MAX : 2);

    message_get_text(r, text, sizeof text);
    if (!message_complete(r) || (step && !log_has_details()) || s->notes++ >= NOTES_MAX) {
        refuse_message(s, r);
        return;
    }
    (void)log_sentence(line, sizeof line, text, strlen(text));
    if (step)
        steps_write((int64_t)number, line);
    else if (number == 2)
        log_error("%s", line);
    else if (number == 1)
        log_note("%s", line);
    else
        log_detail("%s", line);
}

/* The secrets have done their work, and so has most of what this process may do. */
static void lay_down(struct session *s)
{
    vault_wipe(&s->vault);
    int rc = jail_monitor(&s->jail);
    if (rc < 0)
        log_detail("the monitor's own jail is missing: %s", strerror(-rc));
    memory_trim_stack();
}

/* Hands the gate the descriptors of the handler that has just been started, or none. */
static void give_handler(struct session *s)
{
    uint8_t buf[16];
    struct message_writer w;
    const int fds[2] = {s->handler.in, s->handler.out};
    size_t count = fds[0] < 0 ? 0 : fds[0] == fds[1] ? 1 : 2;

    message_begin(&w, buf, sizeof buf, ANS_HANDLER);
    int rc = message_send(s->gate, &w, fds, count);
    handler_close(&s->handler);
    if (rc < 0)
        session_lost_gate(s, "hand the handler to the gate", rc);
}

/* The gate may have been taken over, but then it can lie about the client: this is about mistakes. */
static bool client_is_allowed(const struct session *s)
{
    enum client_verify verify = s->facts.client.verify;

    switch (s->o->client_cert) {
    case CLIENT_CERT_OFF:
        return verify == CLIENT_NOT_ASKED;
    case CLIENT_CERT_REQUEST:
        return verify != CLIENT_NOT_ASKED;
    case CLIENT_CERT_REQUIRE:
        return verify == CLIENT_VERIFIED;
    }
    return false;
}

/* A certificate that is good, but by which nobody can be logged in, is most often one of a mistaken
 * --client-name. */
static void tell_nameless(const struct session *s)
{
    static const char *const parts[] = {"cn", "email", "san"};
    const struct client_facts *c = &s->facts.client;
    char shown[160];

    if (c->verify == CLIENT_VERIFIED && c->user[0] == '\0')
        log_note("client certificate %s: no SSL_CLIENT_USER by --client-name=%s: it has no such "
                 "name, several, or one with other characters than letters, digits and . - _ @ +",
                 log_sentence(shown, sizeof shown, c->subject, strlen(c->subject)),
                 parts[s->o->client_name]);
}

/* The handshake is done: starts the handler and hands its descriptors to the gate. */
static void take_facts(struct session *s, struct message_reader *r)
{
    facts_get(r, &s->facts);
    /* There is no handshake without a signature, but for one that begins with a ticket of ours. */
    bool done = s->facts.resumed ? s->vault.opened : s->vault.signatures == 0;
    if (!message_complete(r) || s->phase != PHASE_CHAIN || !done || s->stopping ||
        !client_is_allowed(s)) {
        refuse_message(s, r);
        return;
    }
    s->phase = PHASE_SESSION;
    s->have_facts = true;
    tell_nameless(s);
    session_bound_gate(s);
    vault_wipe(&s->vault);
    if (!s->o->ucspi_tls && service_start_handler(s, &s->facts, NULL) < 0)
        session_ending(s, ENDING_NO_HANDLER);
    lay_down(s);
    if (!s->o->ucspi_tls)
        give_handler(s);
}

/* The PROXY header has been read: the client is the one that it names. Once. */
static void take_proxy(struct session *s, struct message_reader *r)
{
    struct proxy_header h;

    proxy_get(r, &h);
    if (!message_complete(r) || s->phase != PHASE_HEADER) {
        refuse_message(s, r);
        return;
    }
    s->phase = PHASE_OPENING;
    if (!h.has_addresses)
        return;
    activation_set_proxied(s->c, &h.client, &h.server);
    log_about(s->c->client.text);
}

/* The policies auth and optional: a handler answers before TLS. Once. */
static void start_plaintext(struct session *s, struct message_reader *r)
{
    if (s->phase != PHASE_OPENING || s->stopping || s->o->starttls == NULL ||
        !policy_has_handler(policy_for(s->o, s->c))) {
        refuse_message(s, r);
        return;
    }
    s->phase = PHASE_PLAINTEXT;
    if (service_start_handler(s, NULL, NULL) < 0)
        session_ending(s, ENDING_NO_HANDLER);
    give_handler(s);
}

/* TLS comes: nothing of the plaintext phase may live on. */
static void end_plaintext(struct session *s, struct message_reader *r)
{
    if (s->phase != PHASE_PLAINTEXT) {
        refuse_message(s, r);
        return;
    }
    s->phase = PHASE_TLS_NEXT;
    /* The gate has closed its pipes: a good handler ends by itself, and takes its children along. */
    s->old_pid = s->handler.pid;
    s->old_term_at = s->old_pid > 0 ? io_deadline(OLD_HANDLER_SECONDS) : 0;
    s->handler.pid = 0;
    s->handler_ran = false;
    s->old_errors = s->errors;
    s->errors = (struct diagnostics){.fd = -1};
    int rc = session_send(s, ANS_HANDLER_STOPPED);
    if (rc < 0)
        session_lost_gate(s, "tell the gate that the handler has been ended", rc);
}

/* The client has left the lobby in plaintext: keys are needed no more. */
static void leave_lobby(struct session *s, struct message_reader *r)
{
    if (s->phase != PHASE_PLAINTEXT) {
        refuse_message(s, r);
        return;
    }
    s->phase = PHASE_SESSION;
    s->left_lobby = true;
    session_bound_gate(s);
    lay_down(s);
}

static void take_end(struct session *s, struct message_reader *r)
{
    enum ending ending = (enum ending)message_get_number(r, ENDING_COUNT - 1);
    uint64_t in = message_get_number(r, UINT64_MAX);
    uint64_t out = message_get_number(r, UINT64_MAX);
    bool overstayed = message_get_number(r, 1) != 0;

    if (!message_complete(r) || s->phase == PHASE_ENDED) {
        refuse_message(s, r);
        return;
    }
    s->phase = PHASE_ENDED;
    session_bound_gate(s);
    session_ending(s, ending);
    s->in = in;
    s->out = out;
    if (s->handler.pid > 0 && s->term_at == 0 && s->kill_at == 0)
        s->term_at = overstayed ? io_now() : io_deadline(s->o->timeout_grace);
}

/* What became of an answer of the vault's, which has logged what is wrong. */
static void end_unless_given(struct session *s, int rc)
{
    /* What a gate that has left said last is still to be read. */
    if (rc < 0 && rc != -EPIPE)
        session_end_gate(s, rc == -EBADMSG || rc == -EAGAIN ? ENDING_GATE_DIED : ENDING_SYSTEM);
}

static void give_chain(struct session *s, struct message_reader *r)
{
    if ((s->phase != PHASE_OPENING && s->phase != PHASE_TLS_NEXT) || !s->have_tls) {
        refuse_message(s, r);
        return;
    }
    s->phase = PHASE_CHAIN;
    end_unless_given(s, vault_give_chain(&s->vault, r, s->gate));
}

/* A ticket to be sealed or opened. */
static void serve_tickets(struct session *s, struct message_reader *r)
{
    if (s->phase != PHASE_CHAIN)
        refuse_message(s, r);
    else if (r->type == REQ_SEAL)
        end_unless_given(s, vault_give_seal(&s->vault, s->o, r, s->gate));
    else
        end_unless_given(s, vault_give_open(&s->vault, s->o, r, s->gate));
}

/* Reads and obeys one message. Returns false when there is none. */
bool service_take_message(struct session *s)
{
    uint8_t buf[4096];
    struct message_reader r;
    int rc = message_receive(s->gate, &r, buf, sizeof buf, false);

    if (rc == -EAGAIN)
        return false;
    if (rc == -EPIPE) {
        io_close(&s->gate);
        session_bound_gate(s);
        return false;
    }
    if (rc < 0) {
        session_lost_gate(s, "receive a message from the gate", rc);
        return false;
    }
    switch (r.type) {
    case REQ_CHAIN:
        give_chain(s, &r);
        break;
    case REQ_SIGN:
        if (s->phase != PHASE_CHAIN)
            refuse_message(s, &r);
        else
            end_unless_given(s, vault_give_signature(&s->vault, &r, s->gate));
        break;
    case REQ_SEAL:
    case REQ_OPEN:
        serve_tickets(s, &r);
        explicit_bzero(buf, sizeof buf); /* the session's secret */
        break;
    case REQ_SESSION:
        take_facts(s, &r);
        break;
    case REQ_PLAINTEXT_HANDLER:
        start_plaintext(s, &r);
        break;
    case REQ_STOP_HANDLER:
        end_plaintext(s, &r);
        break;
    case REPORT_LEFT_LOBBY:
        leave_lobby(s, &r);
        break;
    case REPORT_PROXY:
        take_proxy(s, &r);
        break;
    case REPORT_NOTE:
    case REPORT_STEP:
        write_note(s, &r);
        break;
    case REPORT_END:
        take_end(s, &r);
        break;
    default:
        refuse_message(s, &r);
    }
    return true;
}

int service_begin(struct session *s)
{
    uint8_t buf[64 + sizeof(struct ticket_names)];
    const struct tickets *t = s->vault.tickets;
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, EVENT_GO);
    message_put_number(&w, s->have_tls);
    message_put_number(&w, t != NULL ? t->count : 0);
    for (size_t i = 0; t != NULL && i < t->count; i++)
        message_put_bytes(&w, t->keys[i].name, TICKETS_NAME_SIZE);
    return message_send(s->gate, &w, NULL, 0);
}
