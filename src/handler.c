/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "handler.h"

#include "io.h"
#include "log.h"

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

/* Names that speak of the connection. A star stands for any ending. */
static const char *const reserved[] = {
    "SSL_*",    "SSLCTLFD", "SSLREADFD", "SSLWRITEFD", "TLS*",       "TCP*",           "POSTERN_*",
    "REMOTE_*", "PROTO",    "UCSPITLS",  "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
};

static bool is_reserved(const char *entry)
{
    static const char host[] = "TCPREMOTEHOST=";

    /* The one that postern can't find out itself: it does no DNS. */
    if (strncmp(entry, host, sizeof host - 1) == 0)
        return false;
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        size_t len = strlen(reserved[i]);
        if (reserved[i][len - 1] == '*') {
            if (strncmp(entry, reserved[i], len - 1) == 0)
                return true;
        } else if (strncmp(entry, reserved[i], len) == 0 && entry[len] == '=') {
            return true;
        }
    }
    return false;
}

static void add(struct environment *e, char *entry)
{
    char **list = entry == NULL ? NULL : realloc(e->list, (e->count + 2) * sizeof *list);

    if (list == NULL) {
        free(entry);
        e->failed = true;
        return;
    }
    e->list = list;
    e->list[e->count++] = entry;
    e->list[e->count] = NULL;
}

void environment_copy(struct environment *e, char *const *from)
{
    *e = (struct environment){0};
    for (; *from != NULL; from++)
        if (!is_reserved(*from))
            add(e, strdup(*from));
}

void environment_set(struct environment *e, const char *name, const char *value)
{
    size_t size = strlen(name) + strlen(value) + 2;

    if (*value == '\0')
        return;
    char *entry = malloc(size);
    if (entry != NULL)
        (void)snprintf(entry, size, "%s=%s", name, value);
    add(e, entry);
}

/* RFC 4648 section 4. out has room for 4 characters per 3 bytes and a NUL. */
static void base64(char *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (i + 1 < len)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < len)
            group |= bytes[i + 2];
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = i + 1 < len ? digits[group >> 6 & 63] : '=';
        *out++ = i + 2 < len ? digits[group & 63] : '=';
    }
    *out = '\0';
}

static void describe_ends(struct environment *e, const struct connection *c)
{
    char port[8];

    if (c->client.family != AF_INET && c->client.family != AF_INET6) {
        if (c->client.family == AF_UNIX)
            environment_set(e, "PROTO", "UNIX");
        return;
    }
    environment_set(e, "PROTO", "TCP");
    environment_set(e, "TCPREMOTEIP", c->client.host);
    environment_set(e, "REMOTE_ADDR", c->client.host);
    (void)snprintf(port, sizeof port, "%u", (unsigned)c->client.port);
    environment_set(e, "TCPREMOTEPORT", port);
    environment_set(e, "REMOTE_PORT", port);
    environment_set(e, "TCPLOCALIP", c->server.host);
    (void)snprintf(port, sizeof port, "%u", (unsigned)c->server.port);
    environment_set(e, "TCPLOCALPORT", port);
}

void environment_describe(struct environment *e, const struct connection *c,
                          const struct facts *facts)
{
    char exporter[4 * ((sizeof facts->exporter + 2) / 3) + 1];

    describe_ends(e, c);
    if (facts == NULL)
        return;
    environment_set(e, "SSL_PROTOCOL", facts->version);
    environment_set(e, "SSL_CIPHER", facts->cipher);
    environment_set(e, "SSL_TLS_SNI", facts->name);
    environment_set(e, "SSL_TLS_SNI_SERVERNAME", facts->name);
    environment_set(e, "SSL_SESSION_RESUMED", facts->resumed ? "Resumed" : "Initial");
    environment_set(e, "SSL_CLIENT_VERIFY", "NONE");
    if (facts->has_exporter) {
        base64(exporter, facts->exporter, sizeof facts->exporter);
        environment_set(e, "POSTERN_TLS_EXPORTER", exporter);
    }
}

void environment_free(struct environment *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->list[i]);
    free(e->list);
    *e = (struct environment){0};
}

