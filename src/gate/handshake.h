/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The gate's way from the client's first byte of TLS to an established session. */
#ifndef POSTERN_HANDSHAKE_H
#define POSTERN_HANDSHAKE_H

#include "gate/end.h"

/* Does the handshake: g->tls and *facts are there when it returns. If it fails, the gate ends here. */
void handshake(struct gate *g, struct facts *facts);

#endif
