/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault.h"

#include "keys.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define MEMORY_SIZE (OPTIONS_PAIRS_MAX * (size_t)CERTS_KEY_MAX)
#define TO_SIGN_MAX 512
#define REREAD_MS 200

/* Memory for secrets. Locking it may be beyond this process's limit; all else must succeed. */
static uint8_t *map_secret(size_t size)
{
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    if (madvise(memory, size, MADV_DONTFORK) != 0) {
        int saved = errno;
        (void)munmap(memory, size);
        errno = saved;
        return NULL;
    }
    (void)madvise(memory, size, MADV_DONTDUMP);
#ifdef MLOCK_ONFAULT
    (void)mlock2(memory, size, MLOCK_ONFAULT);
#else
    (void)mlock(memory, size);
#endif
    return memory;
}

static int load_pair(struct vault_pair *p, const struct pair *from, uint8_t *memory, size_t key_at,
                     uint8_t *scratch)
{
    size_t len = 0;
    bool combined = from->key == NULL;

    *p = (struct vault_pair){
        .cert_file = from->cert, .key_file = combined ? from->cert : from->key, .key_at = key_at};
    int rc = certs_read_file(p->cert_file, combined, scratch, CERTS_FILE_MAX, &len);
    if (rc == 0)
        rc = certs_take_chain(&p->chain, p->cert_file, scratch, len);
    if (rc == 0 && !combined) {
        explicit_bzero(scratch, len);
        rc = certs_read_file(p->key_file, true, scratch, CERTS_FILE_MAX, &len);
    }
    if (rc == 0)
        rc = certs_take_key(p->key_file, scratch, len, memory + key_at, &p->key_len);
    explicit_bzero(scratch, len);
    if (rc < 0)
        certs_free(&p->chain);
    return rc;
}

static int load_once(struct vault *v, const struct options *o)
{
    int rc = 0;

    *v = (struct vault){
        .memory = map_secret(MEMORY_SIZE), .signatures = 1, .old_versions = o->tls_min < 0x0303};
    uint8_t *scratch = map_secret(CERTS_FILE_MAX);
    if (v->memory == NULL || scratch == NULL) {
        rc = -ENOMEM;
        log_error("no memory for private keys");
    }
    for (size_t i = 0; rc == 0 && i < o->pair_count; i++) {
        rc = load_pair(&v->pairs[i], &o->pairs[i], v->memory, i * CERTS_KEY_MAX, scratch);
        if (rc == 0)
            v->count++;
    }
    if (scratch != NULL)
        (void)munmap(scratch, CERTS_FILE_MAX);
    if (rc == 0 && v->count == 2 && v->pairs[0].chain.kind == v->pairs[1].chain.kind) {
        log_error("%s and %s: both are %s certificates: give one RSA and one ECDSA or Ed25519",
                  v->pairs[0].cert_file, v->pairs[1].cert_file,
                  certs_kind_name(v->pairs[0].chain.kind));
        rc = -EINVAL;
    }
    if (rc < 0)
        vault_wipe(v);
    return rc;
}

int vault_load(struct vault *v, const struct options *o)
{
    log_suspend(true);
    int rc = load_once(v, o);
    log_suspend(false);
    if (rc == 0)
        return 0;
    /* Perhaps half written: a renewal takes some milliseconds. */
    if (rc == -EINVAL)
        (void)poll(NULL, 0, REREAD_MS);
    return load_once(v, o);
}

static int match_all(const struct vault *v, bool thorough, const struct vault_pair **bad)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < v->count; i++) {
        const struct vault_pair *p = &v->pairs[i];
        *bad = p;
        rc = keys_match(v->memory + p->key_at, p->key_len, &p->chain, thorough);
    }
    return rc;
}

int vault_unlock(struct vault *v, const struct options *o, bool thorough)
{
    const struct vault_pair *bad = NULL;
    int rc = match_all(v, thorough, &bad);

    if (rc == 0)
        return 0;
    /* A renewal replaces two files, one after the other. */
    (void)poll(NULL, 0, REREAD_MS);
    vault_wipe(v);
    if (load_once(v, o) < 0)
        return -EINVAL;
    rc = match_all(v, thorough, &bad);
    if (rc == 0)
        return 0;
    if (rc == -EKEYREJECTED)
        log_error("%s: key does not match the first certificate of %s; try --check", bad->key_file,
                  bad->cert_file);
    else
        log_error("%s: not a private key of the kind that %s needs (%s): key does not match",
                  bad->key_file, bad->cert_file, certs_kind_name(bad->chain.kind));
    return -EINVAL;
}

