/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Session tickets, as gate and monitor exchange them. */
#ifndef POSTERN_TICKET_H
#define POSTERN_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The parts of a ticket, in bytes: its key's name, nonce and tag, then encrypted the time of sealing and the
 * session's state. */
#define TICKET_NAME_SIZE 16
#define TICKET_NONCE_SIZE 12
#define TICKET_TAG_SIZE 16
#define TICKET_HEAD_SIZE (TICKET_NAME_SIZE + TICKET_NONCE_SIZE + TICKET_TAG_SIZE)
#define TICKET_TIME_SIZE 8
#define TICKET_STATE_MAX 2048
#define TICKET_MAX (TICKET_HEAD_SIZE + TICKET_TIME_SIZE + TICKET_STATE_MAX)

#define TICKET_KEYS_MAX 8 /* keys in one file */

/* How many tickets one handshake may have sealed and opened. A client may offer several tickets, and a TLS 1.3
 * client that sends a second ClientHello offers them again. */
#define TICKET_SEALS 1
#define TICKET_OPENS 2

/* A sealed ticket. */
struct ticket {
    uint8_t bytes[TICKET_MAX];
    size_t len;
};

/* The state that a session is resumed from. It is secret: every owner must wipe it. */
struct ticket_state {
    uint8_t bytes[TICKET_STATE_MAX];
    size_t len; /* 0: no valid ticket */
    bool old;   /* sealed with another key than the first */
};

/* The names of the ticket keys. They are public: each ticket begins with one. */
struct ticket_names {
    size_t count;
    uint8_t names[TICKET_KEYS_MAX][TICKET_NAME_SIZE];
};

/* True if the first TICKET_NAME_SIZE bytes of a ticket are the name of one of the keys. */
bool ticket_names_have(const struct ticket_names *n, const uint8_t *ticket);

#endif
