/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads from a verified certificate who the client is. Pure. */
#ifndef POSTERN_IDENTITY_H
#define POSTERN_IDENTITY_H

#include "common/facts.h"
#include "x509/certificate.h"

#include <stddef.h>

/* Fills in the names, the serial number and the user; leaves `verify` and `fingerprint` alone. `part` says which
 * part of the certificate names the user. Returns 0 or -EBADMSG. */
int identity_take(struct client_facts *f, const struct certificate *c, enum client_name part);

/* Writes a Name for a line of the log; cuts it with "..." if it is long; size >= 8. */
void identity_name(char *text, size_t size, struct der name);

#endif
