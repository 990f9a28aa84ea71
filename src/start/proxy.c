/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/proxy.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define V1_MAX 107  /* bytes of a line of version 1, line end included (section 2.1) */
#define V2_START 16 /* bytes in front of the addresses */
#define V2_IPV4 12  /* bytes of both addresses and both ports */
#define V2_IPV6 36
#define V2_UNIX 216
#define TLV_HEAD 3 /* type, and length in two bytes */

/* Section 2.2. */
enum { COMMAND_LOCAL, COMMAND_PROXY };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX };
enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM, TRANSPORT_DGRAM };
enum { TLV_AUTHORITY = 0x02, TLV_CRC32C = 0x03, TLV_SSL = 0x20 };
enum { TLV_SSL_VERSION = 0x21, TLV_SSL_CN = 0x22 };
enum { HAS_SSL = 0x01, HAS_CERT_NOW = 0x02, HAS_CERT_IN_SESSION = 0x04 };

static const char v1_start[] = "PROXY ";
static const uint8_t v2_signature[12] = {'\r', '\n', '\r', '\n', '\0', '\r',
                                         '\n', 'Q',  'U',  'I',  'T',  '\n'};

static enum proxy_verdict bad(struct proxy_header *h, const char *why)
{
    h->why = why;
    return PROXY_BAD;
}

static unsigned get16(const uint8_t *bytes)
{
    return (unsigned)bytes[0] << 8 | bytes[1];
}

/* Takes a word and the one space behind it; *rest is NULL behind the last one. Returns NULL if there
 * is none. */
static const char *take_word(char **rest)
{
    char *word = *rest;

    if (word == NULL || *word == ' ' || *word == '\0')
        return NULL;
    char *space = strchr(word, ' ');
    *rest = space != NULL ? space + 1 : NULL;
    if (space != NULL)
        *space = '\0';
    return word;
}

/* A decimal number without leading zeroes. */
static bool parse_port(const char *word, uint16_t *port)
{
    unsigned n = 0;
    size_t len = strlen(word);

    if (len > 5 || strspn(word, "0123456789") != len || (word[0] == '0' && len > 1))
        return false;
    for (; *word != '\0'; word++)
        n = n * 10 + (unsigned)(*word - '0');
    *port = (uint16_t)n;
    return n <= UINT16_MAX;
}

/* The four words behind TCP4 or TCP6. */
static enum proxy_verdict parse_v1_addresses(struct proxy_header *h, sa_family_t family, char *rest)
{
    const char *words[4];
    uint8_t client[16], server[16];
    uint16_t ports[2];

    for (int i = 0; i < 4; i++)
        if ((words[i] = take_word(&rest)) == NULL)
            return bad(h, "wants two addresses and two ports, with one space before each");
    if (rest != NULL)
        return bad(h, "something behind the ports");
    if (inet_pton(family, words[0], client) != 1 || inet_pton(family, words[1], server) != 1)
        return bad(h, family == AF_INET ? "an address that is not IPv4"
                                        : "an address that is not IPv6");
    if (!parse_port(words[2], &ports[0]) || !parse_port(words[3], &ports[1]))
        return bad(h, "a port that is no number from 0 to 65535");
    peer_set_bytes(&h->client, family, client, ports[0]);
    peer_set_bytes(&h->server, family, server, ports[1]);
    h->has_addresses = true;
    return PROXY_OK;
}

/* Section 2.1: one line that ends in CR LF. */
static enum proxy_verdict parse_v1(struct proxy_header *h, const uint8_t *bytes, size_t len)
{
    static const char unknown[] = "UNKNOWN";
    char line[V1_MAX + 1];
    size_t seen = len < V1_MAX ? len : V1_MAX;
    const uint8_t *lf = memchr(bytes, '\n', seen);
    if (lf != NULL)
        seen = (size_t)(lf - bytes) + 1;
    const uint8_t *cr = memchr(bytes, '\r', seen);

    if (cr != NULL && cr + 1 < bytes + seen && cr[1] != '\n')
        return bad(h, "a CR without LF");
    if (lf != NULL && cr == NULL)
        return bad(h, "a LF without CR");
    if (lf == NULL)
        return seen < V1_MAX ? PROXY_MORE : bad(h, "no CR LF within 107 bytes");
    h->len = seen;
    memcpy(line, bytes, seen - 2);
    line[seen - 2] = '\0';
    char *rest = line + sizeof v1_start - 1;
    size_t rest_len = seen - 2 - (sizeof v1_start - 1);
    /* What stands behind UNKNOWN is to be ignored, whatever it is. */
    if (rest_len >= sizeof unknown - 1 && memcmp(rest, unknown, sizeof unknown - 1) == 0 &&
        (rest_len == sizeof unknown - 1 || rest[sizeof unknown - 1] == ' '))
        return PROXY_OK;
    if (strlen(rest) != rest_len)
        return bad(h, "a NUL");
    if (strncmp(rest, "TCP4 ", 5) == 0)
        return parse_v1_addresses(h, AF_INET, rest + 5);
    if (strncmp(rest, "TCP6 ", 5) == 0)
        return parse_v1_addresses(h, AF_INET6, rest + 5);
    return bad(h, "neither TCP4, TCP6 nor UNKNOWN");
}

