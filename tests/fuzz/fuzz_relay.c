/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: the relay in a world of numbers. No byte is lost, none comes twice, the order is kept, the
 * first cause is the ending, and nothing waits or spins for ever.
 *
 * Five bytes say what world: flags, and a greeting's length and how much of it is swallowed (16 bits each).
 * Then events of three bytes: what happens (low half of the first byte), after how many calls of the relay's (high
 * half), and an amount (16 bits). Where the relay can only wait, the next event happens at once; and when there is none
 * left, all that holds anybody up is taken away, so that the relay has to end. */
#include "common.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What the relay asks of the system, the world answers. */
static ssize_t world_read(int fd, void *buf, size_t len);
static ssize_t world_write(int fd, const void *buf, size_t len);
static ssize_t world_recv(int fd, void *buf, size_t len, int flags);
static int world_poll(struct pollfd *p, nfds_t count, int timeout);
static int world_shutdown(int fd, int how);
static int world_close(int fd);
static int world_clock(clockid_t clock, struct timespec *t);

#define read world_read
#define write world_write
#define recv world_recv
#define poll world_poll
#define shutdown world_shutdown
#define close world_close
#define clock_gettime world_clock
#include "common/io.c"
#include "gate/relay_ends.c"
#include "gate/relay.c"
#undef read
#undef write
#undef recv
#undef poll
#undef shutdown
#undef close
#undef clock_gettime

enum { CLIENT = 100, TO, FROM, ORDERS }; /* descriptors */
enum { BY_SOCKET = 1, BY_RECORDS = 2, GREETS = 4, VERDICT = 24 };
enum { PLENTY = 1 << 30, FAREWELL = 24, SPIN = 64, EVENT_SIZE = 3 };

enum event {
    CLIENT_SAYS,
    CLIENT_ENDS,
    CLIENT_BREAKS,
    CLIENT_TAKES,
    HANDLER_TAKES,
    HANDLER_SAYS,
    HANDLER_ENDS,
    HANDLER_IS_DEAF,
    HANDLER_EXITS,
    DRAIN,
    ABANDON,
    NO_ORDER,
    MAY_NOT_READ,
    MAY_READ,
    INTERRUPT,
    CLIENT_IS_DEAF
};

/* A stream of bytes that only its length tells: each byte by its place. */
struct stream {
    size_t said;  /* so far, by who writes it */
    size_t taken; /* by the relay */
    size_t given; /* to who reads it, with what was left out on the way */
    size_t room;  /* with who reads it */
};

static struct world {
    const uint8_t *events;
    size_t count;
    unsigned delay; /* calls until the next event */
    unsigned flags;
    size_t greeting_len, greeting_used;
    struct relay r;
    struct stream up, down;
    int client_end;      /* what reading gives behind the last byte; 1: nothing yet */
    int handler_end;     /* the same */
    bool client_reset;   /* poll(2) tells of an error */
    bool client_hung_up; /* ... or of the end of both directions */
    bool client_deaf, handler_deaf, handler_exits, blind;
    unsigned interruptions;
    enum event orders[8];
    unsigned order_count, order_at;
    size_t pending; /* of a record, not sent yet */
    size_t out;     /* taken by the client's side */
    /* What the relay knows. */
    bool client_told, handler_told, exit_told, draining, gone, reset_seen;
    bool may_read, judged, held, refused, to_closed, from_closed, client_closed;
    bool caused;
    enum ending cause;
    unsigned quiet; /* polls since anything moved */
    io_time now;
    bool last; /* all that holds up has been taken away */
} w;

static uint8_t byte_at(size_t at, unsigned salt)
{
    return (uint8_t)(at ^ (at >> 8) * 31 ^ (at >> 16) * 7 ^ salt);
}

static void make_bytes(uint8_t *buf, size_t from, size_t len, unsigned salt)
{
    for (size_t i = 0; i < len; i++)
        buf[i] = byte_at(from + i, salt);
}

