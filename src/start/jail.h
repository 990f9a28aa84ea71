/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The jail: takes all rights away from a process that it does not need for its work. */
#ifndef POSTERN_JAIL_H
#define POSTERN_JAIL_H

#include "start/account.h"
#include "start/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What jail_prepare() gets ready while files can still be opened. */
struct jail {
    enum jail_mode mode;
    bool as_root; /* started by root: user, group and root folder are changed, too */
    bool own_id;  /* no --gate-user: user and group ids are made from the gate's process id */
    struct account account;
    pid_t monitor; /* must still be the gate's parent when the jail is entered */
    int root;      /* the empty folder; -1 if not as_root */
    bool verifies; /* client certificates are verified: the library tries to open files */
    bool listed;   /* jail_enter() has loaded its list of system calls */
};

/* The names of missing parts of the jail; "" if none is missing. */
struct jail_report {
    char missing[256];
};

/* Looks up the user and opens the empty folder. Returns 0, or logs one line and returns a negative
 * errno. jail_close() closes the folder. */
int jail_prepare(struct jail *j, const struct options *o);

/* Locks this process in for ever. With JAIL_OFF it only gives up root. Names in *report what the kernel or the
 * build lacks, which is an error only in mode JAIL_STRICT. It is always an error if root's rights can't be
 * given up or if the monitor has died. Leaves no descriptor open. Returns 0, or a negative errno and in
 * *report the part that failed. Logs nothing. */
int jail_enter(struct jail *j, struct jail_report *report);

/* Allows the gate only the system calls of the relay from now on. Does nothing with JAIL_OFF, or if jail_enter()
 * found no seccomp. Returns and reports as jail_enter(). */
int jail_narrow(struct jail *j, struct jail_report *report);

/* Writes a list in words of the parts that jail_enter() has put in place. */
void jail_describe(const struct jail *j, const struct jail_report *report, char *text, size_t size);

/* Allows the monitor only the system calls that it needs to reap children, to log and to exit. Does nothing
 * with JAIL_OFF. Returns 0 or a negative errno: -ENOSYS without seccomp. */
int jail_monitor(const struct jail *j);

/* Closes the empty folder. */
void jail_close(struct jail *j);

#endif
