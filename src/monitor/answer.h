/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers the gate, which may have been taken over. A table says when each message may come. */
#ifndef POSTERN_ANSWER_H
#define POSTERN_ANSWER_H

#include "monitor/session.h"

/* Sends EVENT_GO, which lets the gate begin. Returns 0 or a negative errno. Logs nothing. */
int answer_begin(struct session *s);

/* Reads one message from the gate and does what it asks for. Ends the gate if the message is malformed or out
 * of turn. Returns false if there was no message. */
bool answer_one(struct session *s);

#endif
