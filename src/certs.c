/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "certs.h"

#include "io.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/coding.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/rsa.h>

#define RSA_BITS_MIN 2048

int certs_read_file(const char *file, bool secret, uint8_t *text, size_t size, size_t *len)
{
    struct stat s;
    int rc = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *len = 0;
    if (fd < 0) {
        rc = -errno;
        log_error("%s: cannot be opened: %s", file, strerror(-rc));
        return rc;
    }
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode)) {
        log_error("%s: is not a file", file);
        rc = -EINVAL;
    } else if (secret && (s.st_mode & S_IRWXO) != 0) {
        log_error("%s: holds a private key and others may read or change it (mode %04o): chmod o= "
                  "%s",
                  file, (unsigned)(s.st_mode & 07777), file);
        rc = -EPERM;
    }
    while (rc == 0) {
        uint8_t beyond;
        bool full = *len == size;
        ssize_t n = io_read(fd, full ? &beyond : text + *len, full ? 1 : size - *len);
        if (n < 0) {
            rc = (int)n;
            log_error("%s: cannot be read: %s", file, strerror(-rc));
        } else if (n == 0) {
            break;
        } else if (full) {
            rc = -EFBIG;
            log_error("%s: is larger than %zu bytes: not a certificate or key file", file, size);
        } else {
            *len += (size_t)n;
        }
    }
    io_close(&fd);
    return rc;
}

/* One PEM block: the text between its BEGIN and END lines. */
struct block {
    const char *label; /* "CERTIFICATE", not NUL-terminated */
    size_t label_len;
    const uint8_t *body;
    size_t body_len;
};

static const uint8_t *find(const uint8_t *text, size_t len, const char *word)
{
    return memmem(text, len, word, strlen(word));
}

/* Finds the next block in *text and moves *text behind it. Returns 1, 0 when there is none, or
 * -EINVAL when one begins that has no end. */
static int next_block(struct block *b, const uint8_t **text, size_t *len)
{
    static const char begin[] = "-----BEGIN ", dashes[] = "-----", end[] = "-----END ";
    const uint8_t *limit = *text + *len;
    const uint8_t *p = find(*text, *len, begin);

    if (p == NULL)
        return 0;
    b->label = (const char *)p + strlen(begin);
    p = find((const uint8_t *)b->label, (size_t)(limit - (const uint8_t *)b->label), dashes);
    if (p == NULL)
        return -EINVAL;
    b->label_len = (size_t)((const char *)p - b->label);
    b->body = p + strlen(dashes);
    p = find(b->body, (size_t)(limit - b->body), end);
    if (p == NULL)
        return -EINVAL;
    b->body_len = (size_t)(p - b->body);
    *text = p + strlen(end);
    *len = (size_t)(limit - *text);
    return 1;
}

static bool label_is(const struct block *b, const char *label)
{
    return b->label_len == strlen(label) && memcmp(b->label, label, b->label_len) == 0;
}

static bool label_ends(const struct block *b, const char *ending)
{
    size_t n = strlen(ending);

    return b->label_len >= n && memcmp(b->label + b->label_len - n, ending, n) == 0;
}

/* RFC 7468: base64 only. *der_len is the room, then the bytes used. */
static int decode(const struct block *b, uint8_t *der, size_t *der_len)
{
    word32 len = (word32)*der_len;

    if (Base64_Decode(b->body, (word32)b->body_len, der, &len) != 0)
        return -EINVAL;
    *der_len = len;
    return 0;
}

/* Two ASCII digits of an ASN.1 time. */
static int two_digits(const uint8_t *p)
{
    return (p[0] - '0') * 10 + (p[1] - '0');
}

/* UTCTime or GeneralizedTime in DER (RFC 5280 section 4.1.2.5), with its tag and length. */
static time_t decode_time(const uint8_t *der, int len)
{
    struct tm t = {0};
    const uint8_t *p = der + 2;

    if (len < 2 || len != der[1] + 2)
        return 0;
    if (der[0] == 0x17 && len >= 2 + 13) {
        t.tm_year = two_digits(p);
        if (t.tm_year < 50)
            t.tm_year += 100;
        p += 2;
    } else if (der[0] == 0x18 && len >= 2 + 15) {
        t.tm_year = two_digits(p) * 100 + two_digits(p + 2) - 1900;
        p += 4;
    } else {
        return 0;
    }
    t.tm_mon = two_digits(p) - 1;
    t.tm_mday = two_digits(p + 2);
    t.tm_hour = two_digits(p + 4);
    t.tm_min = two_digits(p + 6);
    t.tm_sec = two_digits(p + 8);
    return timegm(&t);
}

