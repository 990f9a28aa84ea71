/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor: the process that inetd or the listener started. It holds the keys, forks the gate, answers it,
 * starts and reaps the handler, and writes the log. */
#ifndef POSTERN_MONITOR_H
#define POSTERN_MONITOR_H

#include "start/activation.h"
#include "monitor/handler.h"
#include "start/options.h"
#include "monitor/provision.h"
#include "start/ucspi_ends.h"

/* Runs in the gate process and never returns: gate_run(). */
typedef void monitor_gate(struct connection *c, const struct options *o, struct jail *j, int vault,
                          struct ucspi *ucspi, struct trust *trust);

/* Ignores SIGPIPE and SIGXFSZ, and no longer ignores SIGCHLD. To be called before anything is logged. Saves the
 * state before that in *before, for the handler. Returns 0 or a negative errno. */
int monitor_begin_signals(struct signals *before);

/* Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP, and makes *signals a non-blocking signalfd(2) for them. The
 * caller closes it. Returns 0 or a negative errno. */
int monitor_take_signals(int *signals);

/* Serves one connection from start to end, and closes it. given: what a listener has prepared for all
 * connections; NULL: prepares it for this connection. Returns the exit status: that of the handler if it ran
 * and nothing of ours failed, else one of sysexits(3). */
int monitor_run(struct connection *c, const struct options *o, const struct signals *before,
                monitor_gate *gate, const struct provision *given);

#endif
