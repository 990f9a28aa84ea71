/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_id(const char *text, unsigned *id)
{
    char *end;

    if (*text < '0' || *text > '9')
        return -EINVAL;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*end != '\0' || errno != 0 || n >= UINT32_MAX)
        return -EINVAL;
    *id = (unsigned)n;
    return 0;
}

int account_find(struct account *a, const char *text)
{
    char user[64];
    size_t len = strcspn(text, ":");
    const char *group = text[len] == ':' ? text + len + 1 : NULL;
    unsigned id = 0;

    memset(a, 0, sizeof *a);
    if (len == 0 || len >= sizeof user || (group != NULL && *group == '\0'))
        return -ENOENT;
    memcpy(user, text, len);
    user[len] = '\0';
    bool numeric = parse_id(user, &id) == 0;
    struct passwd *p = numeric ? getpwuid(id) : getpwnam(user);
    if (p == NULL && (!numeric || group == NULL))
        return -ENOENT;
    a->uid = p != NULL ? p->pw_uid : id;
    a->gid = p != NULL ? p->pw_gid : 0;
    if (p != NULL && strlen(p->pw_name) < sizeof a->name)
        (void)snprintf(a->name, sizeof a->name, "%s", p->pw_name);
    if (group == NULL)
        return 0;
    if (parse_id(group, &id) == 0) {
        a->gid = id;
        return 0;
    }
    struct group *g = getgrnam(group);
    if (g == NULL)
        return -ENOENT;
    a->gid = g->gr_gid;
    return 0;
}
