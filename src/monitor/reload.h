/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Wait mode: certificate, key and ticket files are read once for all connections, and again when they have
 * changed. A process of its own tries the new ones first, for whoever decodes a key has traces of it
 * in memory, and the listener's memory is every gate's. */
#ifndef POSTERN_RELOAD_H
#define POSTERN_RELOAD_H

#include "common/io.h"
#include "start/options.h"
#include "vault/client_ca.h"
#include "vault/vault.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* What tells one version of a file from another. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

#define RELOAD_FILES_MAX (2 * OPTIONS_PAIRS_MAX + 4)

struct reload {
    const struct options *o;
    struct stamp stamps[RELOAD_FILES_MAX]; /* of the files that were tried last */
    pid_t trial;                           /* the process that tries them; 0: none */
    io_time next_look;                     /* when the files are looked at again */
};

/* True if the files have changed since they were tried. They are looked at once a second at most. */
bool reload_is_due(struct reload *r);

/* Starts the process that tries the files; it logs what is wrong with them. Returns 0, or logs one line
 * and returns a negative errno. */
int reload_begin(struct reload *r);

/* To be called with the wait(2) status of that process. Puts the new certificates, keys and ticket keys,
 * ready to be lent, in the place of *v, and what client certificates are judged by in that of *t, if they
 * can be used. Returns 0; -EAGAIN when the files have changed once
 * more and reload_begin() is to be called again; or -EINVAL: both are as before. */
int reload_finish(struct reload *r, int wait_status, struct vault *v, struct trust *t);

#endif
