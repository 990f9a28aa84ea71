/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a client's first bytes: a PROXY header or a ClientHello. */
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
    uint8_t bytes[4096]; /* what was read last; a first record's header stays whole */
    size_t len;
    struct reframe frame; /* for the TLS library: the ClientHello, and the bytes after it */
    struct hello hello;
};

/* Reads a PROXY header from a non-blocking descriptor, and no byte after it. Stops when `watch` becomes
 * readable. Returns true, or false with the reason in *outcome. */
bool opening_read_proxy(struct proxy_header *h, int in, int watch, io_time deadline,
                        const struct options *options, struct outcome *outcome);

/* Reads a whole ClientHello from a non-blocking descriptor. Stops when `watch` becomes readable. Returns
 * true, or false with the reason in *outcome. opening_free() must be called in both cases. */
bool opening_read(struct opening *o, int in, int watch, io_time deadline,
                  const struct options *options, struct outcome *outcome);

/* Frees the memory of *o, but not *o. */
void opening_free(struct opening *o);

#endif
