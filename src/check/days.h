/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Days until a date, for warnings before something expires. */
#ifndef POSTERN_DAYS_H
#define POSTERN_DAYS_H

#include <time.h>

#define DAY_SECONDS 86400
#define DAYS_SOON 21 /* certificates with so many days left, or fewer, are warned of */

/* Returns the whole days from now until `when`; negative if that is past. */
static inline long long days_until(time_t when)
{
    return ((long long)when - (long long)time(NULL)) / DAY_SECONDS;
}

#endif
