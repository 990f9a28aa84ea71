/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the monitor answers to the gate, which may have been taken over: each message and when it may come.
 */
#ifndef POSTERN_ANSWER_H
#define POSTERN_ANSWER_H

#include "monitor/session.h"

/* Sends the monitor's first word, which lets the gate begin. Returns 0 or a negative errno. */
int answer_begin(struct session *s);

/* Reads one message of the gate's and does what it asks for. One that is malformed or out of turn ends the
 * gate. Returns false when there was none. */
bool answer_one(struct session *s);

#endif
