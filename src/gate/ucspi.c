/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/ucspi.h"

#include "common/io.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define ANSWER_SECONDS 30 /* for the handler to read the environment */

enum ucspi_result ucspi_wait(struct ucspi *gate, int watch, int *error)
{
    char byte;
    int rc = io_wait(gate->control, POLLIN, watch, 0);

    /* A byte counts even if the handler has exited since: read it before the monitor's order. */
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
