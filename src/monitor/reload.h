/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wait mode: reads certificate, key and ticket files once for all connections, and again when they have
 * changed. A child process tries new files first. It decodes the keys, which leaves traces in its memory. The
 * listener must not decode any, since every gate inherits its memory. */
#ifndef POSTERN_RELOAD_H
#define POSTERN_RELOAD_H

#include "common/io.h"
#include "start/options.h"
#include "vault/client_ca.h"
#include "vault/vault.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Tells one version of a file from another. All zeros: there is no such file. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

#define RELOAD_FILES_MAX (2 * OPTIONS_PAIRS_MAX + 4)

struct reload {
    const struct options *o;
    struct stamp stamps[RELOAD_FILES_MAX]; /* of the files as they were tried last */
    pid_t trial;                           /* the process that tries them; 0: none */
    io_time next_look;                     /* when the files are compared again */
};

/* True if the files have changed since they were tried. Compares them once a second at most. */
bool reload_is_due(struct reload *r);

/* Starts the process that tries the files, if none runs. That process logs what is wrong with them. Returns 0,
 * or logs one line and returns a negative errno. */
int reload_begin(struct reload *r);

/* Replaces *v and *t by the new files, if they are good. To be called with the wait(2) status of the process
 * that tried them. Returns 0; -EAGAIN if the files have changed again, so that reload_begin() has to be called
 * again; or -EINVAL if they cannot be used. Except for 0, *v and *t stay as they were. */
int reload_finish(struct reload *r, int wait_status, struct vault *v, struct trust *t);

#endif
