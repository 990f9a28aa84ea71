/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Seals and opens session tickets (RFC 5077, RFC 8446 section 4.6.1). Only the monitor has the keys. */
#ifndef POSTERN_TICKETS_H
#define POSTERN_TICKETS_H

#include "start/options.h"
#include "common/ticket.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define TICKETS_FILE_MAX 3584   /* bytes of a file of keys */
#define TICKETS_KEY_SIZE 32     /* of AES-256 */
#define TICKETS_CONTEXT_SIZE 32 /* of SHA-256 */

struct ticket_key {
    uint8_t name[TICKET_NAME_SIZE]; /* a digest of the key */
    uint8_t key[TICKETS_KEY_SIZE];
    time_t made; /* the date in the file */
};

/* All ticket keys. The owner keeps this in memory for secrets, and wipes it. */
struct tickets {
    size_t count;
    struct ticket_key keys[TICKET_KEYS_MAX]; /* the first one seals, all open */
    uint8_t text[TICKETS_FILE_MAX];          /* the text of the file, while it is read */
};

/* True if the TLS library was built with session tickets. */
bool tickets_available(void);

/* True if --tickets is given, and clients are not asked for certificates. */
bool tickets_wanted(const struct options *o);

/* Sets a key's name from the key. Returns 0, or -EIO if the library fails. */
int tickets_name_key(struct ticket_key *k);

/* Computes the context that a ticket is bound to: a digest of TLS version (0x0304: 1.3), server name, way to
 * start, cipher list and setting for client certificates. Returns 0, or -EIO if the library fails. */
int tickets_context(uint8_t context[TICKETS_CONTEXT_SIZE], const struct options *o,
                    unsigned version, const char *name);

/* Seals a session's state with AES-256-GCM. Returns 0; -EINVAL if there is no key, or the state is too long; or
 * another negative errno. Logs nothing. */
int tickets_seal(const struct tickets *t, const uint8_t context[TICKETS_CONTEXT_SIZE], time_t now,
                 const struct ticket_state *state, struct ticket *ticket);

/* What tickets_open() found. */
enum ticket_verdict {
    TICKET_GOOD,
    TICKET_UNKNOWN_KEY, /* sealed with a key that is not in *t */
    TICKET_EXPIRED,     /* older than its lifetime, or from the future */
    TICKET_DAMAGED,     /* forged, damaged, or sealed for another context */
    TICKET_FAILED       /* the TLS library failed */
};

/* Opens a ticket that was sealed for this context at most `lifetime` seconds before `now`. Fills in *state for
 * TICKET_GOOD only. Logs nothing. */
enum ticket_verdict tickets_open(const struct tickets *t,
                                 const uint8_t context[TICKETS_CONTEXT_SIZE], time_t now,
                                 unsigned lifetime, const struct ticket *ticket,
                                 struct ticket_state *state);

#endif
