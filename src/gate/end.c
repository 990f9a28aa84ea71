/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/end.h"

#include "common/io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define LINGER_SECONDS 2
#define TEXT_SIZE 512

void gate_note(const struct gate *g, enum gravity gravity, const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    /* Without the monitor there is no log, so this result does not matter. */
    (void)tell_note(&g->ask, gravity, text);
}

void gate_complain(const struct gate *g, const char *what, int error)
{
    gate_note(g, GRAVITY_ERROR, "cannot %s: %s", what, strerror(-error));
}

enum order gate_order(struct gate *g)
{
    enum order order = ask_order(&g->ask);

    if (order == ORDER_ABANDON && g->ask.failure == ASK_FAILED) {
        gate_complain(g, "receive an order of the monitor's", g->ask.error);
        g->lost_monitor = true;
    }
    return order;
}

/* Reports the ending. Returns the exit status. */
static int report(const struct gate *g, enum ending ending)
{
    const struct end_report end = {g->lost_monitor ? ENDING_SYSTEM : ending, g->in, g->out,
                                   g->overstayed};
    int rc = tell_end(&g->ask, &end);

    if (rc < 0 && rc != -EPIPE) {
        gate_complain(g, "tell the monitor at once how the connection ended", rc);
        rc = tell_end(&g->ask, &end);
    }
    return rc < 0 && rc != -EPIPE ? EX_OSERR : EX_OK;
}

/* Lowers the gravity where the client is the cause: its faults, and connections that were never sessions. */
static enum gravity gravity_of(enum ending ending, enum gravity gravity)
{
    switch (ending) {
    case ENDING_LEFT:
    case ENDING_HANDSHAKE:
    case ENDING_TIMEOUT_LOBBY:
    case ENDING_TIMEOUT_HANDSHAKE:
    case ENDING_PROTOCOL:
        return gravity == GRAVITY_ERROR  ? GRAVITY_CLIENT
               : gravity == GRAVITY_NOTE ? GRAVITY_NOISE
                                         : gravity;
    default:
        return gravity;
    }
}

_Noreturn void gate_end(struct gate *g, enum ending ending, enum gravity gravity,
                        const char *format, ...)
{
    char text[TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (text[0] != '\0')
        gate_note(g, gravity_of(ending, gravity), "%s", text);
    tls_free(g->tls);
    if (g->lingers)
        io_linger(g->c->in, g->c->out, io_deadline(LINGER_SECONDS));
    /* The handler holds copies of the socket, so closing ours is not enough for the client to see the end. */
    if (g->took_socket)
        (void)shutdown(g->c->out, SHUT_RDWR);
    int status = report(g, ending);
    activation_close(g->c);
    _exit(status);
}

_Noreturn void gate_end_unanswered(struct gate *g, enum asked result, const char *what)
{
    if (result == ASK_FAILED)
        gate_end(g, ENDING_SYSTEM, GRAVITY_ERROR, "cannot %s: %s", what, strerror(-g->ask.error));
    gate_end(g, result == ASK_NOTHING ? ENDING_NO_HANDLER : ENDING_SIGTERM, GRAVITY_DETAIL, "%s",
             "");
}
