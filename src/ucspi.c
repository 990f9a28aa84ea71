/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ucspi.h"

#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_SECONDS 30

int ucspi_make(struct ucspi *gate, struct ucspi *handler)
{
    int control[2], up[2], down[2];

    *gate = *handler = (struct ucspi){-1, -1, -1, false};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) != 0)
        return -errno;
    gate->control = control[0];
    handler->control = control[1];
    if (pipe2(up, O_CLOEXEC) != 0)
        return -errno;
    handler->read = up[0];
    gate->write = up[1];
    if (pipe2(down, O_CLOEXEC) != 0)
        return -errno;
    gate->read = down[0];
    handler->write = down[1];
    /* Our ends are of no use to anybody else, so they can be made ready for the relay at once. */
    int rc = io_set_nonblocking(gate->write, true);
    return rc == 0 ? io_set_nonblocking(gate->read, true) : rc;
}

void ucspi_close(struct ucspi *side)
{
    io_close(&side->control);
    io_close(&side->read);
    io_close(&side->write);
}

void ucspi_describe(struct environment *e, int first)
{
    static const char *const names[] = {"SSLCTLFD", "SSLREADFD", "SSLWRITEFD"};
    char number[12];

    for (int i = 0; i < 3; i++) {
        (void)snprintf(number, sizeof number, "%d", first + i);
        environment_add(e, names[i], number);
    }
    environment_add(e, "UCSPITLS", "");
}

enum ucspi_result ucspi_wait(struct ucspi *gate, int watch, int *error)
{
    char byte;
    int rc = io_wait(gate->control, POLLIN, watch, 0);

    /* A handler that has ended meanwhile has asked all the same. */
    if (rc == -ECANCELED && recv(gate->control, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
        return UCSPI_WATCH;
    ssize_t n = rc < 0 && rc != -ECANCELED ? rc : io_read(gate->control, &byte, 1);
    if (n == 0 || n == -ECONNRESET)
        return UCSPI_CLOSED;
    if (n < 0) {
        *error = (int)n;
        return UCSPI_FAILED;
    }
    gate->wants_environment = byte == 'Y';
    return byte == 'y' || byte == 'Y' ? UCSPI_BEGIN : UCSPI_OTHER_BYTE;
}

int ucspi_begin(struct ucspi *gate, const struct peer *client, const struct peer *server,
                const struct facts *facts)
{
    io_time deadline = io_deadline(ANSWER_SECONDS);
    struct environment e = {0};
    int rc = 0;

    if (!gate->wants_environment)
        return 0;
    environment_describe(&e, client, server, facts);
    if (e.failed)
        rc = -ENOMEM;
    for (size_t i = 0; rc == 0 && i < e.count; i++)
        rc = io_write_all(gate->control, e.list[i], strlen(e.list[i]) + 1, -1, deadline);
    if (rc == 0)
        rc = io_write_all(gate->control, "", 1, -1, deadline);
    environment_free(&e);
    return rc;
}
