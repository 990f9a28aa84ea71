/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file: lines "option = value". */
#ifndef POSTERN_CONFIG_H
#define POSTERN_CONFIG_H

#include <stddef.h>

/* Takes one line. Returns 0, or -1 and the reason in `why`. The strings are valid only during the call. */
typedef int config_taker(void *who, const char *name, const char *value, char *why, size_t size);

/* Reads the file and passes each line to take(), with `who`. A line has at most 4,096 bytes without its LF or
 * CR LF, a file 1 MiB. Skips a UTF-8 byte order mark. A comment begins with # or ;, at the beginning of
 * a line or behind a blank. Logs up to 50 mistakes with their lines, and the number of the others.
 * Returns 0, or -1 if there was a mistake or the file can't be read. */
int config_read(const char *file, config_taker *take, void *who);

#endif
