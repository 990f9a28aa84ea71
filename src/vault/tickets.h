/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Session tickets (RFC 5077, RFC 8446 section 4.6.1): how they are sealed and opened. Only the monitor
 * has the keys. */
#ifndef POSTERN_TICKETS_H
#define POSTERN_TICKETS_H

#include "start/options.h"
#include "common/ticket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define TICKETS_FILE_MAX 3584
#define TICKETS_KEY_SIZE 32
#define TICKETS_CONTEXT_SIZE 32

struct ticket_key {
    uint8_t name[TICKET_NAME_SIZE]; /* made of the key, says nothing about it */
    uint8_t key[TICKETS_KEY_SIZE];
    time_t made;
};

/* To be kept in memory that is fit for secrets, and wiped by whoever owns it. */
struct tickets {
    size_t count;
    struct ticket_key keys[TICKET_KEYS_MAX]; /* the first one seals, all open */
    uint8_t text[TICKETS_FILE_MAX];          /* of the file, while it is read */
};

/* True if the TLS library can do session tickets. */
bool tickets_available(void);

/* True if these options ask for tickets, and nothing else in them forbids any. */
bool tickets_wanted(const struct options *o);

/* Makes a key's name of the key. Returns 0 or -EIO. */
int tickets_name_key(struct ticket_key *k);

/* What a ticket is good for: this version of TLS (0x0304: TLS 1.3), server name, way to start, cipher
 * list and setting for client certificates, as a digest. Returns 0 or -EIO. */
int tickets_context(uint8_t context[TICKETS_CONTEXT_SIZE], const struct options *o,
                    unsigned version, const char *name);

/* Seals a session's state with AES-256-GCM. Returns 0, -EINVAL if there is no key or too much to seal, or
 * another negative errno. */
int tickets_seal(const struct tickets *t, const uint8_t context[TICKETS_CONTEXT_SIZE], time_t now,
                 const struct ticket_state *state, struct ticket *ticket);

/* What tickets_open() found. */
enum ticket_verdict {
    TICKET_GOOD,
    TICKET_UNKNOWN_KEY, /* no such key here */
    TICKET_EXPIRED,     /* older than its lifetime, or from the future */
    TICKET_DAMAGED,     /* forged, damaged, or sealed for something else */
    TICKET_FAILED       /* the TLS library failed */
};

/* Opens a ticket that was sealed for this context at most `lifetime` seconds before `now`; *state is
 * filled in for TICKET_GOOD only. */
enum ticket_verdict tickets_open(const struct tickets *t,
                                 const uint8_t context[TICKETS_CONTEXT_SIZE], time_t now,
                                 unsigned lifetime, const struct ticket *ticket,
                                 struct ticket_state *state);

#endif
