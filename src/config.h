/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file: lines "option = value", read by inih. Layer 1. */
#ifndef POSTERN_CONFIG_H
#define POSTERN_CONFIG_H

#include <stddef.h>

/* Takes one line; returns 0, or -1 and the reason in `why`. The strings are gone afterwards. */
typedef int config_taker(void *who, const char *name, const char *value, char *why, size_t size);

/* Gives each line of the file to take(). Returns 0, or logs the first thing that is wrong, with its
 * line, and returns -1. */
int config_read(const char *file, config_taker *take, void *who);

#endif