/* The pair for a client: one that it can check, the quicker kinds before RSA. NULL if there is none;
 * TLS 1.0 and 1.1 are not asked, they can't say. */
static const struct vault_pair *choose(struct vault *v, bool rsa, bool ecdsa, bool ed25519)
{
    const struct vault_pair *best = v->old_versions ? &v->pairs[0] : NULL;

    for (size_t i = v->count; i-- > 0;) {
        const struct vault_pair *p = &v->pairs[i];
        bool fits = p->chain.kind == KEY_RSA ? rsa : p->chain.kind == KEY_ECDSA ? ecdsa : ed25519;
        if (fits && (best == NULL || p->chain.kind != KEY_RSA || best->chain.kind == KEY_RSA))
            best = p;
    }
    if (best != NULL)
        v->chosen = (size_t)(best - v->pairs);
    return best;
}

/* An empty chain says that none fits. */
static int send_chain(int gate, const uint8_t *der, size_t len)
{
    static const size_t overhead = 64;
    struct message_writer w;
    uint8_t *buf = malloc(len + overhead);

    if (buf == NULL) {
        log_error("out of memory for a certificate chain");
        return -ENOMEM;
    }
    message_begin(&w, buf, len + overhead, MESSAGE_CHAIN_IS);
    message_put_bytes(&w, der, len);
    int rc = message_send(gate, &w, NULL, 0);
    free(buf);
    if (rc < 0)
        log_error("cannot send the certificate chain to the gate: %s", strerror(-rc));
    return rc;
}

int vault_give_chain(struct vault *v, struct message_reader *r, int gate)
{
    char name[HELLO_NAME_MAX + 1];

    message_get_text(r, name, sizeof name);
    bool rsa = message_get_number(r, 1) != 0;
    bool ecdsa = message_get_number(r, 1) != 0;
    bool ed25519 = message_get_number(r, 1) != 0;
    if (!message_complete(r)) {
        log_error("the gate sent a malformed chain message: connection ended");
        return -EBADMSG;
    }
    const struct vault_pair *p = choose(v, rsa, ecdsa, ed25519);
    if (p == NULL)
        return send_chain(gate, NULL, 0);
    if (p->chain.not_after < time(NULL))
        log_error("%s: the certificate has expired; it is served all the same, but clients will "
                  "refuse it: renew it",
                  p->cert_file);
    return send_chain(gate, p->chain.der, p->chain.len);
}

/* RFC 8017 section 9.2, note 1: the only strings that may stand before a hash in a PKCS#1 v1.5
 * signature. To sign anything else would make the vault an oracle. */
static bool is_digest_info(const uint8_t *data, size_t len)
{
    static const uint8_t sha256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    static const uint8_t sha384[] = {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30};
    static const uint8_t sha512[] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};

    return (len == sizeof sha256 + 32 && memcmp(data, sha256, sizeof sha256) == 0) ||
           (len == sizeof sha384 + 48 && memcmp(data, sha384, sizeof sha384) == 0) ||
           (len == sizeof sha512 + 64 && memcmp(data, sha512, sizeof sha512) == 0);
}

/* True if a request may be signed with the chosen key. TLS 1.0 and 1.1 sign SHA-1, for RSA with
 * MD5 beside it (RFC 4346 section 7.4.3). */
static bool may_sign(const struct vault *v, enum sign_as how, const uint8_t *data, size_t len)
{
    enum key_kind kind = v->pairs[v->chosen].chain.kind;

    switch (how) {
    case SIGN_ECDSA:
        return kind == KEY_ECDSA &&
               (len == 32 || len == 48 || len == 64 || (len == 20 && v->old_versions));
    case SIGN_RSA_PKCS1:
        return kind == KEY_RSA && (is_digest_info(data, len) || (len == 36 && v->old_versions));
    case SIGN_RSA_PSS_SHA256:
        return kind == KEY_RSA && len == 32;
    case SIGN_RSA_PSS_SHA384:
        return kind == KEY_RSA && len == 48;
    case SIGN_RSA_PSS_SHA512:
        return kind == KEY_RSA && len == 64;
    case SIGN_ED25519:
        return kind == KEY_ED25519 && len >= 64;
    }
    return false;
}

