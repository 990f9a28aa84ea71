/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of activation.c: which descriptors are the connection. Each case runs in a child of
 * its own, whose descriptors 0 to 3 are laid out as a launcher would. */
#include "start/activation.h"

#include "common/io.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

/* What can stand on a descriptor. */
enum thing {
    CLOSED,
    SAME, /* what the descriptor before it is */
    TCP4, /* a fresh connection over loopback each time */
    TCP6,
    LOCAL, /* one end of a Unix socketpair */
    LISTENING,
    PIPE_READ,
    PIPE_WRITE,
    PLAIN_FILE,
    DEVICE, /* /dev/null */
    TERMINAL,
    HEARD /* a file in memory: what is said there can be read afterwards */
};

/* What LISTEN_PID is set to. */
enum pid { NO_PID, OWN_PID, OTHER_PID, GARBAGE_PID };

struct layout {
    enum thing fd[4];
    const char *fds; /* LISTEN_FDS; NULL: not set */
    enum pid pid;
};

/* The far ends of what the child has, and what it said. */
struct world {
    int far[4];
    int heard;
    int count;
};

static int open_connection(int family, int *far)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *address = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t len = family == AF_INET ? sizeof v4 : sizeof v6;
    int listener = socket(family, SOCK_STREAM, 0);

    if (listener < 0 || bind(listener, address, len) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, address, &len) != 0)
        _exit(101);
    if (far == NULL)
        return listener;
    *far = socket(family, SOCK_STREAM, 0);
    if (*far < 0 || connect(*far, address, len) != 0)
        _exit(102);
    int near = accept(listener, NULL, NULL);
    (void)close(listener);
    return near;
}

static int open_terminal(int *far)
{
    *far = posix_openpt(O_RDWR | O_NOCTTY);
    if (*far < 0 || grantpt(*far) != 0 || unlockpt(*far) != 0)
        _exit(103);
    return open(ptsname(*far), O_RDWR | O_NOCTTY);
}

static int open_thing(enum thing thing, struct world *w, int at)
{
    int two[2] = {-1, -1};

    switch (thing) {
    case TCP4:
    case TCP6:
        return open_connection(thing == TCP4 ? AF_INET : AF_INET6, &w->far[at]);
    case LISTENING:
        return open_connection(AF_INET, NULL);
    case LOCAL:
        (void)socketpair(AF_UNIX, SOCK_STREAM, 0, two);
        w->far[at] = two[1];
        return two[0];
    case PIPE_READ:
        (void)!pipe(two);
        w->far[at] = two[1];
        return two[0];
    case PIPE_WRITE:
        (void)!pipe(two);
        w->far[at] = two[0];
        return two[1];
    case PLAIN_FILE:
        return memfd_create("file", 0);
    case DEVICE:
        return open("/dev/null", O_RDWR);
    case TERMINAL:
        return open_terminal(&w->far[at]);
    case HEARD:
        return w->heard;
    default:
        return -1;
    }
}

/* All that the things need is opened above 20, then put in place. */
static void lay_out(const struct layout *l, struct world *w)
{
    int high[4];
    char number[16];

    for (int i = 0; i < 4; i++) {
        int fd = l->fd[i] == SAME ? high[i - 1] : open_thing(l->fd[i], w, i);
        high[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD, 20 + 10 * i);
        if (w->far[i] >= 0)
            w->far[i] = fcntl(w->far[i], F_DUPFD, 100);
    }
    for (int i = 0; i < 4; i++)
        if (high[i] < 0)
            (void)close(i);
        else if (dup2(high[i], i) < 0)
            _exit(104);
    for (int fd = 4; fd < 100; fd++)
        if (fd != w->heard)
            (void)close(fd);
    (void)snprintf(number, sizeof number, "%ld", (long)getpid() + (l->pid == OTHER_PID ? 1 : 0));
    if (l->pid == GARBAGE_PID)
        (void)strcat(number, "x");
    if (l->pid != NO_PID)
        (void)setenv("LISTEN_PID", number, 1);
    if (l->fds != NULL)
        (void)setenv("LISTEN_FDS", l->fds, 1);
    (void)setenv("LISTEN_FDNAMES", "connection", 1);
}

static bool is_null(int fd)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && stat("/dev/null", &b) == 0 && S_ISCHR(a.st_mode) &&
           a.st_rdev == b.st_rdev;
}

static bool is_unset(void)
{
    return getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL &&
           getenv("LISTEN_FDNAMES") == NULL;
}

