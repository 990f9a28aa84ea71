/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Puts a ClientHello together from its records and lays it out in records of our own: tiny ones, which
 * the TLS library does not take, become one. Record headers are neither hashed nor signed (RFC 8446
 * section 4.4.1), the message itself is, and stays as it came. Pure but for memory. */
#ifndef POSTERN_REFRAME_H
#define POSTERN_REFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes of a ClientHello, with the header of the message but without those of records. */
#define REFRAME_MAX 65536

/* The most bytes in one record (RFC 8446 section 5.1). */
#define REFRAME_RECORD_MAX 16384

#define REFRAME_HEADER 5

enum reframe_verdict {
    REFRAME_MORE,        /* not all there yet: read on */
    REFRAME_WHOLE,       /* a whole ClientHello */
    REFRAME_PLAINTEXT,   /* not TLS: somebody speaks a plaintext protocol */
    REFRAME_SSL2,        /* an SSL 2.0 ClientHello (RFC 6176: never to be answered) */
    REFRAME_ALERT,       /* a TLS alert where the ClientHello should be */
    REFRAME_UNEXPECTED,  /* another record or handshake message than a ClientHello */
    REFRAME_LONG_RECORD, /* a record longer than REFRAME_RECORD_MAX */
    REFRAME_LONG,        /* a ClientHello longer than REFRAME_MAX, and still no malformed one */
    REFRAME_BAD,         /* malformed: a message longer than any ClientHello, or no TLS version */
    REFRAME_NO_MEMORY
};

/* All zeros is the state before the first byte. reframe_free() frees what it holds. */
struct reframe {
    uint8_t *bytes; /* room for a record's header, then the message as far as it has come */
    size_t len;     /* of the message so far; after reframe_finish() of all bytes */
    size_t size;    /* of the memory */
    uint8_t header[REFRAME_HEADER]; /* of the record that is being read */
    size_t header_len;
    size_t left;      /* bytes of that record that are still to come */
    bool after_retry; /* it is the second ClientHello: a change_cipher_spec may come first */
};

/* Takes bytes of the connection, of which *used belong to the ClientHello, unless it is whole all of
 * them. Memory grows with the bytes that come, not with the length that is announced. */
enum reframe_verdict reframe_feed(struct reframe *r, const uint8_t *bytes, size_t len,
                                  size_t *used);

/* The message of a whole ClientHello, r->len bytes. */
const uint8_t *reframe_message(const struct reframe *r);

/* Lays a whole message out in r->bytes, r->len bytes, as records of the version 3.`minor` that are as
 * full as they may be. Behind them come `rest`, which are the bytes that followed, and before these a
 * header for what is left of the last record. Returns 0 or -ENOMEM. */
int reframe_finish(struct reframe *r, uint8_t minor, const uint8_t *rest, size_t rest_len);

/* The alert that answers what is no ClientHello (RFC 8446 section 6.2); 0: none is due. */
int reframe_alert(enum reframe_verdict verdict);

/* What the client did, for the log: "sent a malformed ClientHello" and so on; NULL for the verdicts
 * that need more words. */
const char *reframe_words(enum reframe_verdict verdict);

void reframe_free(struct reframe *r);

#endif
