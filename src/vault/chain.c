/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault/chain.h"

#include "common/log.h"
#include "vault/pem.h"
#include "x509/certificate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#define CHAIN_MAX 16
_Static_assert(sizeof((struct chain *)0)->top_issuer == KEYID_SIZE, "the library's hash of a name");

static void add_name(struct chain *c, const char *name, size_t len)
{
    char shown[256];
    size_t used = strlen(c->names);

    (void)log_escape(shown, sizeof shown, name, len);
    if (used + strlen(shown) + 2 < sizeof c->names)
        (void)snprintf(c->names + used, sizeof c->names - used, "%s%s", used > 0 ? "," : "", shown);
}

/* Reverses the list of names. A library without its OpenSSL layer keeps them backwards. */
static void put_names_in_order(DecodedCert *d)
{
#if !defined(OPENSSL_EXTRA) || defined(WOLFSSL_ALT_NAMES_NO_REV)
    DNS_entry *names = NULL;

    while (d->altNames != NULL) {
        DNS_entry *n = d->altNames;
        d->altNames = n->next;
        n->next = names;
        names = n;
    }
    d->altNames = names;
#else
    (void)d;
#endif
}

/* Copies key, dates and names of the leaf into *c. Returns 0, or logs one line and returns -EINVAL. */
static int take_leaf(struct chain *c, const char *file, const DecodedCert *d,
                     const struct certificate *read, const uint8_t *der)
{
    switch (d->keyOID) {
    case RSAk:
    case RSAPSSk:
        c->kind = KEY_RSA;
        c->bits = read->rsa_bits;
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
    /* The decoder copies some kinds of keys, so publicKey need not point into the certificate. */
    const uint8_t *at = memmem(der, d->maxIdx, d->publicKey, d->pubKeySize);
    if (at == NULL) {
        log_error("%s: the first certificate's key can't be found in it", file);
        return -EINVAL;
    }
    c->public_at = (size_t)(at - der);
    c->public_len = d->pubKeySize;
    c->not_before = read->not_before;
    c->not_after = read->not_after;
    c->is_ca = read->is_ca;
    c->self_signed = memcmp(d->subjectHash, d->issuerHash, sizeof d->subjectHash) == 0;
    (void)log_sentence(c->issuer, sizeof c->issuer, d->issuer,
                       strnlen(d->issuer, sizeof d->issuer));
    for (const DNS_entry *n = d->altNames; n != NULL; n = n->next)
        if (n->type == ASN_DNS_TYPE)
            add_name(c, n->name, (size_t)n->len);
    if (c->names[0] == '\0' && d->subjectCN != NULL)
        add_name(c, d->subjectCN, (size_t)d->subjectCNLen);
    return 0;
}

/* A certificate of the file: the facts that decide on its place in the chain. */
struct place {
    size_t at; /* its place in chain.der */
    size_t len;
    uint8_t subject[KEYID_SIZE]; /* the library's hash of the subject's name */
    uint8_t issuer[KEYID_SIZE];
    char name[80]; /* of the subject, for the log */
};

static bool issued(const struct place *issuer, const struct place *p)
{
    return memcmp(issuer->subject, p->issuer, KEYID_SIZE) == 0;
}

static bool is_root(const struct place *p)
{
    return issued(p, p);
}

/* Judges one certificate and fills in *p. number: from 1. Returns 0, or logs one line and returns -EINVAL. */
static int judge(struct chain *c, const char *file, unsigned number, struct place *p)
{
    const uint8_t *der = c->der + p->at;
    struct certificate read;
    DecodedCert d;
    int rc = -EINVAL;

    wc_InitDecodedCert(&d, der, (word32)p->len, NULL);
    int error = wc_ParseCert(&d, CERT_TYPE, NO_VERIFY, NULL);
    if (error != 0) {
        log_error("%s: certificate %u cannot be decoded: %s", file, number,
                  wc_GetErrorString(error));
        goto out;
    }
    if (x509_read(&read, der, p->len) < 0) {
        log_error("%s: certificate %u cannot be decoded: a field is not as RFC 5280 wants it", file,
                  number);
        goto out;
    }
    put_names_in_order(&d);
    memcpy(p->subject, d.subjectHash, KEYID_SIZE);
    memcpy(p->issuer, d.issuerHash, KEYID_SIZE);
    (void)log_sentence(p->name, sizeof p->name, d.subject, strnlen(d.subject, sizeof d.subject));
    /* Clients do not check a root's signature, unless the root is the server's own certificate. */
    if (read.weak_signature && !(number > 1 && is_root(p))) {
        log_error("%s: certificate %u (%s) is signed with MD5 or SHA-1, which clients refuse: get "
                  "a new one",
                  file, number, p->name);
        goto out;
    }
    if (read.rsa_bits != 0 && read.rsa_bits < RSA_BITS_MIN) {
        log_error("%s: certificate %u (%s) has an RSA key of %u bits, which is too weak: at least "
                  "%u are needed",
                  file, number, p->name, read.rsa_bits, RSA_BITS_MIN);
        goto out;
    }
    rc = number == 1 ? take_leaf(c, file, &d, &read, der) : 0;
out:
    wc_FreeDecodedCert(&d);
    return rc;
}

/* Returns the index of the issuer of certificate i, among those not yet `taken`; count if there is none. */
static size_t find_issuer(const struct place *places, size_t count, size_t i, const bool *taken)
{
    size_t k = 0;

    while (k < count && (taken[k] || !issued(&places[k], &places[i])))
        k++;
    return k;
}

/* Returns the index of the server's own certificate, which has issued none of the others. */
static size_t find_leaf(const struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;
        while (k < count && (k == i || !issued(&places[i], &places[k])))
            k++;
        if (k == count)
            return i;
    }
    return 0;
}

