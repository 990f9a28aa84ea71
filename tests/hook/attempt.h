/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a gate that has been taken over might try. Only in test builds (-DPOSTERN_TEST). */
#ifndef POSTERN_ATTEMPT_H
#define POSTERN_ATTEMPT_H

#include <stdbool.h>

/* Tries what the environment variable ATTEMPT named when attempt_remember() was called, over `vault`
 * where it is about the monitor, and writes to `report` what came of it; does nothing without such
 * a name. `late`: the relay has begun, for attempts whose names begin so. Returns 0 if there was nothing to try, else 1. */
void attempt_remember(void);
int attempt_run(int vault, bool late, char *report, unsigned size);

#endif
