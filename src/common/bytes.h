/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pointer and a length: bytes that another owns. */
#ifndef POSTERN_BYTES_H
#define POSTERN_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *at;
    size_t len;
};

#endif
