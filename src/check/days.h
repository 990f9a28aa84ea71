/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts the days until a date, for warnings before something expires. */
#ifndef POSTERN_DAYS_H
#define POSTERN_DAYS_H

#include <time.h>

#define DAY_SECONDS 86400
#define DAYS_SOON 21 /* certificates with at most so many days left are warned of */

/* Returns the whole days from now until `when`; negative for a date in the past. */
static inline long long days_until(time_t when)
{
    return ((long long)when - (long long)time(NULL)) / DAY_SECONDS;
}

#endif
