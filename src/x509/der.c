/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "x509/der.h"

#include <errno.h>

/* Reads a length (X.690 section 8.1.3), in the shortest form as DER wants. Returns the bytes used; 0 if malformed. */
static size_t read_length(const uint8_t *at, size_t left, size_t *len)
{
    if (left == 0)
        return 0;
    if (at[0] < 0x80) {
        *len = at[0];
        return 1;
    }
    size_t count = at[0] & 0x7fU;
    if (count == 0 || count > 4 || count >= left || at[1] == 0)
        return 0;
    *len = 0;
    for (size_t i = 1; i <= count; i++)
        *len = *len << 8 | at[i];
    return *len < 0x80 ? 0 : count + 1;
}

int der_next(struct der *from, struct der *value)
{
    size_t len = 0;

    if (from->len < 2 || (from->at[0] & 0x1f) == 0x1f)
        return -EBADMSG;
    size_t used = read_length(from->at + 1, from->len - 1, &len);
    if (used == 0 || len > from->len - 1 - used)
        return -EBADMSG;
    int tag = from->at[0];
    *value = (struct der){from->at + 1 + used, len};
    from->at += 1 + used + len;
    from->len -= 1 + used + len;
    return tag;
}

int der_take(struct der *from, int tag, struct der *value)
{
    return der_next(from, value) == tag ? 0 : -EBADMSG;
}

int der_peek(const struct der *from)
{
    return from->len > 0 ? from->at[0] : -EBADMSG;
}
