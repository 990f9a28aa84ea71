/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static struct {
    enum log_target target;
    enum log_level level;
    bool suspended;
    log_taker *take;
    void *who;
    char about[200];
} the_log = {.target = LOG_TO_STDERR, .level = LOG_NORMAL};

void log_open(enum log_target target, enum log_level level)
{
    the_log.target = target;
    the_log.level = level;
    if ((target & LOG_TO_SYSLOG) == 0)
        return;
    /* syslog(3) writes local time: the zone is read now, while files may still be opened. */
    time_t now = time(NULL);
    struct tm local;
    (void)localtime_r(&now, &local);
    openlog("postern", LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void log_about(const char *prefix)
{
    (void)snprintf(the_log.about, sizeof the_log.about, "%s", prefix);
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

static void to_stderr(const char *message)
{
    char line[2400];
    int n =
        snprintf(line, sizeof line, "postern[%ld]: %s%s\n", (long)getpid(), the_log.about, message);

    if (n < 0)
        return;
    if ((size_t)n >= sizeof line) {
        n = sizeof line - 1;
        line[n - 1] = '\n';
    }
    /* One write a line, so that lines of several processes don't mix. */
    ssize_t written;
    do {
        written = write(STDERR_FILENO, line, (size_t)n);
    } while (written < 0 && errno == EINTR);
}

static void log_line(int priority, const char *format, va_list arguments)
{
    char raw[2048], message[2048];
    int saved = errno;

    if (the_log.suspended)
        return;
    (void)vsnprintf(raw, sizeof raw, format, arguments);
    /* File names and the like come from outside: whatever is in them, it stays one line. */
    (void)log_sentence(message, sizeof message, raw, strlen(raw));
    if (the_log.take != NULL)
        the_log.take(the_log.who, priority == LOG_ERR, message);
    else if ((the_log.target & LOG_TO_STDERR) != 0)
        to_stderr(message);
    if (the_log.take == NULL && (the_log.target & LOG_TO_SYSLOG) != 0)
        syslog(priority, "%s%s", the_log.about, message);
    errno = saved;
}

void log_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    log_line(LOG_ERR, format, arguments);
    va_end(arguments);
}

void log_note(const char *format, ...)
{
    va_list arguments;

    if (the_log.level < LOG_NORMAL)
        return;
    va_start(arguments, format);
    log_line(LOG_INFO, format, arguments);
    va_end(arguments);
}

void log_detail(const char *format, ...)
{
    va_list arguments;

    if (the_log.level < LOG_VERBOSE)
        return;
    va_start(arguments, format);
    log_line(LOG_DEBUG, format, arguments);
    va_end(arguments);
}

static bool is_plain(uint8_t byte, const char *escaped)
{
    return byte >= ' ' && byte < 0x7f && strchr(escaped, byte) == NULL;
}

static char *escape(char *dst, size_t size, const uint8_t *text, size_t len, const char *escaped)
{
    static const char hex[] = "0123456789abcdef";
    size_t n = 0, needed = 1;

    for (size_t i = 0; i < len && needed <= size; i++)
        needed += is_plain(text[i], escaped) ? 1 : 4;
    /* What is cut ends in three dots. */
    size_t limit = needed <= size ? size - 1 : size - 4;
    for (size_t i = 0; i < len; i++) {
        bool plain = is_plain(text[i], escaped);
        if (n + (plain ? 1U : 4U) > limit) {
            memcpy(dst + n, "...", 3);
            n += 3;
            break;
        }
        if (plain) {
            dst[n++] = (char)text[i];
            continue;
        }
        dst[n++] = '\\';
        dst[n++] = 'x';
        dst[n++] = hex[text[i] >> 4];
        dst[n++] = hex[text[i] & 15];
    }
    dst[n] = '\0';
    return dst;
}

char *log_escape(char *dst, size_t size, const void *text, size_t len)
{
    return escape(dst, size, text, len, " \"\\");
}

char *log_sentence(char *dst, size_t size, const void *text, size_t len)
{
    return escape(dst, size, text, len, "");
}
