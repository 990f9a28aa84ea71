/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sends finished lines of the log: by two outlets, or from a listener's child by a pipe to the listener.
 * Logs nothing itself: the log is built on it. */
#ifndef POSTERN_DELIVERY_H
#define POSTERN_DELIVERY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

enum delivery_way { DELIVERY_STDERR, DELIVERY_SYSLOG, DELIVERY_WAYS };

/* Opens an outlet; does nothing if it is open. */
void delivery_open(enum delivery_way way);

/* Sends a line. If there is no room now, keeps it or counts it as lost; never waits. */
void delivery_put(enum delivery_way way, const char *line, size_t len);

/* Returns the number of lost lines and sets it to 0, so that each is reported once. Returns 0 while there is
 * no room for a line that reports them. */
unsigned long delivery_take_lost(enum delivery_way way);

#define DELIVERY_POLLS (DELIVERY_WAYS + 1)

/* Fills in what the caller's poll(2) is to wait for: room for kept lines and, in a listener, lines of its
 * children. A descriptor of -1 stands for nothing. */
void delivery_poll(struct pollfd p[DELIVERY_POLLS]);

/* Sends the lines that have room now. Returns true if a descriptor was ready. */
bool delivery_polled(const struct pollfd p[DELIVERY_POLLS]);

/* Puts the descriptors of all open ways into fds, -1 for none, so that whoever closes others spares them. */
#define DELIVERY_DESCRIPTORS ((size_t)DELIVERY_WAYS * 3)
void delivery_descriptors(int fds[DELIVERY_DESCRIPTORS]);

/* Makes this process a listener: opens the pipe that its children get. Without a pipe they lose lines. */
void delivery_share(void);

/* Is called in each child of a listener, after fork(2): forgets the parent's kept lines. */
void delivery_child(void);

/* Ends the delivery. A listener's child passes kept lines and the number of lost ones to the listener; other
 * processes wait up to a second for room. Returns true if this process may still write. */
bool delivery_finish(void);

#endif
