/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/staple.h"

#include "tls/suites.h"

#include <errno.h>
#include <stdio.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#if defined(HAVE_OCSP) && defined(HAVE_CERTIFICATE_STATUS_REQUEST)

/* The library needs an address to fetch from. Nothing is fetched: give_response() returns the file's
 * bytes. */
static const char no_address[] = "http://127.0.0.1/";

bool staple_is_possible(void)
{
    return true;
}

/* Gives the library the file's response where it would fetch one. */
static int give_response(void *context, const char *url, int url_len, unsigned char *request,
                         int request_len, unsigned char **response)
{
    const struct staple *s = context;

    (void)url;
    (void)url_len;
    (void)request;
    (void)request_len;
    /* The library only reads these bytes. */
    *response = (unsigned char *)(uintptr_t)s->response;
    return (int)s->response_len;
}

/* Returns the bytes of the certificate at der, by its header (X.690 section 8.1.3); 0 if it is none. */
static size_t certificate_len(const uint8_t *der, size_t len)
{
    if (len < 4 || der[0] != 0x30 || der[1] != 0x82)
        return 0;
    size_t whole = 4 + ((size_t)der[2] << 8 | der[3]);
    return whole <= len ? whole : 0;
}

/* Puts the library's error into words. Returns -EINVAL. */
static int explain(int error, char *why)
{
    switch (error) {
    case OCSP_CERT_REVOKED:
        (void)snprintf(why, TLS_WHY_SIZE, "it says that the certificate is revoked");
        break;
    case OCSP_CERT_UNKNOWN:
        (void)snprintf(why, TLS_WHY_SIZE, "its author does not know the certificate");
        break;
    default:
        (void)snprintf(
            why, TLS_WHY_SIZE,
            "it is no OCSP response in DER, is about another certificate, is out of date, "
            "or was not signed by the issuer (%s)",
            wolfSSL_ERR_reason_error_string((unsigned long)error));
    }
    return -EINVAL;
}

int staple_check(const struct staple *s, char *why)
{
    size_t leaf = certificate_len(s->chain, s->chain_len);
    int error = MEMORY_E;

    if (leaf == 0 || leaf >= s->chain_len) {
        (void)snprintf(why, TLS_WHY_SIZE,
                       "the certificate's issuer is not in the same file, and can't be asked");
        return -ENOENT;
    }
    WOLFSSL_CERT_MANAGER *manager = wolfSSL_CertManagerNew();
    if (manager == NULL)
        return explain(error, why);
    size_t issuer = certificate_len(s->chain + leaf, s->chain_len - leaf);
    error = wolfSSL_CertManagerLoadCABuffer(manager, s->chain + leaf, (long)issuer,
                                            WOLFSSL_FILETYPE_ASN1);
    if (error == WOLFSSL_SUCCESS)
        error = wolfSSL_CertManagerEnableOCSP(manager,
                                              WOLFSSL_OCSP_NO_NONCE | WOLFSSL_OCSP_URL_OVERRIDE);
    if (error == WOLFSSL_SUCCESS)
        error = wolfSSL_CertManagerSetOCSPOverrideURL(manager, no_address);
    if (error == WOLFSSL_SUCCESS)
        error = wolfSSL_CertManagerSetOCSP_Cb(manager, give_response, NULL, (void *)(uintptr_t)s);
    if (error == WOLFSSL_SUCCESS)
        error =
            wolfSSL_CertManagerCheckOCSP(manager, (unsigned char *)(uintptr_t)s->chain, (int)leaf);
    wolfSSL_CertManagerFree(manager);
    return error == WOLFSSL_SUCCESS ? 0 : explain(error, why);
}

int staple_use(struct WOLFSSL_CTX *context, struct staple *s)
{
    size_t leaf = certificate_len(s->chain, s->chain_len);
    size_t issuer = certificate_len(s->chain + leaf, s->chain_len - leaf);

    /* The library checks the response again and needs the issuer among its trusted CAs. So stapling must
     * not be used together with client certificates. */
    if (wolfSSL_CTX_load_verify_buffer(context, s->chain + leaf, (long)issuer,
                                       WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_EnableOCSP(context, WOLFSSL_OCSP_NO_NONCE | WOLFSSL_OCSP_URL_OVERRIDE) !=
            WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetOCSP_OverrideURL(context, no_address) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_EnableOCSPStapling(context) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetOCSP_Cb(context, give_response, NULL, s) != WOLFSSL_SUCCESS)
        return -EINVAL;
    return 0;
}

#else

bool staple_is_possible(void)
{
    return false;
}

int staple_check(const struct staple *s, char *why)
{
    (void)s;
    (void)snprintf(why, TLS_WHY_SIZE, "this TLS library was built without OCSP stapling");
    return -ENOTSUP;
}

int staple_use(struct WOLFSSL_CTX *context, struct staple *s)
{
    (void)context;
    (void)s;
    return -ENOTSUP;
}

#endif
