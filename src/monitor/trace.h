/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Logs the steps of a connection (-v), each with the time that it took. */
#ifndef POSTERN_MONITOR_TRACE_H
#define POSTERN_MONITOR_TRACE_H

#include "start/activation.h"
#include "start/account.h"
#include "common/trace.h"
#include "vault/vault.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Logs a step of the gate; `line` is printable. us: 0 for a step without a time, else its time in microseconds
 * plus one. */
void trace_write(int64_t us, const char *line);

/* Log the monitor's own steps. since: trace_now() when the step began. */
void trace_connected(const struct connection *c);
void trace_ready(int64_t since, bool have_tls, pid_t gate);
void trace_signed(int64_t since, enum key_kind kind, const char *key_file);
void trace_opened_ticket(int64_t since);
void trace_sealed_ticket(int64_t since);
void trace_started_handler(int64_t since, pid_t pid, const char *program,
                           const struct account *account);
void trace_ended_handler(int64_t since, int status);

/* Logs which certificate the client gets, and why. */
void trace_chose(int64_t since, const struct vault *v, const struct wish *w);

#endif
