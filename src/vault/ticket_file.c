/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault/ticket_file.h"

#include "vault/files.h"
#include "common/io.h"
#include "common/log.h"
#include "common/random.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATE_SIZE 20 /* "2025-01-31T12:00:00Z", and no NUL */

static const char heading[] =
    "# Session-ticket keys of postern(8): the first one seals, all open. Keep them secret: "
    "whoever\n"
    "# has them can read sessions. `postern --new-ticket-key=FILE' puts a new one first.\n";

/* Returns the value of a hexadecimal digit, or -1. */
static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Parses a line without its end: a date, one space, the key in hexadecimal. Returns 0 or a negative errno. */
static int parse_line(struct ticket_key *k, const uint8_t *line, size_t len)
{
    char date[DATE_SIZE + 1];
    struct tm t = {0};

    if (len != DATE_SIZE + 1 + 2 * (size_t)TICKETS_KEY_SIZE || line[DATE_SIZE] != ' ')
        return -EINVAL;
    memcpy(date, line, DATE_SIZE);
    date[DATE_SIZE] = '\0';
    const char *end = strptime(date, "%Y-%m-%dT%H:%M:%SZ", &t);
    if (end == NULL || *end != '\0')
        return -EINVAL;
    k->made = timegm(&t);
    line += DATE_SIZE + 1;
    for (size_t i = 0; i < TICKETS_KEY_SIZE; i++) {
        int high = hex_digit(line[2 * i]), low = hex_digit(line[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        k->key[i] = (uint8_t)(high * 16 + low);
    }
    return tickets_name_key(k);
}

static enum key_text parse_lines(struct tickets *t, const uint8_t *text, size_t len, size_t *line)
{
    for (*line = 1; len > 0; (*line)++) {
        const uint8_t *newline = memchr(text, '\n', len);
        size_t whole = newline != NULL ? (size_t)(newline - text) : len;
        size_t used = whole;
        while (used > 0 &&
               (text[used - 1] == ' ' || text[used - 1] == '\t' || text[used - 1] == '\r'))
            used--;
        if (used > 0 && text[0] != '#') {
            if (t->count == TICKET_KEYS_MAX)
                return KEY_TEXT_TOO_MANY;
            if (parse_line(&t->keys[t->count], text, used) < 0)
                return KEY_TEXT_WRONG;
            t->count++;
        }
        text += whole;
        len -= whole;
        if (len > 0) {
            text++;
            len--;
        }
    }
    return t->count > 0 ? KEY_TEXT_GOOD : KEY_TEXT_EMPTY;
}

enum key_text ticket_file_parse(struct tickets *t, const uint8_t *text, size_t len, size_t *line)
{
    t->count = 0;
    enum key_text result = parse_lines(t, text, len, line);
    if (result != KEY_TEXT_GOOD) {
        explicit_bzero(t->keys, sizeof t->keys);
        t->count = 0;
    }
    return result;
}

int ticket_file_read(struct tickets *t, const char *file)
{
    size_t len, line = 0;
    enum key_text result = KEY_TEXT_WRONG;
    int rc = files_read(file, true, t->text, sizeof t->text, &len);

    t->count = 0;
    if (rc == 0) {
        result = ticket_file_parse(t, t->text, len, &line);
        if (result == KEY_TEXT_EMPTY)
            log_error("%s: no ticket key in it: `postern --new-ticket-key=%s' makes one", file,
                      file);
        else if (result == KEY_TEXT_TOO_MANY)
            log_error("%s: line %zu: more than %d ticket keys", file, line, TICKET_KEYS_MAX);
        else if (result == KEY_TEXT_WRONG)
            log_error("%s: line %zu: no ticket key: wants a date like 2025-01-31T12:00:00Z, one "
                      "space and 64 hexadecimal digits",
                      file, line);
    }
    explicit_bzero(t->text, len);
    return rc == 0 && result != KEY_TEXT_GOOD ? -EINVAL : rc;
}

/* Writes the text of the new file into t->text. Returns its length. */
static size_t write_text(struct tickets *t)
{
    char *text = (char *)t->text;
    size_t size = sizeof t->text;
    size_t n = (size_t)snprintf(text, size, "%s", heading);

    for (size_t i = 0; i < t->count; i++) {
        struct tm when;
        (void)gmtime_r(&t->keys[i].made, &when);
        n += strftime(text + n, size - n, "%Y-%m-%dT%H:%M:%SZ ", &when);
        for (size_t k = 0; k < TICKETS_KEY_SIZE; k++)
            n += (size_t)snprintf(text + n, size - n, "%02x", t->keys[i].key[k]);
        n += (size_t)snprintf(text + n, size - n, "\n");
    }
    return n;
}

/* Reads the file's keys, if it is there, and puts a new key before them. *before is its state, if *existed.
 * Returns 0, or logs one line and returns a negative errno. */
static int add_key(struct tickets *t, const char *file, struct stat *before, bool *existed)
{
    *existed = stat(file, before) == 0;
    if (!*existed && errno != ENOENT) {
        int rc = -errno;
        log_error("%s: cannot be looked at: %s", file, strerror(-rc));
        return rc;
    }
    t->count = 0;
    int rc = *existed ? ticket_file_read(t, file) : 0;
    if (rc < 0)
        return rc;
    if (t->count > TICKET_FILE_KEPT - 1)
        t->count = TICKET_FILE_KEPT - 1;
    memmove(&t->keys[1], &t->keys[0], t->count * sizeof t->keys[0]);
    t->count++;
    t->keys[0].made = time(NULL);
    rc = random_fill(t->keys[0].key, TICKETS_KEY_SIZE);
    if (rc < 0)
        log_error("no randomness for a ticket key: %s", strerror(-rc));
    return rc;
}

/* Writes the new file as `beside` and renames it to `base`, both in the open and locked `folder`. before: the
 * state of the old file, or NULL. Returns 0 or a negative errno. */
static int replace(int folder, const char *base, const char *beside, const struct tickets *t,
                   size_t len, const struct stat *before)
{
    int rc = 0;

    (void)unlinkat(folder, beside, 0); /* left by a process that was killed */
    int fd = openat(folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, 0600) != 0 ||
        (before != NULL && (before->st_uid != geteuid() || before->st_gid != getegid()) &&
         fchown(fd, before->st_uid, before->st_gid) != 0))
        rc = -errno;
    if (rc == 0)
        rc = io_write_all(fd, t->text, len, -1, 0);
    if (rc == 0 && fsync(fd) != 0)
        rc = -errno;
    if (close(fd) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && renameat(folder, beside, folder, base) != 0)
        rc = -errno;
    if (rc == 0 && fsync(folder) != 0)
        rc = -errno;
    if (rc < 0)
        (void)unlinkat(folder, beside, 0);
    return rc;
}

/* Renews a file. `file` is its real path: a link to it must not be replaced. */
static int renew(struct tickets *t, const char *file)
{
    char parent[PATH_MAX], name[PATH_MAX], beside[NAME_MAX + 1];
    struct stat before;
    bool existed;

    /* dirname() and basename() may change their argument. */
    (void)snprintf(parent, sizeof parent, "%s", file);
    (void)snprintf(name, sizeof name, "%s", file);
    const char *base = basename(name);
    if (snprintf(beside, sizeof beside, "%s.new", base) >= (int)sizeof beside) {
        log_error("%s: too long a name", file);
        return -ENAMETOOLONG;
    }
    int folder = open(dirname(parent), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* The lock lets two processes add their keys one after the other. */
    if (folder < 0 || flock(folder, LOCK_EX) != 0) {
        int rc = -errno;
        log_error("%s: its folder cannot be opened: %s", file, strerror(-rc));
        io_close(&folder);
        return rc;
    }
    int rc = add_key(t, file, &before, &existed);
    if (rc == 0) {
        size_t len = write_text(t);
        rc = replace(folder, base, beside, t, len, existed ? &before : NULL);
        if (rc < 0)
            log_error("%s: cannot be replaced: %s", file, strerror(-rc));
    }
    io_close(&folder);
    return rc;
}

int ticket_file_renew(const char *file)
{
    struct tickets *t = calloc(1, sizeof *t);
    char real[PATH_MAX];

    if (t == NULL) {
        log_error("out of memory");
        return -ENOMEM;
    }
    int rc = renew(t, realpath(file, real) != NULL ? real : file);
    explicit_bzero(t, sizeof *t);
    free(t);
    return rc;
}
