/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SYSLOG_PATH "/dev/log"

/* Writes a line to a pipe without waiting for room. Other processes share the pipe and may want to wait, so its
 * O_NONBLOCK flag must stay. splice(2) takes such a flag for one call, if the bytes come from a pipe: o->way. */
static ssize_t splice_line(struct outlet *o, const char *line, size_t len)
{
    char rubbish[PIPE_BUF];
    ssize_t n = write(o->way[1], line, len);

    if (n <= 0)
        return n;
    n = splice(o->way[0], NULL, o->fd, NULL, (size_t)n, SPLICE_F_NONBLOCK);
    if (n < (ssize_t)len) {
        int saved = errno;
        (void)!read(o->way[0], rubbish, sizeof rubbish);
        errno = saved;
    }
    return n;
}

/* Writes to a descriptor that is no socket. poll(2) comes first: a stopped terminal would block. */
static ssize_t write_line(struct outlet *o, const char *line, size_t len)
{
    struct pollfd p = {.fd = o->fd, .events = POLLOUT};

    if (poll(&p, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(o->fd, line, len);
}

static int send_to_stderr(struct outlet *o, const char *line, size_t len)
{
    ssize_t n;

    do {
        if (o->way[0] >= 0)
            n = splice_line(o, line, len);
        else
            n = send(o->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != EPIPE)
            n = write_line(o, line, len);
    } while (n < 0 && errno == EINTR);
    if (n == 0)
        return -EIO;
    return n < 0 ? -errno : (int)n;
}

void outlet_open_stderr(struct outlet *o)
{
    struct stat s;

    if (o->send == NULL)
        o->way[0] = o->way[1] = -1;
    o->send = send_to_stderr;
    o->fd = STDERR_FILENO;
    if (o->way[0] >= 0 || fstat(o->fd, &s) != 0 || !S_ISFIFO(s.st_mode))
        return;
    if (pipe2(o->way, O_CLOEXEC | O_NONBLOCK) != 0)
        o->way[0] = o->way[1] = -1;
}

static int connect_as(struct outlet *o, int type)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SYSLOG_PATH};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int rc = -errno;
        (void)close(fd);
        return rc;
    }
    o->fd = fd;
    o->stream = type == SOCK_STREAM;
    return 0;
}

static void disconnect(struct outlet *o)
{
    if (o->fd >= 0)
        (void)close(o->fd);
    o->fd = -1;
}

/* Connects to the daemon by a datagram socket or, if it listens on one, by a stream socket. */
static int connect_to_syslog(struct outlet *o)
{
    int rc = connect_as(o, SOCK_DGRAM);

    return rc == -EPROTOTYPE ? connect_as(o, SOCK_STREAM) : rc;
}

/* Sends one line; on a stream socket a NUL ends it. Part of a line would spoil the next one: -EPIPE. */
static int send_once(struct outlet *o, const char *line, size_t len)
{
    char ended[OUTLET_LINE_MAX + 1];
    ssize_t n;

    if (o->stream) {
        memcpy(ended, line, len);
        ended[len] = '\0';
        line = ended;
        len++;
    }
    do {
        n = send(o->fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n == (ssize_t)len ? 0 : -EPIPE;
}

/* Sends a line. If that fails, connects again, since the daemon may have been restarted. */
static int send_to_syslog(struct outlet *o, const char *line, size_t len)
{
    int rc = -ENOTCONN;

    if (o->fd >= 0)
        rc = send_once(o, line, len);
    if (rc < 0 && rc != -EAGAIN) {
        disconnect(o);
        rc = connect_to_syslog(o);
        if (rc == 0)
            rc = send_once(o, line, len);
    }
    return rc < 0 ? rc : (int)len;
}

void outlet_open_syslog(struct outlet *o)
{
    if (o->send == NULL)
        o->fd = -1;
    o->send = send_to_syslog;
    if (o->fd < 0)
        (void)connect_to_syslog(o);
}

/* Returns the length of the first kept line; 0 if there is none. */
static size_t first_length(const struct outlet *o)
{
    return o->len == 0 ? 0 : (size_t)(uint8_t)o->kept[0] << 8 | (uint8_t)o->kept[1];
}

static void drop_first(struct outlet *o)
{
    size_t used = 2 + first_length(o);

    o->len -= used;
    memmove(o->kept, o->kept + used, o->len);
    o->sent = 0;
}

static bool has_room(const struct outlet *o, size_t len)
{
    return sizeof o->kept - o->len >= 2 + len;
}

static void keep(struct outlet *o, const char *line, size_t len)
{
    if (!has_room(o, len)) {
        o->lost++;
        return;
    }
    o->kept[o->len] = (char)(len >> 8);
    o->kept[o->len + 1] = (char)(len & 0xff);
    memcpy(o->kept + o->len + 2, line, len);
    o->len += 2 + len;
}

bool outlet_flush(struct outlet *o)
{
    while (o->len > 0) {
        size_t len = first_length(o) - o->sent;
        int n = o->send(o, o->kept + 2 + o->sent, len);
        if (n == -EAGAIN)
            return false;
        if (n >= 0 && (size_t)n < len) {
            o->sent += (size_t)n;
            continue;
        }
        o->lost += n < 0;
        drop_first(o);
    }
    return true;
}

void outlet_put(struct outlet *o, const char *line, size_t len)
{
    if (len == 0 || len > OUTLET_LINE_MAX)
        return;
    if (!outlet_flush(o)) {
        keep(o, line, len);
        return;
    }
    int n = o->send(o, line, len);
    if (n < 0 && n != -EAGAIN) {
        o->lost++;
    } else if (n < (int)len) {
        keep(o, line, len);
        o->sent = n > 0 && o->len > 0 ? (size_t)n : 0;
    }
}

unsigned long outlet_take_lost(struct outlet *o)
{
    unsigned long lost = o->lost;

    if (lost == 0 || (!outlet_flush(o) && !has_room(o, OUTLET_LINE_MAX)))
        return 0;
    lost = o->lost;
    o->lost = 0;
    return lost;
}

size_t outlet_take(struct outlet *o, char *line)
{
    size_t len = first_length(o) - o->sent;

    if (len > 0) {
        memcpy(line, o->kept + 2 + o->sent, len);
        drop_first(o);
    }
    return len;
}

void outlet_forget(struct outlet *o)
{
    o->len = o->sent = 0;
    o->lost = 0;
}
