/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The line in the log that sums a connection up. */
#ifndef POSTERN_SUMMARY_H
#define POSTERN_SUMMARY_H

#include "monitor/session.h"

void summary_write(const struct session *s);

#endif
