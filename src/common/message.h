/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The messages between gate and monitor: one datagram each over a socketpair that keeps their
 * bounds. Both sides read them with the same bounded reader. */
#ifndef POSTERN_MESSAGE_H
#define POSTERN_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Named by who sends it and what comes of it: REQ_ the gate asks, ANS_ the monitor's answer to that, REPORT_ the
 * gate says something that has no answer, EVENT_ the monitor says something unasked. */
enum message_type {
    REQ_CHAIN = 1,         /* what the ClientHello asks for -> ANS_CHAIN */
    REQ_SIGN,              /* scheme, bytes -> ANS_SIGNATURE */
    REQ_SEAL,              /* TLS version, what a session is resumed from -> ANS_SEALED */
    REQ_OPEN,              /* TLS version, a ticket -> ANS_OPENED */
    REQ_SESSION,           /* the handshake's facts -> ANS_HANDLER; UCSPI-TLS: no answer */
    REQ_PLAINTEXT_HANDLER, /* start a handler before TLS -> ANS_HANDLER */
    REQ_STOP_HANDLER,      /* stop that handler -> ANS_HANDLER_STOPPED */
    REPORT_LEFT_LOBBY,     /* the session goes on in plaintext: no TLS will come */
    REPORT_NOTE,           /* a line for the log, and how grave it is */
    REPORT_END,            /* how the connection ended; the last message */
    REPORT_PROXY,          /* the PROXY header has been read: the addresses in it */
    REPORT_STEP,           /* with -v: how long a step took, and a line that explains it */
    EVENT_GO,              /* the first one: whether there is TLS, and the names of ticket keys */
    ANS_CHAIN,             /* verdict, certificate chain in DER (leaf first), OCSP response */
    ANS_SIGNATURE,         /* the signature */
    ANS_SEALED,            /* the ticket */
    ANS_OPENED,            /* what was sealed, and whether with an old key; empty: not to be used */
    ANS_HANDLER,           /* carries the handler's descriptors; none: it could not be started */
    ANS_HANDLER_STOPPED,   /* the handler of the plaintext phase is being stopped */
    EVENT_HANDLER_EXITED,  /* the handler has exited by itself */
    EVENT_DRAIN,           /* deliver what is in flight, then end */
};

/* The most bytes that one message carries. */
#define MESSAGE_MAX 65536

/* The name of a type for the log; "unknown" for what is none. */
const char *message_name(unsigned type);

/* How grave a line for the log is. */
enum gravity {
    GRAVITY_DETAIL,
    GRAVITY_NOTE,
    GRAVITY_ERROR,
    GRAVITY_CLIENT, /* an error that is the client's */
    GRAVITY_NOISE,  /* a client that has not even tried */
};
#define GRAVITY_MAX GRAVITY_NOISE

/* The longest time that REPORT_STEP tells, in microseconds: ten years. */
#define TRACE_TIME_MAX 315360000000000

/* What a key can be asked to sign: a hash, or for Ed25519 the message itself. */
enum sign_as {
    SIGN_ECDSA = 1,
    SIGN_RSA_PKCS1, /* a DigestInfo, RFC 8017 section 9.2 */
    SIGN_RSA_PSS_SHA256,
    SIGN_RSA_PSS_SHA384,
    SIGN_RSA_PSS_SHA512,
    SIGN_ED25519
};

/* Builds one message in a buffer of the caller's. What doesn't fit sets `failed`. */
struct message_writer {
    uint8_t *buf;
    size_t size;
    size_t len;
    bool failed;
};

void message_begin(struct message_writer *w, uint8_t *buf, size_t size, enum message_type type);
void message_put_number(struct message_writer *w, uint64_t value);
void message_put_bytes(struct message_writer *w, const void *data, size_t len);
void message_put_text(struct message_writer *w, const char *text);

/* Reads one message, which stays in the caller's buffer. Whatever is missing or too long sets
 * `failed` and gives 0 or an empty field from then on. */
struct message_reader {
    unsigned type;
    const uint8_t *next;
    size_t left;
    bool failed;
    int fds[2]; /* descriptors that came along, -1 where none did; the receiver owns them */
};

void message_parse(struct message_reader *r, const uint8_t *buf, size_t len);
uint64_t message_get_number(struct message_reader *r, uint64_t max);
/* Gives a pointer into the message and its length, at most max. */
const uint8_t *message_get_bytes(struct message_reader *r, size_t max, size_t *len);
/* Copies a field that is to be a C string; a NUL inside or size bytes or more is a failure. */
void message_get_text(struct message_reader *r, char *text, size_t size);
/* True if all went well and nothing is left over. */
bool message_complete(const struct message_reader *r);

/* Sends what w holds, with up to two descriptors. Returns 0 or a negative errno
 * (-EMSGSIZE: w failed; -EPIPE: the other side is gone). */
int message_send(int fd, const struct message_writer *w, const int *fds, size_t count);

/* Receives one message into buf and starts r on it. `want_fds`: descriptors are welcome; otherwise
 * the kernel drops any that come. Waits for as long as it takes on a blocking descriptor.
 * Returns 0, -EPIPE when the other side is gone (or sends an empty one, which looks the same),
 * -EMSGSIZE for one that is too long, or another negative errno. */
int message_receive(int fd, struct message_reader *r, uint8_t *buf, size_t size, bool want_fds);

#endif
