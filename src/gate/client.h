/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client as the relay sees it, with TLS and without. */
#ifndef POSTERN_CLIENT_H
#define POSTERN_CLIENT_H

#include "gate/relay.h"

/* For a `struct tls *`. */
extern const struct relay_client client_tls;

/* For a `struct connection *` with non-blocking descriptors. */
extern const struct relay_client client_plain;

#endif
