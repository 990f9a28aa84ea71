/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* What one TLS record carries, and a quarter of a pipe. */
#define BUFFER_SIZE 16384

/* How often over its grace a handler may go on that still has output for its client. */
#define GRACE_FACTOR 10

/* Rounds without a pause after which orders are looked for. */
#define ROUNDS 64

/* Rounds to skip a descriptor after EAGAIN, as long as the other one moves. */
#define QUIET_ROUNDS 8

/* One direction. */
struct flow {
    uint8_t *bytes;
    size_t at;
    size_t len;
};

struct state {
    struct relay *r;
    struct flow up;     /* client to handler */
    struct flow down;   /* handler to client */
    bool client_ended;  /* nothing more will be read from the client */
    bool hung_up;       /* poll says so, but bytes may still be there to be read */
    bool client_gone;   /* ... nor can anything be written to it */
    bool handler_ended; /* nothing more will be read from the handler */
    bool handler_exited;
    bool draining;
    unsigned client_quiet;  /* rounds for which the client is not read: it had nothing */
    unsigned handler_quiet; /* rounds for which the handler is not read */
    bool heard;             /* the handler has said something */
    bool greeting;          /* the handler's greeting is not whole yet */
    bool held;              /* a greeting that says no waits for the client's first command */
    bool ended;             /* r->ending is set */
    int error;              /* why, as a negative errno, if the system has refused something */
    io_time session_end;
    io_time greeting_end;
    io_time idle_since;
    io_time left_at;      /* when the client ended; 0: not yet */
    io_time delivered_at; /* when the client last took bytes */
};

/* The first cause is the one that is told. */
static void end(struct state *s, enum ending ending)
{
    if (!s->ended)
        s->r->ending = ending;
    s->ended = true;
}

static void end_system(struct state *s, const char *what, int error)
{
    if (s->ended)
        return;
    s->error = error;
    s->r->refused_by_system = what;
    end(s, ENDING_SYSTEM);
}

static void client_ended(struct state *s, enum ending ending)
{
    end(s, ending);
    s->client_ended = true;
    s->held = false;
    if (s->left_at == 0)
        s->left_at = io_now();
}

static void client_gone(struct state *s)
{
    client_ended(s, ENDING_RESET);
    s->client_gone = true;
    s->down.len = 0;
}

/* The connection is of no use any more, because it broke or the system has refused something. */
static void client_lost(struct state *s, const char *what, int error)
{
    if (error == -ENOMEM || error == -ENOBUFS)
        end_system(s, what, error);
    client_gone(s);
}

static void close_to_handler(struct state *s)
{
    if (s->r->to_handler >= 0 && s->r->to_handler == s->r->from_handler)
        (void)shutdown(s->r->to_handler, SHUT_WR);
    else
        io_close(&s->r->to_handler);
    s->r->to_handler = -1;
    s->up.len = 0;
}

static bool wants_client(const struct state *s)
{
    return s->up.len == 0 && !s->client_ended && !s->draining && !s->greeting &&
           s->r->ops->may_read(s->r->client);
}

/* Counts a skipped round. A read that finds nothing would cost a system call in each round of a busy
 * session; wait() notices new bytes at once. */
static bool is_quiet(unsigned *rounds)
{
    if (*rounds == 0)
        return false;
    --*rounds;
    return true;
}

/* The command that a refusing greeting answers goes no further. */
static void drop_command(struct state *s)
{
    const uint8_t *lf = memchr(s->up.bytes, '\n', s->up.len);
    size_t len = lf != NULL ? (size_t)(lf - s->up.bytes) + 1 : s->up.len;

    s->up.at = len;
    s->up.len -= len;
    s->held = lf == NULL;
}

static bool read_client(struct state *s)
{
    struct relay *r = s->r;

    if (!wants_client(s) || is_quiet(&s->client_quiet))
        return false;
    ssize_t n = r->ops->read(r->client, s->up.bytes, BUFFER_SIZE);
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
        client_ended(s, ENDING_CLIENT_CLOSE);
    } else if (n == -EPIPE) {
        client_ended(s, ENDING_TRUNCATED);
    } else if (n == -ECONNRESET || n == -ENOMEM) {
        client_lost(s, "read from the client", (int)n);
    } else {
        end(s, ENDING_TLS_ERROR);
        client_gone(s);
    }
    return true;
}

