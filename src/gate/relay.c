/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/relay.h"

#include "gate/relay_ends.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

/* A handler that still has output for its client may use its grace this many times. */
#define GRACE_FACTOR 10

/* Rounds without a call of wait_for_any() after which orders are looked for. */
#define ROUNDS 64

/* Returns the next deadline and what passing it means: the ending, and whether it is the grace's. */
static io_time next_deadline(const struct relay_state *s, enum ending *ending, bool *overstayed)
{
    const struct relay *r = s->r;
    io_time idle = r->idle == 0 ? 0 : s->idle_since + (io_time)r->idle * 1000;
    io_time grace = 0;

    if (s->left_at != 0 && r->grace != 0) {
        io_time silence = s->delivered_at > s->left_at ? s->delivered_at : s->left_at;
        grace = io_earlier(silence + (io_time)r->grace * 1000,
                           s->left_at + (io_time)r->grace * 1000 * GRACE_FACTOR);
    }
    io_time first = io_earlier(io_earlier(idle, s->session_end), grace);
    if (s->greeting)
        first = io_earlier(first, s->greeting_end);
    *ending = first == idle ? ENDING_TIMEOUT_IDLE : ENDING_TIMEOUT_SESSION;
    *overstayed = first == grace;
    return first;
}

/* True if a deadline is over; sets the ending. */
static bool is_overdue(struct relay_state *s)
{
    enum ending ending;
    bool overstayed;

    if (io_remaining(next_deadline(s, &ending, &overstayed)) != 0)
        return false;
    if (s->greeting && io_remaining(s->greeting_end) == 0) {
        relay_refuse_greeting(s);
        return true;
    }
    /* If the grace is over, the client's end has set the ending before. */
    relay_end(s, ending);
    s->r->overstayed = overstayed;
    return true;
}

static void obey_order(struct relay_state *s)
{
    switch (s->r->order(s->r->order_arg)) {
    case ORDER_GO_ON:
        break;
    case ORDER_HANDLER_EXITED:
        s->handler_exited = true;
        s->handler_quiet = 0;
        break;
    case ORDER_DRAIN:
        relay_end(s, ENDING_SIGTERM);
        s->draining = true;
        s->held = s->greeting = false;
        if (s->left_at == 0)
            s->left_at = io_now();
        break;
    case ORDER_ABANDON:
        relay_end(s, ENDING_SIGTERM);
        relay_lose_client(s);
        s->handler_ended = true;
        break;
    }
}

/* Waits until something can be read or written, or for a deadline. Returns false if waiting failed. */
static bool wait_for_any(struct relay_state *s, bool unsent)
{
    enum { CLIENT_IN, CLIENT_OUT, TO_HANDLER, FROM_HANDLER, CONTROL, COUNT };
    const struct relay *r = s->r;
    bool writing = unsent || (s->down.len > 0 && !s->held && !s->greeting);
    bool gone = s->client_gone;
    bool listening = relay_wants_client(s);
    struct pollfd p[COUNT] = {
        /* Without POLLIN, poll() reports only errors and the end of both directions. */
        [CLIENT_IN] = {gone || s->client_ended || (s->hung_up && !listening) ? -1 : r->client_in,
                       listening ? POLLIN : 0, 0},
        [CLIENT_OUT] = {!gone && writing ? r->client_out : -1, POLLOUT, 0},
        [TO_HANDLER] = {r->to_handler, s->up.len > 0 ? POLLOUT : 0, 0},
        [FROM_HANDLER] = {relay_wants_handler(s) && !unsent ? r->from_handler : -1, POLLIN, 0},
        [CONTROL] = {r->control, POLLIN, 0},
    };
    enum ending ending;
    bool overstayed;
    int n;

    do {
        n = poll(p, COUNT, io_remaining(next_deadline(s, &ending, &overstayed)));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        relay_end_system(s, "wait for client and handler", -errno);
        return false;
    }
    s->client_quiet = s->handler_quiet = 0;
    if (p[CONTROL].revents != 0)
        obey_order(s);
    /* While the client is not read, an error means it is lost. After POLLHUP bytes may still be unread. */
    if (!listening && (p[CLIENT_IN].revents & (POLLERR | POLLNVAL)) != 0)
        relay_lose_client(s);
    else if (!listening && (p[CLIENT_IN].revents & POLLHUP) != 0)
        s->hung_up = true;
    if (p[TO_HANDLER].events == 0 && p[TO_HANDLER].revents != 0)
        relay_close_to_handler(s);
    return true;
}

/* Sends close_notify and all that is queued, then ends our direction. */
static void close_client(struct relay_state *s)
{
    struct relay *r = s->r;
    unsigned patience = r->overstayed ? 1 : r->grace == 0 ? GRACE_FACTOR : r->grace;
    io_time deadline = io_deadline(patience);

    if (s->client_gone)
        return;
    r->ops->close(r->client);
    while (relay_flush_client(s))
        if (io_wait(r->client_out, POLLOUT, -1, deadline) < 0)
            return;
    if (s->client_ended)
        (void)shutdown(r->client_out, SHUT_WR);
    else if (!s->client_gone)
        io_linger(r->client_in, r->client_out, deadline);
}

static void poll_orders(struct relay_state *s)
{
    struct pollfd p = {.fd = s->r->control, .events = POLLIN};

    if (poll(&p, 1, 0) > 0)
        obey_order(s);
}

static void relay_until_end(struct relay_state *s)
{
    unsigned rounds = 0;

    for (;;) {
        bool moved = relay_read_client(s);
        moved |= relay_write_handler(s);
        bool unsent = relay_flush_client(s);
        if (!unsent) {
            moved |= relay_read_handler(s);
            moved |= relay_write_client(s);
        }
        /* The last bytes written may still be queued for a slow client. */
        if (s->handler_ended && s->down.len == 0 && !relay_flush_client(s))
            return;
        if (s->client_gone && s->up.len == 0)
            return;
        if (moved)
            s->idle_since = io_now();
        /* wait_for_any() receives orders, but a busy session may never call it. */
        if (moved && ++rounds % ROUNDS == 0)
            poll_orders(s);
        if (is_overdue(s) || (!moved && !wait_for_any(s, unsent)))
            return;
    }
}

int relay_run(struct relay *r)
{
    struct relay_state s = {.r = r,
                            .session_end = io_deadline(r->session),
                            .greeting_end = io_deadline(r->greeting_seconds),
                            .idle_since = io_now(),
                            .greeting = r->greeting != NULL};

    r->in = r->out = 0;
    r->overstayed = r->refused = false;
    s.up.bytes = malloc(RELAY_BUFFER_SIZE);
    s.down.bytes = malloc(RELAY_BUFFER_SIZE);
    bool ready = s.up.bytes != NULL && s.down.bytes != NULL;
    if (ready)
        relay_until_end(&s);
    else
        relay_end_system(&s, "relay", -ENOMEM);
    /* This comes first, so that the handler does not wait while the client is closed. */
    relay_close_to_handler(&s);
    io_close(&r->from_handler);
    close_client(&s);
    free(s.up.bytes);
    free(s.down.bytes);
    return s.error;
}
