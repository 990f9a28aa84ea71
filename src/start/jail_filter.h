/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lists of system calls that a jailed process may make, as programs for seccomp(2). The manual's
 * section JAIL has the same lists in words. */
#ifndef POSTERN_JAIL_FILTER_H
#define POSTERN_JAIL_FILTER_H

#include <stdbool.h>
#include <stddef.h>

struct sock_filter; /* one instruction of a program; linux/filter.h */

enum jail_list {
    JAIL_LIST_OPENING, /* the gate before the relay: lobby and handshake */
    JAIL_LIST_RELAY,   /* the gate in the relay; is loaded in addition to JAIL_LIST_OPENING */
    JAIL_LIST_MONITOR, /* the monitor after its keys are wiped */
};

/* No list has more instructions. */
#define JAIL_FILTER_MAX 192

/* Writes the program of a list to `program`, which has room for JAIL_FILTER_MAX instructions. A system call that
 * is not in the list kills the process. With `verifies` (client certificates) opening a file fails with
 * EACCES instead. Returns the number of instructions; 0 in a build without seccomp. */
size_t jail_filter_program(enum jail_list list, bool verifies, struct sock_filter *program);

/* Restricts this process to a list for ever. The process must have no_new_privs. Returns 0 or a negative errno:
 * -ENOSYS if the kernel or the build lacks seccomp. Logs nothing. */
int jail_filter_load(enum jail_list list, bool verifies);

#endif
