/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child process of the monitor: its process id, the times of its signals, and its standard error. */
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
    bool we_signalled; /* so a death by a signal is not logged as a crash */
    io_time term_at;   /* when it gets SIGTERM; 0: never */
    io_time kill_at;   /* when it gets SIGKILL; 0: never */
    int errors;        /* we read its standard error here; -1: it goes elsewhere */
    char line[CHILD_ERROR_MAX];
    size_t line_len; /* bytes in `line`, whose newline has not come yet */
};

/* Sends a signal if the child still runs. */
void child_signal(struct child *c, int number);

/* Plans SIGTERM for `when`, if the child runs and no signal is planned yet. */
void child_plan_sigterm(struct child *c, io_time when);

/* Sends the signals that are due. SIGKILL follows SIGTERM after `grace` seconds. */
void child_enforce(struct child *c, unsigned grace);

/* Returns when child_enforce() has to be called next; 0: never. */
io_time child_next_deadline(const struct child *c);

/* Waits until a child process has ended. Puts its wait(2) status into *status, which may be NULL. Returns 0
 * or a negative errno. Logs nothing. */
int child_wait(pid_t pid, int *status);

/* Reaps the child if it has ended; `options` is for waitpid(2). Returns 1 and its wait(2) status; or 0 if it
 * still runs, or there is none. If waiting fails, logs one line and returns a negative errno: the child then
 * counts as ended. */
int child_reap(struct child *c, int options, int *status);

/* Reads once from the child's standard error and logs the complete lines; all the rest when the child has
 * ended. *lines counts them; after 200 no more are logged, so that no handler can flood the log. Returns
 * true if there may be more to read. */
bool child_read_errors(struct child *c, unsigned *lines);

/* Logs what is left in the child's standard error, at most 256 reads, and closes it. */
void child_close_errors(struct child *c, unsigned *lines);

#endif
