/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/config.h"

#include "common/log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t"
#define LINE_MAX_BYTES 4096
#define FILE_MAX_BYTES (1024UL * 1024)
#define MISTAKES_MAX 50 /* are logged one by one; the others are counted */

struct reader {
    FILE *stream;
    const char *file;
    size_t bytes; /* read so far */
    unsigned line;
    unsigned mistakes;
    char text[LINE_MAX_BYTES + 3]; /* the line, its CR LF and a NUL */
};

enum got { GOT_LINE, GOT_NUL, GOT_TOO_LONG, GOT_TOO_LARGE, GOT_END };

/* Reads a line to its end, however long it is. Keeps as much as is allowed, without the line end. */
static enum got read_line(struct reader *r)
{
    size_t len = 0, all = 0;
    bool nul = false;
    int byte;

    while ((byte = getc(r->stream)) != EOF) {
        if (++r->bytes > FILE_MAX_BYTES)
            return GOT_TOO_LARGE;
        all++;
        if (byte == '\n')
            break;
        nul = nul || byte == '\0';
        if (len < sizeof r->text - 1)
            r->text[len++] = (char)byte;
    }
    if (all == 0)
        return GOT_END;
    if (len > 0 && r->text[len - 1] == '\r')
        len--;
    r->text[len] = '\0';
    if (nul)
        return GOT_NUL;
    return len > LINE_MAX_BYTES ? GOT_TOO_LONG : GOT_LINE;
}

static void refuse(struct reader *r, const char *about, const char *why)
{
    char shown[80];

    if (++r->mistakes > MISTAKES_MAX)
        return;
    if (about == NULL)
        log_error("%s:%u: %s", r->file, r->line, why);
    else
        log_error("%s:%u: %s: %s", r->file, r->line,
                  log_escape(shown, sizeof shown, about, strlen(about)), why);
}

/* Cuts off a comment: # or ; at the beginning of the line or behind a blank. */
static void cut_comment(char *text)
{
    for (char *p = text; (p = strpbrk(p, "#;")) != NULL; p++) {
        if (p == text || strchr(BLANKS, p[-1]) != NULL) {
            *p = '\0';
            return;
        }
    }
}

/* Returns the text without the blanks around it. */
static char *trim(char *text)
{
    text += strspn(text, BLANKS);
    size_t len = strlen(text);
    while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
        len--;
    text[len] = '\0';
    return text;
}

/* Splits an `option = value` line and passes it to take(). */
static void take_line(struct reader *r, char *text, config_taker *take, void *who)
{
    char why[200] = "";

    cut_comment(text);
    text = trim(text);
    if (*text == '\0')
        return;
    size_t len = strlen(text);
    if (*text == '[' && text[len - 1] == ']') {
        text[len - 1] = '\0';
        refuse(r, text + 1, "sections mean nothing here; write option = value lines only");
        return;
    }
    char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        refuse(r, NULL, "not an `option = value' line");
        return;
    }
    *equals = '\0';
    const char *name = trim(text);
    if (take(who, name, trim(equals + 1), why, sizeof why) != 0)
        refuse(r, name, why);
}

/* Reads all lines, also those behind a mistake, so that all mistakes are logged. */
static void read_lines(struct reader *r, config_taker *take, void *who)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    size_t mark = sizeof byte_order_mark - 1;

    for (r->line = 1;; r->line++) {
        enum got got = read_line(r);
        if (got == GOT_END)
            return;
        if (got == GOT_TOO_LARGE) {
            refuse(r, NULL, "the file is too large: 1 MiB is the most");
            return;
        }
        if (got == GOT_NUL) {
            refuse(r, NULL, "there is a NUL in this line");
        } else if (got == GOT_TOO_LONG) {
            refuse(r, NULL, "this line is too long: 4,096 bytes are the most");
        } else {
            bool marked = r->line == 1 && strncmp(r->text, byte_order_mark, mark) == 0;
            take_line(r, r->text + (marked ? mark : 0), take, who);
        }
    }
}

int config_read(const char *file, config_taker *take, void *who)
{
    struct reader r = {.file = file, .stream = fopen(file, "re")};

    if (r.stream == NULL) {
        log_error("--config=%s: cannot be opened: %s", file, strerror(errno));
        return -1;
    }
    errno = 0;
    read_lines(&r, take, who);
    int saved = errno;
    bool unreadable = ferror(r.stream) != 0;
    (void)fclose(r.stream);
    if (unreadable) {
        log_error("--config=%s: cannot be read: %s", file, strerror(saved));
        return -1;
    }
    if (r.mistakes > MISTAKES_MAX)
        log_error("%s: %u more mistakes", file, r.mistakes - MISTAKES_MAX);
    return r.mistakes > 0 ? -1 : 0;
}
