/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys, client CAs, account and jail, which are the same for every connection. inetd mode prepares them for its
 * one connection, wait mode once for all monitors. */
#ifndef POSTERN_PROVISION_H
#define POSTERN_PROVISION_H

#include "start/jail.h"
#include "start/options.h"
#include "vault/client_ca.h"
#include "vault/vault.h"

#include <stdbool.h>

struct provision {
    struct vault vault;
    bool have_tls;          /* the vault has usable certificates and keys */
    struct trust trust;     /* for client certificates */
    struct account account; /* of --handler-user */
    struct jail jail;
};

/* Prepares account and jail. Logs a warning if TLS 1.0 or 1.1 is allowed. Returns 0, or logs one line and
 * returns the exit status. */
int provision_prepare(struct provision *p, const struct options *o);

/* Reads certificates, keys, ticket keys and client CAs. Decodes no key. Ticket keys that cannot be read are
 * logged, but are no failure: sessions are not resumed then. Returns 0; the caller wipes *v and frees *t. Or
 * logs one line and returns a negative errno; then there is nothing to wipe. */
int provision_read(struct vault *v, struct trust *t, const struct options *o);

#endif
