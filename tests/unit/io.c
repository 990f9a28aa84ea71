/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of io.c: deadlines, waiting, full writes, descriptors. */
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs `act` in a child of its own and gives its exit status. */
static int in_a_child(int (*act)(void))
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(act());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void now_is_never_0_and_never_goes_back(void **state)
{
    (void)state;
    io_time before = io_now();
    assert_true(before > 0);
    for (int i = 0; i < 1000; i++) {
        io_time now = io_now();
        assert_true(now >= before);
        before = now;
    }
}

static void a_deadline_of_0_seconds_is_never(void **state)
{
    (void)state;
    assert_true(io_deadline(0) == 0);
    assert_int_equal(io_remaining(0), -1);
}

static void a_deadline_is_so_many_seconds_from_now(void **state)
{
    (void)state;
    static const unsigned seconds[] = {1, 30, 1900, 31536000};

    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        io_time before = io_now();
        io_time deadline = io_deadline(seconds[i]);
        assert_true(deadline >= before + (io_time)seconds[i] * 1000);
        assert_true(deadline <= io_now() + (io_time)seconds[i] * 1000);
    }
}

static void the_earlier_of_two_deadlines_counts_0_as_never(void **state)
{
    (void)state;
    static const struct {
        io_time a, b, earlier;
    } cases[] = {{0, 0, 0}, {0, 5, 5}, {5, 0, 5}, {5, 6, 5}, {6, 5, 5}, {5, 5, 5}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(io_earlier(cases[i].a, cases[i].b) == cases[i].earlier);
}

static void what_remains_fits_poll(void **state)
{
    (void)state;
    io_time now = io_now();

    assert_int_equal(io_remaining(now - 1), 0);
    assert_int_equal(io_remaining(1), 0);
    assert_int_equal(io_remaining(now), 0);
    assert_int_equal(io_remaining(now + (io_time)INT_MAX * 2), INT_MAX);
    int left = io_remaining(now + 60000);
    assert_true(left > 50000 && left <= 60000);
}

static void waiting_ends_when_the_descriptor_is_ready(void **state)
{
    (void)state;
    int p[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(io_wait(p[1], POLLOUT, -1, 0), 0);
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(io_wait(p[0], POLLIN, -1, io_deadline(1)), 0);
    (void)close(p[0]);
    (void)close(p[1]);
}

static void waiting_counts_a_hang_up_as_ready(void **state)
{
    (void)state;
    int p[2];

    assert_int_equal(pipe(p), 0);
    (void)close(p[1]);
    assert_int_equal(io_wait(p[0], POLLIN, -1, io_deadline(1)), 0);
    (void)close(p[0]);
}

static void waiting_ends_at_its_deadline(void **state)
{
    (void)state;
    int p[2];

    assert_int_equal(pipe(p), 0);
    io_time start = io_now();
    assert_int_equal(io_wait(p[0], POLLIN, -1, start + 30), -ETIMEDOUT);
    assert_true(io_now() >= start + 30);
    assert_int_equal(io_wait(p[0], POLLIN, -1, start), -ETIMEDOUT);
    (void)close(p[0]);
    (void)close(p[1]);
}

static void a_watched_descriptor_ends_the_wait(void **state)
{
    (void)state;
    int p[2], watch[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(pipe(watch), 0);
    assert_int_equal(write(watch[1], "x", 1), 1);
    assert_int_equal(io_wait(p[0], POLLIN, watch[0], io_deadline(1)), -ECANCELED);
    /* It comes first even if the other is ready too. */
    assert_int_equal(write(p[1], "x", 1), 1);
    assert_int_equal(io_wait(p[0], POLLIN, watch[0], io_deadline(1)), -ECANCELED);
    char byte;
    assert_int_equal(read(watch[0], &byte, 1), 1);
    assert_int_equal(io_wait(p[0], POLLIN, watch[0], io_deadline(1)), 0);
    (void)close(watch[1]);
    assert_int_equal(io_wait(p[0], POLLIN, watch[0], io_deadline(1)), -ECANCELED);
    (void)close(watch[0]);
    (void)close(p[0]);
    (void)close(p[1]);
}

static void ignore_signal(int number)
{
    (void)number;
}

struct interrupter {
    pthread_t whom;
    int fd;
};

/* Sends signals until the byte that ends the wait may be written. */
static void *interrupt(void *arg)
{
    struct interrupter *i = arg;

    for (int n = 0; n < 20; n++) {
        (void)pthread_kill(i->whom, SIGUSR1);
        (void)poll(NULL, 0, 1);
    }
    (void)!write(i->fd, "x", 1);
    return NULL;
}

static void signals_neither_end_a_wait_nor_a_read(void **state)
{
    (void)state;
    struct sigaction act = {.sa_handler = ignore_signal}, before;
    struct interrupter i = {.whom = pthread_self()};
    pthread_t thread;
    int p[2];
    char byte = 0;

    assert_int_equal(sigaction(SIGUSR1, &act, &before), 0);
    assert_int_equal(pipe(p), 0);
    i.fd = p[1];
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &i), 0);
    assert_int_equal(io_wait(p[0], POLLIN, -1, io_deadline(3)), 0);
    assert_int_equal(io_read(p[0], &byte, 1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, interrupt, &i), 0);
    assert_int_equal(io_read(p[0], &byte, 1), 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)sigaction(SIGUSR1, &before, NULL);
    (void)close(p[0]);
    (void)close(p[1]);
}

static void reading_and_writing_tell_errors_as_negative_errno(void **state)
{
    (void)state;
    int p[2];
    char byte = 'x';

    assert_int_equal(pipe2(p, O_NONBLOCK), 0);
    assert_int_equal(io_read(p[0], &byte, 1), -EAGAIN);
    assert_int_equal(io_read(-1, &byte, 1), -EBADF);
    assert_int_equal(io_write(-1, &byte, 1), -EBADF);
    (void)close(p[0]);
    assert_int_equal(io_write(p[1], &byte, 1), -EPIPE);
    (void)close(p[1]);
    assert_int_equal(pipe2(p, O_NONBLOCK), 0);
    (void)close(p[1]);
    assert_int_equal(io_read(p[0], &byte, 1), 0);
    (void)close(p[0]);
}

#define MUCH (1024 * 1024)

static void *drink(void *arg)
{
    int fd = *(int *)arg;
    static uint8_t bytes[4096];
    size_t sum = 0;
    ssize_t n;

    while (sum < MUCH && (n = read(fd, bytes, sizeof bytes)) > 0)
        sum += (size_t)n;
    return sum == MUCH ? arg : NULL;
}

static void peeking_takes_nothing_but_a_byte_of_a_pipe(void **state)
{
    (void)state;
    char buf[8] = "";
    bool no_peek = false;
    int s[2], p[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    assert_int_equal(io_peek(s[0], buf, sizeof buf, &no_peek), -EAGAIN);
    assert_int_equal(write(s[1], "abc", 3), 3);
    for (int i = 0; i < 2; i++)
        assert_int_equal(io_peek(s[0], buf, sizeof buf, &no_peek), 3);
    assert_int_equal(io_peek(s[0], buf, 2, &no_peek), 2);
    assert_false(no_peek);
    assert_int_equal(read(s[0], buf, sizeof buf), 3);
    assert_memory_equal(buf, "abc", 3);
    (void)close(s[1]);
    assert_int_equal(io_peek(s[0], buf, sizeof buf, &no_peek), 0);
    (void)close(s[0]);
    assert_int_equal(io_peek(s[0], buf, sizeof buf, &no_peek), -EBADF);
    assert_false(no_peek);

    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], "abc", 3), 3);
    assert_int_equal(io_peek(p[0], buf, sizeof buf, &no_peek), 1);
    assert_true(no_peek);
    assert_int_equal(io_peek(p[0], buf + 1, sizeof buf - 1, &no_peek), 1);
    assert_memory_equal(buf, "ab", 2);
    assert_int_equal(read(p[0], buf, sizeof buf), 1);
    (void)close(p[1]);
    assert_int_equal(io_peek(p[0], buf, sizeof buf, &no_peek), 0);
    (void)close(p[0]);
}

