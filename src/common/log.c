/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/log.h"

#include "common/delivery.h"
#include "common/json.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum kind { KIND_ERROR, KIND_CLIENT, KIND_NOISE, KIND_NOTE, KIND_DETAIL };

static const struct {
    int priority;
    const char *word; /* in JSON */
} kinds[] = {
    [KIND_ERROR] = {LOG_ERR, "error"},     [KIND_CLIENT] = {LOG_NOTICE, "error"},
    [KIND_NOISE] = {LOG_NOTICE, "note"},   [KIND_NOTE] = {LOG_INFO, "note"},
    [KIND_DETAIL] = {LOG_DEBUG, "detail"},
};

static struct {
    enum log_target target;
    enum log_level level;
    bool json;
    bool journal;
    bool suspended;
    log_taker *take;
    void *who;
    char client[160];
} the_log = {.target = LOG_TO_STDERR};

void log_open(enum log_target target, enum log_level level)
{
    the_log.target = target;
    the_log.level = level;
    if ((target & LOG_TO_STDERR) != 0)
        delivery_open(DELIVERY_STDERR);
    if (target == LOG_TO_SYSLOG)
        delivery_open(DELIVERY_SYSLOG);
    if ((target & LOG_TO_SYSLOG) == 0)
        return;
    /* Reads the time zone now: lines for syslog have local time, and the jail opens no files. */
    time_t now = time(NULL);
    struct tm local;
    (void)localtime_r(&now, &local);
}

void log_as_json(void)
{
    the_log.json = true;
}

void log_as_journal(bool yes)
{
    the_log.journal = yes;
}

void log_about(const char *client)
{
    (void)snprintf(the_log.client, sizeof the_log.client, "%s", client);
}

void log_redirect(log_taker *take, void *who)
{
    the_log.take = take;
    the_log.who = who;
}

void log_suspend(bool suspended)
{
    the_log.suspended = suspended;
}

/* A line under construction. Text that does not fit is cut. */
struct line {
    char text[2600];
    size_t len;
};

static void add(struct line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *l, const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof l->text - l->len;

    va_start(arguments, format);
    int n = vsnprintf(l->text + l->len, room, format, arguments);
    va_end(arguments);
    if (n > 0)
        l->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* Adds a JSON string. The text is printable ASCII, as in all lines. */
static void add_string(struct line *l, const char *text)
{
    char shown[JSON_BYTE_SIZE];

    add(l, "\"");
    for (; *text != '\0'; text++)
        add(l, "%s", json_byte(shown, *text));
    add(l, "\"");
}

static void begin_json(struct line *l, enum kind kind)
{
    struct timespec now = {0};
    struct tm t;
    char date[32];

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &t);
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &t);
    add(l, "{\"time\": \"%s.%03ldZ\", \"pid\": %ld, \"level\": \"%s\"", date, now.tv_nsec / 1000000,
        (long)getpid(), kinds[kind].word);
    if (the_log.client[0] != '\0') {
        add(l, ", \"client\": ");
        add_string(l, the_log.client);
    }
}

static void begin_line(struct line *l)
{
    if (the_log.client[0] != '\0')
        add(l, "client=%s ", the_log.client);
}

/* Begins a line for syslog (RFC 3164 section 4.1), whose facility is mail. */
static void begin_syslog(struct line *l, enum kind kind)
{
    struct timespec now = {0};
    struct tm local;
    char date[32] = "";

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (localtime_r(&now.tv_sec, &local) != NULL)
        (void)strftime(date, sizeof date, "%b %e %H:%M:%S", &local);
    add(l, "<%d>%s postern[%ld]: ", LOG_MAIL | kinds[kind].priority, date, (long)getpid());
}

/* Sends a finished text with the prefix and the line end that its target wants. One call sends all of it, so
 * that lines of several processes don't mix. */
static void put(enum delivery_way way, enum kind kind, const char *text)
{
    struct line whole = {.len = 0};
    const char *end = way == DELIVERY_STDERR ? "\n" : "";

    if (way == DELIVERY_SYSLOG)
        begin_syslog(&whole, kind);
    else if (the_log.journal && !the_log.json)
        add(&whole, "<%d>", kinds[kind].priority);
    else if (!the_log.json)
        add(&whole, "postern[%ld]: ", (long)getpid());
    add(&whole, "%.*s%s", (int)(sizeof whole.text - whole.len - 2), text, end);
    delivery_put(way, whole.text, whole.len);
}

/* Writes a line that says how many lines were lost, if any were. */
static void tell_lost(enum delivery_way way)
{
    struct line l = {.len = 0};
    unsigned long lost = delivery_take_lost(way);

    if (lost == 0)
        return;
    if (the_log.json)
        begin_json(&l, KIND_ERROR);
    add(&l, "%s%lu lines of the log are lost: its reader was too slow, or gone%s",
        the_log.json ? ", \"message\": \"" : "", lost, the_log.json ? "\"}" : "");
    put(way, KIND_ERROR, l.text);
}

