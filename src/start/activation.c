/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/activation.h"

#include "common/io.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#define SYSTEMD_FIRST_FD 3 /* sd_listen_fds(3): SD_LISTEN_FDS_START */

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Returns the number in an environment variable; -1 if it holds none. */
static long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;

    if (text == NULL || *text < '0' || *text > '9')
        return -1;
    errno = 0;
    long n = strtol(text, &end, 10);
    return errno == 0 && *end == '\0' ? n : -1;
}

/* True if systemd passed descriptors to this process, not to its parent. */
static bool is_passed(void)
{
    return number_of("LISTEN_PID") == (long)getpid() && number_of("LISTEN_FDS") > 0;
}

/* True if descriptor fd leads to the journal, as standard output may under systemd. It is never a client. */
static bool is_journal(int fd)
{
    static const char journal[] = "/run/systemd/journal/";
    struct sockaddr_un address;
    socklen_t len = sizeof address;

    memset(&address, 0, sizeof address);
    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0 || address.sun_family != AF_UNIX)
        return false;
    return strncmp(address.sun_path, journal, sizeof journal - 1) == 0;
}

bool activation_stderr_is_client(void)
{
    struct stat standard, other;

    if (fstat(STDERR_FILENO, &standard) != 0 || !S_ISSOCK(standard.st_mode))
        return false;
    for (int fd = 0; fd <= SYSTEMD_FIRST_FD; fd++) {
        if (fd == STDERR_FILENO || (fd == SYSTEMD_FIRST_FD && !is_passed()))
            continue;
        /* systemd uses one journal socket for standard output and standard error. */
        if (fd == STDOUT_FILENO && is_journal(fd))
            continue;
        if (fstat(fd, &other) == 0 && same_file(&standard, &other))
            return true;
    }
    return false;
}

bool activation_stderr_is_journal(void)
{
    const char *text = getenv("JOURNAL_STREAM");
    struct stat standard;
    char mine[64];

    if (text == NULL || fstat(STDERR_FILENO, &standard) != 0)
        return false;
    (void)snprintf(mine, sizeof mine, "%ju:%ju", (uintmax_t)standard.st_dev,
                   (uintmax_t)standard.st_ino);
    return strcmp(text, mine) == 0;
}

/* Returns the number of descriptors that systemd passed, and their names. Removes the variables. */
static long count_passed(char *names, size_t size)
{
    long count = is_passed() ? number_of("LISTEN_FDS") : 0;
    const char *given = count > 0 ? getenv("LISTEN_FDNAMES") : NULL;

    if (given != NULL)
        (void)log_escape(names, size, given, strlen(given));
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    return count > 0 ? count : 0;
}

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on != 0;
}

/* True if descriptor 1 is the way to the client, and descriptor 0 only the way from it. */
static bool output_is_client(const struct stat *in, const struct stat *out)
{
    if (S_ISFIFO(in->st_mode))
        return true;
    if (!S_ISSOCK(out->st_mode))
        return S_ISFIFO(out->st_mode) && !S_ISSOCK(in->st_mode);
    if (same_file(in, out))
        return false; /* one socket: descriptor 0 serves both ways */
    struct peer client, server, other;
    (void)peer_of(STDIN_FILENO, &client, &server);
    (void)peer_of(STDOUT_FILENO, &other, &server);
    return client.family == other.family && !is_journal(STDOUT_FILENO);
}

static int refuse_standard_input(const char *what)
{
    log_error("standard input is %s, not a connection: postern is started by inetd, systemd "
              "(Accept=yes), tcpserver or the like, once per connection; to try it by hand: "
              "tcpserver 127.0.0.1 9930 postern --cert=cert.pem --key=key.pem HANDLER",
              what);
    return EX_USAGE;
}

/* Finds out which of descriptors 0 and 1 are the connection. Returns 0, or logs and returns EX_USAGE. */
static int find_standard(int *in, int *out)
{
    struct stat first, second;

    if (fstat(STDIN_FILENO, &first) != 0)
        return refuse_standard_input("closed");
    if (fstat(STDOUT_FILENO, &second) != 0)
        second.st_mode = 0;
    if (isatty(STDIN_FILENO))
        return refuse_standard_input("a terminal");
    if (!S_ISSOCK(first.st_mode) && !S_ISFIFO(first.st_mode))
        return refuse_standard_input(S_ISREG(first.st_mode) ? "a file" : "a device");
    if (S_ISFIFO(first.st_mode) && !S_ISFIFO(second.st_mode) && !S_ISSOCK(second.st_mode))
        return refuse_standard_input("a pipe without another one on standard output");
    *in = STDIN_FILENO;
    *out = output_is_client(&first, &second) ? STDOUT_FILENO : STDIN_FILENO;
    return 0;
}

static int check_passed(int fd)
{
    struct stat s;

    if (fstat(fd, &s) == 0 && S_ISSOCK(s.st_mode))
        return 0;
    log_error("descriptor %d, which LISTEN_FDS announces, is not a socket", fd);
    return EX_USAGE;
}

