/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks client CAs and revocation lists for --check. */
#ifndef POSTERN_CHECK_CLIENTS_H
#define POSTERN_CHECK_CLIENTS_H

#include "start/options.h"
#include "check/report.h"

/* Reports on each CA and revocation list. Reports nothing if clients are not asked for certificates. */
void check_clients(struct report *r, const struct options *o);

#endif
