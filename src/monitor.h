/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor: the process that inetd started. It holds the keys, forks the gate, serves the vault,
 * starts and reaps the handler, and writes the log. Layer 4. */
#ifndef POSTERN_MONITOR_H
#define POSTERN_MONITOR_H

#include "activation.h"
#include "jail.h"
#include "options.h"
#include "ucspi.h"

/* What the gate process does; gate_run() is the one there is. */
typedef void monitor_gate(struct connection *c, const struct options *o, struct jail *j, int vault,
                          struct ucspi *ucspi);

/* Serves one connection from start to end; takes the connection over. Returns the exit status:
 * the handler's own if one ran, else one of sysexits(3). */
int monitor_run(struct connection *c, const struct options *o, monitor_gate *gate);

#endif
