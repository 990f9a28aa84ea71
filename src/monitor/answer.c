/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/answer.h"

#include "common/io.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/message.h"
#include "monitor/take_report.h"
#include "start/policy.h"
#include "monitor/trace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLD_HANDLER_SECONDS 1 /* from the end of the plaintext handler's input to SIGTERM */
#define TO_SIGN_MAX 512       /* bytes that the gate may ask a signature on */
#define OVERHEAD 64           /* bytes of a message besides its data */
#define VERSION_MIN 0x0301    /* TLS 1.0 */
#define VERSION_MAX 0x0304    /* TLS 1.3 */

/* Ends the gate for a request to the vault that is malformed. */
static void refuse_malformed(struct session *s, const struct message_reader *r)
{
    log_error("the gate sent a malformed %s message: connection ended", message_name(r->type));
    session_end_gate(s, ENDING_GATE_DIED);
}

/* Sends an answer. `what` names it in the log. */
static void send_answer(struct session *s, const struct message_writer *w, const char *what)
{
    int rc = message_send(s->gate, w, NULL, 0);

    /* A gate that has left may have sent a last message. It is read later, so this is no error. */
    if (rc == 0 || rc == -EPIPE)
        return;
    log_error("cannot send %s to the gate: %s", what, strerror(-rc));
    /* The gate has to read its answers. */
    session_end_gate(s, rc == -EAGAIN ? ENDING_GATE_DIED : ENDING_SYSTEM);
}

/* True if the vault has done its work. Else ends the gate; the vault has logged why. */
static bool has_succeeded(struct session *s, enum vault_result result)
{
    if (result == VAULT_DONE)
        return true;
    session_end_gate(s, result == VAULT_REFUSED ? ENDING_GATE_DIED : ENDING_SYSTEM);
    return false;
}

static void send_chain(struct session *s, enum chain_verdict verdict, bool wants_staple)
{
    const struct vault_pair *p = s->vault.chosen;
    struct message_writer w;
    uint8_t staple[FILES_STAPLE_MAX];
    size_t staple_len = p != NULL && wants_staple ? vault_read_staple(p, staple) : 0;
    size_t size = OVERHEAD + (p != NULL ? p->chain.len : 0) + staple_len;
    uint8_t *buf = malloc(size);

    if (buf == NULL) {
        log_error("out of memory for a certificate chain");
        session_end_gate(s, ENDING_SYSTEM);
        return;
    }
    message_begin(&w, buf, size, ANS_CHAIN);
    message_put_number(&w, verdict);
    message_put_bytes(&w, p != NULL ? p->chain.der : NULL, p != NULL ? p->chain.len : 0);
    message_put_bytes(&w, staple, staple_len);
    send_answer(s, &w, "the certificate chain");
    free(buf);
}

static void answer_chain(struct session *s, struct message_reader *r)
{
    int64_t since = trace_now();
    struct wish wish;

    if (!s->have_tls) {
        session_refuse_message(s, r);
        return;
    }
    s->phase = PHASE_CHAIN;
    wish_get(r, &wish);
    if (!message_complete(r)) {
        refuse_malformed(s, r);
        return;
    }
    enum chain_verdict verdict = vault_choose(&s->vault, &wish);
    if (verdict == CHAIN_GIVEN) {
        trace_chose(since, &s->vault, &wish);
        vault_warn_of_dates(s->vault.chosen);
    }
    send_chain(s, verdict, wish.staple);
}

static void answer_sign(struct session *s, struct message_reader *r)
{
    uint8_t buf[KEYS_SIGNATURE_MAX + OVERHEAD];
    struct message_writer w;
    struct signature sig;
    struct bytes data;

    enum sign_as how = (enum sign_as)message_get_number(r, SIGN_ED25519);
    data.at = message_get_bytes(r, TO_SIGN_MAX, &data.len);
    if (!message_complete(r))
        data.len = 0; /* the vault refuses to sign no bytes */
    int64_t since = trace_now();
    if (!has_succeeded(s, vault_sign(&s->vault, how, data, &sig)))
        return;
    trace_signed(since, s->vault.chosen->chain.kind, s->vault.chosen->key_file);
    message_begin(&w, buf, sizeof buf, ANS_SIGNATURE);
    message_put_bytes(&w, sig.bytes, sig.len);
    send_answer(s, &w, "a signature");
}

