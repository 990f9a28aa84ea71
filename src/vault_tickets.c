/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault_tickets.h"

#include "log.h"
#include "steps.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define OVERHEAD 64 /* of a message over the bytes that it carries */
#define VERSION_MIN 0x0301
#define VERSION_MAX 0x0304

/* What is the same in both requests: the version of TLS, and so the context, and the bytes. Counts
 * *left down. Returns 0, or logs one line and returns a negative errno. */
static int take_request(struct vault *v, const struct options *o, struct message_reader *r,
                        size_t max, unsigned *left, uint8_t *context, const uint8_t **bytes,
                        size_t *len)
{
    unsigned version = (unsigned)message_get_number(r, VERSION_MAX);

    *bytes = message_get_bytes(r, max, len);
    if (!message_complete(r) || version < VERSION_MIN || *len == 0) {
        log_error("the gate sent a malformed %s message: connection ended", message_name(r->type));
        return -EBADMSG;
    }
    if (v->tickets == NULL || *left == 0) {
        log_error("the gate asked for more session tickets than one handshake needs: connection "
                  "ended");
        return -EBADMSG;
    }
    (*left)--;
    int rc = tickets_context(context, o, version, v->name);
    if (rc < 0)
        log_error("%s: no ticket: the TLS library's SHA-256 fails", o->tickets);
    return rc;
}

static int send_answer(int gate, const struct message_writer *w)
{
    int rc = message_send(gate, w, NULL, 0);

    if (rc < 0 && rc != -EPIPE)
        log_error("cannot send a ticket to the gate: %s", strerror(-rc));
    return rc;
}

int vault_give_seal(struct vault *v, const struct options *o, struct message_reader *r, int gate)
{
    uint8_t context[TICKETS_CONTEXT_SIZE], sealed[TICKETS_SEALED_MAX],
        buf[sizeof sealed + OVERHEAD];
    const uint8_t *plain;
    size_t len, sealed_len;
    struct message_writer w;

    int rc = take_request(v, o, r, TICKETS_PLAIN_MAX, &v->seals, context, &plain, &len);
    if (rc < 0)
        return rc;
    int64_t since = steps_now();
    rc = tickets_seal(v->tickets, context, time(NULL), plain, len, sealed, &sealed_len);
    if (rc < 0) {
        log_error("%s: sealing a ticket failed: %s", o->tickets, strerror(-rc));
        return rc;
    }
    steps_sealed_ticket(since);
    message_begin(&w, buf, sizeof buf, ANS_SEALED);
    message_put_bytes(&w, sealed, sealed_len);
    return send_answer(gate, &w);
}

/* Nothing is wrong with a client that comes with a ticket of last week. */
static const char *reason(int rc)
{
    switch (rc) {
    case -ENOKEY:
        return "sealed with a key that is not in the file";
    case -EKEYEXPIRED:
        return "older than --ticket-lifetime, or from the future";
    default:
        return "sealed for another name, version or service, or damaged";
    }
}

int vault_give_open(struct vault *v, const struct options *o, struct message_reader *r, int gate)
{
    uint8_t context[TICKETS_CONTEXT_SIZE], plain[TICKETS_PLAIN_MAX], buf[sizeof plain + OVERHEAD];
    const uint8_t *sealed;
    size_t len = 0, sealed_len;
    struct message_writer w;
    bool old = false;

    int rc = take_request(v, o, r, TICKETS_SEALED_MAX, &v->opens, context, &sealed, &sealed_len);
    if (rc < 0)
        return rc;
    int64_t since = steps_now();
    rc = tickets_open(v->tickets, context, time(NULL), o->ticket_lifetime, sealed, sealed_len,
                      plain, &len, &old);
    if (rc < 0)
        log_detail("the client's session ticket is not used: %s", reason(rc));
    else
        steps_opened_ticket(since);
    v->opened = v->opened || rc == 0;
    message_begin(&w, buf, sizeof buf, ANS_OPENED);
    message_put_bytes(&w, plain, len);
    message_put_number(&w, old);
    rc = send_answer(gate, &w);
    explicit_bzero(plain, sizeof plain);
    explicit_bzero(buf, sizeof buf);
    return rc;
}

int vault_ask_seal(int vault, unsigned version, const uint8_t *plain, size_t len, uint8_t *sealed,
                   size_t *sealed_len)
{
    uint8_t buf[TICKETS_SEALED_MAX + OVERHEAD];
    struct message_writer w;
    struct message_reader r;

    message_begin(&w, buf, sizeof buf, REQ_SEAL);
    message_put_number(&w, version);
    message_put_bytes(&w, plain, len);
    int rc = vault_ask(vault, &w, &r, buf, sizeof buf, ANS_SEALED);
    if (rc == 0) {
        const uint8_t *bytes = message_get_bytes(&r, TICKETS_SEALED_MAX, sealed_len);
        if (message_complete(&r))
            memcpy(sealed, bytes, *sealed_len);
        else
            rc = -EBADMSG;
    }
    explicit_bzero(buf, sizeof buf);
    return rc;
}

int vault_ask_open(int vault, unsigned version, const uint8_t *sealed, size_t sealed_len,
                   uint8_t *plain, size_t *len, bool *old)
{
    uint8_t buf[TICKETS_SEALED_MAX + OVERHEAD];
    struct message_writer w;
    struct message_reader r;

    message_begin(&w, buf, sizeof buf, REQ_OPEN);
    message_put_number(&w, version);
    message_put_bytes(&w, sealed, sealed_len);
    int rc = vault_ask(vault, &w, &r, buf, sizeof buf, ANS_OPENED);
    if (rc == 0) {
        const uint8_t *bytes = message_get_bytes(&r, TICKETS_PLAIN_MAX, len);
        *old = message_get_number(&r, 1) != 0;
        if (!message_complete(&r))
            rc = -EBADMSG;
        else if (*len == 0)
            rc = -ENOKEY;
        else
            memcpy(plain, bytes, *len);
    }
    explicit_bzero(buf, sizeof buf);
    return rc;
}
