/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault/keys.h"

#include "common/memory.h"

#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/rsa.h>

#define CHECK_MAX 1024
#define TABLE_POINTS ((size_t)256) /* in the library's table, as it is usually built (FP_LUT) */

/* The most bytes of stack that the library's functions use, measured, with a margin. RSA keeps numbers of 4096
 * bits there. */
#define STACK_RSA ((size_t)128 * 1024)
#define STACK_OTHER ((size_t)24 * 1024)

/* Wipes the stack below the caller. A function that decodes or uses a key leaves parts of it there. So each of
 * them is noinline, and its caller calls this next. */
static void wipe_stack(enum key_kind kind)
{
    memory_wipe_stack(kind == KEY_RSA ? STACK_RSA : STACK_OTHER);
}

/* A decoded private key. release() frees and wipes it. */
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

/* Decodes a key. The caller calls release(), even after a failure. Returns 0 or wolfSSL's error. */
static int decode_key(struct key *k, enum key_kind kind, struct bytes der)
{
    word32 at = 0, len = (word32)der.len;
    int error;

    memset(k, 0, sizeof *k);
    k->kind = kind;
    switch (k->kind) {
    case KEY_RSA:
        error = wc_InitRsaKey(&k->as.rsa, NULL);
        return error != 0 ? error : wc_RsaPrivateKeyDecode(der.at, &at, &k->as.rsa, len);
    case KEY_ECDSA:
        error = wc_ecc_init(&k->as.ecc);
        return error != 0 ? error : wc_EccPrivateKeyDecode(der.at, &at, &k->as.ecc, len);
    case KEY_ED25519:
        return decode_ed25519(&k->as.ed, der.at, len);
    default:
        return BAD_FUNC_ARG;
    }
}

/* Writes the key's public half as it stands in a certificate: modulus or point. Returns 0 or wolfSSL's error. */
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

static __attribute__((noinline)) enum key_match match(struct bytes der, const struct chain *c,
                                                      bool thorough)
{
    uint8_t public[KEYS_SIGNATURE_MAX];
    word32 public_len = sizeof public;
    struct key k;
    int error = decode_key(&k, c->kind, der);

    if (error == 0)
        error = public_half(&k, thorough, public, &public_len);
    release(&k);
    if (error != 0)
        return KEY_UNUSABLE;
    return memmem(c->der + c->public_at, c->public_len, public, public_len) != NULL
               ? KEY_MATCHES
               : KEY_OF_ANOTHER;
}

static __attribute__((noinline)) bool decrypt(uint8_t *key, size_t *len, enum key_form form,
                                              const char *password)
{
    int password_len = (int)strlen(password);
    int n;

    if (form == KEY_FORM_ENCRYPTED) {
        n = wc_DecryptPKCS8Key(key, (word32)*len, password, password_len);
    } else {
        uint8_t der[FILES_KEY_MAX];
        n = wc_KeyPemToDer(key, (int)*len, der, sizeof der, password);
        if (n > 0)
            memcpy(key, der, (size_t)n);
        explicit_bzero(der, sizeof der);
    }
    /* A wrong password gives random bytes, which do not begin like a key. */
    if (n <= 0 || key[0] != (ASN_SEQUENCE | ASN_CONSTRUCTED))
        return false;
    *len = (size_t)n;
    return true;
}

bool keys_decrypt(uint8_t *key, size_t *len, enum key_form *form, const char *password)
{
    bool decrypted = decrypt(key, len, *form, password);

    wipe_stack(KEY_RSA);
    if (decrypted)
        *form = KEY_FORM_PLAIN;
    return decrypted;
}

enum key_match keys_match(struct bytes der, const struct chain *c, bool thorough)
{
    enum key_match result = match(der, c, thorough);

    wipe_stack(c->kind);
    return result;
}

/* Signs and verifies. A faulty RSA signature would reveal the key, so none leaves unchecked. */
static int sign_rsa_pkcs1(RsaKey *rsa, WC_RNG *rng, struct bytes data, struct signature *sig)
{
    uint8_t check[CHECK_MAX];
    int n = wc_RsaSSL_Sign(data.at, (word32)data.len, sig->bytes, sizeof sig->bytes, rsa, rng);

    if (n < 0)
        return n;
    sig->len = (size_t)n;
    n = wc_RsaSSL_Verify(sig->bytes, (word32)sig->len, check, sizeof check, rsa);
    if (n < 0)
        return n;
    return (size_t)n == data.len && memcmp(check, data.at, data.len) == 0 ? 0 : SIG_VERIFY_E;
}

