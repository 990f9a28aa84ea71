/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DER (X.690), element by element, as far as certificates need it. Pure. */
#ifndef POSTERN_DER_H
#define POSTERN_DER_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of somebody else's. */
struct der {
    const uint8_t *at;
    size_t len;
};

enum {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTETS = 0x04,
    DER_OID = 0x06,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT_0 = 0xa0, /* constructed; the next ones are 1, 2, ... */
};

/* Takes the next element off *from: gives its tag and in *value what it holds. Returns -EBADMSG when
 * there is none, or it is none that DER allows (long tags, lengths that are indefinite or written longer
 * than needed) or reaches beyond *from. */
int der_next(struct der *from, struct der *value);

/* The same for an element that has to have this tag. Returns 0 or -EBADMSG. */
int der_take(struct der *from, int tag, struct der *value);

/* The tag of the next element without taking it; -EBADMSG if there is none. */
int der_peek(const struct der *from);

#endif
