/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a line with a list of networks, and behind it a socket address as the kernel gives it. */
#include "common.h"

#include "start/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Networks as text again. */
static void print(char *text, size_t size, const struct networks *n)
{
    char host[INET6_ADDRSTRLEN];
    size_t used = 0;

    *text = '\0';
    for (size_t i = 0; i < n->count; i++) {
        const struct network *net = &n->list[i];
        if (net->family == AF_UNSPEC) {
            used += (size_t)snprintf(text + used, size - used, "local,");
        } else if (net->family == AF_UNIX) {
            used += (size_t)snprintf(text + used, size - used, "unix,");
        } else {
            CHECK(inet_ntop(net->family, net->bytes, host, sizeof host) != NULL);
            used += (size_t)snprintf(text + used, size - used, "%s/%u,", host, net->bits);
        }
        CHECK(used < size);
    }
}

static bool same(const struct network *a, const struct network *b)
{
    return a->family == b->family && a->bits == b->bits &&
           memcmp(a->bytes, b->bytes, a->family == AF_INET ? 4 : 16) == 0;
}

/* A network holds its own address, and none that differs within the prefix. */
static void check_network(const struct network *net)
{
    const struct networks one = {.count = 1, .list = {*net}};
    struct peer inside = {.family = net->family}, outside = {.family = net->family};
    struct peer nobody = {.family = AF_UNSPEC};

    CHECK(net->family == AF_UNSPEC || net->family == AF_UNIX || net->family == AF_INET ||
          net->family == AF_INET6);
    CHECK(net->bits <= (net->family == AF_INET ? 32U : net->family == AF_INET6 ? 128U : 0U));
    memcpy(inside.bytes, net->bytes, sizeof inside.bytes);
    memcpy(outside.bytes, net->bytes, sizeof outside.bytes);
    if (net->family == AF_UNSPEC) {
        CHECK(!networks_hold(&one, &nobody, &nobody));
        return;
    }
    CHECK(networks_hold(&one, &inside, &nobody));
    if (net->family == AF_UNIX)
        return;
    CHECK(!networks_hold(&one, &nobody, &inside));
    if (net->bits == 0)
        return;
    unsigned last = net->bits - 1;
    outside.bytes[last / 8] = (uint8_t)(outside.bytes[last / 8] ^ (0x80 >> last % 8));
    CHECK(!networks_hold(&one, &outside, &nobody));
}

/* What parses prints and parses to the same. */
static void try_list(const char *text)
{
    static char printed[PEER_NETWORKS_MAX * (INET6_ADDRSTRLEN + 5) + 1];
    struct networks n, again;
    const char *bad = NULL;
    size_t len = 0;
    int rc = networks_parse(&n, text, &bad, &len);

    CHECK(n.count <= PEER_NETWORKS_MAX);
    if (rc < 0) {
        CHECK(rc == -EINVAL && bad >= text && len > 0 && len <= strlen(bad));
        return;
    }
    print(printed, sizeof printed, &n);
    CHECK(networks_parse(&again, printed, &bad, &len) == 0 && again.count == n.count);
    for (size_t i = 0; i < n.count; i++) {
        CHECK(same(&n.list[i], &again.list[i]));
        check_network(&n.list[i]);
    }
}

static void try_address(const uint8_t *bytes, size_t len)
{
    struct sockaddr_storage address;
    struct peer p;

    if (len > sizeof address)
        len = sizeof address;
    memset(&address, 0xa5, sizeof address);
    if (len > 0)
        memcpy(&address, bytes, len);
    peer_set(&p, (const struct sockaddr *)&address, (socklen_t)len);
    fuzz_check_text(p.host, sizeof p.host);
    fuzz_check_text(p.text, sizeof p.text);
    CHECK(*p.text != '\0' && strchr(p.text, ' ') == NULL);
    bool is_ip = p.family == AF_INET || p.family == AF_INET6;
    CHECK(is_ip == (*p.host != '\0'));
    CHECK(peer_same_host(&p, &p) == is_ip);
    if (!is_ip)
        return;
    /* The address as text is a network that holds it. */
    struct networks n;
    const char *bad;
    size_t bad_len;
    CHECK(networks_parse(&n, p.host, &bad, &bad_len) == 0 && networks_hold(&n, &p, &p));
    CHECK(networks_parse(&n, "local", &bad, &bad_len) == 0 && networks_hold(&n, &p, &p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *line = text;
    size_t line_len = 0;

    (void)fuzz_line(&text, &size, &line, &line_len);
    char *list = fuzz_text(line, line_len);
    try_list(list);
    free(list);
    try_address((const uint8_t *)text, size);
    return 0;
}
