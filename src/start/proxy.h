/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The PROXY protocol of HAProxy, versions 1 and 2: parses its headers. Pure. monitor/proxy_out.h builds them. */
#ifndef POSTERN_PROXY_H
#define POSTERN_PROXY_H

#include "common/message.h"
#include "start/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The longest header that is accepted, in bytes; version 2 would allow 65551. */
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
    PROXY_MORE,  /* the beginning of a header: read on; all bytes so far belong to it */
    PROXY_OK,    /* a whole header */
    PROXY_BAD,   /* begins like a header, but is malformed */
    PROXY_ABSENT /* not a header */
};

struct proxy_header {
    size_t len;         /* length in bytes */
    bool has_addresses; /* false for LOCAL, UNKNOWN and datagrams: the connection keeps its own */
    struct peer client; /* the client of the proxy */
    struct peer server; /* the address to which that client connected */
    const char *why;    /* for PROXY_BAD: the mistake; a constant */
};

/* Parses the first len bytes of a connection by the specification of 2020-03-05. Sets *h: h->why for PROXY_BAD,
 * the other members for PROXY_OK only. */
enum proxy_verdict proxy_parse(struct proxy_header *h, const uint8_t *bytes, size_t len);

/* Write and read the addresses of a header as part of a message from the gate to the monitor. A field that is
 * missing or wrong sets r->failed. */
void proxy_put(struct message_writer *w, const struct proxy_header *h);
void proxy_get(struct message_reader *r, struct proxy_header *h);

#endif
