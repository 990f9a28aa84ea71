/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A client's first bytes, and why a handshake failed, in an administrator's words. Layer 3. */
#ifndef POSTERN_OPENING_H
#define POSTERN_OPENING_H

#include "facts.h"
#include "hello.h"
#include "io.h"
#include "options.h"
#include "proxy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gravity { GRAVITY_DETAIL, GRAVITY_NOTE, GRAVITY_ERROR };

/* How an opening or a handshake ended, and the line for the log; "" for none. */
struct outcome {
    enum ending ending;
    enum gravity gravity;
    char text[320];
};

struct opening {
    uint8_t bytes[HELLO_MAX + 1]; /* what has been read: a ClientHello, and perhaps more */
    size_t len;
    struct hello hello;
};

/* Reads from a non-blocking descriptor a PROXY header, and not a byte behind it. `watch` ends it when
 * it becomes readable. Returns 0, or -EPROTO and what happened in *outcome. */
int opening_read_proxy(struct proxy_header *h, int in, int watch, io_time deadline,
                       const struct options *options, struct outcome *outcome);

/* Reads from a non-blocking descriptor up to a whole ClientHello. `watch` ends it when it becomes
 * readable. Returns 0, or -EPROTO and what happened in *outcome. */
int opening_read(struct opening *o, int in, int watch, io_time deadline,
                 const struct options *options, struct outcome *outcome);

/* What a handshake that failed with `error` (a negative errno of tls_handshake()) and the library's
 * reason `why` means. */
void opening_explain(const struct hello *h, int error, const char *why,
                     const struct options *options, struct outcome *outcome);

/* Why none of our certificates is of use to this client. */
void opening_explain_certificates(const struct hello *h, const struct options *options,
                                  struct outcome *outcome);

/* ... and that no key exchange group is shared. */
void opening_explain_groups(struct outcome *outcome);

/* ... and that there is no certificate for the name that the client asked for. */
void opening_explain_name(const struct hello *h, struct outcome *outcome);

/* The alert for a client that no certificate or group is shared with: handshake_failure, or
 * protocol_version if that is why (RFC 8446 section 6.2). */
int opening_alert(const struct hello *h, const struct options *options);

/* Answers a ClientHello that no TLS session was made for with a fatal alert. */
void opening_refuse(int out, int alert);

#endif
