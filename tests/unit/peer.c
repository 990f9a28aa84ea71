/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of peer.c: addresses of both ends and lists of networks. */
#include "start/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* A peer with this address, as the kernel would tell it. */
static struct peer peer_at(const char *address, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct peer p = {.family = AF_UNSPEC};

    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        peer_set(&p, (struct sockaddr *)&v4, sizeof v4);
    else if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
        peer_set(&p, (struct sockaddr *)&v6, sizeof v6);
    else
        fail_msg("%s is no address", address);
    return p;
}

static void an_address_is_shown_as_host_and_text(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        uint16_t port;
        sa_family_t family;
        const char *host, *text;
    } cases[] = {
        {"192.0.2.7", 143, AF_INET, "192.0.2.7", "192.0.2.7:143"},
        {"0.0.0.0", 0, AF_INET, "0.0.0.0", "0.0.0.0:0"},
        {"2001:db8::1", 65535, AF_INET6, "2001:db8::1", "[2001:db8::1]:65535"},
        {"::", 993, AF_INET6, "::", "[::]:993"},
        {"::ffff:192.0.2.7", 143, AF_INET, "192.0.2.7", "192.0.2.7:143"},
        {"::192.0.2.7", 143, AF_INET6, "::192.0.2.7", "[::192.0.2.7]:143"},
        {"1111:2222:3333:4444:5555:6666:7777:8888", 65535, AF_INET6,
         "1111:2222:3333:4444:5555:6666:7777:8888",
         "[1111:2222:3333:4444:5555:6666:7777:8888]:65535"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer p = peer_at(cases[i].address, cases[i].port);
        assert_int_equal(p.family, cases[i].family);
        assert_int_equal(p.port, cases[i].port);
        assert_string_equal(p.host, cases[i].host);
        assert_string_equal(p.text, cases[i].text);
    }
}

static void an_address_may_be_set_by_its_bytes(void **state)
{
    (void)state;
    static const struct {
        sa_family_t family;
        uint8_t bytes[16];
        sa_family_t becomes;
        const char *host, *text;
    } cases[] = {
        {AF_INET, {192, 0, 2, 7}, AF_INET, "192.0.2.7", "192.0.2.7:143"},
        {AF_INET6, {0x20, 1, 0xd, 0xb8, [15] = 1}, AF_INET6, "2001:db8::1", "[2001:db8::1]:143"},
        {AF_INET6,
         {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 7},
         AF_INET,
         "192.0.2.7",
         "192.0.2.7:143"},
    };
    struct peer p;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        memset(&p, 0x55, sizeof p);
        peer_set_bytes(&p, cases[i].family, cases[i].bytes, 143);
        assert_int_equal(p.family, cases[i].becomes);
        assert_int_equal(p.port, 143);
        assert_string_equal(p.host, cases[i].host);
        assert_string_equal(p.text, cases[i].text);
    }
    peer_set_bytes(&p, AF_UNIX, NULL, 0);
    assert_int_equal(p.family, AF_UNIX);
    assert_string_equal(p.text, "unix");
    assert_string_equal(p.host, "");
}

static void what_is_no_ip_address_is_named_by_its_kind(void **state)
{
    (void)state;
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr other = {.sa_family = AF_APPLETALK};
    struct sockaddr_in cut = {.sin_family = AF_INET};
    struct peer p;

    peer_set(&p, (struct sockaddr *)&local, sizeof local.sun_family);
    assert_int_equal(p.family, AF_UNIX);
    assert_string_equal(p.text, "unix");
    assert_string_equal(p.host, "");
    peer_set(&p, &other, sizeof other);
    assert_int_equal(p.family, AF_UNSPEC);
    assert_non_null(strstr(p.text, "5"));
    /* Addresses that are cut short are never read beyond their end. */
    peer_set(&p, (struct sockaddr *)&cut, sizeof cut.sin_family);
    assert_int_equal(p.family, AF_UNSPEC);
    peer_set(&p, &other, 0);
    assert_int_equal(p.family, AF_UNSPEC);
    assert_string_equal(p.host, "");
}

