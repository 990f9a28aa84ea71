/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a client's first bytes: a ClientHello in its records, or what is none. */
#include "common.h"

#include "tls/hello.h"
#include "tls/reframe.h"

#include <stdlib.h>
#include <string.h>

#define PREFIXES 12
#define SIGALGS 19

static void check_hello(const struct hello *h)
{
    fuzz_check_text(h->name, sizeof h->name);
    fuzz_check_letters(h->name, "abcdefghijklmnopqrstuvwxyz0123456789._-");
    CHECK(h->version_min <= h->version_max && h->version_max <= 0x03ff);
    CHECK(h->version_min == 0 ? h->version_max == 0 : h->version_min >= 0x0300);
    CHECK(h->group_count <= HELLO_GROUPS_MAX);
    fuzz_check_text(h->alpn, sizeof h->alpn);
    CHECK(strchr(h->alpn, ' ') == NULL);
    CHECK(h->size <= REFRAME_MAX && h->session_id_len <= 32);
    CHECK(h->ticket_len < h->size && (h->has_ticket || h->ticket_len == 0));
    CHECK(h->identity_max < h->size && (h->has_ticket || h->identity_max == 0));
    CHECK(h->suites_sent > 0 && h->suites_sent < h->size && h->suite_count <= h->suites_sent);
    CHECK(h->sigalg_count > SIGALGS || (!h->late.rsa && !h->late.ecdsa && !h->late.ed25519));
    CHECK(!(h->rsa && h->late.rsa) && !(h->ecdsa && h->late.ecdsa) &&
          !(h->ed25519 && h->late.ed25519));
    CHECK(h->aead_suites == (h->ecdsa_aead || h->rsa_aead));
    CHECK((!h->ecdsa_aead || h->ecdsa_suites) && (!h->rsa_aead || h->rsa_suites));
    /* What can use no suite can use no certificate. */
    bool tls13 = h->version_max >= 0x0304 && h->tls13_suites;
    CHECK(tls13 || !h->rsa || h->rsa_suites);
    CHECK(tls13 || !h->ecdsa || h->ecdsa_suites);
    CHECK(tls13 || !h->ed25519 || h->ecdsa_suites);
    CHECK(*hello_version_name(h->version_max) != '\0');
}

static bool same(const struct hello *a, const struct hello *b)
{
    return strcmp(a->name, b->name) == 0 && a->version_min == b->version_min &&
           a->version_max == b->version_max && a->has_sigalgs == b->has_sigalgs &&
           a->ticket_len == b->ticket_len && memcmp(a->ticket, b->ticket, sizeof a->ticket) == 0 &&
           a->rsa == b->rsa && a->ecdsa == b->ecdsa && a->ed25519 == b->ed25519 &&
           a->suite_count == b->suite_count && a->suites_sent == b->suites_sent &&
           a->size == b->size && a->session_id_len == b->session_id_len &&
           a->identity_max == b->identity_max && a->sigalg_count == b->sigalg_count &&
           a->has_ticket == b->has_ticket && a->group_count == b->group_count &&
           memcmp(a->groups, b->groups, a->group_count * sizeof a->groups[0]) == 0 &&
           strcmp(a->alpn, b->alpn) == 0 && a->wants_staple == b->wants_staple &&
           a->ecdsa_aead == b->ecdsa_aead && a->rsa_aead == b->rsa_aead &&
           a->tls13_suites == b->tls13_suites && a->aead_suites == b->aead_suites &&
           a->ecdsa_suites == b->ecdsa_suites && a->rsa_suites == b->rsa_suites;
}

/* The verdict on all bytes at once; *h is filled in for REFRAME_WHOLE. */
static enum reframe_verdict judge(struct hello *h, const uint8_t *bytes, size_t len)
{
    struct reframe r = {.bytes = NULL};
    size_t used;
    enum reframe_verdict verdict = reframe_feed(&r, bytes, len, &used);

    if (verdict == REFRAME_WHOLE) {
        uint8_t *message = fuzz_copy(reframe_message(&r), r.len);
        if (!hello_parse(h, message, r.len, SIGALGS))
            verdict = REFRAME_BAD;
        free(message);
    }
    reframe_free(&r);
    return verdict;
}

/* However many bytes come at once, the verdict is the same: what is judged stays judged. */
static void check_prefix(const uint8_t *bytes, size_t len, enum reframe_verdict whole,
                         const struct hello *h)
{
    struct hello part;
    uint8_t *copy = fuzz_copy(bytes, len);
    enum reframe_verdict verdict = judge(&part, copy, len);

    CHECK(verdict == REFRAME_MORE || verdict == whole);
    CHECK(verdict != REFRAME_WHOLE || same(&part, h));
    free(copy);
}

/* The message's bytes in records of their own, `size` bytes of it in each. The caller frees it. */
static uint8_t *split(const uint8_t *bytes, size_t len, size_t size, size_t *out_len)
{
    uint8_t *out = malloc(len + (len / size + 1) * 5);
    size_t n = 0, in_record = 0, record = 0;

    CHECK(out != NULL);
    for (size_t at = 0; at < len;) {
        if (record == 0) {
            if (len - at < 5)
                break;
            record = (size_t)bytes[at + 3] << 8 | bytes[at + 4];
            at += 5;
            continue;
        }
        if (in_record == 0) {
            memcpy(out + n, "\x16\x03\x01", 3);
            out[n + 3] = (uint8_t)(size >> 8);
            out[n + 4] = (uint8_t)size;
            n += 5;
        }
        out[n++] = bytes[at++];
        record--;
        in_record = (in_record + 1) % size;
    }
    *out_len = n;
    return out;
}

/* How a ClientHello is cut into records does not change what it says (RFC 8446 section 5.1). */
static void check_records(const uint8_t *bytes, size_t len, const struct hello *h)
{
    static const size_t sizes[] = {1, 7, 64, 1500};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct hello other;
        size_t out_len;
        uint8_t *out = split(bytes, len, sizes[i], &out_len);
        CHECK(judge(&other, out, out_len) == REFRAME_WHOLE && same(&other, h));
        free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hello h;
    uint8_t *bytes = fuzz_copy(data, size);

    memset(&h, 0xa5, sizeof h);
    enum reframe_verdict verdict = judge(&h, bytes, size);
    CHECK(*hello_plaintext(bytes, size) != '\0');
    if (verdict == REFRAME_WHOLE) {
        check_hello(&h);
        check_records(bytes, size, &h);
    }
    for (size_t i = 0; i < PREFIXES; i++) {
        check_prefix(bytes, i < size ? i : size, verdict, &h);
        check_prefix(bytes, size * i / PREFIXES, verdict, &h);
        check_prefix(bytes, size - (i < size ? i : size), verdict, &h);
    }
    free(bytes);
    return 0;
}
