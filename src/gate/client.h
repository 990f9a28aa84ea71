/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Gives the relay its functions to read and write the client, with TLS and without. */
#ifndef POSTERN_CLIENT_H
#define POSTERN_CLIENT_H

#include "gate/relay.h"

/* For a client that is a `struct tls *`. */
extern const struct relay_client client_tls;

/* For a client that is a `struct connection *` with non-blocking descriptors. */
extern const struct relay_client client_plain;

#endif
