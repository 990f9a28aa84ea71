/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log: one line a message, to stderr, to syslog or to both. */
#ifndef POSTERN_LOG_H
#define POSTERN_LOG_H

#include "common/delivery.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_target {
    LOG_TO_STDERR = 1,
    LOG_TO_SYSLOG = 2,
    LOG_TO_BOTH = LOG_TO_STDERR | LOG_TO_SYSLOG
};

enum log_level { LOG_QUIET = -1, LOG_NORMAL = 0, LOG_VERBOSE = 1 };

/* Chooses where lines go and how many of them. Until it is called: stderr, LOG_NORMAL. */
void log_open(enum log_target target, enum log_level level);

/* Makes each line a JSON object (RFC 8259): time, pid, level, client, message, and for log_timed() ms;
 * log_summary() has its fields instead of a message. */
void log_as_json(void);

/* Makes each line of standard error one for the journal: its priority in front, as in <3>, and no name
 * and process id, which the journal adds itself (sd-daemon(3)). */
void log_as_journal(bool yes);

/* Who each line is about: "client=..." stands first in it. Copied, cut at 160 bytes. "" for nobody. */
void log_about(const char *client);

/* Gives each line to `take` instead, with `who`; NULL ends that. */
typedef void log_taker(void *who, bool error, const char *text);
void log_redirect(log_taker *take, void *who);

/* Suspends the log, for a first try that a second one follows, and takes it up again. */
void log_suspend(bool suspended);

/* Each writes one line, in which log_sentence() has made everything printable. errors always; notes
 * unless LOG_QUIET; details only with LOG_VERBOSE. A line whose
 * reader has no room now is kept a while, see log_poll(); one that can't be written is lost, and a later
 * line says how many were: a connection must neither die of its log nor wait for it. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* An error that is a client's, and a note on a client that has not even tried: both have the priority
 * LOG_NOTICE, so that they can be told from our own errors and from sessions. */
void log_client(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_noise(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A detail and how long what it tells of has taken, in microseconds: "(0.7 ms)" behind it, in JSON a
 * field "ms". */
void log_timed(int64_t us, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True with LOG_VERBOSE: details are worth the work of putting them together. */
bool log_has_details(void);

/* A field of a summary. */
struct log_field {
    const char *name;
    const char *text;
    bool is_number; /* text is one */
};

/* Writes one line "name=value name=value", values escaped by log_escape(); a note. */
void log_summary(const struct log_field *fields, size_t count);

/* Copies len bytes of somebody else's text so that they can stand in a log line as one word:
 * printable ASCII but space, quote and backslash stays, all else becomes \xNN. Always ends with a
 * NUL; cuts (with "...") what does not fit into size bytes, size >= 8. Returns dst. */
char *log_escape(char *dst, size_t size, const void *text, size_t len);

/* The same for text that may be several words: spaces, quotes and backslashes stay. */
char *log_sentence(char *dst, size_t size, const void *text, size_t len);

/* For a process with a loop: log_poll() says what to wait for besides, and log_polled() sends what has
 * room then. No descriptor to wait for is -1. */
#define LOG_POLLS DELIVERY_POLLS
void log_poll(struct pollfd p[LOG_POLLS]);
void log_polled(const struct pollfd p[LOG_POLLS]);

/* Says in a listener that it will have children, and in each of them that it is one. What they can't send
 * themselves at their end, the listener does. */
void log_share(void);
void log_child(void);

/* Ends the log: what is kept gets a last second, or is handed to the listener. */
void log_finish(void);

#endif