static void both_ends_of_a_tcp_connection_are_told(void **state)
{
    (void)state;
    static const struct {
        int family;
        const char *host;
    } cases[] = {{AF_INET, "127.0.0.1"}, {AF_INET6, "::1"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sockaddr_storage address = {.ss_family = (sa_family_t)cases[i].family};
        socklen_t len = sizeof address;
        struct peer client, server, other_client, other_server;
        int listener = socket(cases[i].family, SOCK_STREAM, 0);
        if (cases[i].family == AF_INET)
            ((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        else
            ((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
        len = cases[i].family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        if (listener < 0 || bind(listener, (struct sockaddr *)&address, len) != 0) {
            print_message("no family %d here\n", cases[i].family);
            (void)close(listener);
            continue;
        }
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
        int ours = socket(cases[i].family, SOCK_STREAM, 0);
        assert_int_equal(connect(ours, (struct sockaddr *)&address, len), 0);
        int theirs = accept(listener, NULL, NULL);
        assert_true(theirs >= 0);
        assert_int_equal(peer_of(theirs, &client, &server), 0);
        assert_int_equal(peer_of(ours, &other_server, &other_client), 0);
        assert_string_equal(client.host, cases[i].host);
        assert_string_equal(server.host, cases[i].host);
        assert_string_equal(client.text, other_client.text);
        assert_string_equal(server.text, other_server.text);
        assert_true(client.port != 0 && client.port != server.port);
        assert_true(peer_same_host(&client, &server));
        (void)close(theirs);
        (void)close(ours);
        (void)close(listener);
    }
}

static void a_socketpair_is_unix_and_a_pipe_is_a_pipe(void **state)
{
    (void)state;
    struct peer client, server;
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    assert_int_equal(peer_of(s[0], &client, &server), 0);
    assert_int_equal(client.family, AF_UNIX);
    assert_string_equal(client.text, "unix");
    assert_false(peer_same_host(&client, &server));
    (void)close(s[0]);
    (void)close(s[1]);
    assert_int_equal(pipe(s), 0);
    assert_int_equal(peer_of(s[0], &client, &server), 0);
    assert_int_equal(client.family, AF_UNSPEC);
    assert_string_equal(client.text, "pipe");
    (void)close(s[0]);
    (void)close(s[1]);
}

static void a_socket_without_a_peer_is_not_connected(void **state)
{
    (void)state;
    struct peer client, server;
    int s = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(peer_of(s, &client, &server), -ENOTCONN);
    assert_int_equal(client.family, AF_UNSPEC);
    assert_string_equal(client.text, "unknown");
    (void)close(s);
}

static void lists_of_networks_are_taken_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        const char *bad; /* NULL: all is good */
    } cases[] = {
        {"", 0, NULL},
        {",, ,", 0, NULL},
        {"192.0.2.0/24", 1, NULL},
        {"192.0.2.7", 1, NULL},
        {"192.0.2.7/0", 1, NULL},
        {"192.0.2.7/32", 1, NULL},
        {"2001:db8::/32,::1/128, ::/0", 3, NULL},
        {"local", 1, NULL},
        {"unix", 1, NULL},
        {"::1,unix,local", 3, NULL},
        {"local,192.0.2.0/24,,2001:db8::/32,", 3, NULL},
        {"192.0.2.0/33", 0, "192.0.2.0/33"},
        {"192.0.2.0/", 0, "192.0.2.0/"},
        {"192.0.2.0/-1", 0, "192.0.2.0/-1"},
        {"192.0.2.0/+8", 0, "192.0.2.0/+8"},
        {"192.0.2.0/8x", 0, "192.0.2.0/8x"},
        {"192.0.2.0/255.255.255.0", 0, "192.0.2.0/255.255.255.0"},
        {"192.0.2.0//24", 0, "192.0.2.0//24"},
        {"192.0.2", 0, "192.0.2"},
        {"192.0.2.256", 0, "192.0.2.256"},
        {"2001:db8::/129", 0, "2001:db8::/129"},
        {"2001:db8::/1000", 0, "2001:db8::/1000"},
        {"2001:db8:::/32", 0, "2001:db8:::/32"},
        {"[2001:db8::1]", 0, "[2001:db8::1]"},
        {"/24", 0, "/24"},
        {"mail.example.org", 0, "mail.example.org"},
        {"LOCAL", 0, "LOCAL"},
        {"local/8", 0, "local/8"},
        {"UNIX", 0, "UNIX"},
        {"unix/0", 0, "unix/0"},
        {"192.0.2.0/24,bad,::1", 0, "bad"},
        {"192.0.2.0/24;::1", 0, "192.0.2.0/24;::1"},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/128", 0,
         "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc/128"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct networks n;
        const char *bad = NULL;
        size_t len = 0;
        memset(&n, 0x55, sizeof n);
        int rc = networks_parse(&n, cases[i].text, &bad, &len);
        if (rc != (cases[i].bad == NULL ? 0 : -EINVAL))
            fail_msg("%s: %d", cases[i].text, rc);
        if (rc == 0) {
            assert_int_equal(n.count, cases[i].count);
            continue;
        }
        if (len != strlen(cases[i].bad) || strncmp(bad, cases[i].bad, len) != 0)
            fail_msg("%s: blames %.*s", cases[i].text, (int)len, bad);
        assert_true(bad >= cases[i].text && bad + len <= cases[i].text + strlen(cases[i].text));
    }
}

static void at_most_64_networks_are_taken(void **state)
{
    (void)state;
    char text[2048] = "";
    struct networks n;
    const char *bad;
    size_t len, used = 0;

    for (unsigned i = 0; i < PEER_NETWORKS_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "192.0.2.%u,", i);
    assert_int_equal(networks_parse(&n, text, &bad, &len), 0);
    assert_int_equal(n.count, PEER_NETWORKS_MAX);
    (void)snprintf(text + used, sizeof text - used, "local");
    assert_int_equal(networks_parse(&n, text, &bad, &len), -EINVAL);
    assert_string_equal(bad, "local");
}

static void a_network_holds_its_own_up_to_the_last_bit(void **state)
{
    (void)state;
    static const struct {
        const char *network, *inside, *outside; /* NULL: none */
    } cases[] = {
        {"10.11.12.13/0", "245.1.2.3", "2001:db8::1"},
        {"128.0.0.0/1", "255.255.255.255", "127.255.255.255"},
        {"0.0.0.0/1", "127.255.255.255", "128.0.0.0"},
        {"10.0.0.0/7", "11.255.255.255", "12.0.0.0"},
        {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
        {"10.0.0.0/9", "10.127.255.255", "10.128.0.0"},
        {"10.128.0.0/9", "10.128.0.0", "10.127.255.255"},
        {"192.0.2.6/31", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.7/32", "192.0.2.7", "192.0.2.6"},
        {"192.0.2.7", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.77/24", "192.0.2.200", "192.0.3.77"},
        {"192.0.2.0/24", "::ffff:192.0.2.7", "::192.0.2.7"},
        {"0.0.0.0/0", "::ffff:192.0.2.7", "::"},
        {"::/0", "2001:db8::1", "192.0.2.7"},
        {"8000::/1", "ffff::", "7fff::"},
        {"2000::/7", "21ff::", "2200::"},
        {"2000::/8", "20ff::", "2100::"},
        {"2000::/9", "207f::", "2080::"},
        {"2001:db8::/31", "2001:db9::", "2001:dba::"},
        {"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
        {"2001:db8::/64", "2001:db8::ffff:0:0:1", "2001:db8:0:1::"},
        {"2001:db8::6/127", "2001:db8::7", "2001:db8::8"},
        {"2001:db8::7/128", "2001:db8::7", "2001:db8::6"},
        {"::1", "::1", "127.0.0.1"},
        {"192.0.2.1,2001:db8::1", "2001:db8::1", "192.0.2.2"},
        {"", NULL, "192.0.2.7"},
    };
    struct peer server = peer_at("198.51.100.1", 143);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct networks n;
        const char *bad;
        size_t len;
        assert_int_equal(networks_parse(&n, cases[i].network, &bad, &len), 0);
        if (cases[i].inside != NULL) {
            struct peer inside = peer_at(cases[i].inside, 1);
            if (!networks_hold(&n, &inside, &server))
                fail_msg("%s lacks %s", cases[i].network, cases[i].inside);
        }
        struct peer outside = peer_at(cases[i].outside, 1);
        if (networks_hold(&n, &outside, &server))
            fail_msg("%s holds %s", cases[i].network, cases[i].outside);
    }
}

static void local_means_both_ends_have_the_same_address(void **state)
{
    (void)state;
    static const struct {
        const char *client, *server;
        bool same;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", true},     {"192.0.2.7", "192.0.2.7", true},
        {"127.0.0.1", "127.0.0.2", false},    {"::1", "::1", true},
        {"::1", "127.0.0.1", false},          {"::ffff:192.0.2.7", "192.0.2.7", true},
        {"2001:db8::1", "2001:db8::", false}, {"0.0.0.0", "::", false},
    };
    struct networks n;
    const char *bad;
    size_t len;

    assert_int_equal(networks_parse(&n, "local", &bad, &len), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct peer client = peer_at(cases[i].client, 1000);
        struct peer server = peer_at(cases[i].server, 143);
        if (networks_hold(&n, &client, &server) != cases[i].same)
            fail_msg("%s and %s", cases[i].client, cases[i].server);
        assert_true(peer_same_host(&client, &server) == cases[i].same);
    }
}

static void what_has_no_address_is_in_no_network(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct networks n;
    const char *bad;
    size_t len;
    struct peer unix_peer, none;
    int p[2];

    assert_int_equal(networks_parse(&n, "local,0.0.0.0/0,::/0", &bad, &len), 0);
    peer_set(&unix_peer, (struct sockaddr *)&address, sizeof address);
    assert_false(networks_hold(&n, &unix_peer, &unix_peer));
    assert_int_equal(pipe(p), 0);
    assert_int_equal(peer_of(p[0], &none, &none), 0);
    assert_false(networks_hold(&n, &none, &none));
    /* But for the word that means them, and nothing with an address. */
    assert_int_equal(networks_parse(&n, "unix", &bad, &len), 0);
    assert_true(networks_hold(&n, &unix_peer, &unix_peer));
    assert_true(networks_hold(&n, &none, &none));
    static const char *const addresses[] = {"127.0.0.1", "::1", "0.0.0.0", "192.0.2.7"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct peer host = peer_at(addresses[i], 1);
        assert_false(networks_hold(&n, &host, &host));
    }
    struct sockaddr other = {.sa_family = AF_APPLETALK};
    peer_set(&none, &other, sizeof other);
    assert_false(networks_hold(&n, &none, &none));
    (void)close(p[0]);
    (void)close(p[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_shown_as_host_and_text),
        cmocka_unit_test(an_address_may_be_set_by_its_bytes),
        cmocka_unit_test(what_is_no_ip_address_is_named_by_its_kind),
        cmocka_unit_test(both_ends_of_a_tcp_connection_are_told),
        cmocka_unit_test(a_socketpair_is_unix_and_a_pipe_is_a_pipe),
        cmocka_unit_test(a_socket_without_a_peer_is_not_connected),
        cmocka_unit_test(lists_of_networks_are_taken_or_refused),
        cmocka_unit_test(at_most_64_networks_are_taken),
        cmocka_unit_test(a_network_holds_its_own_up_to_the_last_bit),
        cmocka_unit_test(local_means_both_ends_have_the_same_address),
        cmocka_unit_test(what_has_no_address_is_in_no_network),
    };

    return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
