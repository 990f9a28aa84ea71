/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of ask.c: what the gate makes of the monitor's answers, and of those that it has not asked
 * for. */
#include "gate/ask.h"

#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Both ends; the monitor's answer is sent before it is asked for. */
static struct ask open_ends(int *monitor)
{
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
    *monitor = s[1];
    return (struct ask){.monitor = s[0]};
}

static void send_signature(int monitor, enum message_type type, size_t len, bool trailing)
{
    static const uint8_t filler[128] = {7};
    uint8_t answer[256];
    struct message_writer w;

    message_begin(&w, answer, sizeof answer, type);
    if (type == ANS_SIGNATURE || type == ANS_CHAIN)
        message_put_bytes(&w, filler, len);
    if (trailing)
        message_put_number(&w, 0);
    assert_int_equal(message_send(monitor, &w, NULL, 0), 0);
}

static void the_gate_takes_no_answer_but_the_one_it_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum message_type type;
        size_t len;    /* of the signature */
        bool closed;   /* the monitor is gone */
        bool trailing; /* bytes behind it */
        enum asked result;
        int error;
    } cases[] = {
        {"as it should be", ANS_SIGNATURE, 70, false, false, ASK_OK, 0},
        {"an empty one", ANS_SIGNATURE, 0, false, false, ASK_NOTHING, 0},
        {"the end of the session", EVENT_DRAIN, 0, false, false, ASK_STOP, 0},
        {"the end of the handler", EVENT_HANDLER_EXITED, 0, false, false, ASK_HANDLER_EXITED, 0},
        {"another type", ANS_CHAIN, 70, false, false, ASK_STOP, 0},
        {"longer than there is room", ANS_SIGNATURE, 73, false, false, ASK_FAILED, -EBADMSG},
        {"bytes behind it", ANS_SIGNATURE, 70, false, true, ASK_FAILED, -EBADMSG},
        {"nobody", ANS_SIGNATURE, 0, true, false, ASK_STOP, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const uint8_t hash[32] = {1}, filler[128] = {7};
        uint8_t sig[72];
        size_t sig_len = sizeof sig;
        int monitor;
        struct ask a = open_ends(&monitor);
        if (cases[i].closed)
            (void)close(monitor);
        else
            send_signature(monitor, cases[i].type, cases[i].len, cases[i].trailing);
        enum asked result =
            ask_signature(&a, SIGN_ECDSA, (struct bytes){hash, sizeof hash}, sig, &sig_len);
        if (result != cases[i].result || a.error != cases[i].error || a.failure != cases[i].result)
            fail_msg("%s: %d, %d", cases[i].name, (int)result, a.error);
        if (result == ASK_OK) {
            assert_int_equal(sig_len, cases[i].len);
            assert_memory_equal(sig, filler, sig_len);
        }
        assert_int_equal(a.handler_exited, result == ASK_HANDLER_EXITED);
        (void)close(a.monitor);
        if (!cases[i].closed)
            (void)close(monitor);
    }
}

static void news_of_a_handler_that_is_being_stopped_are_passed_over(void **state)
{
    (void)state;
    int monitor;
    struct ask a = open_ends(&monitor);

    send_signature(monitor, EVENT_HANDLER_EXITED, 0, false);
    send_signature(monitor, ANS_HANDLER_STOPPED, 0, false);
    assert_int_equal(ask_stop_handler(&a), ASK_OK);
    assert_false(a.handler_exited);
    (void)close(a.monitor);
    (void)close(monitor);
}

static void a_handler_that_could_not_be_started_has_no_descriptors(void **state)
{
    (void)state;
    struct handler_ends ends = {-1, -1};
    int monitor;
    struct ask a = open_ends(&monitor);

    send_signature(monitor, ANS_HANDLER, 0, false);
    assert_int_equal(ask_plaintext_handler(&a, &ends), ASK_NOTHING);
    (void)close(a.monitor);
    (void)close(monitor);
}

static void each_order_is_what_it_says(void **state)
{
    (void)state;
    static const struct {
        enum message_type type;
        enum order order;
    } cases[] = {
        {EVENT_DRAIN, ORDER_DRAIN},
        {EVENT_HANDLER_EXITED, ORDER_HANDLER_EXITED},
        {EVENT_GO, ORDER_GO_ON},
    };
    int monitor;
    struct ask a = open_ends(&monitor);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        send_signature(monitor, cases[i].type, 0, false);
        assert_int_equal(ask_order(&a), cases[i].order);
    }
    assert_true(a.handler_exited);
    (void)close(monitor);
    assert_int_equal(ask_order(&a), ORDER_ABANDON);
    assert_int_equal(a.failure, ASK_STOP);
    (void)close(a.monitor);
    a.monitor = -1;
    assert_int_equal(ask_order(&a), ORDER_ABANDON);
    assert_int_equal(a.failure, ASK_FAILED);
    assert_int_equal(a.error, -EBADF);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_gate_takes_no_answer_but_the_one_it_asked_for),
        cmocka_unit_test(news_of_a_handler_that_is_being_stopped_are_passed_over),
        cmocka_unit_test(a_handler_that_could_not_be_started_has_no_descriptors),
        cmocka_unit_test(each_order_is_what_it_says),
    };

    return cmocka_run_group_tests_name("ask", tests, NULL, NULL);
}
