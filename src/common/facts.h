/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate reports to the monitor: the facts of a handshake, and how the connection ended. */
#ifndef POSTERN_FACTS_H
#define POSTERN_FACTS_H

#include "common/message.h"

#include <stdbool.h>
#include <stdint.h>

/* Which part of a client certificate names its user (--client-name). */
enum client_name { CLIENT_NAME_CN, CLIENT_NAME_EMAIL, CLIENT_NAME_SAN };

/* Whether there is a client certificate. A bad one ends the handshake, so it has no value here. */
enum client_verify { CLIENT_NOT_ASKED, CLIENT_NONE, CLIENT_VERIFIED };

/* What a verified client certificate says, as UTF-8 without control characters. A field is "" if the
 * certificate lacks it or if it is too long: a name that was cut could pass for another. */
struct client_facts {
    enum client_verify verify;
    char subject[1024]; /* RFC 4514 */
    char common_name[256];
    char issuer[1024];
    char serial[64];      /* hexadecimal */
    char fingerprint[65]; /* SHA-256, hexadecimal */
    char user[256];       /* the user's name, from the part that --client-name chooses */
};

/* The facts of a handshake. A string is "" if there is no such fact. */
struct facts {
    char version[16]; /* "TLSv1.3" */
    char cipher[64];  /* IANA's name */
    char group[24];   /* "x25519" */
    char name[256];   /* the server name that the client asked for */
    char alpn[32];    /* the protocol agreed on by ALPN */
    bool resumed;
    bool has_exporter;
    uint8_t exporter[32]; /* RFC 9266 */
    struct client_facts client;
};

/* Size of a buffer for the message that carries struct facts, in bytes. */
#define FACTS_MESSAGE_MAX 3584

/* Writes the facts as part of a message. */
void facts_put(struct message_writer *w, const struct facts *f);

/* Reads them again. A field that is missing, too long or not clean text sets r->failed. */
void facts_get(struct message_reader *r, struct facts *f);

#define FACTS_USER_MAX 254

/* True if the text may be a user's name: 1 to FACTS_USER_MAX bytes, letters, digits and . - _ @ + of ASCII.
 * The first one is neither a dot nor a hyphen. */
bool facts_is_user(const char *text);

/* How a connection ended. */
enum ending {
    ENDING_LEFT,      /* the client left before TLS */
    ENDING_HANDSHAKE, /* the handshake failed */
    ENDING_TIMEOUT_LOBBY,
    ENDING_TIMEOUT_HANDSHAKE,
    ENDING_PROTOCOL,      /* the client broke the plaintext protocol */
    ENDING_CONFIGURATION, /* certificate, key or option */
    ENDING_SYSTEM,        /* the system refused something */
    ENDING_NO_HANDLER,    /* the handler could not be started */
    ENDING_CLIENT_CLOSE,  /* the client closed first, with close_notify */
    ENDING_HANDLER_CLOSE, /* the handler closed first */
    ENDING_TRUNCATED,     /* the client's end came without close_notify */
    ENDING_RESET,         /* the client's connection broke */
    ENDING_TLS_ERROR,     /* a broken record inside the session */
    ENDING_TIMEOUT_IDLE,
    ENDING_TIMEOUT_SESSION,
    ENDING_SIGTERM,  /* postern was told to end */
    ENDING_GATE_DIED /* the gate crashed or broke a rule */
};

#define ENDING_COUNT (ENDING_GATE_DIED + 1)

/* Returns the word for the log, such as "client-close". */
const char *ending_name(enum ending ending);

/* Returns the exit status (sysexits(3)) for a connection that ended before a handler ran. */
int ending_status(enum ending ending);

#endif
