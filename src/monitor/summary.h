/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The summary of a connection, one line in the log. */
#ifndef POSTERN_SUMMARY_H
#define POSTERN_SUMMARY_H

#include "monitor/session.h"

/* Writes the line. To be called once, when the connection has ended. */
void summary_write(const struct session *s);

#endif
