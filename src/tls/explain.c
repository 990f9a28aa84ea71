/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/explain.h"

#include "tls/alert.h"
#include "tls/session.h"
#include "tls/suites.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

/* Tells a ClientHello that the library can't read from one with a value that it refuses. */
static enum tls_result result_of_refusal(int error)
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

/* Sends an alert to a client that sent something else than its second ClientHello. */
static enum tls_result refuse_second(struct tls *t, char *why)
{
    char record[] = {21, 3, 3, 0, 2, 2, (char)reframe_alert(t->transport.refused)};

    transport_send(&t->transport, record, sizeof record);
    (void)transport_flush(&t->transport);
    (void)snprintf(why, TLS_WHY_SIZE, "after HelloRetryRequest, %s",
                   reframe_words(t->transport.refused));
    return t->transport.refused == REFRAME_NO_MEMORY ? TLS_FAILED : TLS_DISAGREED;
}

/* Puts the meaning of the library's error into words. */
static enum tls_result explain_error(const struct tls *t, int error, char *why)
{
    switch (error) {
    case MATCH_SUITE_ERROR:
    case WOLFSSL_ERROR_SYSCALL: /* 5.9.2 says so; a lost connection was ruled out before */
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
    case ECC_PEERKEY_ERROR:
        (void)snprintf(why, TLS_WHY_SIZE, "%s", reframe_words(REFRAME_NO_SECRET));
        return t->transport.answered ? TLS_DISAGREED : TLS_BAD_VALUE;
    case UNKNOWN_ALPN_PROTOCOL_NAME_E:
        return TLS_NO_ALPN;
    default:
        (void)snprintf(why, TLS_WHY_SIZE, "%s (wolfSSL error %d)",
                       wolfSSL_ERR_reason_error_string((unsigned long)error), error);
        if (error == MEMORY_E || error == RNG_FAILURE_E)
            return TLS_FAILED;
        return t->transport.answered ? TLS_DISAGREED : result_of_refusal(error);
    }
    return TLS_DISAGREED;
}

enum tls_result explain_failure(struct tls *t, int error, char *why)
{
    WOLFSSL_ALERT_HISTORY alerts;

    memset(&alerts, 0, sizeof alerts);
    (void)wolfSSL_get_alert_history(t->ssl, &alerts);
    if (t->resumption.error != 0) {
        (void)snprintf(why, TLS_WHY_SIZE, "no session ticket: %s", strerror(-t->resumption.error));
        return TLS_FAILED;
    }
    if (t->signing.error != 0) {
        (void)snprintf(why, TLS_WHY_SIZE, "no signature: %s", strerror(-t->signing.error));
        return TLS_FAILED;
    }
    if (t->transport.write_error == -ENOMEM || t->transport.write_error == -ENOBUFS) {
        (void)snprintf(why, TLS_WHY_SIZE, "cannot send to the client: %s",
                       strerror(-t->transport.write_error));
        return TLS_FAILED;
    }
    if (t->transport.refused != REFRAME_WHOLE && t->transport.refused != REFRAME_MORE)
        return refuse_second(t, why);
    if (clientcert_explain(t->client, error, why))
        return TLS_DISAGREED;
    int alert = transport_read_alert(&t->transport);
    if (alert < 0)
        alert = alerts.last_rx.code;
    if (alert > close_notify) {
        (void)snprintf(why, TLS_WHY_SIZE, "client sent alert %s: %s", alert_name(alert),
                       alert_meaning(alert));
        return TLS_DISAGREED;
    }
    if (t->transport.ended || t->transport.write_error != 0 || error == ZERO_RETURN) {
        (void)snprintf(why, TLS_WHY_SIZE, "client left during the handshake%s",
                       t->transport.reset ? " (connection reset)" : "");
        return TLS_LEFT;
    }
    return explain_error(t, error, why);
}
