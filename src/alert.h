/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS alerts in an administrator's words. Layer 2. */
#ifndef POSTERN_ALERT_H
#define POSTERN_ALERT_H

/* The registered name of an alert (RFC 8446 section 6), such as "unknown_ca". */
const char *alert_name(int code);

/* What it means when a client answers our handshake with it, and what to do. */
const char *alert_meaning(int code);

#endif
