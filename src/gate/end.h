/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds the gate's state, and ends the gate. The function that finds the reason to end calls gate_end(),
 * which logs it once and does not return. */
#ifndef POSTERN_END_H
#define POSTERN_END_H

#include "start/activation.h"
#include "gate/ask.h"
#include "dialect/dialect.h"
#include "common/facts.h"
#include "gate/trace.h"
#include "start/jail.h"
#include "start/options.h"
#include "common/ticket.h"
#include "tls/tls.h"
#include "x509/trust.h"
#include "gate/ucspi.h"

#include <stdbool.h>
#include <stdint.h>

struct gate {
    struct connection *c;
    const struct options *o;
    const struct dialect *dialect; /* NULL: immediate TLS */
    struct ucspi *ucspi;           /* NULL: the handler's descriptors come from the monitor */
    struct trust *trust;           /* for client certificates */
    struct jail *jail;             /* the jail of this process */
    struct ask ask;
    struct ticket_names tickets; /* of the vault's keys; none: there are no tickets */
    struct tls *tls;             /* NULL before the handshake */
    char host[256];              /* our name in greetings */
    uint64_t in, out;            /* bytes from and to the client */
    struct trace trace;
    bool showed_ticket; /* the vault was asked to open a ticket */
    bool lingers;       /* gate_end() must let the client read everything before it closes */
    bool took_socket;   /* UCSPI-TLS: the handler asked for TLS, so the gate uses the socket */
    bool overstayed;    /* the handler has had its whole --timeout-grace */
    bool lost_monitor;  /* receiving an order failed */
};

/* Sends a line for the log to the monitor, which escapes it. */
void gate_note(const struct gate *g, enum gravity gravity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sends the line "cannot WHAT: REASON" for a negative errno. */
void gate_complain(const struct gate *g, const char *what, int error);

/* Receives an order. Returns ORDER_ABANDON if that fails, and logs why. */
enum order gate_order(struct gate *g);

/* Ends the process: sends the line, if it is not empty, closes TLS and the connection, and reports the
 * ending. Exits with EX_OSERR if the report failed. */
void gate_end(struct gate *g, enum ending ending, enum gravity gravity, const char *format, ...)
    __attribute__((noreturn, format(printf, 4, 5)));

/* Ends the process since a request failed. `what` completes "cannot". */
_Noreturn void gate_end_unanswered(struct gate *g, enum asked result, const char *what);

#endif
