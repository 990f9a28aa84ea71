/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/verify.h"

#include "tls/alert.h"
#include "tls/authorities.h"
#include "tls/strict.h"
#include "x509/user.h"
#include "tls/suites.h"
#include "x509/certificate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/sha256.h>

#define FALSE_ISSUER "its issuer %s is no CA (basicConstraints or keyUsage)"
#define CHAIN_MAX 6 /* certificates that a client may send */

/* A too long path must get the alert bad_certificate. 5.7.2 and 5.9.2 send unknown_ca unless verify()
 * accepts the fault; then they send bad_certificate for the next certificate, which it always refuses. */
#define PATH_LENGTH_IS_UNKNOWN_CA (LIBWOLFSSL_VERSION_HEX >= 0x05007000)

struct clientcert {
    enum client_cert mode;
    enum client_name part;
    bool verified;          /* the client's certificate is accepted */
    int alert;              /* for a refused client; 0: the library's choice */
    char why[TLS_WHY_SIZE]; /* "" until a certificate was refused */
    struct client_facts facts;
};

/* Faults that the library finds. Builds with OPENSSL_EXTRA report some by OpenSSL's numbers, which are
 * positive (`openssl_error`). Those for dates differ (5.5.4: 14 and 13; 5.7.2 and 5.9.2: 10 and 9). So
 * name_fault() compares the dates itself. */
static const struct {
    int error;
    int openssl_error;
    int alert;
    const char *words;
} faults[] = {
    {ASN_AFTER_DATE_E, 0, ALERT_CERTIFICATE_EXPIRED, "expired on %s"},
    {ASN_BEFORE_DATE_E, 0, 0, "not valid before %s"},
    {ASN_NO_SIGNER_E, 20, ALERT_UNKNOWN_CA, "its issuer %s is not in --client-ca"},
    {ASN_SELF_SIGNED_E, 18, ALERT_UNKNOWN_CA, "self-signed: its issuer %s is not in --client-ca"},
    {ASN_SIG_CONFIRM_E, 7, 0, "its signature is not that of its issuer %s"},
    {ASN_SIG_OID_E, 0, 0, "its signature is not that of its issuer %s"},
    {ASN_PATHLEN_INV_E, 25, ALERT_BAD_CERTIFICATE,
     "more CAs below one another than a CA's path length allows"},
    {MAX_CHAIN_ERROR, 0, 0, "too many certificates in its chain"},
    {CRL_CERT_REVOKED, 23, ALERT_CERTIFICATE_REVOKED, "revoked by its issuer %s"},
    {CRL_MISSING, 3, 0, "no current revocation list of its issuer %s in --crl"},
    {CRL_CERT_DATE_ERR, 12, 0, "no current revocation list of its issuer %s in --crl"},
    {ASN_CRL_NO_SIGNER_E, 0, 0, "no current revocation list of its issuer %s in --crl"},
    {EXTKEYUSE_AUTH_E, 0, ALERT_UNSUPPORTED_CERTIFICATE,
     "not meant for clients (extendedKeyUsage without clientAuth)"},
    {KEYUSE_SIGNATURE_E, 0, ALERT_UNSUPPORTED_CERTIFICATE,
     "its key must not sign (keyUsage without digitalSignature)"},
    {ASN_VERSION_E, 0, ALERT_UNSUPPORTED_CERTIFICATE, STRICT_NOT_VERSION_3},
    {RSA_KEY_SIZE_E, 0, 0, "an RSA key of less than 2048 bits"},
    {ECC_KEY_SIZE_E, 0, 0, "a key that is too short"},
    {ASN_NAME_INVALID_E, 0, 0, "a name that its issuer %s must not certify (name constraints)"},
    {ASN_CRIT_EXT_E, 0, 0, "a critical extension that is not understood"},
};

#define FAULTS (sizeof faults / sizeof faults[0])

