/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is at the two ends of a connection; networks as CIDR lists. */
#ifndef POSTERN_PEER_H
#define POSTERN_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* One end of a connection. */
struct peer {
    sa_family_t family;          /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: not a socket */
    uint8_t bytes[16];           /* the address, 4 or 16 bytes of it used, network order */
    uint16_t port;               /* host order */
    char host[INET6_ADDRSTRLEN]; /* "192.0.2.7", "2001:db8::1"; "" without an address */
    char text[INET6_ADDRSTRLEN +
              8]; /* "192.0.2.7:143", "[2001:db8::1]:143", "unix", "pipe", "unknown" */
};

/* Fills in *p from a socket address; an IPv4-mapped IPv6 address becomes IPv4. A family that is
 * neither IP nor Unix is shown by its number. */
void peer_set(struct peer *p, const struct sockaddr *address, socklen_t len);

/* The same from the bytes of an address, 4 or 16 for AF_INET and AF_INET6; AF_UNIX has none. */
void peer_set_bytes(struct peer *p, sa_family_t family, const uint8_t *bytes, uint16_t port);

/* Who is at the far end (client) and at our end (server) of descriptor fd. What is not a socket,
 * or has no such end any more, becomes AF_UNSPEC. Returns 0, or -ENOTCONN when the peer has
 * already left a socket that can only have come with one. */
int peer_of(int fd, struct peer *client, struct peer *server);

/* True if both are IP addresses and the same one; ports don't matter. */
bool peer_same_host(const struct peer *a, const struct peer *b);

/* A comma-separated list of networks: "192.0.2.0/24,2001:db8::/32,local"; a single address is a
 * network of its own; "local" stands for "both ends have the same address", "unix" for what comes
 * over a Unix socket or a pipe. */
struct network {
    sa_family_t family; /* AF_UNSPEC: the word "local"; AF_UNIX: "unix" */
    uint8_t bytes[16];
    unsigned bits;
};

#define PEER_NETWORKS_MAX 64

struct networks {
    size_t count;
    struct network list[PEER_NETWORKS_MAX];
};

/* Parses such a list; empty items are allowed. Returns 0, or -EINVAL and in *bad (a pointer into
 * `text`) and *bad_len the item that is wrong. */
int networks_parse(struct networks *n, const char *text, const char **bad, size_t *bad_len);

/* True if the client is in one of the networks. */
bool networks_hold(const struct networks *n, const struct peer *client, const struct peer *server);

#endif
