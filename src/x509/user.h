/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a client is, by a certificate that has been verified. Pure. */
#ifndef POSTERN_IDENTITY_H
#define POSTERN_IDENTITY_H

#include "common/facts.h"
#include "x509/certificate.h"

#include <stddef.h>

/* Fills in names, serial number and user, but neither `verify` nor `fingerprint`; the bounds of struct
 * client_facts hold. Returns 0 or -EBADMSG. */
int identity_take(struct client_facts *f, const struct certificate *c, enum client_name part);

/* Writes a certificate's subject for a line of the log, cut with "..." if it is long; size >= 8. */
void identity_name(char *text, size_t size, struct der name);

#endif
