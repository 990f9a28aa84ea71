/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and renews the file of ticket keys (--tickets). Each line has a date and a key. The first key seals
 * tickets, all keys open them. */
#ifndef POSTERN_TICKET_FILE_H
#define POSTERN_TICKET_FILE_H

#include "vault/tickets.h"

#define TICKET_FILE_KEPT 3 /* keys in a file after ticket_file_renew() */

/* Reads the keys of a file. Refuses a file that others may read. Returns 0, or logs one line and returns a
 * negative errno; then no key is in *t. */
int ticket_file_read(struct tickets *t, const char *file);

/* What ticket_file_parse() found. */
enum key_text {
    KEY_TEXT_GOOD,
    KEY_TEXT_EMPTY,    /* no key */
    KEY_TEXT_TOO_MANY, /* more keys than TICKET_KEYS_MAX */
    KEY_TEXT_WRONG     /* a line is no key */
};

/* Reads the keys from a file's text. Unless that is KEY_TEXT_GOOD, *line is the number of the wrong line, and no
 * key is in *t. Logs nothing. */
enum key_text ticket_file_parse(struct tickets *t, const uint8_t *text, size_t len, size_t *line);

/* Puts a new key first in a file and keeps the next ones, TICKET_FILE_KEPT in all. Creates the file if it is not
 * there. Replaces it at once, so that a reader sees the old file or the new one. The owner stays the same; the
 * mode becomes 0600. Returns 0, or logs one line and returns a negative errno. */
int ticket_file_renew(const char *file);

#endif
