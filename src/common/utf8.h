/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8, read as something that a stranger has written. Pure. */
#ifndef POSTERN_UTF8_H
#define POSTERN_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first character of len bytes: gives its length and in *code its number; or 0 if they begin with no
 * UTF-8 (RFC 3629: nothing overlong, no surrogates, at most U+10FFFF). */
size_t utf8_next(const uint8_t *bytes, size_t len, uint32_t *code);

/* Writes a character that utf8_next() would take; gives its length, at most 4. */
size_t utf8_put(uint8_t *bytes, uint32_t code);

/* C0, DEL, C1 and the two separators U+2028 and U+2029, which end lines. */
bool utf8_is_control(uint32_t code);

/* True if all of a string is UTF-8 without control characters. */
bool utf8_is_clean(const char *text);

#endif
