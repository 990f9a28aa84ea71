/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Says why a handshake failed, in words for the administrator. */
#ifndef POSTERN_REASONS_H
#define POSTERN_REASONS_H

#include "common/facts.h"
#include "tls/hello.h"
#include "start/options.h"
#include "tls/tls.h"

/* How an opening or a handshake failed. */
struct outcome {
    enum ending ending;
    enum gravity gravity;
    char text[320]; /* the line for the log; "": none */
    int alert;      /* to be sent to the client; 0: none */
};

/* Sets all of an outcome, with no alert; `format` and what follows make its line, cut if it is long. */
void reason_set(struct outcome *outcome, enum ending ending, enum gravity gravity,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Explains a handshake that failed. `why` is the library's reason. */
void reason_failed(const struct hello *h, enum tls_result result, const char *why,
                   const struct options *options, struct outcome *outcome);

/* Explains why this client can use none of our certificates. */
void reason_no_certificate(const struct hello *h, const struct options *options,
                           struct outcome *outcome);

/* Explains that client and server share no group. */
void reason_no_group(struct outcome *outcome);

/* Explains that there is no certificate for the name that the client asked for. */
void reason_no_name(const struct hello *h, struct outcome *outcome);

/* Returns the alert for a client with which no certificate or group is shared: handshake_failure, or
 * protocol_version if its versions are too low (RFC 8446 section 6.2). */
int reason_alert(const struct hello *h, const struct options *options);

/* Returns internal_error for a legal ClientHello that exceeds a limit of the TLS library; else 0. */
int reason_limit(const struct hello *h);

/* Sends a fatal alert in plaintext, for when the TLS library sends none. */
void reason_send_alert(int out, int alert);

#endif
