/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/tls.h"

#include "tls/alert.h"
#include "tls/decoy.h"
#include "tls/hello.h"
#include "tls/reframe.h"
#include "tls/seed.h"
#include "tls/staple.h"
#include "tls/suites.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#define SEED_DEVICE 1
#define READ_BUDGET ((size_t)256 * 1024) /* bytes; one call gives no data after so many only */
#define QUEUE_MAX ((size_t)64 * 1024)    /* more than this unsent is an error */
#define QUEUE_STOP_READING ((size_t)32 * 1024)

struct tls {
    WOLFSSL_CTX *context;
    WOLFSSL *ssl;
    int in;
    int out;
    const uint8_t *first; /* bytes to be read before those of `in` */
    size_t first_len;
    uint8_t *queue; /* records that the descriptor has not taken yet */
    size_t queue_at;
    size_t queue_len;
    size_t queue_size;
    size_t budget;   /* how much the library may still read before others have their turn */
    int write_error; /* of the descriptor, as a negative errno */
    bool reset;
    bool ended;    /* the client's FIN has come */
    bool silent;   /* nothing has been sent since the last ClientHello */
    bool answered; /* a ServerHello has been sent */
    int limit_alert;
    bool retrying;         /* a HelloRetryRequest has been sent: another ClientHello has to come */
    struct reframe second; /* that one */
    enum reframe_verdict refused; /* what is wrong with it; REFRAME_WHOLE: nothing */
    uint8_t header[5];            /* of a record, if that was what the library has just asked for */
    size_t header_len;
    struct staple staple;
    tls_signer *sign;
    struct resumption resumption;
    void *signer;
    int sign_error;
    struct clientcert *client; /* NULL: not asked for, or the handshake is done */
};

/* Gives seeds, if the library asks for them here. Everything else is left to the library. */
static int seed(int device, wc_CryptoInfo *info, void *context)
{
    (void)device;
    (void)context;
    if (info->algo_type != WC_ALGO_TYPE_SEED)
        return CRYPTOCB_UNAVAILABLE;
    return seed_fill(info->seed.seed, info->seed.sz) == 0 ? 0 : RNG_FAILURE_E;
}

/* Notes that the client has left: n as io_receive() gave it. */
static int lose_client(struct tls *t, ssize_t n)
{
    t->ended = true;
    if (n == 0)
        return WOLFSSL_CBIO_ERR_CONN_CLOSE;
    t->reset = true;
    return WOLFSSL_CBIO_ERR_CONN_RST;
}

/* Has the library read these bytes next. */
static bool give_first(struct tls *t, const struct reframe *r)
{
    t->refused = REFRAME_WHOLE;
    t->first = r->bytes;
    t->first_len = r->len;
    return true;
}

/* Judges bytes where the second ClientHello has to come. Returns true if they are for the library. */
static bool take_second(struct tls *t, const uint8_t *bytes, size_t len)
{
    struct reframe *r = &t->second;
    struct hello h;
    size_t used;

    t->refused = reframe_feed(r, bytes, len, &used);
    if (t->refused == REFRAME_MORE)
        return false;
    t->retrying = false;
    if (t->refused == REFRAME_ALERT) /* the library's to explain: its type was the last byte used */
        return reframe_finish(r, 3, bytes + used - 1, len - used + 1) == 0 && give_first(t, r);
    if (t->refused == REFRAME_PLAINTEXT || t->refused == REFRAME_SSL2)
        t->refused = REFRAME_UNEXPECTED;
    if (t->refused == REFRAME_WHOLE &&
        !hello_parse(&h, reframe_message(r), r->len, suites_limits()->sigalgs))
        t->refused = REFRAME_BAD;
    /* The library wants the version 3.3 in a record that comes after its own (RFC 8446 section 5.1 has
     * nobody look at it). */
    if (t->refused == REFRAME_WHOLE && reframe_finish(r, 3, bytes + used, len - used) < 0)
        t->refused = REFRAME_NO_MEMORY;
    return t->refused == REFRAME_WHOLE && give_first(t, r);
}

/* Reads the second ClientHello, after a HelloRetryRequest (RFC 8446 section 4.1.4). Returns 0 when it is
 * there, or what the library is to be told. */
