/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of relay.c: the relay runs in a thread of its own, the test is both client and
 * handler, over real socketpairs and pipes. */
#include "gate/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A client that is not TLS: the end of the connection is its orderly end. */
struct fake {
    int fd;
    size_t most;         /* bytes for one read or write; 0: no limit */
    int error;           /* what reading gives at the end of the connection; 0: orderly end */
    unsigned stuck;      /* how often flush says -EAGAIN after each write */
    unsigned unsent;     /* ... and still will */
    bool clogs;          /* the first write sets clogged */
    atomic_bool clogged; /* flush says -EAGAIN as long as this is set */
    atomic_bool deaf;    /* may_read says no */
    atomic_bool overrun; /* written to while something was unsent */
    atomic_bool closed;  /* close_notify was queued */
    unsigned closes;
};

static ssize_t fake_read(void *client, void *buf, size_t len)
{
    struct fake *f = client;
    ssize_t n = io_read(f->fd, buf, f->most != 0 && f->most < len ? f->most : len);

    return n == 0 && f->error != 0 ? f->error : n;
}

static ssize_t fake_write(void *client, const void *buf, size_t len)
{
    struct fake *f = client;

    if (f->unsent > 0)
        f->overrun = true;
    ssize_t n = send(f->fd, buf, f->most != 0 && f->most < len ? f->most : len, MSG_NOSIGNAL);
    if (n < 0)
        return -errno;
    f->unsent = f->stuck;
    f->clogged = f->clogs;
    f->clogs = false;
    return n;
}

static int fake_flush(void *client)
{
    struct fake *f = client;

    if (f->clogged)
        return -EAGAIN;
    if (f->unsent == 0)
        return 0;
    f->unsent--;
    return -EAGAIN;
}

static bool fake_may_read(void *client)
{
    return !((struct fake *)client)->deaf;
}

static void fake_close(void *client)
{
    ((struct fake *)client)->closed = true;
    ((struct fake *)client)->closes++;
}

static const struct relay_client fake_ops = {fake_read, fake_write, fake_flush, fake_may_read,
                                             fake_close};

/* One relay with all that is around it. */
struct bench {
    struct relay r;
    struct fake fake;
    pthread_t thread;
    int result;
    int client;     /* our end of the connection */
    int from_relay; /* what the handler reads */
    int to_relay;   /* what the handler writes; the same number for a socket */
    int orders;     /* where the monitor writes its orders */
};

/* Orders are single bytes; the monitor's end is the end of all. */
static enum order take_order(void *arg)
{
    char byte = 0;
    ssize_t n = io_read(*(int *)arg, &byte, 1);

    if (n == -EAGAIN)
        return ORDER_GO_ON;
    if (n != 1)
        return ORDER_ABANDON;
    return byte == 'E'   ? ORDER_HANDLER_EXITED
           : byte == 'D' ? ORDER_DRAIN
           : byte == 'A' ? ORDER_ABANDON
                         : ORDER_GO_ON;
}

static void open_bench(struct bench *b, bool by_socket)
{
    int c[2], in[2], out[2], control[2];

    memset(b, 0, sizeof *b);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c), 0);
    assert_int_equal(pipe2(control, O_CLOEXEC), 0);
    if (by_socket) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in), 0);
        b->r.to_handler = b->r.from_handler = in[0];
        b->from_relay = b->to_relay = in[1];
    } else {
        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        b->r.to_handler = in[1];
        b->from_relay = in[0];
        b->r.from_handler = out[0];
        b->to_relay = out[1];
    }
    b->fake.fd = b->r.client_in = b->r.client_out = c[0];
    b->client = c[1];
    b->orders = control[1];
    b->r.control = control[0];
    b->r.ops = &fake_ops;
    b->r.client = &b->fake;
    b->r.order = take_order;
    b->r.order_arg = &b->r.control;
    b->r.grace = 10;
    assert_int_equal(io_set_nonblocking(c[0], true), 0);
    assert_int_equal(io_set_nonblocking(control[0], true), 0);
    assert_int_equal(io_set_nonblocking(b->r.to_handler, true), 0);
    assert_int_equal(io_set_nonblocking(b->r.from_handler, true), 0);
}

