/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/lobby_client.h"

#include "gate/ruling.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum lobby_step lobby_end(struct lobby *l, enum ending ending)
{
    l->ending = ending;
    return STEP_END;
}

void lobby_log(const struct lobby *l, enum gravity gravity, const char *text)
{
    l->host->note(l->host->gate, gravity, text);
}

enum lobby_step lobby_end_system(struct lobby *l, const char *what, int error)
{
    char text[160];

    (void)snprintf(text, sizeof text, "cannot %s: %s", what, strerror(-error));
    lobby_log(l, GRAVITY_ERROR, text);
    return lobby_end(l, ENDING_SYSTEM);
}

enum lobby_step lobby_after_write(struct lobby *l, int rc)
{
    if (rc == -ENOMEM || rc == -ENOBUFS || rc == -EMSGSIZE)
        return lobby_end_system(l, "write to the client", rc);
    return rc < 0 ? lobby_end(l, ENDING_LEFT) : STEP_ON;
}

int lobby_send(struct lobby *l, const char *bytes, size_t len)
{
    l->sent += len;
    return io_write_all(l->out, bytes, len, -1, l->deadline);
}

int lobby_say(struct lobby *l, enum occasion occasion, const struct command *c)
{
    char buf[LOBBY_SAY_MAX];
    struct text out = {.buf = buf, .size = sizeof buf};

    dialect_say(l->dialect, &out, occasion, c, &l->setting);
    return out.full ? -EMSGSIZE : lobby_send(l, buf, out.len);
}

enum lobby_step lobby_say_end(struct lobby *l, enum occasion occasion, const struct command *c,
                              enum ending ending)
{
    (void)lobby_say(l, occasion, c);
    return lobby_end(l, ending);
}

/* Reads len bytes that io_peek() has shown; those after the line's end stay in the kernel. Returns false if
 * they are gone. */
static bool take(const struct lobby *l, char *buf, size_t len)
{
    return l->no_peek || io_read(l->in, buf, len) == (ssize_t)len;
}

/* True if a TLS record with a handshake message begins here (RFC 8446 section 5.1). */
static bool is_tls(const char *line, size_t len)
{
    return len > 1 && line[0] == 22 && line[1] == 3;
}

/* True if there is no NUL, and no CR without an LF after it. None of the protocols allows these. A TLS record
 * is not clean either, even if its length has an LF in it. */
static bool is_clean(const char *line, size_t len)
{
    if (is_tls(line, len))
        return false;
    for (size_t i = 0; i < len; i++)
        if (line[i] == '\0' || (line[i] == '\r' && i + 1 < len && line[i + 1] != '\n'))
            return false;
    return true;
}

/* Waits for the client's bytes, an order or the deadline. LINE_READ: try again. */
static enum line_result wait_for_client(struct lobby *l)
{
    int rc = io_wait(l->in, POLLIN, l->watch, l->deadline);

    if (rc == 0)
        return LINE_READ;
    if (rc == -ETIMEDOUT)
        return LINE_TIMEOUT;
    if (rc != -ECANCELED) {
        l->error = rc;
        return LINE_FAILED;
    }
    switch (l->host->order(l->host->gate)) {
    case ORDER_GO_ON:
        return LINE_READ;
    case ORDER_HANDLER_EXITED:
        return LINE_HANDLER_EXITED;
    default:
        return LINE_STOP;
    }
}

/* True if the line begins a login that may have a long SASL response. */
static bool may_be_long(const struct lobby *l)
{
    struct command c;

    l->dialect->parse(&c, l->line, l->line_len);
    return ruling_allows_login(&l->setting, &c) && c.kind == COMMAND_MECHANISM;
}

enum line_result lobby_read_line(struct lobby *l, size_t most)
{
    l->line_len = 0;
    while (l->line_len < most) {
        char *at = l->line + l->line_len;
        ssize_t n = io_peek(l->in, at, most - l->line_len, &l->no_peek);
        if (n == -EAGAIN) {
            enum line_result result = wait_for_client(l);
            if (result != LINE_READ)
                return result;
            continue;
        }
        if (n <= 0)
            return LINE_CLIENT_LEFT;
        const char *lf = memchr(at, '\n', (size_t)n);
        size_t len = lf != NULL ? (size_t)(lf - at) + 1 : (size_t)n;
        if (!take(l, at, len))
            return LINE_CLIENT_LEFT;
        l->line_len += len;
        l->received += len;
        if (!is_clean(l->line, l->line_len))
            return LINE_BAD_BYTES;
        if (lf != NULL)
            return LINE_READ;
        if (l->line_len == LOBBY_LINE_MAX && most == LOBBY_LINE_MAX && may_be_long(l))
            most = sizeof l->line;
    }
    return LINE_TOO_LONG;
}

/* Reads the last bytes of a handler that exited into l->reply. */
static void read_rest(struct lobby *l)
{
    while (l->reply_len < sizeof l->reply) {
        ssize_t n =
            io_read(l->from_handler, l->reply + l->reply_len, sizeof l->reply - l->reply_len);
        if (n <= 0)
            return;
        l->reply_len += (size_t)n;
    }
}

/* Logs a line with forbidden bytes. */
static void complain_of_bytes(const struct lobby *l)
{
    if (is_tls(l->line, l->line_len))
        lobby_log(l, GRAVITY_CLIENT,
                  "client begins TLS at once, but here it has to say STARTTLS first");
    else
        lobby_log(l, GRAVITY_CLIENT,
                  "client sent a NUL or a bare CR before TLS: connection closed");
}

enum lobby_step lobby_end_without_line(struct lobby *l, enum line_result result)
{
    switch (result) {
    case LINE_CLIENT_LEFT:
        return lobby_end(l, ENDING_LEFT);
    case LINE_STOP:
        return lobby_say_end(l, SAY_UNAVAILABLE, NULL, ENDING_SIGTERM);
    case LINE_HANDLER_EXITED:
        read_rest(l);
        (void)lobby_send(l, l->reply, l->reply_len);
        return lobby_end(l, ENDING_HANDLER_CLOSE);
    case LINE_TIMEOUT:
        if (l->setting.mail)
            return lobby_say_end(l, SAY_TIMEOUT, NULL, ENDING_TIMEOUT_IDLE);
        lobby_log(l, GRAVITY_NOTE, "client did nothing useful before --timeout-lobby was over");
        return lobby_say_end(l, SAY_TIMEOUT, NULL, ENDING_TIMEOUT_LOBBY);
    case LINE_TOO_LONG:
        lobby_log(l, GRAVITY_CLIENT,
                  l->line_len > LOBBY_LINE_MAX
                      ? "client sent a SASL response of more than 12288 bytes before TLS: "
                        "connection closed"
                      : "client sent a line of more than 1000 bytes before TLS: connection closed");
        return lobby_say_end(l, SAY_TOO_LONG, NULL, ENDING_PROTOCOL);
    case LINE_BAD_BYTES:
        complain_of_bytes(l);
        return lobby_say_end(l, SAY_TOO_LONG, NULL, ENDING_PROTOCOL);
    default:
        (void)lobby_say(l, SAY_UNAVAILABLE, NULL);
        return lobby_end_system(l, "wait for the client", l->error);
    }
}

bool lobby_has_more(struct lobby *l)
{
    struct pollfd p = {.fd = l->in, .events = POLLIN};
    char byte;

    if (!l->no_peek)
        return io_peek(l->in, &byte, 1, &l->no_peek) > 0;
    return poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0;
}

size_t lobby_trim_line_end(const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    return len;
}
