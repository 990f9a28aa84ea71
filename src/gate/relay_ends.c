/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/relay_ends.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Rounds to skip a descriptor after EAGAIN, while the other one moves. */
#define QUIET_ROUNDS 8

void relay_end(struct relay_state *s, enum ending ending)
{
    if (!s->ended)
        s->r->ending = ending;
    s->ended = true;
}

void relay_end_system(struct relay_state *s, const char *what, int error)
{
    if (s->ended)
        return;
    s->error = error;
    s->r->refused_by_system = what;
    relay_end(s, ENDING_SYSTEM);
}

static void note_client_end(struct relay_state *s, enum ending ending)
{
    relay_end(s, ending);
    s->client_ended = true;
    s->held = false;
    if (s->left_at == 0)
        s->left_at = io_now();
}

void relay_lose_client(struct relay_state *s)
{
    note_client_end(s, ENDING_RESET);
    s->client_gone = true;
    s->down.len = 0;
}

/* Notes that reading or writing the client failed. `what` completes "cannot". */
static void client_failed(struct relay_state *s, const char *what, int error)
{
    if (error == -ENOMEM || error == -ENOBUFS)
        relay_end_system(s, what, error);
    relay_lose_client(s);
}

void relay_close_to_handler(struct relay_state *s)
{
    if (s->r->to_handler >= 0 && s->r->to_handler == s->r->from_handler)
        (void)shutdown(s->r->to_handler, SHUT_WR);
    else
        io_close(&s->r->to_handler);
    s->r->to_handler = -1;
    s->up.len = 0;
}

bool relay_wants_client(const struct relay_state *s)
{
    return s->up.len == 0 && !s->client_ended && !s->draining && !s->greeting &&
           s->r->ops->may_read(s->r->client);
}

/* True if this round is to be skipped; counts it. Reading after EAGAIN would cost a busy session a system
 * call in each round. wait_for_any() ends the skipping. */
static bool is_quiet(unsigned *rounds)
{
    if (*rounds == 0)
        return false;
    --*rounds;
    return true;
}

/* Drops the client's first command: the refusing greeting answers it. */
static void drop_command(struct relay_state *s)
{
    const uint8_t *lf = memchr(s->up.bytes, '\n', s->up.len);
    size_t len = lf != NULL ? (size_t)(lf - s->up.bytes) + 1 : s->up.len;

    s->up.at = len;
    s->up.len -= len;
    s->held = lf == NULL;
}

bool relay_read_client(struct relay_state *s)
{
    struct relay *r = s->r;

    if (!relay_wants_client(s) || is_quiet(&s->client_quiet))
        return false;
    ssize_t n = r->ops->read(r->client, s->up.bytes, RELAY_BUFFER_SIZE);
    if (n == -EAGAIN) {
        s->client_quiet = QUIET_ROUNDS;
        return false;
    }
    if (n > 0) {
        s->up.at = 0;
        s->up.len = (size_t)n;
        r->in += (uint64_t)n;
        if (s->held)
            drop_command(s);
    } else if (n == 0) {
        note_client_end(s, ENDING_CLIENT_CLOSE);
    } else if (n == -EPIPE) {
        note_client_end(s, ENDING_TRUNCATED);
    } else if (n == -ECONNRESET || n == -ENOMEM) {
        client_failed(s, "read from the client", (int)n);
    } else {
        relay_end(s, ENDING_TLS_ERROR);
        relay_lose_client(s);
    }
    return true;
}

bool relay_write_handler(struct relay_state *s)
{
    struct relay *r = s->r;
    bool moved = false;

    if (r->to_handler < 0) {
        /* The handler closed its input. The client is read nevertheless, to notice its end. */
        moved = s->up.len > 0;
        s->up.len = 0;
        return moved;
    }
    while (s->up.len > 0) {
        ssize_t n = io_write(r->to_handler, s->up.bytes + s->up.at, s->up.len);
        if (n == -EAGAIN)
            return moved;
        moved = true;
        if (n < 0) {
            if (n != -EPIPE && n != -ECONNRESET)
                relay_end_system(s, "write to the handler", (int)n);
            relay_close_to_handler(s);
            return true;
        }
        s->up.at += (size_t)n;
        s->up.len -= (size_t)n;
    }
    if (s->client_ended || s->draining) {
        relay_close_to_handler(s);
        moved = true;
    }
    return moved;
}

bool relay_wants_handler(const struct relay_state *s)
{
    return (s->down.len == 0 || s->greeting) && !s->handler_ended;
}

bool relay_flush_client(struct relay_state *s)
{
    if (s->client_gone)
        return false;
    int rc = s->r->ops->flush(s->r->client);
    if (rc == -EAGAIN)
        return true;
    if (rc < 0)
        client_failed(s, "write to the client", rc);
    return false;
}

void relay_refuse_greeting(struct relay_state *s)
{
    s->greeting = false;
    s->down.len = 0;
    s->handler_ended = true;
    s->r->refused = true;
    relay_end(s, ENDING_HANDLER_CLOSE);
}

/* Judges the greeting as far as it was read. */
static void judge_greeting(struct relay_state *s)
{
    size_t used = 0;

    switch (s->r->greeting((const char *)s->down.bytes, s->down.len, &used)) {
    case GREETING_MORE:
        if (s->down.len < RELAY_BUFFER_SIZE)
            return;
        break;
    case GREETING_SWALLOW:
        s->greeting = false;
        s->down.at = used;
        s->down.len -= used;
        return;
    case GREETING_ANSWER:
        s->greeting = false;
        s->held = true;
        return;
    case GREETING_REFUSE:
        break;
    }
    relay_refuse_greeting(s);
}

/* Calls r->heard() at the handler's first bytes. */
static void note_first(struct relay_state *s)
{
    if (!s->heard && s->r->heard != NULL)
        s->r->heard(s->r->order_arg);
    s->heard = true;
}

bool relay_read_handler(struct relay_state *s)
{
    struct relay *r = s->r;

    if (!relay_wants_handler(s) || is_quiet(&s->handler_quiet))
        return false;
    size_t have = s->greeting ? s->down.len : 0;
    ssize_t n = io_read(r->from_handler, s->down.bytes + have, RELAY_BUFFER_SIZE - have);
    if (n == -EAGAIN && !s->handler_exited) {
        s->handler_quiet = QUIET_ROUNDS;
        return false;
    }
    if (n > 0) {
        s->down.at = 0;
        s->down.len = have + (size_t)n;
        note_first(s);
        if (s->client_gone) {
            /* Nobody hears it, so it is not judged as a greeting either. */
            s->greeting = false;
            s->down.len = 0;
        } else if (s->greeting) {
            judge_greeting(s);
        }
        return true;
    }
    s->greeting = false;
    s->handler_ended = true;
    if (n < 0 && n != -EAGAIN && n != -ECONNRESET)
        relay_end_system(s, "read from the handler", (int)n);
    relay_end(s, s->draining ? ENDING_SIGTERM : ENDING_HANDLER_CLOSE);
    return true;
}

bool relay_write_client(struct relay_state *s)
{
    struct relay *r = s->r;

    if (s->down.len == 0 || s->client_gone || s->held || s->greeting)
        return false;
    ssize_t n = r->ops->write(r->client, s->down.bytes + s->down.at, s->down.len);
    if (n == -EAGAIN)
        return false;
    if (n < 0) {
        client_failed(s, "write to the client", (int)n);
        return true;
    }
    s->down.at += (size_t)n;
    s->down.len -= (size_t)n;
    r->out += (uint64_t)n;
    s->delivered_at = io_now();
    return true;
}