static void check_bytes(const uint8_t *buf, size_t from, size_t len, unsigned salt)
{
    for (size_t i = 0; i < len; i++)
        CHECK(buf[i] == byte_at(from + i, salt));
}

enum { UP = 0, DOWN = 0x55 }; /* salts */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void cause(enum ending ending)
{
    if (!w.caused)
        w.cause = ending;
    w.caused = true;
}

/* What the client's connection gives is its end for the relay, too. */
static void client_is_gone(enum ending ending)
{
    cause(ending);
    w.gone = w.client_told = true;
    w.held = false;
}

static void break_client(unsigned how)
{
    static const int ends[] = {-EPIPE, -ECONNRESET, -ENOMEM, -EBADMSG, 0};

    if (w.client_end != 1)
        return;
    w.client_end = ends[how % 5];
    w.client_reset = w.client_end == -ECONNRESET;
    w.client_hung_up = w.client_end == 0 || w.client_reset;
    w.client_deaf = w.client_deaf || w.client_hung_up;
}

static void give_order(enum event order)
{
    if (w.order_count < sizeof w.orders / sizeof w.orders[0])
        w.orders[w.order_count++] = order;
}

static void happen(enum event event, size_t amount)
{
    switch (event) {
    case CLIENT_SAYS:
        w.up.said += w.client_end == 1 ? amount : 0;
        break;
    case CLIENT_ENDS:
        w.client_end = w.client_end == 1 ? 0 : w.client_end;
        break;
    case CLIENT_BREAKS:
        break_client((unsigned)amount);
        break;
    case CLIENT_TAKES:
        w.down.room += amount;
        break;
    case HANDLER_TAKES:
        w.up.room += amount;
        break;
    case HANDLER_SAYS:
        w.down.said += w.handler_end == 1 && !w.handler_exits ? amount : 0;
        break;
    case HANDLER_ENDS:
        if (w.handler_end == 1)
            w.handler_end = amount % 2 == 0 ? 0 : -ECONNRESET;
        break;
    case HANDLER_IS_DEAF:
        w.handler_deaf = true;
        break;
    case HANDLER_EXITS:
        w.handler_exits = true;
        give_order(event);
        break;
    case DRAIN:
    case ABANDON:
    case NO_ORDER:
        give_order(event);
        break;
    case MAY_NOT_READ:
    case MAY_READ:
        w.blind = event == MAY_NOT_READ;
        break;
    case INTERRUPT:
        w.interruptions = amount % 4;
        break;
    case CLIENT_IS_DEAF:
        w.client_deaf = true;
        break;
    }
}

/* The next event, or the last of all. */
static void go_on(void)
{
    w.quiet = 0;
    if (w.count > 0) {
        const uint8_t *e = w.events;
        w.events += EVENT_SIZE;
        w.count--;
        w.delay = w.count > 0 ? w.events[0] >> 4 : 0;
        happen((enum event)(e[0] & 15), e[1] | (size_t)e[2] << 8);
        return;
    }
    CHECK(!w.last); /* it waits for ever */
    w.last = true;
    w.blind = false;
    w.up.room = w.down.room = PLENTY;
    if (w.client_end == 1)
        w.client_end = 0;
    if (w.handler_end == 1)
        w.handler_end = 0;
}

/* Time goes by with each call. */
static void tick(void)
{
    if (w.count > 0 && w.delay-- == 0)
        go_on();
}

static bool is_interrupted(void)
{
    if (w.interruptions == 0)
        return false;
    w.interruptions--;
    errno = EINTR;
    return true;
}

static ssize_t fail(int error)
{
    errno = error;
    return -1;
}

/* The client, as the relay's operations see it. */

