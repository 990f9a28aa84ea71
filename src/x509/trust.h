/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client CAs and revocation lists (--client-ca, --crl). Pure. */
#ifndef POSTERN_TRUST_H
#define POSTERN_TRUST_H

#include "x509/der.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Certificates and lists in DER, one behind the other. They are no secrets, so the gate has them, too. */
struct trust {
    uint8_t *authorities;
    size_t authorities_len;
    uint8_t *lists;
    size_t lists_len;
};

/* Return all certificates, and all lists. The bytes belong to *t. */
struct der trust_authorities(const struct trust *t);
struct der trust_lists(const struct trust *t);

/* Takes the next certificate or list off *rest. Returns false at the end. */
bool trust_next(struct der *rest, struct der *one);

/* Frees certificates and lists. */
void trust_free(struct trust *t);

#endif
