/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor: the process that inetd started. It holds the keys, forks the gate, serves the vault,
 * starts and reaps the handler, and writes the log. Layer 4. */
#ifndef POSTERN_MONITOR_H
#define POSTERN_MONITOR_H

#include "activation.h"
#include "handler.h"
#include "jail.h"
#include "options.h"
#include "trust.h"
#include "ucspi.h"
#include "vault.h"

/* What the gate process does, which never returns; gate_run() is the one there is. */
typedef void monitor_gate(struct connection *c, const struct options *o, struct jail *j, int vault,
                          struct ucspi *ucspi, struct trust *trust);

/* What is the same for every connection. In wait mode it is made once, for all monitors. */
struct provision {
    struct vault vault;
    bool have_tls;      /* the vault can be used: it has been lent, and its keys have been proved */
    struct trust trust; /* for client certificates */
    struct account account; /* of --handler-user */
    struct jail jail;
};

/* Makes account and jail. Returns 0, or logs one line and returns the exit status. */
int monitor_prepare(struct account *account, struct jail *jail, const struct options *o);

/* Logs what is allowed though it should not be. */
void monitor_warn(const struct options *o);

/* To be called before anything is logged: from here on SIGPIPE and SIGXFSZ are ignored and SIGCHLD is
 * not.
 * *before is what the handler gets back. Returns 0 or a negative errno. */
int monitor_begin_signals(struct signals *before);

/* Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP; from here on *signals, a non-blocking signalfd(2) that is
 * the caller's, tells of them. Returns 0 or a negative errno. */
int monitor_take_signals(int *signals);

/* Serves one connection from start to end; takes the connection over. `given`: what a listener has made
 * ready; NULL: it is made here. Returns the exit status: the handler's own if one ran and nothing of ours
 * failed, else one of sysexits(3). */
int monitor_run(struct connection *c, const struct options *o, const struct signals *before,
                monitor_gate *gate, const struct provision *given);

#endif
