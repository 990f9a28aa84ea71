/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the options of the command line and of the configuration file, and judges them together. */
#ifndef POSTERN_COMMAND_LINE_H
#define POSTERN_COMMAND_LINE_H

#include "start/options.h"

/* Reads argv and the file that --config names. The command line wins over the file. Logs the first mistake of the
 * command line, or each mistake of the file. Returns 0 or the exit status to end with: EX_USAGE, or
 * EX_CONFIG for mistakes of the file. The strings in *o live as long as argv, or until options_free(). */
int options_read(struct options *o, int argc, char **argv);

#endif
