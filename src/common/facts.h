/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate reports of a connection: the facts of its handshake and how it ended. */
#ifndef POSTERN_FACTS_H
#define POSTERN_FACTS_H

#include "common/message.h"

#include <stdbool.h>
#include <stdint.h>

/* Which part of a client certificate names its user (--client-name). */
enum client_name { CLIENT_NAME_CN, CLIENT_NAME_EMAIL, CLIENT_NAME_SAN };

/* What came of asking for a client certificate. One that does not hold ends the handshake. */
enum client_verify { CLIENT_NOT_ASKED, CLIENT_NONE, CLIENT_VERIFIED };

/* What a verified client certificate says, as clean UTF-8; "" for what it does not say or what is too
 * long: nothing is cut, so that no name can be taken for another. */
struct client_facts {
    enum client_verify verify;
    char subject[1024]; /* RFC 4514 */
    char common_name[256];
    char issuer[1024];
    char serial[64];      /* hexadecimal */
    char fingerprint[65]; /* SHA-256, hexadecimal */
    char user[256];       /* who that is, by --client-name */
};

/* Strings are "" for what is not there. */
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

/* Room for the message that carries them. */
#define FACTS_MESSAGE_MAX 3584

void facts_put(struct message_writer *w, const struct facts *f);

/* A field that is missing, too long or not text makes the reader fail. */
void facts_get(struct message_reader *r, struct facts *f);

/* True for what may be a user's name: letters, digits and . - _ @ + of ASCII, not beginning with a dot or
 * a hyphen, at most FACTS_USER_MAX bytes. */
#define FACTS_USER_MAX 254
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

/* The word for the log, such as "client-close". */
const char *ending_name(enum ending ending);

/* The exit status (sysexits(3)) for an ending before which no handler ran. */
int ending_status(enum ending ending);

#endif