static ssize_t client_read(void *client, void *buf, size_t len)
{
    (void)client;
    tick();
    CHECK(!w.client_told && !w.draining && !w.client_closed && w.may_read && len > 0);
    CHECK(w.judged || w.handler_told || (w.flags & GREETS) == 0);
    size_t n = least(w.up.said - w.up.taken, len);
    if (n == 0 && w.client_end == 1)
        return -EAGAIN;
    w.quiet = 0;
    if (n == 0) {
        switch (w.client_end) {
        case 0:
            cause(ENDING_CLIENT_CLOSE);
            w.client_told = true;
            w.held = false;
            break;
        case -EPIPE:
            cause(ENDING_TRUNCATED);
            w.client_told = true;
            w.held = false;
            break;
        default:
            client_is_gone(w.client_end == -ECONNRESET ? ENDING_RESET
                           : w.client_end == -ENOMEM   ? ENDING_SYSTEM
                                                       : ENDING_TLS_ERROR);
        }
        return w.client_end;
    }
    make_bytes(buf, w.up.taken, n, UP);
    /* The line that a refusing greeting answers goes no further. */
    for (size_t i = 0; i < n && w.held; i++) {
        CHECK(w.up.given == w.up.taken + i);
        w.up.given++;
        w.held = ((uint8_t *)buf)[i] != '\n';
    }
    w.up.taken += n;
    return (ssize_t)n;
}

static void send_pending(void)
{
    size_t n = least(w.pending, w.down.room);

    w.pending -= n;
    w.down.room -= n;
}

static ssize_t client_write(void *client, const void *buf, size_t len)
{
    (void)client;
    tick();
    CHECK(!w.gone && !w.client_closed && w.pending == 0 && len > 0 && !w.held);
    if (w.client_deaf) {
        client_is_gone(ENDING_RESET);
        return -ECONNRESET;
    }
    size_t n = (w.flags & BY_RECORDS) != 0 ? len : least(len, w.down.room);
    if (n == 0)
        return -EAGAIN;
    w.quiet = 0;
    check_bytes(buf, w.down.given, n, DOWN);
    w.down.given += n;
    w.out += n;
    CHECK(w.down.given <= w.down.taken);
    w.pending = n;
    send_pending();
    return (ssize_t)n;
}

static int client_flush(void *client)
{
    (void)client;
    tick();
    CHECK(!w.gone);
    if (w.pending > 0 && w.client_deaf) {
        client_is_gone(ENDING_RESET);
        return -ECONNRESET;
    }
    if (w.pending > 0 && w.down.room > 0)
        w.quiet = 0;
    send_pending();
    return w.pending > 0 ? -EAGAIN : 0;
}

/* As with TLS, where answers to what is read must wait until something has been sent. */
static bool client_may_read(void *client)
{
    (void)client;
    return w.may_read = !w.blind || w.pending == 0;
}

static void client_close(void *client)
{
    (void)client;
    CHECK(!w.gone && !w.client_closed && w.pending == 0);
    w.client_closed = true;
    w.pending = (w.flags & BY_RECORDS) != 0 ? FAREWELL : 0;
}

static const struct relay_client world_client = {client_read, client_write, client_flush,
                                                 client_may_read, client_close};

/* The handler, and what comes behind the client's end. */

static int from_number(void)
{
    return (w.flags & BY_SOCKET) != 0 ? TO : FROM;
}

static ssize_t world_read(int fd, void *buf, size_t len)
{
    tick();
    CHECK(fd == from_number() && !w.from_closed && !w.handler_told && len > 0);
    if (is_interrupted())
        return -1;
    size_t n = least(w.down.said - w.down.taken, len);
    if (n == 0 && w.handler_end == 1 && !w.exit_told)
        return fail(EAGAIN);
    w.quiet = 0;
    if (n == 0) {
        w.handler_told = true;
        cause(w.draining ? ENDING_SIGTERM : ENDING_HANDLER_CLOSE);
        return w.handler_end == 0 ? 0 : fail(w.handler_end == 1 ? EAGAIN : -w.handler_end);
    }
    make_bytes(buf, w.down.taken, n, DOWN);
    w.down.taken += n;
    return (ssize_t)n;
}

