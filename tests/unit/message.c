/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of message.c: writer, reader, and the socketpair between gate and monitor. */
#include "common/message.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int pair_of(int s[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s);
}

/* How many descriptors this process has. */
static int count_descriptors(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");

    assert_non_null(d);
    while (readdir(d) != NULL)
        count++;
    (void)closedir(d);
    return count;
}

/* A message with one field of each kind. */
static size_t write_one(uint8_t *buf, size_t size)
{
    struct message_writer w;

    message_begin(&w, buf, size, REQ_SESSION);
    message_put_number(&w, 0x0123456789abcdef);
    message_put_text(&w, "imap");
    message_put_bytes(&w, "\0\1\2", 3);
    message_put_text(&w, "");
    assert_false(w.failed);
    return w.len;
}

/* Reads it; true if every field was there and nothing else. */
static bool read_one(const uint8_t *buf, size_t len)
{
    struct message_reader r;
    char text[8] = "garbage", empty[4] = "xyz";
    size_t n = 99;

    message_parse(&r, buf, len);
    uint64_t number = message_get_number(&r, UINT64_MAX);
    message_get_text(&r, text, sizeof text);
    const uint8_t *bytes = message_get_bytes(&r, 16, &n);
    bool same = n == 3 && memcmp(bytes, "\0\1\2", 3) == 0;
    message_get_text(&r, empty, sizeof empty);
    if (!message_complete(&r)) {
        /* Whatever failed, the fields that follow are empty strings and no garbage. */
        assert_string_equal(empty, "");
        assert_true(text[0] == '\0' || strcmp(text, "imap") == 0);
        assert_true(n == 0 || n == 3);
        return false;
    }
    return r.type == REQ_SESSION && number == 0x0123456789abcdef && strcmp(text, "imap") == 0 &&
           same && empty[0] == '\0';
}

static void what_is_written_is_read_again(void **state)
{
    (void)state;
    uint8_t buf[128];

    assert_true(read_one(buf, write_one(buf, sizeof buf)));
}

static void every_truncation_fails(void **state)
{
    (void)state;
    uint8_t buf[128];
    size_t len = write_one(buf, sizeof buf);

    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = malloc(cut > 0 ? cut : 1);
        assert_non_null(copy);
        memcpy(copy, buf, cut);
        assert_false(read_one(copy, cut));
        free(copy);
    }
}

static void a_byte_too_many_is_not_complete(void **state)
{
    (void)state;
    uint8_t buf[128] = {0};
    size_t len = write_one(buf, sizeof buf);

    assert_false(read_one(buf, len + 1));
}

static void a_writer_without_room_fails_and_never_overruns(void **state)
{
    (void)state;
    uint8_t buf[128];
    size_t whole = write_one(buf, sizeof buf);

    for (size_t size = 0; size < whole; size++) {
        uint8_t *small = malloc(size > 0 ? size : 1);
        struct message_writer w;
        assert_non_null(small);
        message_begin(&w, small, size, REQ_SESSION);
        message_put_number(&w, 0x0123456789abcdef);
        message_put_text(&w, "imap");
        message_put_bytes(&w, "\0\1\2", 3);
        message_put_text(&w, "");
        assert_true(w.failed);
        assert_true(w.len <= size);
        assert_int_equal(message_send(-1, &w, NULL, 0), -EMSGSIZE);
        free(small);
    }
}

static void a_failed_writer_stays_failed(void **state)
{
    (void)state;
    uint8_t buf[12];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, REPORT_NOTE);
    message_put_bytes(&w, "0123456789", 10);
    assert_true(w.failed);
    message_put_text(&w, "");
    assert_true(w.failed);
}

