/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Descriptors and deadlines: reads, writes, waiting, flags. */
#ifndef POSTERN_IO_H
#define POSTERN_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A point in time in milliseconds of CLOCK_MONOTONIC; 0 stands for "never". */
typedef int64_t io_time;

/* Returns the time now; never 0. */
io_time io_now(void);

/* Returns the time `seconds` from now; 0 for 0 seconds, which mean "no limit". */
io_time io_deadline(unsigned seconds);

/* Returns the earlier of two deadlines. Either may be 0 ("never"). */
io_time io_earlier(io_time a, io_time b);

/* Returns milliseconds until `deadline` for poll(2): -1 for never, 0 when it has passed. */
int io_remaining(io_time deadline);

/* Waits until fd is ready for `events` (those of poll(2)). Errors and hang-ups count as ready.
 * `watch`, if not -1, ends the wait as soon as it becomes readable or closes.
 * Returns 0, -ETIMEDOUT, -ECANCELED (watch), or another negative errno. */
int io_wait(int fd, short events, int watch, io_time deadline);

/* Call read(2) and write(2) again after EINTR. Return the number of bytes or a negative errno. */
ssize_t io_read(int fd, void *buf, size_t len);
ssize_t io_write(int fd, const void *buf, size_t len);

/* Receive and send as io_read() and io_write(), but never wait on a socket, even on a blocking one. Other
 * processes may share the connection, so its flags must stay. */
ssize_t io_receive(int fd, void *buf, size_t len);
ssize_t io_send(int fd, const void *buf, size_t len);

/* Copies what can be read from a connection, and leaves it there. A pipe can't do that: then it sets *no_peek
 * and really reads, one byte at most. Returns as io_receive(). */
ssize_t io_peek(int fd, void *buf, size_t len, bool *no_peek);

/* Writes all of buf; waits for room as io_wait() does. Returns 0 or a negative errno. */
int io_write_all(int fd, const void *buf, size_t len, int watch, io_time deadline);

/* Ends our direction of a connection and waits for the client to end its own. Discards what the client still
 * sends. If the socket were closed with unread bytes, the kernel would send a reset. A reset can destroy
 * bytes that the client has not read yet. Returns at once if `out` is no socket. */
void io_linger(int in, int out, io_time deadline);

/* Set or clear O_NONBLOCK and FD_CLOEXEC. Return 0 or a negative errno. */
int io_set_nonblocking(int fd, bool on);
int io_set_cloexec(int fd, bool on);

/* Opens /dev/null on each of 0, 1 and 2 that is closed. So no file that is opened later becomes a standard
 * descriptor. Returns 0 or a negative errno. */
int io_fill_standard(void);

/* Replaces descriptors 0 and 1, and 2, by /dev/null if asked to. Returns 0 or a negative errno. */
int io_blank_standard(bool zero_and_one, bool two);

/* Closes every descriptor above 2 that is not in keep[0..count). The order of `keep` is free.
 * Returns 0 or a negative errno. */
int io_close_others(const int *keep, size_t count);

/* Closes *fd if it is open and makes it -1. */
void io_close(int *fd);

#endif
