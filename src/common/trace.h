/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clock of -v. */
#ifndef POSTERN_TRACE_H
#define POSTERN_TRACE_H

#include <stdint.h>

/* The time now in microseconds of CLOCK_MONOTONIC; without -v 0, and no clock is asked. */
int64_t trace_now(void);

#endif
