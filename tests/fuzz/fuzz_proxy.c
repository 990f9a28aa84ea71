/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: the first bytes of a connection, as a PROXY header; and the same bytes as what a gate that
 * has been taken over tells the monitor of one. */
#include "common.h"

#include "monitor/proxy_out.h"
#include "start/proxy.h"

#include <stdlib.h>
#include <string.h>

/* Parses a copy that ends where it ends. */
static enum proxy_verdict parse(struct proxy_header *h, const uint8_t *data, size_t size)
{
    uint8_t *copy = fuzz_copy(data, size);
    enum proxy_verdict verdict = proxy_parse(h, copy, size);
    free(copy);
    return verdict;
}

static bool same_ends(const struct proxy_header *a, const struct proxy_header *b)
{
    return strcmp(a->client.text, b->client.text) == 0 &&
           strcmp(a->server.text, b->server.text) == 0;
}

/* What has been read can be told to the handler and to the monitor, and is then the same. */
static void check_told(const struct proxy_header *h)
{
    uint8_t buf[PROXY_OUT_BYTES_MAX];
    struct proxy_header again;
    struct message_writer w;
    struct message_reader r;

    for (int version = PROXY_OUT_V1; version <= PROXY_OUT_V2; version++) {
        size_t len = proxy_out_build(buf, (enum proxy_out)version, &h->client, &h->server, NULL);
        CHECK(parse(&again, buf, len) == PROXY_OK && again.len == len);
        CHECK(h->client.family == AF_UNIX || same_ends(h, &again));
    }
    message_begin(&w, buf, sizeof buf, REPORT_PROXY);
    proxy_put(&w, h);
    CHECK(!w.failed);
    message_parse(&r, buf, w.len);
    proxy_get(&r, &again);
    CHECK(message_complete(&r) && again.has_addresses && same_ends(h, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header h, part;
    struct message_reader r;
    enum proxy_verdict verdict = parse(&h, data, size);

    CHECK(verdict != PROXY_MORE || size < PROXY_HEADER_MAX);
    CHECK((verdict == PROXY_BAD) == (h.why[0] != '\0'));
    if (verdict == PROXY_OK) {
        CHECK(h.len > 0 && h.len <= size && h.len <= PROXY_HEADER_MAX);
        /* It is whole with its last byte, and not before. */
        CHECK(parse(&part, data, h.len) == PROXY_OK && part.len == h.len);
        CHECK(parse(&part, data, h.len - 1) == PROXY_MORE);
        if (h.has_addresses)
            check_told(&h);
    }
    message_parse(&r, data, size);
    proxy_get(&r, &part);
    fuzz_check_text(part.client.text, sizeof part.client.text);
    fuzz_check_text(part.server.text, sizeof part.server.text);
    CHECK(!part.has_addresses || (part.client.text[0] != '\0' && part.server.text[0] != '\0'));
    return 0;
}
