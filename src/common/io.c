/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

io_time io_now(void)
{
    struct timespec t;

    /* CLOCK_MONOTONIC cannot fail on Linux. */
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (io_time)t.tv_sec * 1000 + t.tv_nsec / 1000000 + 1;
}

io_time io_deadline(unsigned seconds)
{
    return seconds == 0 ? 0 : io_now() + (io_time)seconds * 1000;
}

io_time io_earlier(io_time a, io_time b)
{
    if (a == 0)
        return b;
    if (b == 0)
        return a;
    return a < b ? a : b;
}

int io_remaining(io_time deadline)
{
    if (deadline == 0)
        return -1;
    io_time left = deadline - io_now();
    if (left <= 0)
        return 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

int io_wait(int fd, short events, int watch, io_time deadline)
{
    struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = watch, .events = POLLIN}};

    for (;;) {
        int n = poll(p, 2, io_remaining(deadline));
        if (n < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (n == 0)
            return -ETIMEDOUT;
        if (p[1].revents != 0)
            return -ECANCELED;
        return 0;
    }
}

ssize_t io_read(int fd, void *buf, size_t len)
{
    for (;;) {
        ssize_t n = read(fd, buf, len);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t io_write(int fd, const void *buf, size_t len)
{
    for (;;) {
        ssize_t n = write(fd, buf, len);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t io_receive(int fd, void *buf, size_t len)
{
    for (;;) {
        ssize_t n = recv(fd, buf, len, MSG_DONTWAIT);
        if (n >= 0)
            return n;
        if (errno == ENOTSOCK)
            return io_read(fd, buf, len);
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t io_send(int fd, const void *buf, size_t len)
{
    for (;;) {
        ssize_t n = send(fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno == ENOTSOCK)
            return io_write(fd, buf, len);
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t io_peek(int fd, void *buf, size_t len, bool *no_peek)
{
    ssize_t n;

    if (*no_peek)
        return io_read(fd, buf, 1);
    do {
        n = recv(fd, buf, len, MSG_PEEK | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == ENOTSOCK) {
        *no_peek = true;
        return io_read(fd, buf, 1);
    }
    return n < 0 ? -errno : n;
}

int io_write_all(int fd, const void *buf, size_t len, int watch, io_time deadline)
{
    const uint8_t *p = buf;

    while (len > 0) {
        ssize_t n = io_write(fd, p, len);
        if (n == -EAGAIN) {
            int rc = io_wait(fd, POLLOUT, watch, deadline);
            if (rc < 0)
                return rc;
            continue;
        }
        if (n < 0)
            return (int)n;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

void io_linger(int in, int out, io_time deadline)
{
    uint8_t rubbish[4096];

    if (shutdown(out, SHUT_WR) != 0)
        return;
    while (io_remaining(deadline) != 0) {
        ssize_t n = io_receive(in, rubbish, sizeof rubbish);
        if (n == 0 || (n < 0 && n != -EAGAIN))
            return;
        if (n == -EAGAIN && io_wait(in, POLLIN, -1, deadline) < 0)
            return;
    }
}

int io_set_nonblocking(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    if (wanted != flags && fcntl(fd, F_SETFL, wanted) < 0)
        return -errno;
    return 0;
}

int io_set_cloexec(int fd, bool on)
{
    return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int io_fill_standard(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        /* open() takes the lowest free number, which is fd. */
        if (open("/dev/null", O_RDWR) != fd)
            return errno != 0 ? -errno : -EBADF;
    }
    return 0;
}

int io_blank_standard(bool zero_and_one, bool two)
{
    int rc = 0;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return -errno;
    for (int fd = 0; fd <= 2 && rc == 0; fd++)
        if (fd != null && (fd < 2 ? zero_and_one : two))
            rc = dup2(null, fd) < 0 ? -errno : 0;
    /* open() may have returned 0, 1 or 2 itself, if that one was closed. */
    if (null <= 2)
        return rc == 0 ? io_set_cloexec(null, false) : rc;
    io_close(&null);
    return rc;
}

static int close_range_fallback(unsigned first, unsigned last)
{
    long limit = sysconf(_SC_OPEN_MAX);

    if (limit < 0 || limit > 65536)
        limit = 65536;
    for (unsigned fd = first; fd <= last && fd < (unsigned)limit; fd++)
        (void)close((int)fd);
    return 0;
}

static int close_between(unsigned first, unsigned last)
{
    if (first > last)
        return 0;
#ifdef SYS_close_range
    if (syscall(SYS_close_range, first, last, 0) == 0)
        return 0;
#endif
    return close_range_fallback(first, last);
}

int io_close_others(const int *keep, size_t count)
{
    unsigned first = 3;

    for (;;) {
        unsigned next = UINT_MAX;
        for (size_t i = 0; i < count; i++)
            if (keep[i] >= (int)first && (unsigned)keep[i] < next)
                next = (unsigned)keep[i];
        if (next == UINT_MAX)
            return close_between(first, UINT_MAX);
        if (next > first)
            (void)close_between(first, next - 1);
        first = next + 1;
    }
}

void io_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}
