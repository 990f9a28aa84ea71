/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lists of system calls that a jailed process may make, as programs for seccomp(2). The manual's
 * section JAIL has the same lists in words. */
#ifndef POSTERN_JAIL_FILTER_H
#define POSTERN_JAIL_FILTER_H

#include <stdbool.h>
#include <stddef.h>

struct sock_filter; /* one instruction, as linux/filter.h has it */

enum jail_list {
    JAIL_LIST_OPENING, /* the gate until the relay begins: lobby and handshake */
    JAIL_LIST_RELAY,   /* the gate from then on; loaded on top of the first */
    JAIL_LIST_MONITOR, /* the monitor once its keys are wiped */
};

/* More instructions than any of the lists has. */
#define JAIL_FILTER_MAX 192

/* Writes the program of a list to `program` (JAIL_FILTER_MAX instructions). Any call that is not in the
 * list kills the process; with `verifies` (client certificates) opening a file fails with EACCES instead.
 * Returns the number of instructions; 0 in a build without seccomp. */
size_t jail_filter_program(enum jail_list list, bool verifies, struct sock_filter *program);

/* Puts this process under a list, for good. It must have no_new_privs. Returns 0; -ENOSYS where kernel
 * or build lack seccomp; or another negative errno. Logs nothing. */
int jail_filter_load(enum jail_list list, bool verifies);

#endif
