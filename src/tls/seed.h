/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The TLS library's randomness, from getrandom(2): a jail has no /dev/urandom to open. */
#ifndef POSTERN_SEED_H
#define POSTERN_SEED_H

#include <stddef.h>
#include <stdint.h>

/* Fills len bytes with the kernel's randomness. Returns 0 or a negative errno. Logs nothing. */
int seed_fill(uint8_t *bytes, size_t len);

#endif