static bool weak_signature(word32 oid)
{
    return oid == CTC_MD2wRSA || oid == CTC_MD5wRSA || oid == CTC_SHAwRSA || oid == CTC_SHAwDSA ||
           oid == CTC_SHAwECDSA;
}

static unsigned rsa_bits(const uint8_t *public, word32 len)
{
    const byte *n = NULL, *e = NULL;
    word32 at = 0, n_len = 0, e_len = 0;

    if (wc_RsaPublicKeyDecode_ex(public, &at, len, &n, &n_len, &e, &e_len) != 0 || n_len == 0)
        return 0;
    while (n_len > 0 && *n == 0) {
        n++;
        n_len--;
    }
    unsigned bits = (unsigned)n_len * 8;
    for (unsigned top = n_len > 0 ? *n : 0x80; (top & 0x80) == 0; top <<= 1)
        bits--;
    return bits;
}

static void add_name(struct chain *c, const char *name, size_t len)
{
    char shown[256];
    size_t used = strlen(c->names);

    (void)log_escape(shown, sizeof shown, name, len);
    if (used + strlen(shown) + 2 < sizeof c->names)
        (void)snprintf(c->names + used, sizeof c->names - used, "%s%s", used > 0 ? "," : "", shown);
}

/* What the leaf tells: its key, dates and names. */
static int take_leaf(struct chain *c, const char *file, const DecodedCert *d, const uint8_t *der)
{
    switch (d->keyOID) {
    case RSAk:
    case RSAPSSk:
        c->kind = KEY_RSA;
        c->bits = rsa_bits(d->publicKey, d->pubKeySize);
        break;
    case ECDSAk:
        c->kind = KEY_ECDSA;
        c->bits = d->pkCurveOID == ECC_SECP384R1_OID   ? 384
                  : d->pkCurveOID == ECC_SECP521R1_OID ? 521
                                                       : 256;
        break;
    case ED25519k:
        c->kind = KEY_ED25519;
        c->bits = 256;
        break;
    default:
        log_error("%s: the first certificate has a key that is not RSA, ECDSA or Ed25519", file);
        return -EINVAL;
    }
    /* The decoder copies some kinds of keys; what is wanted is the place in the certificate. */
    const uint8_t *at = memmem(der, d->maxIdx, d->publicKey, d->pubKeySize);
    if (at == NULL) {
        log_error("%s: the first certificate's key can't be found in it", file);
        return -EINVAL;
    }
    c->public_at = (size_t)(at - der);
    c->public_len = d->pubKeySize;
    c->not_before = decode_time(d->beforeDate, d->beforeDateLen);
    c->not_after = decode_time(d->afterDate, d->afterDateLen);
    c->self_signed = memcmp(d->subjectHash, d->issuerHash, sizeof d->subjectHash) == 0;
    (void)log_escape(c->issuer, sizeof c->issuer, d->issuer, strnlen(d->issuer, sizeof d->issuer));
    for (const DNS_entry *n = d->altNames; n != NULL; n = n->next)
        if (n->type == ASN_DNS_TYPE)
            add_name(c, n->name, (size_t)n->len);
    if (c->names[0] == '\0' && d->subjectCN != NULL)
        add_name(c, d->subjectCN, (size_t)d->subjectCNLen);
    return 0;
}

/* Judges one more certificate, number c->count from 0, that stands at der. The issuer's name of
 * the one before is in expected. */
