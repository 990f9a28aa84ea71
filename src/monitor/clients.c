/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/clients.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

int clients_open(struct clients *c, size_t room)
{
    *c = (struct clients){.room = room > 0 && room < CLIENTS_MAX ? room : CLIENTS_MAX};
    void *memory = mmap(NULL, c->room * sizeof *c->entries, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    c->entries = memory;
    return madvise(memory, c->room * sizeof *c->entries, MADV_DONTFORK) != 0 ? -errno : 0;
}

/* Puts the client's address or network into *e. Returns false if it has none. */
static bool identify(struct served_client *e, const struct peer *client)
{
    memset(e, 0, sizeof *e);
    e->family = client->family;
    if (client->family != AF_INET && client->family != AF_INET6)
        return false;
    memcpy(e->network, client->bytes, client->family == AF_INET ? 4 : sizeof e->network);
    return true;
}

void clients_add(struct clients *c, pid_t pid, const struct peer *client)
{
    struct served_client *e = &c->entries[c->count++];

    (void)identify(e, client);
    e->pid = pid;
}

int clients_remove(struct clients *c, pid_t pid)
{
    for (size_t i = 0; i < c->count; i++) {
        if (c->entries[i].pid == pid) {
            c->entries[i] = c->entries[--c->count];
            return 0;
        }
    }
    return -ESRCH;
}

size_t clients_count(const struct clients *c, const struct peer *client)
{
    struct served_client wanted;
    size_t found = 0;

    if (!identify(&wanted, client))
        return 0;
    for (size_t i = 0; i < c->count; i++)
        found += c->entries[i].family == wanted.family &&
                 memcmp(c->entries[i].network, wanted.network, sizeof wanted.network) == 0;
    return found;
}

void clients_signal(const struct clients *c, int number)
{
    for (size_t i = 0; i < c->count; i++)
        (void)kill(c->entries[i].pid, number);
}

void clients_close(struct clients *c)
{
    if (c->entries != NULL)
        (void)munmap(c->entries, c->room * sizeof *c->entries);
    *c = (struct clients){NULL, 0, 0};
}