static int read_second(struct tls *t)
{
    uint8_t bytes[2048];

    if (t->first_len > 0) { /* came with the first one */
        size_t len = t->first_len;
        t->first_len = 0;
        if (take_second(t, t->first, len))
            return 0;
        if (!t->retrying)
            return WOLFSSL_CBIO_ERR_GENERAL;
    }
    while (t->budget > 0) {
        ssize_t n = io_receive(t->in, bytes, sizeof bytes);
        if (n == -EAGAIN)
            return WOLFSSL_CBIO_ERR_WANT_READ;
        if (n <= 0)
            return lose_client(t, n);
        t->budget -= (size_t)n < t->budget ? (size_t)n : t->budget;
        if (take_second(t, bytes, (size_t)n))
            return 0;
        if (!t->retrying)
            return WOLFSSL_CBIO_ERR_GENERAL;
    }
    return WOLFSSL_CBIO_ERR_WANT_READ;
}

static int receive(WOLFSSL *ssl, char *buf, int size, void *context)
{
    struct tls *t = context;

    (void)ssl;
    if (t->retrying) {
        int rc = read_second(t);
        if (rc < 0)
            return rc;
    }
    if (t->first_len > 0) {
        size_t n = (size_t)size < t->first_len ? (size_t)size : t->first_len;
        memcpy(buf, t->first, n);
        t->first += n;
        t->first_len -= n;
        return (int)n;
    }
    /* The library reads on by itself as long as there is nothing for us, but what it answers has to
     * go somewhere. */
    if (!tls_may_read(t) || t->budget == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    ssize_t n = io_receive(t->in, buf, (size_t)size);
    if (n > 0) {
        t->budget -= (size_t)n < t->budget ? (size_t)n : t->budget;
        t->header_len = (size_t)n == sizeof t->header ? sizeof t->header : 0;
        memcpy(t->header, buf, t->header_len);
        return (int)n;
    }
    return n == -EAGAIN ? WOLFSSL_CBIO_ERR_WANT_READ : lose_client(t, n);
}

static int enqueue(struct tls *t, const uint8_t *bytes, size_t len)
{
    if (t->queue_len == 0)
        t->queue_at = 0;
    if (t->queue_at + t->queue_len + len > t->queue_size) {
        size_t size = t->queue_len + len;
        if (size > QUEUE_MAX)
            return -ENOBUFS;
        uint8_t *queue = malloc(size);
        if (queue == NULL)
            return -ENOMEM;
        if (t->queue_len > 0)
            memcpy(queue, t->queue + t->queue_at, t->queue_len);
        free(t->queue);
        t->queue = queue;
        t->queue_at = 0;
        t->queue_size = size;
    }
    memcpy(t->queue + t->queue_at + t->queue_len, bytes, len);
    t->queue_len += len;
    return 0;
}

/* Gives an alert that is not encrypted yet the code that the library would not choose: for certificates
 * it knows a few only, and what it can't take itself is not the client's fault. */
static void choose_alert(const struct tls *t, uint8_t *record, size_t len)
{
    int alert = t->answered ? clientcert_alert(t->client) : t->limit_alert;

    if (alert != 0 && len == 7 && record[0] == 21 && record[3] == 0 && record[4] == 2)
        record[6] = (uint8_t)alert;
}

/* RFC 8446 section 4.1.3: a ServerHello with this random is a HelloRetryRequest. */
static bool is_retry(const uint8_t *record, size_t len)
{
    static const uint8_t random[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11,
                                       0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
                                       0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e,
                                       0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
    const size_t at = REFRAME_HEADER + 4 + 2; /* behind the message's header and its version */

    return len >= at + sizeof random && record[0] == 22 && record[REFRAME_HEADER] == 2 &&
           memcmp(record + at, random, sizeof random) == 0;
}

/* Notes what kind of answer the client gets. */
static void note_answer(struct tls *t, const uint8_t *record, size_t len)
{
    bool retry = !t->answered && is_retry(record, len);

    t->retrying = t->retrying || retry;
    if (retry)
        t->limit_alert = 0;
    t->silent = retry;
    t->answered = t->answered || (!retry && record[0] != 21);
}

/* The library never has to wait: what the descriptor doesn't take at once is queued here. So an
 * answer that a read provokes can't get mixed up with a write that was begun before. */
static int transmit(WOLFSSL *ssl, char *buf, int size, void *context)
{
    struct tls *t = context;
    size_t sent = 0;

    (void)ssl;
    if (t->write_error != 0)
        return WOLFSSL_CBIO_ERR_CONN_RST;
    choose_alert(t, (uint8_t *)buf, (size_t)size);
    note_answer(t, (const uint8_t *)buf, (size_t)size);
    if (t->queue_len == 0) {
        ssize_t n = io_send(t->out, buf, (size_t)size);
        if (n < 0 && n != -EAGAIN)
            t->write_error = (int)n;
        else if (n > 0)
            sent = (size_t)n;
    }
    if (t->write_error == 0 && sent < (size_t)size)
        t->write_error = enqueue(t, (const uint8_t *)buf + sent, (size_t)size - sent);
    return t->write_error == 0 ? size : WOLFSSL_CBIO_ERR_CONN_RST;
}

int tls_flush(struct tls *t)
{
    while (t->queue_len > 0 && t->write_error == 0) {
        ssize_t n = io_send(t->out, t->queue + t->queue_at, t->queue_len);
        if (n == -EAGAIN)
            return -EAGAIN;
        if (n < 0) {
            t->write_error = (int)n;
            break;
        }
        t->queue_at += (size_t)n;
        t->queue_len -= (size_t)n;
    }
    return t->write_error;
}

/* All signing callbacks: *size is touched only when it went well. */
static int sign(struct tls *t, enum sign_as how, const byte *data, word32 len, byte *sig,
                word32 *size)
{
    size_t sig_len = *size;

    t->sign_error = t->sign(t->signer, how, data, len, sig, &sig_len);
    if (t->sign_error < 0)
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

/* wolfSSL would check RSA signatures with a key that it does not have; the vault has checked
 * them. 0 means "verified, don't compare". */
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

static void set_signers(WOLFSSL_CTX *context)
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

static void tell_signers(struct tls *t)
{
    wolfSSL_SetEccSignCtx(t->ssl, t);
#ifdef HAVE_ED25519
    wolfSSL_SetEd25519SignCtx(t->ssl, t);
#endif
    wolfSSL_SetRsaSignCtx(t->ssl, t);
    wolfSSL_SetRsaPssSignCtx(t->ssl, t);
}

int tls_start(void)
{
    if (wolfSSL_Init() != WOLFSSL_SUCCESS ||
        wc_CryptoCb_RegisterDevice(SEED_DEVICE, seed, NULL) != 0)
        return -EIO;
#ifdef OPENSSL_EXTRA
    /* Children of one parent would all have the same one: so that no call, whatever it is, can ever use
     * it, there is none. */
    wolfSSL_RAND_Cleanup();
#endif
    return 0;
}

static int refuse_certificate(int error, char *why)
{
    (void)snprintf(why, TLS_WHY_SIZE, "the TLS library refuses the certificate: %s",
                   wolfSSL_ERR_reason_error_string((unsigned long)error));
    return -EINVAL;
}

/* Has the library take a decoy for the certificate's key. To be called when the callbacks that sign are
 * set: from 5.7.2 on the library compares a key with the certificate unless there are some. */
static int use_decoy(WOLFSSL_CTX *context, const uint8_t *chain, size_t len, char *why)
{
    struct decoy d;
    int rc = decoy_make(&d, chain, len);

    if (rc < 0) {
        (void)snprintf(why, TLS_WHY_SIZE, "no decoy for the key of this certificate: %s",
                       strerror(-rc));
        return -EINVAL;
    }
#ifndef WOLFSSL_ASN_TEMPLATE
    /* The older decoder (Debian's 5.5.4) loses the public half. There no key at all does as well. */
    if (d.has_public_half)
        return 0;
#endif
    int error =
        wolfSSL_CTX_use_PrivateKey_buffer(context, d.key, (long)d.len, WOLFSSL_FILETYPE_ASN1);
    return error == WOLFSSL_SUCCESS ? 0 : refuse_certificate(error, why);
}

static int use_certificate(WOLFSSL_CTX *context, const uint8_t *chain, size_t len, char *why)
{
    int error = wolfSSL_CTX_use_certificate_chain_buffer_format(context, chain, (long)len,
                                                                WOLFSSL_FILETYPE_ASN1);
    if (error != WOLFSSL_SUCCESS)
        return refuse_certificate(error, why);
    set_signers(context);
    return use_decoy(context, chain, len, why);
}

static int make_context(struct tls *t, const struct tls_setup *setup, char *why)
{
    t->context = wolfSSL_CTX_new(wolfSSLv23_server_method());
    if (t->context == NULL) {
        (void)snprintf(why, TLS_WHY_SIZE, "no memory for TLS");
        return -ENOMEM;
    }
    (void)wolfSSL_CTX_SetDevId(t->context, SEED_DEVICE);
#ifdef OPENSSL_EXTRA
    /* Otherwise the library asks ten times more where there is nothing to read yet. */
    (void)wolfSSL_CTX_clear_mode(t->context, SSL_MODE_AUTO_RETRY);
#endif
    /* The first flight in one piece: in several, what the client answers to the first may be an alert
     * that is read after the rest could not be sent any more. */
    (void)wolfSSL_CTX_set_group_messages(t->context);
    int rc = suites_set(t->context, setup->version_min, setup->ciphers, setup->groups, why);
    if (rc < 0)
        return rc;
    suites_insist(t->context, setup->groups, setup->offered, setup->offered_count);
    if (setup->resumption.seal == NULL) {
        resumption_forbid(t->context);
    } else {
        t->resumption = setup->resumption;
        resumption_allow(t->context, &t->resumption);
    }
    rc = use_certificate(t->context, setup->chain, setup->chain_len, why);
    if (rc < 0)
        return rc;
    t->staple = (struct staple){setup->chain, setup->chain_len, setup->staple, setup->staple_len};
    if (setup->staple_len > 0 && staple_use(t->context, &t->staple) < 0) {
        (void)snprintf(why, TLS_WHY_SIZE, "the TLS library refuses the OCSP response");
        return -EINVAL;
    }
    rc = clientcert_new(&t->client, t->context, &setup->client, why);
    if (rc == 0)
        *why = '\0'; /* of a CA that is left out, --check tells */
    return rc;
}

/* RFC 7301 section 3.2: who offers only what is not spoken here is sent away, so that what was meant
 * for another protocol can't be served by this one. */
static int set_protocols(struct tls *t, const char *names, char *why)
{
    size_t len = strlen(names);
    char *copy = strdup(names); /* the library cuts it into pieces */
    int error = copy == NULL
                    ? MEMORY_E
                    : wolfSSL_UseALPN(t->ssl, copy, (unsigned)len, WOLFSSL_ALPN_FAILED_ON_MISMATCH);

    free(copy);
    if (error == WOLFSSL_SUCCESS)
        return 0;
    (void)snprintf(why, TLS_WHY_SIZE, "--alpn: the TLS library refuses these names");
    return -EINVAL;
}

int tls_new(struct tls **made, int in, int out, const struct tls_setup *setup, char *why)
{
    struct tls *t = calloc(1, sizeof *t);

    *made = NULL;
    if (t == NULL) {
        (void)snprintf(why, TLS_WHY_SIZE, "no memory for TLS");
        return -ENOMEM;
    }
    t->in = in;
    t->out = out;
    t->first = setup->first;
    t->first_len = setup->first_len;
    t->limit_alert = setup->limit_alert;
    t->silent = true;
    t->refused = REFRAME_WHOLE;
    t->second.after_retry = true;
    t->sign = setup->sign;
    t->signer = setup->signer;
    int rc = make_context(t, setup, why);
    if (rc < 0)
        goto fail;
    wolfSSL_CTX_SetIORecv(t->context, receive);
    wolfSSL_CTX_SetIOSend(t->context, transmit);
    t->ssl = wolfSSL_new(t->context);
    if (t->ssl == NULL) {
        (void)snprintf(why, TLS_WHY_SIZE,
                       "the TLS library makes no session: no memory or no randomness");
        rc = -ENOMEM;
        goto fail;
    }
    wolfSSL_SetIOReadCtx(t->ssl, t);
    wolfSSL_SetIOWriteCtx(t->ssl, t);
    tell_signers(t);
    rc = setup->alpn != NULL ? set_protocols(t, setup->alpn, why) : 0;
    if (rc < 0)
        goto fail;
    clientcert_watch(t->client, t->ssl);
    /* The exporter needs the handshake's secrets a little longer. */
    wolfSSL_KeepArrays(t->ssl);
    *made = t;
    return 0;
fail:
    tls_free(t);
    return rc;
}

/* A TLS 1.3 client that rejects our certificate may have no keys yet to encrypt its alert with; the
 * library, which has, stops at that record's header. Returns the alert's code or -1. */
static int plaintext_alert(const struct tls *t)
{
    static const uint8_t alert_of_two[] = {21, 3, 3, 0, 2};
    uint8_t body[2];

    if (t->header_len != sizeof t->header || memcmp(t->header, alert_of_two, t->header_len) != 0)
        return -1;
    return io_receive(t->in, body, sizeof body) == (ssize_t)sizeof body ? body[1] : -1;
}

/* How the library refuses a ClientHello: it can't read it, or does not like a value in it. */
static enum tls_result refusal(int error)
{
    switch (error) {
    case BUFFER_E:
    case BUFFER_ERROR:
    case PARSE_ERROR:
    case LENGTH_ERROR:
    case HANDSHAKE_SIZE_ERROR:
        return TLS_BAD_HELLO;
    default:
        return TLS_BAD_VALUE;
    }
}

/* Answers a second ClientHello that is none. */
static enum tls_result refuse_second(struct tls *t, char *why)
{
    char record[] = {21, 3, 3, 0, 2, 2, (char)reframe_alert(t->refused)};

    (void)transmit(t->ssl, record, sizeof record, t);
    (void)tls_flush(t);
    (void)snprintf(why, TLS_WHY_SIZE, "after HelloRetryRequest, %s", reframe_words(t->refused));
    return t->refused == REFRAME_NO_MEMORY ? TLS_FAILED : TLS_DISAGREED;
}

/* Says in words what the library's error means. */
static enum tls_result explain_error(const struct tls *t, int error, char *why)
{
    switch (error) {
    case MATCH_SUITE_ERROR:
    case WOLFSSL_ERROR_SYSCALL: /* what 5.9.2 makes of that, since it was no end of the connection */
    case UNSUPPORTED_SUITE:
        (void)snprintf(why, TLS_WHY_SIZE, "no shared cipher suite: see --ciphers");
        break;
    case VERSION_ERROR:
    case UNSUPPORTED_PROTO_VERSION:
        (void)snprintf(why, TLS_WHY_SIZE, "no shared TLS version: see --tls-min");
        break;
    case BAD_KEY_SHARE_DATA:
    case ECC_CURVE_ERROR:
    case KEY_SHARE_ERROR:
        (void)snprintf(why, TLS_WHY_SIZE, "no shared key exchange group: see --groups");
        break;
    case UNKNOWN_ALPN_PROTOCOL_NAME_E:
        return TLS_NO_ALPN;
    default:
        (void)snprintf(why, TLS_WHY_SIZE, "%s (wolfSSL error %d)",
                       wolfSSL_ERR_reason_error_string((unsigned long)error), error);
        if (error == MEMORY_E || error == RNG_FAILURE_E)
            return TLS_FAILED;
        return t->answered ? TLS_DISAGREED : refusal(error);
    }
    return TLS_DISAGREED;
}

/* Says in words why the handshake failed. */
static enum tls_result explain(struct tls *t, int error, char *why)
{
    WOLFSSL_ALERT_HISTORY alerts;

    memset(&alerts, 0, sizeof alerts);
    (void)wolfSSL_get_alert_history(t->ssl, &alerts);
    if (t->resumption.error != 0) {
        (void)snprintf(why, TLS_WHY_SIZE, "no session ticket: %s", strerror(-t->resumption.error));
        return TLS_FAILED;
    }
    if (t->sign_error != 0) {
        (void)snprintf(why, TLS_WHY_SIZE, "no signature: %s", strerror(-t->sign_error));
        return TLS_FAILED;
    }
    if (t->write_error == -ENOMEM || t->write_error == -ENOBUFS) {
        (void)snprintf(why, TLS_WHY_SIZE, "cannot send to the client: %s",
                       strerror(-t->write_error));
        return TLS_FAILED;
    }
    if (t->refused != REFRAME_WHOLE && t->refused != REFRAME_MORE)
        return refuse_second(t, why);
    if (clientcert_explain(t->client, error, why))
        return TLS_DISAGREED;
    int alert = plaintext_alert(t);
    if (alert < 0)
        alert = alerts.last_rx.code;
    if (alert > close_notify) {
        (void)snprintf(why, TLS_WHY_SIZE, "client sent alert %s: %s", alert_name(alert),
                       alert_meaning(alert));
        return TLS_DISAGREED;
    }
    if (t->ended || t->write_error != 0 || error == ZERO_RETURN) {
        (void)snprintf(why, TLS_WHY_SIZE, "client left during the handshake%s",
                       t->reset ? " (connection reset)" : "");
        return TLS_LEFT;
    }
    return explain_error(t, error, why);
}

/* Waits until the client can go on: for its bytes, and while records are queued for room. */
static enum tls_result wait_for_client(const struct tls *t, bool reading, int watch,
                                       io_time deadline, char *why)
{
    struct pollfd p[3] = {{.fd = reading && tls_may_read(t) ? t->in : -1, .events = POLLIN},
                          {.fd = t->queue_len > 0 ? t->out : -1, .events = POLLOUT},
                          {.fd = watch, .events = POLLIN}};
    int n;

    do {
        n = poll(p, 3, io_remaining(deadline));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        (void)snprintf(why, TLS_WHY_SIZE, "%s", strerror(errno));
        return TLS_FAILED;
    }
    if (n == 0)
        return TLS_TIMEOUT;
    return p[2].revents != 0 ? TLS_STOPPED : TLS_DONE;
}

enum tls_result tls_handshake(struct tls *t, int watch, io_time deadline, char *why)
{
    for (;;) {
        t->budget = READ_BUDGET;
        int done = wolfSSL_accept(t->ssl);
        int error = done == WOLFSSL_SUCCESS ? 0 : wolfSSL_get_error(t->ssl, done);
        if (error != 0 && error != WOLFSSL_ERROR_WANT_READ) {
            (void)tls_flush(t); /* the alert, if there is one */
            return explain(t, error, why);
        }
        int rc = tls_flush(t);
        if (rc < 0 && rc != -EAGAIN)
            return explain(t, SOCKET_ERROR_E, why);
        if (error == 0 && rc == 0)
            return TLS_DONE;
        enum tls_result result = wait_for_client(t, error != 0, watch, deadline, why);
        if (result != TLS_DONE)
            return result;
    }
}

bool tls_is_silent(const struct tls *t)
{
    return t->silent;
}

bool tls_take_facts(struct tls *t, struct facts *facts)
{
    bool allowed = clientcert_take_facts(t->client, &facts->client);
    int suite = wolfSSL_get_current_cipher_suite(t->ssl);
    const char *cipher =
        wolfSSL_get_cipher_name_iana_from_suite((unsigned char)(suite >> 8), (unsigned char)suite);
    const char *group = wolfSSL_get_curve_name(t->ssl);
    (void)snprintf(facts->version, sizeof facts->version, "%s", wolfSSL_get_version(t->ssl));
    (void)snprintf(facts->cipher, sizeof facts->cipher, "%s", cipher != NULL ? cipher : "");
    (void)snprintf(facts->group, sizeof facts->group, "%s", group != NULL ? group : "");
    for (char *p = facts->group; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
    char *protocol = NULL;
    unsigned short protocol_len = 0;
    if (wolfSSL_ALPN_GetProtocol(t->ssl, &protocol, &protocol_len) == WOLFSSL_SUCCESS)
        (void)snprintf(facts->alpn, sizeof facts->alpn, "%.*s", (int)protocol_len, protocol);
    facts->resumed = wolfSSL_session_reused(t->ssl) == 1;
#ifdef HAVE_KEYING_MATERIAL
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 section 2 */
    facts->has_exporter = wolfSSL_export_keying_material(
                              t->ssl, facts->exporter, sizeof facts->exporter, label,
                              sizeof label - 1, (const unsigned char *)"", 0, 1) == WOLFSSL_SUCCESS;
#endif
    wolfSSL_FreeArrays(t->ssl);
    clientcert_free(t->client, t->context);
    t->client = NULL;
    return allowed;
}

ssize_t tls_read(struct tls *t, void *buf, size_t len)
{
    t->budget = READ_BUDGET;
    int n = wolfSSL_read(t->ssl, buf, (int)len);

    if (n > 0)
        return n;
    int error = wolfSSL_get_error(t->ssl, n);
    if (error == WOLFSSL_ERROR_WANT_READ)
        return -EAGAIN;
    if (error == WOLFSSL_ERROR_ZERO_RETURN)
        return 0;
    if (t->write_error != 0 || t->reset)
        return -ECONNRESET;
    if (error == MEMORY_E)
        return -ENOMEM;
    return t->ended ? -EPIPE : -EPROTO;
}

int tls_write(struct tls *t, const void *buf, size_t len)
{
    int n = wolfSSL_write(t->ssl, buf, (int)len);

    if (n == (int)len)
        return 0;
    if (t->write_error != 0)
        return t->write_error;
    return wolfSSL_get_error(t->ssl, n) == MEMORY_E ? -ENOMEM : -EPROTO;
}

bool tls_may_read(const struct tls *t)
{
    return t->queue_len < QUEUE_STOP_READING;
}

void tls_close(struct tls *t)
{
    (void)wolfSSL_shutdown(t->ssl);
}

void tls_free(struct tls *t)
{
    if (t == NULL)
        return;
    wolfSSL_free(t->ssl);
    clientcert_free(t->client, t->context);
    wolfSSL_CTX_free(t->context);
    reframe_free(&t->second);
    free(t->queue);
    free(t);
}
