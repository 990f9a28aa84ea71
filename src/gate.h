/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate: the process that strangers talk to. Jail, lobby, handshake, facts, relay. Layer 4. */
#ifndef POSTERN_GATE_H
#define POSTERN_GATE_H

#include "activation.h"
#include "jail.h"
#include "options.h"
#include "trust.h"
#include "ucspi.h"

/* Serves one connection from inside the jail and tells the monitor, over `vault`, what happened.
 * `ucspi`: our ends of a UCSPI-TLS handler's descriptors, or NULL. `trust` is freed when it has been
 * used. To be called in a process of its own that exits when it returns. */
int gate_run(struct connection *c, const struct options *o, struct jail *j, int vault,
             struct ucspi *ucspi, struct trust *trust);

#endif
