/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The log: one line for each message, to stderr, to syslog or to both. */
#ifndef POSTERN_LOG_H
#define POSTERN_LOG_H

#include "common/delivery.h"
#include "common/escape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_target {
    LOG_TO_STDERR = 1,
    LOG_TO_SYSLOG = 2,
    LOG_TO_BOTH = LOG_TO_STDERR | LOG_TO_SYSLOG
};

enum log_level { LOG_QUIET = -1, LOG_NORMAL = 0, LOG_VERBOSE = 1 };

/* Chooses the target and the level of the log. Before this call: stderr, LOG_NORMAL. */
void log_open(enum log_target target, enum log_level level);

/* Makes each line a JSON object (RFC 8259) with time, pid, level, client and message. log_timed() adds "ms";
 * log_summary() writes its fields in place of a message. */
void log_as_json(void);

/* Writes lines on standard error as the journal wants them: they begin with their priority, as in <3>, and have
 * no name and process id, which the journal adds (sd-daemon(3)). */
void log_as_journal(bool yes);

/* Begins each line with "client=CLIENT". Copies the text, cut at 160 bytes. "" ends that. */
void log_about(const char *client);

/* Passes each line to `take`, with `who`, and writes it nowhere; NULL ends that. */
typedef void log_taker(void *who, bool error, const char *text);
void log_redirect(log_taker *take, void *who);

/* Drops all lines while `suspended` is true: for a first try whose failure a second try may mend. */
void log_suspend(bool suspended);

/* Write one line each, made printable by log_sentence(): errors always, notes unless LOG_QUIET, details only
 * with LOG_VERBOSE. Never wait for a reader: a connection must neither fail nor stop because of its
 * log. A line without room is kept, see log_poll(); a later line says how many were lost. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Write an error that a client made, and a note on a client that did not even try, such as a port scanner. Both
 * have the priority LOG_NOTICE, so that filters can tell them from our own errors and from sessions. */
void log_client(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_noise(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes a detail and how long that step took: `us` microseconds, shown as "(0.7 ms)", in JSON as a field
 * "ms". */
void log_timed(int64_t us, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True with LOG_VERBOSE: details are written, so callers may prepare them. */
bool log_has_details(void);

/* A field of a summary. */
struct log_field {
    const char *name;
    const char *text;
    bool is_number; /* `text` is a number, which JSON shows without quotes */
};

/* Writes a note "name=value name=value", values escaped by log_escape(). */
void log_summary(const struct log_field *fields, size_t count);

/* Join the log to a process's poll(2) loop: log_poll() adds what to wait for, and log_polled() sends kept lines
 * that have room now. A descriptor of -1 stands for nothing. */
#define LOG_POLLS DELIVERY_POLLS
void log_poll(struct pollfd p[LOG_POLLS]);
void log_polled(const struct pollfd p[LOG_POLLS]);

/* Puts the log's descriptors into fds, -1 for none, so that whoever closes others spares them. */
#define LOG_DESCRIPTORS DELIVERY_DESCRIPTORS
void log_descriptors(int fds[LOG_DESCRIPTORS]);

/* log_share() is called in a listener before its first fork(2), log_child() in each child after it. The listener
 * sends the lines that a child still keeps when it ends. */
void log_share(void);
void log_child(void);

/* Ends the log: waits up to a second for room for kept lines, or passes them to the listener. */
void log_finish(void);

#endif
