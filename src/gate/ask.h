/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that the gate may ask of the monitor, and all that it tells it: a function for each. Nothing else in
 * the gate receives from the monitor. */
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

/* What comes of a request. */
enum asked {
    ASK_OK,
    ASK_NOTHING,        /* the monitor has nothing to give: no handler, no signature */
    ASK_HANDLER_EXITED, /* the handler has exited meanwhile */
    ASK_STOP,           /* the monitor wants the connection to end, or is gone */
    ASK_FAILED          /* the system failed: `error` in struct ask says how */
};

/* What the monitor may say while the gate waits for something else. */
enum order {
    ORDER_GO_ON,
    ORDER_HANDLER_EXITED, /* what its pipe still holds is all there will be */
    ORDER_DRAIN,          /* take nothing new from the client, deliver the rest, end */
    ORDER_ABANDON         /* the monitor wants the end, or is gone; or nothing can be received */
};

/* The gate's end of the socketpair. */
struct ask {
    int monitor;
    bool handler_exited; /* the monitor has said so */
    enum asked failure;  /* of the last request that went wrong; ASK_OK: none has */
    int error; /* ASK_FAILED, or an order that can't be received: a negative errno; 0: none */
};

/* Waits for the monitor's first word: whether there is TLS, and the names of the ticket keys. */
enum asked ask_go(struct ask *a, bool *tls, struct ticket_names *names);

/* The certificate for a client; the bytes lie in the caller's buffer. */
struct chain_answer {
    enum chain_verdict verdict;
    struct bytes chain; /* DER, leaf first */
    struct bytes
        staple; /* an OCSP response, which has to be judged before it is used; empty: none */
};

/* Asks for the chain that fits a ClientHello. `buf` is for the answer: MESSAGE_MAX bytes. */
enum asked ask_chain(struct ask *a, const struct hello *h, uint8_t *buf, struct chain_answer *c);

/* Asks for a signature of at most *sig_len bytes. */
enum asked ask_signature(struct ask *a, enum sign_as how, struct bytes data, uint8_t *sig,
                         size_t *sig_len);

/* Ask for a session's state to be sealed, and for a ticket to be opened, for this version of TLS. A ticket
 * that may not be used gives a state of no bytes. */
enum asked ask_seal(struct ask *a, unsigned version, const struct ticket_state *state,
                    struct ticket *ticket);
enum asked ask_open(struct ask *a, unsigned version, const struct ticket *ticket,
                    struct ticket_state *state);

/* The handler's descriptors, which are the gate's to close. */
struct handler_ends {
    int to;
    int from; /* the same as `to` where it is a socket */
};

/* Reports what the handshake agreed on, and asks for the handler that is started then; `ends` NULL
 * (UCSPI-TLS): it runs already. */
enum asked ask_session(struct ask *a, const struct facts *f, struct handler_ends *ends);

/* Ask for a handler before TLS, and for its end; its descriptors have been closed by then. */
enum asked ask_plaintext_handler(struct ask *a, struct handler_ends *ends);
enum asked ask_stop_handler(struct ask *a);

/* Reads what the monitor has to say when its descriptor is readable. */
enum order ask_order(struct ask *a);

/* Reports, which have no answer. Return 0 or a negative errno: -EPIPE if the monitor is gone. */
int tell_left_lobby(const struct ask *a);
int tell_note(const struct ask *a, enum gravity gravity, const char *text);
int tell_proxy(const struct ask *a, const struct proxy_header *h);
/* `us`: how long a step took, in microseconds; -1: that is not said. */
int tell_step(const struct ask *a, int64_t us, const char *text);

/* How the connection ended. */
struct end_report {
    enum ending ending;
    uint64_t in, out; /* bytes from and to the client */
    bool overstayed;  /* the handler has used up its grace already */
};

int tell_end(const struct ask *a, const struct end_report *e);

#endif