/* Notes which certificate of the chain is refused and why. Keeps the first reason. */
static void refuse(struct clientcert *c, const WOLFSSL_X509_STORE_CTX *store, int depth, int alert,
                   const char *reason)
{
    struct certificate leaf, bad;
    char name[72] = "(damaged)", other[72] = "";

    if (c->why[0] != '\0')
        return;
    if (x509_read(&leaf, store->certs[0].buffer, store->certs[0].length) == 0)
        identity_name(name, sizeof name, leaf.subject);
    if (depth > 0 && x509_read(&bad, store->certs[depth].buffer, store->certs[depth].length) == 0)
        identity_name(other, sizeof other, bad.subject);
    c->alert = alert;
    (void)snprintf(c->why, sizeof c->why, "client certificate %s: %s%s%s%s", name,
                   depth > 0 ? "in its chain, " : "", other, depth > 0 ? ": " : "", reason);
}

/* Copies the words, with the detail in the place of their %s, if there is one. */
static void put_detail(char *text, size_t size, const char *words, const char *detail)
{
    const char *gap = strstr(words, "%s");

    if (gap == NULL)
        (void)snprintf(text, size, "%s", words);
    else
        (void)snprintf(text, size, "%.*s%s%s", (int)(gap - words), words, detail, gap + 2);
}

/* True if the client sent the issuer of `bad`, but it is no CA. The library only says "no issuer". */
static bool has_false_issuer(const WOLFSSL_X509_STORE_CTX *store, const struct certificate *bad)
{
    struct certificate other;

    for (int i = 1; i < store->totalCerts; i++)
        if (x509_read(&other, store->certs[i].buffer, store->certs[i].length) == 0 &&
            x509_same_name(other.subject, bad->issuer) && (!other.is_ca || !other.may_certify))
            return true;
    return false;
}

static size_t find_fault(int error)
{
    size_t i = 0;

    while (i < FAULTS && error != faults[i].error &&
           (faults[i].openssl_error == 0 || error != faults[i].openssl_error))
        i++;
    return i;
}

/* Returns the row of the fault for the library's error; FAULTS if there is none. */
static size_t name_fault(int error, const struct certificate *bad)
{
    time_t now = time(NULL);
    size_t i = find_fault(error);

    if (i == FAULTS && bad->version != 0 && bad->not_after < now)
        return find_fault(ASN_AFTER_DATE_E);
    if (i == FAULTS && bad->version != 0 && bad->not_before > now)
        return find_fault(ASN_BEFORE_DATE_E);
    return i;
}

/* Notes the library's reason for refusing the certificate at this depth. Returns faults[].error, or the
 * library's error if that is in no row. */
static int refuse_fault(struct clientcert *c, const WOLFSSL_X509_STORE_CTX *store, int depth)
{
    struct certificate bad = {.version = 0};
    char detail[72] = "?", reason[160];
    bool known = x509_read(&bad, store->certs[depth].buffer, store->certs[depth].length) == 0;
    size_t i = name_fault(store->error, &bad);

    if (i == FAULTS) {
        (void)snprintf(reason, sizeof reason, "%s (wolfSSL error %d)",
                       wolfSSL_ERR_reason_error_string((unsigned long)store->error), store->error);
        refuse(c, store, depth, 0, reason);
        return store->error;
    }
    if (known) {
        if (faults[i].error == ASN_AFTER_DATE_E)
            x509_date(detail, sizeof detail, bad.not_after);
        else if (faults[i].error == ASN_BEFORE_DATE_E)
            x509_date(detail, sizeof detail, bad.not_before);
        else
            identity_name(detail, sizeof detail, bad.issuer);
    }
    const char *words = faults[i].words;
    if (faults[i].error == ASN_NO_SIGNER_E && has_false_issuer(store, &bad))
        words = FALSE_ISSUER;
    put_detail(reason, sizeof reason, words, detail);
    refuse(c, store, depth, faults[i].alert, reason);
    return faults[i].error;
}

/* Refuses a CA's certificate that must not sign the one below it. From 5.7.2 on the library ends the
 * handshake for that without asking us. Returns false if there is nothing to refuse. */
