/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/proxy_out.h"

#include "common/io.h"
#include "common/log.h"
#include "start/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TLV_AUTHORITY = 0x02, TLV_SSL = 0x20, TLV_SSL_VERSION = 0x21, TLV_SSL_CN = 0x22 };
enum { HAS_SSL = 0x01, HAS_CERT_NOW = 0x02, HAS_CERT_IN_SESSION = 0x04 };

static bool is_ip(const struct peer *p)
{
    return p->family == AF_INET || p->family == AF_INET6;
}

/* Version 1 says UNKNOWN for ends that are not both IP addresses. */
static size_t build_v1(uint8_t *buf, const struct peer *client, const struct peer *server)
{
    bool v4 = client->family == AF_INET && server->family == AF_INET;
    int n;

    if (!is_ip(client) || !is_ip(server))
        n = snprintf((char *)buf, PROXY_OUT_BYTES_MAX, "%sUNKNOWN\r\n", proxy_v1_start);
    else
        n = snprintf((char *)buf, PROXY_OUT_BYTES_MAX, "%s%s %s%s %s%s %u %u\r\n", proxy_v1_start,
                     v4 ? "TCP4" : "TCP6", !v4 && client->family == AF_INET ? "::ffff:" : "",
                     client->host, !v4 && server->family == AF_INET ? "::ffff:" : "", server->host,
                     (unsigned)client->port, (unsigned)server->port);
    return n > 0 && n < PROXY_OUT_BYTES_MAX ? (size_t)n : 0;
}

/* A header of version 2 under construction. PROXY_OUT_BYTES_MAX bytes are enough for all parts. */
struct growing {
    uint8_t *buf;
    size_t len;
};

static void put(struct growing *g, const void *data, size_t len)
{
    memcpy(g->buf + g->len, data, len);
    g->len += len;
}

static void put16(struct growing *g, size_t value)
{
    const uint8_t bytes[] = {(uint8_t)(value >> 8), (uint8_t)value};

    put(g, bytes, sizeof bytes);
}

static void put_tlv(struct growing *g, uint8_t type, const void *value, size_t len)
{
    put(g, &type, 1);
    put16(g, len);
    put(g, value, len);
}

static void put_address(struct growing *g, const struct peer *p, bool v4)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (p->family == AF_INET && !v4)
        put(g, mapped, sizeof mapped);
    put(g, p->bytes, p->family == AF_INET ? 4 : 16);
}

/* Adds server name, TLS version and the client certificate's name (sections 2.2.2 and 2.2.6). */
static void put_facts(struct growing *g, const struct facts *facts)
{
    const struct client_facts *c = &facts->client;
    bool verified = c->verify == CLIENT_VERIFIED;
    uint8_t has = HAS_SSL;
    if (verified)
        has |= facts->resumed ? HAS_CERT_IN_SESSION : HAS_CERT_NOW | HAS_CERT_IN_SESSION;
    /* The first byte says what there is, the other four are `verify': 0 for a good certificate. */
    uint8_t ssl[5 + 2 * PROXY_TLV_HEAD + sizeof facts->version + sizeof c->common_name] = {
        has, 0, 0, 0, verified ? 0 : 1};
    struct growing inner = {ssl, 5};

    if (facts->name[0] != '\0')
        put_tlv(g, TLV_AUTHORITY, facts->name, strlen(facts->name));
    put_tlv(&inner, TLV_SSL_VERSION, facts->version, strlen(facts->version));
    if (verified && c->common_name[0] != '\0')
        put_tlv(&inner, TLV_SSL_CN, c->common_name, strlen(c->common_name));
    put_tlv(g, TLV_SSL, ssl, inner.len);
}

static size_t build_v2(uint8_t *buf, const struct peer *client, const struct peer *server,
                       const struct facts *facts)
{
    struct growing g = {buf, 0};
    bool ip = is_ip(client) && is_ip(server);
    bool v4 = ip && client->family == AF_INET && server->family == AF_INET;
    unsigned family = !ip ? PROXY_FAMILY_UNSPEC : v4 ? PROXY_FAMILY_INET : PROXY_FAMILY_INET6;
    const uint8_t start[] = {
        2 << 4 | PROXY_COMMAND_PROXY,
        (uint8_t)(family << 4 | (ip ? PROXY_TRANSPORT_STREAM : PROXY_TRANSPORT_UNSPEC))};

    put(&g, proxy_v2_signature, sizeof proxy_v2_signature);
    put(&g, start, sizeof start);
    put16(&g, 0);
    if (ip) {
        put_address(&g, client, v4);
        put_address(&g, server, v4);
        put16(&g, client->port);
        put16(&g, server->port);
    }
    if (facts != NULL)
        put_facts(&g, facts);
    struct growing length = {buf, PROXY_V2_START - 2};
    put16(&length, g.len - PROXY_V2_START);
    return g.len;
}

size_t proxy_out_build(uint8_t buf[PROXY_OUT_BYTES_MAX], enum proxy_out version,
                       const struct peer *client, const struct peer *server,
                       const struct facts *facts)
{
    switch (version) {
    case PROXY_OUT_V1:
        return build_v1(buf, client, server);
    case PROXY_OUT_V2:
        return build_v2(buf, client, server, facts);
    default:
        return 0;
    }
}

int proxy_out_send(struct handler *h, enum proxy_out version, const struct connection *c,
                   const struct facts *facts)
{
    uint8_t buf[PROXY_OUT_BYTES_MAX];
    size_t len = proxy_out_build(buf, version, &c->client, &c->server, facts);
    ssize_t n = len == 0 ? 0 : io_write(h->in, buf, len);

    /* An empty pipe has room for it. -EPIPE is no failure here: the relay will notice it, too. */
    if (n == (ssize_t)len || n == -EPIPE)
        return 0;
    log_error("cannot give the handler its PROXY header (--proxy-out): %s",
              n < 0 ? strerror((int)-n) : "no room");
    /* A handler without the header would take the client's first bytes for one. */
    handler_close(h);
    return n < 0 ? (int)n : -ENOSPC;
}
