/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a letter and what a client sends first, in parts, until it leaves (a), waits too long (b) or
 * the monitor wants an end (c); in upper case where STARTTLS came before. */
#include "common.h"

#include "gate/opening.h"
#include "gate/reasons.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check_outcome(const struct outcome *outcome)
{
    CHECK(outcome->ending <= ENDING_GATE_DIED && outcome->gravity <= GRAVITY_ERROR);
    fuzz_check_text(outcome->text, sizeof outcome->text);
    CHECK(outcome->text[0] != '\0');
}

/* A datagram socket keeps the parts apart: one is what one system call gives. */
static void send_parts(int to, const uint8_t *data, size_t size, size_t part)
{
    for (size_t at = 0; at < size; at += part) {
        size_t len = size - at < part ? size - at : part;
        CHECK(send(to, data + at, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len);
    }
}

static void explain_all(const struct hello *h, const struct options *options)
{
    struct outcome outcome;

    for (int result = TLS_TIMEOUT; result <= TLS_FAILED; result++) {
        memset(&outcome, 0xa5, sizeof outcome);
        reason_failed(h, (enum tls_result)result, "it broke", options, &outcome);
        check_outcome(&outcome);
        CHECK(outcome.ending != ENDING_HANDSHAKE || outcome.alert > 0);
    }
    memset(&outcome, 0xa5, sizeof outcome);
    reason_no_certificate(h, options, &outcome);
    check_outcome(&outcome);
    memset(&outcome, 0xa5, sizeof outcome);
    reason_no_group(&outcome);
    check_outcome(&outcome);
    memset(&outcome, 0xa5, sizeof outcome);
    reason_no_name(h, &outcome);
    check_outcome(&outcome);
}

/* A fatal alert, as one record. */
static void try_refusal(const struct hello *h, const struct options *options, int out, int client)
{
    uint8_t alert[16];

    reason_send_alert(out, reason_alert(h, options));
    CHECK(recv(client, alert, sizeof alert, MSG_DONTWAIT) == 7);
    CHECK(alert[0] == 21 && alert[4] == 2 && alert[5] == 2 && (alert[6] == 40 || alert[6] == 70));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct opening o;
    struct outcome outcome;
    int ends[2], orders[2];

    if (size == 0 || size > 100000)
        return 0;
    int way = tolower(data[0]);
    const struct options options = {.starttls = isupper(data[0]) ? "imap" : NULL,
                                    .tls_min = 0x0301 + size % 4,
                                    .timeout_handshake = 30};
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, orders) == 0);
    send_parts(ends[0], data + 1, size - 1, 300 + size % 1000);
    if (way == 'c')
        CHECK(send(orders[0], "x", 1, MSG_NOSIGNAL) == 1);
    else if (way != 'b')
        CHECK(shutdown(ends[0], SHUT_WR) == 0);
    memset(&o, 0xa5, sizeof o);
    memset(&outcome, 0xa5, sizeof outcome);
    bool whole = opening_read(&o, ends[1], orders[1], 1, &options, &outcome);
    CHECK(o.len <= sizeof o.bytes && o.len < size);
    if (!whole) {
        check_outcome(&outcome);
    } else {
        CHECK(o.frame.len > REFRAME_HEADER && o.frame.bytes[0] == 22);
        explain_all(&o.hello, &options);
        try_refusal(&o.hello, &options, ends[1], ends[0]);
    }
    opening_free(&o);
    for (int i = 0; i < 2; i++) {
        (void)close(ends[i]);
        (void)close(orders[i]);
    }
    return 0;
}
