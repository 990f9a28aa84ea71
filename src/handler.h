/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handler: its environment, its standard descriptors, its start and its end. Layer 3. */
#ifndef POSTERN_HANDLER_H
#define POSTERN_HANDLER_H

#include "activation.h"
#include "facts.h"
#include "jail.h"
#include "options.h"

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

/* An environment under construction: a NULL-terminated list that owns its strings. */
struct environment {
    char **list;
    size_t count;
    bool failed; /* out of memory */
};

/* Copies an environment, leaving out every name that could pass for one that postern sets: SSL_*,
 * TLS*, TCP* (but TCPREMOTEHOST), POSTERN_*, REMOTE_*, PROTO and the like. */
void environment_copy(struct environment *e, char *const *from);

/* Adds NAME=value; nothing is added for an empty value. */
void environment_set(struct environment *e, const char *name, const char *value);

/* Adds what is known of the two ends and, if facts is not NULL, of TLS. */
void environment_describe(struct environment *e, const struct connection *c,
                          const struct facts *facts);

void environment_free(struct environment *e);

/* The signal state that postern was started with and that a handler gets again. */
struct signals {
    sigset_t mask;
    struct sigaction pipe;
};

/* A handler that runs or ran. */
struct handler {
    pid_t pid;  /* 0: none, or reaped */
    int in;     /* we write what it reads; -1 if none */
    int out;    /* we read what it writes; the same number as `in` for STDIO_SOCKET */
    int errors; /* we read its standard error, if it can't go anywhere else; -1 */
};

struct handler_setup {
    char **argv;
    enum stdio_mode stdio;
    const struct account *account; /* NULL: as this process */
    bool take_errors;              /* standard error through a pipe of ours */
    const struct environment *environment;
    const struct signals *signals;
};

/* Finds the program: with a slash as it is, else along PATH. Writes its path to `path`. Returns 0,
 * or -ENOENT or -EACCES; logs nothing. */
int handler_find(const char *name, char *path, size_t size);

/* Starts the handler. Our ends of its descriptors are non-blocking. Returns 0, or logs one line and
 * returns a negative errno. */
int handler_start(struct handler *h, const struct handler_setup *setup);

/* The exit status that stands for a wait(2) status: the handler's own, or 128 + signal. */
int handler_status(int wait_status);

/* Closes our ends of its standard input and output. */
void handler_close(struct handler *h);

#endif
