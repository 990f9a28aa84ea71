/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Carries bytes between the client and the handler. */
#ifndef POSTERN_RELAY_H
#define POSTERN_RELAY_H

#include "gate/relay_state.h"

/* Relays until both directions are done, or until a time-out, an order or an error. Then closes the handler's
 * descriptors, and the client's side in an orderly way if that is possible. Sets r->ending. Returns 0, or a
 * negative errno for ENDING_SYSTEM. */
int relay_run(struct relay *r);

#endif
