/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lobby: the plaintext conversation before STARTTLS, for any dialect. */
#ifndef POSTERN_LOBBY_H
#define POSTERN_LOBBY_H

#include "gate/lobby_state.h"

enum lobby_outcome {
    LOBBY_TLS, /* STARTTLS has been answered: the handshake comes next */
    LOBBY_RELAY, /* the client has left the lobby in plaintext, `leave` was called: relay to the handler */
    LOBBY_ENDED /* it is over; `ending` says how */
};

/* Returns a lobby in which nothing is set yet, to be freed with free(); NULL if there is no memory. */
struct lobby *lobby_new(void);

/* Holds the conversation. Not one byte beyond the line that ends it has been read from `in`. */
enum lobby_outcome lobby_run(struct lobby *l);

#endif