/* Logs the right order of the certificates, and which of them do not belong to the chain. */
static void explain_order(const char *file, const struct place *places, size_t count)
{
    bool taken[CHAIN_MAX] = {false};
    char order[CHAIN_MAX * 96] = "", others[CHAIN_MAX * 96] = "";
    size_t used = 0;

    for (size_t i = find_leaf(places, count); i < count; i = find_issuer(places, count, i, taken)) {
        taken[i] = true;
        used += (size_t)snprintf(order + used, sizeof order - used, "%s%zu (%s)",
                                 used > 0 ? ", " : "", i + 1, places[i].name);
    }
    used = 0;
    for (size_t i = 0; i < count; i++)
        if (!taken[i])
            used += (size_t)snprintf(others + used, sizeof others - used, "%s%zu (%s)",
                                     used > 0 ? ", " : "", i + 1, places[i].name);
    log_error("%s: chain out of order: the server's own certificate comes first, then each one's "
              "issuer; of those in the file the right order is %s%s%s",
              file, order, used > 0 ? "; these do not belong to it: " : "", others);
}

/* Judges each certificate and their order. Returns 0, or logs one line and returns -EINVAL. */
static int judge_all(struct chain *c, const char *file, struct place *places)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < c->count; i++)
        rc = judge(c, file, i + 1, &places[i]);
    for (unsigned i = 1; rc == 0 && i < c->count; i++) {
        if (!issued(&places[i], &places[i - 1])) {
            explain_order(file, places, c->count);
            rc = -EINVAL;
        }
    }
    if (rc == 0) {
        memcpy(c->top_issuer, places[c->count - 1].issuer, sizeof c->top_issuer);
        c->ends_at_root = is_root(&places[c->count - 1]);
    }
    return rc;
}

