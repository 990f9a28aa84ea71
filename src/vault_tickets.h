/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vault's second trade: session tickets, sealed and opened for the gate. Layer 4. */
#ifndef POSTERN_VAULT_TICKETS_H
#define POSTERN_VAULT_TICKETS_H

#include "vault.h"

/* Answer the gate, whose message r has already been received and whose every byte is suspect. A
 * ticket that can't be opened is no fault of its.
 * Return 0; -EPIPE: the gate has left; or log one line and return a negative errno (-EBADMSG: the gate
 * has broken a rule): then the connection has to end. */
int vault_give_seal(struct vault *v, const struct options *o, struct message_reader *r, int gate);
int vault_give_open(struct vault *v, const struct options *o, struct message_reader *r, int gate);

/* The gate's side: has at most TICKETS_PLAIN_MAX bytes sealed into at most TICKETS_SEALED_MAX, for this
 * version of TLS. Returns as vault_ask() does. */
int vault_ask_seal(int vault, unsigned version, const uint8_t *plain, size_t len, uint8_t *sealed,
                   size_t *sealed_len);

/* The gate's side: has a ticket opened into at most TICKETS_PLAIN_MAX bytes. `old`: it should be
 * replaced. Returns as vault_ask() does, or -ENOKEY: not to be used. */
int vault_ask_open(int vault, unsigned version, const uint8_t *sealed, size_t sealed_len,
                   uint8_t *plain, size_t *len, bool *old);

#endif