int vault_give_signature(struct vault *v, struct message_reader *r, int gate)
{
    uint8_t sig[KEYS_SIGNATURE_MAX], buf[KEYS_SIGNATURE_MAX + 16];
    size_t sig_len = sizeof sig, len;
    struct message_writer w;
    const char *why;

    enum sign_as how = (enum sign_as)message_get_number(r, SIGN_ED25519);
    const uint8_t *data = message_get_bytes(r, TO_SIGN_MAX, &len);
    if (!message_complete(r) || v->count == 0 || !may_sign(v, how, data, len)) {
        log_error("the gate asked for a signature on what no handshake needs: connection ended");
        return -EBADMSG;
    }
    if (v->signatures == 0) {
        log_error("the gate asked for more signatures than one handshake needs: connection ended");
        return -EPERM;
    }
    v->signatures--;
    const struct vault_pair *p = &v->pairs[v->chosen];
    int rc = keys_sign(v->memory + p->key_at, p->key_len, p->chain.kind, how, data, len, sig,
                       &sig_len, &why);
    if (rc < 0) {
        log_error("%s: signing failed: %s", p->key_file, why);
        return rc;
    }
    message_begin(&w, buf, sizeof buf, MESSAGE_SIGNATURE);
    message_put_bytes(&w, sig, sig_len);
    rc = message_send(gate, &w, NULL, 0);
    if (rc < 0)
        log_error("cannot send a signature to the gate: %s", strerror(-rc));
    return rc;
}

void vault_wipe(struct vault *v)
{
    for (size_t i = 0; i < OPTIONS_PAIRS_MAX; i++)
        certs_free(&v->pairs[i].chain);
    if (v->memory != NULL) {
        explicit_bzero(v->memory, MEMORY_SIZE);
        (void)munmap(v->memory, MEMORY_SIZE);
        v->memory = NULL;
    }
    v->count = 0;
    keys_forget();
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

static int ask(int vault, const struct message_writer *w, struct message_reader *r, uint8_t *buf,
               size_t size, enum message_type wanted)
{
    int rc = message_send(vault, w, NULL, 0);

    if (rc == 0)
        rc = message_receive(vault, r, buf, size, false);
    if (rc == 0 && r->type != wanted)
        rc = -ECANCELED; /* the monitor wants the connection to end */
    return rc;
}

int vault_ask_chain(int vault, const struct hello *h, uint8_t *buf, size_t size,
                    const uint8_t **der, size_t *len)
{
    uint8_t request[HELLO_NAME_MAX + 64];
    struct message_writer w;
    struct message_reader r;

    message_begin(&w, request, sizeof request, MESSAGE_CHAIN);
    message_put_text(&w, h->name);
    message_put_number(&w, h->rsa);
    message_put_number(&w, h->ecdsa);
    message_put_number(&w, h->ed25519);
    int rc = ask(vault, &w, &r, buf, size, MESSAGE_CHAIN_IS);
    if (rc < 0)
        return rc;
    *der = message_get_bytes(&r, size, len);
    if (!message_complete(&r))
        return -EBADMSG;
    return *len > 0 ? 0 : -ENOENT;
}

int vault_ask_signature(int vault, enum sign_as how, const uint8_t *data, size_t len, uint8_t *sig,
                        size_t *sig_len)
{
    uint8_t buf[KEYS_SIGNATURE_MAX + 16];
    struct message_writer w;
    struct message_reader r;
    size_t got;

    message_begin(&w, buf, sizeof buf, MESSAGE_SIGN);
    message_put_number(&w, how);
    message_put_bytes(&w, data, len);
    int rc = ask(vault, &w, &r, buf, sizeof buf, MESSAGE_SIGNATURE);
    if (rc < 0)
        return rc;
    const uint8_t *bytes = message_get_bytes(&r, *sig_len, &got);
    if (!message_complete(&r))
        return -EBADMSG;
    if (got == 0)
        return -EACCES;
    memcpy(sig, bytes, got);
    *sig_len = got;
    return 0;
}