static void writing_all_waits_for_room(void **state)
{
    (void)state;
    static uint8_t bytes[MUCH];
    pthread_t thread;
    void *result = NULL;
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    assert_int_equal(io_set_nonblocking(s[0], true), 0);
    assert_int_equal(pthread_create(&thread, NULL, drink, &s[1]), 0);
    assert_int_equal(io_write_all(s[0], bytes, sizeof bytes, -1, io_deadline(4)), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_non_null(result);
    (void)close(s[0]);
    (void)close(s[1]);
}

static void writing_all_gives_up_at_deadline_watch_and_closed_end(void **state)
{
    (void)state;
    static uint8_t bytes[MUCH];
    int s[2], watch[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    assert_int_equal(io_set_nonblocking(s[0], true), 0);
    assert_int_equal(io_write_all(s[0], bytes, sizeof bytes, -1, io_now() + 20), -ETIMEDOUT);
    assert_int_equal(pipe(watch), 0);
    (void)close(watch[1]);
    assert_int_equal(io_write_all(s[0], bytes, sizeof bytes, watch[0], io_deadline(1)), -ECANCELED);
    (void)close(watch[0]);
    (void)close(s[1]);
    assert_int_equal(io_write_all(s[0], bytes, sizeof bytes, -1, io_deadline(1)), -EPIPE);
    assert_int_equal(io_write_all(-1, bytes, 0, -1, 0), 0);
    (void)close(s[0]);
}

static void flags_are_set_and_cleared(void **state)
{
    (void)state;
    int p[2];

    assert_int_equal(pipe(p), 0);
    for (int on = 1; on >= 0; on--) {
        assert_int_equal(io_set_nonblocking(p[0], on != 0), 0);
        assert_int_equal((fcntl(p[0], F_GETFL) & O_NONBLOCK) != 0, on);
        assert_int_equal(io_set_cloexec(p[0], on != 0), 0);
        assert_int_equal((fcntl(p[0], F_GETFD) & FD_CLOEXEC) != 0, on);
    }
    (void)close(p[0]);
    assert_int_equal(io_set_nonblocking(p[0], true), -EBADF);
    assert_int_equal(io_set_cloexec(p[0], true), -EBADF);
    (void)close(p[1]);
}

static int fill_three(void)
{
    for (int mask = 0; mask < 8; mask++) {
        for (int fd = 0; fd <= 2; fd++)
            if ((mask & 1 << fd) != 0)
                (void)close(fd);
        if (io_fill_standard() != 0)
            return 1;
        for (int fd = 0; fd <= 2; fd++)
            if (!is_open(fd) || (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0)
                return 2;
        int next = dup(0);
        if (next <= 2)
            return 3;
        (void)close(next);
    }
    return 0;
}

static void closed_standard_descriptors_are_filled_in_any_combination(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(fill_three), 0);
}

static int close_but_three(void)
{
    static const int keep[] = {40, 5, -1, 5, 2, 4};

    for (int fd = 3; fd <= 60; fd++)
        if (dup2(0, fd) < 0)
            return 1;
    if (io_close_others(keep, sizeof keep / sizeof keep[0]) != 0)
        return 2;
    for (int fd = 0; fd <= 60; fd++)
        if (is_open(fd) != (fd <= 2 || fd == 4 || fd == 5 || fd == 40))
            return 3;
    return 0;
}

static int close_all(void)
{
    for (int fd = 3; fd <= 60; fd++)
        if (dup2(0, fd) < 0)
            return 1;
    if (io_close_others(NULL, 0) != 0)
        return 2;
    for (int fd = 0; fd <= 60; fd++)
        if (is_open(fd) != (fd <= 2))
            return 3;
    return 0;
}

static void all_others_are_closed_but_what_is_kept(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(close_but_three), 0);
}

static void with_nothing_to_keep_all_above_2_are_closed(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(close_all), 0);
}