/* Which far end is heard on fd; -1: none. Each of them says its own number. */
static int heard_from(int fd, const struct world *w)
{
    char byte = 0;

    for (int i = 0; i < 4; i++)
        if (w->far[i] >= 0 && dprintf(w->far[i], "%d", i) < 0)
            continue;
    if (io_wait(fd, POLLIN, -1, io_deadline(2)) != 0 || read(fd, &byte, 1) != 1)
        return -1;
    return byte - '0';
}

/* Which far end hears what is written to fd; -1: none. */
static int told_to(int fd, const struct world *w)
{
    struct pollfd p[4];

    for (int i = 0; i < 4; i++)
        p[i] = (struct pollfd){.fd = w->far[i], .events = POLLIN};
    if (write(fd, "x", 1) != 1)
        return -1;
    while (poll(p, 4, 2000) > 0) {
        for (int i = 0; i < 4; i++) {
            if ((p[i].revents & POLLIN) != 0)
                return i;
            if (p[i].revents != 0)
                p[i].fd = -1; /* its other end is closed by now */
        }
    }
    return -1;
}

/* What the child found, in memory that the parent sees. */
struct found {
    int status;
    bool unset, one, stderr_was_client, cloexec, high, nodelay;
    bool null[3];
    bool three_open;
    int in_from, out_to; /* which far end is joined with it; -1: none */
    char text[64];
    char said[1024];
};

