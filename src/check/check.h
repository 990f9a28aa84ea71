/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --check and --version: report what this postern would do, and what it is. */
#ifndef POSTERN_CHECK_H
#define POSTERN_CHECK_H

#include "start/options.h"

#include <stdio.h>

/* Prints a report on options, certificates, keys, handler and jail. Returns the exit status: 0, or
 * EX_CONFIG if a line of it says FAIL. */
int check_run(const struct options *o, FILE *out);

/* Prints the versions of postern and the TLS library, and the kinds of jail that are built in. */
void check_print_version(FILE *out);

#endif