/* Duplicates *fd to a number above 2, close-on-exec. The old descriptor stays open. */
static int move_up(int *fd)
{
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, 3);

    if (moved < 0) {
        log_error("cannot duplicate descriptor %d: %s", *fd, strerror(errno));
        return EX_OSERR;
    }
    *fd = moved;
    return 0;
}

static void tune(int fd)
{
    const int on = 1;

    /* Both fail on a descriptor that is no TCP socket; that is fine. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* Takes listening sockets from systemd; refuses any other descriptor among them. */
static int take_passed(struct listeners *l, long count)
{
    if (count > ACTIVATION_SOCKETS_MAX) {
        log_error("systemd passed %ld sockets: %d is the most", count, ACTIVATION_SOCKETS_MAX);
        return EX_USAGE;
    }
    for (int fd = SYSTEMD_FIRST_FD; fd < SYSTEMD_FIRST_FD + (int)count; fd++) {
        int status = check_passed(fd);
        if (status != 0)
            return status;
        if (!is_listening(fd)) {
            log_error("systemd passed %ld sockets, and descriptor %d is no listening one: postern "
                      "takes one connection, or listening sockets only (Accept=no)",
                      count, fd);
            return EX_USAGE;
        }
        l->fds[l->count++] = fd;
    }
    return 0;
}

/* Makes the sockets close-on-exec and non-blocking: accept() must not wait if the client has left again. */
static int settle(struct listeners *l, bool blank_standard)
{
    int rc = io_blank_standard(blank_standard, l->stderr_was_client);

    for (size_t i = 0; rc == 0 && i < l->count; i++) {
        rc = io_set_cloexec(l->fds[i], true);
        if (rc == 0)
            rc = io_set_nonblocking(l->fds[i], true);
    }
    if (rc == 0)
        return 0;
    log_error("cannot set up the listening sockets: %s", strerror(-rc));
    return EX_OSERR;
}

static int take_listeners(struct listeners *l, long passed)
{
    l->count = 0;
    if (passed > 0) {
        int status = take_passed(l, passed);
        /* With StandardInput=socket descriptor 0 is the same socket once more. */
        return status != 0 ? status : settle(l, is_listening(STDIN_FILENO));
    }
    l->fds[0] = STDIN_FILENO;
    int status = move_up(&l->fds[0]);
    if (status != 0)
        return status;
    l->count = 1;
    return settle(l, true);
}

int activation_take(struct connection *c, struct listeners *l)
{
    int in = SYSTEMD_FIRST_FD, out = SYSTEMD_FIRST_FD;
    bool stderr_is_client = activation_stderr_is_client();

    *c = (struct connection){.in = -1, .out = -1};
    *l = (struct listeners){.stderr_was_client = stderr_is_client};
    long passed = count_passed(l->names, sizeof l->names);
    if (passed > 1)
        return take_listeners(l, passed);
    int status = passed == 0 ? find_standard(&in, &out) : check_passed(in);
    if (status != 0)
        return status;
    if (is_listening(in))
        return take_listeners(l, passed);
    c->given = passed == 1 ? GIVEN_PASSED : GIVEN_STANDARD;
    c->stderr_was_client = stderr_is_client;
    (void)peer_of(in, &c->client, &c->server);
    c->in = in;
    c->out = out;
    if ((status = move_up(&c->in)) != 0)
        return status;
    if (out == in)
        c->out = c->in;
    else if ((status = move_up(&c->out)) != 0)
        return status;
    if (passed == 1)
        io_close(&in);
    int rc = io_blank_standard(passed == 0, c->stderr_was_client);
    if (rc < 0) {
        log_error("cannot put /dev/null in the connection's place: %s", strerror(-rc));
        return EX_OSERR;
    }
    tune(c->out);
    return 0;
}

void activation_set_proxied(struct connection *c, const struct peer *client,
                            const struct peer *server)
{
    c->proxied = true;
    c->proxy = c->client;
    c->client = *client;
    c->server = *server;
}

int activation_accept(const struct listeners *l, size_t number, struct connection *c)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    int fd = accept4(l->fds[number], (struct sockaddr *)&address, &len, SOCK_CLOEXEC);

    *c = (struct connection){.in = -1, .out = -1};
    if (fd < 0)
        return -errno;
    c->in = c->out = fd;
    c->given = GIVEN_ACCEPTED;
    c->stderr_was_client = l->stderr_was_client;
    peer_set(&c->client, (struct sockaddr *)&address, len);
    return 0;
}

void activation_complete(struct connection *c)
{
    struct peer client;

    /* Leaves c->client alone: accept() gave it, and a client that has left has no address any more. */
    (void)peer_of(c->in, &client, &c->server);
    tune(c->out);
}

void activation_close_listeners(struct listeners *l)
{
    for (size_t i = 0; i < l->count; i++)
        io_close(&l->fds[i]);
    l->count = 0;
}

void activation_close(struct connection *c)
{
    if (c->out != c->in)
        io_close(&c->out);
    c->out = -1;
    io_close(&c->in);
}
