/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* True if a byte may stand in the line as it is. */
static bool is_plain(uint8_t byte, const char *escaped)
{
    return byte >= ' ' && byte < 0x7f && strchr(escaped, byte) == NULL;
}

/* Copies text; bytes that are not printable ASCII, or that are in `escaped`, become \xNN. */
static char *escape(char *dst, size_t size, const uint8_t *text, size_t len, const char *escaped)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0, needed = 1;

    for (size_t i = 0; i < len && needed <= size; i++)
        needed += is_plain(text[i], escaped) ? 1 : 4;
    /* A text that is cut ends in three dots. */
    size_t limit = needed <= size ? size - 1 : size - 4;
    for (size_t i = 0; i < len; i++) {
        bool plain = is_plain(text[i], escaped);
        if (n + (plain ? 1U : 4U) > limit) {
            memcpy(dst + n, "...", 3);
            n += 3;
            break;
        }
        if (plain) {
            dst[n++] = (char)text[i];
            continue;
        }
        dst[n++] = '\\';
        dst[n++] = 'x';
        dst[n++] = hex[text[i] >> 4];
        dst[n++] = hex[text[i] & 15];
    }
    dst[n] = '\0';
    return dst;
}

char *log_escape(char *dst, size_t size, const void *text, size_t len)
{
    return escape(dst, size, text, len, " \"\\");
}

char *log_sentence(char *dst, size_t size, const void *text, size_t len)
{
    return escape(dst, size, text, len, "");
}
