/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/utf8.h"

#include <string.h>

size_t utf8_next(const uint8_t *bytes, size_t len, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = 0;

    if (len == 0)
        return 0;
    if (bytes[0] < 0x80) {
        *code = bytes[0];
        return 1;
    }
    if ((bytes[0] & 0xe0) == 0xc0)
        size = 2;
    else if ((bytes[0] & 0xf0) == 0xe0)
        size = 3;
    else if ((bytes[0] & 0xf8) == 0xf0)
        size = 4;
    if (size == 0 || size > len)
        return 0;
    uint32_t value = bytes[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (bytes[i] & 0x3fU);
    }
    if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *code = value;
    return size;
}

size_t utf8_put(uint8_t *bytes, uint32_t code)
{
    size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    if (size == 1) {
        bytes[0] = (uint8_t)code;
        return 1;
    }
    for (size_t i = size; i-- > 1; code >>= 6)
        bytes[i] = (uint8_t)(0x80 | (code & 0x3f));
    bytes[0] = (uint8_t)(0xf0U << (4 - size) | code);
    return size;
}

bool utf8_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
}

bool utf8_is_clean(const char *text)
{
    const uint8_t *p = (const uint8_t *)text;
    uint32_t code;
    size_t size;

    for (size_t len = strlen(text); len > 0; p += size, len -= size) {
        size = utf8_next(p, len, &code);
        if (size == 0 || utf8_is_control(code))
            return false;
    }
    return true;
}
