/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sends messages to the service manager: the protocol of sd_notify(3), one datagram a message. */
#ifndef POSTERN_NOTIFY_H
#define POSTERN_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: there is no service manager to tell */
    struct sockaddr_un address;
    socklen_t len;
};

/* Reads NOTIFY_SOCKET and removes it from the environment. Logs one line if it cannot be used; notify_send()
 * does nothing then. notify_close() closes the socket. */
void notify_open(struct notify *n);

/* Sends a message such as "READY=1". Never waits; a message that cannot be sent is lost. */
void notify_send(const struct notify *n, const char *text);

/* Closes the socket. */
void notify_close(struct notify *n);

#endif
