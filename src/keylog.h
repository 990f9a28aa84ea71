/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Debug builds only (-DPOSTERN_DEBUG): the secrets of sessions in the form that Wireshark reads, in the file
 * that the environment variable SSLKEYLOGFILE names. Other builds have nothing of this. Layer 2. */
#ifndef POSTERN_KEYLOG_H
#define POSTERN_KEYLOG_H

#include "message.h"

#ifdef POSTERN_DEBUG

#define KEYLOG_RANDOM_SIZE 32

struct WOLFSSL;

/* Warns in the log that this build writes secrets, and where. */
void keylog_warn(void);

/* The monitor: opens the file, to which is only appended; made with mode 0600. The caller closes it.
 * Returns its descriptor; -1 without the variable, or after one line in the log. */
int keylog_open(void);

/* The monitor: appends a line of the gate's. Returns false if that is none of the kind that
 * keylog_watch() makes. */
bool keylog_write(int fd, struct message_reader *r);

/* The gate: whatever secrets the library tells of are sent to the monitor. keylog_watch() comes before the
 * handshake and is given the ClientHello's first record, keylog_finish() after it. *k must stay till then. */
struct keylog {
    int vault;
    uint8_t random[KEYLOG_RANDOM_SIZE]; /* the client's */
};

void keylog_watch(struct keylog *k, struct WOLFSSL *ssl, int vault, const uint8_t *hello,
                  size_t len);
void keylog_finish(const struct keylog *k, struct WOLFSSL *ssl);

#endif
#endif
