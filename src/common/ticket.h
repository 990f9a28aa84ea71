/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A session ticket as gate and monitor hand it to each other. */
#ifndef POSTERN_TICKET_H
#define POSTERN_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A ticket: its key's name, nonce, tag, then the encrypted bytes: when it was sealed, and the session's
 * state. */
#define TICKET_NAME_SIZE 16
#define TICKET_NONCE_SIZE 12
#define TICKET_TAG_SIZE 16
#define TICKET_HEAD_SIZE (TICKET_NAME_SIZE + TICKET_NONCE_SIZE + TICKET_TAG_SIZE)
#define TICKET_TIME_SIZE 8
#define TICKET_STATE_MAX 2048
#define TICKET_MAX (TICKET_HEAD_SIZE + TICKET_TIME_SIZE + TICKET_STATE_MAX)

#define TICKET_KEYS_MAX 8 /* in one file */

/* What one handshake may ask for: a client may offer several tickets, and a TLS 1.3 client that has
 * to say hello twice offers them twice. */
#define TICKET_SEALS 1
#define TICKET_OPENS 2

/* A sealed ticket. */
struct ticket {
    uint8_t bytes[TICKET_MAX];
    size_t len;
};

/* What a session is resumed from: a secret, to be wiped by whoever has it. */
struct ticket_state {
    uint8_t bytes[TICKET_STATE_MAX];
    size_t len; /* 0: there was no ticket that may be used */
    bool old;   /* it was sealed with another key than the first */
};

/* The names of the keys, which tickets carry for all to see. */
struct ticket_names {
    size_t count;
    uint8_t names[TICKET_KEYS_MAX][TICKET_NAME_SIZE];
};

/* True if a ticket that begins with these TICKET_NAME_SIZE bytes was sealed with one of the keys. */
bool ticket_names_have(const struct ticket_names *n, const uint8_t *ticket);

#endif
