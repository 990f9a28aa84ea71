/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/ask.h"

#include "tls/hello.h"
#include "start/proxy.h"

#include <errno.h>
#include <string.h>

#define OVERHEAD 64 /* bytes of a message besides its content */
#define SIGNATURE_MAX 1024
#define TEXT_MAX 536 /* bytes of a line for the log; the monitor cuts it at fewer */

_Static_assert(WISH_NAME_MAX >= HELLO_NAME_MAX, "a server name fits into a request");

/* Notes a failure in *a and returns it. */
static enum asked fail(struct ask *a, enum asked failure, int error)
{
    a->failure = failure;
    a->error = error;
    return failure;
}

/* Notes and returns the failure for a negative errno of message_send() or message_receive(). */
static enum asked fail_to_speak(struct ask *a, int error)
{
    return error == -EPIPE ? fail(a, ASK_STOP, 0) : fail(a, ASK_FAILED, error);
}

/* Receives the answer that is `wanted` into buf. */
static enum asked receive(struct ask *a, enum message_type wanted, struct message_reader *r,
                          uint8_t *buf, size_t size)
{
    /* While a handler is started or stopped, EVENT_HANDLER_EXITED is about the old one. */
    bool about_handler = wanted == ANS_HANDLER || wanted == ANS_HANDLER_STOPPED;
    int rc;

    do {
        rc = message_receive(a->monitor, r, buf, size, wanted == ANS_HANDLER);
    } while (rc == 0 && about_handler && r->type == EVENT_HANDLER_EXITED);
    if (rc < 0)
        return fail_to_speak(a, rc);
    if (r->type == EVENT_HANDLER_EXITED) {
        a->handler_exited = true;
        return fail(a, ASK_HANDLER_EXITED, 0);
    }
    return r->type == wanted ? ASK_OK : fail(a, ASK_STOP, 0);
}

/* A request, and the buffer for request and answer. */
struct exchange {
    struct message_writer w;
    struct message_reader r;
    uint8_t *buf;
    size_t size;
};

/* Begins a request in buf, which later gets the answer. */
static void begin(struct exchange *e, uint8_t *buf, size_t size, enum message_type type)
{
    e->buf = buf;
    e->size = size;
    message_begin(&e->w, buf, size, type);
}

/* Sends the request and receives its answer, in the same buffer. */
static enum asked exchange(struct ask *a, struct exchange *e, enum message_type wanted)
{
    int rc = message_send(a->monitor, &e->w, NULL, 0);

    return rc < 0 ? fail_to_speak(a, rc) : receive(a, wanted, &e->r, e->buf, e->size);
}

/* Checks that the answer was read to its end. */
static enum asked finish(struct ask *a, const struct exchange *e)
{
    return message_complete(&e->r) ? ASK_OK : fail(a, ASK_FAILED, -EBADMSG);
}

enum asked ask_go(struct ask *a, bool *tls, struct ticket_names *names)
{
    uint8_t buf[OVERHEAD + sizeof *names];
    struct message_reader r = {.type = 0};
    size_t len;
    enum asked result = receive(a, EVENT_GO, &r, buf, sizeof buf);

    if (result != ASK_OK)
        return result;
    *tls = message_get_number(&r, 1) != 0;
    names->count = (size_t)message_get_number(&r, TICKET_KEYS_MAX);
    for (size_t i = 0; i < names->count; i++) {
        const uint8_t *name = message_get_bytes(&r, TICKET_NAME_SIZE, &len);
        memcpy(names->names[i], name, len);
    }
    return message_complete(&r) ? ASK_OK : fail(a, ASK_STOP, 0);
}

/* Returns the best suites that a client can use with a kind of key. */
static enum fit fit_of(const struct hello *h, bool usable, bool aead)
{
    bool tls13 = h->version_max >= 0x0304 && h->tls13_suites;

    return !usable ? FIT_NONE : tls13 || aead ? FIT_AEAD : FIT_LEGACY;
}

enum asked ask_chain(struct ask *a, const struct hello *h, uint8_t *buf, struct chain_answer *c)
{
    struct wish wish = {.rsa = fit_of(h, h->rsa, h->rsa_aead),
                        .ecdsa = fit_of(h, h->ecdsa, h->ecdsa_aead),
                        .ed25519 = fit_of(h, h->ed25519, h->ecdsa_aead),
                        .staple = h->wants_staple};
    struct exchange e;

    memcpy(wish.name, h->name, sizeof h->name);
    begin(&e, buf, MESSAGE_MAX, REQ_CHAIN);
    wish_put(&e.w, &wish);
    enum asked result = exchange(a, &e, ANS_CHAIN);
    if (result != ASK_OK)
        return result;
    c->verdict = (enum chain_verdict)message_get_number(&e.r, CHAIN_BROKEN);
    c->chain.at = message_get_bytes(&e.r, MESSAGE_MAX, &c->chain.len);
    c->staple.at = message_get_bytes(&e.r, MESSAGE_MAX, &c->staple.len);
    return finish(a, &e);
}

enum asked ask_signature(struct ask *a, enum sign_as how, struct bytes data, uint8_t *sig,
                         size_t *sig_len)
{
    uint8_t buf[SIGNATURE_MAX + OVERHEAD];
    struct exchange e;
    size_t len;

    begin(&e, buf, sizeof buf, REQ_SIGN);
    message_put_number(&e.w, how);
    message_put_bytes(&e.w, data.at, data.len);
    enum asked result = exchange(a, &e, ANS_SIGNATURE);
    if (result != ASK_OK)
        return result;
    const uint8_t *bytes = message_get_bytes(&e.r, *sig_len, &len);
    result = finish(a, &e);
    if (result != ASK_OK)
        return result;
    if (len == 0)
        return fail(a, ASK_NOTHING, 0);
    memcpy(sig, bytes, len);
    *sig_len = len;
    return ASK_OK;
}

