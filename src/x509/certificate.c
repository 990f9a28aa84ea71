/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "x509/certificate.h"

#include <errno.h>
#include <string.h>

#define BOOLEAN 0x01
#define DER_TRUE 0xff

static bool is_oid(struct der oid, const char *bytes, size_t len)
{
    return oid.len == len && memcmp(oid.at, bytes, len) == 0;
}

#define IS_OID(oid, literal) is_oid(oid, literal, sizeof(literal) - 1)

bool x509_same_name(struct der a, struct der b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

void x509_date(char *text, size_t size, time_t when)
{
    struct tm t;

    if (gmtime_r(&when, &t) == NULL || strftime(text, size, "%Y-%m-%d", &t) == 0)
        *text = '\0';
}

static int two_digits(const uint8_t *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

/* Takes a UTCTime or GeneralizedTime, which section 4.1.2.5 wants with seconds and in UTC. */
static int take_time(struct der *from, time_t *when)
{
    struct tm t = {0};
    struct der digits;
    int tag = der_next(from, &digits);
    size_t year_len = tag == DER_UTC_TIME ? 2 : 4;

    if ((tag != DER_UTC_TIME && tag != DER_GENERALIZED_TIME) || digits.len != year_len + 11 ||
        digits.at[digits.len - 1] != 'Z')
        return -EBADMSG;
    for (size_t i = 0; i < digits.len - 1; i++)
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return -EBADMSG;
    const uint8_t *p = digits.at;
    t.tm_year = two_digits(p);
    if (year_len == 4)
        t.tm_year = t.tm_year * 100 + two_digits(p + 2) - 1900;
    else if (t.tm_year < 50)
        t.tm_year += 100;
    p += year_len;
    t.tm_mon = two_digits(p) - 1;
    t.tm_mday = two_digits(p + 2);
    t.tm_hour = two_digits(p + 4);
    t.tm_min = two_digits(p + 6);
    t.tm_sec = two_digits(p + 8);
    *when = timegm(&t);
    return 0;
}

/* True for hashes for which collisions are known. */
static bool is_weak_hash(struct der oid)
{
    return IS_OID(oid, "\x2b\x0e\x03\x02\x1a") ||             /* SHA-1 */
           IS_OID(oid, "\x2a\x86\x48\x86\xf7\x0d\x02\x02") || /* MD2 */
           IS_OID(oid, "\x2a\x86\x48\x86\xf7\x0d\x02\x05");   /* MD5 */
}

/* True if a signature by this AlgorithmIdentifier uses a weak hash. RSASSA-PSS names the hash in its parameters;
 * without them it is SHA-1 (RFC 4055 section 3.1). */
static bool is_weak_signature(struct der algorithm)
{
    struct der oid, parameters, hash;

    if (der_take(&algorithm, DER_OID, &oid) < 0)
        return true;
    if (IS_OID(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a")) {
        if (der_take(&algorithm, DER_SEQUENCE, &parameters) < 0 ||
            der_take(&parameters, DER_CONTEXT_0, &hash) < 0 ||
            der_take(&hash, DER_SEQUENCE, &parameters) < 0 ||
            der_take(&parameters, DER_OID, &oid) < 0)
            return true;
        return is_weak_hash(oid);
    }
    return IS_OID(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x02") || /* MD2 with RSA */
           IS_OID(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04") || /* MD5 with RSA */
           IS_OID(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05") || /* SHA-1 with RSA */
           IS_OID(oid, "\x2b\x0e\x03\x02\x1d") ||                 /* the same */
           IS_OID(oid, "\x2a\x86\x48\xce\x3d\x04\x01") ||         /* SHA-1 with ECDSA */
           IS_OID(oid, "\x2a\x86\x48\xce\x38\x04\x03");           /* SHA-1 with DSA */
}

/* Reads the content of a SubjectPublicKeyInfo: the length of an RSA key. */
static int read_key(struct certificate *c, struct der info)
{
    struct der algorithm, oid, bits, key, modulus;

    if (der_take(&info, DER_SEQUENCE, &algorithm) < 0 || der_take(&algorithm, DER_OID, &oid) < 0 ||
        der_take(&info, DER_BIT_STRING, &bits) < 0 || bits.len == 0)
        return -EBADMSG;
    if (!IS_OID(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01") &&
        !IS_OID(oid, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"))
        return 0;
    bits.at++;
    bits.len--;
    if (der_take(&bits, DER_SEQUENCE, &key) < 0 || der_take(&key, DER_INTEGER, &modulus) < 0)
        return -EBADMSG;
    while (modulus.len > 0 && *modulus.at == 0) {
        modulus.at++;
        modulus.len--;
    }
    c->rsa_bits = 1;
    if (modulus.len == 0 || modulus.len > 8192)
        return -EBADMSG;
    c->rsa_bits = (unsigned)modulus.len * 8;
    for (unsigned top = *modulus.at; (top & 0x80) == 0; top <<= 1)
        c->rsa_bits--;
    return 0;
}

static int read_constraints(struct certificate *c, struct der value)
{
    struct der constraints, ca;

    if (der_take(&value, DER_SEQUENCE, &constraints) < 0)
        return -EBADMSG;
    if (der_peek(&constraints) != BOOLEAN)
        return 0;
    if (der_take(&constraints, BOOLEAN, &ca) < 0 || ca.len != 1)
        return -EBADMSG;
    c->is_ca = ca.at[0] != 0;
    return 0;
}

static int read_usage(struct certificate *c, struct der value)
{
    struct der bits;

    if (der_take(&value, DER_BIT_STRING, &bits) < 0 || bits.len < 2)
        return -EBADMSG;
    c->may_sign = (bits.at[1] & 0x80) != 0;
    c->may_certify = (bits.at[1] & 0x04) != 0;
    return 0;
}

static int read_purposes(struct certificate *c, struct der value)
{
    struct der purposes, oid;

    if (der_take(&value, DER_SEQUENCE, &purposes) < 0)
        return -EBADMSG;
    c->for_clients = false;
    while (purposes.len > 0) {
        if (der_take(&purposes, DER_OID, &oid) < 0)
            return -EBADMSG;
        if (IS_OID(oid, "\x2b\x06\x01\x05\x05\x07\x03\x02") || IS_OID(oid, "\x55\x1d\x25\x00"))
            c->for_clients = true;
    }
    return 0;
}

static int read_alt_names(struct certificate *c, struct der value)
{
    return der_take(&value, DER_SEQUENCE, &c->alt_names);
}

static const struct {
    uint8_t last; /* last number of the OID 2.5.29.x */
    int (*read)(struct certificate *c, struct der value);
} readers[] = {
    {15, read_usage},
    {17, read_alt_names},
    {19, read_constraints},
    {37, read_purposes},
};

#define READERS (sizeof readers / sizeof readers[0])

/* One extension. */
struct extension {
    struct der oid;
    bool critical;
    struct der value; /* the content of its OCTET STRING */
};

static int take_extension(struct der *all, struct extension *e)
{
    struct der one, critical;

    e->critical = false;
    if (der_take(all, DER_SEQUENCE, &one) < 0 || der_take(&one, DER_OID, &e->oid) < 0)
        return -EBADMSG;
    if (der_peek(&one) == BOOLEAN) {
        if (der_take(&one, BOOLEAN, &critical) < 0 || critical.len != 1)
            return -EBADMSG;
        e->critical = critical.at[0] != 0;
    }
    return der_take(&one, DER_OCTETS, &e->value);
}

/* Reads [3] of a certificate: its extensions. */
static int read_extensions(struct certificate *c, struct der wrapped)
{
    bool seen[READERS] = {false};
    struct extension e;
    struct der all;

    if (der_take(&wrapped, DER_SEQUENCE, &all) < 0)
        return -EBADMSG;
    while (all.len > 0) {
        if (take_extension(&all, &e) < 0)
            return -EBADMSG;
        for (size_t i = 0; i < READERS; i++) {
            const char oid[] = {0x55, 0x1d, (char)readers[i].last};
            if (!is_oid(e.oid, oid, sizeof oid))
                continue;
            /* Section 4.2: no extension may come twice. */
            if (seen[i] || readers[i].read(c, e.value) < 0)
                return -EBADMSG;
            seen[i] = true;
        }
    }
    return 0;
}

static int read_version(struct certificate *c, struct der *body)
{
    struct der wrapped, number;

    c->version = 1;
    if (der_peek(body) != DER_CONTEXT_0)
        return 0;
    if (der_take(body, DER_CONTEXT_0, &wrapped) < 0 ||
        der_take(&wrapped, DER_INTEGER, &number) < 0 || number.len != 1 || number.at[0] > 2)
        return -EBADMSG;
    c->version = number.at[0] + 1U;
    return 0;
}

/* Reads what stands behind the key: unique identifiers, [1] and [2], which are skipped, and extensions, [3]. None
 * may come twice, so that no two readers find other extensions. */
static int read_rest(struct certificate *c, struct der body)
{
    struct der value;
    int last = 0;

    while (body.len > 0) {
        int tag = der_next(&body, &value);
        int number = tag & 0x1f;
        if (tag < DER_CONTEXT_0_PRIMITIVE || number <= last || number > 3 ||
            (number == 3 && read_extensions(c, value) < 0))
            return -EBADMSG;
        last = number;
    }
    return 0;
}

/* True if the same algorithm and a signature stand behind the signed part, and nothing behind these. Whatever else
 * could be written there, nobody has signed: the certificate would be as good, with another fingerprint. */
static bool ends_signed(const struct der *all, struct der *outer, struct der algorithm)
{
    struct der again, signature;

    return der_take(outer, DER_SEQUENCE, &again) == 0 && x509_same_name(again, algorithm) &&
           der_take(outer, DER_BIT_STRING, &signature) == 0 && signature.len > 0 &&
           signature.at[0] == 0 && outer->len == 0 && all->len == 0;
}

int x509_read(struct certificate *c, const uint8_t *der, size_t len)
{
    struct der all = {der, len}, outer, body, algorithm, validity, key;

    *c = (struct certificate){.may_certify = true, .may_sign = true, .for_clients = true};
    if (der_take(&all, DER_SEQUENCE, &outer) < 0 || der_take(&outer, DER_SEQUENCE, &body) < 0 ||
        read_version(c, &body) < 0 || der_take(&body, DER_INTEGER, &c->serial) < 0 ||
        der_take(&body, DER_SEQUENCE, &algorithm) < 0 ||
        der_take(&body, DER_SEQUENCE, &c->issuer) < 0 ||
        der_take(&body, DER_SEQUENCE, &validity) < 0 || take_time(&validity, &c->not_before) < 0 ||
        take_time(&validity, &c->not_after) < 0 || der_take(&body, DER_SEQUENCE, &c->subject) < 0 ||
        der_take(&body, DER_SEQUENCE, &key) < 0 || read_key(c, key) < 0)
        return -EBADMSG;
    if (read_rest(c, body) < 0 || !ends_signed(&all, &outer, algorithm))
        return -EBADMSG;
    c->weak_signature = is_weak_signature(algorithm);
    c->self_issued = x509_same_name(c->subject, c->issuer);
    return 0;
}

/* Reads [0] of a revocation list: its extensions. */
static int read_list_extensions(struct revocation_list *l, struct der wrapped)
{
    struct extension e;
    struct der all;

    if (der_take(&wrapped, DER_SEQUENCE, &all) < 0)
        return -EBADMSG;
    while (all.len > 0) {
        if (take_extension(&all, &e) < 0)
            return -EBADMSG;
        l->whole = l->whole && !e.critical;
    }
    return 0;
}

int x509_read_crl(struct revocation_list *l, const uint8_t *der, size_t len)
{
    struct der all = {der, len}, outer, body, part;

    *l = (struct revocation_list){.whole = true};
    if (der_take(&all, DER_SEQUENCE, &outer) < 0 || der_take(&outer, DER_SEQUENCE, &body) < 0)
        return -EBADMSG;
    if (der_peek(&body) == DER_INTEGER && der_take(&body, DER_INTEGER, &part) < 0)
        return -EBADMSG;
    if (der_take(&body, DER_SEQUENCE, &part) < 0 || der_take(&body, DER_SEQUENCE, &l->issuer) < 0 ||
        take_time(&body, &l->this_update) < 0)
        return -EBADMSG;
    int tag = der_peek(&body);
    if ((tag == DER_UTC_TIME || tag == DER_GENERALIZED_TIME) &&
        take_time(&body, &l->next_update) < 0)
        return -EBADMSG;
    while (body.len > 0) {
        tag = der_next(&body, &part);
        if (tag < 0 || (tag == DER_CONTEXT_0 && read_list_extensions(l, part) < 0))
            return -EBADMSG;
    }
    return 0;
}
