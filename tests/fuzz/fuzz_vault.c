/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a letter that chooses the keys, one that chooses the circumstances, and one message of the
 * gate's that asks for a chain or a signature.
 *   r RSA, e ECDSA, d Ed25519, b RSA and ECDSA
 *   o TLS 1.0 is allowed, s a name without a certificate is refused, n certificates are looked for by
 *   name, f both; anything else: none of these */
#include "common.h"
#include "pair.h"

#include "monitor/answer.h"
#include "common/io.h"
#include "vault/keys.h"
#include "common/message.h"
#include "vault/vault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static const char letters[] = "redb";
static struct vault vaults[sizeof letters - 1];
static int from_monitor = -1; /* the end that the last answer came to */

static void load(struct vault *v, enum key_kind first, enum key_kind second)
{
    struct options o = {.tls_min = 0x0303, .pair_count = 1};

    o.pairs[0] = pair_make(first);
    if (second != KEY_NONE)
        o.pairs[o.pair_count++] = pair_make(second);
    CHECK(vault_load(v, &o) == 0 && vault_unlock(v, &o, true) == 0);
}

void fuzz_begin(void)
{
    load(&vaults[0], KEY_RSA, KEY_NONE);
    load(&vaults[1], KEY_ECDSA, KEY_NONE);
    load(&vaults[2], KEY_ED25519, KEY_NONE);
    load(&vaults[3], KEY_RSA, KEY_ECDSA);
    CHECK(fuzz_heard(NULL) == 0);
}

/* Lets the monitor answer a message with this vault. Returns false if the gate has broken a rule. */
static bool answer(struct vault *v, const uint8_t *message, size_t size)
{
    static const struct options o = {.tls_min = 0x0303};
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    struct session s = {.o = &o,
                        .vault = *v,
                        .have_tls = true,
                        .gate = ends[0],
                        .phase = message[0] == REQ_CHAIN ? PHASE_OPENING : PHASE_CHAIN};
    if (v->chosen != NULL)
        s.vault.chosen = &s.vault.pairs[v->chosen - v->pairs];
    CHECK(send(ends[1], message, size, MSG_NOSIGNAL) == (ssize_t)size);
    (void)answer_one(&s);
    bool kept = s.gate >= 0;
    io_close(&s.gate);
    *v = s.vault;
    if (v->chosen != NULL)
        v->chosen = &v->pairs[s.vault.chosen - s.vault.pairs];
    io_close(&from_monitor);
    from_monitor = ends[1];
    return kept;
}

/* The answer to what was asked; false if there is none. */
static bool has_answered(enum message_type type, struct message_reader *r)
{
    static uint8_t buf[MESSAGE_MAX];
    int rc = message_receive(from_monitor, r, buf, sizeof buf, false);

    CHECK(rc == -EPIPE || (rc == 0 && r->type == type));
    return rc == 0;
}

/* The chain is one of ours, whole, of a kind and for a name that were asked for. */
static void check_chain(const struct vault *v, const uint8_t *message, size_t size,
                        const uint8_t *der, size_t len)
{
    const struct chain *c = &v->chosen->chain;
    struct message_reader r;
    uint64_t fit[KEY_ED25519 + 1] = {0};
    char name[256];

    CHECK(v->chosen >= v->pairs && v->chosen < v->pairs + v->count);
    CHECK(len == c->len && memcmp(der, c->der, len) == 0);
    message_parse(&r, message, size);
    message_get_text(&r, name, sizeof name);
    for (int kind = KEY_RSA; kind <= KEY_ED25519; kind++)
        fit[kind] = message_get_number(&r, 2);
    CHECK(fit[c->kind] > 0 || v->old_versions);
    CHECK(!v->strict_names || strcasecmp(name, pair_name(c->kind)) == 0);
}

