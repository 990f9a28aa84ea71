/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The jail: what keeps a process that strangers talk to from doing anything else. */
#ifndef POSTERN_JAIL_H
#define POSTERN_JAIL_H

#include "start/account.h"
#include "start/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What has to be got ready while there are still files to be seen. */
struct jail {
    enum jail_mode mode;
    bool as_root; /* started by root: ids and root folder are changed too */
    bool own_id;  /* no --gate-user: an id that is made from the gate's process id */
    struct account account;
    pid_t monitor; /* the parent that the gate must still have when it is locked in */
    int root;      /* the empty folder; -1 if not as_root */
    bool verifies; /* client certificates, for which the library tries to open files */
    bool listed;   /* jail_enter() has put this process under its list of system calls */
};

/* Where lacking parts are named; jail_enter() leaves it "" when everything held. */
struct jail_report {
    char missing[256];
};

/* Looks up the user and opens the empty folder. Returns 0, or logs one line and returns a negative
 * errno. jail_close() closes the folder. */
int jail_prepare(struct jail *j, const struct options *o);

/* Locks this process in, for good; with JAIL_OFF it only stops being root. What the kernel or the build
 * lacks is named in *report and is fatal only in mode JAIL_STRICT; that privileges can't be dropped, or
 * that the monitor has died, is fatal always. Opens nothing that stays open. Returns 0, or a negative errno and in *report what failed. Logs nothing. */
int jail_enter(struct jail *j, struct jail_report *report);

/* Leaves this process, the gate, only the system calls that the relay makes. Same contract as
 * jail_enter(); does nothing where that one found no seccomp, or with JAIL_OFF. */
int jail_narrow(struct jail *j, struct jail_report *report);

/* What the jail that jail_enter() has closed is made of, in words. */
void jail_describe(const struct jail *j, const struct jail_report *report, char *text, size_t size);

/* Leaves this process, the monitor, the few calls that it needs to reap children, to log and to
 * exit; a no-op where seccomp is missing or mode is JAIL_OFF. Returns 0 or a negative errno. */
int jail_monitor(const struct jail *j);

void jail_close(struct jail *j);

#endif