static void look(struct found *f, struct connection *c, struct world *w)
{
    int on = 0;
    socklen_t len = sizeof on;

    f->one = c->in == c->out;
    f->stderr_was_client = c->stderr_was_client;
    f->high = c->in > 2 && c->out > 2;
    f->cloexec =
        (fcntl(c->in, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(c->out, F_GETFD) & FD_CLOEXEC) != 0;
    f->nodelay = getsockopt(c->out, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0 && on != 0;
    (void)snprintf(f->text, sizeof f->text, "%s", c->client.text);
    for (int fd = 0; fd <= 2; fd++)
        f->null[fd] = is_null(fd);
    f->three_open = c->in != 3 && c->out != 3 && fcntl(3, F_GETFD) >= 0;
    f->in_from = heard_from(c->in, w);
    f->out_to = told_to(c->out, w);
    activation_close(c);
    if (c->in != -1 || c->out != -1)
        f->status = 105;
}

/* What a child finds that was given listening sockets. */
static void look_at_listeners(struct found *f, const struct listeners *l)
{
    f->high = f->cloexec = true;
    for (size_t i = 0; i < l->count; i++) {
        f->high = f->high && l->fds[i] > 2;
        f->cloexec = f->cloexec && (fcntl(l->fds[i], F_GETFD) & FD_CLOEXEC) != 0 &&
                     (fcntl(l->fds[i], F_GETFL) & O_NONBLOCK) != 0;
    }
    f->in_from = (int)l->count;
    f->stderr_was_client = l->stderr_was_client;
    for (int fd = 0; fd <= 2; fd++)
        f->null[fd] = is_null(fd);
    (void)snprintf(f->text, sizeof f->text, "%.63s", l->names);
}

static struct found *found;

/* Lays out descriptors in a child, takes the connection there and tells what came of it. */
static void try_layout(const struct layout *l)
{
    struct world w = {.far = {-1, -1, -1, -1}};
    int status = 0;

    memset(found, 0, sizeof *found);
    w.heard = memfd_create("heard", 0);
    w.heard = fcntl(w.heard, F_DUPFD, 90);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct connection c;
        struct listeners sockets;
        (void)signal(SIGPIPE, SIG_IGN);
        lay_out(l, &w);
        found->status = activation_take(&c, &sockets);
        found->unset = is_unset();
        if (found->status == 0 && sockets.count > 0)
            look_at_listeners(found, &sockets);
        else if (found->status == 0)
            look(found, &c, &w);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    ssize_t n = pread(w.heard, found->said, sizeof found->said - 1, 0);
    found->said[n > 0 ? n : 0] = '\0';
    (void)close(w.heard);
    assert_true(found->unset);
}

static void the_connection_is_found_where_each_launcher_puts_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct layout l;
        const char *text; /* the client's; NULL: an address */
        bool one;
        int in_from, out_to;
    } cases[] = {
        {"inetd: one TCP socket", {{TCP4, SAME, HEARD, CLOSED}, NULL, NO_PID}, NULL, true, 0, 0},
        {"inetd: one IPv6 socket", {{TCP6, SAME, HEARD, CLOSED}, NULL, NO_PID}, NULL, true, 0, 0},
        {"inetd: one Unix socket",
         {{LOCAL, SAME, HEARD, CLOSED}, NULL, NO_PID},
         "unix",
         true,
         0,
         0},
        {"two TCP sockets", {{TCP4, TCP4, HEARD, CLOSED}, NULL, NO_PID}, NULL, false, 0, 1},
        {"two Unix sockets", {{LOCAL, LOCAL, HEARD, CLOSED}, NULL, NO_PID}, "unix", false, 0, 1},
        {"two pipes", {{PIPE_READ, PIPE_WRITE, HEARD, CLOSED}, NULL, NO_PID}, "pipe", false, 0, 1},
        {"a pipe and a socket",
         {{PIPE_READ, LOCAL, HEARD, CLOSED}, NULL, NO_PID},
         "pipe",
         false,
         0,
         1},
        {"a socket, output to /dev/null",
         {{TCP4, DEVICE, HEARD, CLOSED}, NULL, NO_PID},
         NULL,
         true,
         0,
         0},
        {"a socket, output to a file",
         {{TCP4, PLAIN_FILE, HEARD, CLOSED}, NULL, NO_PID},
         NULL,
         true,
         0,
         0},
        {"a socket, output to a pipe",
         {{TCP4, PIPE_WRITE, HEARD, CLOSED}, NULL, NO_PID},
         NULL,
         true,
         0,
         0},
        {"a socket, output to a terminal",
         {{TCP4, TERMINAL, HEARD, CLOSED}, NULL, NO_PID},
         NULL,
         true,
         0,
         0},
        {"a TCP socket, output to a Unix socket",
         {{TCP4, LOCAL, HEARD, CLOSED}, NULL, NO_PID},
         NULL,
         true,
         0,
         0},
        {"systemd: descriptor 3", {{DEVICE, SAME, HEARD, TCP4}, "1", OWN_PID}, NULL, true, 3, 3},
        {"systemd: a Unix socket on 3",
         {{DEVICE, SAME, HEARD, LOCAL}, "1", OWN_PID},
         "unix",
         true,
         3,
         3},
        {"systemd: 3 and not 0", {{TCP4, SAME, HEARD, TCP4}, "1", OWN_PID}, NULL, true, 3, 3},
        {"another's LISTEN_PID", {{TCP4, SAME, HEARD, TCP4}, "1", OTHER_PID}, NULL, true, 0, 0},
        {"a garbage LISTEN_PID", {{TCP4, SAME, HEARD, TCP4}, "1", GARBAGE_PID}, NULL, true, 0, 0},
        {"no LISTEN_PID", {{TCP4, SAME, HEARD, TCP4}, "1", NO_PID}, NULL, true, 0, 0},
        {"no LISTEN_FDS", {{TCP4, SAME, HEARD, TCP4}, NULL, OWN_PID}, NULL, true, 0, 0},
        {"LISTEN_FDS of 0", {{TCP4, SAME, HEARD, TCP4}, "0", OWN_PID}, NULL, true, 0, 0},
        {"LISTEN_FDS below 0", {{TCP4, SAME, HEARD, TCP4}, "-1", OWN_PID}, NULL, true, 0, 0},
        {"a garbage LISTEN_FDS", {{TCP4, SAME, HEARD, TCP4}, "1x", OWN_PID}, NULL, true, 0, 0},
        {"an empty LISTEN_FDS", {{TCP4, SAME, HEARD, TCP4}, "", OWN_PID}, NULL, true, 0, 0},
        {"a socket, output closed",
         {{TCP4, CLOSED, HEARD, CLOSED}, NULL, NO_PID},
         NULL,
         true,
         0,
         0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *name = cases[i].name;
        bool passed = cases[i].in_from == 3;
        try_layout(&cases[i].l);
        if (found->status != 0)
            fail_msg("%s: status %d: %s", name, found->status, found->said);
        if (found->one != cases[i].one || found->in_from != cases[i].in_from ||
            found->out_to != cases[i].out_to)
            fail_msg("%s: from %d, to %d", name, found->in_from, found->out_to);
        if (!found->high || !found->cloexec)
            fail_msg("%s: not moved up, or open on exec", name);
        if (!passed && (!found->null[0] || !found->null[1]))
            fail_msg("%s: 0 and 1 are not /dev/null", name);
        if (passed && found->three_open)
            fail_msg("%s: 3 is still there", name);
        if (found->null[2] || found->stderr_was_client)
            fail_msg("%s: standard error is gone", name);
        if (cases[i].text != NULL)
            assert_string_equal(found->text, cases[i].text);
        else if (!found->nodelay ||
                 strstr(found->text, cases[i].l.fd[0] == TCP6 ? "[::1]:" : "127.0.0.1:") == NULL)
            fail_msg("%s: client %s, no delay %d", name, found->text, found->nodelay);
        assert_string_equal(found->said, "");
    }
}

static void what_is_no_connection_is_refused_with_a_line_that_helps(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct layout l;
        int status;
        const char *line;
    } cases[] = {
        {"a terminal", {{TERMINAL, SAME, HEARD, CLOSED}, NULL, NO_PID}, EX_USAGE, "a terminal"},
        {"a file", {{PLAIN_FILE, SAME, HEARD, CLOSED}, NULL, NO_PID}, EX_USAGE, "a file"},
        {"/dev/null", {{DEVICE, SAME, HEARD, CLOSED}, NULL, NO_PID}, EX_USAGE, "a device"},
        {"nothing", {{CLOSED, DEVICE, HEARD, CLOSED}, NULL, NO_PID}, EX_USAGE, "closed"},
        {"/dev/null and a socket",
         {{DEVICE, TCP4, HEARD, CLOSED}, NULL, NO_PID},
         EX_USAGE,
         "a device"},
        {"a pipe and a file",
         {{PIPE_READ, PLAIN_FILE, HEARD, CLOSED}, NULL, NO_PID},
         EX_USAGE,
         "a pipe"},
        {"a pipe and a terminal",
         {{PIPE_READ, TERMINAL, HEARD, CLOSED}, NULL, NO_PID},
         EX_USAGE,
         "a pipe"},
        {"two from systemd", {{DEVICE, SAME, HEARD, TCP4}, "2", OWN_PID}, EX_USAGE, "2 sockets"},
        {"two from systemd, one that listens",
         {{DEVICE, SAME, HEARD, LISTENING}, "2", OWN_PID},
         EX_USAGE,
         "descriptor 4"},
        {"many from systemd",
         {{TCP4, SAME, HEARD, TCP4}, "4000000000", OWN_PID},
         EX_USAGE,
         "4000000000 sockets"},
        {"systemd's 3 is closed",
         {{DEVICE, SAME, HEARD, CLOSED}, "1", OWN_PID},
         EX_USAGE,
         "descriptor 3"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        try_layout(&cases[i].l);
        if (found->status != cases[i].status)
            fail_msg("%s: status %d: %s", cases[i].name, found->status, found->said);
        if (strstr(found->said, cases[i].line) == NULL ||
            strchr(found->said, '\n') != found->said + strlen(found->said) - 1)
            fail_msg("%s: not one good line: %s", cases[i].name, found->said);
    }
}

static void listening_sockets_are_found_where_each_launcher_puts_them(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct layout l;
        int count;
        const char *names;
        bool null[3], client;
    } cases[] = {
        {"inetd", {{LISTENING, SAME, SAME, CLOSED}, NULL, NO_PID}, 1, "", {true, true, true}, true},
        {"inetd with a log",
         {{LISTENING, SAME, HEARD, CLOSED}, NULL, NO_PID},
         1,
         "",
         {true, true, false},
         false},
        {"systemd",
         {{PLAIN_FILE, SAME, HEARD, LISTENING}, "1", OWN_PID},
         1,
         "connection",
         {false, false, false},
         false},
        {"systemd: on 0 as well",
         {{LISTENING, SAME, HEARD, LISTENING}, "1", OWN_PID},
         1,
         "connection",
         {true, true, false},
         false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *name = cases[i].name;
        try_layout(&cases[i].l);
        if (found->status != 0)
            fail_msg("%s: status %d: %s", name, found->status, found->said);
        if (found->in_from != cases[i].count || found->stderr_was_client != cases[i].client)
            fail_msg("%s: %d sockets, client %d", name, found->in_from, found->stderr_was_client);
        if (!found->high || !found->cloexec)
            fail_msg("%s: a standard one, open on exec, or blocking", name);
        for (int fd = 0; fd <= 2; fd++)
            if (found->null[fd] != cases[i].null[fd])
                fail_msg("%s: /dev/null on %d: %d", name, fd, found->null[fd]);
        assert_string_equal(found->text, cases[i].names);
        assert_string_equal(found->said, "");
    }
}

static void an_accepted_client_is_known_by_its_address(void **state)
{
    (void)state;
    struct sockaddr_in address;
    socklen_t len = sizeof address;
    struct listeners l = {.count = 1, .fds = {open_connection(AF_INET, NULL)}};
    struct connection c;
    char expected[64];

    assert_int_equal(io_set_nonblocking(l.fds[0], true), 0);
    assert_int_equal(activation_accept(&l, 0, &c), -EAGAIN);
    assert_int_equal(getsockname(l.fds[0], (struct sockaddr *)&address, &len), 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, len), 0);
    (void)snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(getsockname(client, (struct sockaddr *)&address, &len), 0);
    assert_int_equal(activation_accept(&l, 0, &c), 0);
    activation_complete(&c);
    assert_string_equal(c.server.text, expected);
    (void)snprintf(expected, sizeof expected, "127.0.0.1:%u", ntohs(address.sin_port));
    assert_string_equal(c.client.text, expected);
    assert_true((fcntl(c.in, F_GETFD) & FD_CLOEXEC) != 0);
    assert_int_equal(c.in, c.out);
    activation_close(&c);
    (void)close(client);
    activation_close_listeners(&l);
    assert_int_equal(l.count, 0);
}

