/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of clients.c: who counts as one client, and that no child can see the others. */
#include "monitor/clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct peer client(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(1)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(1)};
    struct sockaddr local = {.sa_family = AF_UNIX};
    struct peer p;

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        peer_set(&p, (struct sockaddr *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
        peer_set(&p, (struct sockaddr *)&v6, sizeof v6);
    else
        peer_set(&p, &local, sizeof local.sa_family);
    return p;
}

static void a_client_is_an_ipv4_address_or_the_network_of_an_ipv6_address(void **state)
{
    (void)state;
    static const struct {
        const char *there, *comes;
        size_t count;
    } cases[] = {
        {"192.0.2.7", "192.0.2.7", 1},
        {"192.0.2.7", "192.0.2.8", 0},
        {"192.0.2.7", "::ffff:192.0.2.7", 1},
        {"2001:db8::1", "2001:db8::1", 1},
        {"2001:db8::1", "2001:db8::ffff:0:0:2", 1},
        {"2001:db8::1", "2001:db8:0:1::1", 0},
        {"c000:207::", "192.0.2.7", 0},
        {"unix", "unix", 0},
        {"unix", "192.0.2.7", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clients c;
        struct peer there = client(cases[i].there), comes = client(cases[i].comes);
        assert_int_equal(clients_open(&c, 4), 0);
        clients_add(&c, 1, &there);
        if (clients_count(&c, &comes) != cases[i].count)
            fail_msg("%s and %s: %zu", cases[i].there, cases[i].comes, clients_count(&c, &comes));
        clients_close(&c);
    }
}

static void whoever_leaves_is_counted_no_more(void **state)
{
    (void)state;
    struct clients c;
    struct peer one = client("192.0.2.1"), two = client("192.0.2.2");

    assert_int_equal(clients_open(&c, 3), 0);
    assert_int_equal(c.room, 3);
    clients_add(&c, 11, &one);
    clients_add(&c, 12, &two);
    clients_add(&c, 13, &one);
    assert_int_equal(clients_count(&c, &one), 2);
    assert_int_equal(clients_remove(&c, 11), 0);
    assert_int_equal(clients_remove(&c, 11), -ESRCH);
    assert_int_equal(clients_count(&c, &one), 1);
    assert_int_equal(clients_remove(&c, 12), 0);
    assert_int_equal(clients_remove(&c, 13), 0);
    assert_int_equal(c.count, 0);
    clients_close(&c);
}

static void without_a_number_there_is_room_for_all_that_there_can_be(void **state)
{
    (void)state;
    struct clients c;
    struct peer one = client("192.0.2.1");

    assert_int_equal(clients_open(&c, 0), 0);
    assert_int_equal(c.room, CLIENTS_MAX);
    for (pid_t pid = 1; pid <= CLIENTS_MAX; pid++)
        clients_add(&c, pid, &one);
    assert_int_equal(clients_count(&c, &one), CLIENTS_MAX);
    clients_close(&c);
}

static void no_child_can_see_who_else_is_there(void **state)
{
    (void)state;
    struct clients c;
    struct peer one = client("192.0.2.1");
    int status = 0;

    assert_int_equal(clients_open(&c, 1), 0);
    clients_add(&c, 11, &one);
    pid_t pid = fork();
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL);
        _exit(c.entries[0].pid == 11 ? 0 : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(c.entries[0].pid, 11);
    clients_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_an_ipv4_address_or_the_network_of_an_ipv6_address),
        cmocka_unit_test(whoever_leaves_is_counted_no_more),
        cmocka_unit_test(without_a_number_there_is_room_for_all_that_there_can_be),
        cmocka_unit_test(no_child_can_see_who_else_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