/* RFC 4960 appendix B, with four bytes from `hole` on taken for zero. */
static uint32_t crc32c(const uint8_t *bytes, size_t len, size_t hole)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= i >= hole && i < hole + 4 ? 0U : bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
    }
    return ~crc;
}

/* Walks what stands behind the addresses, from `at` on: each piece must have its place, and of them
 * all only the checksum counts (section 2.2.3). */
static enum proxy_verdict check_tlvs(struct proxy_header *h, const uint8_t *bytes, size_t at)
{
    size_t checksum = 0;

    while (at < h->len) {
        if (h->len - at < TLV_HEAD || get16(bytes + at + 1) > h->len - at - TLV_HEAD)
            return bad(h, "a TLV that reaches beyond the header's end");
        size_t size = get16(bytes + at + 1);
        if (bytes[at] == TLV_CRC32C) {
            if (size != 4 || checksum != 0)
                return bad(h, "a checksum that is not four bytes, or two of them");
            checksum = at + TLV_HEAD;
        }
        at += TLV_HEAD + size;
    }
    if (checksum == 0)
        return PROXY_OK;
    uint32_t stated =
        (uint32_t)get16(bytes + checksum) << 16 | (uint32_t)get16(bytes + checksum + 2);
    return crc32c(bytes, h->len, checksum) == stated ? PROXY_OK : bad(h, "its checksum is wrong");
}

static void set_v2_addresses(struct proxy_header *h, unsigned family, const uint8_t *block)
{
    sa_family_t kind = family == FAMILY_INET    ? AF_INET
                       : family == FAMILY_INET6 ? AF_INET6
                                                : AF_UNIX;
    size_t size = family == FAMILY_INET ? 4 : 16;

    h->has_addresses = true;
    if (kind == AF_UNIX) {
        peer_set_bytes(&h->client, kind, NULL, 0);
        peer_set_bytes(&h->server, kind, NULL, 0);
        return;
    }
    peer_set_bytes(&h->client, kind, block, (uint16_t)get16(block + 2 * size));
    peer_set_bytes(&h->server, kind, block + size, (uint16_t)get16(block + 2 * size + 2));
}

/* What follows the first 16 bytes of a header that is whole, for the command PROXY. */
static enum proxy_verdict parse_v2_block(struct proxy_header *h, const uint8_t *bytes)
{
    static const size_t sizes[] = {0, V2_IPV4, V2_IPV6, V2_UNIX};
    unsigned family = bytes[13] >> 4, transport = bytes[13] & 15;

    if (family > FAMILY_UNIX || transport > TRANSPORT_DGRAM)
        return bad(h, "an address family or transport that does not exist");
    /* How long its addresses are can't be known. */
    if (family == FAMILY_UNSPEC || transport == TRANSPORT_UNSPEC)
        return PROXY_OK;
    if (h->len - V2_START < sizes[family])
        return bad(h, "too short for its addresses");
    enum proxy_verdict verdict = check_tlvs(h, bytes, V2_START + sizes[family]);
    if (verdict == PROXY_OK && transport == TRANSPORT_STREAM)
        set_v2_addresses(h, family, bytes + V2_START);
    return verdict;
}

/* Section 2.2. */
static enum proxy_verdict parse_v2(struct proxy_header *h, const uint8_t *bytes, size_t len)
{
    if (len > 12 && bytes[12] >> 4 != 2)
        return bad(h, "neither version 1 nor 2");
    if (len > 12 && (bytes[12] & 15) > COMMAND_PROXY)
        return bad(h, "a command that is neither LOCAL nor PROXY");
    if (len < V2_START)
        return PROXY_MORE;
    h->len = V2_START + (size_t)get16(bytes + 14);
    if (h->len > PROXY_HEADER_MAX)
        return bad(h, "longer than 4096 bytes");
    if (len < h->len)
        return PROXY_MORE;
    /* The proxy speaks for itself; what else it says is to be thrown away. */
    return (bytes[12] & 15) == COMMAND_LOCAL ? PROXY_OK : parse_v2_block(h, bytes);
}

static bool begins(const uint8_t *bytes, size_t len, const void *with, size_t with_len)
{
    return memcmp(bytes, with, len < with_len ? len : with_len) == 0;
}

