/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault.h"

#include "io.h"
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

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>

#define MEMORY_SIZE (OPTIONS_PAIRS_MAX * (size_t)CERTS_KEY_MAX)
#define SIGNATURE_MAX 1024 /* RSA of 8192 bits */
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

/* The functions that decode or use a key leave parts of it on the stack. Every one of them is
 * called by way of a caller that calls this next, from the same depth. */
static __attribute__((noinline)) void wipe_stack(void)
{
    uint8_t frame[24 * 1024];

    explicit_bzero(frame, sizeof frame);
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
        rc = errno != 0 ? -errno : -ENOMEM;
        log_error("no memory for private keys: %s", strerror(-rc));
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
    int rc = load_once(v, o);

    if (rc != -EINVAL)
        return rc;
    /* Perhaps half written: a renewal takes some milliseconds. */
    (void)poll(NULL, 0, REREAD_MS);
    return load_once(v, o);
}

/* A decoded private key; free with release(). */
struct key {
    enum key_kind kind;
    union {
        RsaKey rsa;
        ecc_key ecc;
        ed25519_key ed;
    } as;
};

static void release(struct key *k)
{
    if (k->kind == KEY_RSA)
        (void)wc_FreeRsaKey(&k->as.rsa);
    else if (k->kind == KEY_ECDSA)
        (void)wc_ecc_free(&k->as.ecc);
    else if (k->kind == KEY_ED25519)
        wc_ed25519_free(&k->as.ed);
    explicit_bzero(k, sizeof *k);
}

static int decode_ed25519(ed25519_key *ed, const uint8_t *der, word32 len)
{
    uint8_t public[ED25519_PUB_KEY_SIZE];
    word32 at = 0;
    int error = wc_ed25519_init(ed);

    if (error == 0)
        error = wc_Ed25519PrivateKeyDecode(der, &at, ed, len);
    if (error == 0)
        error = wc_ed25519_make_public(ed, public, sizeof public);
    if (error == 0)
        error = wc_ed25519_import_public(public, sizeof public, ed);
    return error;
}

/* Returns 0 or wolfSSL's error; in the end the key is to be released either way. */
static int decode_key(struct key *k, const struct vault *v, const struct vault_pair *p)
{
    const uint8_t *der = v->memory + p->key_at;
    word32 at = 0, len = (word32)p->key_len;
    int error;

    memset(k, 0, sizeof *k);
    k->kind = p->chain.kind;
    switch (k->kind) {
    case KEY_RSA:
        error = wc_InitRsaKey(&k->as.rsa, NULL);
        return error != 0 ? error : wc_RsaPrivateKeyDecode(der, &at, &k->as.rsa, len);
    case KEY_ECDSA:
        error = wc_ecc_init(&k->as.ecc);
        return error != 0 ? error : wc_EccPrivateKeyDecode(der, &at, &k->as.ecc, len);
    case KEY_ED25519:
        return decode_ed25519(&k->as.ed, der, len);
    default:
        return BAD_FUNC_ARG;
    }
}

/* The public half of a key as it stands in a certificate: modulus or point. */
static int public_half(struct key *k, bool thorough, uint8_t *out, word32 *len)
{
    uint8_t exponent[16];
    word32 exponent_len = sizeof exponent;
    int error = 0;

    switch (k->kind) {
    case KEY_RSA:
        return wc_RsaFlattenPublicKey(&k->as.rsa, exponent, &exponent_len, out, len);
    case KEY_ECDSA:
        if (thorough || k->as.ecc.type == ECC_PRIVATEKEY_ONLY)
            error = wc_ecc_make_pub(&k->as.ecc, NULL);
        return error != 0 ? error : wc_ecc_export_x963(&k->as.ecc, out, len);
    case KEY_ED25519:
        return wc_ed25519_export_public(&k->as.ed, out, len);
    default:
        return BAD_FUNC_ARG;
    }
}

static __attribute__((noinline)) int match_pair(const struct vault *v, const struct vault_pair *p,
                                                bool thorough)
{
    uint8_t public[SIGNATURE_MAX];
    word32 len = sizeof public;
    struct key k;
    int error = decode_key(&k, v, p);

    if (error == 0)
        error = public_half(&k, thorough, public, &len);
    release(&k);
    if (error != 0)
        return -ENOTSUP;
    return memmem(p->chain.der + p->chain.public_at, p->chain.public_len, public, len) != NULL
               ? 0
               : -EKEYREJECTED;
}

static int match_all(const struct vault *v, bool thorough, const struct vault_pair **bad)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < v->count; i++) {
        *bad = &v->pairs[i];
        rc = match_pair(v, *bad, thorough);
    }
    wipe_stack();
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

/* The pair for a client: the first that it can check, the quicker kinds before RSA. */
static size_t choose(const struct vault *v, bool rsa, bool ecdsa, bool ed25519)
{
    for (size_t i = 0; i < v->count; i++)
        if ((v->pairs[i].chain.kind == KEY_ECDSA && ecdsa) ||
            (v->pairs[i].chain.kind == KEY_ED25519 && ed25519))
            return i;
    for (size_t i = 0; i < v->count; i++)
        if (v->pairs[i].chain.kind == KEY_RSA && rsa)
            return i;
    return 0;
}

