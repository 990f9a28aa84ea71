/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PROXY protocol of HAProxy, versions 1 and 2: a pure parser and a builder. */
#ifndef POSTERN_PROXY_H
#define POSTERN_PROXY_H

#include "common/facts.h"
#include "common/message.h"
#include "start/options.h"
#include "start/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes that a header may take; version 2 could say up to 65551. */
#define PROXY_HEADER_MAX 4096

/* The most bytes that proxy_build() writes. */
#define PROXY_BUILD_MAX 768

enum proxy_verdict {
    PROXY_MORE,  /* not all there yet, and every byte so far belongs to it: read on */
    PROXY_OK,    /* a whole header */
    PROXY_BAD,   /* a header by its first bytes, but malformed */
    PROXY_ABSENT /* no header at all */
};

struct proxy_header {
    size_t len; /* the bytes that it takes */
    bool
        has_addresses; /* not for LOCAL, UNKNOWN and what is no stream: keep the connection's own */
    struct peer client; /* whom the proxy speaks for */
    struct peer server; /* where that one has connected to */
    const char *why;    /* for PROXY_BAD: what is wrong; lives for ever */
};

/* Judges the first len bytes of a connection by the specification of 2020-03-05. Reads nothing beyond
 * them, keeps nothing. But for `why`, *h says something for PROXY_OK only. */
enum proxy_verdict proxy_parse(struct proxy_header *h, const uint8_t *bytes, size_t len);

/* Writes a header of this version that tells of a connection; with facts, version 2 tells that the
 * client is inside TLS, too, what server name it asked for, and the common name of its certificate if
 * that was verified. Returns its length; 0 for
 * PROXY_OUT_OFF. */
size_t proxy_build(uint8_t buf[PROXY_BUILD_MAX], enum proxy_out version, const struct peer *client,
                   const struct peer *server, const struct facts *facts);

/* What the gate tells the monitor of a header: addresses as bytes. A field that is missing or wrong
 * makes the reader fail. */
void proxy_put(struct message_writer *w, const struct proxy_header *h);
void proxy_get(struct message_reader *r, struct proxy_header *h);

#endif
