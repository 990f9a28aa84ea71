/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The report of --check: lines for people, or one JSON object (RFC 8259) for programs. */
#ifndef POSTERN_REPORT_H
#define POSTERN_REPORT_H

#include <stdbool.h>
#include <stdio.h>

enum verdict {
    VERDICT_OK,
    VERDICT_NOTE, /* nothing to judge */
    VERDICT_WARN, /* works, but may not be wanted */
    VERDICT_FAIL  /* does not work, or is dangerous */
};

struct report {
    FILE *out;
    bool json;
    bool failed;  /* a line said VERDICT_FAIL */
    bool started; /* JSON: something stands in the list already */
};

/* Begins a report; what the log has to say goes into it from here on. */
void report_open(struct report *r, FILE *out, bool json);

/* Ends it, and says whether all is well. */
void report_close(struct report *r);

/* Writes one line. */
void report_line(struct report *r, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes a line that has facts for programs beside its text, up to report_end(). People get the text
 * only. */
void report_begin(struct report *r, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_text(struct report *r, const char *name, const char *value);
void report_number(struct report *r, const char *name, long long value);
void report_flag(struct report *r, const char *name, bool value);
/* A list of words that stand with commas between. */
void report_words(struct report *r, const char *name, const char *words);
void report_end(struct report *r);

#endif
