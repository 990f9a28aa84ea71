/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sends a line for each step of a connection, with the time that it took. Without -v sends nothing. */
#ifndef POSTERN_GATE_TRACE_H
#define POSTERN_GATE_TRACE_H

#include "gate/ask.h"
#include "common/facts.h"
#include "tls/hello.h"
#include "start/jail.h"
#include "start/options.h"

#include <stdbool.h>
#include <stdint.h>

/* The current step. The monitor writes the lines. */
struct trace {
    const struct ask *ask;
    int64_t since; /* when it began: trace_now(), microseconds */
};

/* Begins a step without a line for the time before. */
void trace_begin(struct trace *s);

/* Ends a step with a line, which is cut at 500 bytes, and begins the next one. */
void trace_end(struct trace *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* End the steps of entering the jail, of reading a ClientHello, and of the handshake. */
void trace_jail(struct trace *s, const struct jail *j, const struct jail_report *report);
void trace_hello(struct trace *s, const struct hello *h);
void trace_handshake(struct trace *s, const struct facts *f, const struct options *o);

/* Sends a line that the vault was not asked to open the client's ticket. `has_keys`: there are ticket keys. */
void trace_unused_ticket(const struct trace *s, bool has_keys);

#endif
