/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strict UTF-8, for text of strangers. Pure. */
#ifndef POSTERN_UTF8_H
#define POSTERN_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads the first character of len bytes. Returns its length and in *code its number; 0 if it is not valid by
 * RFC 3629 (nothing overlong, no surrogates, at most U+10FFFF). */
size_t utf8_next(const uint8_t *bytes, size_t len, uint32_t *code);

/* Writes a character that utf8_next() accepts. Returns its length, at most 4. */
size_t utf8_put(uint8_t *bytes, uint32_t code);

/* True for C0, DEL, C1, and for the separators U+2028 and U+2029, which end lines. */
bool utf8_is_control(uint32_t code);

/* True if the string is valid UTF-8 without control characters. */
bool utf8_is_clean(const char *text);

#endif