/* Reads a request about a ticket: the version of TLS, and at most max bytes. False if it is malformed. */
static bool read_ticket_request(struct message_reader *r, unsigned *version, uint8_t *bytes,
                                size_t max, size_t *len)
{
    *version = (unsigned)message_get_number(r, VERSION_MAX);
    const uint8_t *at = message_get_bytes(r, max, len);

    if (!message_complete(r) || *version < VERSION_MIN || *len == 0)
        return false;
    memcpy(bytes, at, *len);
    return true;
}

static void answer_seal(struct session *s, struct message_reader *r)
{
    uint8_t buf[TICKET_MAX + OVERHEAD];
    struct message_writer w;
    struct ticket_state state;
    struct ticket ticket;
    unsigned version;

    if (!read_ticket_request(r, &version, state.bytes, sizeof state.bytes, &state.len)) {
        refuse_malformed(s, r);
        return;
    }
    int64_t since = trace_now();
    enum vault_result result = vault_seal(&s->vault, s->o, version, &state, &ticket);
    explicit_bzero(&state, sizeof state);
    if (!has_succeeded(s, result))
        return;
    trace_sealed_ticket(since);
    message_begin(&w, buf, sizeof buf, ANS_SEALED);
    message_put_bytes(&w, ticket.bytes, ticket.len);
    send_answer(s, &w, "a ticket");
}

static void answer_open(struct session *s, struct message_reader *r)
{
    uint8_t buf[TICKET_STATE_MAX + OVERHEAD];
    struct message_writer w;
    struct ticket_state state;
    struct ticket ticket;
    unsigned version;

    if (!read_ticket_request(r, &version, ticket.bytes, sizeof ticket.bytes, &ticket.len)) {
        refuse_malformed(s, r);
        return;
    }
    int64_t since = trace_now();
    if (!has_succeeded(s, vault_open(&s->vault, s->o, version, &ticket, &state)))
        return;
    if (state.len > 0)
        trace_opened_ticket(since);
    message_begin(&w, buf, sizeof buf, ANS_OPENED);
    message_put_bytes(&w, state.bytes, state.len);
    message_put_number(&w, state.old);
    send_answer(s, &w, "a ticket");
    explicit_bzero(&state, sizeof state);
    explicit_bzero(buf, sizeof buf);
}

/* Sends the gate the descriptors of the new handler; no descriptors if it could not be started. Closes them here. */
static void send_handler(struct session *s)
{
    uint8_t buf[16];
    struct message_writer w;
    const int fds[2] = {s->ends.in, s->ends.out};
    size_t count = fds[0] < 0 ? 0 : fds[0] == fds[1] ? 1 : 2;

    message_begin(&w, buf, sizeof buf, ANS_HANDLER);
    int rc = message_send(s->gate, &w, fds, count);
    handler_close(&s->ends);
    if (rc < 0)
        session_lost_gate(s, "hand the handler to the gate", rc);
}

/* True if the client certificate is as --client-cert wants it. This finds mistakes only: a gate that has been
 * taken over can lie about the client. */
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

/* Logs a good client certificate that names no user. The usual reason is a wrong --client-name. */
static void note_missing_user(const struct session *s)
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

/* REQ_SESSION: the handshake is done. Wipes the keys, starts the handler and sends its descriptors. */
static void answer_session(struct session *s, struct message_reader *r)
{
    facts_get(r, &s->facts);
    /* A full handshake takes one signature. A resumed one takes a ticket that the vault has opened. */
    bool done = s->facts.resumed ? s->vault.opened : s->vault.signatures == 0;
    if (!message_complete(r) || !done || s->stopping || !client_is_allowed(s)) {
        session_refuse_message(s, r);
        return;
    }
    s->phase = PHASE_SESSION;
    s->have_facts = true;
    note_missing_user(s);
    session_set_gate_deadline(s);
    vault_wipe(&s->vault);
    if (!s->o->ucspi_tls && session_start_handler(s, &s->facts, NULL) < 0)
        session_set_ending(s, ENDING_NO_HANDLER);
    session_drop_secrets(s);
    if (!s->o->ucspi_tls)
        send_handler(s);
}

