/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loop that carries bytes between the client and the handler's pipes. */
#ifndef POSTERN_RELAY_H
#define POSTERN_RELAY_H

#include "gate/relay_state.h"

/* Runs until both directions are done or a time-out, an order or an error ends it; the client's
 * end has then been closed in an orderly way where that was possible. Returns 0; or, with the ending
 * ENDING_SYSTEM, a negative errno. */
int relay_run(struct relay *r);

#endif
