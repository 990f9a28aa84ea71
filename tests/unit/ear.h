/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Listens to what is written to standard error, the log. */
#ifndef POSTERN_TEST_EAR_H
#define POSTERN_TEST_EAR_H

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What was written between hear() and heard(). */
static char said[8192];

struct ear {
    int saved, file;
};

static inline struct ear hear(void)
{
    struct ear e = {fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), memfd_create("said", MFD_CLOEXEC)};

    (void)dup2(e.file, STDERR_FILENO);
    return e;
}

static inline void heard(struct ear e)
{
    (void)dup2(e.saved, STDERR_FILENO);
    ssize_t n = pread(e.file, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    (void)close(e.saved);
    (void)close(e.file);
}

static inline bool said_one_line(void)
{
    return said[0] != '\0' && strchr(said, '\n') == said + strlen(said) - 1;
}

#endif
