/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/random.h"

#include <errno.h>
#include <sys/random.h>

int random_fill(uint8_t *bytes, size_t len)
{
    for (size_t have = 0; have < len;) {
        ssize_t n = getrandom(bytes + have, len - have, 0);
        if (n < 0 && errno != EINTR)
            return -errno;
        have += n > 0 ? (size_t)n : 0;
    }
    return 0;
}
