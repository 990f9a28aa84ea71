/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/tls.h"

#include "tls/decoy.h"
#include "tls/point.h"
#include "common/random.h"
#include "tls/session.h"
#include "tls/suites.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/curve25519.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#define SEED_DEVICE 1

/* Refuses a client's X25519 key of TLS 1.2 from which no secret can come: wolfSSL 5.5.4 and 5.7.2 accept some.
 * hello_parse() has judged those of TLS 1.3, which stand in the ClientHello. */
static int judge_key(const wc_CryptoInfo *info)
{
#ifdef HAVE_CURVE25519
    if (info->pk.type == WC_PK_TYPE_CURVE25519 &&
        point_has_low_order(info->pk.curve25519.public_key->p.point))
        return ECC_PEERKEY_ERROR;
#endif
    return CRYPTOCB_UNAVAILABLE;
}

/* Gives the library seeds and judges clients' keys. Leaves all other requests to the library. */
static int seed(int device, wc_CryptoInfo *info, void *context)
{
    (void)device;
    (void)context;
    if (info->algo_type == WC_ALGO_TYPE_PK)
        return judge_key(info);
    if (info->algo_type != WC_ALGO_TYPE_SEED)
        return CRYPTOCB_UNAVAILABLE;
    return random_fill(info->seed.seed, info->seed.sz) == 0 ? 0 : RNG_FAILURE_E;
}

int tls_start(void)
{
    if (wolfSSL_Init() != WOLFSSL_SUCCESS ||
        wc_CryptoCb_RegisterDevice(SEED_DEVICE, seed, NULL) != 0)
        return -EIO;
#ifdef OPENSSL_EXTRA
    /* Children of one parent would share this generator's state. It is freed, so that no call can use it. */
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

/* Loads a decoy instead of the certificate's key. Call it after signing_use(): without signing callbacks the
 * library compares key and certificate, from 5.7.2 on. */
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
    /* The older decoder (Debian's 5.5.4) loses the public half. That version needs no key at all. */
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
    signing_use(context);
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
    /* With this mode the library reads ten times more when nothing is there yet. */
    (void)wolfSSL_CTX_clear_mode(t->context, SSL_MODE_AUTO_RETRY);
#endif
    /* Sends the first flight in one piece. If it were several, a client might answer the first with an
     * alert and close. Then sending the rest would fail before the alert is read. */
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
    t->transport.client = t->client;
    if (rc == 0)
        *why = '\0'; /* only --check reports a CA that is left out */
    return rc;
}

/* Sets the ALPN protocols. Refuses a client that offers only others (RFC 7301 section 3.2). Otherwise
 * this protocol could serve messages that are meant for another one. */
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
    transport_init(&t->transport, in, out);
    t->transport.first = setup->first;
    t->transport.first_len = setup->first_len;
    t->transport.limit_alert = setup->limit_alert;
    t->signing = (struct signing){.sign = setup->sign, .who = setup->signer};
    int rc = make_context(t, setup, why);
    if (rc < 0)
        goto fail;
    transport_use(t->context);
    t->ssl = wolfSSL_new(t->context);
    if (t->ssl == NULL) {
        (void)snprintf(why, TLS_WHY_SIZE,
                       "the TLS library makes no session: no memory or no randomness");
        rc = -ENOMEM;
        goto fail;
    }
    transport_attach(t->ssl, &t->transport);
    signing_attach(t->ssl, &t->signing);
    rc = setup->alpn != NULL ? set_protocols(t, setup->alpn, why) : 0;
    if (rc < 0)
        goto fail;
    clientcert_watch(t->client, t->ssl);
    /* tls_take_facts() needs the handshake's secrets for the exporter. */
    wolfSSL_KeepArrays(t->ssl);
    *made = t;
    return 0;
fail:
    tls_free(t);
    return rc;
}

/* Waits for bytes of the client if `reading`, and for room to send if records are queued. */
static enum tls_result wait_for_client(const struct tls *t, bool reading, int watch,
                                       io_time deadline, char *why)
{
    struct pollfd p[3] = {
        {.fd = reading && tls_may_read(t) ? t->transport.in : -1, .events = POLLIN},
        {.fd = t->transport.queue_len > 0 ? t->transport.out : -1, .events = POLLOUT},
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
        transport_refill_budget(&t->transport);
        int done = wolfSSL_accept(t->ssl);
        int error = done == WOLFSSL_SUCCESS ? 0 : wolfSSL_get_error(t->ssl, done);
        if (error != 0 && error != WOLFSSL_ERROR_WANT_READ) {
            (void)tls_flush(t); /* may send an alert */
            return explain_failure(t, error, why);
        }
        int rc = tls_flush(t);
        if (rc < 0 && rc != -EAGAIN)
            return explain_failure(t, SOCKET_ERROR_E, why);
        if (error == 0 && rc == 0) {
            t->transport.session = true;
            return TLS_DONE;
        }
        enum tls_result result = wait_for_client(t, error != 0, watch, deadline, why);
        if (result != TLS_DONE)
            return result;
    }
}

bool tls_is_silent(const struct tls *t)
{
    return t->transport.silent;
}

#ifdef HAVE_KEYING_MATERIAL
/* True if what is exported belongs to this connection alone (RFC 9266 section 4.2). In TLS 1.2 the library agrees
 * to the extended master secret whenever the client offers it. */
static bool is_bound(WOLFSSL *ssl, bool extended_master)
{
#ifndef HAVE_EXTENDED_MASTER
    extended_master = false;
#endif
    return extended_master || strcmp(wolfSSL_get_version(ssl), "TLSv1.3") == 0;
}
#endif

bool tls_take_facts(struct tls *t, bool extended_master, struct facts *facts)
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
    facts->has_exporter = is_bound(t->ssl, extended_master) &&
                          wolfSSL_export_keying_material(
                              t->ssl, facts->exporter, sizeof facts->exporter, label,
                              sizeof label - 1, (const unsigned char *)"", 0, 1) == WOLFSSL_SUCCESS;
#endif
    wolfSSL_FreeArrays(t->ssl);
    t->transport.client = NULL;
    clientcert_free(t->client, t->context);
    t->client = NULL;
    return allowed;
}

ssize_t tls_read(struct tls *t, void *buf, size_t len)
{
    transport_refill_budget(&t->transport);
    int n = wolfSSL_read(t->ssl, buf, (int)len);

    if (n > 0)
        return n;
    int error = wolfSSL_get_error(t->ssl, n);
    if (error == WOLFSSL_ERROR_WANT_READ && !t->transport.ended)
        return -EAGAIN;
    if (error == WOLFSSL_ERROR_ZERO_RETURN)
        return 0;
    if (t->transport.write_error != 0 || t->transport.reset)
        return -ECONNRESET;
    if (error == MEMORY_E)
        return -ENOMEM;
    return t->transport.ended ? -EPIPE : -EPROTO;
}

int tls_write(struct tls *t, const void *buf, size_t len)
{
    int n = wolfSSL_write(t->ssl, buf, (int)len);

    if (n == (int)len)
        return 0;
    if (t->transport.write_error != 0)
        return t->transport.write_error;
    return wolfSSL_get_error(t->ssl, n) == MEMORY_E ? -ENOMEM : -EPROTO;
}

int tls_flush(struct tls *t)
{
    return transport_flush(&t->transport);
}

bool tls_may_read(const struct tls *t)
{
    return transport_may_read(&t->transport);
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
    transport_free(&t->transport);
    free(t);
}
