/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "reasons.h"

#include "alert.h"
#include "io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void tell(struct outcome *outcome, enum ending ending, enum gravity gravity,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));

static void tell(struct outcome *outcome, enum ending ending, enum gravity gravity,
                 const char *format, ...)
{
    va_list arguments;

    outcome->ending = ending;
    outcome->gravity = gravity;
    va_start(arguments, format);
    (void)vsnprintf(outcome->text, sizeof outcome->text, format, arguments);
    va_end(arguments);
}

static void explain_version(const struct hello *h, const struct options *options,
                            struct outcome *outcome)
{
    tell(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
         "handshake failed: client offers only %s, --tls-min is 1.%u",
         hello_version_name(h->version_max), options->tls_min - 0x0301);
}

void reason_failed(const struct hello *h, int error, const char *why, const struct options *options,
                   struct outcome *outcome)
{
    if (error == -ECANCELED)
        tell(outcome, ENDING_SIGTERM, GRAVITY_DETAIL, "ended during the handshake");
    else if (error == -ETIMEDOUT)
        tell(outcome, ENDING_TIMEOUT_HANDSHAKE, GRAVITY_ERROR,
             "handshake failed: not done in %u seconds (--timeout-handshake)",
             options->timeout_handshake);
    else if (error == -EPIPE)
        tell(outcome, ENDING_LEFT, GRAVITY_NOTE, "%s (a port scan?)", why);
    else if (h->version_max < options->tls_min)
        explain_version(h, options, outcome);
    else if (error == -EPROTONOSUPPORT)
        tell(
            outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
            "handshake failed: by ALPN the client wants to speak %s, which is not spoken here: see "
            "--alpn",
            h->alpn);
    else if (error != -EPROTO)
        tell(outcome, ENDING_SYSTEM, GRAVITY_ERROR, "handshake failed: %s",
             *why != '\0' ? why : strerror(-error));
    else
        tell(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR, "handshake failed: %s", why);
}

void reason_no_certificate(const struct hello *h, const struct options *options,
                           struct outcome *outcome)
{
    if (h->version_max < options->tls_min)
        explain_version(h, options, outcome);
    else if (!h->tls13_suites && !h->aead_suites)
        tell(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
             "handshake failed: no shared cipher suite: see --ciphers");
    else if (!h->rsa && !h->ecdsa && !h->ed25519)
        tell(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
             "handshake failed: client can use no certificate whatever: it offers no cipher suite "
             "for one, or only signatures with SHA-1");
    else
        tell(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
             "handshake failed: no certificate fits: client can use%s%s%s; give a second --cert of "
             "that kind",
             h->rsa ? " RSA" : "", h->ecdsa ? " ECDSA" : "", h->ed25519 ? " Ed25519" : "");
}

void reason_no_group(struct outcome *outcome)
{
    tell(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
         "handshake failed: no shared key exchange group: see --groups");
}

void reason_no_name(const struct hello *h, struct outcome *outcome)
{
    if (h->name[0] == '\0')
        tell(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
             "handshake failed: client names no server (no SNI), and there is no --cert for such "
             "clients");
    else
        tell(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
             "handshake failed: no certificate for %.200s: see --cert-dir and --sni", h->name);
}

int reason_alert(const struct hello *h, const struct options *options)
{
    return h->version_max < options->tls_min ? ALERT_PROTOCOL_VERSION : ALERT_HANDSHAKE_FAILURE;
}

void reason_send_alert(int out, int alert)
{
    const uint8_t record[] = {21, 3, 3, 0, 2, 2, (uint8_t)alert};

    /* Nothing has been sent yet: there is room for seven bytes. */
    (void)io_send(out, record, sizeof record);
}
