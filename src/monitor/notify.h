/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Telling the service manager how we are: sd_notify(3)'s protocol, one datagram a message. */
#ifndef POSTERN_NOTIFY_H
#define POSTERN_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: nobody wants to know */
    struct sockaddr_un address;
    socklen_t len;
};

/* Takes NOTIFY_SOCKET out of the environment. Logs one line if it is there and can't be used. */
void notify_open(struct notify *n);

/* Sends a message such as "READY=1"; one that can't be sent is lost. */
void notify_send(const struct notify *n, const char *text);

void notify_close(struct notify *n);

#endif
