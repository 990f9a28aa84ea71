/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How finished lines of the log leave the process and its relatives: two outlets, and a pipe from the
 * children of a listener to it. Below the log, and silent. */
#ifndef POSTERN_DELIVERY_H
#define POSTERN_DELIVERY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

enum delivery_way { DELIVERY_STDERR, DELIVERY_SYSLOG, DELIVERY_WAYS };

/* Opens a way, if it is not open yet. */
void delivery_open(enum delivery_way way);

/* Sends a line, keeps it or counts it as lost, without waiting. */
void delivery_put(enum delivery_way way, const char *line, size_t len);

/* Returns how many lines have been lost, once, and if there is room for a line that says so; else 0. */
unsigned long delivery_take_lost(enum delivery_way way);

/* What a loop is to wait for: room for what is kept and, in a listener, lines of its children. */
#define DELIVERY_POLLS (DELIVERY_WAYS + 1)
void delivery_poll(struct pollfd p[DELIVERY_POLLS]);

/* Sends what has room now. Returns true if anything has happened. */
bool delivery_polled(const struct pollfd p[DELIVERY_POLLS]);

/* Says that this process is a listener; and, in a child, that it is one of that listener. */
void delivery_share(void);
void delivery_child(void);

/* Hands what is kept and lost to the listener; without one, gives what is kept a last second. Returns
 * true if this process may still write. */
bool delivery_finish(void);

#endif
