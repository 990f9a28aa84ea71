/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The messages between gate and monitor: one datagram each over a socketpair. Both sides read them with
 * the same bounded reader. */
#ifndef POSTERN_MESSAGE_H
#define POSTERN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The prefix names the sender. REQ_: the gate asks. ANS_: the monitor answers. REPORT_: the gate reports and gets
 * no answer. EVENT_: the monitor reports unasked. */
enum message_type {
    REQ_CHAIN = 1,         /* what the ClientHello asks for -> ANS_CHAIN */
    REQ_SIGN,              /* scheme, bytes -> ANS_SIGNATURE */
    REQ_SEAL,              /* TLS version, the state of a session -> ANS_SEALED */
    REQ_OPEN,              /* TLS version, a ticket -> ANS_OPENED */
    REQ_SESSION,           /* the handshake's facts -> ANS_HANDLER; UCSPI-TLS: no answer */
    REQ_PLAINTEXT_HANDLER, /* start a handler before TLS -> ANS_HANDLER */
    REQ_STOP_HANDLER,      /* stop that handler -> ANS_HANDLER_STOPPED */
    REPORT_LEFT_LOBBY,     /* the session goes on in plaintext: no TLS will come */
    REPORT_NOTE,           /* a line for the log, and how grave it is */
    REPORT_END,            /* how the connection ended; always the last message */
    REPORT_PROXY,          /* the PROXY header has been read: the addresses in it */
    REPORT_STEP,           /* with -v: how long a step took, and a line that explains it */
    EVENT_GO,              /* always first: whether there is TLS, and the names of ticket keys */
    ANS_CHAIN,             /* verdict, certificate chain in DER (leaf first), OCSP response */
    ANS_SIGNATURE,         /* the signature */
    ANS_SEALED,            /* the ticket */
    ANS_OPENED,            /* a session's state, and if its key is old; empty: not valid */
    ANS_HANDLER,           /* carries the handler's descriptors; none: it could not be started */
    ANS_HANDLER_STOPPED,   /* the handler of the plaintext phase is being stopped */
    EVENT_HANDLER_EXITED,  /* the handler has exited by itself */
    EVENT_DRAIN,           /* the gate is to deliver what is in flight, then end */
};

/* The most bytes that one message carries. */
#define MESSAGE_MAX 65536

/* Returns the name of a type for the log; "unknown" for a number that is no type. */
const char *message_name(unsigned type);

/* The gravity of a line for the log. */
enum gravity {
    GRAVITY_DETAIL,
    GRAVITY_NOTE,
    GRAVITY_ERROR,
    GRAVITY_CLIENT, /* an error that the client made */
    GRAVITY_NOISE,  /* a client that did not even try, such as a port scanner */
};
#define GRAVITY_MAX GRAVITY_NOISE

/* The longest duration in REPORT_STEP, in microseconds: ten years. */
#define TRACE_TIME_MAX 315360000000000

/* The kind of a signature. The key signs a hash, or for Ed25519 the message itself. */
enum sign_as {
    SIGN_ECDSA = 1,
    SIGN_RSA_PKCS1, /* a DigestInfo, RFC 8017 section 9.2 */
    SIGN_RSA_PSS_SHA256,
    SIGN_RSA_PSS_SHA384,
    SIGN_RSA_PSS_SHA512,
    SIGN_ED25519
};

/* Builds one message in the caller's buffer. A field that does not fit sets `failed`, which message_send() checks. */
struct message_writer {
    uint8_t *buf;
    size_t size;
    size_t len;
    bool failed;
};

/* Starts a message of this type in buf, which w keeps. */
void message_begin(struct message_writer *w, uint8_t *buf, size_t size, enum message_type type);

/* Append a field: a number; bytes with their length; a string with its length and without its NUL. */
void message_put_number(struct message_writer *w, uint64_t value);
void message_put_bytes(struct message_writer *w, const void *data, size_t len);
void message_put_text(struct message_writer *w, const char *text);

/* Reads one message in the caller's buffer. A field that is missing or too long sets `failed`. From then on every
 * field is 0 or empty. */
struct message_reader {
    unsigned type;
    const uint8_t *next;
    size_t left;
    bool failed;
    int fds[2]; /* descriptors that came with it, else -1; the receiver owns them */
};

/* Starts to read a message of len bytes and sets r->type. */
void message_parse(struct message_reader *r, const uint8_t *buf, size_t len);

/* Reads a number. One above max sets `failed`. */
uint64_t message_get_number(struct message_reader *r, uint64_t max);

/* Returns a pointer into the message and in *len its length. More than max bytes set `failed`. */
const uint8_t *message_get_bytes(struct message_reader *r, size_t max, size_t *len);

/* Copies a string of fewer than `size` bytes, and adds a NUL. A NUL inside it sets `failed`. */
void message_get_text(struct message_reader *r, char *text, size_t size);

/* True if no field failed and nothing is left unread. */
bool message_complete(const struct message_reader *r);

/* Sends the message, with up to two descriptors. Returns 0 or a negative errno: -EMSGSIZE if w failed, -EPIPE
 * if the other side is gone. */
int message_send(int fd, const struct message_writer *w, const int *fds, size_t count);

/* Receives one message into buf and starts r on it. Takes up to two descriptors with `want_fds`; without it
 * the kernel closes any that come. On a blocking descriptor it waits without a limit.
 * Returns 0 or a negative errno: -EPIPE if the other side is gone (or the message is empty, which looks
 * the same), -EMSGSIZE if the message is too long. */
int message_receive(int fd, struct message_reader *r, uint8_t *buf, size_t size, bool want_fds);

#endif
