/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of several certificates a client gets. Pure. */
#ifndef POSTERN_CHOOSE_H
#define POSTERN_CHOOSE_H

#include "vault/chain.h"
#include "common/wish.h"

#include <stdbool.h>
#include <stddef.h>

/* A certificate of --cert that may be given to a client. */
struct candidate {
    enum key_kind kind;
    bool for_name; /* it may be shown to whoever asks for this name */
};

/* The best cipher suites that the client has for a kind of key. */
enum fit choose_fit(const struct wish *w, enum key_kind kind);

/* Chooses one with which the client has AEAD suites before others, and the quicker kinds of key before
 * RSA. `old_versions`: TLS 1.0 and 1.1 are allowed, whose clients can't say what they can check, so one
 * is given to them in any case. CHAIN_GIVEN: *number says which; else why there is none. */
enum chain_verdict choose_certificate(const struct candidate *c, size_t count, const struct wish *w,
                                      bool old_versions, size_t *number);

/* Why it was not the other certificate of two. */
enum other { OTHER_NONE, OTHER_UNFIT, OTHER_LEGACY, OTHER_FITS, OTHER_SLOWER, OTHER_NAMES };

enum other choose_explain(const struct candidate *chosen, const struct candidate *other,
                          const struct wish *w);

#endif
