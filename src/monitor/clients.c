/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/clients.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

int census_open(struct census *c, size_t room)
{
    *c = (struct census){.room = room > 0 && room < CENSUS_MAX ? room : CENSUS_MAX};
    void *memory = mmap(NULL, c->room * sizeof *c->entries, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    c->entries = memory;
    return madvise(memory, c->room * sizeof *c->entries, MADV_DONTFORK) != 0 ? -errno : 0;
}

/* Returns false for a client without an address. */
static bool identify(struct census_entry *e, const struct peer *client)
{
    memset(e, 0, sizeof *e);
    e->family = client->family;
    if (client->family != AF_INET && client->family != AF_INET6)
        return false;
    memcpy(e->network, client->bytes, client->family == AF_INET ? 4 : sizeof e->network);
    return true;
}

void census_add(struct census *c, pid_t pid, const struct peer *client)
{
    struct census_entry *e = &c->entries[c->count++];

    (void)identify(e, client);
    e->pid = pid;
}

int census_remove(struct census *c, pid_t pid)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].pid == pid) {
            c->entries[i] = c->entries[--c->count];
            return 0;
        }
    }
    return -ESRCH;
}

size_t census_of(const struct census *c, const struct peer *client)
{
    struct census_entry wanted;
    size_t found = 0;

    if (!identify(&wanted, client))
        return 0;
    for (size_t i = 0; i < c->count; i++)
        found += c->entries[i].family == wanted.family &&
                 memcmp(c->entries[i].network, wanted.network, sizeof wanted.network) == 0;
    return found;
}

void census_signal(const struct census *c, int number)
{
    for (size_t i = 0; i < c->count; i++)
        (void)kill(c->entries[i].pid, number);
}

void census_close(struct census *c)
{
    if (c->entries != NULL)
        (void)munmap(c->entries, c->room * sizeof *c->entries);
    *c = (struct census){NULL, 0, 0};
}
