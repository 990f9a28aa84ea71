/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a letter that chooses the keys, and one message of the gate's that asks for a chain or a
 * signature: r RSA, e ECDSA, d Ed25519, b RSA and ECDSA; in upper case where TLS 1.0 is allowed. */
#include "common.h"
#include "pair.h"

#include "keys.h"
#include "log.h"
#include "message.h"
#include "vault.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct vault vaults[4][2]; /* by letter and by whether TLS 1.0 is allowed */
static int ends[2];

static void load(struct vault v[2], enum key_kind first, enum key_kind second)
{
    for (unsigned old = 0; old < 2; old++) {
        struct options o = {.tls_min = old ? 0x0301 : 0x0303, .pair_count = 1};
        o.pairs[0] = pair_make(first);
        if (second != KEY_NONE)
            o.pairs[o.pair_count++] = pair_make(second);
        CHECK(vault_load(&v[old], &o) == 0 && vault_unlock(&v[old], &o, true) == 0);
    }
}

void fuzz_begin(void)
{
    load(vaults[0], KEY_RSA, KEY_NONE);
    load(vaults[1], KEY_ECDSA, KEY_NONE);
    load(vaults[2], KEY_ED25519, KEY_NONE);
    load(vaults[3], KEY_RSA, KEY_ECDSA);
    CHECK(fuzz_heard(NULL) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
}

static enum key_kind kind_of(const struct vault *v)
{
    return v->chosen->chain.kind;
}

/* The vault's answer to what was asked, or nothing. */
static const uint8_t *answer(enum message_type type, size_t *len)
{
    static uint8_t buf[MESSAGE_MAX];
    struct message_reader r;
    int rc = message_receive(ends[1], &r, buf, sizeof buf, false);

    if (rc == -EAGAIN)
        return NULL;
    CHECK(rc == 0 && r.type == type);
    bool given = type != MESSAGE_CHAIN_IS || message_get_number(&r, 2) == 0;
    const uint8_t *bytes = message_get_bytes(&r, sizeof buf, len);
    CHECK(given == (*len > 0));
    if (type == MESSAGE_CHAIN_IS)
        CHECK(message_get_number(&r, 0) == 0); /* no OCSP response */
    CHECK(message_complete(&r));
    return bytes;
}

/* The chain is one of ours, whole, of a kind that was asked for; or none. */
static void ask_chain(struct vault *v, const uint8_t *message, size_t size)
{
    struct message_reader r;
    size_t len;

    message_parse(&r, message, size);
    int rc = vault_give_chain(v, &r, ends[0]);
    CHECK(fuzz_heard(NULL) == (rc == 0 ? 0 : 1));
    const uint8_t *der = answer(MESSAGE_CHAIN_IS, &len);
    CHECK((der != NULL) == (rc == 0));
    if (rc < 0)
        return;
    CHECK((v->chosen == NULL) == (len == 0));
    if (len == 0)
        return;
    CHECK(v->chosen >= v->pairs && v->chosen < v->pairs + v->count);
    const struct chain *c = &v->chosen->chain;
    CHECK(len == c->len && memcmp(der, c->der, len) == 0);
    /* How well it does with each kind are the message's last numbers but one. */
    bool asked = message[size - (c->kind == KEY_RSA ? 25 : c->kind == KEY_ECDSA ? 17 : 9)] != 0;
    CHECK(asked || v->old_versions);
}

/* What no handshake needs must not be signed: it would make the vault an oracle. */
static bool is_needed(const struct vault *v, unsigned how, const uint8_t *data, size_t len)
{
    enum key_kind kind = kind_of(v);
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

    message_parse(&r, message, size);
    int rc = vault_give_signature(v, &r, ends[0]);
    CHECK(fuzz_heard(NULL) == (rc == 0 ? 0 : 1));
    const uint8_t *signature = answer(MESSAGE_SIGNATURE, &len);
    CHECK((signature != NULL) == (rc == 0) && v->signatures == (rc == -EBADMSG ? 1 : 0));
    if (rc < 0)
        return;
    CHECK(len >= 64 && len <= KEYS_SIGNATURE_MAX);
    const struct vault_pair *p = v->chosen;
    for (size_t at = 0; at + 16 <= p->key_len; at += 16)
        CHECK(memmem(signature, len, v->memory + p->key_at + at, 16) == NULL);
    message_parse(&r, message, size);
    unsigned how = (unsigned)message_get_number(&r, SIGN_ED25519);
    const uint8_t *data = message_get_bytes(&r, size, &data_len);
    CHECK(message_complete(&r) && is_needed(v, how, data, data_len));
    message_parse(&r, message, size);
    CHECK(vault_give_signature(v, &r, ends[0]) == -EBADMSG &&
          answer(MESSAGE_SIGNATURE, &len) == NULL);
    CHECK(fuzz_heard(NULL) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char letters[] = "redb";

    const char *at = size > 0 && data[0] != '\0' ? strchr(letters, tolower(data[0])) : NULL;
    if (at == NULL)
        return 0;
    struct vault v = vaults[at - letters][isupper(data[0]) ? 1 : 0];
    uint8_t *message = fuzz_copy(data + 1, size - 1);
    /* Which of two was chosen is the chain message's doing; here it is the message's length. */
    v.chosen = &v.pairs[size % v.count];
    if (size > 1 && message[0] == MESSAGE_SIGN)
        ask_signature(&v, message, size - 1);
    else
        ask_chain(&v, message, size - 1);
    free(message);
    return 0;
}
