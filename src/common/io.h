/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors and clocks: waiting, full writes, flags. */
#ifndef POSTERN_IO_H
#define POSTERN_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A point in time in milliseconds of CLOCK_MONOTONIC; 0 stands for "never". */
typedef int64_t io_time;

/* The time now; never 0. */
io_time io_now(void);

/* The time in `seconds` from now; 0 seconds mean no limit and give 0. */
io_time io_deadline(unsigned seconds);

/* The earlier of two deadlines, either of which may be 0 ("never"). */
io_time io_earlier(io_time a, io_time b);

/* Milliseconds until `deadline` as poll(2) wants them: -1 for never, 0 when it has passed. */
int io_remaining(io_time deadline);

/* Waits until fd is ready for `events` (poll(2) names; errors and hang-ups count as ready).
 * `watch`, if not -1, ends the wait as soon as it becomes readable or closes.
 * Returns 0, -ETIMEDOUT, -ECANCELED (watch), or another negative errno. */
int io_wait(int fd, short events, int watch, io_time deadline);

/* read(2) and write(2) that go on after EINTR. Return the bytes moved or a negative errno. */
ssize_t io_read(int fd, void *buf, size_t len);
ssize_t io_write(int fd, const void *buf, size_t len);

/* The same for a connection that others may hold too, and expect to be blocking: on a socket they
 * never wait, whatever its flags are. */
ssize_t io_receive(int fd, void *buf, size_t len);
ssize_t io_send(int fd, const void *buf, size_t len);

/* Shows what a connection has to read without taking it. What can't be peeked at, a pipe, sets
 * *no_peek, and then it takes one byte, never more. Returns as io_receive(). */
ssize_t io_peek(int fd, void *buf, size_t len, bool *no_peek);

/* Writes all of buf, waiting as io_wait does. Returns 0 or a negative errno. */
int io_write_all(int fd, const void *buf, size_t len, int watch, io_time deadline);

/* Ends our direction of a connection and waits for the client to end its own, throwing away what
 * it still sends: if bytes of it were unread when the socket is closed, the kernel would send a
 * reset, which can destroy what the client has not read yet. At once done on what is no socket. */
void io_linger(int in, int out, io_time deadline);

/* Set or clear O_NONBLOCK and FD_CLOEXEC. Return 0 or a negative errno. */
int io_set_nonblocking(int fd, bool on);
int io_set_cloexec(int fd, bool on);

/* Opens /dev/null on each of 0, 1 and 2 that is closed, so that no descriptor opened later takes
 * the place of a standard one. Returns 0 or a negative errno. */
int io_fill_standard(void);

/* Puts /dev/null on descriptors 0 and 1, and on 2, as asked for. Returns 0 or a negative errno. */
int io_blank_standard(bool zero_and_one, bool two);

/* Closes every descriptor above 2 that is not in keep[0..count), keep in any order.
 * Returns 0 or a negative errno. */
int io_close_others(const int *keep, size_t count);

/* Closes *fd if it is open and makes it -1. */
void io_close(int *fd);

#endif
