/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client CAs and revocation lists that clients are judged by. Pure. */
#ifndef POSTERN_TRUST_H
#define POSTERN_TRUST_H

#include "x509/der.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Certificates and lists in DER, one behind the other. Public, so the gate may have a copy. */
struct trust {
    uint8_t *authorities;
    size_t authorities_len;
    uint8_t *lists;
    size_t lists_len;
};

struct der trust_authorities(const struct trust *t);
struct der trust_lists(const struct trust *t);

/* Takes the next certificate or list off *rest, which begins as all of them. False at the end. */
bool trust_next(struct der *rest, struct der *one);

void trust_free(struct trust *t);

#endif
