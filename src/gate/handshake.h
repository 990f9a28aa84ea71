/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the client from its first byte of TLS to an established session. */
#ifndef POSTERN_HANDSHAKE_H
#define POSTERN_HANDSHAKE_H

#include "gate/end.h"

/* Does the handshake and sets g->tls and *facts. If it fails, ends the process by gate_end(). */
void handshake(struct gate *g, struct facts *facts);

#endif
