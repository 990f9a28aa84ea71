/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Session tickets: passes the TLS library's requests to seal and open them to the owner of the keys. There
 * is no session cache, and no early data. */
#ifndef POSTERN_RESUMPTION_H
#define POSTERN_RESUMPTION_H

#include "common/ticket.h"

/* Seals a session's state into a ticket, or opens a ticket, for a version of TLS (0x0304: 1.3). A ticket
 * that must not be used gives a state of 0 bytes. Returns 0 or a negative errno; after an error it is not
 * called again. */
typedef int resumption_sealer(void *who, unsigned version, const struct ticket_state *state,
                              struct ticket *ticket);
typedef int resumption_opener(void *who, unsigned version, const struct ticket *ticket,
                              struct ticket_state *state);

struct resumption {
    resumption_sealer *seal; /* NULL: no tickets */
    resumption_opener *open;
    void *who;
    const struct ticket_names *names; /* only tickets with one of these names are opened */
    unsigned lifetime;                /* of a ticket, in seconds */
    unsigned opens;                   /* how many more may be opened; resumption_allow() sets it */
    uint8_t refused[TICKET_TAG_SIZE]; /* the tag of the last ticket that could not be opened */
    int error; /* of seal or open, a negative errno: they are not called again; 0: none */
};

struct WOLFSSL_CTX;

/* Switches tickets on for a context; *r must live as long as the context. */
void resumption_allow(struct WOLFSSL_CTX *context, struct resumption *r);

/* Switches tickets off: the library ignores a client's ticket. */
void resumption_forbid(struct WOLFSSL_CTX *context);

#endif
