/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Session tickets (RFC 5077, RFC 8446 section 4.6.1): how they are sealed and opened. Only the monitor
 * has the keys. Layer 2. */
#ifndef POSTERN_TICKETS_H
#define POSTERN_TICKETS_H

#include "options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define TICKETS_KEYS_MAX 8 /* in one file */
#define TICKETS_FILE_MAX 3584
#define TICKETS_KEY_SIZE 32

/* A sealed ticket: its key's name, nonce, tag, then the encrypted bytes: when it was sealed, and what
 * was to be sealed. */
#define TICKETS_NAME_SIZE 16
#define TICKETS_NONCE_SIZE 12
#define TICKETS_TAG_SIZE 16
#define TICKETS_HEAD_SIZE (TICKETS_NAME_SIZE + TICKETS_NONCE_SIZE + TICKETS_TAG_SIZE)
#define TICKETS_TIME_SIZE 8
#define TICKETS_PLAIN_MAX 2048
#define TICKETS_SEALED_MAX (TICKETS_HEAD_SIZE + TICKETS_TIME_SIZE + TICKETS_PLAIN_MAX)

/* What one handshake may ask for: a client may offer several tickets, and a TLS 1.3 client that has
 * to say hello twice offers them twice. */
#define TICKETS_SEALS 1
#define TICKETS_OPENS 2

#define TICKETS_CONTEXT_SIZE 32

struct ticket_key {
    uint8_t name[TICKETS_NAME_SIZE]; /* made of the key, says nothing about it */
    uint8_t key[TICKETS_KEY_SIZE];
    time_t made;
};

/* To be kept in memory that is fit for secrets, and wiped by whoever owns it. */
struct tickets {
    size_t count;
    struct ticket_key keys[TICKETS_KEYS_MAX]; /* the first one seals, all open */
    uint8_t text[TICKETS_FILE_MAX];           /* of the file, while it is read */
};

/* The names of the keys, which tickets carry for all to see. */
struct ticket_names {
    size_t count;
    uint8_t names[TICKETS_KEYS_MAX][TICKETS_NAME_SIZE];
};

/* True if a ticket of which these are the first TICKETS_NAME_SIZE bytes can be opened by one of the
 * keys. */
bool tickets_know(const struct ticket_names *names, const uint8_t *ticket);

/* True if the TLS library can do session tickets. */
bool tickets_available(void);

/* True if these options ask for tickets, and nothing else in them forbids any. */
bool tickets_wanted(const struct options *o);

/* Makes a key's name of the key. Returns 0 or -EIO. */
int tickets_name_key(struct ticket_key *k);

/* Random bytes of the kernel's. Returns 0 or a negative errno. */
int tickets_random(uint8_t *bytes, size_t len);

/* What a ticket is good for: this version of TLS (0x0304: TLS 1.3), server name, way to start, cipher
 * list and setting for client certificates, as a digest. Returns 0 or -EIO. */
int tickets_context(uint8_t context[TICKETS_CONTEXT_SIZE], const struct options *o,
                    unsigned version, const char *name);

/* Seals at most TICKETS_PLAIN_MAX bytes with AES-256-GCM into at most TICKETS_SEALED_MAX.
 * Returns 0 or a negative errno. */
int tickets_seal(const struct tickets *t, const uint8_t context[TICKETS_CONTEXT_SIZE], time_t now,
                 const uint8_t *plain, size_t len, uint8_t *sealed, size_t *sealed_len);

/* Opens a ticket that was sealed for this context at most `lifetime` seconds ago, into `plain` (room
 * for TICKETS_PLAIN_MAX). `old` says that another key than the first one was needed.
 * Returns 0, -ENOKEY (no such key here), -EKEYEXPIRED, -EBADMSG (forged, damaged, or for something
 * else) or another negative errno. */
int tickets_open(const struct tickets *t, const uint8_t context[TICKETS_CONTEXT_SIZE], time_t now,
                 unsigned lifetime, const uint8_t *sealed, size_t sealed_len, uint8_t *plain,
                 size_t *len, bool *old);

#endif
