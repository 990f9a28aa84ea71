/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The clock for the durations that -v logs. */
#ifndef POSTERN_TRACE_H
#define POSTERN_TRACE_H

#include <stdint.h>

/* Returns the time in microseconds of CLOCK_MONOTONIC. Without -v returns 0 and saves the system call. */
int64_t trace_now(void);

#endif