enum asked ask_seal(struct ask *a, unsigned version, const struct ticket_state *state,
                    struct ticket *ticket)
{
    uint8_t buf[TICKET_MAX + OVERHEAD];
    struct exchange e;

    begin(&e, buf, sizeof buf, REQ_SEAL);
    message_put_number(&e.w, version);
    message_put_bytes(&e.w, state->bytes, state->len);
    enum asked result = exchange(a, &e, ANS_SEALED);
    if (result == ASK_OK) {
        const uint8_t *bytes = message_get_bytes(&e.r, TICKET_MAX, &ticket->len);
        result = finish(a, &e);
        if (result == ASK_OK)
            memcpy(ticket->bytes, bytes, ticket->len);
    }
    explicit_bzero(buf, sizeof buf);
    return result;
}

enum asked ask_open(struct ask *a, unsigned version, const struct ticket *ticket,
                    struct ticket_state *state)
{
    uint8_t buf[TICKET_MAX + OVERHEAD];
    struct exchange e;

    begin(&e, buf, sizeof buf, REQ_OPEN);
    message_put_number(&e.w, version);
    message_put_bytes(&e.w, ticket->bytes, ticket->len);
    enum asked result = exchange(a, &e, ANS_OPENED);
    if (result == ASK_OK) {
        const uint8_t *bytes = message_get_bytes(&e.r, TICKET_STATE_MAX, &state->len);
        state->old = message_get_number(&e.r, 1) != 0;
        result = finish(a, &e);
        if (result == ASK_OK)
            memcpy(state->bytes, bytes, state->len);
    }
    explicit_bzero(buf, sizeof buf);
    return result;
}

/* Sends a request that is written already, and takes the handler's descriptors from the answer. */
static enum asked ask_handler(struct ask *a, struct exchange *e, struct handler_ends *ends)
{
    enum asked result = exchange(a, e, ANS_HANDLER);

    if (result != ASK_OK)
        return result;
    ends->to = e->r.fds[0];
    ends->from = e->r.fds[1] >= 0 ? e->r.fds[1] : e->r.fds[0];
    return ends->to >= 0 ? ASK_OK : fail(a, ASK_NOTHING, 0);
}

enum asked ask_session(struct ask *a, const struct facts *f, struct handler_ends *ends)
{
    uint8_t buf[FACTS_MESSAGE_MAX];
    struct exchange e;

    begin(&e, buf, sizeof buf, REQ_SESSION);
    facts_put(&e.w, f);
    if (ends != NULL)
        return ask_handler(a, &e, ends);
    int rc = message_send(a->monitor, &e.w, NULL, 0);
    return rc < 0 ? fail_to_speak(a, rc) : ASK_OK;
}

enum asked ask_plaintext_handler(struct ask *a, struct handler_ends *ends)
{
    uint8_t buf[OVERHEAD];
    struct exchange e;

    begin(&e, buf, sizeof buf, REQ_PLAINTEXT_HANDLER);
    return ask_handler(a, &e, ends);
}

enum asked ask_stop_handler(struct ask *a)
{
    uint8_t buf[OVERHEAD];
    struct exchange e;

    begin(&e, buf, sizeof buf, REQ_STOP_HANDLER);
    enum asked result = exchange(a, &e, ANS_HANDLER_STOPPED);
    a->handler_exited = false; /* it was about the handler that is now stopped */
    return result;
}

enum order ask_order(struct ask *a)
{
    uint8_t buf[OVERHEAD];
    struct message_reader r;
    int rc = message_receive(a->monitor, &r, buf, sizeof buf, false);

    if (rc < 0) {
        (void)fail_to_speak(a, rc);
        return ORDER_ABANDON;
    }
    if (r.type == EVENT_HANDLER_EXITED) {
        a->handler_exited = true;
        return ORDER_HANDLER_EXITED;
    }
    return r.type == EVENT_DRAIN ? ORDER_DRAIN : ORDER_GO_ON;
}

int tell_left_lobby(const struct ask *a)
{
    uint8_t buf[OVERHEAD];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REPORT_LEFT_LOBBY);
    return message_send(a->monitor, &w, NULL, 0);
}

/* Sends a number and a line for the log. */
static int tell_line(const struct ask *a, enum message_type type, uint64_t number, const char *text)
{
    uint8_t buf[TEXT_MAX + OVERHEAD];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, type);
    message_put_number(&w, number);
    message_put_text(&w, text);
    return message_send(a->monitor, &w, NULL, 0);
}

int tell_note(const struct ask *a, enum gravity gravity, const char *text)
{
    return tell_line(a, REPORT_NOTE, gravity, text);
}

int tell_step(const struct ask *a, int64_t us, const char *text)
{
    return tell_line(a, REPORT_STEP, (uint64_t)(us + 1), text);
}

int tell_proxy(const struct ask *a, const struct proxy_header *h)
{
    uint8_t buf[2 * OVERHEAD];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REPORT_PROXY);
    proxy_put(&w, h);
    return message_send(a->monitor, &w, NULL, 0);
}

int tell_end(const struct ask *a, const struct end_report *end)
{
    uint8_t buf[OVERHEAD];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REPORT_END);
    message_put_number(&w, end->ending);
    message_put_number(&w, end->in);
    message_put_number(&w, end->out);
    message_put_number(&w, end->overstayed);
    return message_send(a->monitor, &w, NULL, 0);
}
