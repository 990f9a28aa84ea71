/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Joins the records of a ClientHello and writes it into full records. The TLS library does not accept
 * tiny ones. Record headers are neither hashed nor signed (RFC 8446 section 4.4.1). The message
 * itself is hashed, so it is never changed. Pure, except that it allocates memory. */
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
    REFRAME_MORE,        /* not complete yet: read more */
    REFRAME_WHOLE,       /* a whole ClientHello */
    REFRAME_PLAINTEXT,   /* not TLS but a plaintext protocol */
    REFRAME_SSL2,        /* an SSL 2.0 ClientHello (RFC 6176: never to be answered) */
    REFRAME_ALERT,       /* a TLS alert where the ClientHello should be */
    REFRAME_UNEXPECTED,  /* another record or handshake message than a ClientHello */
    REFRAME_LONG_RECORD, /* a record longer than REFRAME_RECORD_MAX */
    REFRAME_LONG,        /* a ClientHello that is legal, but longer than REFRAME_MAX */
    REFRAME_NO_SECRET,   /* a key from which no secret can come; reframe_feed() never returns it */
    REFRAME_BAD,         /* malformed: longer than RFC 8446 allows, or no TLS version */
    REFRAME_NO_MEMORY
};

/* A ClientHello being read; all zeros before the first byte. reframe_free() frees its memory. */
struct reframe {
    uint8_t *bytes; /* REFRAME_HEADER unused bytes, then the message as far as it was read */
    size_t len;  /* bytes of the message so far; after reframe_finish() all bytes of the records */
    size_t size; /* bytes allocated */
    uint8_t header[REFRAME_HEADER]; /* of the record that is being read */
    size_t header_len;
    size_t left;      /* bytes of that record that have not come yet */
    bool after_retry; /* this is the second ClientHello: a change_cipher_spec may precede it */
};

/* Takes bytes of the connection and sets *used to how many it took: all of them, unless the message ends
 * before, or a fault is found. Memory grows with the bytes received, not with the length announced. */
enum reframe_verdict reframe_feed(struct reframe *r, const uint8_t *bytes, size_t len,
                                  size_t *used);

/* Returns the message, r->len bytes, before reframe_finish(). */
const uint8_t *reframe_message(const struct reframe *r);

/* Turns a whole message into records of version 3.`minor`, as full as allowed: r->bytes, r->len bytes.
 * Appends `rest`, the bytes that followed the message on the connection. If the message ended inside a
 * record, `rest` gets a header for the remainder of that record. Returns 0 or -ENOMEM. */
int reframe_finish(struct reframe *r, uint8_t minor, const uint8_t *rest, size_t rest_len);

/* Returns the alert that answers a verdict (RFC 8446 section 6.2); 0: send none. */
int reframe_alert(enum reframe_verdict verdict);

/* Returns what the client did, for the log: "client sent a malformed ClientHello". Returns NULL for
 * REFRAME_PLAINTEXT, about which hello_plaintext() knows more. */
const char *reframe_words(enum reframe_verdict verdict);

/* Frees the memory and sets *r to all zeros. */
void reframe_free(struct reframe *r);

#endif
