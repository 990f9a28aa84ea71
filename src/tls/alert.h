/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TLS alerts in an administrator's words. */
#ifndef POSTERN_ALERT_H
#define POSTERN_ALERT_H

/* Alerts that postern sends by itself. */
enum {
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_RECORD_OVERFLOW = 22,
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_UNSUPPORTED_CERTIFICATE = 43,
    ALERT_CERTIFICATE_REVOKED = 44,
    ALERT_CERTIFICATE_EXPIRED = 45,
    ALERT_ILLEGAL_PARAMETER = 47,
    ALERT_UNKNOWN_CA = 48,
    ALERT_DECODE_ERROR = 50,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_UNRECOGNIZED_NAME = 112
};

/* Returns the registered name of an alert (RFC 8446 section 6), such as "unknown_ca"; else "unknown". */
const char *alert_name(int code);

/* Returns what an alert means when a client answers our handshake with it, and what to do. */
const char *alert_meaning(int code);

#endif
