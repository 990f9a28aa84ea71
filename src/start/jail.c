/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/jail.h"

#include "common/io.h"
#include "start/jail_filter.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Without --gate-user the ids begin here: no distribution allocates from this range. */
#define OWN_IDS 1879048192U

/* Exists even in user namespaces with few ids. */
#define NOBODY 65534U

/* Bytes of memory that a session may use: several times what any needs, with keys of any kind. */
#define SESSION_MEMORY (8U << 20)
#define MEMORY_MAX ((rlim_t)1 << 30) /* highest limit tried; a larger monitor's gate has none */
#define STACK_MAX ((rlim_t)8 << 20)

/* `make install` makes this folder. If it is missing, each connection makes one of its own. */
#ifndef POSTERN_EMPTY_DIR
#define POSTERN_EMPTY_DIR "/usr/local/lib/postern/empty"
#endif

/* Makes a folder, opens it and removes its name, so that no file can be put into it. Returns -1 on failure. */
static int open_fresh(const char *parent, int flags)
{
    char path[64];

    (void)snprintf(path, sizeof path, "%s/postern-XXXXXX", parent);
    if (mkdtemp(path) == NULL)
        return -1;
    int fd = open(path, flags);
    (void)rmdir(path);
    return fd;
}

/* Opens the folder that becomes the gate's root folder. Returns -1 if none can be opened or made. */
static int open_root(const char *wanted)
{
    static const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    int fd = open(wanted != NULL ? wanted : POSTERN_EMPTY_DIR, flags);

    if (fd < 0 && wanted == NULL)
        fd = open_fresh("/tmp", flags);
    if (fd < 0 && wanted == NULL)
        fd = open_fresh("/run", flags);
    return fd;
}

int jail_prepare(struct jail *j, const struct options *o)
{
    *j = (struct jail){.mode = o->jail,
                       .as_root = geteuid() == 0,
                       .monitor = getpid(),
                       .root = -1,
                       .verifies = o->client_cert != CLIENT_CERT_OFF};
    if (o->gate_user != NULL && !j->as_root) {
        log_error("--gate-user=%s: only root can change users; leave it out", o->gate_user);
        return -EPERM;
    }
    if (o->gate_user != NULL && account_find(&j->account, o->gate_user) < 0) {
        log_error("--gate-user=%s: no such user or group", o->gate_user);
        return -ENOENT;
    }
    if (o->gate_user != NULL && (j->account.uid == 0 || j->account.gid == 0)) {
        log_error("--gate-user=%s: the gate must not run as root", o->gate_user);
        return -EINVAL;
    }
    j->own_id = o->gate_user == NULL;
    if (!j->as_root || j->mode == JAIL_OFF)
        return 0;
    j->root = open_root(o->chroot_dir);
    if (j->root >= 0 || o->chroot_dir == NULL)
        return 0;
    int rc = -errno;
    log_error("--chroot=%s: cannot be opened: %s", o->chroot_dir, strerror(-rc));
    return rc;
}

static int failed(struct jail_report *report, const char *what)
{
    int rc = errno != 0 ? -errno : -EPERM;

    (void)snprintf(report->missing, sizeof report->missing, "%s: %s", what, strerror(-rc));
    return rc;
}

static void lacks(struct jail_report *report, const char *what)
{
    size_t used = strlen(report->missing);

    (void)snprintf(report->missing + used, sizeof report->missing - used, "%s%s",
                   used > 0 ? ", " : "", what);
}

void jail_describe(const struct jail *j, const struct jail_report *report, char *text, size_t size)
{
    static const struct {
        const char *name;
        const char *lack; /* the word of lacks() or failed() for it */
        bool only_root;
    } parts[] = {
        {"empty root folder", "an empty root folder", true},
        {"unprivileged user", "a uid of its own", true},
        {"no groups", "dropping groups", true},
        {"no capabilities", "dropping capabilities", false},
        {"no_new_privs", "no_new_privs", false},
        {"not dumpable", "not dumpable", false},
        {"limits", "setrlimit", false},
        {"Landlock", "Landlock", false},
        {"seccomp", "seccomp", false},
    };

    *text = '\0';
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        size_t used = strlen(text);
        if ((parts[i].only_root && !j->as_root) || strstr(report->missing, parts[i].lack) != NULL)
            continue;
        (void)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "", parts[i].name);
    }
}

