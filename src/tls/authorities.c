/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/authorities.h"

#include "x509/user.h"
#include "tls/suites.h"
#include "x509/certificate.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

/* Puts the library's reason for refusing `what` into `why`. Returns -EINVAL. */
static int refuse_file(char *why, const char *what, int error)
{
    (void)snprintf(why, TLS_WHY_SIZE, "%s: the TLS library refuses it: %s", what,
                   wolfSSL_ERR_reason_error_string((unsigned long)error));
    return -EINVAL;
}

/* Loads the CAs that are valid today, at least one. Returns 0 or a negative errno. */
static int load_authorities(WOLFSSL_CTX *context, const struct trust *trust, char *why)
{
    struct certificate c;
    struct der one;
    time_t now = time(NULL);
    unsigned loaded = 0;
    int error = 0;

    *why = '\0';
    for (struct der rest = trust_authorities(trust); trust_next(&rest, &one);) {
        if (x509_read(&c, one.at, one.len) < 0 || c.not_after < now || c.not_before > now)
            continue;
        int rc =
            wolfSSL_CTX_load_verify_buffer(context, one.at, (long)one.len, WOLFSSL_FILETYPE_ASN1);
        if (rc == WOLFSSL_SUCCESS) {
            loaded++;
            continue;
        }
        char name[72], what[100];
        identity_name(name, sizeof name, c.subject);
        (void)snprintf(what, sizeof what, "--client-ca: CA %s", name);
        error = refuse_file(why, what, rc);
    }
    if (loaded > 0 || error < 0)
        return loaded > 0 ? 0 : error;
    (void)snprintf(why, TLS_WHY_SIZE, "--client-ca: no CA in it is valid today");
    return -EINVAL;
}

#ifdef HAVE_CRL
#ifdef HAVE_CRL_IO
/* Refuses to fetch. By default the library fetches a missing list from the address in the client's
 * certificate. */
static int refuse_to_fetch(WOLFSSL_CRL *list, const char *url, int url_len)
{
    (void)list;
    (void)url;
    (void)url_len;
    return -1;
}
#endif

static int load_lists(WOLFSSL_CTX *context, const struct trust *trust, char *why)
{
    struct revocation_list l;
    struct der one, rest = trust_lists(trust);

    if (rest.len == 0)
        return 0;
    int rc = wolfSSL_CTX_EnableCRL(context, WOLFSSL_CRL_CHECKALL);
#ifdef HAVE_CRL_IO
    if (rc == WOLFSSL_SUCCESS)
        rc = wolfSSL_CTX_SetCRL_IOCb(context, refuse_to_fetch);
#endif
    if (rc != WOLFSSL_SUCCESS)
        return refuse_file(why, "--crl", rc);
    while (trust_next(&rest, &one)) {
        rc = wolfSSL_CTX_LoadCRLBuffer(context, one.at, (long)one.len, WOLFSSL_FILETYPE_ASN1);
        /* A list whose issuer is not in --client-ca can't be verified, so the library leaves it out. */
        if (rc == WOLFSSL_SUCCESS || rc == ASN_CRL_NO_SIGNER_E)
            continue;
        char name[72] = "?", what[120];
        if (x509_read_crl(&l, one.at, one.len) == 0)
            identity_name(name, sizeof name, l.issuer);
        (void)snprintf(what, sizeof what, "--crl: the revocation list of %s", name);
        return refuse_file(why, what, rc);
    }
    return 0;
}
#else
static int load_lists(WOLFSSL_CTX *context, const struct trust *trust, char *why)
{
    (void)context;
    if (trust->lists_len == 0)
        return 0;
    (void)snprintf(why, TLS_WHY_SIZE, "--crl: this TLS library was built without revocation lists");
    return -ENOTSUP;
}
#endif

int clientca_load(WOLFSSL_CTX *context, const struct trust *trust, char *why)
{
    int rc = load_authorities(context, trust, why);

    return rc == 0 ? load_lists(context, trust, why) : rc;
}

void clientca_unload(WOLFSSL_CTX *context)
{
    (void)wolfSSL_CTX_UnloadCAs(context);
#ifdef HAVE_CRL
    (void)wolfSSL_CTX_DisableCRL(context);
    (void)wolfSSL_CertManagerFreeCRL(wolfSSL_CTX_GetCertManager(context));
#endif
#ifdef FP_ECC
    wc_ecc_fp_free(); /* frees megabytes: tables of points on the curves */
#endif
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
