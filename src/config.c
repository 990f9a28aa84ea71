/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config.h"

#include "log.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct reader {
    FILE *file;
    config_taker *take;
    void *who;
    bool too_long;
    char why[320]; /* the first thing that is wrong; inih then tells its line */
};

/* inih takes an indented line for a continuation and a long one for two: neither is wanted. */
static char *read_line(char *line, int size, void *stream)
{
    struct reader *reader = stream;

    if (fgets(line, size, reader->file) == NULL)
        return NULL;
    size_t len = strlen(line);
    if (len == (size_t)size - 1 && line[len - 1] != '\n') {
        reader->too_long = true;
        (void)snprintf(line, (size_t)size, "=\n");
        return line;
    }
    size_t blank = strspn(line, " \t");
    memmove(line, line + blank, len - blank + 1);
    return line;
}

/* inih calls this for each line; 0 marks that line as wrong. */
static int take_line(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;
    char why[200] = "sections mean nothing here; write option = value lines only";
    char shown[80];
    const char *about = *section != '\0' ? section : name;

    if (reader->too_long && reader->why[0] == '\0') {
        (void)snprintf(reader->why, sizeof reader->why, "this line is too long");
        return 0;
    }
    if (*section == '\0' && reader->take(reader->who, name, value, why, sizeof why) == 0)
        return 1;
    if (reader->why[0] == '\0')
        (void)snprintf(reader->why, sizeof reader->why, "%s: %s",
                       log_escape(shown, sizeof shown, about, strlen(about)), why);
    return 0;
}

int config_read(const char *file, config_taker *take, void *who)
{
    struct reader reader = {.file = fopen(file, "re"), .take = take, .who = who};

    if (reader.file == NULL) {
        log_error("--config=%s: cannot be opened: %s", file, strerror(errno));
        return -1;
    }
    errno = 0;
    int line = ini_parse_stream(read_line, &reader, take_line, &reader);
    bool unreadable = ferror(reader.file) != 0;
    int saved = errno;
    (void)fclose(reader.file);
    if (unreadable) {
        log_error("--config=%s: cannot be read: %s", file, strerror(saved));
        return -1;
    }
    if (line == 0)
        return 0;
    log_error("%s:%d: %s", file, line,
              reader.why[0] != '\0' ? reader.why : "not an `option = value' line");
    return -1;
}
