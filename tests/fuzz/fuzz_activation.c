/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: how a launcher starts postern. The first line has a letter for each of the descriptors 0 to
 * 5, the others are the environment, in which @ stands for this process's number.
 *   s a Unix socket, S the same once more, t a TCP connection, l a socket that listens, r and w the ends
 *   of a pipe, f a file, d a device; anything else: closed */
#include "common.h"

#include "start/activation.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define GIVEN 6
#define FIRST 3 /* of those that systemd passes */

static const char letters[] = "sStlrwfd";
static int samples[sizeof letters];
static int standard[GIVEN]; /* what libFuzzer has there */

/* Out of the way of what the target puts on the lowest descriptors. */
static int keep(int fd)
{
    int kept = fcntl(fd, F_DUPFD_CLOEXEC, 64);

    CHECK(kept >= 0);
    (void)close(fd);
    return kept;
}

static void make_tcp(int *listening, int *connected)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;

    CHECK((*listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
    CHECK((*connected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
    CHECK(bind(*listening, (struct sockaddr *)&address, len) == 0 && listen(*listening, 1) == 0);
    CHECK(getsockname(*listening, (struct sockaddr *)&address, &len) == 0);
    CHECK(connect(*connected, (struct sockaddr *)&address, len) == 0);
    (void)keep(accept(*listening, NULL, NULL));
}

void fuzz_begin(void)
{
    int sockets[2], pipes[2], listening, connected;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    CHECK(pipe2(pipes, O_CLOEXEC) == 0);
    make_tcp(&listening, &connected);
    samples[0] = keep(sockets[0]);
    samples[1] = samples[0];
    samples[2] = keep(connected);
    samples[3] = keep(listening);
    samples[4] = keep(pipes[0]);
    samples[5] = keep(pipes[1]);
    samples[6] = keep(memfd_create("file", MFD_CLOEXEC));
    samples[7] = keep(open("/dev/null", O_RDWR | O_CLOEXEC));
    (void)keep(sockets[1]);
}

static int sample_of(char letter)
{
    const char *at = letter != '\0' ? strchr(letters, letter) : NULL;

    return at != NULL ? samples[at - letters] : -1;
}

static void give(int fd, int from)
{
    if (from >= 0)
        CHECK(dup2(from, fd) == fd);
    else
        (void)close(fd);
}

static bool same_file(int a, int b)
{
    struct stat first, second;

    return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static bool is_device(int fd)
{
    struct stat s;

    return fstat(fd, &s) == 0 && S_ISCHR(s.st_mode);
}

/* A decimal number and nothing else; 0 for what is none. */
static unsigned long number(const char *text)
{
    if (text == NULL || *text == '\0' || strspn(text, "0123456789") != strlen(text))
        return 0;
    text += strspn(text, "0");
    return strlen(text) <= 18 ? strtoul(text, NULL, 10) : 0;
}

/* Sets NAME=value lines whose name begins with LISTEN_. */
static void set_environment(const char *text, size_t len)
{
    static const char *const names[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"};
    const char *line;
    size_t line_len;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unsetenv(names[i]);
    while (fuzz_line(&text, &len, &line, &line_len)) {
        char *entry = fuzz_text(line, line_len), *equals = strchr(entry, '='), *value;
        if (equals != NULL && strncmp(entry, "LISTEN_", 7) == 0) {
            *equals = '\0';
            if (equals[1] == '@')
                CHECK(asprintf(&value, "%ld%s", (long)getpid(), equals + 2) > 0);
            else
                value = fuzz_text(equals + 1, strlen(equals + 1));
            CHECK(setenv(entry, value, 1) == 0);
            CHECK(unsetenv("LISTEN_") == 0);
            free(value);
        }
        free(entry);
    }
}

/* The connection is what was given, on descriptors that no handler inherits, and nothing of it is left
 * where a handler's standard descriptors will be. */
static void check_connection(const struct connection *c, const char *given, bool passed)
{
    int in = sample_of(given[passed ? FIRST : 0]), out = sample_of(given[passed ? FIRST : 1]);

    CHECK(c->in >= 3 && same_file(c->in, in) && (fcntl(c->in, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(c->out >= 3 && (fcntl(c->out, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(same_file(c->out, in) || (c->out != c->in && same_file(c->out, out)));
    CHECK(passed ? !same_file(3, in) || c->in == 3 : is_device(0) && is_device(1));
    CHECK(!c->stderr_was_client || is_device(2));
    fuzz_check_text(c->client.text, sizeof c->client.text);
    fuzz_check_text(c->server.text, sizeof c->server.text);
}

/* The listening sockets are those that were given, in their order, on descriptors that no handler
 * inherits, and no client is waited for. */
static void check_listeners(const struct listeners *l, unsigned long passed)
{
    struct connection c;

    CHECK(l->count == (passed == 0 ? 1 : passed));
    fuzz_check_text(l->names, sizeof l->names);
    CHECK(strchr(l->names, ' ') == NULL);
    CHECK(passed > 0 || (is_device(0) && is_device(1)));
    CHECK(!l->stderr_was_client || is_device(2));
    for (size_t i = 0; i < l->count; i++) {
        CHECK(l->fds[i] >= FIRST && same_file(l->fds[i], sample_of('l')));
        CHECK((fcntl(l->fds[i], F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(activation_accept(l, i, &c) == -EAGAIN && c.in == -1 && c.out == -1);
    }
}

/* What should come of it: a connection (c), listening sockets (l) or a refusal (r); for two pipes or a pipe
 * and a socket it depends (d). */
static char expect(const char *given, unsigned long passed)
{
    if (passed == 0)
        return given[0] == 'l'                                               ? 'l'
               : given[0] == 'r' || given[0] == 'w'                          ? 'd'
               : sample_of(given[0]) >= 0 && strchr("sSt", given[0]) != NULL ? 'c'
                                                                             : 'r';
    if (passed == 1 && given[FIRST] != '\0' && strchr("sSt", given[FIRST]) != NULL)
        return 'c';
    for (unsigned long i = 0; i < passed; i++)
        if (FIRST + i >= GIVEN || given[FIRST + i] != 'l')
            return 'r';
    return 'l';
}

static void try(const char *given)
{
    struct connection c;
    struct listeners l;
    bool is_ours = number(getenv("LISTEN_PID")) == (unsigned long)getpid();
    unsigned long passed = is_ours ? number(getenv("LISTEN_FDS")) : 0;
    char expected = expect(given, passed);

    memset(&c, 0xa5, sizeof c);
    memset(&l, 0xa5, sizeof l);
    bool stderr_is_client = activation_stderr_is_client();
    int status = activation_take(&c, &l);
    CHECK(status == 0 || status == EX_USAGE);
    CHECK(fuzz_heard(NULL) == (status == 0 ? 0 : 1));
    CHECK(getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL &&
          getenv("LISTEN_FDNAMES") == NULL);
    CHECK(expected == 'd' || (status == 0) == (expected != 'r'));
    CHECK(expected == 'd' || status != 0 || (l.count > 0) == (expected == 'l'));
    if (status == 0 && l.count > 0) {
        CHECK(c.in == -1 && c.out == -1);
        check_listeners(&l, passed);
        activation_close_listeners(&l);
    } else if (status == 0) {
        CHECK(c.stderr_was_client == stderr_is_client);
        check_connection(&c, given, passed == 1);
    }
    activation_close(&c);
    CHECK(c.in == -1 && c.out == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *line = text;
    size_t line_len = 0;
    char given[GIVEN + 1] = "";

    for (int fd = 0; fd < GIVEN && standard[fd] == 0; fd++)
        standard[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 64);
    (void)fuzz_line(&text, &size, &line, &line_len);
    memcpy(given, line, line_len < GIVEN ? line_len : GIVEN);
    set_environment(text, size);
    for (int fd = 0; fd < GIVEN; fd++)
        give(fd, sample_of(given[fd]));
    try(given);
    for (int fd = 0; fd < GIVEN; fd++)
        give(fd, standard[fd]);
    return 0;
}
