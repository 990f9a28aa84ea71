/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses the certificate for a client. Pure functions. */
#ifndef POSTERN_CHOOSE_H
#define POSTERN_CHOOSE_H

#include "vault/chain.h"
#include "common/wish.h"

#include <stdbool.h>
#include <stddef.h>

/* A certificate of --cert, to choose from. */
struct candidate {
    enum key_kind kind;
    bool for_name; /* it may be used for the server name that the client asked for */
};

/* Returns the best cipher suites that the client has for a kind of key. */
enum fit choose_fit(const struct wish *w, enum key_kind kind);

/* Chooses a certificate. Prefers one with which the client can use AEAD suites, then one whose key is faster
 * than RSA. old_versions: TLS 1.0 and 1.1 are allowed. Their clients do not say which signatures they can
 * check, so a certificate is chosen even if none seems to fit. Returns CHAIN_GIVEN and the index in *number,
 * or why there is none. */
enum chain_verdict choose_certificate(const struct candidate *c, size_t count, const struct wish *w,
                                      bool old_versions, size_t *number);

/* Why the other of two certificates was not chosen. OTHER_UNFIT: the client cannot use it. OTHER_LEGACY: the
 * client could use only old cipher suites with it. OTHER_FITS: it would do as well. OTHER_SLOWER: it is RSA.
 * OTHER_NAMES: --sni=strict, and it is not for this name. */
enum other { OTHER_NONE, OTHER_UNFIT, OTHER_LEGACY, OTHER_FITS, OTHER_SLOWER, OTHER_NAMES };

/* Returns why `other` was not chosen. */
enum other choose_explain(const struct candidate *chosen, const struct candidate *other,
                          const struct wish *w);

#endif
