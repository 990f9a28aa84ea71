/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the gate reports without an answer. A malformed report ends the gate; one line is logged then. */
#ifndef POSTERN_TAKE_REPORT_H
#define POSTERN_TAKE_REPORT_H

#include "common/message.h"
#include "monitor/session.h"

/* REPORT_LEFT_LOBBY: the client goes on in plaintext. Wipes the keys, which are not needed any more. */
void take_left_lobby(struct session *s, struct message_reader *r);

/* REPORT_PROXY: the gate has read a PROXY header. Its addresses replace those of the connection. */
void take_proxy(struct session *s, struct message_reader *r);

/* REPORT_NOTE and REPORT_STEP: writes a line to the log. A step is out of turn without -v. */
void take_line(struct session *s, struct message_reader *r);

/* REPORT_END: notes how the connection ended, and lets the handler finish. */
void take_end(struct session *s, struct message_reader *r);

#endif