/* Decodes the base64 of all certificates into chain.der. Returns 0, or logs one line and returns -EINVAL. */
static int take_all(struct chain *c, const char *file, struct place *places, const uint8_t *text,
                    size_t len)
{
    struct pem_block b;
    size_t room = len;
    int found;

    while ((found = pem_next(&b, &text, &len)) > 0) {
        if (!pem_label_is(&b, "CERTIFICATE") && !pem_label_is(&b, "X509 CERTIFICATE"))
            continue;
        if (c->count == CHAIN_MAX) {
            log_error("%s: more than %d certificates: give the server's own and its issuers only",
                      file, CHAIN_MAX);
            return -EINVAL;
        }
        struct place *p = &places[c->count];
        p->at = c->len;
        p->len = room - c->len;
        if (pem_decode(&b, c->der + c->len, &p->len) < 0) {
            log_error("%s: certificate %u is not base64: the file is damaged", file, c->count + 1);
            return -EINVAL;
        }
        c->len += p->len;
        c->count++;
    }
    if (found < 0) {
        log_error("%s: cut short: a -----BEGIN line without its -----END line", file);
        return -EINVAL;
    }
    return 0;
}

int chain_take(struct chain *c, const char *file, const uint8_t *text, size_t len)
{
    struct place places[CHAIN_MAX] = {0};
    int rc;

    memset(c, 0, sizeof *c);
    /* Base64 makes four bytes of three, so the DER is shorter than the text. */
    c->der = malloc(len + 1);
    if (c->der == NULL) {
        log_error("%s: out of memory", file);
        return -ENOMEM;
    }
    rc = take_all(c, file, places, text, len);
    if (rc == 0 && c->count == 0) {
        log_error("%s: no certificate in it: wants PEM, with a line -----BEGIN CERTIFICATE-----%s",
                  file,
                  len > 0 && text[0] == 0x30 ? "; this looks like DER: `openssl x509 -inform "
                                               "der' turns it into PEM"
                                             : "");
        rc = -EINVAL;
    }
    if (rc == 0)
        rc = judge_all(c, file, places);
    if (rc < 0)
        chain_free(c);
    return rc;
}

bool chain_is_issued_by(const struct chain *c, const uint8_t *text, size_t len)
{
    struct pem_block b;
    uint8_t *der = malloc(len + 1);
    bool found = false;

    while (der != NULL && !found && pem_next(&b, &text, &len) > 0) {
        DecodedCert d;
        size_t der_len = b.body_len;
        if (!pem_label_is(&b, "CERTIFICATE") || pem_decode(&b, der, &der_len) < 0)
            continue;
        wc_InitDecodedCert(&d, der, (word32)der_len, NULL);
        found = wc_ParseCert(&d, CERT_TYPE, NO_VERIFY, NULL) == 0 &&
                memcmp(d.subjectHash, c->top_issuer, sizeof c->top_issuer) == 0;
        wc_FreeDecodedCert(&d);
    }
    free(der);
    return found;
}

/* True if a name of a certificate matches. A star stands for the first label (RFC 6125 section 6.4.3). */
static bool name_matches(const char *pattern, size_t len, const char *name)
{
    if (len > 2 && pattern[0] == '*' && pattern[1] == '.') {
        const char *dot = strchr(name, '.');
        if (dot == NULL || dot == name)
            return false;
        name = dot;
        pattern++;
        len--;
    }
    return strlen(name) == len && strncasecmp(pattern, name, len) == 0;
}

bool chain_covers(const struct chain *c, const char *name)
{
    DecodedCert d;
    bool covers = false, named = false;

    wc_InitDecodedCert(&d, c->der, (word32)c->len, NULL);
    if (wc_ParseCert(&d, CERT_TYPE, NO_VERIFY, NULL) == 0) {
        for (const DNS_entry *n = d.altNames; n != NULL && !covers; n = n->next) {
            named = named || n->type == ASN_DNS_TYPE;
            covers = n->type == ASN_DNS_TYPE && name_matches(n->name, (size_t)n->len, name);
        }
        if (!named && d.subjectCN != NULL)
            covers = name_matches(d.subjectCN, (size_t)d.subjectCNLen, name);
    }
    wc_FreeDecodedCert(&d);
    return covers;
}

void chain_free(struct chain *c)
{
    free(c->der);
    memset(c, 0, sizeof *c);
}

const char *chain_kind_name(enum key_kind kind)
{
    static const char *const names[] = {"none", "RSA", "ECDSA", "Ed25519"};

    return names[kind];
}