/* Changes to these ids for ever. Returns 0, or -1 and errno. */
static int become(uid_t uid, gid_t gid)
{
    uid_t r, e, s;
    gid_t gr, ge, gs;

    if (setresgid(gid, gid, gid) != 0 || getresgid(&gr, &ge, &gs) != 0 || gr != gid || ge != gid ||
        gs != gid)
        return -1;
    if (setresuid(uid, uid, uid) != 0 || getresuid(&r, &e, &s) != 0 || r != uid || e != uid ||
        s != uid)
        return -1;
    /* A process that can become root again has given up nothing. */
    if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0) {
        errno = EPERM;
        return -1;
    }
    return 0;
}

/* Gives up root's rights: root folder and groups first, since they need the rights that the ids take away. */
static int drop_root(struct jail *j, struct jail_report *report)
{
    uid_t uid = j->own_id ? OWN_IDS + (uid_t)getpid() : j->account.uid;
    gid_t gid = j->own_id ? OWN_IDS + (gid_t)getpid() : j->account.gid;

    if (j->mode != JAIL_OFF && (j->root < 0 || fchdir(j->root) != 0 || chroot(".") != 0))
        lacks(report, "an empty root folder");
    if (setgroups(0, NULL) != 0) {
        if (errno != EPERM)
            return failed(report, "setgroups");
        lacks(report, "dropping groups");
    }
    if (become(uid, gid) == 0)
        return 0;
    /* In a user namespace few ids exist, perhaps only the present one. */
    if (!j->own_id || errno != EINVAL)
        return failed(report, "changing to an unprivileged user");
    lacks(report, "a uid of its own");
    if (become(NOBODY, NOBODY) != 0 && errno != EINVAL)
        return failed(report, "changing to user 65534");
    return 0;
}

/* Drops capabilities that the change of ids left, such as those that a service manager gave. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return syscall(SYS_capset, &header, none) != 0 ? -errno : 0;
}

/* Makes the kernel kill the gate when the monitor dies. A change of ids would undo that, so it comes later. Then
 * looks whether the monitor has died already. */
static int follow_monitor(const struct jail *j, struct jail_report *report)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        return failed(report, "PR_SET_PDEATHSIG");
    if (getppid() == j->monitor)
        return 0;
    errno = ESRCH;
    return failed(report, "the monitor is gone");
}

/* Lowers a limit to `value`; one that is lower already stays. */
static void lower(struct rlimit *l, rlim_t value)
{
    if (l->rlim_max > value)
        l->rlim_max = value;
    if (l->rlim_cur > value)
        l->rlim_cur = value;
}

/* True if a session's memory can be mapped under the present limit. */
static bool has_room(void)
{
    void *room =
        mmap(NULL, SESSION_MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return room != MAP_FAILED && munmap(room, SESSION_MEMORY) == 0;
}

/* Limits memory to the lowest power of two that leaves room for a session. Memory that came from the monitor
 * counts, too, and large revocation lists take much. Shared memory does not count, so the list of system
 * calls does not allow it. Returns 0, or -1 and errno. */
static int limit_memory(struct jail_report *report)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_DATA, &l) != 0)
        return -1;
    const rlim_t given = l.rlim_cur;
    for (rlim_t size = 2 * (rlim_t)SESSION_MEMORY; size < given && size <= MEMORY_MAX; size *= 2) {
        l.rlim_cur = size;
        if (setrlimit(RLIMIT_DATA, &l) != 0)
            return -1;
        if (has_room()) {
            lower(&l, size);
            return setrlimit(RLIMIT_DATA, &l);
        }
    }
    if (given > 2 * (rlim_t)SESSION_MEMORY)
        lacks(report, "a limit of memory");
    l.rlim_cur = given;
    return setrlimit(RLIMIT_DATA, &l);
}

