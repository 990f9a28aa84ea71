/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The addresses of a connection's two ends, and lists of networks (CIDR). */
#ifndef POSTERN_PEER_H
#define POSTERN_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* One end of a connection. `text` is "192.0.2.7:143", "[2001:db8::1]:143", "unix", "pipe" or "unknown". */
struct peer {
    sa_family_t family;              /* AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC: not a socket */
    uint8_t bytes[16];               /* the address in network order: 4 or 16 bytes */
    uint16_t port;                   /* host order */
    char host[INET6_ADDRSTRLEN];     /* "192.0.2.7", "2001:db8::1"; "" without an address */
    char text[INET6_ADDRSTRLEN + 8]; /* for the log */
};

/* Fills in *p from a socket address. An IPv4-mapped IPv6 address becomes IPv4. A family other than IP and Unix
 * appears in p->text by its number. */
void peer_set(struct peer *p, const struct sockaddr *address, socklen_t len);

/* Fills in *p from the bytes of an address: 4 for AF_INET, 16 for AF_INET6, none (NULL) for AF_UNIX. */
void peer_set_bytes(struct peer *p, sa_family_t family, const uint8_t *bytes, uint16_t port);

/* Looks up both ends of descriptor fd: the far end (client) and our end (server). An end that is no socket or
 * has left is AF_UNSPEC. Returns 0, or -ENOTCONN if fd is a socket whose client has left already. */
int peer_of(int fd, struct peer *client, struct peer *server);

/* True if both are the same IP address; ports may differ. */
bool peer_same_host(const struct peer *a, const struct peer *b);

/* One item of a list such as "192.0.2.0/24,2001:db8::/32,local". A single address is a network of one. "local"
 * holds clients whose address is ours, too; "unix" holds Unix sockets and pipes. */
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

/* Parses a list of networks with commas between; empty items are allowed. Returns 0, or -EINVAL and the wrong item:
 * *bad points into `text`, *bad_len is its length. */
int networks_parse(struct networks *n, const char *text, const char **bad, size_t *bad_len);

/* True if the client is in one of the networks. */
bool networks_hold(const struct networks *n, const struct peer *client, const struct peer *server);

#endif
