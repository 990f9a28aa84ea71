/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child of the monitor: its process, when it has to be gone, and its standard error. */
#ifndef POSTERN_CHILD_H
#define POSTERN_CHILD_H

#include "common/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHILD_ERROR_MAX 512 /* bytes of a line of its standard error */

enum child_kind { CHILD_GATE, CHILD_HANDLER, CHILD_PLAINTEXT_HANDLER };

struct child {
    enum child_kind kind;
    const char *name;  /* for the log */
    pid_t pid;         /* 0: none, or reaped */
    bool we_signalled; /* so a signal that kills it is ours */
    io_time term_at;   /* when it gets SIGTERM; 0: not planned */
    io_time kill_at;   /* when it gets SIGKILL */
    int errors;        /* its standard error, as far as it comes through us; -1: it does not */
    char line[CHILD_ERROR_MAX];
    size_t line_len; /* of a line that is not whole yet */
};

/* Sends a signal, if the child still runs. */
void child_signal(struct child *c, int number);

/* Plans SIGTERM, if the child runs and nothing is planned yet. */
void child_plan_sigterm(struct child *c, io_time when);

/* Sends the signals that are due. After SIGTERM the child has `grace` seconds before SIGKILL. */
void child_enforce(struct child *c, unsigned grace);

/* The next moment at which child_enforce() has something to do; 0: none. */
io_time child_next_deadline(const struct child *c);

/* Waits until a process of ours has ended. *status gets its wait(2) status; it may be NULL. Returns 0 or a
 * negative errno. */
int child_wait(pid_t pid, int *status);

/* Reaps the child if it has ended; `options` is waitpid(2)'s. Returns 1 and its wait status, 0 if it still
 * runs or there is none; or a negative errno when it can't be waited for, so it counts as ended. Logs one
 * line then. */
int child_reap(struct child *c, int options, int *status);

/* Reads once from its standard error and logs the lines that are whole, or all there is when it has ended.
 * *lines counts what is logged, up to a bound: who floods it must not flood the log. Returns true if more may
 * be there. */
bool child_read_errors(struct child *c, unsigned *lines);

/* Logs what its standard error still holds, at most as much as a pipe does, and closes it. */
void child_close_errors(struct child *c, unsigned *lines);

#endif
