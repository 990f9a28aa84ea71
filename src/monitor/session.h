/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that the monitor knows of its connection. */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include "start/activation.h"
#include "monitor/child.h"
#include "common/facts.h"
#include "monitor/handler.h"
#include "common/io.h"
#include "start/jail.h"
#include "common/message.h"
#include "start/options.h"
#include "vault/client_ca.h"
#include "start/ucspi_ends.h"
#include "vault/vault.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How far the gate has come; it may not go back. */
enum phase {
    PHASE_HEADER,    /* a PROXY header has to come first */
    PHASE_OPENING,   /* nothing yet */
    PHASE_PLAINTEXT, /* a handler answers behind the lobby */
    PHASE_TLS_NEXT,  /* ... and has been ended again */
    PHASE_CHAIN,     /* it has been given the certificate chain */
    PHASE_SESSION,   /* the relay runs */
    PHASE_ENDED
};

struct session {
    const struct options *o;
    struct connection *c;
    struct account account;
    struct jail jail;
    struct vault vault;
    bool have_tls;         /* certificates and keys are usable */
    struct trust trust;    /* for the gate, until it has been forked */
    struct signals before; /* what the handler gets back */
    int signals;           /* signalfd(2) */
    int gate;              /* our end of the socketpair; -1 when the gate has closed it */
    struct child gate_process;
    struct child handler;
    struct child plaintext_handler; /* the handler of the plaintext phase, when TLS comes */
    struct handler ends;            /* of a handler that has just been started: for the gate */
    struct ucspi ucspi;             /* the gate's side of the handler's descriptors */
    enum phase phase;
    bool left_lobby; /* the session goes on in plaintext */
    bool stopping;   /* all has been told to end */
    unsigned notes;  /* lines that the gate has written so far */
    unsigned errors; /* lines of the handlers' standard error so far */
    struct facts facts;
    bool have_facts;
    bool handler_ran;
    int handler_result;    /* its exit status */
    int64_t handler_since; /* when the handler was started, for -v: trace_now() */
    io_time started;
    uint64_t in, out; /* bytes from and to the client */
    enum ending ending;
    bool ending_known;
};

/* Notes how the connection ended; the first cause stays. */
void session_set_ending(struct session *s, enum ending ending);

/* How many seconds whoever should be gone may still take. */
unsigned session_grace(const struct session *s);

/* Sets or renews the moment by which the gate must be gone, from how far it has come: it keeps its
 * own time, but it may have been taken over. */
void session_set_gate_deadline(struct session *s);

/* Sends the gate a message of this type and nothing in it. Returns 0 or a negative errno. */
int session_send(struct session *s, enum message_type type);

/* Kills the gate: nothing that it says is listened to any more. `ending` says whose fault it is. */
void session_end_gate(struct session *s, enum ending ending);

/* No message can be sent to the gate or received from it, for a negative errno; `what` completes
 * "cannot". Where it has left (-EPIPE) what it said last is still to be read, and says why; else logs
 * one line and ends it. */
void session_lost_gate(struct session *s, const char *what, int error);

/* Ends the gate for a message that is malformed or out of turn. Logs one line. */
void session_refuse_message(struct session *s, const struct message_reader *r);

/* Wipes the keys and enters the monitor's own filter. */
void session_drop_secrets(struct session *s);

/* Starts the handler: with facts after the handshake, without them before. `ucspi`: with the network
 * socket and these descriptors instead of pipes. Returns 0, or logs one line and returns a negative
 * errno. */
int session_start_handler(struct session *s, const struct facts *facts, const struct ucspi *ucspi);

#endif
