/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor's service for the gate: what each message asks for, if it is the gate's turn to ask.
 * Layer 4. */
#ifndef POSTERN_SERVICE_H
#define POSTERN_SERVICE_H

#include "session.h"

/* The monitor's first word to the gate. Returns 0 or a negative errno. */
int service_begin(struct session *s);

/* Reads one message of the gate's and does what it asks for. What is malformed or out of turn ends
 * the gate. Returns false when there was none. */
bool service_take_message(struct session *s);

/* Starts the handler: with facts after the handshake, without them before. `ucspi`: with the network
 * socket and these descriptors instead of pipes. Returns 0, or logs one line and returns a negative
 * errno. */
int service_start_handler(struct session *s, const struct facts *facts, const struct ucspi *ucspi);

#endif
