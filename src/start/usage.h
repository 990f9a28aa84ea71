/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What --help prints. */
#ifndef POSTERN_USAGE_H
#define POSTERN_USAGE_H

#include <stdio.h>

/* Prints all options, one a line, in lines of at most 80 columns. */
void usage_print(FILE *out);

#endif
