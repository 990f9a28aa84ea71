/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check/report.h"

#include "common/json.h"
#include "common/log.h"

#include <stdarg.h>
#include <string.h>

static const struct {
    const char *text;
    const char *json;
} verdicts[] = {
    [VERDICT_OK] = {"ok  ", "ok"},
    [VERDICT_NOTE] = {"note", "note"},
    [VERDICT_WARN] = {"warn", "warn"},
    [VERDICT_FAIL] = {"FAIL", "fail"},
};

static void put_string(FILE *out, const char *text, size_t len)
{
    char shown[JSON_BYTE_SIZE];

    (void)fputc('"', out);
    for (size_t i = 0; i < len; i++)
        (void)fputs(json_byte(shown, text[i]), out);
    (void)fputc('"', out);
}

static void put_name(struct report *r, const char *name)
{
    (void)fputs(", ", r->out);
    put_string(r->out, name, strlen(name));
    (void)fputs(": ", r->out);
}

static void begin(struct report *r, enum verdict verdict, const char *text)
{
    char shown[2048];

    r->failed = r->failed || verdict == VERDICT_FAIL;
    if (!r->json) {
        (void)fprintf(r->out, "%s  %s\n", verdicts[verdict].text,
                      log_sentence(shown, sizeof shown, text, strlen(text)));
        return;
    }
    (void)fprintf(r->out, "%s\n  {\"verdict\": \"%s\"", r->started ? "," : "",
                  verdicts[verdict].json);
    r->started = true;
    report_text(r, "text", text);
}

static void begin_formatted(struct report *r, enum verdict verdict, const char *format,
                            va_list arguments)
{
    char text[2048];

    (void)vsnprintf(text, sizeof text, format, arguments);
    begin(r, verdict, text);
}

/* Takes a line of the log into the report; see log_redirect(). */
static void take_log(void *report, bool error, const char *text)
{
    struct report *r = report;

    begin(r, error ? VERDICT_FAIL : VERDICT_NOTE, text);
    report_end(r);
}

void report_open(struct report *r, FILE *out, bool json)
{
    *r = (struct report){.out = out, .json = json};
    if (json)
        (void)fprintf(out, "{\"postern\": \"%s\", \"checks\": [", POSTERN_VERSION);
    log_redirect(take_log, r);
}

void report_close(struct report *r)
{
    log_redirect(NULL, NULL);
    if (r->json)
        (void)fprintf(r->out, "\n], \"ok\": %s}\n", r->failed ? "false" : "true");
    else
        (void)fputs(r->failed ? "FAIL: this does not work yet; see the lines above\n"
                              : "all is well\n",
                    r->out);
    (void)fflush(r->out);
}

void report_begin(struct report *r, enum verdict verdict, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    begin_formatted(r, verdict, format, arguments);
    va_end(arguments);
}

void report_line(struct report *r, enum verdict verdict, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    begin_formatted(r, verdict, format, arguments);
    va_end(arguments);
    report_end(r);
}

void report_text(struct report *r, const char *name, const char *value)
{
    if (!r->json)
        return;
    put_name(r, name);
    put_string(r->out, value, strlen(value));
}

void report_number(struct report *r, const char *name, long long value)
{
    if (!r->json)
        return;
    put_name(r, name);
    (void)fprintf(r->out, "%lld", value);
}

void report_flag(struct report *r, const char *name, bool value)
{
    if (!r->json)
        return;
    put_name(r, name);
    (void)fputs(value ? "true" : "false", r->out);
}

void report_words(struct report *r, const char *name, const char *words)
{
    const char *before = "";

    if (!r->json)
        return;
    put_name(r, name);
    (void)fputc('[', r->out);
    while (*words != '\0') {
        size_t len = strcspn(words, ",");
        (void)fputs(before, r->out);
        put_string(r->out, words, len);
        before = ", ";
        words += len + (words[len] == ',');
    }
    (void)fputc(']', r->out);
}

void report_end(struct report *r)
{
    if (r->json)
        (void)fputc('}', r->out);
}
