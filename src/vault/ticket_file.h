/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The file that the ticket keys are in: one key a line, its date before it; the first one seals, all
 * open. */
#ifndef POSTERN_TICKET_FILE_H
#define POSTERN_TICKET_FILE_H

#include "vault/tickets.h"

#define TICKET_FILE_KEPT 3 /* keys that ticket_file_renew() leaves */

/* Reads the keys of a file, which nobody else may be able to read. Returns 0, or logs one line and
 * returns a negative errno; then no key is left in *t. */
int ticket_file_read(struct tickets *t, const char *file);

/* What a file's text is found to be. */
enum key_text {
    KEY_TEXT_GOOD,
    KEY_TEXT_EMPTY,    /* there is no key in it */
    KEY_TEXT_TOO_MANY, /* more keys than TICKET_KEYS_MAX */
    KEY_TEXT_WRONG     /* a line is no key */
};

/* Reads the keys of a file's text; *line is where it is wrong, and then no key is left in *t. Logs
 * nothing. */
enum key_text ticket_file_parse(struct tickets *t, const uint8_t *text, size_t len, size_t *line);

/* Puts a new key first in a file and keeps the first of the others, TICKET_FILE_KEPT in all; makes a
 * file that is not there. Whoever reads at that moment sees the old file or the new one, whose owner
 * is the old one's and whose mode is 0600. Returns 0, or logs one line and returns a negative errno. */
int ticket_file_renew(const char *file);

#endif
