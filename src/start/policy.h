/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decides what a client may do in plaintext. Pure. */
#ifndef POSTERN_POLICY_H
#define POSTERN_POLICY_H

#include "start/activation.h"
#include "start/options.h"

#include <stdbool.h>
#include <stddef.h>

/* Checks the lists of networks in the options. Returns 0, or logs one line and returns -EINVAL. */
int policy_check(const struct options *o);

/* True if this peer is a trusted proxy: its PROXY header may name the client. */
bool policy_trusts_proxy(const struct options *o, const struct connection *c);

/* Returns the policy for this client. A client in --trusted may do all in plaintext (POLICY_OPTIONAL). With
 * --proxy-protocol only an address from a PROXY header can be trusted. */
enum policy policy_for(const struct options *o, const struct connection *c);

/* Returns the protocols that a client may ask for by ALPN, with commas between; NULL: ALPN is ignored. Without
 * --alpn these are the names of the dialect; without a dialect those of the server's port; on other
 * ports those of every mail protocol. SMTP and LMTP have no registered names, so their plain names are
 * used. */
const char *policy_alpn(const struct options *o, const struct peer *server);

/* True if under this policy a handler runs before TLS and answers the client. */
bool policy_has_handler(enum policy policy);

/* True if under this policy a reusable password may cross the network in plaintext. */
bool policy_allows_passwords(enum policy policy);

/* True for SASL mechanisms that send no reusable password: SCRAM and other challenge-response ones. False for an
 * unknown mechanism, which might send one. */
bool policy_is_challenge(const char *mechanism, size_t len);

#endif