static void *run_relay(void *arg)
{
    struct bench *b = arg;

    b->result = relay_run(&b->r);
    return NULL;
}

static void start(struct bench *b)
{
    assert_int_equal(pthread_create(&b->thread, NULL, run_relay, b), 0);
}

/* True if the relay ends within so many milliseconds. */
static bool ends_within(struct bench *b, long ms)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return pthread_timedjoin_np(b->thread, NULL, &t) == 0;
}

static void close_bench(struct bench *b)
{
    io_close(&b->client);
    if (b->to_relay != b->from_relay)
        io_close(&b->to_relay);
    io_close(&b->from_relay);
    io_close(&b->orders);
    io_close(&b->r.control);
    io_close(&b->r.client_in);
}

/* Ends a relay that does not end by itself, so that a failing test ends too. */
static void force(struct bench *b)
{
    io_close(&b->client);
    io_close(&b->orders);
    if (!ends_within(b, 2000))
        abort();
}

static void check_end(struct bench *b, enum ending ending)
{
    if (!ends_within(b, 2000)) {
        force(b);
        close_bench(b);
        fail_msg("the relay does not end");
    }
    assert_int_equal(b->result, 0);
    if (b->r.ending != ending)
        fail_msg("ending is %s, not %s", ending_name(b->r.ending), ending_name(ending));
    assert_false(b->fake.overrun);
}

static void say(int fd, const char *text)
{
    assert_int_equal(io_write_all(fd, text, strlen(text), -1, io_deadline(2)), 0);
}

/* Reads exactly this text; "" stands for the end. */
static void hear(int fd, const char *text)
{
    char got[256] = "";
    size_t len = 0, wanted = strlen(text) > 0 ? strlen(text) : 1;

    while (len < wanted) {
        if (io_wait(fd, POLLIN, -1, io_deadline(2)) != 0)
            fail_msg("only \"%s\" came, not \"%s\"", got, text);
        ssize_t n = io_read(fd, got + len, wanted - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        got[len] = '\0';
    }
    assert_string_equal(got, text);
}

static bool is_silent(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 30) == 0;
}

static void bytes_go_both_ways_and_are_counted(void **state)
{
    (void)state;
    for (int by_socket = 0; by_socket < 2; by_socket++) {
        struct bench b;
        open_bench(&b, by_socket != 0);
        start(&b);
        say(b.to_relay, "* OK ready\r\n");
        hear(b.client, "* OK ready\r\n");
        say(b.client, "a NOOP\r\n");
        hear(b.from_relay, "a NOOP\r\n");
        say(b.to_relay, "a OK\r\n");
        hear(b.client, "a OK\r\n");
        io_close(&b.client);
        hear(b.from_relay, "");
        if (by_socket == 0)
            io_close(&b.from_relay);
        io_close(&b.to_relay);
        b.from_relay = by_socket != 0 ? -1 : b.from_relay;
        check_end(&b, ENDING_CLIENT_CLOSE);
        assert_true(b.r.in == 8);
        assert_true(b.r.out == 18);
        close_bench(&b);
    }
}

static void after_the_clients_end_the_handlers_output_still_flows(void **state)
{
    (void)state;
    for (int by_socket = 0; by_socket < 2; by_socket++) {
        struct bench b;
        open_bench(&b, by_socket != 0);
        start(&b);
        say(b.client, "last words");
        assert_int_equal(shutdown(b.client, SHUT_WR), 0);
        hear(b.from_relay, "last words");
        hear(b.from_relay, "");
        say(b.to_relay, "answer one,");
        hear(b.client, "answer one,");
        say(b.to_relay, "answer two");
        if (by_socket != 0)
            io_close(&b.from_relay), b.to_relay = -1;
        else
            io_close(&b.to_relay);
        hear(b.client, "answer two");
        hear(b.client, "");
        check_end(&b, ENDING_CLIENT_CLOSE);
        assert_true(b.fake.closed);
        assert_int_equal(b.fake.closes, 1);
        assert_false(b.r.overstayed);
        close_bench(&b);
    }
}

