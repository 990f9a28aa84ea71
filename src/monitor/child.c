/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/child.h"

#include "common/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>

#define LINES_MAX 200  /* lines of standard error that are logged */
#define LAST_READS 256 /* reads of standard error after the end */

void child_signal(struct child *c, int number)
{
    c->we_signalled = true;
    if (c->pid > 0)
        (void)kill(c->pid, number);
}

void child_plan_sigterm(struct child *c, io_time when)
{
    if (c->pid > 0 && c->term_at == 0 && c->kill_at == 0)
        c->term_at = when;
}

/* True once, when this time has come. */
static bool is_due(io_time *when)
{
    if (*when == 0 || io_remaining(*when) != 0)
        return false;
    *when = 0;
    return true;
}

void child_enforce(struct child *c, unsigned grace)
{
    if (is_due(&c->term_at)) {
        c->kill_at = io_deadline(grace);
        if (c->pid > 0 && c->kind == CHILD_HANDLER)
            log_note("handler %s goes on without its client: SIGTERM", c->name);
        child_signal(c, SIGTERM);
    }
    if (is_due(&c->kill_at)) {
        if (c->pid > 0 && c->kind == CHILD_HANDLER)
            log_note("handler %s ignores SIGTERM: SIGKILL", c->name);
        else if (c->pid > 0 && c->kind == CHILD_GATE)
            log_error("the gate does not end: SIGKILL");
        child_signal(c, SIGKILL);
    }
}

io_time child_next_deadline(const struct child *c)
{
    return io_earlier(c->term_at, c->kill_at);
}

/* Calls waitpid(2), again after EINTR. Returns its result or a negative errno. */
static pid_t wait_for(pid_t pid, int *status, int options)
{
    pid_t got;

    do {
        got = waitpid(pid, status, options);
    } while (got < 0 && errno == EINTR);
    return got < 0 ? (pid_t)-errno : got;
}

int child_wait(pid_t pid, int *status)
{
    pid_t got = wait_for(pid, status, 0);

    return got < 0 ? (int)got : 0;
}

int child_reap(struct child *c, int options, int *status)
{
    if (c->pid == 0)
        return 0;
    pid_t got = wait_for(c->pid, status, options);
    if (got == 0)
        return 0;
    int rc = got < 0 ? (int)got : 1;
    if (rc < 0) {
        log_error("cannot wait for process %ld: %s", (long)c->pid, strerror(-rc));
        *status = EX_OSERR << 8;
    }
    c->pid = 0;
    c->term_at = c->kill_at = 0;
    return rc;
}

static void log_line(const char *text, size_t len, unsigned *lines)
{
    char line[2 * CHILD_ERROR_MAX];

    ++*lines;
    if (*lines < LINES_MAX)
        log_note("handler: %s", log_sentence(line, sizeof line, text, len));
    else if (*lines == LINES_MAX)
        log_note("handler writes too much to its standard error: further lines are dropped");
}

bool child_read_errors(struct child *c, unsigned *lines)
{
    ssize_t n = io_read(c->errors, c->line + c->line_len, sizeof c->line - c->line_len);

    for (c->line_len += n > 0 ? (size_t)n : 0; n > 0;) {
        char *newline = memchr(c->line, '\n', c->line_len);
        if (newline == NULL && c->line_len < sizeof c->line)
            return true;
        size_t len = newline != NULL ? (size_t)(newline - c->line) : c->line_len;
        log_line(c->line, len, lines);
        len += newline != NULL;
        c->line_len -= len;
        memmove(c->line, c->line + len, c->line_len);
    }
    if (n == -EAGAIN && c->pid > 0)
        return false;
    if (c->line_len > 0)
        log_line(c->line, c->line_len, lines);
    c->line_len = 0;
    io_close(&c->errors);
    return false;
}

void child_close_errors(struct child *c, unsigned *lines)
{
    /* Bounded, since a child of the handler may go on writing. */
    for (int i = 0; i < LAST_READS && c->errors >= 0; i++)
        (void)child_read_errors(c, lines);
    io_close(&c->errors);
}
