/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lobby: speaks with the client in plaintext before STARTTLS, in any dialect. */
#ifndef POSTERN_LOBBY_H
#define POSTERN_LOBBY_H

#include "gate/lobby_state.h"

enum lobby_outcome {
    LOBBY_TLS, /* STARTTLS was answered: the handshake comes next */
    LOBBY_RELAY, /* the client left the lobby in plaintext, `leave` was called: relay to the handler */
    LOBBY_ENDED /* the connection must end; `ending` says how */
};

/* Returns an empty lobby, to be freed with free(); NULL if there is no memory. */
struct lobby *lobby_new(void);

/* Runs the lobby until the client leaves it. Reads no byte from `in` after the line that ends it. */
enum lobby_outcome lobby_run(struct lobby *l);

#endif
