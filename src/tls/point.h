/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Public keys of clients that must not be used. Pure. */
#ifndef POSTERN_POINT_H
#define POSTERN_POINT_H

#include <stdbool.h>
#include <stdint.h>

#define POINT_X25519_SIZE 32

/* True if an X25519 public key, as it is on the wire, is a point of low order. With such a one the shared
 * secret is zero whatever the private key is, so RFC 8446 section 7.4.2 wants the handshake to end. */
bool point_has_low_order(const uint8_t key[POINT_X25519_SIZE]);

#endif