static bool refuse_issuer(struct clientcert *c, const WOLFSSL_X509_STORE_CTX *store, int depth)
{
    struct certificate one, below;
    char name[72], reason[160];

    if (x509_read(&one, store->certs[depth].buffer, store->certs[depth].length) < 0 ||
        x509_read(&below, store->certs[depth - 1].buffer, store->certs[depth - 1].length) < 0 ||
        !one.is_ca || one.may_certify || !x509_same_name(one.subject, below.issuer))
        return false;
    identity_name(name, sizeof name, one.subject);
    put_detail(reason, sizeof reason, FALSE_ISSUER, name);
    refuse(c, store, depth - 1, 0, reason);
    return true;
}

static int fingerprint(char *text, size_t size, const WOLFSSL_BUFFER_INFO *der)
{
    byte hash[WC_SHA256_DIGEST_SIZE];

    if (wc_Sha256Hash(der->buffer, der->length, hash) != 0)
        return -EIO;
    for (size_t i = 0; i < sizeof hash && 2 * i + 2 < size; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", hash[i]);
    return 0;
}

/* Applies our stricter checks to a chain that the library has accepted. True if they hold. */
static bool judge_chain(struct clientcert *c, const WOLFSSL_X509_STORE_CTX *store)
{
    struct certificate one;

    if (store->totalCerts > CHAIN_MAX) {
        refuse(c, store, 0, 0, "too many certificates in its chain");
        return false;
    }
    for (int i = store->totalCerts; i-- > 0;) {
        const char *reason = "it cannot be decoded";
        int alert = 0;
        if (x509_read(&one, store->certs[i].buffer, store->certs[i].length) == 0)
            reason = strict_strength(&one, i == 0);
        if (reason == NULL && (reason = strict_use(&one, i == 0)) != NULL)
            alert = ALERT_UNSUPPORTED_CERTIFICATE;
        if (reason != NULL) {
            refuse(c, store, i, alert, reason);
            return false;
        }
    }
    if (identity_take(&c->facts, &one, c->part) < 0 ||
        fingerprint(c->facts.fingerprint, sizeof c->facts.fingerprint, &store->certs[0]) < 0) {
        refuse(c, store, 0, 0, "its names cannot be decoded");
        return false;
    }
    return true;
}

/* True if a fault is accepted, so that refusing the next certificate gives the right alert. */
static bool waits_for_alert(int error, int depth)
{
    return PATH_LENGTH_IS_UNKNOWN_CA && error == ASN_PATHLEN_INV_E && depth > 0;
}

/* The library's callback for each fault that it finds. The last call is for the client's own certificate,
 * even if there is none. Returns 0 to refuse. */
static int verify(int good, WOLFSSL_X509_STORE_CTX *store)
{
    struct clientcert *c = store->userCtx;

    if (c == NULL || store->certs == NULL)
        return 0;
    if (store->totalCerts == 0)
        return good && c->mode == CLIENT_CERT_REQUEST;
    int depth = store->error_depth, error = 0;
    if (depth < 0 || depth >= store->totalCerts)
        return 0;
    if (!good && c->why[0] == '\0')
        error = refuse_fault(c, store, depth);
    if (waits_for_alert(error, depth))
        return 1;
    if (!good || c->why[0] != '\0')
        return 0;
    if (depth > 0)
        return !refuse_issuer(c, store, depth); /* judge_chain() checks the rest */
    c->verified = judge_chain(c, store);
    return c->verified;
}

/* Builds without OPENSSL_EXTRA accept certificates that they should refuse: those with unknown critical
 * extensions, and those longer than the library reads. */
#if defined(WOLFSSL_ALWAYS_VERIFY_CB) && defined(OPENSSL_EXTRA)

/* Sets the context up for mode and trust. Returns 0, or a negative errno with the reason in `why`. */
static int prepare_context(WOLFSSL_CTX *context, const struct clientcert_setup *setup, char *why)
{
    bool require = setup->mode == CLIENT_CERT_REQUIRE;
    int mode = WOLFSSL_VERIFY_PEER | (require ? WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);

    /* This comes first: the library verifies CAs only if it will verify peers. */
    wolfSSL_CTX_set_verify(context, mode, verify);
    if (wolfSSL_CTX_mutual_auth(context, require) != 0 ||
        wolfSSL_CTX_SetMinRsaKey_Sz(context, RSA_BITS_MIN) != WOLFSSL_SUCCESS) {
        (void)snprintf(why, TLS_WHY_SIZE, "the TLS library can't ask for client certificates");
        return -ENOTSUP;
    }
    return clientca_load(context, setup->trust, why);
}

#else

static int prepare_context(WOLFSSL_CTX *context, const struct clientcert_setup *setup, char *why)
{
    (void)context;
    (void)setup;
    (void)verify;
    (void)snprintf(why, TLS_WHY_SIZE,
                   "--client-ca: this TLS library was built without OPENSSL_EXTRA and "
                   "WOLFSSL_ALWAYS_VERIFY_CB, which client certificates need");
    return -ENOTSUP;
}

#endif

int clientcert_new(struct clientcert **made, WOLFSSL_CTX *context,
                   const struct clientcert_setup *setup, char *why)
{
    *made = NULL;
    if (setup->mode == CLIENT_CERT_OFF)
        return 0;
    struct clientcert *c = calloc(1, sizeof *c);
    if (c == NULL) {
        (void)snprintf(why, TLS_WHY_SIZE, "no memory for client certificates");
        return -ENOMEM;
    }
    c->mode = setup->mode;
    c->part = setup->part;
    int rc = prepare_context(context, setup, why);
    if (rc < 0)
        free(c);
    else
        *made = c;
    return rc;
}

void clientcert_watch(struct clientcert *c, WOLFSSL *ssl)
{
    if (c != NULL)
        wolfSSL_SetCertCbCtx(ssl, c);
}

int clientcert_alert(const struct clientcert *c)
{
    return c != NULL ? c->alert : 0;
}

bool clientcert_explain(const struct clientcert *c, int error, char *why)
{
    if (c == NULL)
        return false;
    if (c->why[0] != '\0')
        (void)snprintf(why, TLS_WHY_SIZE, "%s", c->why);
    else if (error == NO_PEER_CERT)
        (void)snprintf(why, TLS_WHY_SIZE, "client gave no certificate (--client-cert=require)");
    else if (error == NO_PEER_VERIFY)
        (void)snprintf(why, TLS_WHY_SIZE, "client did not prove that its certificate is its own");
    else if (error == ASN_CRIT_EXT_E)
        (void)snprintf(why, TLS_WHY_SIZE,
                       "client certificate: a critical extension that is not understood");
    else if (error <= ASN_PARSE_E && error >= ASN_CRIT_EXT_E)
        (void)snprintf(why, TLS_WHY_SIZE,
                       "client certificate: the TLS library cannot decode it: %s",
                       wolfSSL_ERR_reason_error_string((unsigned long)error));
    else
        return false;
    return true;
}

bool clientcert_take_facts(const struct clientcert *c, struct client_facts *facts)
{
    memset(facts, 0, sizeof *facts);
    if (c == NULL)
        return true;
    if (c->why[0] != '\0' || (!c->verified && c->mode != CLIENT_CERT_REQUEST))
        return false;
    if (c->verified)
        *facts = c->facts;
    facts->verify = c->verified ? CLIENT_VERIFIED : CLIENT_NONE;
    return true;
}

void clientcert_free(struct clientcert *c, WOLFSSL_CTX *context)
{
    if (c == NULL)
        return;
    free(c);
    clientca_unload(context);
}

int clientcert_check(const struct clientcert_setup *setup, char *why)
{
    struct clientcert *c = NULL;
    int rc = -ENOMEM;

    (void)snprintf(why, TLS_WHY_SIZE, "no memory for TLS");
    if (wolfSSL_Init() != WOLFSSL_SUCCESS)
        return rc;
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfSSLv23_server_method());
    if (context != NULL)
        rc = clientcert_new(&c, context, setup, why);
    clientcert_free(c, context);
    wolfSSL_CTX_free(context);
    return rc;
}
