/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection, as the monitor knows it, and what its parts do with the gate and the handler. */
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

/* How far the gate has come. It never goes back. */
enum phase {
    PHASE_HEADER,    /* waits for a PROXY header */
    PHASE_OPENING,   /* the gate has asked for nothing yet */
    PHASE_PLAINTEXT, /* a handler runs before TLS */
    PHASE_TLS_NEXT,  /* the handler of PHASE_PLAINTEXT has been stopped, since TLS begins */
    PHASE_CHAIN,     /* the gate has asked for the certificate chain */
    PHASE_SESSION,   /* the relay runs */
    PHASE_ENDED      /* the gate has reported the end */
};

struct session {
    const struct options *o;
    struct connection *c;
    struct account account;
    struct jail jail;
    struct vault vault;
    bool have_tls;         /* certificates and keys are usable */
    struct trust trust;    /* for the gate; freed here after the fork */
    struct signals before; /* the signal state for the handler */
    int signals;           /* signalfd(2) */
    int gate;              /* our end of the socketpair; -1 when the gate has closed it */
    struct child gate_process;
    struct child handler;
    struct child plaintext_handler; /* of PHASE_PLAINTEXT, after TLS has begun */
    struct handler ends;            /* descriptors of a new handler, to be sent to the gate */
    struct ucspi ucspi;             /* the gate's side of the handler's descriptors */
    enum phase phase;
    bool left_lobby; /* the session goes on in plaintext */
    bool stopping;   /* SIGTERM has come, or a failure ends everything */
    unsigned notes;  /* lines that the gate has written so far */
    unsigned errors; /* lines from the standard error of handlers so far */
    struct facts facts;
    bool have_facts;
    bool handler_ran;
    int handler_result;    /* its exit status */
    int64_t handler_since; /* trace_now() when the handler was started, for -v */
    io_time started;
    uint64_t in, out; /* bytes from and to the client */
    enum ending ending;
    bool ending_known;
};

/* Notes how the connection ended. Only the first call counts. */
void session_set_ending(struct session *s, enum ending ending);

/* Returns how many seconds a process has between SIGTERM and SIGKILL: --timeout-grace, or 10 if that is 0. */
unsigned session_grace(const struct session *s);

/* Sets the time at which the gate is killed, by its phase. To be called at each new phase. The gate keeps its
 * time-outs itself; this is for a gate that has been taken over. */
void session_set_gate_deadline(struct session *s);

/* Sends the gate an empty message of this type. Returns 0 or a negative errno. Logs nothing. */
int session_send(struct session *s, enum message_type type);

/* Kills the gate and closes its socket, so that no further message of it is read. `ending` is for the
 * summary. */
void session_end_gate(struct session *s, enum ending ending);

/* Handles a failure to send to the gate or to receive from it; `error` is a negative errno. Logs one line,
 * "cannot" and `what`, and ends the gate. Does nothing for -EPIPE: the gate has left, and its last message,
 * which says why, is still to be read. */
void session_lost_gate(struct session *s, const char *what, int error);

/* Ends the gate for a message that is malformed or out of turn. Logs one line. */
void session_refuse_message(struct session *s, const struct message_reader *r);

/* Wipes the keys and enters the monitor's own filter. */
void session_drop_secrets(struct session *s);

/* Starts the handler. facts: of the handshake; NULL before TLS. ucspi: NULL for pipes; else the handler gets
 * the network socket, and these descriptors besides. Returns 0, or logs one line and returns a negative
 * errno. */
int session_start_handler(struct session *s, const struct facts *facts, const struct ucspi *ucspi);

#endif