static void a_file_that_systemd_passes_is_no_connection(void **state)
{
    (void)state;
    static const enum thing things[] = {PLAIN_FILE, DEVICE};

    for (size_t i = 0; i < sizeof things / sizeof things[0]; i++) {
        struct layout l = {{DEVICE, SAME, HEARD, things[i]}, "1", OWN_PID};
        try_layout(&l);
        if (found->status != EX_USAGE)
            fail_msg("thing %d: status %d", (int)things[i], found->status);
    }
}

static void standard_error_that_is_the_client_is_taken_away(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct layout l;
        bool client;
        bool blank; /* /dev/null stands there afterwards though the client did not */
    } cases[] = {
        {"inetd: all three", {{TCP4, SAME, SAME, CLOSED}, NULL, NO_PID}, true, false},
        {"a Unix socket on all three", {{LOCAL, SAME, SAME, CLOSED}, NULL, NO_PID}, true, false},
        {"the same as output", {{LOCAL, LOCAL, SAME, CLOSED}, NULL, NO_PID}, true, false},
        {"another socket", {{TCP4, SAME, LOCAL, CLOSED}, NULL, NO_PID}, false, false},
        {"another TCP socket", {{TCP4, SAME, TCP4, CLOSED}, NULL, NO_PID}, false, false},
        {"closed", {{TCP4, SAME, CLOSED, CLOSED}, NULL, NO_PID}, false, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        try_layout(&cases[i].l);
        if (found->status != 0 || found->stderr_was_client != cases[i].client ||
            found->null[2] != (cases[i].client || cases[i].blank))
            fail_msg("%s: status %d, client %d, /dev/null %d", cases[i].name, found->status,
                     found->stderr_was_client, found->null[2]);
    }
}