/* REQ_PLAINTEXT_HANDLER: with the policies auth and optional, a handler answers before TLS. */
static void answer_plaintext_handler(struct session *s, struct message_reader *r)
{
    if (!message_complete(r) || s->stopping || s->o->starttls == NULL ||
        !policy_has_handler(policy_for(s->o, s->c))) {
        session_refuse_message(s, r);
        return;
    }
    s->phase = PHASE_PLAINTEXT;
    if (session_start_handler(s, NULL, NULL) < 0)
        session_set_ending(s, ENDING_NO_HANDLER);
    send_handler(s);
}

/* REQ_STOP_HANDLER: TLS begins, so the handler of the plaintext phase has to end. */
static void answer_stop_handler(struct session *s, struct message_reader *r)
{
    (void)r;
    s->phase = PHASE_TLS_NEXT;
    /* The gate has closed the handler's pipes. A good handler then ends itself and its children. */
    s->plaintext_handler = s->handler;
    s->plaintext_handler.kind = CHILD_PLAINTEXT_HANDLER;
    child_plan_sigterm(&s->plaintext_handler, io_deadline(OLD_HANDLER_SECONDS));
    s->handler = (struct child){.errors = -1};
    s->handler_ran = false;
    int rc = session_send(s, ANS_HANDLER_STOPPED);
    if (rc < 0)
        session_lost_gate(s, "tell the gate that the handler has been ended", rc);
}

#define IN(phase) (1U << (phase))
#define ANY (IN(PHASE_ENDED + 1) - 1)

/* All messages that the gate may send, and when. */
static const struct {
    unsigned phases; /* bits: the phases in which it may come */
    bool secret;     /* its bytes are wiped after the answer */
    void (*take)(struct session *s, struct message_reader *r);
} messages[] = {
    [REQ_CHAIN] = {IN(PHASE_OPENING) | IN(PHASE_TLS_NEXT), false, answer_chain},
    [REQ_SIGN] = {IN(PHASE_CHAIN), false, answer_sign},
    [REQ_SEAL] = {IN(PHASE_CHAIN), true, answer_seal},
    [REQ_OPEN] = {IN(PHASE_CHAIN), true, answer_open},
    [REQ_SESSION] = {IN(PHASE_CHAIN), false, answer_session},
    [REQ_PLAINTEXT_HANDLER] = {IN(PHASE_OPENING), false, answer_plaintext_handler},
    [REQ_STOP_HANDLER] = {IN(PHASE_PLAINTEXT), false, answer_stop_handler},
    [REPORT_LEFT_LOBBY] = {IN(PHASE_OPENING) | IN(PHASE_PLAINTEXT), false, take_left_lobby},
    [REPORT_PROXY] = {IN(PHASE_HEADER), false, take_proxy},
    [REPORT_NOTE] = {ANY, false, take_line},
    [REPORT_STEP] = {ANY, false, take_line},
    [REPORT_END] = {ANY & ~IN(PHASE_ENDED), false, take_end},
};

#define MESSAGES (sizeof messages / sizeof messages[0])

static bool may_come(const struct session *s, unsigned type)
{
    return type < MESSAGES && (messages[type].phases & IN(s->phase)) != 0;
}

bool answer_one(struct session *s)
{
    uint8_t buf[4096];
    struct message_reader r;
    int rc = message_receive(s->gate, &r, buf, sizeof buf, false);

    if (rc == -EAGAIN)
        return false;
    if (rc == -EPIPE) {
        io_close(&s->gate);
        session_set_gate_deadline(s);
        return false;
    }
    if (rc < 0) {
        session_lost_gate(s, "receive a message from the gate", rc);
        return false;
    }
    if (may_come(s, r.type))
        messages[r.type].take(s, &r);
    else
        session_refuse_message(s, &r);
    if (r.type < MESSAGES && messages[r.type].secret)
        explicit_bzero(buf, sizeof buf);
    return true;
}

int answer_begin(struct session *s)
{
    uint8_t buf[OVERHEAD + sizeof(struct ticket_names)];
    const struct tickets *t = s->have_tls ? s->vault.tickets : NULL;
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, EVENT_GO);
    message_put_number(&w, s->have_tls);
    message_put_number(&w, t != NULL ? t->count : 0);
    for (size_t i = 0; t != NULL && i < t->count; i++)
        message_put_bytes(&w, t->keys[i].name, TICKET_NAME_SIZE);
    return message_send(s->gate, &w, NULL, 0);
}
