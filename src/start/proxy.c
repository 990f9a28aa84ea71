/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/proxy.h"

#include <arpa/inet.h>
#include <string.h>

#define V1_MAX 107 /* bytes of a line of version 1, line end included (section 2.1) */
#define V2_IPV4 12 /* bytes of both addresses and both ports */
#define V2_IPV6 36
#define V2_UNIX 216

enum { TLV_CRC32C = 0x03 };

const char proxy_v1_start[] = "PROXY ";
const uint8_t proxy_v2_signature[] = {'\r', '\n', '\r', '\n', '\0', '\r',
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

/* Takes a word and the one space behind it off *rest, which becomes NULL behind the last word. Returns the word;
 * NULL if there is none. */
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

/* Reads a decimal number without leading zeroes. Returns false if it is no port. */
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

/* Parses the four words behind TCP4 or TCP6. */
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

/* Parses a header of version 1, one line that ends in CR LF (section 2.1). */
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
    char *rest = line + sizeof proxy_v1_start - 1;
    size_t rest_len = seen - 2 - (sizeof proxy_v1_start - 1);
    /* The specification says to ignore all text behind UNKNOWN. */
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

/* Computes CRC32C (RFC 4960 appendix B) as if the four bytes at `hole` were zero. */
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

/* Checks the TLVs behind the addresses, which begin at `at`: each must end inside the header. Verifies the checksum
 * if there is one (section 2.2.3) and ignores the other types. */
static enum proxy_verdict check_tlvs(struct proxy_header *h, const uint8_t *bytes, size_t at)
{
    size_t checksum = 0;

    while (at < h->len) {
        if (h->len - at < PROXY_TLV_HEAD || get16(bytes + at + 1) > h->len - at - PROXY_TLV_HEAD)
            return bad(h, "a TLV that reaches beyond the header's end");
        size_t size = get16(bytes + at + 1);
        if (bytes[at] == TLV_CRC32C) {
            if (size != 4 || checksum != 0)
                return bad(h, "a checksum that is not four bytes, or two of them");
            checksum = at + PROXY_TLV_HEAD;
        }
        at += PROXY_TLV_HEAD + size;
    }
    if (checksum == 0)
        return PROXY_OK;
    uint32_t stated =
        (uint32_t)get16(bytes + checksum) << 16 | (uint32_t)get16(bytes + checksum + 2);
    return crc32c(bytes, h->len, checksum) == stated ? PROXY_OK : bad(h, "its checksum is wrong");
}

static void set_v2_addresses(struct proxy_header *h, unsigned family, const uint8_t *block)
{
    sa_family_t kind = family == PROXY_FAMILY_INET    ? AF_INET
                       : family == PROXY_FAMILY_INET6 ? AF_INET6
                                                      : AF_UNIX;
    size_t size = family == PROXY_FAMILY_INET ? 4 : 16;

    h->has_addresses = true;
    if (kind == AF_UNIX) {
        peer_set_bytes(&h->client, kind, NULL, 0);
        peer_set_bytes(&h->server, kind, NULL, 0);
        return;
    }
    peer_set_bytes(&h->client, kind, block, (uint16_t)get16(block + 2 * size));
    peer_set_bytes(&h->server, kind, block + size, (uint16_t)get16(block + 2 * size + 2));
}

/* Parses the part of a whole header behind its first 16 bytes, for the command PROXY. */
static enum proxy_verdict parse_v2_block(struct proxy_header *h, const uint8_t *bytes)
{
    static const size_t sizes[] = {0, V2_IPV4, V2_IPV6, V2_UNIX};
    unsigned family = bytes[13] >> 4, transport = bytes[13] & 15;

    if (family > PROXY_FAMILY_UNIX || transport > PROXY_TRANSPORT_DGRAM)
        return bad(h, "an address family or transport that does not exist");
    /* The length of such addresses is not specified, so nothing behind them can be checked. */
    if (family == PROXY_FAMILY_UNSPEC || transport == PROXY_TRANSPORT_UNSPEC)
        return PROXY_OK;
    if (h->len - PROXY_V2_START < sizes[family])
        return bad(h, "too short for its addresses");
    enum proxy_verdict verdict = check_tlvs(h, bytes, PROXY_V2_START + sizes[family]);
    if (verdict == PROXY_OK && transport == PROXY_TRANSPORT_STREAM)
        set_v2_addresses(h, family, bytes + PROXY_V2_START);
    return verdict;
}

/* Parses a header of version 2 (section 2.2). */
static enum proxy_verdict parse_v2(struct proxy_header *h, const uint8_t *bytes, size_t len)
{
    if (len > 12 && bytes[12] >> 4 != 2)
        return bad(h, "neither version 1 nor 2");
    if (len > 12 && (bytes[12] & 15) > PROXY_COMMAND_PROXY)
        return bad(h, "a command that is neither LOCAL nor PROXY");
    if (len < PROXY_V2_START)
        return PROXY_MORE;
    h->len = PROXY_V2_START + (size_t)get16(bytes + 14);
    if (h->len > PROXY_HEADER_MAX)
        return bad(h, "longer than 4096 bytes");
    if (len < h->len)
        return PROXY_MORE;
    /* LOCAL: the proxy connects for itself, and the rest of the header is ignored. */
    return (bytes[12] & 15) == PROXY_COMMAND_LOCAL ? PROXY_OK : parse_v2_block(h, bytes);
}

static bool begins(const uint8_t *bytes, size_t len, const void *with, size_t with_len)
{
    return memcmp(bytes, with, len < with_len ? len : with_len) == 0;
}

enum proxy_verdict proxy_parse(struct proxy_header *h, const uint8_t *bytes, size_t len)
{
    const size_t word = sizeof proxy_v1_start - 2;

    *h = (struct proxy_header){.why = ""};
    if (len == 0)
        return PROXY_MORE;
    if (begins(bytes, len, proxy_v2_signature, sizeof proxy_v2_signature))
        return parse_v2(h, bytes, len);
    if (!begins(bytes, len, proxy_v1_start, word))
        return PROXY_ABSENT;
    if (len > word && bytes[word] != ' ')
        return bad(h, "no space behind PROXY");
    return len > word ? parse_v1(h, bytes, len) : PROXY_MORE;
}

static void put_end(struct message_writer *w, const struct peer *p)
{
    uint64_t kind = p->family == AF_INET    ? PROXY_FAMILY_INET
                    : p->family == AF_INET6 ? PROXY_FAMILY_INET6
                    : p->family == AF_UNIX  ? PROXY_FAMILY_UNIX
                                            : PROXY_FAMILY_UNSPEC;

    message_put_number(w, kind);
    message_put_bytes(w, p->bytes,
                      kind == PROXY_FAMILY_INET    ? 4
                      : kind == PROXY_FAMILY_INET6 ? 16
                                                   : 0);
    message_put_number(w, p->port);
}

/* Reads one end. Returns false for an end without an address. */
static bool get_end(struct message_reader *r, struct peer *p)
{
    static const sa_family_t families[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX};
    size_t len;
    uint64_t kind = message_get_number(r, PROXY_FAMILY_UNIX);
    const uint8_t *bytes = message_get_bytes(r, sizeof p->bytes, &len);
    uint16_t port = (uint16_t)message_get_number(r, UINT16_MAX);

    if (len != (kind == PROXY_FAMILY_INET ? 4 : kind == PROXY_FAMILY_INET6 ? 16 : 0))
        r->failed = true;
    if (r->failed || kind == PROXY_FAMILY_UNSPEC)
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