static void deliver_to(enum delivery_way way, enum kind kind, const struct line *l)
{
    delivery_open(way);
    tell_lost(way);
    put(way, kind, l->text);
}

/* Sends a finished line to each target of the log. */
static void deliver(enum kind kind, const struct line *l)
{
    if ((the_log.target & LOG_TO_STDERR) != 0)
        deliver_to(DELIVERY_STDERR, kind, l);
    if ((the_log.target & LOG_TO_SYSLOG) != 0)
        deliver_to(DELIVERY_SYSLOG, kind, l);
}

/* Writes one line. `time`: milliseconds, put behind the text or in JSON into a field; NULL: none. */
static void log_line(enum kind kind, const char *time, const char *format, va_list arguments)
{
    char raw[2048], message[2048];
    struct line l = {.len = 0};
    int saved = errno;

    if (the_log.suspended)
        return;
    (void)vsnprintf(raw, sizeof raw, format, arguments);
    /* File names and the like come from outside: escapes keep the message on one line. */
    (void)log_sentence(message, sizeof message, raw, strlen(raw));
    if (the_log.take != NULL) {
        the_log.take(the_log.who, kind == KIND_ERROR || kind == KIND_CLIENT, message);
    } else if (the_log.json) {
        begin_json(&l, kind);
        add(&l, ", \"message\": ");
        add_string(&l, message);
        if (time != NULL)
            add(&l, ", \"ms\": %s", time);
        add(&l, "}");
        deliver(kind, &l);
    } else {
        begin_line(&l);
        add(&l, "%s", message);
        if (time != NULL)
            add(&l, " (%s ms)", time);
        deliver(kind, &l);
    }
    errno = saved;
}

void log_summary(const struct log_field *fields, size_t count)
{
    struct line l = {.len = 0};
    char shown[400];

    if (the_log.level < LOG_NORMAL || the_log.suspended)
        return;
    if (the_log.json)
        begin_json(&l, KIND_NOTE);
    else
        begin_line(&l);
    for (size_t i = 0; i < count; i++) {
        (void)log_escape(shown, sizeof shown, fields[i].text, strlen(fields[i].text));
        if (!the_log.json) {
            add(&l, "%s%s=%s", i > 0 ? " " : "", fields[i].name, shown);
            continue;
        }
        add(&l, ", \"%s\": ", fields[i].name);
        if (fields[i].is_number)
            add(&l, "%s", shown);
        else
            add_string(&l, shown);
    }
    if (the_log.json)
        add(&l, "}");
    deliver(KIND_NOTE, &l);
}

void log_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(KIND_ERROR, NULL, format, arguments);
    va_end(arguments);
}

void log_client(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(KIND_CLIENT, NULL, format, arguments);
    va_end(arguments);
}

void log_noise(const char *format, ...)
{
    va_list arguments;

    if (the_log.level < LOG_NORMAL)
        return;
    va_start(arguments, format);
    log_line(KIND_NOISE, NULL, format, arguments);
    va_end(arguments);
}

void log_note(const char *format, ...)
{
    va_list arguments;

    if (the_log.level < LOG_NORMAL)
        return;
    va_start(arguments, format);
    log_line(KIND_NOTE, NULL, format, arguments);
    va_end(arguments);
}

void log_detail(const char *format, ...)
{
    va_list arguments;

    if (the_log.level < LOG_VERBOSE)
        return;
    va_start(arguments, format);
    log_line(KIND_DETAIL, NULL, format, arguments);
    va_end(arguments);
}

void log_timed(int64_t us, const char *format, ...)
{
    va_list arguments;
    char time[32];

    if (the_log.level < LOG_VERBOSE)
        return;
    (void)snprintf(time, sizeof time, "%lld.%lld", (long long)us / 1000,
                   (long long)us % 1000 / 100);
    va_start(arguments, format);
    log_line(KIND_DETAIL, time, format, arguments);
    va_end(arguments);
}

bool log_has_details(void)
{
    return the_log.level >= LOG_VERBOSE;
}

/* Reports lost lines on each target that has room for it. */
static void tell_all_lost(void)
{
    tell_lost(DELIVERY_STDERR);
    tell_lost(DELIVERY_SYSLOG);
}

void log_poll(struct pollfd p[LOG_POLLS])
{
    delivery_poll(p);
}

void log_polled(const struct pollfd p[LOG_POLLS])
{
    if (delivery_polled(p))
        tell_all_lost();
}

void log_descriptors(int fds[LOG_DESCRIPTORS])
{
    delivery_descriptors(fds);
}

void log_share(void)
{
    delivery_share();
}

void log_child(void)
{
    delivery_child();
}

void log_finish(void)
{
    if (delivery_finish())
        tell_all_lost();
}
