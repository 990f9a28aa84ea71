/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which descriptors are the connection that inetd, systemd or another launcher gave. */
#ifndef POSTERN_ACTIVATION_H
#define POSTERN_ACTIVATION_H

#include "start/peer.h"

#include <stdbool.h>
#include <stddef.h>

/* How a connection has come. */
enum given {
    GIVEN_STANDARD, /* on standard input, or on standard input and output */
    GIVEN_PASSED,   /* by LISTEN_FDS */
    GIVEN_ACCEPTED  /* from a listening socket */
};

/* The connection with the client; owns its two descriptors. */
struct connection {
    int in;  /* what the client sends */
    int out; /* what it gets; the same number as `in` for one socket */
    enum given given;
    bool stderr_was_client; /* descriptor 2 was the network socket, as under inetd */
    struct peer client;
    struct peer server;
    bool proxied;      /* a PROXY header has told who these two are */
    struct peer proxy; /* who sent it */
};

#define ACTIVATION_SOCKETS_MAX 32

/* Listening sockets, for wait mode; owns them. */
struct listeners {
    size_t count;
    int fds[ACTIVATION_SOCKETS_MAX];
    char names[256];        /* what systemd calls them: one word for all, colons between; or "" */
    bool stderr_was_client; /* descriptor 2 was one of them, as under inetd */
};

/* True if descriptor 2 is the same socket as descriptor 0 or 1, or as systemd's 3, so that not one byte of log may
 * be written to it. */
bool activation_stderr_is_client(void);

/* True if standard error is the stream to the journal that JOURNAL_STREAM names (systemd.exec(5)). */
bool activation_stderr_is_journal(void);

/* Finds the connection: the one of LISTEN_FDS (systemd) if LISTEN_PID is this process, else
 * descriptors 0 and 1. Moves it to descriptors above 2, close-on-exec, and puts /dev/null where
 * it was, so that nothing can write to the client by mistake; sets TCP_NODELAY; removes
 * LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES from the environment.
 * If there are listening sockets instead, they are put into *l in the same way, non-blocking, and
 * *c stays empty; else l->count is 0.
 * Returns 0, or logs one line and returns the exit status (EX_USAGE, EX_OSERR). */
int activation_take(struct connection *c, struct listeners *l);

/* Accepts a client of listening socket `number`. Only its address is known then: what the process
 * that serves it does the rest with is activation_complete(). Returns 0 or a negative errno. */
int activation_accept(const struct listeners *l, size_t number, struct connection *c);

/* Finds out our end's address and sets TCP_NODELAY. */
void activation_complete(struct connection *c);

/* Closes the listening sockets. */
void activation_close_listeners(struct listeners *l);

/* Puts the ends that a PROXY header names in the place of the connection's own. */
void activation_set_proxied(struct connection *c, const struct peer *client,
                            const struct peer *server);

/* Closes the descriptors. */
void activation_close(struct connection *c);

#endif