static void after_the_handlers_end_all_it_wrote_reaches_the_client(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    say(b.to_relay, "* BYE\r\n");
    io_close(&b.to_relay);
    start(&b);
    hear(b.client, "* BYE\r\n");
    hear(b.client, ""); /* our direction is shut before the client has ended its own */
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    assert_true(b.fake.closed);
    assert_true(b.r.out == 7);
    hear(b.from_relay, "");
    close_bench(&b);
}

static void a_client_that_is_slow_to_leave_is_waited_for(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    start(&b);
    io_close(&b.to_relay);
    hear(b.client, "");
    assert_false(ends_within(&b, 30));
    /* What it still sends would make the kernel reset the connection if nobody read it. */
    say(b.client, "too late");
    assert_false(ends_within(&b, 30));
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    close_bench(&b);
}

static void each_end_of_the_client_has_its_own_name(void **state)
{
    (void)state;
    static const struct {
        int error;
        enum ending ending;
        bool output; /* it may still be written to */
    } cases[] = {
        {0, ENDING_CLIENT_CLOSE, true},     {-EPIPE, ENDING_TRUNCATED, true},
        {-ECONNRESET, ENDING_RESET, false}, {-EPROTO, ENDING_TLS_ERROR, false},
        {-EIO, ENDING_TLS_ERROR, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench b;
        open_bench(&b, false);
        b.fake.error = cases[i].error;
        start(&b);
        say(b.client, "hello");
        assert_int_equal(shutdown(b.client, SHUT_WR), 0);
        hear(b.from_relay, "hello");
        hear(b.from_relay, "");
        if (cases[i].output) {
            say(b.to_relay, "answer");
            hear(b.client, "answer");
        }
        io_close(&b.to_relay);
        check_end(&b, cases[i].ending);
        assert_true(b.fake.closed == cases[i].output);
        close_bench(&b);
    }
}

static void a_handler_that_reads_no_more_may_still_write(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    start(&b);
    io_close(&b.from_relay);
    say(b.to_relay, "I am not listening\r\n");
    hear(b.client, "I am not listening\r\n");
    say(b.client, "are you there?");
    say(b.to_relay, "no\r\n");
    hear(b.client, "no\r\n");
    io_close(&b.to_relay);
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    close_bench(&b);
}

static void what_an_exited_handler_left_in_its_pipe_is_all_there_is(void **state)
{
    (void)state;
    struct bench b;

    /* Somebody else keeps the pipe open: its end would never come. */
    open_bench(&b, false);
    say(b.to_relay, "the rest");
    say(b.orders, "E");
    start(&b);
    hear(b.client, "the rest");
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    assert_true(b.r.out == 8);
    close_bench(&b);
}

static void draining_takes_nothing_new_and_delivers_the_rest(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    start(&b);
    say(b.client, "before");
    hear(b.from_relay, "before");
    say(b.orders, "D");
    hear(b.from_relay, "");
    say(b.client, "after");
    say(b.to_relay, "the rest");
    io_close(&b.to_relay);
    hear(b.client, "the rest");
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_SIGTERM);
    assert_true(b.r.in == 6);
    assert_true(b.r.out == 8);
    assert_true(b.fake.closed);
    close_bench(&b);
}

static void a_monitor_that_is_gone_ends_all_at_once(void **state)
{
    (void)state;
    static const char *const orders[] = {"A", NULL}; /* NULL: the other end is closed */

    for (size_t i = 0; i < 2; i++) {
        struct bench b;
        open_bench(&b, false);
        start(&b);
        say(b.client, "hello");
        hear(b.from_relay, "hello");
        if (orders[i] != NULL)
            say(b.orders, orders[i]);
        else
            io_close(&b.orders);
        check_end(&b, ENDING_SIGTERM);
        hear(b.from_relay, "");
        close_bench(&b);
    }
}

