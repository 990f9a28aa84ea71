/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

const char *message_name(unsigned type)
{
    static const char *const names[] = {
        [REQ_CHAIN] = "chain",
        [REQ_SIGN] = "sign",
        [REQ_SEAL] = "seal",
        [REQ_OPEN] = "open",
        [REQ_SESSION] = "facts",
        [REQ_PLAINTEXT_HANDLER] = "plaintext",
        [REQ_STOP_HANDLER] = "end-handler",
        [REPORT_LEFT_LOBBY] = "left",
        [REPORT_NOTE] = "note",
        [REPORT_END] = "end",
        [REPORT_PROXY] = "proxy",
        [REPORT_STEP] = "step",
        [EVENT_GO] = "go",
        [ANS_CHAIN] = "chain-is",
        [ANS_SIGNATURE] = "signature",
        [ANS_SEALED] = "sealed",
        [ANS_OPENED] = "opened",
        [ANS_HANDLER] = "handler",
        [ANS_HANDLER_STOPPED] = "ended",
        [EVENT_HANDLER_EXITED] = "exited",
        [EVENT_DRAIN] = "drain",
    };

    if (type >= sizeof names / sizeof names[0] || names[type] == NULL)
        return "unknown";
    return names[type];
}

static void put(struct message_writer *w, const void *data, size_t len)
{
    if (w->failed || len > w->size - w->len) {
        w->failed = true;
        return;
    }
    memcpy(w->buf + w->len, data, len);
    w->len += len;
}

void message_begin(struct message_writer *w, uint8_t *buf, size_t size, enum message_type type)
{
    uint8_t byte = (uint8_t)type;

    *w = (struct message_writer){.buf = buf, .size = size};
    put(w, &byte, 1);
}

void message_put_number(struct message_writer *w, uint64_t value)
{
    uint8_t bytes[8];

    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (56 - 8 * i));
    put(w, bytes, sizeof bytes);
}

void message_put_bytes(struct message_writer *w, const void *data, size_t len)
{
    message_put_number(w, len);
    if (len > 0)
        put(w, data, len);
}

void message_put_text(struct message_writer *w, const char *text)
{
    message_put_bytes(w, text, strlen(text));
}

void message_parse(struct message_reader *r, const uint8_t *buf, size_t len)
{
    *r = (struct message_reader){.next = buf, .left = len, .fds = {-1, -1}};
    if (len == 0) {
        r->failed = true;
        return;
    }
    r->type = buf[0];
    r->next++;
    r->left--;
}

uint64_t message_get_number(struct message_reader *r, uint64_t max)
{
    uint64_t value = 0;

    if (r->failed || r->left < 8) {
        r->failed = true;
        return 0;
    }
    for (int i = 0; i < 8; i++)
        value = value << 8 | r->next[i];
    r->next += 8;
    r->left -= 8;
    if (value > max) {
        r->failed = true;
        return 0;
    }
    return value;
}

const uint8_t *message_get_bytes(struct message_reader *r, size_t max, size_t *len)
{
    size_t n = (size_t)message_get_number(r, max);

    if (r->failed || n > r->left) {
        r->failed = true;
        n = 0;
    }
    const uint8_t *bytes = r->next;
    r->next += n;
    r->left -= n;
    *len = n;
    return bytes;
}

void message_get_text(struct message_reader *r, char *text, size_t size)
{
    size_t len;
    const uint8_t *bytes = message_get_bytes(r, size - 1, &len);

    if (len > 0 && memchr(bytes, '\0', len) != NULL) {
        r->failed = true;
        len = 0;
    }
    if (len > 0)
        memcpy(text, bytes, len);
    text[len] = '\0';
}

bool message_complete(const struct message_reader *r)
{
    return !r->failed && r->left == 0;
}

union control {
    struct cmsghdr header;
    char space[CMSG_SPACE(2 * sizeof(int))];
};

static ssize_t send_descriptors(int fd, const struct message_writer *w, const int *fds,
                                size_t count)
{
    union control control;
    struct iovec part = {.iov_base = w->buf, .iov_len = w->len};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.space,
                       .msg_controllen = (socklen_t)CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *c = &control.header;

    memset(&control, 0, sizeof control);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    return sendmsg(fd, &m, MSG_NOSIGNAL);
}

/* Uses sendmsg(2) only for descriptors: the gate's jail does not allow it. */
int message_send(int fd, const struct message_writer *w, const int *fds, size_t count)
{
    if (w->failed)
        return -EMSGSIZE;
    for (;;) {
        ssize_t n = count > 0 ? send_descriptors(fd, w, fds, count)
                              : send(fd, w->buf, w->len, MSG_NOSIGNAL);
        if (n >= 0)
            return 0;
        if (errno == ECONNRESET)
            return -EPIPE;
        if (errno != EINTR)
            return -errno;
    }
}

/* Takes the descriptors out of m: copies the first `room` of them to fds and closes the others. */
static void take_descriptors(struct msghdr *m, int *fds, size_t room)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m); /* union control has room for one only */

    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int got;
        memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof got);
        if (i < room)
            fds[i] = got;
        else
            (void)close(got);
    }
}

/* Receives a message into `buf`, and two descriptors into `fds`, which stay -1 without them. Returns the length,
 * or size + 1 if the message was too long, or a negative errno. */
static ssize_t receive_descriptors(int fd, uint8_t *buf, size_t size, int *fds)
{
    union control control;
    struct iovec part = {.iov_base = buf, .iov_len = size};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control.space,
                       .msg_controllen = sizeof control.space};
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);

    if (n < 0)
        return -errno;
    take_descriptors(&m, fds, 2);
    return n > 0 && (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? (ssize_t)size + 1 : n;
}

/* Receives a message without descriptors: the kernel closes any that came with it. */
static ssize_t receive_bytes(int fd, uint8_t *buf, size_t size)
{
    ssize_t n = recv(fd, buf, size, MSG_TRUNC);

    return n < 0 ? -errno : n;
}

int message_receive(int fd, struct message_reader *r, uint8_t *buf, size_t size, bool want_fds)
{
    int fds[2] = {-1, -1};
    ssize_t n;

    r->fds[0] = r->fds[1] = -1;
    /* ECONNRESET says that the other side ended before it read everything. What it sent before that can
     * still be received. */
    do {
        n = want_fds ? receive_descriptors(fd, buf, size, fds) : receive_bytes(fd, buf, size);
    } while (n == -EINTR || n == -ECONNRESET);
    if (n > 0 && (size_t)n <= size) {
        message_parse(r, buf, (size_t)n);
        r->fds[0] = fds[0];
        r->fds[1] = fds[1];
        return 0;
    }
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]);
    return n < 0 ? (int)n : n == 0 ? -EPIPE : -EMSGSIZE;
}
