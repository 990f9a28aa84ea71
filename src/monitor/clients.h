/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is being served: one monitor's process id and client for each connection. */
#ifndef POSTERN_CLIENTS_H
#define POSTERN_CLIENTS_H

#include "start/peer.h"

#include <stddef.h>
#include <sys/types.h>

#define CLIENTS_MAX 65535

/* What counts as one client: an IPv4 address, or the network of an IPv6 address (its first 64 bits),
 * since whoever has one address of it usually has them all. */
struct served_client {
    pid_t pid;
    sa_family_t family;
    uint8_t network[8];
};

/* No child sees the entries: they are in memory that a fork leaves out, which also spares copying it. */
struct clients {
    struct served_client *entries;
    size_t count;
    size_t room;
};

/* Makes room for so many, at most CLIENTS_MAX; 0 stands for that. Returns 0 or a negative errno. */
int clients_open(struct clients *c, size_t room);

/* There must be room. */
void clients_add(struct clients *c, pid_t pid, const struct peer *client);

/* Returns 0, or -ESRCH if no such process was there. */
int clients_remove(struct clients *c, pid_t pid);

/* How many are there of this client; 0 for one without an address. */
size_t clients_count(const struct clients *c, const struct peer *client);

/* Sends all monitors a signal. */
void clients_signal(const struct clients *c, int number);

void clients_close(struct clients *c);

#endif