enum proxy_verdict proxy_parse(struct proxy_header *h, const uint8_t *bytes, size_t len)
{
    const size_t word = sizeof v1_start - 2;

    *h = (struct proxy_header){.why = ""};
    if (len == 0)
        return PROXY_MORE;
    if (begins(bytes, len, v2_signature, sizeof v2_signature))
        return parse_v2(h, bytes, len);
    if (!begins(bytes, len, v1_start, word))
        return PROXY_ABSENT;
    if (len > word && bytes[word] != ' ')
        return bad(h, "no space behind PROXY");
    return len > word ? parse_v1(h, bytes, len) : PROXY_MORE;
}

static bool is_ip(const struct peer *p)
{
    return p->family == AF_INET || p->family == AF_INET6;
}

/* What can't be told in version 1 is UNKNOWN. */
static size_t build_v1(uint8_t *buf, const struct peer *client, const struct peer *server)
{
    bool v4 = client->family == AF_INET && server->family == AF_INET;
    int n;

    if (!is_ip(client) || !is_ip(server))
        n = snprintf((char *)buf, PROXY_BUILD_MAX, "%sUNKNOWN\r\n", v1_start);
    else
        n = snprintf((char *)buf, PROXY_BUILD_MAX, "%s%s %s%s %s%s %u %u\r\n", v1_start,
                     v4 ? "TCP4" : "TCP6", !v4 && client->family == AF_INET ? "::ffff:" : "",
                     client->host, !v4 && server->family == AF_INET ? "::ffff:" : "", server->host,
                     (unsigned)client->port, (unsigned)server->port);
    return n > 0 && n < PROXY_BUILD_MAX ? (size_t)n : 0;
}

/* A header of version 2 that grows. PROXY_BUILD_MAX has room for all that is put into it. */
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

/* Sections 2.2.2 and 2.2.6. */
static void put_facts(struct growing *g, const struct facts *facts)
{
    const struct client_facts *c = &facts->client;
    bool verified = c->verify == CLIENT_VERIFIED;
    uint8_t has = HAS_SSL;
    if (verified)
        has |= facts->resumed ? HAS_CERT_IN_SESSION : HAS_CERT_NOW | HAS_CERT_IN_SESSION;
    /* Four bytes of `verify': zero stands for a certificate that has been found good. */
    uint8_t ssl[5 + 2 * TLV_HEAD + sizeof facts->version + sizeof c->common_name] = {
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
    unsigned family = !ip ? FAMILY_UNSPEC : v4 ? FAMILY_INET : FAMILY_INET6;
    const uint8_t start[] = {2 << 4 | COMMAND_PROXY,
                             (uint8_t)(family << 4 | (ip ? TRANSPORT_STREAM : TRANSPORT_UNSPEC))};

    put(&g, v2_signature, sizeof v2_signature);
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
    struct growing length = {buf, V2_START - 2};
    put16(&length, g.len - V2_START);
    return g.len;
}

size_t proxy_build(uint8_t buf[PROXY_BUILD_MAX], enum proxy_out version, const struct peer *client,
                   const struct peer *server, const struct facts *facts)
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

static void put_end(struct message_writer *w, const struct peer *p)
{
    uint64_t kind = p->family == AF_INET    ? FAMILY_INET
                    : p->family == AF_INET6 ? FAMILY_INET6
                    : p->family == AF_UNIX  ? FAMILY_UNIX
                                            : FAMILY_UNSPEC;

    message_put_number(w, kind);
    message_put_bytes(w, p->bytes, kind == FAMILY_INET ? 4 : kind == FAMILY_INET6 ? 16 : 0);
    message_put_number(w, p->port);
}

/* Returns false for an end without an address. */
static bool get_end(struct message_reader *r, struct peer *p)
{
    static const sa_family_t families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
    size_t len;
    uint64_t kind = message_get_number(r, FAMILY_UNIX);
    const uint8_t *bytes = message_get_bytes(r, sizeof p->bytes, &len);
    uint16_t port = (uint16_t)message_get_number(r, UINT16_MAX);

    if (len != (kind == FAMILY_INET ? 4 : kind == FAMILY_INET6 ? 16 : 0))
        r->failed = true;
    if (r->failed || kind == FAMILY_UNSPEC)
        return false;
    peer_set_bytes(p, families[kind], bytes, port);
    return true;
}

void proxy_put(struct message_writer *w, const struct proxy_header *h)
{
    put_end(w, &h->client);
    put_end(w, &h->server);
}

void proxy_get(struct message_reader *r, struct proxy_header *h)
{
    *h = (struct proxy_header){.why = ""};
    bool client = get_end(r, &h->client), server = get_end(r, &h->server);

    if (client != server)
        r->failed = true;
    h->has_addresses = client && server && !r->failed;
}
