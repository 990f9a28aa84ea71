/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes distinguished names (X.501) as text. Pure. */
#ifndef POSTERN_DN_H
#define POSTERN_DN_H

#include "x509/der.h"

#include <stddef.h>

/* The types of attribute that dn_find() finds. */
enum dn_type { DN_COMMON_NAME, DN_EMAIL };

/* The value of one attribute. */
struct dn_value {
    int tag;
    struct der bytes; /* its content */
    struct der whole; /* the element with tag and length */
};

/* Writes a Name by RFC 4514: "CN=alice,O=Example". `name` is the content of its SEQUENCE. The types have the names
 * of Apache's mod_ssl and `openssl x509 -nameopt RFC2253'. Converts text to UTF-8. Writes each byte of control
 * characters and malformed text as \XX. Writes values of unknown types, and values that are no strings,
 * as #HEX. Returns 0, -EBADMSG if `name` is malformed, or -ENOSPC if it does not fit; then text is "". */
int dn_text(char *text, size_t size, struct der name);

/* Writes a single value as dn_text() does. Of the characters that have a meaning in a DN, escapes only the backslash.
 * Returns 0 or -ENOSPC; then text is "". */
int dn_value_text(char *text, size_t size, const struct dn_value *value);

/* Returns the number of attributes of this type and in *first the value of the first. Returns -EBADMSG if `name`
 * is malformed. */
int dn_find(struct der name, enum dn_type type, struct dn_value *first);

#endif