int vault_give_chain(struct vault *v, struct message_reader *r, int gate)
{
    static const size_t overhead = 64;
    char name[HELLO_NAME_MAX + 1];
    struct message_writer w;

    message_get_text(r, name, sizeof name);
    bool rsa = message_get_number(r, 1) != 0;
    bool ecdsa = message_get_number(r, 1) != 0;
    bool ed25519 = message_get_number(r, 1) != 0;
    if (!message_complete(r)) {
        log_error("the gate sent a malformed chain message: connection ended");
        return -EBADMSG;
    }
    v->chosen = choose(v, rsa, ecdsa, ed25519);
    const struct chain *c = &v->pairs[v->chosen].chain;
    if (c->not_after < time(NULL))
        log_error("%s: the certificate has expired; it is served all the same, but clients will "
                  "refuse it: renew it",
                  v->pairs[v->chosen].cert_file);
    uint8_t *buf = malloc(c->len + overhead);
    if (buf == NULL) {
        log_error("out of memory for a certificate chain");
        return -ENOMEM;
    }
    message_begin(&w, buf, c->len + overhead, MESSAGE_CHAIN_IS);
    message_put_bytes(&w, c->der, c->len);
    int rc = message_send(gate, &w, NULL, 0);
    free(buf);
    if (rc < 0)
        log_error("cannot send the certificate chain to the gate: %s", strerror(-rc));
    return rc;
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

static int sign_rsa_pkcs1(RsaKey *rsa, WC_RNG *rng, const uint8_t *data, word32 len, uint8_t *sig,
                          word32 *sig_len)
{
    uint8_t check[TO_SIGN_MAX];
    int n = wc_RsaSSL_Sign(data, len, sig, *sig_len, rsa, rng);

    if (n < 0)
        return n;
    *sig_len = (word32)n;
    /* A faulty RSA signature gives the key away: none leaves unchecked. */
    n = wc_RsaSSL_Verify(sig, *sig_len, check, sizeof check, rsa);
    if (n < 0)
        return n;
    return (word32)n == len && memcmp(check, data, len) == 0 ? 0 : SIG_VERIFY_E;
}

static int sign_rsa_pss(RsaKey *rsa, WC_RNG *rng, enum sign_as how, const uint8_t *data, word32 len,
                        uint8_t *sig, word32 *sig_len)
{
    uint8_t check[SIGNATURE_MAX];
    enum wc_HashType hash = WC_HASH_TYPE_SHA256;
    int mgf = WC_MGF1SHA256;

    if (how == SIGN_RSA_PSS_SHA384) {
        hash = WC_HASH_TYPE_SHA384;
        mgf = WC_MGF1SHA384;
    } else if (how == SIGN_RSA_PSS_SHA512) {
        hash = WC_HASH_TYPE_SHA512;
        mgf = WC_MGF1SHA512;
    }
    int n =
        wc_RsaPSS_Sign_ex(data, len, sig, *sig_len, hash, mgf, RSA_PSS_SALT_LEN_DEFAULT, rsa, rng);
    if (n < 0)
        return n;
    *sig_len = (word32)n;
    n = wc_RsaPSS_VerifyCheck(sig, *sig_len, check, sizeof check, data, len, hash, mgf, rsa);
    return n < 0 ? n : 0;
}

static int sign_with(struct key *k, WC_RNG *rng, enum sign_as how, const uint8_t *data, word32 len,
                     uint8_t *sig, word32 *sig_len)
{
    switch (how) {
    case SIGN_ECDSA:
        return wc_ecc_sign_hash(data, len, sig, sig_len, rng, &k->as.ecc);
    case SIGN_ED25519:
        return wc_ed25519_sign_msg(data, len, sig, sig_len, &k->as.ed);
    case SIGN_RSA_PKCS1:
        return sign_rsa_pkcs1(&k->as.rsa, rng, data, len, sig, sig_len);
    default:
        return sign_rsa_pss(&k->as.rsa, rng, how, data, len, sig, sig_len);
    }
}

static __attribute__((noinline)) int sign(const struct vault *v, enum sign_as how,
                                          const uint8_t *data, word32 len, uint8_t *sig,
                                          word32 *sig_len)
{
    struct key k;
    WC_RNG rng;
    int error = decode_key(&k, v, &v->pairs[v->chosen]);

    if (error != 0) {
        release(&k);
        return error;
    }
    error = wc_InitRng(&rng);
    if (error == 0) {
#ifdef WC_RSA_BLINDING
        if (k.kind == KEY_RSA)
            error = wc_RsaSetRNG(&k.as.rsa, &rng);
#endif
        if (error == 0)
            error = sign_with(&k, &rng, how, data, len, sig, sig_len);
        (void)wc_FreeRng(&rng);
    }
    release(&k);
    return error;
}

int vault_give_signature(struct vault *v, struct message_reader *r, int gate)
{
    uint8_t sig[SIGNATURE_MAX], buf[SIGNATURE_MAX + 16];
    word32 sig_len = sizeof sig;
    struct message_writer w;
    size_t len;

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
    int error = sign(v, how, data, (word32)len, sig, &sig_len);
    wipe_stack();
    if (error != 0) {
        log_error("%s: signing failed: %s", v->pairs[v->chosen].key_file, wc_GetErrorString(error));
        return -EIO;
    }
    message_begin(&w, buf, sizeof buf, MESSAGE_SIGNATURE);
    message_put_bytes(&w, sig, sig_len);
    int rc = message_send(gate, &w, NULL, 0);
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
#ifdef FP_ECC
    /* The table of the curve's base point, 0.8 MB. */
    wc_ecc_fp_free();
#endif
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
    return message_complete(&r) && *len > 0 ? 0 : -EBADMSG;
}

int vault_ask_signature(int vault, enum sign_as how, const uint8_t *data, size_t len, uint8_t *sig,
                        size_t *sig_len)
{
    uint8_t buf[SIGNATURE_MAX + 16];
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
    if (!message_complete(&r) || got == 0)
        return -EBADMSG;
    memcpy(sig, bytes, got);
    *sig_len = got;
    return 0;
}
