/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The session side of session tickets: what the TLS library wants to have sealed and opened goes to
 * whoever has the keys. There is no session cache, and no early data. */
#ifndef POSTERN_RESUMPTION_H
#define POSTERN_RESUMPTION_H

#include "common/ticket.h"

/* Have a session's state sealed, and a ticket opened, for this version of TLS (0x0304: 1.3). A ticket that
 * may not be used gives a state of no bytes. Return 0, or a negative errno: then nothing more is asked. */
typedef int resumption_sealer(void *who, unsigned version, const struct ticket_state *state,
                              struct ticket *ticket);
typedef int resumption_opener(void *who, unsigned version, const struct ticket *ticket,
                              struct ticket_state *state);

struct resumption {
    resumption_sealer *seal; /* NULL: no tickets */
    resumption_opener *open;
    void *who;
    const struct ticket_names *names; /* only tickets with one of these are asked about */
    unsigned lifetime;                /* of a ticket, in seconds */
    unsigned opens;                   /* how many more may be opened; resumption_allow() sets it */
    uint8_t refused[TICKET_TAG_SIZE]; /* the tag of the last one that was not opened */
    int error;                        /* why nothing more can be asked, as a negative errno */
};

struct WOLFSSL_CTX;

/* Switches tickets on for a context; r must live as long as it. */
void resumption_allow(struct WOLFSSL_CTX *context, struct resumption *r);

/* Switches them off: a ticket that a client comes with is not even looked at. */
void resumption_forbid(struct WOLFSSL_CTX *context);

#endif
