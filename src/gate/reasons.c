/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/reasons.h"

#include "tls/alert.h"
#include "common/io.h"
#include "tls/suites.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void reason_set(struct outcome *outcome, enum ending ending, enum gravity gravity,
                const char *format, ...)
{
    va_list arguments;

    outcome->ending = ending;
    outcome->gravity = gravity;
    outcome->alert = 0;
    va_start(arguments, format);
    (void)vsnprintf(outcome->text, sizeof outcome->text, format, arguments);
    va_end(arguments);
}

/* The limit of the TLS library that a legal ClientHello exceeds: words before and after the number. */
struct limit {
    const char *before; /* NULL: it exceeds none that is known */
    size_t number;
    const char *after;
};

/* Finds the limit that made the library refuse a ClientHello. */
static struct limit find_limit(const struct hello *h)
{
    const struct suites_limits *limits = suites_limits();

    if (h->session_id_len > 0 && h->session_id_len < 32)
        return (struct limit){"its session id has ", h->session_id_len,
                              " bytes, where the TLS library takes 0 or 32 only"};
    if (h->suites_sent > limits->suites)
        return (struct limit){"it offers ", h->suites_sent,
                              " cipher suites, more than the TLS library takes"};
    if (h->version_max >= 0x0304 && h->identity_max > limits->identity)
        return (struct limit){"it has a session ticket of another server's with ", h->identity_max,
                              " bytes, more than the TLS library takes"};
    if (h->size > limits->message)
        return (struct limit){"its ClientHello has ", h->size,
                              " bytes, more than the TLS library takes"};
    return (struct limit){.before = NULL};
}

int reason_limit(const struct hello *h)
{
    return find_limit(h).before != NULL ? ALERT_INTERNAL_ERROR : 0;
}

/* Explains a ClientHello that the TLS library refused. */
static void explain_refusal(const struct hello *h, enum tls_result result, const char *why,
                            struct outcome *outcome)
{
    struct limit limit = find_limit(h);

    if (limit.before != NULL)
        reason_set(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: the client did nothing wrong, but %s%zu%s", limit.before,
                   limit.number, limit.after);
    else
        reason_set(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: the TLS library refuses this ClientHello: %s", why);
    outcome->alert = result == TLS_BAD_VALUE ? ALERT_ILLEGAL_PARAMETER : ALERT_DECODE_ERROR;
    if (limit.before != NULL)
        outcome->alert = ALERT_INTERNAL_ERROR;
}

static void explain_version(const struct hello *h, const struct options *options,
                            struct outcome *outcome)
{
    reason_set(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
               "handshake failed: client offers only %s, --tls-min is 1.%u",
               hello_version_name(h->version_max), options->tls_min - 0x0301);
}

void reason_failed(const struct hello *h, enum tls_result result, const char *why,
                   const struct options *options, struct outcome *outcome)
{
    if (result == TLS_STOPPED)
        reason_set(outcome, ENDING_SIGTERM, GRAVITY_DETAIL, "ended during the handshake");
    else if (result == TLS_TIMEOUT)
        reason_set(outcome, ENDING_TIMEOUT_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: not done in %u seconds (--timeout-handshake)",
                   options->timeout_handshake);
    else if (result == TLS_LEFT)
        reason_set(outcome, ENDING_LEFT, GRAVITY_NOTE, "%s (a port scan?)", why);
    else if (h->version_max < options->tls_min)
        explain_version(h, options, outcome);
    else if (result == TLS_NO_ALPN)
        reason_set(
            outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
            "handshake failed: by ALPN the client wants to speak %s, which is not spoken here: see "
            "--alpn",
            h->alpn);
    else if (result == TLS_BAD_HELLO || result == TLS_BAD_VALUE)
        explain_refusal(h, result, why, outcome);
    else
        reason_set(outcome, result == TLS_FAILED ? ENDING_SYSTEM : ENDING_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: %s", why);
    if (outcome->ending == ENDING_HANDSHAKE && outcome->alert == 0)
        outcome->alert = reason_alert(h, options);
}

/* Explains a client whose fitting signature algorithms come too late in its list for the library. */
static void explain_late(const struct hello *h, struct outcome *outcome)
{
    reason_set(
        outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
        "handshake failed: no certificate fits: of the client's %zu signature algorithms the TLS "
        "library looks at the first %zu only, and those for%s%s%s come later",
        h->sigalg_count, suites_limits()->sigalgs, h->late.rsa ? " RSA" : "",
        h->late.ecdsa ? " ECDSA" : "", h->late.ed25519 ? " Ed25519" : "");
}

void reason_no_certificate(const struct hello *h, const struct options *options,
                           struct outcome *outcome)
{
    if (h->version_max < options->tls_min)
        explain_version(h, options, outcome);
    else if (!h->tls13_suites && !h->aead_suites)
        reason_set(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: no shared cipher suite: see --ciphers");
    else if (h->late.rsa || h->late.ecdsa || h->late.ed25519)
        explain_late(h, outcome);
    else if (!h->rsa && !h->ecdsa && !h->ed25519)
        reason_set(
            outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
            "handshake failed: client can use no certificate whatever: it offers no cipher suite "
            "for one, or only signatures with SHA-1");
    else
        reason_set(
            outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
            "handshake failed: no certificate fits: client can use%s%s%s; give a second --cert of "
            "that kind",
            h->rsa ? " RSA" : "", h->ecdsa ? " ECDSA" : "", h->ed25519 ? " Ed25519" : "");
}

void reason_no_group(struct outcome *outcome)
{
    reason_set(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
               "handshake failed: no shared key exchange group: see --groups");
}

void reason_no_name(const struct hello *h, struct outcome *outcome)
{
    if (h->name[0] == '\0')
        reason_set(
            outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
            "handshake failed: client names no server (no SNI), and there is no --cert for such "
            "clients");
    else
        reason_set(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: no certificate for %.200s: see --cert-dir and --sni",
                   h->name);
}

int reason_alert(const struct hello *h, const struct options *options)
{
    return h->version_max < options->tls_min ? ALERT_PROTOCOL_VERSION : ALERT_HANDSHAKE_FAILURE;
}

void reason_send_alert(int out, int alert)
{
    const uint8_t record[] = {21, 3, 3, 0, 2, 2, (uint8_t)alert};

    /* Nothing was sent before, so the socket has room for seven bytes. */
    (void)io_send(out, record, sizeof record);
}