static int executable(const char *path)
{
    struct stat s;

    if (stat(path, &s) != 0)
        return errno == EACCES ? -EACCES : -ENOENT;
    return S_ISREG(s.st_mode) && access(path, X_OK) == 0 ? 0 : -EACCES;
}

int handler_find(const char *name, char *path, size_t size)
{
    const char *next = getenv("PATH");
    int rc = -ENOENT;

    if (strchr(name, '/') != NULL) {
        if ((size_t)snprintf(path, size, "%s", name) >= size)
            return -ENOENT;
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
        if (found == -EACCES)
            rc = -EACCES;
        next = next[len] == ':' ? next + len + 1 : NULL;
    }
    return rc;
}

/* The handler's ends and ours. */
struct ends {
    int child_in, child_out, child_errors;
};

static int make_ends(struct handler *h, struct ends *ends, const struct handler_setup *setup)
{
    int a[2], b[2];

    *h = (struct handler){.in = -1, .out = -1, .errors = -1};
    *ends = (struct ends){-1, -1, -1};
    if (setup->stdio == STDIO_SOCKET) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a) != 0)
            return -errno;
        h->in = h->out = a[0];
        ends->child_in = ends->child_out = a[1];
    } else {
        if (pipe2(a, O_CLOEXEC) != 0)
            return -errno;
        ends->child_in = a[0];
        h->in = a[1];
        if (pipe2(b, O_CLOEXEC) != 0)
            return -errno;
        h->out = b[0];
        ends->child_out = b[1];
    }
    if (setup->take_errors) {
        if (pipe2(a, O_CLOEXEC) != 0)
            return -errno;
        h->errors = a[0];
        ends->child_errors = a[1];
    }
    int rc = io_set_nonblocking(h->in, true);
    if (rc == 0)
        rc = io_set_nonblocking(h->out, true);
    if (rc == 0 && h->errors >= 0)
        rc = io_set_nonblocking(h->errors, true);
    return rc;
}

static void close_ends(struct ends *ends)
{
    if (ends->child_out != ends->child_in)
        io_close(&ends->child_out);
    io_close(&ends->child_in);
    io_close(&ends->child_errors);
}

/* The account's groups, looked up before the fork. Returns how many, or a negative errno. */
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

/* Between vfork and exec: the parent's memory is shared, so nothing here allocates or logs. Returns
 * only on failure, with errno. */
static void become(const char *path, const struct handler_setup *setup, const struct ends *ends,
                   const gid_t *groups, int group_count)
{
    const struct account *a = setup->account;

    if (a != NULL &&
        (setgroups((size_t)group_count, groups) != 0 || setresgid(a->gid, a->gid, a->gid) != 0 ||
         setresuid(a->uid, a->uid, a->uid) != 0))
        return;
    /* All ends are above 2: dup2 always makes a copy that stays open on exec. */
    if (dup2(ends->child_in, STDIN_FILENO) < 0 || dup2(ends->child_out, STDOUT_FILENO) < 0)
        return;
    if (ends->child_errors >= 0 && dup2(ends->child_errors, STDERR_FILENO) < 0)
        return;
    /* If the monitor should be killed, nobody else could end a handler that ignores EOF. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (sigaction(SIGPIPE, &setup->signals->pipe, NULL) != 0 ||
        sigprocmask(SIG_SETMASK, &setup->signals->mask, NULL) != 0)
        return;
    (void)execve(path, setup->argv, setup->environment->list);
}

static pid_t start(const char *path, const struct handler_setup *setup, const struct ends *ends,
                   const gid_t *groups, int group_count)
{
    volatile int error = 0;
    pid_t pid = vfork();

    if (pid == 0) {
        become(path, setup, ends, groups, group_count);
        error = errno;
        _exit(127);
    }
    if (pid < 0)
        return -errno;
    if (error != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return -error;
    }
    return pid;
}

int handler_start(struct handler *h, const struct handler_setup *setup)
{
    char path[PATH_MAX];
    struct ends ends = {-1, -1, -1};
    gid_t *groups = NULL;
    int group_count = 0;

    *h = (struct handler){.in = -1, .out = -1, .errors = -1};
    int rc = setup->environment->failed ? -ENOMEM : handler_find(setup->argv[0], path, sizeof path);
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
        log_error("handler %s cannot be started: %s", setup->argv[0], strerror(-rc));
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
