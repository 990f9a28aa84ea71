/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Starts the handler and makes its standard descriptors. */
#ifndef POSTERN_HANDLER_H
#define POSTERN_HANDLER_H

#include "start/environment.h"
#include "start/account.h"
#include "start/options.h"

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

/* The signal state that postern was started with. The handler gets it back. */
struct signals {
    sigset_t mask;
    struct sigaction pipe;  /* SIGPIPE */
    struct sigaction child; /* SIGCHLD */
    struct sigaction size;  /* SIGXFSZ */
};

/* A handler that has been started, and our ends of its descriptors. */
struct handler {
    pid_t pid;  /* 0: it could not be started */
    int in;     /* we write, the handler reads; -1: none */
    int out;    /* we read, the handler writes; equal to `in` for STDIO_SOCKET; -1: none */
    int errors; /* we read its standard error, with take_errors; the caller closes it; -1: none */
};

#define HANDLER_EXTRA_FIRST 3 /* the first of the descriptors that UCSPI-TLS adds */
#define HANDLER_EXTRA 3       /* how many it adds */

struct handler_setup {
    char **argv;
    enum stdio_mode stdio;
    bool given;                    /* no pipes: the next three fields are its descriptors */
    int given_in, given_out;       /* become its standard input and output */
    int extra[HANDLER_EXTRA];      /* become HANDLER_EXTRA_FIRST and the next ones */
    const struct account *account; /* whom it runs as; NULL: as this process */
    bool take_errors;              /* its standard error becomes a pipe to us */
    const struct environment *environment;
    const struct signals *signals;
};

/* Finds a program. A name with a slash is a path; any other is looked up along PATH. Writes the path to
 * `path`. Returns 0, -ENOENT, -EACCES or another negative errno. Logs nothing. */
int handler_find(const char *name, char *path, size_t size);

/* Starts the handler. Our ends of its descriptors are non-blocking; handler_close() closes them. Returns 0, or
 * logs one line and returns a negative errno; then nothing is open. */
int handler_start(struct handler *h, const struct handler_setup *setup);

/* Converts a wait(2) status to an exit status: the handler's own, or 128 + the signal that killed it. */
int handler_status(int wait_status);

/* Closes our ends of the handler's standard input and output. */
void handler_close(struct handler *h);

#endif