static void orders_that_mean_nothing_change_nothing(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    start(&b);
    say(b.orders, "???");
    say(b.client, "hello");
    hear(b.from_relay, "hello");
    io_close(&b.to_relay);
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    close_bench(&b);
}

/* Readable once a greeting has been judged. */
static int judged[2];

/* A greeting is one line; its first letter says what it is. */
static enum greeting_verdict judge(const char *bytes, size_t len, size_t *used)
{
    const char *lf = memchr(bytes, '\n', len);

    if (lf == NULL)
        return GREETING_MORE;
    (void)io_write(judged[1], "!", 1);
    *used = (size_t)(lf - bytes) + 1;
    return *bytes == 'N' ? GREETING_ANSWER : *bytes == 'P' ? GREETING_REFUSE : GREETING_SWALLOW;
}

static void a_greeting_that_says_nothing_new_is_swallowed(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.r.greeting = judge;
    start(&b);
    say(b.to_relay, "OK re");
    assert_true(is_silent(b.client));
    say(b.to_relay, "ady\r\n");
    hear(judged[0], "!");
    assert_true(is_silent(b.client));
    say(b.client, "a NOOP\r\n");
    hear(b.from_relay, "a NOOP\r\n");
    say(b.to_relay, "OK done\r\n");
    hear(b.client, "OK done\r\n");
    io_close(&b.to_relay);
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    assert_false(b.r.refused);
    assert_true(b.r.out == 9);
    close_bench(&b);
}

static void what_follows_a_swallowed_greeting_is_delivered(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.r.greeting = judge;
    say(b.to_relay, "OK ready\r\nmore\r\n");
    start(&b);
    hear(judged[0], "!");
    hear(b.client, "more\r\n");
    io_close(&b.to_relay);
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    close_bench(&b);
}

static void a_greeting_that_says_no_answers_the_first_command(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.r.greeting = judge;
    say(b.to_relay, "NO, too busy\r\n");
    io_close(&b.to_relay);
    start(&b);
    hear(judged[0], "!");
    assert_true(is_silent(b.client));
    say(b.client, "a LO");
    assert_true(is_silent(b.client));
    say(b.client, "GIN\r\n");
    hear(b.client, "NO, too busy\r\n");
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    hear(b.from_relay, "");
    close_bench(&b);
}

static void only_the_first_command_is_answered_by_the_greeting(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.r.greeting = judge;
    start(&b);
    say(b.to_relay, "NO, too busy\r\n");
    /* Until the greeting has been judged a command would go to the handler. */
    hear(judged[0], "!");
    say(b.client, "a LOGIN\r\nb LOGOUT\r\n");
    hear(b.client, "NO, too busy\r\n");
    hear(b.from_relay, "b LOGOUT\r\n");
    io_close(&b.to_relay);
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    close_bench(&b);
}

static void a_client_that_leaves_is_not_kept_by_a_held_greeting(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.r.greeting = judge;
    start(&b);
    say(b.to_relay, "NO, too busy\r\n");
    io_close(&b.to_relay);
    hear(judged[0], "!");
    io_close(&b.client);
    if (!ends_within(&b, 1500)) {
        force(&b);
        fail_msg("the relay does not end");
    }
    close_bench(&b);
}

static void draining_is_not_kept_by_a_held_greeting(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.r.greeting = judge;
    start(&b);
    say(b.to_relay, "NO, too busy\r\n");
    io_close(&b.to_relay);
    hear(judged[0], "!");
    say(b.orders, "D");
    /* The handler has ended: nothing is to be waited for but the client, who leaves. */
    struct pollfd p = {.fd = b.client, .events = POLLIN};
    bool told = poll(&p, 1, 1000) == 1;
    io_close(&b.client);
    bool ended = ends_within(&b, 1000);
    if (!ended)
        force(&b);
    close_bench(&b);
    assert_true(told);
    assert_true(ended);
}

