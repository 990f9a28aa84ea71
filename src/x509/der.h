/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads DER (X.690) one element at a time, as far as certificates need it. Pure. */
#ifndef POSTERN_DER_H
#define POSTERN_DER_H

#include <stddef.h>
#include <stdint.h>

/* A pointer and a length: bytes that another owns. */
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
    DER_CONTEXT_0_PRIMITIVE = 0x80,
    DER_CONTEXT_0 = 0xa0, /* [0], constructed; [1] is DER_CONTEXT_0 + 1 and so on */
};

/* Takes the next element off *from. Returns its tag and in *value its content. Returns -EBADMSG if there is none,
 * if it reaches beyond *from, or if it is not DER: a long tag, a length that is indefinite or has more
 * bytes than needed. */
int der_next(struct der *from, struct der *value);

/* Takes the next element if it has this tag. Returns 0, or -EBADMSG and leaves *from undefined. */
int der_take(struct der *from, int tag, struct der *value);

/* Returns the tag of the next element and leaves it in place; -EBADMSG if there is none. */
int der_peek(const struct der *from);

#endif