static void bounds_of_numbers_bytes_and_text_are_kept(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t length; /* what the length field says */
        size_t there;    /* how many bytes follow */
        size_t max;
        bool ok;
    } cases[] = {
        {"within max", 4, 4, 8, true},
        {"exactly max", 8, 8, 8, true},
        {"one over max", 9, 9, 8, false},
        {"longer than the message", 5, 4, 8, false},
        {"as long as can be", UINT64_MAX, 4, SIZE_MAX, false},
        {"wraps when added", UINT64_MAX - 7, 8, SIZE_MAX, false},
        {"nothing", 0, 0, 0, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t buf[64] = {0}, zeros[16] = {0};
        struct message_writer w;
        struct message_reader r;
        size_t len = 99;
        message_begin(&w, buf, sizeof buf, REPORT_NOTE);
        message_put_number(&w, cases[i].length);
        memset(zeros, 'a', sizeof zeros);
        memcpy(buf + w.len, zeros, cases[i].there);
        message_parse(&r, buf, w.len + cases[i].there);
        (void)message_get_bytes(&r, cases[i].max, &len);
        if (message_complete(&r) != cases[i].ok)
            fail_msg("bytes: %s", cases[i].name);
        assert_true(len == (cases[i].ok ? cases[i].length : 0));
        if (cases[i].max > 8)
            continue;
        char text[9];
        message_parse(&r, buf, w.len + cases[i].there);
        message_get_text(&r, text, cases[i].max + 1);
        if (message_complete(&r) != cases[i].ok)
            fail_msg("text: %s", cases[i].name);
        assert_int_equal(strlen(text), cases[i].ok ? cases[i].length : 0);
    }
}

static void a_number_over_its_bound_fails_and_is_0(void **state)
{
    (void)state;
    static const struct {
        uint64_t value, max;
        bool ok;
    } cases[] = {{0, 0, true},           {1, 1, true},
                 {2, 1, false},          {UINT64_MAX, UINT64_MAX, true},
                 {UINT64_MAX, 1, false}, {1ULL << 63, (1ULL << 63) - 1, false}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t buf[16];
        struct message_writer w;
        struct message_reader r;
        message_begin(&w, buf, sizeof buf, REPORT_NOTE);
        message_put_number(&w, cases[i].value);
        message_parse(&r, buf, w.len);
        assert_true(message_get_number(&r, cases[i].max) == (cases[i].ok ? cases[i].value : 0));
        assert_true(message_complete(&r) == cases[i].ok);
    }
}

static void text_with_a_nul_inside_fails(void **state)
{
    (void)state;
    static const char *const texts[] = {"\0abc", "ab\0c", "abc\0"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t buf[32];
        char text[16] = "garbage";
        struct message_writer w;
        struct message_reader r;
        message_begin(&w, buf, sizeof buf, REPORT_NOTE);
        message_put_bytes(&w, texts[i], 4);
        message_parse(&r, buf, w.len);
        message_get_text(&r, text, sizeof text);
        assert_false(message_complete(&r));
        assert_string_equal(text, "");
    }
}

static void after_a_failure_all_fields_are_empty(void **state)
{
    (void)state;
    uint8_t buf[64];
    char text[8] = "garbage";
    struct message_writer w;
    struct message_reader r;
    size_t len = 99;

    message_begin(&w, buf, sizeof buf, REPORT_NOTE);
    message_put_number(&w, 5);
    message_put_text(&w, "there");
    message_put_number(&w, 1);
    message_parse(&r, buf, w.len);
    assert_true(message_get_number(&r, 4) == 0);
    message_get_text(&r, text, sizeof text);
    assert_string_equal(text, "");
    assert_true(message_get_number(&r, UINT64_MAX) == 0);
    (void)message_get_bytes(&r, 8, &len);
    assert_int_equal(len, 0);
    assert_false(message_complete(&r));
}

static void every_type_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned a = REQ_CHAIN; a <= EVENT_DRAIN; a++) {
        assert_string_not_equal(message_name(a), "unknown");
        for (unsigned b = REQ_CHAIN; b < a; b++)
            assert_string_not_equal(message_name(a), message_name(b));
    }
    assert_string_equal(message_name(0), "unknown");
    assert_string_equal(message_name(EVENT_DRAIN + 1), "unknown");
    assert_string_equal(message_name(255), "unknown");
    assert_string_equal(message_name(~0U), "unknown");
}

