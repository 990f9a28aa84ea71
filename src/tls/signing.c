/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/signing.h"

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

/* Does the work of all signing callbacks. Changes *size only on success. */
static int sign(struct signing *s, enum sign_as how, const byte *data, word32 len, byte *sig,
                word32 *size)
{
    size_t sig_len = *size;

    s->error = s->sign(s->who, how, data, len, sig, &sig_len);
    if (s->error < 0)
        return WC_HW_E;
    *size = (word32)sig_len;
    return 0;
}

static int sign_ecdsa(WOLFSSL *ssl, const byte *in, word32 in_len, byte *out, word32 *out_len,
                      const byte *key, word32 key_len, void *context)
{
    (void)ssl;
    (void)key;
    (void)key_len;
    return sign(context, SIGN_ECDSA, in, in_len, out, out_len);
}

#ifdef HAVE_ED25519
static int sign_ed25519(WOLFSSL *ssl, const byte *in, word32 in_len, byte *out, word32 *out_len,
                        const byte *key, word32 key_len, void *context)
{
    (void)ssl;
    (void)key;
    (void)key_len;
    return sign(context, SIGN_ED25519, in, in_len, out, out_len);
}
#endif

static int sign_rsa(WOLFSSL *ssl, const byte *in, word32 in_len, byte *out, word32 *out_len,
                    const byte *key, word32 key_len, void *context)
{
    (void)ssl;
    (void)key;
    (void)key_len;
    return sign(context, SIGN_RSA_PKCS1, in, in_len, out, out_len);
}

static int sign_rsa_pss(WOLFSSL *ssl, const byte *in, word32 in_len, byte *out, word32 *out_len,
                        int hash, int mgf, const byte *key, word32 key_len, void *context)
{
    enum sign_as how = SIGN_RSA_PSS_SHA256;

    (void)ssl;
    (void)mgf;
    (void)key;
    (void)key_len;
    if (hash == SHA384h)
        how = SIGN_RSA_PSS_SHA384;
    else if (hash == SHA512h)
        how = SIGN_RSA_PSS_SHA512;
    return sign(context, how, in, in_len, out, out_len);
}

/* Skips wolfSSL's check of its own RSA signatures, which needs the private key. The vault has checked them
 * already. 0 means "verified, don't compare". */
static int check_rsa(WOLFSSL *ssl, byte *sig, word32 sig_len, byte **out, const byte *key,
                     word32 key_len, void *context)
{
    (void)ssl;
    (void)sig;
    (void)sig_len;
    (void)out;
    (void)key;
    (void)key_len;
    (void)context;
    return 0;
}

static int check_rsa_pss(WOLFSSL *ssl, byte *sig, word32 sig_len, byte **out, int hash, int mgf,
                         const byte *key, word32 key_len, void *context)
{
    (void)hash;
    (void)mgf;
    return check_rsa(ssl, sig, sig_len, out, key, key_len, context);
}

void signing_use(WOLFSSL_CTX *context)
{
    wolfSSL_CTX_SetEccSignCb(context, sign_ecdsa);
#ifdef HAVE_ED25519
    wolfSSL_CTX_SetEd25519SignCb(context, sign_ed25519);
#endif
    wolfSSL_CTX_SetRsaSignCb(context, sign_rsa);
    wolfSSL_CTX_SetRsaSignCheckCb(context, check_rsa);
    wolfSSL_CTX_SetRsaPssSignCb(context, sign_rsa_pss);
    wolfSSL_CTX_SetRsaPssSignCheckCb(context, check_rsa_pss);
}

void signing_attach(WOLFSSL *ssl, struct signing *s)
{
    wolfSSL_SetEccSignCtx(ssl, s);
#ifdef HAVE_ED25519
    wolfSSL_SetEd25519SignCtx(ssl, s);
#endif
    wolfSSL_SetRsaSignCtx(ssl, s);
    wolfSSL_SetRsaPssSignCtx(ssl, s);
}
