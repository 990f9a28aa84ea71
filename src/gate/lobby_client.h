/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lobby's client: reads its lines, answers it, and ends the conversation. */
#ifndef POSTERN_LOBBY_CLIENT_H
#define POSTERN_LOBBY_CLIENT_H

#include "gate/lobby_state.h"

#include <stdbool.h>
#include <stddef.h>

#define LOBBY_SAY_MAX 1024 /* bytes of an answer of the lobby's own */

/* What to do next: read on, begin TLS, relay in plaintext, or end. */
enum lobby_step { STEP_ON, STEP_TLS, STEP_RELAY, STEP_END };

/* The result of reading a line, or of waiting for one. */
enum line_result {
    LINE_READ,
    LINE_CLIENT_LEFT,
    LINE_TOO_LONG,
    LINE_BAD_BYTES, /* the line has a NUL or a bare CR */
    LINE_TIMEOUT,
    LINE_HANDLER_EXITED,
    LINE_STOP,  /* the monitor wants the end */
    LINE_FAILED /* the system failed: l->error */
};

/* Set the ending and return STEP_END. lobby_end_system() sets ENDING_SYSTEM and logs: `what` completes "cannot",
 * `error` is a negative errno. */
enum lobby_step lobby_end(struct lobby *l, enum ending ending);
enum lobby_step lobby_end_system(struct lobby *l, const char *what, int error);

/* Writes a line to the log. */
void lobby_log(const struct lobby *l, enum gravity gravity, const char *text);

/* Sends all bytes before the deadline. Returns 0 or a negative errno. It waits for a client that does not
 * read, so answers never pile up. */
int lobby_send(struct lobby *l, const char *bytes, size_t len);

/* Sends the dialect's words for an occasion. `c` is the command answered, or NULL. Returns 0 or a negative
 * errno. */
int lobby_say(struct lobby *l, enum occasion occasion, const struct command *c);

/* Returns the next step after a write to the client that returned rc. */
enum lobby_step lobby_after_write(struct lobby *l, int rc);

/* Sends the dialect's words for an occasion, sets the ending and returns STEP_END. */
enum lobby_step lobby_say_end(struct lobby *l, enum occasion occasion, const struct command *c,
                              enum ending ending);

/* Reads one line of at most `most` bytes into l->line, and no byte after its LF. With LOBBY_LINE_MAX it still
 * accepts a longer line that is a login with a SASL response. */
enum line_result lobby_read_line(struct lobby *l, size_t most);

/* Answers, logs and ends the lobby since no line could be read. `result` is not LINE_READ. */
enum lobby_step lobby_end_without_line(struct lobby *l, enum line_result result);

/* True if bytes of the client are there to be read. */
bool lobby_has_more(struct lobby *l);

/* Returns the length of a line without its LF or CRLF, if it has one. */
size_t lobby_trim_line_end(const char *line, size_t len);

#endif