static void messages_cross_a_socketpair_one_by_one(void **state)
{
    (void)state;
    uint8_t buf[128], got[128];
    struct message_writer w = {.buf = buf, .size = sizeof buf};
    struct message_reader r;
    int s[2];

    assert_int_equal(pair_of(s), 0);
    w.len = write_one(buf, sizeof buf);
    assert_int_equal(message_send(s[0], &w, NULL, 0), 0);
    message_begin(&w, buf, sizeof buf, EVENT_DRAIN);
    assert_int_equal(message_send(s[0], &w, NULL, 0), 0);
    assert_int_equal(message_receive(s[1], &r, got, sizeof got, false), 0);
    assert_int_equal(r.type, REQ_SESSION);
    assert_int_equal(r.fds[0], -1);
    assert_int_equal(r.fds[1], -1);
    assert_int_equal(message_receive(s[1], &r, got, sizeof got, false), 0);
    assert_int_equal(r.type, EVENT_DRAIN);
    assert_true(message_complete(&r));
    (void)close(s[0]);
    (void)close(s[1]);
}

static void the_largest_message_crosses(void **state)
{
    (void)state;
    static uint8_t buf[MESSAGE_MAX], got[MESSAGE_MAX], chain[MESSAGE_MAX - 9];
    struct message_writer w;
    struct message_reader r;
    size_t len = 0;
    int s[2];

    memset(chain, 0xa5, sizeof chain);
    assert_int_equal(pair_of(s), 0);
    message_begin(&w, buf, sizeof buf, ANS_CHAIN);
    message_put_bytes(&w, chain, sizeof chain);
    assert_false(w.failed);
    assert_int_equal(message_send(s[0], &w, NULL, 0), 0);
    assert_int_equal(message_receive(s[1], &r, got, sizeof got, false), 0);
    const uint8_t *bytes = message_get_bytes(&r, MESSAGE_MAX, &len);
    assert_true(message_complete(&r));
    assert_int_equal(len, sizeof chain);
    assert_memory_equal(bytes, chain, len);
    (void)close(s[0]);
    (void)close(s[1]);
}

/* Sends what no honest side would: raw bytes with any number of descriptors. */
static void send_raw(int fd, const void *bytes, size_t len, const int *fds, size_t count)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};

    memset(&control, 0, sizeof control);
    if (count > 0) {
        m.msg_control = control.space;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    assert_int_equal(sendmsg(fd, &m, 0), len);
}

static void descriptors_come_along_close_on_exec(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 2; count++) {
        uint8_t buf[8], got[8];
        struct message_writer w;
        struct message_reader r;
        struct stat sent, came;
        int s[2], p[2];
        assert_int_equal(pair_of(s), 0);
        assert_int_equal(pipe(p), 0);
        message_begin(&w, buf, sizeof buf, ANS_HANDLER);
        assert_int_equal(message_send(s[0], &w, p, count), 0);
        assert_int_equal(message_receive(s[1], &r, got, sizeof got, true), 0);
        for (size_t i = 0; i < count; i++) {
            assert_true(r.fds[i] >= 0);
            assert_int_equal(fcntl(r.fds[i], F_GETFD), FD_CLOEXEC);
            assert_int_equal(fstat(p[i], &sent), 0);
            assert_int_equal(fstat(r.fds[i], &came), 0);
            assert_true(sent.st_ino == came.st_ino);
            (void)close(r.fds[i]);
        }
        if (count == 1)
            assert_int_equal(r.fds[1], -1);
        (void)close(p[0]);
        (void)close(p[1]);
        (void)close(s[0]);
        (void)close(s[1]);
    }
}

