/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/notify.h"

#include "common/io.h"
#include "common/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Sets the address: a path, or @ and an abstract name. Returns 0 or -EINVAL. */
static int set_address(struct notify *n, const char *name)
{
    size_t len = strlen(name);

    n->address.sun_family = AF_UNIX;
    if ((*name != '/' && *name != '@') || len < 2 || len >= sizeof n->address.sun_path)
        return -EINVAL;
    memcpy(n->address.sun_path, name, len);
    if (*name == '@')
        n->address.sun_path[0] = '\0';
    n->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*name == '/'));
    return 0;
}

void notify_open(struct notify *n)
{
    const char *name = getenv("NOTIFY_SOCKET");

    *n = (struct notify){.fd = -1};
    if (name == NULL)
        return;
    if (set_address(n, name) < 0)
        log_error("NOTIFY_SOCKET: neither a path nor an abstract name: nobody is told");
    else if ((n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
        log_error("NOTIFY_SOCKET: no socket to send from: %s", strerror(errno));
    (void)unsetenv("NOTIFY_SOCKET");
}

void notify_send(const struct notify *n, const char *text)
{
    if (n->fd < 0)
        return;
    if (sendto(n->fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&n->address,
               n->len) < 0)
        log_detail("NOTIFY_SOCKET: %s", strerror(errno));
}

void notify_close(struct notify *n)
{
    io_close(&n->fd);
}
