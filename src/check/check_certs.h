/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks all certificates and keys for --check: those of the options and of every folder of --cert-dir. */
#ifndef POSTERN_CHECK_CERTS_H
#define POSTERN_CHECK_CERTS_H

#include "start/options.h"
#include "check/report.h"

/* Reports on each pair: key, names, order, issuer, dates, OCSP response. */
void check_certificates(struct report *r, const struct options *o);

#endif
