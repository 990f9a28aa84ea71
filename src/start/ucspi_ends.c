/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/ucspi_ends.h"

#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

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
    /* The relay needs these non-blocking; no other process shares them. */
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
