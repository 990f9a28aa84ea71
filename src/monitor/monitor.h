/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor: the process that inetd started. It holds the keys, forks the gate, serves the vault,
 * starts and reaps the handler, and writes the log. */
#ifndef POSTERN_MONITOR_H
#define POSTERN_MONITOR_H

#include "start/activation.h"
#include "monitor/handler.h"
#include "start/options.h"
#include "monitor/provision.h"
#include "start/ucspi_ends.h"

/* What the gate process does, which never returns; gate_run() is the one there is. */
typedef void monitor_gate(struct connection *c, const struct options *o, struct jail *j, int vault,
                          struct ucspi *ucspi, struct trust *trust);

/* To be called before anything is logged: from here on SIGPIPE and SIGXFSZ are ignored and SIGCHLD is
 * not.
 * *before is what the handler gets back. Returns 0 or a negative errno. */
int monitor_begin_signals(struct signals *before);

/* Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP; from here on *signals, a non-blocking signalfd(2) that is
 * the caller's, tells of them. Returns 0 or a negative errno. */
int monitor_take_signals(int *signals);

/* Serves one connection from start to end; takes the connection over. `given`: what a listener has made
 * ready for all connections; NULL: it is made here for this one. Returns the exit status: the handler's own
 * if one ran and nothing of ours failed, else one of sysexits(3). */
int monitor_run(struct connection *c, const struct options *o, const struct signals *before,
                monitor_gate *gate, const struct provision *given);

#endif
