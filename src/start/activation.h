/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the connection, or the listening sockets, that inetd, systemd or another launcher passed. */
#ifndef POSTERN_ACTIVATION_H
#define POSTERN_ACTIVATION_H

#include "start/peer.h"

#include <stdbool.h>
#include <stddef.h>

/* How postern got the connection. */
enum given {
    GIVEN_STANDARD, /* as standard input, or as standard input and output */
    GIVEN_PASSED,   /* by systemd's LISTEN_FDS */
    GIVEN_ACCEPTED  /* accepted on a listening socket */
};

/* The connection with the client; owns its two descriptors. */
struct connection {
    int in;  /* to read from the client */
    int out; /* to write to the client; the same number as `in` for one socket */
    enum given given;
    bool stderr_was_client; /* descriptor 2 was the network socket, as under inetd */
    struct peer client;
    struct peer server;
    bool proxied;      /* client and server are those of a PROXY header */
    struct peer proxy; /* the sender of that header */
};

#define ACTIVATION_SOCKETS_MAX 32

/* Listening sockets, for wait mode; owns them. */
struct listeners {
    size_t count;
    int fds[ACTIVATION_SOCKETS_MAX];
    char names[256];        /* LISTEN_FDNAMES: names with colons between, escaped; "": none */
    bool stderr_was_client; /* descriptor 2 was one of them, as under inetd */
};

/* True if descriptor 2 is the same socket as descriptor 0 or 1, or as systemd's 3. Then the log must not write one
 * byte to it, since the client would get it. */
bool activation_stderr_is_client(void);

/* True if standard error is the stream to the journal that JOURNAL_STREAM names (systemd.exec(5)). */
bool activation_stderr_is_journal(void);

/* Finds the connection: systemd's descriptor 3 if LISTEN_PID is this process, else descriptors 0 and 1.
 * Moves it to descriptors above 2, close-on-exec. Puts /dev/null in its place, so that nothing can write to
 * the client by mistake. Sets TCP_NODELAY. Removes LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES from
 * the environment.
 * Listening sockets are moved to *l in the same way and made non-blocking; then *c has no descriptors.
 * Without them l->count is 0.
 * Returns 0, or logs one line and returns the exit status (EX_USAGE, EX_OSERR). */
int activation_take(struct connection *c, struct listeners *l);

/* Accepts a client of listening socket `number`. Fills in only the client's address; the process that serves
 * the client calls activation_complete() for the rest. Returns 0 or a negative errno. */
int activation_accept(const struct listeners *l, size_t number, struct connection *c);

/* Looks up the address of our end and sets TCP_NODELAY. */
void activation_complete(struct connection *c);

/* Closes the listening sockets. */
void activation_close_listeners(struct listeners *l);

/* Replaces client and server by those of a PROXY header; the old client becomes c->proxy. */
void activation_set_proxied(struct connection *c, const struct peer *client,
                            const struct peer *server);

/* Closes the descriptors of the connection. */
void activation_close(struct connection *c);

#endif
