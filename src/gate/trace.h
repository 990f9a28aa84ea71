/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate says of a connection with -v: a line for each step, with the time that it took. Without -v
 * nothing is sent. */
#ifndef POSTERN_GATE_TRACE_H
#define POSTERN_GATE_TRACE_H

#include "gate/ask.h"
#include "common/facts.h"
#include "tls/hello.h"
#include "start/jail.h"
#include "start/options.h"

#include <stdbool.h>
#include <stdint.h>

/* The gate's steps, one after the other: each line is sent to the monitor, which writes it. */
struct trace {
    const struct ask *ask;
    int64_t since; /* when the one began that is not over yet */
};

/* A step begins; nothing is said of what was before it. */
void trace_begin(struct trace *s);

/* A step is over, and the next one begins. A line is cut at 500 bytes. */
void trace_end(struct trace *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same: the jail has been closed, a ClientHello has come, the handshake is done. */
void trace_jailed(struct trace *s, const struct jail *j, const struct jail_report *report);
void trace_greeted(struct trace *s, const struct hello *h);
void trace_shook_hands(struct trace *s, const struct facts *f, const struct options *o);

/* A ticket that the client came with has not even been shown to the vault. */
void trace_unused_ticket(const struct trace *s, bool has_keys);

#endif
