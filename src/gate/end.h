/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate knows of its connection, and how its work ends: whoever finds out why says so, once, and
 * does not return. */
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
    struct jail *jail;             /* that this process is in */
    struct ask ask;
    struct ticket_names tickets; /* that the vault can open; none: it can't seal any either */
    struct tls *tls;             /* NULL: there is no session yet */
    char host[256];              /* our name in greetings */
    uint64_t in, out;            /* bytes from and to the client */
    struct trace trace;
    bool showed_ticket; /* the vault has been shown a ticket */
    bool lingers;       /* the client is to see an orderly end */
    bool took_socket;   /* UCSPI-TLS: the handler has left the socket to us */
    bool overstayed;    /* the handler has used up its grace */
    bool lost_monitor;  /* what the monitor has to say can't be received */
};

/* Sends a line for the log; the monitor escapes what it gets. */
void gate_note(const struct gate *g, enum gravity gravity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Sends "cannot ...: reason" for a negative errno. */
void gate_complain(const struct gate *g, const char *what, int error);

/* Reads an order; what can't be received is an order to end. */
enum order gate_order(struct gate *g);

/* Ends the gate: sends the line, if it is not empty, says goodbye to the client, and reports how the
 * connection ended. The exit status says what could not be reported. */
void gate_end(struct gate *g, enum ending ending, enum gravity gravity, const char *format, ...)
    __attribute__((noreturn, format(printf, 4, 5)));

/* Ends the gate since a request went wrong; `what` completes "cannot". */
_Noreturn void gate_end_unanswered(struct gate *g, enum asked result, const char *what);

#endif
