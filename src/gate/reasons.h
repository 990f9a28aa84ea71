/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why a handshake failed, in an administrator's words. */
#ifndef POSTERN_REASONS_H
#define POSTERN_REASONS_H

#include "common/facts.h"
#include "tls/hello.h"
#include "start/options.h"
#include "tls/tls.h"

/* How an opening or a handshake ended, and the line for the log; "" for none. */
struct outcome {
    enum ending ending;
    enum gravity gravity;
    char text[320];
    int alert; /* what the client is still to be told; 0: nothing */
};

/* Why a handshake failed; `why` is the library's reason. */
void reason_failed(const struct hello *h, enum tls_result result, const char *why,
                   const struct options *options, struct outcome *outcome);

/* Why none of our certificates is of use to this client. */
void reason_no_certificate(const struct hello *h, const struct options *options,
                           struct outcome *outcome);

/* Why there is no key exchange: no group is shared. */
void reason_no_group(struct outcome *outcome);

/* Why there is no certificate for the name that the client asked for. */
void reason_no_name(const struct hello *h, struct outcome *outcome);

/* The alert for a client that no certificate or group is shared with: handshake_failure, or
 * protocol_version if that is why (RFC 8446 section 6.2). */
int reason_alert(const struct hello *h, const struct options *options);

/* The alert for a legal ClientHello that the TLS library can't take: internal_error. 0: nothing in it is
 * known to be in the library's way. */
int reason_limit(const struct hello *h);

/* Sends a fatal alert where the TLS library sends none. */
void reason_send_alert(int out, int alert);

#endif
