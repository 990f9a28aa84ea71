/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes text of strangers printable, so that it can't imitate another line of the log. Pure. */
#ifndef POSTERN_ESCAPE_H
#define POSTERN_ESCAPE_H

#include <stddef.h>

/* Copies len bytes of a stranger's text into a log line, as one word: printable ASCII but space, quote and
 * backslash stays, all else becomes \xNN. Ends with a NUL. Cuts (with "...") what does not fit into
 * size bytes; size >= 8. Returns dst. */
char *log_escape(char *dst, size_t size, const void *text, size_t len);

/* Does as log_escape(), but spaces, quotes and backslashes stay: for text of several words. */
char *log_sentence(char *dst, size_t size, const void *text, size_t len);

#endif
