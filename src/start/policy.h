/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client may do in plaintext: pure judgement. */
#ifndef POSTERN_POLICY_H
#define POSTERN_POLICY_H

#include "start/activation.h"
#include "start/options.h"

#include <stdbool.h>
#include <stddef.h>

/* Proves what options.c can't: the lists of networks. Returns 0, or logs one line and returns
 * -EINVAL. */
int policy_check(const struct options *o);

/* True if whoever has connected may say, in a PROXY header, for whom. */
bool policy_trusts_proxy(const struct options *o, const struct connection *c);

/* The policy that holds for this client: a trusted one is treated as secure already. With
 * --proxy-protocol nobody is trusted but for the address that a PROXY header gave. */
enum policy policy_for(const struct options *o, const struct connection *c);

/* The protocols that a client may ask for by ALPN, with commas between; NULL: whatever it asks for is
 * ignored. By default the dialect's own names, without a dialect those of the port, and of every mail
 * protocol on a port that says nothing. SMTP and LMTP have none registered: their plain names are
 * taken, and what else is asked for was meant for somebody else. */
const char *policy_alpn(const struct options *o, const struct peer *server);

/* True if a handler runs, and answers, before TLS. */
bool policy_has_handler(enum policy policy);

/* True if a reusable password may cross the network in plaintext. */
bool policy_allows_passwords(enum policy policy);

/* True for SASL mechanisms by which no reusable password crosses the network: SCRAM and other
 * challenge-response ones. What is not known to be one of them is taken for a password. */
bool policy_is_challenge(const char *mechanism, size_t len);

#endif