static bool write_handler(struct state *s)
{
    struct relay *r = s->r;
    bool moved = false;

    if (r->to_handler < 0) {
        /* A handler that reads no more is no reason to stop listening to the client. */
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
                end_system(s, "write to the handler", (int)n);
            close_to_handler(s);
            return true;
        }
        s->up.at += (size_t)n;
        s->up.len -= (size_t)n;
    }
    if (s->client_ended || s->draining) {
        close_to_handler(s);
        moved = true;
    }
    return moved;
}

static bool wants_handler(const struct state *s)
{
    return (s->down.len == 0 || s->greeting) && !s->handler_ended;
}

/* True while records wait for room in the client's connection. */
static bool flush_client(struct state *s)
{
    if (s->client_gone)
        return false;
    int rc = s->r->ops->flush(s->r->client);
    if (rc == -EAGAIN)
        return true;
    if (rc < 0)
        client_lost(s, "write to the client", rc);
    return false;
}

static void refuse_greeting(struct state *s)
{
    s->greeting = false;
    s->down.len = 0;
    s->handler_ended = true;
    s->r->refused = true;
    end(s, ENDING_HANDLER_CLOSE);
}

static void judge_greeting(struct state *s)
{
    size_t used = 0;

    switch (s->r->greeting((const char *)s->down.bytes, s->down.len, &used)) {
    case GREETING_MORE:
        if (s->down.len < BUFFER_SIZE)
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
    refuse_greeting(s);
}

static void note_first(struct state *s)
{
    if (!s->heard && s->r->heard != NULL)
        s->r->heard(s->r->order_arg);
    s->heard = true;
}

static bool read_handler(struct state *s)
{
    struct relay *r = s->r;

    if (!wants_handler(s) || is_quiet(&s->handler_quiet))
        return false;
    size_t have = s->greeting ? s->down.len : 0;
    ssize_t n = io_read(r->from_handler, s->down.bytes + have, BUFFER_SIZE - have);
    if (n == -EAGAIN && !s->handler_exited) {
        s->handler_quiet = QUIET_ROUNDS;
        return false;
    }
    if (n > 0) {
        s->down.at = 0;
        s->down.len = have + (size_t)n;
        note_first(s);
        if (s->greeting)
            judge_greeting(s);
        if (s->client_gone)
            s->down.len = 0;
        return true;
    }
    s->greeting = false;
    s->handler_ended = true;
    if (n < 0 && n != -EAGAIN && n != -ECONNRESET)
        end_system(s, "read from the handler", (int)n);
    end(s, s->draining ? ENDING_SIGTERM : ENDING_HANDLER_CLOSE);
    return true;
}

static bool write_client(struct state *s)
{
    struct relay *r = s->r;

    if (s->down.len == 0 || s->client_gone || s->held || s->greeting)
        return false;
    ssize_t n = r->ops->write(r->client, s->down.bytes + s->down.at, s->down.len);
    if (n == -EAGAIN)
        return false;
    if (n < 0) {
        client_lost(s, "write to the client", (int)n);
        return true;
    }
    s->down.at += (size_t)n;
    s->down.len -= (size_t)n;
    r->out += (uint64_t)n;
    s->delivered_at = io_now();
    return true;
}

/* The next moment at which something is over, and what that is: an ending, or the grace. */
static io_time next_deadline(const struct state *s, enum ending *ending, bool *overstayed)
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

static bool overdue(struct state *s)
{
    enum ending ending;
    bool overstayed;

    if (io_remaining(next_deadline(s, &ending, &overstayed)) != 0)
        return false;
    if (s->greeting && io_remaining(s->greeting_end) == 0) {
        refuse_greeting(s);
        return true;
    }
    /* A handler can only overstay when the client's end has been noted already. */
    end(s, ending);
    s->r->overstayed = overstayed;
    return true;
}

static void obey(struct state *s)
{
    switch (s->r->order(s->r->order_arg)) {
    case ORDER_GO_ON:
        break;
    case ORDER_HANDLER_EXITED:
        s->handler_exited = true;
        s->handler_quiet = 0;
        break;
    case ORDER_DRAIN:
        end(s, ENDING_SIGTERM);
        s->draining = true;
        s->held = s->greeting = false;
        if (s->left_at == 0)
            s->left_at = io_now();
        break;
    case ORDER_ABANDON:
        end(s, ENDING_SIGTERM);
        client_gone(s);
        s->handler_ended = true;
        break;
    }
}

/* Waits for whatever can go on, or for a deadline. Returns false if that is impossible. */
static bool wait(struct state *s, bool unsent)
{
    enum { CLIENT_IN, CLIENT_OUT, TO_HANDLER, FROM_HANDLER, CONTROL, COUNT };
    const struct relay *r = s->r;
    bool writing = unsent || (s->down.len > 0 && !s->held && !s->greeting);
    bool gone = s->client_gone;
    bool listening = wants_client(s);
    struct pollfd p[COUNT] = {
        /* Without POLLIN only an error or the end of both directions is told. */
        [CLIENT_IN] = {gone || s->client_ended || (s->hung_up && !listening) ? -1 : r->client_in,
                       listening ? POLLIN : 0, 0},
        [CLIENT_OUT] = {!gone && writing ? r->client_out : -1, POLLOUT, 0},
        [TO_HANDLER] = {r->to_handler, s->up.len > 0 ? POLLOUT : 0, 0},
        [FROM_HANDLER] = {wants_handler(s) && !unsent ? r->from_handler : -1, POLLIN, 0},
        [CONTROL] = {r->control, POLLIN, 0},
    };
    enum ending ending;
    bool overstayed;
    int n;

    do {
        n = poll(p, COUNT, io_remaining(next_deadline(s, &ending, &overstayed)));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        end_system(s, "wait for client and handler", -errno);
        return false;
    }
    s->client_quiet = s->handler_quiet = 0;
    if (p[CONTROL].revents != 0)
        obey(s);
    /* A broken connection is told while we don't listen; an ended one may hold unread bytes still. */
    if (!listening && (p[CLIENT_IN].revents & (POLLERR | POLLNVAL)) != 0)
        client_gone(s);
    else if (!listening && (p[CLIENT_IN].revents & POLLHUP) != 0)
        s->hung_up = true;
    if (p[TO_HANDLER].events == 0 && p[TO_HANDLER].revents != 0)
        close_to_handler(s);
    return true;
}

/* close_notify, then the end of our direction. */
static void close_client(struct state *s)
{
    struct relay *r = s->r;
    unsigned patience = r->overstayed ? 1 : r->grace == 0 ? GRACE_FACTOR : r->grace;
    io_time deadline = io_deadline(patience);

    if (s->client_gone)
        return;
    r->ops->close(r->client);
    while (flush_client(s))
        if (io_wait(r->client_out, POLLOUT, -1, deadline) < 0)
            return;
    if (s->client_ended)
        (void)shutdown(r->client_out, SHUT_WR);
    else if (!s->client_gone)
        io_linger(r->client_in, r->client_out, deadline);
}

static void glance_at_orders(struct state *s)
{
    struct pollfd p = {.fd = s->r->control, .events = POLLIN};

    if (poll(&p, 1, 0) > 0)
        obey(s);
}

static void run(struct state *s)
{
    unsigned rounds = 0;

    for (;;) {
        bool moved = read_client(s);
        moved |= write_handler(s);
        bool unsent = flush_client(s);
        if (!unsent) {
            moved |= read_handler(s);
            moved |= write_client(s);
        }
        /* What has just been written may wait for room: its client may be slower than the farewell. */
        if (s->handler_ended && s->down.len == 0 && !flush_client(s))
            return;
        if (s->client_gone && s->up.len == 0)
            return;
        if (moved)
            s->idle_since = io_now();
        /* Orders are heard in wait(), which a busy session may not come to. */
        if (moved && ++rounds % ROUNDS == 0)
            glance_at_orders(s);
        if (overdue(s) || (!moved && !wait(s, unsent)))
            return;
    }
}

int relay_run(struct relay *r)
{
    struct state s = {.r = r,
                      .session_end = io_deadline(r->session),
                      .greeting_end = io_deadline(r->greeting_seconds),
                      .idle_since = io_now(),
                      .greeting = r->greeting != NULL};

    r->in = r->out = 0;
    r->overstayed = r->refused = false;
    s.up.bytes = malloc(BUFFER_SIZE);
    s.down.bytes = malloc(BUFFER_SIZE);
    bool ready = s.up.bytes != NULL && s.down.bytes != NULL;
    if (ready)
        run(&s);
    else
        end_system(&s, "relay", -ENOMEM);
    /* The handler need not wait for the client's last farewell. */
    close_to_handler(&s);
    io_close(&r->from_handler);
    close_client(&s);
    free(s.up.bytes);
    free(s.down.bytes);
    return s.error;
}
