/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/reload.h"

#include "vault/client_ca.h"
#include "common/log.h"
#include "monitor/provision.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define LOOK_EVERY_SECONDS 1

/* Lists the files that are read once for all connections. Returns how many. */
static size_t list_files(const struct options *o, const char *files[RELOAD_FILES_MAX])
{
    const char *const others[] = {o->key_pass_file, o->tickets, o->client_ca, o->crl};
    size_t n = 0;

    for (size_t i = 0; i < o->pair_count; i++) {
        files[n++] = o->pairs[i].cert;
        if (o->pairs[i].key != NULL)
            files[n++] = o->pairs[i].key;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (others[i] != NULL)
            files[n++] = others[i];
    return n;
}

/* Reads the stamps of all files. A file that is not there has zeros. */
static void read_stamps(const struct options *o, struct stamp stamps[RELOAD_FILES_MAX])
{
    const char *files[RELOAD_FILES_MAX];
    size_t count = list_files(o, files);
    struct stat s;

    memset(stamps, 0, RELOAD_FILES_MAX * sizeof *stamps);
    for (size_t i = 0; i < count; i++) {
        if (stat(files[i], &s) != 0)
            continue;
        stamps[i].device = s.st_dev;
        stamps[i].inode = s.st_ino;
        stamps[i].size = s.st_size;
        stamps[i].modified = s.st_mtim;
        stamps[i].changed = s.st_ctim;
    }
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_stamps(const struct stamp *a, const struct stamp *b)
{
    for (size_t i = 0; i < RELOAD_FILES_MAX; i++)
        if (a[i].device != b[i].device || a[i].inode != b[i].inode || a[i].size != b[i].size ||
            !same_time(&a[i].modified, &b[i].modified) || !same_time(&a[i].changed, &b[i].changed))
            return false;
    return true;
}

bool reload_is_due(struct reload *r)
{
    struct stamp now[RELOAD_FILES_MAX];

    if (r->trial != 0 || io_remaining(r->next_look) > 0)
        return false;
    r->next_look = io_deadline(LOOK_EVERY_SECONDS);
    read_stamps(r->o, now);
    return !same_stamps(now, r->stamps);
}

int reload_begin(struct reload *r)
{
    struct vault v;
    struct trust t = {0};

    if (r->trial != 0)
        return 0;
    read_stamps(r->o, r->stamps);
    pid_t pid = fork();
    if (pid == 0) {
        log_child();
        int rc = vault_load(&v, r->o);
        if (rc == 0)
            rc = vault_unlock(&v, r->o, false);
        if (rc == 0)
            rc = client_ca_read(&t, r->o);
        log_finish();
        _exit(rc == 0 ? EX_OK : EX_CONFIG);
    }
    if (pid < 0) {
        int rc = -errno;
        log_error("cannot start a process to try the certificates in: %s", strerror(-rc));
        memset(r->stamps, 0, sizeof r->stamps); /* nothing has been tried */
        return rc;
    }
    r->trial = pid;
    return 0;
}

int reload_finish(struct reload *r, int wait_status, struct vault *v, struct trust *t)
{
    struct stamp now[RELOAD_FILES_MAX];
    struct vault fresh;
    struct trust fresh_trust = {0};

    r->trial = 0;
    read_stamps(r->o, now);
    if (!same_stamps(now, r->stamps))
        return -EAGAIN;
    if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != EX_OK)
        return -EINVAL;
    if (provision_read(&fresh, &fresh_trust, r->o) < 0)
        return -EINVAL;
    /* Makes sure that the files which were read are those which were tried. */
    read_stamps(r->o, now);
    bool changed = !same_stamps(now, r->stamps);
    if (changed || vault_lend(&fresh) < 0) {
        fresh.holder = VAULT_LENT;
        vault_wipe(&fresh);
        trust_free(&fresh_trust);
        return changed ? -EAGAIN : -EINVAL;
    }
    vault_wipe(v);
    *v = fresh;
    trust_free(t);
    *t = fresh_trust;
    return 0;
}
