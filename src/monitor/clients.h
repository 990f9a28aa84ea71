/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wait mode: the clients that are being served, each with the process id of its monitor. */
#ifndef POSTERN_CLIENTS_H
#define POSTERN_CLIENTS_H

#include "start/peer.h"

#include <stddef.h>
#include <sys/types.h>

#define CLIENTS_MAX 65535

/* One connection. An IPv4 address counts as one client; so does an IPv6 network of 64 bits, since one client
 * usually has all its addresses. */
struct served_client {
    pid_t pid;
    sa_family_t family;
    uint8_t network[8];
};

/* All connections. The entries are in memory that a fork leaves out, so that no child sees other clients. */
struct clients {
    struct served_client *entries;
    size_t count;
    size_t room;
};

/* Allocates room for this many connections, at most CLIENTS_MAX; 0 means CLIENTS_MAX. Returns 0 or a negative
 * errno. clients_close() frees the memory in either case. */
int clients_open(struct clients *c, size_t room);

/* Adds a connection. The caller has checked that count is less than room. */
void clients_add(struct clients *c, pid_t pid, const struct peer *client);

/* Removes the connection of a monitor. Returns 0, or -ESRCH if there is none with this process id. */
int clients_remove(struct clients *c, pid_t pid);

/* Returns how many connections this client has; 0 for a client without an address. */
size_t clients_count(const struct clients *c, const struct peer *client);

/* Sends a signal to all monitors. */
void clients_signal(const struct clients *c, int number);

/* Frees the entries. */
void clients_close(struct clients *c);

#endif
