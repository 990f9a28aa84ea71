/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PROXY protocol of HAProxy, versions 1 and 2: a pure parser. monitor/proxy_out.h builds one.
 */
#ifndef POSTERN_PROXY_H
#define POSTERN_PROXY_H

#include "common/message.h"
#include "start/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes that a header may take; version 2 could say up to 65551. */
#define PROXY_HEADER_MAX 4096

/* Begins a header of version 1 (section 2.1). */
extern const char proxy_v1_start[7];

/* Begins a header of version 2 (section 2.2). */
extern const uint8_t proxy_v2_signature[12];

#define PROXY_V2_START 16 /* bytes of version 2 in front of the addresses */
#define PROXY_TLV_HEAD 3  /* bytes of a TLV's type and length */

enum { PROXY_COMMAND_LOCAL, PROXY_COMMAND_PROXY };
enum { PROXY_FAMILY_UNSPEC, PROXY_FAMILY_INET, PROXY_FAMILY_INET6, PROXY_FAMILY_UNIX };
enum { PROXY_TRANSPORT_UNSPEC, PROXY_TRANSPORT_STREAM, PROXY_TRANSPORT_DGRAM };

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

/* What the gate tells the monitor of a header: addresses as bytes. A field that is missing or wrong
 * makes the reader fail. */
void proxy_put(struct message_writer *w, const struct proxy_header *h);
void proxy_get(struct message_reader *r, struct proxy_header *h);

#endif