static ssize_t world_write(int fd, const void *buf, size_t len)
{
    tick();
    CHECK(fd == TO && !w.to_closed && len > 0);
    if (is_interrupted())
        return -1;
    if (w.handler_deaf)
        return fail(EPIPE);
    size_t n = least(len, w.up.room);
    if (n == 0)
        return fail(EAGAIN);
    w.quiet = 0;
    check_bytes(buf, w.up.given, n, UP);
    w.up.room -= n;
    w.up.given += n;
    CHECK(w.up.given <= w.up.taken);
    return (ssize_t)n;
}

/* The relay waits for its client's end and throws away what else comes. */
static ssize_t world_recv(int fd, void *buf, size_t len, int flags)
{
    (void)flags;
    CHECK(fd == CLIENT && w.client_closed);
    size_t n = least(w.up.said - w.up.taken, len);
    memset(buf, 0, n);
    w.up.said -= n;
    if (n > 0)
        return (ssize_t)n;
    return w.client_end == 1 ? fail(EAGAIN) : w.client_end < 0 ? fail(-w.client_end) : 0;
}

static int world_shutdown(int fd, int how)
{
    CHECK(how == SHUT_WR);
    if (fd == TO) {
        CHECK((w.flags & BY_SOCKET) != 0 && !w.to_closed);
        w.to_closed = true;
    } else {
        CHECK(fd == CLIENT && w.client_closed);
    }
    return 0;
}

static int world_close(int fd)
{
    if (fd == from_number()) {
        CHECK(!w.from_closed);
        w.from_closed = true;
    } else {
        CHECK(fd == TO && !w.to_closed);
        w.to_closed = true;
    }
    return 0;
}

static int world_clock(clockid_t clock, struct timespec *t)
{
    (void)clock;
    *t = (struct timespec){.tv_sec = w.now / 1000, .tv_nsec = w.now % 1000 * 1000000};
    return 0;
}

static short client_events(short wanted)
{
    int events = 0;

    if (w.up.said > w.up.taken || w.client_end != 1)
        events |= wanted & POLLIN;
    if (w.down.room > 0 || w.client_deaf)
        events |= wanted & POLLOUT;
    return (short)(events | (w.client_reset ? POLLERR : 0) | (w.client_hung_up ? POLLHUP : 0));
}

static short handler_events(int fd, short wanted)
{
    int events = 0;

    if (fd == from_number()) {
        if (w.down.said > w.down.taken || w.handler_end != 1)
            events |= wanted & POLLIN;
        if (w.handler_end != 1 && (w.flags & BY_SOCKET) == 0)
            events |= POLLHUP;
    }
    if (fd == TO) {
        if (w.up.room > 0)
            events |= wanted & POLLOUT;
        if (w.handler_deaf && ((w.flags & BY_SOCKET) == 0 || w.handler_end != 1))
            events |= (w.flags & BY_SOCKET) != 0 ? POLLHUP : POLLERR;
    }
    return (short)events;
}

static int look_around(struct pollfd *p, nfds_t count)
{
    int ready = 0;

    for (nfds_t i = 0; i < count; i++) {
        p[i].revents = 0;
        if (p[i].fd == CLIENT)
            p[i].revents = client_events(p[i].events);
        else if (p[i].fd == ORDERS)
            p[i].revents = w.order_at < w.order_count ? POLLIN : 0;
        else if (p[i].fd >= 0)
            p[i].revents = handler_events(p[i].fd, p[i].events);
        ready += p[i].revents != 0;
    }
    return ready;
}

/* The relay hears of a broken connection where it does not read. It looks at its orders first. */
static void note_reset(const struct pollfd *p, nfds_t count)
{
    bool order = false, reset = false;

    for (nfds_t i = 0; i < count; i++) {
        order |= p[i].fd == ORDERS && p[i].revents != 0;
        reset |= p[i].fd == CLIENT && i == 0 && p[i].events == 0 && (p[i].revents & POLLERR) != 0;
    }
    w.reset_seen = reset && count > 2;
    if (w.reset_seen && !order)
        client_is_gone(ENDING_RESET);
}