static void unwelcome_descriptors_are_closed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        size_t len, size, count;
        bool want;
        int result;
    } cases[] = {
        {"none are wanted", "\1", 1, 8, 2, false, 0},
        {"three are too many", "\1", 1, 8, 3, true, -EMSGSIZE},
        {"eight are too many", "\1", 1, 8, 8, true, -EMSGSIZE},
        {"three where none are wanted", "\1", 1, 8, 3, false, 0},
        {"with a message that is too long", "\1aaaaaaaa", 9, 8, 2, true, -EMSGSIZE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message_reader r;
        uint8_t got[8];
        int s[2], fds[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        assert_int_equal(pair_of(s), 0);
        int before = count_descriptors();
        send_raw(s[0], cases[i].bytes, cases[i].len, fds, cases[i].count);
        int rc = message_receive(s[1], &r, got, cases[i].size, cases[i].want);
        if (rc != cases[i].result)
            fail_msg("%s: %d, not %d", cases[i].name, rc, cases[i].result);
        if (count_descriptors() != before)
            fail_msg("%s: descriptors are left open", cases[i].name);
        assert_int_equal(r.fds[0], -1);
        assert_int_equal(r.fds[1], -1);
        (void)close(s[0]);
        (void)close(s[1]);
    }
}

static void an_empty_message_leaks_no_descriptors(void **state)
{
    (void)state;
    struct message_reader r;
    uint8_t got[8];
    int s[2], fds[2] = {0, 0};

    assert_int_equal(pair_of(s), 0);
    int before = count_descriptors();
    send_raw(s[0], "", 0, fds, 2);
    assert_true(message_receive(s[1], &r, got, sizeof got, true) < 0);
    assert_int_equal(count_descriptors(), before);
    (void)close(s[0]);
    (void)close(s[1]);
}

static void a_message_that_is_too_long_is_refused(void **state)
{
    (void)state;
    uint8_t got[8];
    struct message_reader r;
    int s[2];

    assert_int_equal(pair_of(s), 0);
    send_raw(s[0], "123456789", 9, NULL, 0);
    assert_int_equal(message_receive(s[1], &r, got, sizeof got, false), -EMSGSIZE);
    send_raw(s[0], "12345678", 8, NULL, 0);
    assert_int_equal(message_receive(s[1], &r, got, sizeof got, false), 0);
    (void)close(s[0]);
    (void)close(s[1]);
}

static void the_other_side_gone_is_a_broken_pipe(void **state)
{
    (void)state;
    uint8_t buf[8];
    struct message_writer w;
    struct message_reader r;
    int s[2];

    assert_int_equal(pair_of(s), 0);
    (void)close(s[1]);
    message_begin(&w, buf, sizeof buf, EVENT_GO);
    /* And no SIGPIPE, which would end this program. */
    assert_int_equal(message_send(s[0], &w, NULL, 0), -EPIPE);
    assert_int_equal(message_receive(s[0], &r, buf, sizeof buf, false), -EPIPE);
    (void)close(s[0]);
}

static void the_other_side_gone_with_mail_unread_is_a_broken_pipe(void **state)
{
    (void)state;
    uint8_t buf[8];
    struct message_writer w;
    struct message_reader r;
    int s[2];

    assert_int_equal(pair_of(s), 0);
    message_begin(&w, buf, sizeof buf, EVENT_GO);
    assert_int_equal(message_send(s[0], &w, NULL, 0), 0);
    (void)close(s[1]);
    assert_int_equal(message_receive(s[0], &r, buf, sizeof buf, false), -EPIPE);
    (void)close(s[0]);
}

static void nothing_there_yet_is_try_again(void **state)
{
    (void)state;
    uint8_t buf[8];
    struct message_reader r;
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s), 0);
    assert_int_equal(message_receive(s[0], &r, buf, sizeof buf, false), -EAGAIN);
    (void)close(s[0]);
    (void)close(s[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(every_truncation_fails),
        cmocka_unit_test(a_byte_too_many_is_not_complete),
        cmocka_unit_test(a_writer_without_room_fails_and_never_overruns),
        cmocka_unit_test(a_failed_writer_stays_failed),
        cmocka_unit_test(bounds_of_numbers_bytes_and_text_are_kept),
        cmocka_unit_test(a_number_over_its_bound_fails_and_is_0),
        cmocka_unit_test(text_with_a_nul_inside_fails),
        cmocka_unit_test(after_a_failure_all_fields_are_empty),
        cmocka_unit_test(every_type_has_a_name_of_its_own),
        cmocka_unit_test(messages_cross_a_socketpair_one_by_one),
        cmocka_unit_test(the_largest_message_crosses),
        cmocka_unit_test(descriptors_come_along_close_on_exec),
        cmocka_unit_test(unwelcome_descriptors_are_closed),
        cmocka_unit_test(an_empty_message_leaks_no_descriptors),
        cmocka_unit_test(a_message_that_is_too_long_is_refused),
        cmocka_unit_test(the_other_side_gone_is_a_broken_pipe),
        cmocka_unit_test(the_other_side_gone_with_mail_unread_is_a_broken_pipe),
        cmocka_unit_test(nothing_there_yet_is_try_again),
    };

    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
