/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accounts by the names that --gate-user and --handler-user give. */
#ifndef POSTERN_ACCOUNT_H
#define POSTERN_ACCOUNT_H

#include <sys/types.h>

/* An account looked up from USER[:GROUP]. */
struct account {
    uid_t uid;
    gid_t gid;
    char name[64]; /* "" if USER was a number that no account has */
};

/* Looks up USER[:GROUP]; both may be numbers. A number that no account has needs a group beside it.
 * Returns 0, or -ENOENT for an unknown user or group. Logs nothing. */
int account_find(struct account *a, const char *text);

#endif
