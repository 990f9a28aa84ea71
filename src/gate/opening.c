/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/opening.h"

#include "tls/suites.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* Returns the value of --starttls for a protocol, or NULL. */
static const char *dialect_of(const char *protocol)
{
    static const char *const dialects[][2] = {
        {"IMAP", "imap"}, {"POP3", "pop3"},         {"SMTP", "smtp"},
        {"LMTP", "lmtp"}, {"ManageSieve", "sieve"}, {"NNTP", "nntp"},
    };

    for (size_t i = 0; i < sizeof dialects / sizeof dialects[0]; i++)
        if (strcmp(dialects[i][0], protocol) == 0)
            return dialects[i][1];
    return NULL;
}

/* Explains a client that speaks a plaintext protocol. */
static void explain_plaintext(const struct opening *o, const struct options *options,
                              struct outcome *outcome)
{
    const char *protocol = hello_plaintext(o->bytes, o->len);
    const char *dialect = dialect_of(protocol);
    struct proxy_header h;

    if (o->len > 5 && proxy_parse(&h, o->bytes, o->len) != PROXY_ABSENT)
        reason_set(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: client speaks PROXY, not TLS: %s",
                   options->proxy_protocol
                       ? "a second PROXY header; does more than one proxy send one?"
                       : "if it is a proxy of yours, give --proxy-protocol and --proxy-trusted");
    else if (options->starttls != NULL || options->ucspi_tls)
        reason_set(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: client speaks %s where TLS has to begin", protocol);
    else if (dialect != NULL)
        reason_set(
            outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
            "handshake failed: client speaks %s in plaintext, but TLS starts at once here; for "
            "clients set to STARTTLS run postern with --starttls=%s on that port",
            protocol, dialect);
    else
        reason_set(outcome, ENDING_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: client speaks %s, not TLS", protocol);
}

/* Explains bytes that are no ClientHello. */
static void explain_verdict(const struct opening *o, enum reframe_verdict verdict,
                            const struct options *options, struct outcome *outcome)
{
    const char *words = reframe_words(verdict);

    if (words == NULL)
        explain_plaintext(o, options, outcome);
    else
        reason_set(outcome, verdict == REFRAME_NO_MEMORY ? ENDING_SYSTEM : ENDING_HANDSHAKE,
                   GRAVITY_ERROR, "handshake failed: %s", words);
    outcome->alert = reframe_alert(verdict);
}

/* Explains why no whole ClientHello came. `error` is a negative errno. */
static void explain_silence(const struct opening *o, int error, const struct options *options,
                            struct outcome *outcome)
{
    if (error == -ECANCELED)
        reason_set(outcome, ENDING_SIGTERM, GRAVITY_DETAIL, "ended before the handshake");
    else if (error == -ETIMEDOUT && o->len == 0 && options->starttls == NULL)
        reason_set(
            outcome, ENDING_TIMEOUT_HANDSHAKE, GRAVITY_ERROR,
            "handshake failed: client sent nothing in %u seconds; if it waits for a plaintext "
            "greeting, set it to TLS (SSL), or run postern with --starttls on that port",
            options->timeout_handshake);
    else if (error == -ETIMEDOUT)
        reason_set(outcome, ENDING_TIMEOUT_HANDSHAKE, GRAVITY_ERROR,
                   "handshake failed: no whole ClientHello in %u seconds (--timeout-handshake)",
                   options->timeout_handshake);
    else if (error != -EPIPE)
        reason_set(outcome, ENDING_SYSTEM, GRAVITY_ERROR, "cannot wait for the client: %s",
                   strerror(-error));
    else
        reason_set(outcome, ENDING_LEFT, GRAVITY_NOTE,
                   o->len == 0
                       ? "client left without a word (a port scan or a health check?)"
                       : "client left before it had sent a whole ClientHello (a port scan?)");
}

/* Receives once and adds the bytes to the ClientHello. Returns 0 or a negative errno. */
static int receive(struct opening *o, int in, enum reframe_verdict *verdict)
{
    /* Plaintext is recognised by its first bytes, so these are kept together even if they come one by one. */
    size_t keep = o->frame.len == 0 && o->len < REFRAME_HEADER ? o->len : 0;
    ssize_t n = io_receive(in, o->bytes + keep, sizeof o->bytes - keep);
    size_t used;

    if (n == -EAGAIN)
        return -EAGAIN;
    if (n <= 0)
        return -EPIPE;
    o->len = keep + (size_t)n;
    *verdict = reframe_feed(&o->frame, o->bytes + keep, (size_t)n, &used);
    if (*verdict != REFRAME_WHOLE)
        return 0;
    if (!hello_parse(&o->hello, reframe_message(&o->frame), o->frame.len, suites_limits()->sigalgs))
        *verdict = REFRAME_BAD;
    else if (o->hello.useless_share)
        *verdict = REFRAME_NO_SECRET;
    else if (reframe_finish(&o->frame, 1, o->bytes + keep + used, (size_t)n - used) < 0)
        *verdict = REFRAME_NO_MEMORY;
    return 0;
}

bool opening_read(struct opening *o, int in, int watch, io_time deadline,
                  const struct options *options, struct outcome *outcome)
{
    enum reframe_verdict verdict = REFRAME_MORE;
    int error = 0;

    o->len = 0;
    o->frame = (struct reframe){.bytes = NULL};
    while (verdict == REFRAME_MORE && error == 0) {
        error = receive(o, in, &verdict);
        if (error == -EAGAIN)
            error = io_wait(in, POLLIN, watch, deadline);
    }
    if (error < 0)
        explain_silence(o, error, options, outcome);
    else if (verdict != REFRAME_WHOLE)
        explain_verdict(o, verdict, options, outcome);
    else
        return true;
    return false;
}

void opening_free(struct opening *o)
{
    reframe_free(&o->frame);
}

/* Explains bytes that are no PROXY header, or a malformed one. */
static void explain_header(const struct proxy_header *h, enum proxy_verdict verdict,
                           const uint8_t *bytes, size_t len, struct outcome *outcome)
{
    struct reframe frame = {.bytes = NULL};
    size_t used;

    if (verdict == PROXY_BAD)
        reason_set(outcome, ENDING_PROTOCOL, GRAVITY_ERROR, "malformed PROXY header: %s", h->why);
    else
        reason_set(
            outcome, ENDING_PROTOCOL, GRAVITY_ERROR,
            "no PROXY header: client speaks %s at once; is the proxy set to send one (HAProxy: "
            "send-proxy-v2)?",
            reframe_feed(&frame, bytes, len, &used) == REFRAME_PLAINTEXT
                ? hello_plaintext(bytes, len)
                : "TLS");
    reframe_free(&frame);
}

/* Explains why no whole PROXY header came. `error` is a negative errno. */
static void explain_no_header(size_t len, int error, const struct options *options,
                              struct outcome *outcome)
{
    if (error == -ECANCELED)
        reason_set(outcome, ENDING_SIGTERM, GRAVITY_DETAIL, "ended before the PROXY header");
    else if (error == -ETIMEDOUT)
        reason_set(
            outcome, ENDING_TIMEOUT_HANDSHAKE, GRAVITY_ERROR,
            "no %sPROXY header in %u seconds (--timeout-handshake); is the proxy set to send one "
            "(HAProxy: send-proxy-v2)?",
            len > 0 ? "whole " : "", options->timeout_handshake);
    else if (error != -EPIPE)
        reason_set(outcome, ENDING_SYSTEM, GRAVITY_ERROR, "cannot wait for the PROXY header: %s",
                   strerror(-error));
    else
        reason_set(outcome, ENDING_LEFT, GRAVITY_NOTE,
                   len == 0 ? "client left without a word (a port scan or a health check?)"
                            : "client left in the middle of its PROXY header");
}

bool opening_read_proxy(struct proxy_header *h, int in, int watch, io_time deadline,
                        const struct options *options, struct outcome *outcome)
{
    uint8_t bytes[PROXY_HEADER_MAX];
    size_t len = 0;
    bool no_peek = false;
    enum proxy_verdict verdict = PROXY_MORE;
    int error = 0;

    while (verdict == PROXY_MORE && error == 0) {
        ssize_t n = io_peek(in, bytes + len, sizeof bytes - len, &no_peek);
        if (n == -EAGAIN) {
            error = io_wait(in, POLLIN, watch, deadline);
        } else if (n <= 0) {
            error = -EPIPE;
        } else {
            verdict = proxy_parse(h, bytes, len + (size_t)n);
            /* While the header is not whole, all bytes belong to it. */
            size_t belongs = verdict == PROXY_OK ? h->len - len : (size_t)n;
            if (!no_peek && io_receive(in, bytes + len, belongs) != (ssize_t)belongs)
                error = -EPIPE;
            len += belongs;
        }
    }
    if (error < 0)
        explain_no_header(len, error, options, outcome);
    else if (verdict != PROXY_OK)
        explain_header(h, verdict, bytes, len, outcome);
    else
        return true;
    return false;
}
