/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is the same for every connection: keys, client CAs, accounts, the jail. inetd mode makes it for one
 * connection, wait mode once for all monitors. */
#ifndef POSTERN_PROVISION_H
#define POSTERN_PROVISION_H

#include "start/jail.h"
#include "start/options.h"
#include "vault/client_ca.h"
#include "vault/vault.h"

#include <stdbool.h>

struct provision {
    struct vault vault;
    bool have_tls;          /* the vault can be used */
    struct trust trust;     /* for client certificates */
    struct account account; /* of --handler-user */
    struct jail jail;
};

/* Makes account and jail, and logs what is allowed though it should not be. Returns 0, or logs one line and
 * returns the exit status. */
int provision_prepare(struct provision *p, const struct options *o);

/* Reads certificates, keys, ticket keys and client CAs; no key is decoded. Without ticket keys sessions
 * can't be resumed, which is no reason to fail. Returns 0, or logs one line and returns a negative errno:
 * then nothing is left to wipe. */
int provision_read(struct vault *v, struct trust *t, const struct options *o);

#endif
