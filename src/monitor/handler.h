/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The handler: its standard descriptors, its start and its end. */
#ifndef POSTERN_HANDLER_H
#define POSTERN_HANDLER_H

#include "start/environment.h"
#include "start/account.h"
#include "start/options.h"

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

/* The signal state that postern was started with and that a handler gets again. */
struct signals {
    sigset_t mask;
    struct sigaction pipe;  /* SIGPIPE */
    struct sigaction child; /* SIGCHLD */
    struct sigaction size;  /* SIGXFSZ */
};

/* A handler that runs or ran. */
struct handler {
    pid_t pid;  /* 0: none, or reaped */
    int in;     /* we write what it reads; -1 if none */
    int out;    /* we read what it writes; the same number as `in` for STDIO_SOCKET */
    int errors; /* its standard error comes here, if it can't go anywhere else; the caller's; -1 */
};

/* Where a handler with descriptors of its own (UCSPI-TLS) finds the first of them. */
#define HANDLER_EXTRA_FIRST 3
#define HANDLER_EXTRA 3

struct handler_setup {
    char **argv;
    enum stdio_mode stdio;
    bool given;                    /* it gets these descriptors instead of pipes: */
    int given_in, given_out;       /* as its standard input and output */
    int extra[HANDLER_EXTRA];      /* as HANDLER_EXTRA_FIRST and those behind it */
    const struct account *account; /* NULL: as this process */
    bool take_errors;              /* standard error through a pipe of ours */
    const struct environment *environment;
    const struct signals *signals;
};

/* Finds the program: with a slash as it is, else along PATH. Writes its path to `path`. Returns 0,
 * -ENOENT, -EACCES or another negative errno; logs nothing. */
int handler_find(const char *name, char *path, size_t size);

/* Starts the handler. Our ends of its descriptors are non-blocking. Returns 0, or logs one line and
 * returns a negative errno. */
int handler_start(struct handler *h, const struct handler_setup *setup);

/* The exit status that stands for a wait(2) status: the handler's own, or 128 + signal. */
int handler_status(int wait_status);

/* Closes our ends of its standard input and output. */
void handler_close(struct handler *h);

#endif
