/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a line of letters that say what is read from a message, and the message: n a number, f a
 * flag, b bytes, s a few bytes, t a text, w a word. */
#include "common.h"

#include "common/message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FEW 16

static void try_bytes(struct message_reader *r, struct message_writer *w, size_t max)
{
    const uint8_t *before = r->next;
    size_t left = r->left, len = SIZE_MAX;
    const uint8_t *bytes = message_get_bytes(r, max, &len);

    CHECK(len <= max && len <= left);
    CHECK(r->failed ? len == 0 : bytes == before + 8 && r->left == left - 8 - len);
    message_put_bytes(w, bytes, len);
}

static void try_text(struct message_reader *r, struct message_writer *w, size_t size)
{
    char *text = malloc(size);

    CHECK(text != NULL);
    message_get_text(r, text, size);
    CHECK(strnlen(text, size) < size);
    CHECK(!r->failed || *text == '\0');
    message_put_text(w, text);
    free(text);
}

/* What has been read well is written again, byte by byte the same. */
static void try_reader(const char *script, size_t script_len, const uint8_t *message, size_t len)
{
    struct message_reader r;
    struct message_writer w;
    uint8_t *again = malloc(len + 9);

    CHECK(again != NULL);
    message_parse(&r, message, len);
    CHECK(r.failed == (len == 0) && r.fds[0] == -1 && r.fds[1] == -1);
    message_begin(&w, again, len + 8, (enum message_type)r.type);
    for (size_t i = 0; i < script_len; i++) {
        bool failed = r.failed;
        if (script[i] == 'n')
            message_put_number(&w, message_get_number(&r, UINT64_MAX));
        else if (script[i] == 'f')
            message_put_number(&w, message_get_number(&r, 1));
        else if (script[i] == 'b')
            try_bytes(&r, &w, MESSAGE_MAX);
        else if (script[i] == 's')
            try_bytes(&r, &w, FEW);
        else if (script[i] == 't')
            try_text(&r, &w, MESSAGE_MAX);
        else if (script[i] == 'w')
            try_text(&r, &w, FEW);
        CHECK(!failed || r.failed);
        CHECK(r.left <= len && (len == 0 || r.next + r.left == message + len));
        if (!r.failed)
            CHECK(!w.failed && w.len == len - r.left && memcmp(again, message, w.len) == 0);
    }
    CHECK(message_complete(&r) == (!r.failed && r.left == 0));
    free(again);
}

/* The lowest descriptor that is free: the same before and after what leaves none behind. */
static int lowest_free(void)
{
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

    CHECK(fd >= 0);
    (void)close(fd);
    return fd;
}

/* Sends up to four descriptors along, of which two are welcome at most. */
static void send_raw(int to, const uint8_t *message, size_t len, size_t count)
{
    static const int fds[4] = {STDERR_FILENO, STDERR_FILENO, STDERR_FILENO, STDERR_FILENO};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof fds)];
    } control = {.space = {0}};
    struct iovec part = {.iov_base = fuzz_copy(message, len), .iov_len = len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    if (count > 0) {
        m.msg_control = control.space;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    CHECK(sendmsg(to, &m, MSG_NOSIGNAL) == (ssize_t)len);
    free(part.iov_base);
}

static void try_socket(const uint8_t *message, size_t len, size_t count, bool want_fds)
{
    uint8_t *room = malloc(len + 1);
    struct message_reader r;
    int ends[2], before = lowest_free();

    CHECK(room != NULL);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    /* Once into room enough, once into too little. */
    send_raw(ends[0], message, len, count);
    int rc = message_receive(ends[1], &r, room, len + 1, want_fds);
    CHECK(rc == (len == 0 ? -EPIPE : want_fds && count > 2 ? -EMSGSIZE : 0));
    for (size_t i = 0; i < 2; i++) {
        CHECK((r.fds[i] >= 0) == (rc == 0 && want_fds && i < count));
        if (r.fds[i] >= 0)
            (void)close(r.fds[i]);
    }
    CHECK(rc != 0 || (r.type == message[0] && r.left == len - 1));
    CHECK(len == 0 || memcmp(room, message, len) == 0);
    if (len > 1) {
        send_raw(ends[0], message, len, count);
        CHECK(message_receive(ends[1], &r, room, len - 1, want_fds) == -EMSGSIZE);
        CHECK(r.fds[0] == -1 && r.fds[1] == -1);
    }
    (void)close(ends[0]);
    CHECK(message_receive(ends[1], &r, room, len + 1, want_fds) == -EPIPE);
    (void)close(ends[1]);
    CHECK(lowest_free() == before);
    free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *script = text;
    size_t script_len = 0;

    (void)fuzz_line(&text, &size, &script, &script_len);
    uint8_t *message = fuzz_copy(text, size);
    try_reader(script, script_len, message, size);
    if (size > 0)
        CHECK(*message_name(message[0]) != '\0');
    try_socket(message, size, script_len % 5, script_len % 2 == 0);
    free(message);
    return 0;
}