static void a_greeting_that_cannot_be_used_ends_the_session(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.r.greeting = judge;
    start(&b);
    say(b.to_relay, "PREAUTH\r\n");
    hear(judged[0], "!");
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    assert_true(b.r.refused);
    assert_true(b.r.out == 0);
    close_bench(&b);
}

static void a_handler_that_ends_within_its_greeting_ends_the_session(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.r.greeting = judge;
    start(&b);
    say(b.to_relay, "OK re");
    io_close(&b.to_relay);
    struct pollfd p = {.fd = b.client, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 2000), 1);
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    assert_false(b.r.refused);
    close_bench(&b);
}

/* Copies a stream's bytes to where they came from, as echo servers do; in a thread. */
struct echo {
    int in, out;
};

static void *run_echo(void *arg)
{
    struct echo *e = arg;
    static _Thread_local uint8_t bytes[8192];
    ssize_t n;

    while ((n = io_read(e->in, bytes, sizeof bytes)) > 0)
        if (io_write_all(e->out, bytes, (size_t)n, -1, 0) < 0)
            break;
    if (e->in == e->out)
        (void)shutdown(e->out, SHUT_WR);
    else
        (void)close(e->out);
    return NULL;
}

struct flood {
    int fd;
    size_t len;
};

static void *run_flood(void *arg)
{
    struct flood *f = arg;
    uint8_t bytes[4096];

    for (size_t at = 0; at < f->len;) {
        size_t n = f->len - at < sizeof bytes ? f->len - at : sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)((at + i) * 7 + (at + i) / 251);
        if (io_write_all(f->fd, bytes, n, -1, 0) < 0)
            return NULL;
        at += n;
    }
    (void)shutdown(f->fd, SHUT_WR);
    return NULL;
}

/* Reads what run_flood() writes up to its end; gives how many bytes came as they should. */
static size_t drink(int fd)
{
    static uint8_t bytes[8192];
    size_t at = 0;

    for (;;) {
        if (io_wait(fd, POLLIN, -1, io_deadline(3)) != 0)
            return at;
        ssize_t n = io_read(fd, bytes, sizeof bytes);
        if (n <= 0)
            return at;
        for (size_t i = 0; i < (size_t)n; i++, at++)
            if (bytes[i] != (uint8_t)(at * 7 + at / 251))
                return at;
    }
}

static void echo_comes_back_whole(size_t len, bool by_socket, size_t most, unsigned stuck)
{
    struct bench b;
    pthread_t echo_thread, flood_thread;

    open_bench(&b, by_socket);
    b.fake.most = most;
    b.fake.stuck = stuck;
    struct echo e = {b.from_relay, b.to_relay};
    struct flood f = {b.client, len};
    assert_int_equal(pthread_create(&echo_thread, NULL, run_echo, &e), 0);
    assert_int_equal(pthread_create(&flood_thread, NULL, run_flood, &f), 0);
    start(&b);
    size_t got = drink(b.client);
    if (got != len) {
        force(&b);
        fail_msg("%zu of %zu bytes came back", got, len);
    }
    assert_int_equal(pthread_join(flood_thread, NULL), 0);
    assert_int_equal(pthread_join(echo_thread, NULL), 0);
    if (!by_socket)
        b.to_relay = -1;
    check_end(&b, ENDING_CLIENT_CLOSE);
    assert_true(b.r.in == len);
    assert_true(b.r.out == len);
    close_bench(&b);
}

static void floods_in_both_directions_at_once_come_through(void **state)
{
    (void)state;
    echo_comes_back_whole(8 << 20, false, 0, 0);
    echo_comes_back_whole(8 << 20, true, 0, 0);
}

