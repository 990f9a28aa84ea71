/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strings in JSON (RFC 8259 section 7). */
#ifndef POSTERN_JSON_H
#define POSTERN_JSON_H

#define JSON_BYTE_SIZE 7 /* "\u00ff" and a NUL */

/* Writes one byte of a text as it stands between the quotes of a JSON string. All that is not printable ASCII
 * becomes \u00NN, since names of files need not be UTF-8. Returns out. */
const char *json_byte(char out[JSON_BYTE_SIZE], char byte);

#endif
