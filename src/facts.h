/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate reports of a connection: the facts of its handshake and how it ended. Layer 1. */
#ifndef POSTERN_FACTS_H
#define POSTERN_FACTS_H

#include "message.h"

#include <stdbool.h>
#include <stdint.h>

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
};

void facts_put(struct message_writer *w, const struct facts *f);

/* A field that is missing, too long or not text makes the reader fail. */
void facts_get(struct message_reader *r, struct facts *f);

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