static void refusals_are_not_told_on_the_connection(void **state)
{
    (void)state;
    /* What main() asks before it opens its log. */
    static const struct {
        const char *name;
        struct layout l;
        bool client;
    } cases[] = {
        {"all three", {{TCP4, SAME, SAME, CLOSED}, NULL, NO_PID}, true},
        {"another", {{TCP4, SAME, HEARD, CLOSED}, NULL, NO_PID}, false},
        {"nothing but a socket on 2", {{CLOSED, CLOSED, TCP4, CLOSED}, NULL, NO_PID}, false},
        {"a file on all three", {{PLAIN_FILE, SAME, SAME, CLOSED}, NULL, NO_PID}, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w = {.far = {-1, -1, -1, -1}, .heard = memfd_create("heard", 0)};
        int status = 0;
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            lay_out(&cases[i].l, &w);
            _exit(activation_stderr_is_client() ? 1 : 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != (cases[i].client ? 1 : 0))
            fail_msg("%s", cases[i].name);
        (void)close(w.heard);
    }
}

static void closing_a_connection_twice_is_harmless(void **state)
{
    (void)state;
    struct connection c = {.in = -1, .out = -1};
    int p[2];

    activation_close(&c);
    assert_int_equal(pipe(p), 0);
    c.in = p[0];
    c.out = p[1];
    activation_close(&c);
    assert_int_equal(fcntl(p[0], F_GETFD), -1);
    assert_int_equal(fcntl(p[1], F_GETFD), -1);
    activation_close(&c);
    assert_true(c.in == -1 && c.out == -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_connection_is_found_where_each_launcher_puts_it),
        cmocka_unit_test(what_is_no_connection_is_refused_with_a_line_that_helps),
        cmocka_unit_test(listening_sockets_are_found_where_each_launcher_puts_them),
        cmocka_unit_test(an_accepted_client_is_known_by_its_address),
        cmocka_unit_test(a_file_that_systemd_passes_is_no_connection),
        cmocka_unit_test(standard_error_that_is_the_client_is_taken_away),
        cmocka_unit_test(refusals_are_not_told_on_the_connection),
        cmocka_unit_test(closing_a_connection_twice_is_harmless),
    };

    found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests_name("activation", tests, NULL, NULL);
}
