/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random bytes of the kernel, from getrandom(2): a jail has no /dev/urandom to open. */
#ifndef POSTERN_RANDOM_H
#define POSTERN_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills len bytes. Returns 0 or a negative errno. Logs nothing. */
int random_fill(uint8_t *bytes, size_t len);

#endif
