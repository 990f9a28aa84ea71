/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/decoy.h"

#include "x509/der.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define ED25519_SIZE 32 /* of either half */
#define CONTEXT_1_PRIMITIVE 0x81
#define FILLER 0x5a
#define RSA_PRIVATE_NUMBERS                                                                        \
    6 /* d, p, q, d mod p-1, d mod q-1, 1/q mod p (RFC 8017 appendix A.1.2) */

/* The certificate's SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). */
struct public_key {
    struct der algorithm; /* the whole AlgorithmIdentifier, with its header */
    struct der oid;
    struct der bits; /* what is in the BIT STRING */
};

/* Writes DER from its end to its beginning, so that each length is known before its header is written. */
struct writer {
    uint8_t *start;
    uint8_t *at;
    bool full;
};

static void put(struct writer *w, const void *bytes, size_t len)
{
    if (w->full || (size_t)(w->at - w->start) < len) {
        w->full = true;
        return;
    }
    w->at -= len;
    memcpy(w->at, bytes, len);
}

static void put_byte(struct writer *w, uint8_t byte)
{
    put(w, &byte, 1);
}

/* Writes the header of the element whose content begins at w->at and ends at `end`. */
static void put_header(struct writer *w, uint8_t tag, const uint8_t *end)
{
    size_t len = (size_t)(end - w->at);

    put_byte(w, (uint8_t)len);
    if (len > 0xff)
        put_byte(w, (uint8_t)(len >> 8));
    if (len >= 0x80)
        put_byte(w, len > 0xff ? 0x82 : 0x81);
    put_byte(w, tag);
}

static void put_element(struct writer *w, uint8_t tag, const void *bytes, size_t len)
{
    const uint8_t *end = w->at;

    put(w, bytes, len);
    put_header(w, tag, end);
}

static void put_number(struct writer *w, uint8_t number)
{
    put_element(w, DER_INTEGER, &number, 1);
}

/* Writes an RSAPrivateKey (RFC 8017 appendix A.1.2) with the certificate's public numbers and made-up
 * private ones. */
static int put_rsa(struct writer *w, struct der bits)
{
    const uint8_t *end = w->at;
    struct der numbers, modulus, exponent;

    if (der_take(&bits, DER_SEQUENCE, &numbers) < 0 ||
        der_take(&numbers, DER_INTEGER, &modulus) < 0 ||
        der_take(&numbers, DER_INTEGER, &exponent) < 0)
        return -EBADMSG;
    for (int i = 0; i < RSA_PRIVATE_NUMBERS; i++)
        put_number(w, 3);
    put_element(w, DER_INTEGER, exponent.at, exponent.len);
    put_element(w, DER_INTEGER, modulus.at, modulus.len);
    put_number(w, 0); /* the version */
    put_header(w, DER_SEQUENCE, end);
    return 0;
}

/* Writes an ECPrivateKey (RFC 5915) with a scalar as long as the curve's order. The scalar's first byte is
 * 0, so that it is smaller than P-521's order, which begins with 1. */
static int put_ecdsa(struct writer *w, struct der point)
{
    const uint8_t *end = w->at;
    uint8_t scalar[66]; /* of P-521, the largest */

    if (point.len < 3)
        return -EBADMSG;
    size_t len = point.at[0] == 4 ? (point.len - 1) / 2 : point.len - 1;
    if (len > sizeof scalar)
        return -ENOTSUP;
    memset(scalar, FILLER, len);
    scalar[0] = 0;
    put_element(w, DER_OCTETS, scalar, len);
    put_number(w, 1); /* the version */
    put_header(w, DER_SEQUENCE, end);
    return 0;
}

/* Writes a CurvePrivateKey (RFC 8410 section 7). */
static int put_ed25519(struct writer *w)
{
    uint8_t seed[ED25519_SIZE];

    memset(seed, FILLER, sizeof seed);
    put_element(w, DER_OCTETS, seed, sizeof seed);
    return 0;
}

/* Writes the public half of put_ed25519()'s key as wolfSSL reads it: without the byte for unused bits,
 * which RFC 5958 has. */