static void ask_chain(struct vault *v, const uint8_t *message, size_t size)
{
    struct message_reader r;
    size_t len, staple_len;

    v->chosen = NULL;
    bool kept = answer(v, message, size);
    /* What is wrong, or which certificate it is and why. */
    CHECK(fuzz_heard(NULL) == (!kept || v->chosen != NULL ? 1 : 0));
    CHECK(has_answered(ANS_CHAIN, &r) == kept);
    if (!kept)
        return;
    uint64_t verdict = message_get_number(&r, CHAIN_BROKEN);
    const uint8_t *der = message_get_bytes(&r, MESSAGE_MAX, &len);
    (void)message_get_bytes(&r, MESSAGE_MAX, &staple_len);
    CHECK(message_complete(&r) && staple_len == 0);
    CHECK((len > 0) == (verdict == 0) && (len > 0) == (v->chosen != NULL));
    if (len > 0)
        check_chain(v, message, size, der, len);
}

/* What no handshake needs must not be signed: it would make the vault an oracle. */
static bool is_needed(const struct vault *v, unsigned how, const uint8_t *data, size_t len)
{
    enum key_kind kind = v->chosen->chain.kind;
    bool is_hash = len == 32 || len == 48 || len == 64;

    switch (how) {
    case SIGN_ECDSA:
        return kind == KEY_ECDSA && (is_hash || (len == 20 && v->old_versions));
    case SIGN_RSA_PKCS1: /* a DigestInfo: SEQUENCE, SEQUENCE, OID, NULL, OCTET STRING to the end */
        return kind == KEY_RSA &&
               ((len == 36 && v->old_versions) ||
                (len > 19 && data[0] == 0x30 && data[1] == len - 2 && data[17] == 4 &&
                 data[18] == len - 19 && (len == 19 + 32 || len == 19 + 48 || len == 19 + 64)));
    case SIGN_RSA_PSS_SHA256:
    case SIGN_RSA_PSS_SHA384:
    case SIGN_RSA_PSS_SHA512:
        return kind == KEY_RSA && len == 32 + 16 * (how - SIGN_RSA_PSS_SHA256);
    case SIGN_ED25519:
        return kind == KEY_ED25519 && len >= 64;
    default:
        return false;
    }
}

/* A signature, and only a signature, for what a handshake needs; and only one. */
static void ask_signature(struct vault *v, const uint8_t *message, size_t size)
{
    struct message_reader r;
    size_t len, data_len;

    bool kept = answer(v, message, size);
    CHECK(fuzz_heard(NULL) == 1);
    CHECK(has_answered(ANS_SIGNATURE, &r) == kept);
    CHECK(v->signatures == (kept ? 0 : 1));
    if (!kept)
        return;
    const struct vault_pair *p = v->chosen;
    const uint8_t *signature = message_get_bytes(&r, KEYS_SIGNATURE_MAX, &len);
    CHECK(message_complete(&r) && len >= 64);
    for (size_t at = 0; at + 16 <= p->key_len; at += 16)
        CHECK(memmem(signature, len, v->memory + p->key_at + at, 16) == NULL);
    message_parse(&r, message, size);
    unsigned how = (unsigned)message_get_number(&r, SIGN_ED25519);
    const uint8_t *data = message_get_bytes(&r, size, &data_len);
    CHECK(message_complete(&r) && is_needed(v, how, data, data_len));
    CHECK(!answer(v, message, size) && fuzz_heard(NULL) == 1);
    CHECK(!has_answered(ANS_SIGNATURE, &r));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = size > 1 && data[0] != '\0' ? strchr(letters, data[0]) : NULL;

    if (at == NULL)
        return 0;
    struct vault v = vaults[at - letters];
    v.old_versions = data[1] == 'o';
    v.strict_names = data[1] == 's' || data[1] == 'f';
    v.cert_dir = data[1] == 'n' || data[1] == 'f' ? "/nowhere" : NULL;
    /* Which of two is chosen is the chain message's doing; here it is the message's length. */
    v.chosen = &v.pairs[size % v.count];
    uint8_t *message = fuzz_copy(data + 2, size - 2);
    if (size > 2)
        message[0] = fuzz_message_type(message[0]);
    if (size > 2 && message[0] == REQ_SIGN)
        ask_signature(&v, message, size - 2);
    else if (size > 2 && message[0] == REQ_CHAIN)
        ask_chain(&v, message, size - 2);
    free(v.files);
    free(message);
    return 0;
}
