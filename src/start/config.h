/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file: lines "option = value". */
#ifndef POSTERN_CONFIG_H
#define POSTERN_CONFIG_H

#include <stddef.h>

/* Takes one line; returns 0, or -1 and the reason in `why`. The strings are gone afterwards. */
typedef int config_taker(void *who, const char *name, const char *value, char *why, size_t size);

/* Gives each line of the file to take(). A line has at most 4,096 bytes without its LF or CR LF, a file
 * 1 MiB. A UTF-8 byte order mark is skipped. A comment begins with # or ;, at the beginning of a line or
 * behind a blank. Logs each mistake with its line, up to 50 of them, and counts the rest. Returns 0, or
 * -1 if there was one. */
int config_read(const char *file, config_taker *take, void *who);

#endif
