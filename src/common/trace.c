/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/trace.h"

#include "common/log.h"

#include <time.h>

int64_t trace_now(void)
{
    struct timespec now = {0};

    if (!log_has_details())
        return 0;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