static int take_certificate(struct chain *c, const char *file, const uint8_t *der, size_t len,
                            uint8_t expected[KEYID_SIZE])
{
    DecodedCert d;
    int rc = -EINVAL;
    unsigned number = c->count + 1;

    wc_InitDecodedCert(&d, der, (word32)len, NULL);
    int error = wc_ParseCert(&d, CERT_TYPE, NO_VERIFY, NULL);
    if (error != 0) {
        log_error("%s: certificate %u cannot be decoded: %s", file, number,
                  wc_GetErrorString(error));
        goto out;
    }
    bool self_signed = memcmp(d.subjectHash, d.issuerHash, KEYID_SIZE) == 0;
    if (number > 1 && memcmp(d.subjectHash, expected, KEYID_SIZE) != 0) {
        log_error("%s: chain out of order: certificate %u did not issue certificate %u; the "
                  "server's own comes first, then each one's issuer (see --check)",
                  file, number, number - 1);
        goto out;
    }
    /* Nobody checks the signature of a root that comes last. */
    if (weak_signature(d.signatureOID) && !(number > 1 && self_signed)) {
        log_error("%s: certificate %u is signed with MD5 or SHA-1, which clients refuse: get a new "
                  "one",
                  file, number);
        goto out;
    }
    unsigned rsa = d.keyOID == RSAk || d.keyOID == RSAPSSk ? rsa_bits(d.publicKey, d.pubKeySize)
                                                           : RSA_BITS_MIN;
    if (rsa < RSA_BITS_MIN) {
        log_error(
            "%s: certificate %u has an RSA key of %u bits, which is too weak: at least %u are "
            "needed",
            file, number, rsa, RSA_BITS_MIN);
        goto out;
    }
    memcpy(expected, d.issuerHash, KEYID_SIZE);
    rc = number == 1 ? take_leaf(c, file, &d, der) : 0;
out:
    wc_FreeDecodedCert(&d);
    return rc;
}

int certs_take_chain(struct chain *c, const char *file, const uint8_t *text, size_t len)
{
    uint8_t expected[KEYID_SIZE] = {0};
    struct block b;
    int rc = 0;

    memset(c, 0, sizeof *c);
    /* Base64 takes four bytes for three: the text's length is room enough. */
    c->der = malloc(len + 1);
    if (c->der == NULL) {
        log_error("%s: out of memory", file);
        return -ENOMEM;
    }
    int found;
    while (rc == 0 && (found = next_block(&b, &text, &len)) != 0) {
        if (found < 0) {
            log_error("%s: cut short: a -----BEGIN line without its -----END line", file);
            rc = found;
            break;
        }
        if (!label_is(&b, "CERTIFICATE") && !label_is(&b, "X509 CERTIFICATE"))
            continue;
        size_t der_len = b.body_len;
        if (decode(&b, c->der + c->len, &der_len) < 0) {
            log_error("%s: certificate %u is not base64: the file is damaged", file, c->count + 1);
            rc = -EINVAL;
            break;
        }
        rc = take_certificate(c, file, c->der + c->len, der_len, expected);
        c->len += der_len;
        c->count++;
    }
    if (rc == 0 && c->count == 0) {
        log_error("%s: no certificate in it: wants PEM, with a line -----BEGIN CERTIFICATE-----",
                  file);
        rc = -EINVAL;
    }
    if (rc < 0)
        certs_free(c);
    return rc;
}

int certs_take_key(const char *file, const uint8_t *text, size_t len, uint8_t *der, size_t *der_len)
{
    struct block b;

    while (next_block(&b, &text, &len) > 0) {
        if (!label_ends(&b, "PRIVATE KEY"))
            continue;
        if (label_is(&b, "ENCRYPTED PRIVATE KEY") ||
            find(b.body, b.body_len, "Proc-Type:") != NULL) {
            log_error("%s: the private key is encrypted: `openssl pkey -in %s' writes it plain",
                      file, file);
            return -EINVAL;
        }
        *der_len = CERTS_KEY_MAX;
        if (decode(&b, der, der_len) < 0) {
            log_error("%s: the private key is not base64: the file is damaged", file);
            return -EINVAL;
        }
        return 0;
    }
    log_error("%s: no private key in it: wants PEM, with a line -----BEGIN PRIVATE KEY-----; "
              "give --key=FILE if it is in a file of its own",
              file);
    return -EINVAL;
}

void certs_free(struct chain *c)
{
    free(c->der);
    memset(c, 0, sizeof *c);
}

const char *certs_kind_name(enum key_kind kind)
{
    static const char *const names[] = {"none", "RSA", "ECDSA", "Ed25519"};

    return names[kind];
}
