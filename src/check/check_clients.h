/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --check of what client certificates are judged by. */
#ifndef POSTERN_CHECK_CLIENTS_H
#define POSTERN_CHECK_CLIENTS_H

#include "start/options.h"
#include "check/report.h"

/* Reports on the CAs and the revocation lists, if there are any. */
void check_clients(struct report *r, const struct options *o);

#endif
