/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate: the process that talks to clients. It enters the jail, then runs lobby, handshake and relay. */
#ifndef POSTERN_GATE_H
#define POSTERN_GATE_H

#include "start/activation.h"
#include "start/jail.h"
#include "start/options.h"
#include "x509/trust.h"
#include "start/ucspi_ends.h"

/* Serves one connection from inside the jail, and reports to `monitor`. `ucspi`: our ends of a UCSPI-TLS
 * handler's descriptors, or NULL. Ends the process. */
_Noreturn void gate_run(struct connection *c, const struct options *o, struct jail *j, int monitor,
                        struct ucspi *ucspi, struct trust *trust);

#endif
