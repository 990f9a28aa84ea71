/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "x509/trust.h"

#include <stdlib.h>

struct der trust_authorities(const struct trust *t)
{
    return (struct der){t->authorities, t->authorities_len};
}

struct der trust_lists(const struct trust *t)
{
    return (struct der){t->lists, t->lists_len};
}

bool trust_next(struct der *rest, struct der *one)
{
    struct der value;
    const uint8_t *at = rest->at;

    if (der_next(rest, &value) < 0)
        return false;
    *one = (struct der){at, (size_t)(rest->at - at)};
    return true;
}

void trust_free(struct trust *t)
{
    free(t->authorities);
    free(t->lists);
    *t = (struct trust){0};
}