static void closing_forgets_the_number(void **state)
{
    (void)state;
    int fd = dup(0);
    int number = fd;

    assert_true(fd > 2);
    io_close(&fd);
    assert_int_equal(fd, -1);
    assert_false(is_open(number));
    io_close(&fd);
    assert_int_equal(fd, -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(now_is_never_0_and_never_goes_back),
        cmocka_unit_test(a_deadline_of_0_seconds_is_never),
        cmocka_unit_test(a_deadline_is_so_many_seconds_from_now),
        cmocka_unit_test(the_earlier_of_two_deadlines_counts_0_as_never),
        cmocka_unit_test(what_remains_fits_poll),
        cmocka_unit_test(waiting_ends_when_the_descriptor_is_ready),
        cmocka_unit_test(waiting_counts_a_hang_up_as_ready),
        cmocka_unit_test(waiting_ends_at_its_deadline),
        cmocka_unit_test(a_watched_descriptor_ends_the_wait),
        cmocka_unit_test(signals_neither_end_a_wait_nor_a_read),
        cmocka_unit_test(reading_and_writing_tell_errors_as_negative_errno),
        cmocka_unit_test(peeking_takes_nothing_but_a_byte_of_a_pipe),
        cmocka_unit_test(writing_all_waits_for_room),
        cmocka_unit_test(writing_all_gives_up_at_deadline_watch_and_closed_end),
        cmocka_unit_test(flags_are_set_and_cleared),
        cmocka_unit_test(closed_standard_descriptors_are_filled_in_any_combination),
        cmocka_unit_test(all_others_are_closed_but_what_is_kept),
        cmocka_unit_test(with_nothing_to_keep_all_above_2_are_closed),
        cmocka_unit_test(closing_forgets_the_number),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
