/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds a function for each message that the gate sends to the monitor. Nothing else in the gate receives
 * from the monitor. */
#ifndef POSTERN_ASK_H
#define POSTERN_ASK_H

#include "common/bytes.h"
#include "common/facts.h"
#include "common/message.h"
#include "common/ticket.h"
#include "common/wish.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hello;
struct proxy_header;

/* The result of a request. */
enum asked {
    ASK_OK,
    ASK_NOTHING,        /* the monitor has nothing to give: no handler, no signature */
    ASK_HANDLER_EXITED, /* the handler exited before the answer came */
    ASK_STOP,           /* the monitor wants the connection to end, or is gone */
    ASK_FAILED          /* the system failed: `error` in struct ask says how */
};

/* What the monitor may tell the gate unasked. */
enum order {
    ORDER_GO_ON,
    ORDER_HANDLER_EXITED, /* its pipe may still hold bytes; no more will come */
    ORDER_DRAIN,          /* read no more from the client, deliver the rest, end */
    ORDER_ABANDON         /* end at once: the monitor says so, is gone, or receiving failed */
};

/* The gate's end of the socketpair. */
struct ask {
    int monitor;
    bool handler_exited; /* the monitor said so */
    enum asked failure;  /* the result of the last request that failed; ASK_OK: none failed */
    int error;           /* of ASK_FAILED, or of receiving an order: a negative errno; 0: none */
};

/* Waits for EVENT_GO. It says whether TLS can be used, and the names of the ticket keys. */
enum asked ask_go(struct ask *a, bool *tls, struct ticket_names *names);

/* The certificate for a client; the bytes lie in the caller's buffer. */
struct chain_answer {
    enum chain_verdict verdict;
    struct bytes chain;  /* DER, leaf first */
    struct bytes staple; /* an OCSP response, to be checked before use; empty: none */
};

/* Asks for the chain that fits a ClientHello. `buf` (MESSAGE_MAX bytes) gets the answer, into which *c
 * points. */
enum asked ask_chain(struct ask *a, const struct hello *h, uint8_t *buf, struct chain_answer *c);

/* Asks for a signature of at most *sig_len bytes, and sets *sig_len. ASK_NOTHING: the monitor refuses. */
enum asked ask_signature(struct ask *a, enum sign_as how, struct bytes data, uint8_t *sig,
                         size_t *sig_len);

/* Ask the monitor to seal a session's state into a ticket, and to open a ticket. `version` is that of TLS. A
 * ticket that must not be used gives a state of 0 bytes. */
enum asked ask_seal(struct ask *a, unsigned version, const struct ticket_state *state,
                    struct ticket *ticket);
enum asked ask_open(struct ask *a, unsigned version, const struct ticket *ticket,
                    struct ticket_state *state);

/* The handler's descriptors, which the gate closes. */
struct handler_ends {
    int to;
    int from; /* the same as `to` where it is a socket */
};

/* Reports what the handshake agreed on, and asks for the handler. `ends` NULL (UCSPI-TLS): only reports,
 * since the handler runs already. */
enum asked ask_session(struct ask *a, const struct facts *f, struct handler_ends *ends);

/* Ask the monitor to start a handler before TLS, and to stop it. Close its descriptors before stopping it. */
enum asked ask_plaintext_handler(struct ask *a, struct handler_ends *ends);
enum asked ask_stop_handler(struct ask *a);

/* Receives an order. Call it when `monitor` is readable. */
enum order ask_order(struct ask *a);

/* Send reports, which have no answer. Return 0 or a negative errno: -EPIPE if the monitor is gone. */
int tell_left_lobby(const struct ask *a);
int tell_note(const struct ask *a, enum gravity gravity, const char *text);
int tell_proxy(const struct ask *a, const struct proxy_header *h);
/* `us`: how long a step took, in microseconds; -1: not known. */
int tell_step(const struct ask *a, int64_t us, const char *text);

/* How the connection ended. */
struct end_report {
    enum ending ending;
    uint64_t in, out; /* bytes from and to the client */
    bool overstayed;  /* the handler has had its whole --timeout-grace already */
};

int tell_end(const struct ask *a, const struct end_report *e);

#endif
