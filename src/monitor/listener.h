/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wait mode: accepts clients on listening sockets and forks a monitor for each. */
#ifndef POSTERN_LISTENER_H
#define POSTERN_LISTENER_H

#include "start/activation.h"
#include "monitor/handler.h"
#include "monitor/monitor.h"
#include "start/options.h"

/* Serves clients until SIGTERM or --exit-idle. Closes the sockets. Returns the exit status: 0, or EX_CONFIG or
 * EX_OSERR if it could not begin; then it has logged why. */
int listener_run(struct listeners *sockets, const struct options *o, const struct signals *before,
                 monitor_gate *gate);

#endif