static void put_ed25519_public(struct writer *w)
{
    static const uint8_t public[ED25519_SIZE] = {0x0d, 0x75, 0x50, 0x75, 0x4e, 0x08, 0x00, 0xa5,
                                                 0xd2, 0x37, 0xee, 0xf5, 0x82, 0x60, 0x35, 0x76,
                                                 0x6b, 0x9b, 0x3e, 0x5a, 0x15, 0x86, 0x8a, 0x94,
                                                 0x0a, 0xb2, 0x89, 0x95, 0x87, 0x88, 0xe3, 0xb0};

    put_element(w, CONTEXT_1_PRIMITIVE, public, sizeof public);
}

static bool oid_is(struct der oid, const uint8_t *bytes, size_t len)
{
    return oid.len == len && memcmp(oid.at, bytes, len) == 0;
}

enum kind { OTHER, RSA, ECDSA, ED25519 };

static enum kind kind_of(struct der oid)
{
    static const uint8_t rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1};
    static const uint8_t rsa_pss[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10};
    static const uint8_t ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1};
    static const uint8_t ed25519[] = {0x2b, 0x65, 0x70};

    if (oid_is(oid, rsa, sizeof rsa) || oid_is(oid, rsa_pss, sizeof rsa_pss))
        return RSA;
    if (oid_is(oid, ec, sizeof ec))
        return ECDSA;
    return oid_is(oid, ed25519, sizeof ed25519) ? ED25519 : OTHER;
}

static int put_private(struct writer *w, enum kind kind, struct der public)
{
    switch (kind) {
    case RSA:
        return put_rsa(w, public);
    case ECDSA:
        return put_ecdsa(w, public);
    case ED25519:
        return put_ed25519(w);
    default:
        return -ENOTSUP;
    }
}

/* Finds the certificate's public key. Returns 0 or -EBADMSG. */
static int find_public_key(struct public_key *public, const uint8_t *der, size_t len)
{
    struct der file = {der, len}, certificate, rest, info, algorithm, skipped;

    if (der_take(&file, DER_SEQUENCE, &certificate) < 0 ||
        der_take(&certificate, DER_SEQUENCE, &rest) < 0)
        return -EBADMSG;
    if (der_peek(&rest) == DER_CONTEXT_0 && der_next(&rest, &skipped) < 0)
        return -EBADMSG;
    /* Serial number, signature algorithm, issuer, validity, subject. */
    for (int i = 0; i < 5; i++)
        if (der_next(&rest, &skipped) < 0)
            return -EBADMSG;
    if (der_take(&rest, DER_SEQUENCE, &info) < 0)
        return -EBADMSG;
    const uint8_t *start = info.at;
    if (der_take(&info, DER_SEQUENCE, &algorithm) < 0)
        return -EBADMSG;
    public->algorithm = (struct der){start, (size_t)(info.at - start)};
    if (der_take(&algorithm, DER_OID, &public->oid) < 0 ||
        der_take(&info, DER_BIT_STRING, &public->bits) < 0 || public->bits.len == 0)
        return -EBADMSG;
    public->bits.at++; /* skip the number of unused bits, which is 0 */
    public->bits.len--;
    return 0;
}

int decoy_make(struct decoy *d, const uint8_t *der, size_t len)
{
    const uint8_t *end = d->key + sizeof d->key;
    struct writer w = {.start = d->key, .at = d->key + sizeof d->key};
    struct public_key public;
    int rc = find_public_key(&public, der, len);

    if (rc < 0)
        return rc;
    enum kind kind = kind_of(public.oid);
    d->has_public_half = kind == ED25519;
    if (d->has_public_half)
        put_ed25519_public(&w);
    const uint8_t *private_end = w.at;
    rc = put_private(&w, kind, public.bits);
    if (rc < 0)
        return rc;
    put_header(&w, DER_OCTETS, private_end);
    put(&w, public.algorithm.at, public.algorithm.len);
    put_number(&w, d->has_public_half); /* the version: 1 with a public half, else 0 */
    put_header(&w, DER_SEQUENCE, end);
    if (w.full)
        return -ENOTSUP;
    d->len = (size_t)(end - w.at);
    memmove(d->key, w.at, d->len);
    return 0;
}