static void reads_and_writes_of_single_bytes_come_through(void **state)
{
    (void)state;
    echo_comes_back_whole(3000, false, 1, 0);
    echo_comes_back_whole(3000, true, 1, 0);
}

static void nothing_is_written_while_records_are_unsent(void **state)
{
    (void)state;
    echo_comes_back_whole(500000, false, 0, 3);
    echo_comes_back_whole(2000, false, 10, 2);
}

static void a_client_that_does_not_read_can_still_send(void **state)
{
    (void)state;
    struct bench b;
    pthread_t thread;
    struct flood f;

    open_bench(&b, false);
    f = (struct flood){b.to_relay, 1 << 20};
    assert_int_equal(pthread_create(&thread, NULL, run_flood, &f), 0);
    start(&b);
    /* Its own direction is full before long; the other must go on all the same. */
    for (int i = 0; i < 100; i++) {
        say(b.client, "one more line\r\n");
        hear(b.from_relay, "one more line\r\n");
    }
    assert_int_equal(shutdown(b.client, SHUT_WR), 0);
    hear(b.from_relay, "");
    size_t got = 0;
    while (got < 1 << 20) {
        uint8_t bytes[4096];
        assert_int_equal(io_wait(b.client, POLLIN, -1, io_deadline(2)), 0);
        ssize_t n = io_read(b.client, bytes, sizeof bytes);
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    io_close(&b.to_relay);
    check_end(&b, ENDING_CLIENT_CLOSE);
    close_bench(&b);
}

static void a_client_that_may_not_be_read_waits(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.fake.deaf = true;
    start(&b);
    say(b.client, "asking");
    assert_true(is_silent(b.from_relay));
    b.fake.deaf = false;
    say(b.to_relay, "tick"); /* whatever lets the relay look again */
    hear(b.client, "tick");
    hear(b.from_relay, "asking");
    io_close(&b.to_relay);
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    close_bench(&b);
}

/* The client sends all it has and is gone before the handler has read a byte of it. */
static void check_slow_handler(bool by_pipe)
{
    enum { LENGTH = 120000 }; /* more than one pipe holds, less than two */
    struct bench b;
    struct flood f;
    pthread_t thread;
    int p[2];

    open_bench(&b, false);
    if (by_pipe) {
        assert_int_equal(pipe2(p, O_CLOEXEC), 0);
        assert_int_equal(io_set_nonblocking(p[0], true), 0);
        /* Reading from a pipe; writing, if there were anything to write, to the socket. */
        b.fake.fd = b.r.client_in = p[0];
    }
    f = (struct flood){by_pipe ? p[1] : b.client, LENGTH};
    start(&b);
    assert_int_equal(pthread_create(&thread, NULL, run_flood, &f), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (by_pipe)
        (void)close(p[1]);
    else
        io_close(&b.client);
    (void)ends_within(&b, 50);
    size_t got = drink(b.from_relay);
    io_close(&b.to_relay);
    if (got != LENGTH) {
        force(&b);
        fail_msg("by %s: %zu of %d bytes reach the handler, ending %s", by_pipe ? "pipe" : "socket",
                 got, LENGTH, ending_name(b.r.ending));
    }
    check_end(&b, ENDING_CLIENT_CLOSE);
    close_bench(&b);
}

static void what_a_client_sent_before_it_left_reaches_a_slow_handler_by_socket(void **state)
{
    (void)state;
    check_slow_handler(false);
}

static void what_a_client_sent_before_it_left_reaches_a_slow_handler_by_pipe(void **state)
{
    (void)state;
    check_slow_handler(true);
}

static void a_client_that_takes_no_more_bytes_ends_the_session(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    start(&b);
    assert_int_equal(shutdown(b.client, SHUT_RD), 0);
    say(b.to_relay, "nobody hears this");
    check_end(&b, ENDING_RESET);
    assert_false(b.fake.closed);
    close_bench(&b);
}

/* A greeting that comes in two pieces: no more is ever read than there is room for. */
static atomic_size_t greeting_judged, greeting_whole;

static enum greeting_verdict judge_length(const char *bytes, size_t len, size_t *used)
{
    greeting_judged = len;
    for (size_t i = 0; i < len && i < greeting_whole; i++)
        if (bytes[i] != (i + 1 < greeting_whole ? 'x' : '!'))
            greeting_judged = SIZE_MAX;
    *used = greeting_whole;
    return len < greeting_whole ? GREETING_MORE : GREETING_SWALLOW;
}

static void a_greeting_in_pieces_is_put_together_as_far_as_there_is_room(void **state)
{
    static const struct {
        size_t first, second;
        bool refused;
    } cases[] = {{16383, 1, false},   {1, 16383, false},    {16383, 2, true}, {16384, 1, true},
                 {16000, 300, false}, {16000, 16384, true}, {1, 16384, true}, {16382, 1, false}};
    char text[2 * 16384];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench b;
        size_t whole = cases[i].first + cases[i].second;
        open_bench(&b, false);
        greeting_judged = 0;
        greeting_whole = whole;
        memset(text, 'x', whole);
        text[whole - 1] = '!';
        b.r.greeting = judge_length;
        assert_int_equal(io_write_all(b.to_relay, text, cases[i].first, -1, io_deadline(2)), 0);
        start(&b);
        for (int turns = 0; greeting_judged != cases[i].first && turns < 2000; turns++)
            (void)poll(NULL, 0, 1);
        assert_int_equal(greeting_judged, cases[i].first);
        (void)io_write(b.to_relay, text + cases[i].first, cases[i].second);
        if (!cases[i].refused)
            say(b.to_relay, "next");
        io_close(&b.to_relay);
        if (!cases[i].refused)
            hear(b.client, "next");
        hear(b.client, "");
        io_close(&b.client);
        check_end(&b, ENDING_HANDLER_CLOSE);
        assert_true(greeting_judged <= 16384);
        assert_int_equal(b.r.refused, cases[i].refused);
        close_bench(&b);
    }
}

/* The relay is over only when all has been sent, however long that takes. */
static void half_a_greeting_waits_longer_for_its_client_than_the_grace(void **state)
{
    (void)state;
    struct bench b;

    open_bench(&b, false);
    b.r.grace = 1;
    b.fake.clogs = true;
    greeting_whole = 100;
    b.r.greeting = judge_length;
    say(b.to_relay, "the last");
    io_close(&b.to_relay);
    start(&b);
    assert_false(ends_within(&b, 1500));
    assert_false(b.fake.closed);
    b.fake.clogged = false;
    hear(b.client, "the last");
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_HANDLER_CLOSE);
    close_bench(&b);
}

