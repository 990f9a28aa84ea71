/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor: the process that inetd started. It holds the keys, forks the gate, serves the vault,
 * starts and reaps the handler, and writes the log. Layer 4. */
#ifndef POSTERN_MONITOR_H
#define POSTERN_MONITOR_H

#include "activation.h"
#include "options.h"

/* Serves one connection from start to end; takes the connection over. Returns the exit status:
 * the handler's own if one ran, else one of sysexits(3). */
int monitor_run(struct connection *c, const struct options *o);

#endif
