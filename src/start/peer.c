/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void set_ip(struct peer *p, sa_family_t family, const uint8_t *bytes, uint16_t port)
{
    if (family == AF_INET6 && memcmp(bytes, v4_mapped, sizeof v4_mapped) == 0) {
        family = AF_INET;
        bytes += sizeof v4_mapped;
    }
    p->family = family;
    memcpy(p->bytes, bytes, family == AF_INET ? 4 : 16);
    p->port = port;
    if (inet_ntop(family, p->bytes, p->host, sizeof p->host) == NULL)
        p->host[0] = '\0';
    (void)snprintf(p->text, sizeof p->text, family == AF_INET ? "%s:%u" : "[%s]:%u", p->host,
                   (unsigned)port);
}

static void set_unix(struct peer *p)
{
    p->family = AF_UNIX;
    (void)snprintf(p->text, sizeof p->text, "unix");
}

void peer_set_bytes(struct peer *p, sa_family_t family, const uint8_t *bytes, uint16_t port)
{
    memset(p, 0, sizeof *p);
    if (family == AF_UNIX)
        set_unix(p);
    else
        set_ip(p, family, bytes, port);
}

void peer_set(struct peer *p, const struct sockaddr *address, socklen_t len)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    memset(p, 0, sizeof *p);
    if (len < sizeof address->sa_family) {
        (void)snprintf(p->text, sizeof p->text, "unknown");
    } else if (address->sa_family == AF_INET && len >= sizeof v4) {
        memcpy(&v4, address, sizeof v4);
        set_ip(p, AF_INET, (const uint8_t *)&v4.sin_addr, ntohs(v4.sin_port));
    } else if (address->sa_family == AF_INET6 && len >= sizeof v6) {
        memcpy(&v6, address, sizeof v6);
        set_ip(p, AF_INET6, v6.sin6_addr.s6_addr, ntohs(v6.sin6_port));
    } else if (address->sa_family == AF_UNIX) {
        set_unix(p);
    } else {
        (void)snprintf(p->text, sizeof p->text, "family-%u", (unsigned)address->sa_family);
    }
}

int peer_of(int fd, struct peer *client, struct peer *server)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;

    memset(client, 0, sizeof *client);
    memset(server, 0, sizeof *server);
    int error = getsockname(fd, (struct sockaddr *)&address, &len) != 0 ? errno : 0;
    const char *text = error == ENOTSOCK ? "pipe" : "unknown";
    (void)snprintf(client->text, sizeof client->text, "%s", text);
    (void)snprintf(server->text, sizeof server->text, "%s", text);
    if (error != 0)
        return 0;
    peer_set(server, (struct sockaddr *)&address, len);
    len = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &len) != 0)
        return errno == ENOTCONN ? -ENOTCONN : 0;
    peer_set(client, (struct sockaddr *)&address, len);
    return 0;
}

bool peer_same_host(const struct peer *a, const struct peer *b)
{
    if (a->family != b->family || (a->family != AF_INET && a->family != AF_INET6))
        return false;
    return memcmp(a->bytes, b->bytes, a->family == AF_INET ? 4 : 16) == 0;
}

/* Reads the prefix length behind the slash: digits, at most max. Returns -1 if it is not one. */
static int parse_bits(const char *text, int max)
{
    int bits = 0;

    if (*text == '\0' || strlen(text) > 3)
        return -1;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        bits = bits * 10 + (*text - '0');
    }
    return bits <= max ? bits : -1;
}

static int parse_network(struct network *n, const char *item, size_t len)
{
    char text[INET6_ADDRSTRLEN + 5];

    if (len >= sizeof text)
        return -EINVAL;
    memcpy(text, item, len);
    text[len] = '\0';
    memset(n, 0, sizeof *n);
    if (strcmp(text, "local") == 0)
        return 0;
    if (strcmp(text, "unix") == 0) {
        n->family = AF_UNIX;
        return 0;
    }
    char *slash = strchr(text, '/');
    if (slash != NULL)
        *slash = '\0';
    if (inet_pton(AF_INET, text, n->bytes) == 1)
        n->family = AF_INET;
    else if (inet_pton(AF_INET6, text, n->bytes) == 1)
        n->family = AF_INET6;
    else
        return -EINVAL;
    int max = n->family == AF_INET ? 32 : 128;
    int bits = slash == NULL ? max : parse_bits(slash + 1, max);
    if (bits < 0)
        return -EINVAL;
    n->bits = (unsigned)bits;
    /* Makes mapped networks IPv4, as peer_set() does with mapped addresses. */
    if (n->family == AF_INET6 && bits >= 96 && memcmp(n->bytes, v4_mapped, sizeof v4_mapped) == 0) {
        n->family = AF_INET;
        n->bits -= 96;
        memmove(n->bytes, n->bytes + sizeof v4_mapped, 4);
    }
    return 0;
}

int networks_parse(struct networks *n, const char *text, const char **bad, size_t *bad_len)
{
    n->count = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, ", \t");
        if (len > 0) {
            if (n->count == PEER_NETWORKS_MAX || parse_network(&n->list[n->count], text, len) < 0) {
                *bad = text;
                *bad_len = len;
                return -EINVAL;
            }
            n->count++;
        }
        text += len;
        text += strspn(text, ", \t");
    }
    return 0;
}

static bool network_holds(const struct network *n, const struct peer *client,
                          const struct peer *server)
{
    if (n->family == AF_UNSPEC)
        return peer_same_host(client, server);
    if (n->family == AF_UNIX)
        return client->family == AF_UNIX || strcmp(client->text, "pipe") == 0;
    if (n->family != client->family)
        return false;
    unsigned whole = n->bits / 8;
    unsigned rest = n->bits % 8;
    if (memcmp(n->bytes, client->bytes, whole) != 0)
        return false;
    return rest == 0 || ((n->bytes[whole] ^ client->bytes[whole]) >> (8 - rest)) == 0;
}

bool networks_hold(const struct networks *n, const struct peer *client, const struct peer *server)
{
    for (size_t i = 0; i < n->count; i++)
        if (network_holds(&n->list[i], client, server))
            return true;
    return false;
}
