/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the monitor says of a connection with -v: a line for each step, with the time that it took.
 */
#ifndef POSTERN_MONITOR_TRACE_H
#define POSTERN_MONITOR_TRACE_H

#include "start/activation.h"
#include "start/account.h"
#include "common/trace.h"
#include "vault/vault.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The monitor: writes a line of the gate's, which has been made printable. `us` is what stands before it
 * in the message: 0, or the time that it took and 1. */
void trace_write(int64_t us, const char *line);

/* The monitor's own steps; `since` is what trace_now() said when they began. */
void trace_connected(const struct connection *c);
void trace_ready(int64_t since, bool have_tls, pid_t gate);
void trace_signed(int64_t since, enum key_kind kind, const char *key_file);
void trace_opened_ticket(int64_t since);
void trace_sealed_ticket(int64_t since);
void trace_started_handler(int64_t since, pid_t pid, const char *program,
                           const struct account *account);
void trace_ended_handler(int64_t since, int status);

/* Which certificate the client gets, and why. */
void trace_chose(int64_t since, const struct vault *v, const struct wish *w);

#endif
