/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Distinguished names (X.501) as text. Pure. */
#ifndef POSTERN_DN_H
#define POSTERN_DN_H

#include "x509/der.h"

#include <stddef.h>

/* The types that have to be found by name. */
enum dn_type { DN_COMMON_NAME, DN_EMAIL };

/* What stands in one attribute: its tag, its bytes, and the whole element. */
struct dn_value {
    int tag;
    struct der bytes;
    struct der whole;
};

/* Writes a Name, given as the content of its SEQUENCE, as RFC 4514 has it and as Apache's mod_ssl and
 * `openssl x509 -nameopt RFC2253' call the attributes: "CN=alice,O=Example". Text is UTF-8, whatever it
 * was in the certificate; control characters and what is no text are \XX, a byte each; an attribute that
 * is of no known type, or no string, is #HEX. Returns 0, -EBADMSG for what is no Name, or -ENOSPC if it
 * does not fit: then text is "". */
int dn_text(char *text, size_t size, struct der name);

/* The same for a single value, without what has a meaning only in a DN: of those characters only the
 * backslash is escaped. */
int dn_value_text(char *text, size_t size, const struct dn_value *value);

/* Counts the attributes of a type and gives the first. Returns -EBADMSG for what is no Name. */
int dn_find(struct der name, enum dn_type type, struct dn_value *first);

#endif