static int world_poll(struct pollfd *p, nfds_t count, int timeout)
{
    int ready;

    if (timeout != 0 && is_interrupted())
        return -1;
    CHECK(timeout == 0 || w.quiet++ < SPIN);
    while ((ready = look_around(p, count)) == 0) {
        if (timeout == 0)
            return 0;
        if (timeout > 0 && w.last) {
            w.now += timeout;
            return 0;
        }
        go_on();
    }
    note_reset(p, count);
    return ready;
}

static enum order take_order(void *arg)
{
    (void)arg;
    CHECK(w.order_at < w.order_count);
    enum event order = w.orders[w.order_at++];
    w.quiet = 0;
    w.exit_told = w.exit_told || order == HANDLER_EXITS;
    if (order == DRAIN) {
        cause(ENDING_SIGTERM);
        w.draining = true;
        w.judged = true; /* a greeting is given as it is */
        w.held = false;
    }
    if (order == ABANDON) {
        client_is_gone(ENDING_SIGTERM);
        w.handler_told = true;
    }
    if (w.reset_seen)
        client_is_gone(ENDING_RESET);
    w.reset_seen = false;
    return order == HANDLER_EXITS ? ORDER_HANDLER_EXITED
           : order == DRAIN       ? ORDER_DRAIN
           : order == ABANDON     ? ORDER_ABANDON
                                  : ORDER_GO_ON;
}

static enum greeting_verdict judge(const char *bytes, size_t len, size_t *used)
{
    CHECK(!w.judged && len > 0 && len <= 16384 && len == w.down.taken);
    check_bytes((const uint8_t *)bytes, 0, len, DOWN);
    unsigned verdict = (w.flags & VERDICT) / 8;
    bool whole = len >= w.greeting_len;
    w.judged = whole || len == 16384;
    if (w.judged && (!whole || verdict == 3)) {
        w.refused = w.handler_told = true;
        cause(ENDING_HANDLER_CLOSE);
    }
    if (!whole)
        return GREETING_MORE;
    if (verdict == 3)
        return GREETING_REFUSE;
    if (verdict == 2) {
        w.held = true;
        return GREETING_ANSWER;
    }
    *used = verdict == 1 ? len : least(w.greeting_used, len);
    w.down.given = *used;
    return GREETING_SWALLOW;
}

/* What must have become of each byte. */
static void check_outcome(int rc)
{
    const struct relay *r = &w.r;

    CHECK(w.caused && r->ending == w.cause);
    CHECK((rc < 0) == (r->ending == ENDING_SYSTEM));
    CHECK(r->refused == w.refused && !r->overstayed);
    CHECK(r->in == w.up.taken && r->out == w.out);
    CHECK(w.to_closed && w.from_closed);
    CHECK(w.gone || w.client_closed);
    if (!w.gone && !w.refused) {
        CHECK(w.down.taken == w.down.said && w.down.given == w.down.taken);
        CHECK(w.pending == 0);
    }
    /* A handler that reads on has got all, unless it ended first. */
    if (!w.handler_deaf && !w.handler_told)
        CHECK(w.up.given == w.up.taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 5)
        return 0;
    memset(&w, 0, sizeof w);
    w.flags = data[0];
    w.greeting_len = (data[1] | (size_t)data[2] << 8) % 17000 + 1;
    w.greeting_used = least(data[3] | (size_t)data[4] << 8, w.greeting_len);
    w.events = data + 5;
    w.count = (size - 5) / EVENT_SIZE;
    w.delay = w.count > 0 ? w.events[0] >> 4 : 0;
    w.now = 1000;
    w.client_end = w.handler_end = 1;
    w.r = (struct relay){.ops = &world_client,
                         .client_in = CLIENT,
                         .client_out = CLIENT,
                         .to_handler = TO,
                         .from_handler = from_number(),
                         .control = ORDERS,
                         .order = take_order,
                         .greeting = (w.flags & GREETS) != 0 ? judge : NULL};
    check_outcome(relay_run(&w.r));
    return 0;
}
