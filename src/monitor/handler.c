/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/handler.h"

#include "common/io.h"
#include "common/log.h"
#include "monitor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* Returns 0 for a file that may be executed, else a negative errno. */
static int executable(const char *path)
{
    struct stat s;

    if (stat(path, &s) != 0)
        return -errno;
    if (!S_ISREG(s.st_mode))
        return -EACCES;
    return access(path, X_OK) == 0 ? 0 : -errno;
}

int handler_find(const char *name, char *path, size_t size)
{
    const char *next = getenv("PATH");
    int rc = -ENOENT;

    if (strchr(name, '/') != NULL) {
        if ((size_t)snprintf(path, size, "%s", name) >= size)
            return -ENAMETOOLONG;
        return executable(path);
    }
    if (next == NULL || *next == '\0')
        next = default_path;
    while (next != NULL) {
        size_t len = strcspn(next, ":");
        int n = len == 0 ? snprintf(path, size, "./%s", name)
                         : snprintf(path, size, "%.*s/%s", (int)len, next, name);
        int found = n > 0 && (size_t)n < size ? executable(path) : -ENOENT;
        if (found == 0)
            return 0;
        /* "Not executable" tells more than "not found": keep it. */
        if (found != -ENOTDIR && rc == -ENOENT)
            rc = found;
        next = next[len] == ':' ? next + len + 1 : NULL;
    }
    return rc;
}

/* The handler's ends of its descriptors; -1: none. This process closes them after the start. */
struct ends {
    int child_in, child_out, child_errors;
    int extra[HANDLER_EXTRA];
};

static int make_pipes(struct handler *h, struct ends *ends)
{
    int a[2], b[2];

    if (pipe2(a, O_CLOEXEC) != 0)
        return -errno;
    ends->child_in = a[0];
    h->in = a[1];
    if (pipe2(b, O_CLOEXEC) != 0)
        return -errno;
    h->out = b[0];
    ends->child_out = b[1];
    return 0;
}

static int make_socket(struct handler *h, struct ends *ends)
{
    int a[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) != 0)
        return -errno;
    h->in = h->out = a[0];
    ends->child_in = ends->child_out = a[1];
    return 0;
}

/* Copies the given descriptors to numbers from 16 on. So the dup2() calls in become() overwrite none of them. */
static int copy_given(struct ends *ends, const struct handler_setup *setup)
{
    static const int out_of_the_way = 16;

    ends->child_in = fcntl(setup->given_in, F_DUPFD_CLOEXEC, out_of_the_way);
    ends->child_out = fcntl(setup->given_out, F_DUPFD_CLOEXEC, out_of_the_way);
    bool failed = ends->child_in < 0 || ends->child_out < 0;
    for (int i = 0; i < HANDLER_EXTRA && !failed; i++) {
        ends->extra[i] = fcntl(setup->extra[i], F_DUPFD_CLOEXEC, out_of_the_way);
        failed = ends->extra[i] < 0;
    }
    return failed ? -errno : 0;
}

static int make_ends(struct handler *h, struct ends *ends, const struct handler_setup *setup)
{
    int errors[2];
    int rc = setup->given                   ? copy_given(ends, setup)
             : setup->stdio == STDIO_SOCKET ? make_socket(h, ends)
                                            : make_pipes(h, ends);

    if (rc == 0 && setup->take_errors) {
        if (pipe2(errors, O_CLOEXEC) != 0)
            return -errno;
        h->errors = errors[0];
        ends->child_errors = errors[1];
        rc = io_set_nonblocking(h->errors, true);
    }
    if (rc == 0 && h->in >= 0)
        rc = io_set_nonblocking(h->in, true);
    if (rc == 0 && h->out >= 0)
        rc = io_set_nonblocking(h->out, true);
    return rc;
}

static void close_ends(struct ends *ends)
{
    if (ends->child_out != ends->child_in)
        io_close(&ends->child_out);
    io_close(&ends->child_in);
    io_close(&ends->child_errors);
    for (int i = 0; i < HANDLER_EXTRA; i++)
        io_close(&ends->extra[i]);
}

/* Looks up the account's groups, before the fork. The caller frees *groups. Returns how many there are, or a
 * negative errno. */
static int find_groups(const struct account *a, gid_t **groups)
{
    int count = 1;

    *groups = malloc(sizeof **groups);
    if (*groups == NULL)
        return -ENOMEM;
    **groups = a->gid;
    if (a->name[0] == '\0')
        return 1;
    while (getgrouplist(a->name, a->gid, *groups, &count) < 0) {
        gid_t *more = realloc(*groups, (size_t)count * sizeof *more);
        if (more == NULL)
            return -ENOMEM;
        *groups = more;
    }
    return count;
}