static int set_limits(struct jail_report *report)
{
    static const struct rlimit zero = {0, 0};
    struct rlimit stack;

    if (setrlimit(RLIMIT_CORE, &zero) != 0)
        return failed(report, "setrlimit CORE");
    if (setrlimit(RLIMIT_FSIZE, &zero) != 0)
        return failed(report, "setrlimit FSIZE");
    if (setrlimit(RLIMIT_NPROC, &zero) != 0)
        return failed(report, "setrlimit NPROC");
    if (getrlimit(RLIMIT_STACK, &stack) != 0)
        return failed(report, "setrlimit STACK");
    lower(&stack, STACK_MAX);
    if (setrlimit(RLIMIT_STACK, &stack) != 0)
        return failed(report, "setrlimit STACK");
    if (limit_memory(report) != 0)
        return failed(report, "setrlimit DATA");
    return 0;
}

/* Landlock's system calls have the same numbers on every architecture; old headers lack them. */
#define LANDLOCK_CREATE_RULESET 444
#define LANDLOCK_RESTRICT_SELF 446
#define LANDLOCK_VERSION_FLAG 1U

struct landlock_attributes {
    uint64_t files;
    uint64_t network;
    uint64_t scoped;
};

/* Forbids by Landlock to open files, to use TCP ports, and to reach other processes by signals and abstract sockets.
 * Older kernels forbid only a part of that. Returns 0 or a negative errno. */
static int use_landlock(void)
{
    /* The actions on files that each version of the interface knows: one bit for each. */
    static const uint64_t files[] = {
        0, (1U << 13) - 1, (1U << 14) - 1, (1U << 15) - 1, (1U << 15) - 1, (1U << 16) - 1};
    struct landlock_attributes a = {0};
    long version = syscall(LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION_FLAG);

    if (version < 1)
        return -ENOSYS;
    a.files = files[version > 5 ? 5 : version];
    a.network = version >= 4 ? 3 : 0;
    a.scoped = version >= 6 ? 3 : 0;
    size_t size = version >= 6 ? sizeof a : version >= 4 ? 16 : 8;
    int ruleset = (int)syscall(LANDLOCK_CREATE_RULESET, &a, size, 0);
    if (ruleset < 0)
        return -errno;
    int rc = syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0 ? -errno : 0;
    io_close(&ruleset);
    return rc;
}

int jail_monitor(const struct jail *j)
{
    if (j->mode == JAIL_OFF)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -errno;
    int rc = jail_filter_load(JAIL_LIST_MONITOR, false);
    return rc == -ENOSYS ? 0 : rc; /* the gate has said that there is no seccomp */
}

int jail_enter(struct jail *j, struct jail_report *report)
{
    report->missing[0] = '\0';
    if (j->mode == JAIL_OFF)
        return j->as_root ? drop_root(j, report) : 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        lacks(report, "no_new_privs");
    int rc = j->as_root ? drop_root(j, report) : 0;
    if (rc < 0)
        return rc;
    io_close(&j->root);
    if (drop_capabilities() < 0)
        lacks(report, "dropping capabilities");
    /* The change of ids may have reset this, so it comes later. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return failed(report, "not dumpable");
    rc = follow_monitor(j, report);
    if (rc == 0)
        rc = set_limits(report);
    if (rc < 0)
        return rc;
    if (use_landlock() < 0)
        lacks(report, "Landlock");
    j->listed = jail_filter_load(JAIL_LIST_OPENING, j->verifies) == 0;
    if (!j->listed)
        lacks(report, "seccomp");
    return j->mode == JAIL_STRICT && report->missing[0] != '\0' ? -ENOTSUP : 0;
}

int jail_narrow(struct jail *j, struct jail_report *report)
{
    report->missing[0] = '\0';
    if (!j->listed)
        return 0;
    int rc = jail_filter_load(JAIL_LIST_RELAY, false);
    if (rc == 0)
        return 0;
    (void)snprintf(report->missing, sizeof report->missing,
                   "the relay's shorter list (seccomp): %s", strerror(-rc));
    return j->mode == JAIL_STRICT ? -ENOTSUP : 0;
}

void jail_close(struct jail *j)
{
    io_close(&j->root);
}