static void time_outs_end_a_session_that_does_not_end_by_itself(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned idle, session, grace;
        enum ending ending;
        bool client_ends, overstayed;
    } cases[] = {
        {"idle", 1, 0, 10, ENDING_TIMEOUT_IDLE, false, false},
        {"session", 0, 1, 10, ENDING_TIMEOUT_SESSION, false, false},
        {"session before idle", 9, 1, 10, ENDING_TIMEOUT_SESSION, false, false},
        {"idle before session", 1, 9, 10, ENDING_TIMEOUT_IDLE, false, false},
        {"grace", 0, 0, 1, ENDING_CLIENT_CLOSE, true, true},
        {"grace before idle", 9, 9, 1, ENDING_CLIENT_CLOSE, true, true},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    static struct bench b[COUNT];

    /* All at once: each takes its second. */
    io_time began = io_now();
    for (size_t i = 0; i < COUNT; i++) {
        open_bench(&b[i], false);
        b[i].r.idle = cases[i].idle;
        b[i].r.session = cases[i].session;
        b[i].r.grace = cases[i].grace;
        start(&b[i]);
        if (cases[i].client_ends)
            io_close(&b[i].client);
    }
    for (size_t i = 0; i < COUNT; i++) {
        if (!cases[i].client_ends) {
            hear(b[i].client, "");
            io_close(&b[i].client);
        }
        bool ended = ends_within(&b[i], 2000);
        if (!ended)
            force(&b[i]);
        if (!ended || b[i].r.ending != cases[i].ending || b[i].r.overstayed != cases[i].overstayed)
            fail_msg("%s: ended %d as %s, overstayed %d", cases[i].name, ended,
                     ending_name(b[i].r.ending), b[i].r.overstayed);
        if (io_now() - began < 990)
            fail_msg("%s: too early", cases[i].name);
        hear(b[i].from_relay, "");
        close_bench(&b[i]);
    }
}

