/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a client's first bytes: a PROXY header, a ClientHello. */
#ifndef POSTERN_OPENING_H
#define POSTERN_OPENING_H

#include "common/facts.h"
#include "tls/hello.h"
#include "common/io.h"
#include "start/options.h"
#include "start/proxy.h"
#include "gate/reasons.h"
#include "tls/reframe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct opening {
    uint8_t bytes[4096]; /* what has been read first, or last */
    size_t len;
    struct reframe frame; /* for the TLS library: the ClientHello, and what came behind it */
    struct hello hello;
};

/* Reads from a non-blocking descriptor a PROXY header, and not a byte behind it. `watch` ends it when
 * it becomes readable. Returns true; or false, and what happened in *outcome. */
bool opening_read_proxy(struct proxy_header *h, int in, int watch, io_time deadline,
                        const struct options *options, struct outcome *outcome);

/* Reads from a non-blocking descriptor up to a whole ClientHello. `watch` ends it when it becomes
 * readable. Returns true; or false, and what happened in *outcome. opening_free() is due either way. */
bool opening_read(struct opening *o, int in, int watch, io_time deadline,
                  const struct options *options, struct outcome *outcome);

void opening_free(struct opening *o);

#endif
