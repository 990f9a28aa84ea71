/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that the monitor knows of its connection, and the line that sums it up. Layer 4. */
#ifndef POSTERN_SESSION_H
#define POSTERN_SESSION_H

#include "activation.h"
#include "facts.h"
#include "handler.h"
#include "io.h"
#include "jail.h"
#include "message.h"
#include "options.h"
#include "trust.h"
#include "ucspi.h"
#include "vault.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SESSION_DIAGNOSTIC_MAX 512 /* bytes of a line of the handler's standard error */

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

/* A handler's standard error, as far as it comes through us. */
struct diagnostics {
    int fd; /* -1: none */
    char text[SESSION_DIAGNOSTIC_MAX];
    size_t len; /* of a line that is not whole yet */
};

struct session {
    const struct options *o;
    struct connection *c;
    struct jail jail;
    struct vault vault;
    struct trust trust;    /* for the gate, until it has been forked */
    struct signals before; /* what the handler gets back */
    int signals;           /* signalfd(2) */
    int gate;              /* our end of the socketpair; -1 when the gate has closed it */
    pid_t gate_pid;        /* 0 when reaped */
    enum phase phase;
    unsigned notes;
    struct account account;
    struct handler handler;
    struct diagnostics errors;
    pid_t old_pid; /* the handler of the plaintext phase; 0: none */
    struct diagnostics old_errors;
    io_time old_term_at;
    io_time old_kill_at;
    bool gate_told;    /* it was we who killed the gate */
    bool left_lobby;   /* the session goes on in plaintext */
    bool handler_told; /* ... to end; so a signal that kills it is ours */
    bool handler_ran;
    int handler_result;   /* its exit status */
    unsigned diagnostics; /* lines of both handlers' standard error so far */
    struct facts facts;
    bool have_facts;
    bool have_tls;      /* certificates and keys are usable */
    struct ucspi ucspi; /* the gate's side of the handler's descriptors */
    io_time started;
    int64_t handler_since; /* when the handler was started, for -v: trace_now() */
    uint64_t in, out;
    enum ending ending;
    bool ending_known;
    bool stopping;        /* all has been told to end */
    io_time term_at;      /* when the handler gets SIGTERM; 0: not planned */
    io_time kill_at;      /* when it gets SIGKILL */
    io_time gate_kill_at; /* when the gate gets SIGKILL, whatever it is doing */
};

/* Notes how the connection ended; the first cause stays. */
void session_ending(struct session *s, enum ending ending);

/* When a handler's time is up that has been told to end now. */
io_time session_after_grace(const struct session *s);

/* Sets or renews the moment by which the gate must be gone, from how far it has come: it keeps its
 * own time, but it may have been taken over. */
void session_bound_gate(struct session *s);

/* Sends the gate a message of this type and nothing in it. Returns 0 or a negative errno. */
int session_send(struct session *s, enum message_type type);

/* Kills the gate: nothing that it says is listened to any more. `ending` says whose fault it is. */
void session_end_gate(struct session *s, enum ending ending);

/* No message can be sent to the gate or received from it, for a negative errno; `what` completes
 * "cannot". Where it has left (-EPIPE) what it said last is still to be read, and says why; else logs
 * one line and ends it. */
void session_lost_gate(struct session *s, const char *what, int error);

/* Starts the handler: with facts after the handshake, without them before. `ucspi`: with the network
 * socket and these descriptors instead of pipes. Returns 0, or logs one line and returns a negative
 * errno. */
int session_start_handler(struct session *s, const struct facts *facts, const struct ucspi *ucspi);

/* Reads once from a handler's standard error and logs the lines that are whole, or all there is when
 * it has ended. Returns true if more may be there. */
bool session_take_diagnostics(struct session *s, struct diagnostics *d, bool handler_runs);

/* Writes the summary line. */
void session_summarise(const struct session *s);

#endif