/* Turns the child into the handler. Returns only on failure, with errno. It runs between vfork() and exec() in
 * the parent's memory, so it neither allocates nor logs. */
static void become(const char *path, const struct handler_setup *setup, const struct ends *ends,
                   const gid_t *groups, int group_count)
{
    const struct account *a = setup->account;

    /* A session of its own: what it sends to its process group, as by kill(0), reaches nobody of ours. */
    if (setsid() < 0)
        return;
    if (a != NULL &&
        (setgroups((size_t)group_count, groups) != 0 || setresgid(a->gid, a->gid, a->gid) != 0 ||
         setresuid(a->uid, a->uid, a->uid) != 0))
        return;
    /* All ends are above 2, so dup2() always makes a new descriptor, which stays open on exec. */
    if (dup2(ends->child_in, STDIN_FILENO) < 0 || dup2(ends->child_out, STDOUT_FILENO) < 0)
        return;
    if (ends->child_errors >= 0 && dup2(ends->child_errors, STDERR_FILENO) < 0)
        return;
    for (int i = 0; i < HANDLER_EXTRA; i++)
        if (ends->extra[i] >= 0 && dup2(ends->extra[i], HANDLER_EXTRA_FIRST + i) < 0)
            return;
    /* A handler that ignores the end of its input must not outlive a monitor that is killed. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (sigaction(SIGPIPE, &setup->signals->pipe, NULL) != 0 ||
        sigaction(SIGCHLD, &setup->signals->child, NULL) != 0 ||
        sigaction(SIGXFSZ, &setup->signals->size, NULL) != 0 ||
        sigprocmask(SIG_SETMASK, &setup->signals->mask, NULL) != 0)
        return;
    (void)execve(path, setup->argv, setup->environment->list);
}

/* Returns the handler's process id or a negative errno. */
static pid_t start(const char *path, const struct handler_setup *setup, const struct ends *ends,
                   const gid_t *groups, int group_count)
{
    volatile int error = 0;
    /* vfork() does not copy page tables, which would cost more than all else here. posix_spawn() cannot
     * change users. The parent waits until exec(), and nothing in become() can hang. */
    pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */

    if (pid == 0) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Vfork): system calls only, and one stack frame */
        become(path, setup, ends, groups, group_count);
        error = errno;
        _exit(127);
    }
    if (pid < 0)
        return -errno;
    if (error != 0) {
        (void)child_wait(pid, NULL);
        return -error;
    }
    return pid;
}

/* Returns why the handler cannot be started, for the log. found: its file is there. */
static const char *reason(int error, bool found)
{
    /* The kernel gives the same error for a missing program and a missing interpreter. */
    if (found && error == ENOENT)
        return "the interpreter that its first line (#!) names, or its dynamic linker, is not "
               "there";
    return strerror(error);
}

int handler_start(struct handler *h, const struct handler_setup *setup)
{
    char path[PATH_MAX];
    struct ends ends = {-1, -1, -1, {-1, -1, -1}};
    gid_t *groups = NULL;
    int group_count = 0;

    *h = (struct handler){.in = -1, .out = -1, .errors = -1};
    int rc = setup->environment->failed ? -ENOMEM : handler_find(setup->argv[0], path, sizeof path);
    bool found = rc == 0;
    if (rc == 0)
        rc = make_ends(h, &ends, setup);
    if (rc == 0 && setup->account != NULL) {
        group_count = find_groups(setup->account, &groups);
        rc = group_count < 0 ? group_count : 0;
    }
    if (rc == 0) {
        pid_t pid = start(path, setup, &ends, groups, group_count);
        rc = pid < 0 ? (int)pid : 0;
        h->pid = pid < 0 ? 0 : pid;
    }
    free(groups);
    close_ends(&ends);
    if (rc < 0) {
        handler_close(h);
        io_close(&h->errors);
        log_error("handler %s cannot be started: %s", setup->argv[0], reason(-rc, found));
    }
    return rc;
}

int handler_status(int wait_status)
{
    if (WIFSIGNALED(wait_status))
        return 128 + WTERMSIG(wait_status);
    return WEXITSTATUS(wait_status);
}

void handler_close(struct handler *h)
{
    if (h->out != h->in)
        io_close(&h->out);
    h->out = -1;
    io_close(&h->in);
}