static void traffic_puts_off_the_idle_time_out_but_not_the_session(void **state)
{
    (void)state;
    struct bench b;
    io_time began = io_now();

    open_bench(&b, false);
    b.r.idle = 1;
    b.r.session = 2;
    start(&b);
    /* A byte every 100 ms for longer than the idle time. */
    while (io_now() - began < 1500) {
        (void)poll(NULL, 0, 100);
        say(b.client, "x");
        hear(b.from_relay, "x");
    }
    (void)is_silent(b.client);
    hear(b.client, "");
    io_close(&b.client);
    check_end(&b, ENDING_TIMEOUT_SESSION);
    close_bench(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_and_are_counted),
        cmocka_unit_test(after_the_clients_end_the_handlers_output_still_flows),
        cmocka_unit_test(after_the_handlers_end_all_it_wrote_reaches_the_client),
        cmocka_unit_test(a_client_that_is_slow_to_leave_is_waited_for),
        cmocka_unit_test(each_end_of_the_client_has_its_own_name),
        cmocka_unit_test(a_handler_that_reads_no_more_may_still_write),
        cmocka_unit_test(what_an_exited_handler_left_in_its_pipe_is_all_there_is),
        cmocka_unit_test(draining_takes_nothing_new_and_delivers_the_rest),
        cmocka_unit_test(a_monitor_that_is_gone_ends_all_at_once),
        cmocka_unit_test(orders_that_mean_nothing_change_nothing),
        cmocka_unit_test(a_greeting_that_says_nothing_new_is_swallowed),
        cmocka_unit_test(what_follows_a_swallowed_greeting_is_delivered),
        cmocka_unit_test(a_greeting_that_says_no_answers_the_first_command),
        cmocka_unit_test(only_the_first_command_is_answered_by_the_greeting),
        cmocka_unit_test(a_client_that_leaves_is_not_kept_by_a_held_greeting),
        cmocka_unit_test(draining_is_not_kept_by_a_held_greeting),
        cmocka_unit_test(a_greeting_that_cannot_be_used_ends_the_session),
        cmocka_unit_test(a_handler_that_ends_within_its_greeting_ends_the_session),
        cmocka_unit_test(a_greeting_in_pieces_is_put_together_as_far_as_there_is_room),
        cmocka_unit_test(half_a_greeting_waits_longer_for_its_client_than_the_grace),
        cmocka_unit_test(floods_in_both_directions_at_once_come_through),
        cmocka_unit_test(reads_and_writes_of_single_bytes_come_through),
        cmocka_unit_test(nothing_is_written_while_records_are_unsent),
        cmocka_unit_test(a_client_that_does_not_read_can_still_send),
        cmocka_unit_test(a_client_that_may_not_be_read_waits),
        cmocka_unit_test(what_a_client_sent_before_it_left_reaches_a_slow_handler_by_socket),
        cmocka_unit_test(what_a_client_sent_before_it_left_reaches_a_slow_handler_by_pipe),
        cmocka_unit_test(a_client_that_takes_no_more_bytes_ends_the_session),
        cmocka_unit_test(time_outs_end_a_session_that_does_not_end_by_itself),
        cmocka_unit_test(traffic_puts_off_the_idle_time_out_but_not_the_session),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    if (pipe2(judged, O_CLOEXEC) != 0)
        return 1;
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
