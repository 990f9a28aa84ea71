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
    const char *unfit; /* why a line has not even been given to inih */
    char why[320];     /* the first thing that is wrong; inih then tells its line */
};

/* Reads up to an LF or as much as fits; *nul: there was a NUL, behind which inih would see nothing. */
static size_t read_part(FILE *file, char *line, size_t size, bool *nul)
{
    size_t len = 0;
    int byte = 0;

    while (len < size - 1 && byte != '\n' && (byte = getc(file)) != EOF) {
        line[len++] = (char)byte;
        *nul = *nul || byte == '\0';
    }
    line[len] = '\0';
    return len;
}

/* inih takes an indented line for a continuation and a long one for two: neither is wanted. */
static char *read_line(char *line, int size, void *stream)
{
    struct reader *reader = stream;
    bool nul = false;
    size_t len = read_part(reader->file, line, (size_t)size, &nul);

    if (len == 0)
        return NULL;
    if (nul)
        reader->unfit = "there is a NUL in this line";
    else if (len == (size_t)size - 1 && line[len - 1] != '\n')
        reader->unfit = "this line is too long";
    if (reader->unfit != NULL) {
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

    if (reader->unfit != NULL && reader->why[0] == '\0') {
        (void)snprintf(reader->why, sizeof reader->why, "%s", reader->unfit);
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