static int sign_rsa_pss(RsaKey *rsa, WC_RNG *rng, enum sign_as how, struct bytes data,
                        struct signature *sig)
{
    uint8_t check[KEYS_SIGNATURE_MAX];
    enum wc_HashType hash = WC_HASH_TYPE_SHA256;
    int mgf = WC_MGF1SHA256;

    if (how == SIGN_RSA_PSS_SHA384) {
        hash = WC_HASH_TYPE_SHA384;
        mgf = WC_MGF1SHA384;
    } else if (how == SIGN_RSA_PSS_SHA512) {
        hash = WC_HASH_TYPE_SHA512;
        mgf = WC_MGF1SHA512;
    }
    int n = wc_RsaPSS_Sign_ex(data.at, (word32)data.len, sig->bytes, sizeof sig->bytes, hash, mgf,
                              RSA_PSS_SALT_LEN_DEFAULT, rsa, rng);
    if (n < 0)
        return n;
    sig->len = (size_t)n;
    n = wc_RsaPSS_VerifyCheck(sig->bytes, (word32)sig->len, check, sizeof check, data.at,
                              (word32)data.len, hash, mgf, rsa);
    return n < 0 ? n : 0;
}

static int sign_with(struct key *k, WC_RNG *rng, enum sign_as how, struct bytes data,
                     struct signature *sig)
{
    word32 len = sizeof sig->bytes;
    int error;

    switch (how) {
    case SIGN_ECDSA:
        error = wc_ecc_sign_hash(data.at, (word32)data.len, sig->bytes, &len, rng, &k->as.ecc);
        break;
    case SIGN_ED25519:
        error = wc_ed25519_sign_msg(data.at, (word32)data.len, sig->bytes, &len, &k->as.ed);
        break;
    case SIGN_RSA_PKCS1:
        return sign_rsa_pkcs1(&k->as.rsa, rng, data, sig);
    default:
        return sign_rsa_pss(&k->as.rsa, rng, how, data, sig);
    }
    sig->len = len;
    return error;
}

static int sign_once(struct key *k, enum sign_as how, struct bytes data, struct signature *sig)
{
    WC_RNG rng;
    int error = wc_InitRng(&rng);

    if (error != 0)
        return error;
#ifdef WC_RSA_BLINDING
    if (k->kind == KEY_RSA)
        error = wc_RsaSetRNG(&k->as.rsa, &rng);
#endif
    if (error == 0)
        error = sign_with(k, &rng, how, data, sig);
    (void)wc_FreeRng(&rng);
    return error;
}

static __attribute__((noinline)) int decode_and_sign(const struct key_der *key, enum sign_as how,
                                                     struct bytes data, struct signature *sig)
{
    struct key k;
    int error = decode_key(&k, key->kind, key->der);

    if (error == 0)
        error = sign_once(&k, how, data, sig);
    release(&k);
    return error;
}

bool keys_sign(const struct key_der *key, enum sign_as how, struct bytes data,
               struct signature *sig, const char **why)
{
    sig->len = 0;
    int error = decode_and_sign(key, how, data, sig);

    wipe_stack(key->kind);
    *why = error == 0 ? "" : wc_GetErrorString(error);
    return error == 0;
}

void keys_reserve_heap(enum key_kind kind)
{
#ifdef FP_ECC
    /* The library allocates a table at the first use of a point. It fills the table at the second use, which
     * never comes. */
    if (kind == KEY_ECDSA)
        memory_prepare_heap(TABLE_POINTS * sizeof(ecc_point));
#else
    (void)kind;
#endif
}

void keys_make_tables(unsigned bits)
{
#ifdef FP_ECC
    static const uint8_t nothing[32] = {0};
    uint8_t sig[ECC_MAX_SIG_SIZE];
    ecc_key key;
    WC_RNG rng;
    word32 len = sizeof sig;

    if (wc_InitRng(&rng) != 0)
        return;
    int error = wc_ecc_init(&key);
    if (error == 0)
        error = wc_ecc_make_key(&rng, (int)(bits + 7) / 8, &key);
    /* The library makes the table at the second use of the curve's base point. */
    if (error == 0)
        (void)wc_ecc_sign_hash(nothing, sizeof nothing, sig, &len, &rng, &key);
    (void)wc_ecc_free(&key);
    /* Children must not inherit the state of a random generator. */
    (void)wc_FreeRng(&rng);
    explicit_bzero(&rng, sizeof rng);
#else
    (void)bits;
#endif
}

void keys_free_tables(void)
{
#ifdef FP_ECC
    /* The table of the curve's base point, 0.8 MB. */
    wc_ecc_fp_free();
#endif
}
