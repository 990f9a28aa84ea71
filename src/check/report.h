/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes the report of --check: lines for people, or one JSON object (RFC 8259) for programs. */
#ifndef POSTERN_REPORT_H
#define POSTERN_REPORT_H

#include <stdbool.h>
#include <stdio.h>

enum verdict {
    VERDICT_OK,
    VERDICT_NOTE, /* a fact that is neither good nor bad */
    VERDICT_WARN, /* works, but may not be wanted */
    VERDICT_FAIL  /* does not work, or is dangerous */
};

struct report {
    FILE *out;
    bool json;
    bool failed;  /* a line had VERDICT_FAIL */
    bool started; /* JSON: the list has an element already */
};

/* Begins a report. From now on lines of the log become lines of the report: errors are VERDICT_FAIL. */
void report_open(struct report *r, FILE *out, bool json);

/* Ends the report with a line that says whether all is well. The log goes its usual way again. */
void report_close(struct report *r);

/* Writes one line. */
void report_line(struct report *r, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Begins a line with facts for programs, which the functions up to report_end() add. The report for people has
 * the text only. */
void report_begin(struct report *r, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void report_text(struct report *r, const char *name, const char *value);
void report_number(struct report *r, const char *name, long long value);
void report_flag(struct report *r, const char *name, bool value);
/* Adds a list of words; `words` has commas between them. */
void report_words(struct report *r, const char *name, const char *words);
void report_end(struct report *r);

#endif
