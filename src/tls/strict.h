/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of client certificates that the TLS library does not make. Pure. */
#ifndef POSTERN_STRICT_H
#define POSTERN_STRICT_H

#include "x509/certificate.h"

#include <stdbool.h>

#define STRICT_NOT_VERSION_3 "not of X.509 version 3 (made without any extension)"

/* Returns in words why a certificate could be forged, or NULL. `leaf`: it is the client's own, not a CA's. */
const char *strict_strength(const struct certificate *one, bool leaf);

/* Returns in words why a certificate must not be used for a client, or NULL. */
const char *strict_use(const struct certificate *one, bool leaf);

#endif
