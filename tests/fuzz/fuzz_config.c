/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: the text of a configuration file. Unless that begins with a comment or an empty line, the
 * first line is the name of a file that isn't there. */
#include "common.h"

#include "start/command_line.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

static char path[40];
static int file;

/* The one file there is, in memory. */
void fuzz_begin(void)
{
    CHECK((file = memfd_create("config", MFD_CLOEXEC)) >= 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
}

/* Options come from one line of the file each: with nothing in between, and never from a part. */
static void check_owned(const struct options *o, const uint8_t *data, size_t size)
{
    CHECK(memchr(data, '\0', size) == NULL);
    for (size_t i = 0; i < o->owned_count; i++) {
        CHECK(strchr(o->owned[i], '\n') == NULL);
        CHECK(memmem(data, size, o->owned[i], strlen(o->owned[i])) != NULL);
    }
}

/* The log names lines of the file, each once and in their order. */
static void check_line_numbers(const char *said, const uint8_t *data, size_t size)
{
    unsigned long lines = 1, last = 0;

    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    for (; *said != '\0'; said = strchr(said, '\n') + 1) {
        if (strncmp(said, path, strlen(path)) != 0 || said[strlen(path) + 1] == ' ')
            continue; /* the file is not there; the mistakes that are only counted */
        unsigned long line = strtoul(said + strlen(path) + 1, NULL, 10);
        CHECK(line > last && line <= lines);
        last = line;
    }
}

/* Reads the file on top of a command line, whose --cert and --starttls win. */
static void try(int argc, char **argv, const uint8_t *data, size_t size)
{
    struct options o;
    const char *said;
    int status = options_read(&o, argc, argv);
    unsigned lines = fuzz_heard(&said);

    CHECK(status == 0 || status == EX_USAGE || status == EX_CONFIG);
    CHECK(lines == (status == 0 ? 0 : 1) || (status == EX_CONFIG && lines > 1 && lines <= 51));
    if (status == 0) {
        fuzz_check_options(&o, argc, argv);
        check_owned(&o, data, size);
        CHECK(argc < 6 || (o.pair_count == 1 && strcmp(o.pairs[0].cert, "mine.pem") == 0 &&
                           o.pairs[0].key == NULL && strcmp(o.starttls, "pop3") == 0));
    } else if (status == EX_CONFIG) {
        check_line_numbers(said, data, size);
    }
    options_free(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *line = "";
    size_t len = size, line_len = 0;

    CHECK(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    (void)fuzz_line(&text, &len, &line, &line_len);
    bool is_file = line_len == 0 || *line == '#';
    char *missing;
    CHECK(asprintf(&missing, "/nowhere/%.*s", (int)line_len, line) > 0);
    char *which = is_file ? path : missing;
    char *bare[] = {"postern", "-f", which, "imapd", NULL};
    char *full[] = {"postern", "-c", "mine.pem", "-s", "pop3", "-f", which, "popd", NULL};
    try(4, bare, data, size);
    try(8, full, data, size);
    free(missing);
    return 0;
}
