/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor.h"

#include "answer.h"
#include "io.h"
#include "jail.h"
#include "log.h"
#include "policy.h"
#include "session.h"
#include "monitor_trace.h"
#include "vault.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define GATE_LAST_MS 3000 /* what the gate has longer than the handler at the end */
#define LAST_READS 256
#define LINGER_SECONDS 2 /* so that a client we can't serve sees an orderly end */

int monitor_begin_signals(struct signals *before)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction usual = {.sa_handler = SIG_DFL};

    (void)sigemptyset(&ignore.sa_mask);
    (void)sigemptyset(&usual.sa_mask);
    /* A log that nobody reads must not kill us, nor one that has reached its limit (RLIMIT_FSIZE); and
     * if SIGCHLD were ignored, there would be nothing to wait for. */
    if (sigaction(SIGPIPE, &ignore, &before->pipe) != 0 ||
        sigaction(SIGXFSZ, &ignore, &before->size) != 0 ||
        sigaction(SIGCHLD, &usual, &before->child) != 0 ||
        sigprocmask(SIG_BLOCK, NULL, &before->mask) != 0)
        return -errno;
    return 0;
}

int monitor_take_signals(int *signals)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -errno;
    *signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return *signals < 0 ? -errno : 0;
}

/* The fork is the last thing that can fail: a gate that runs is served. */
static int fork_gate(struct session *s, monitor_gate *gate)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    /* A gate that does not read must not be able to stop the monitor. */
    int rc = io_set_nonblocking(ends[0], true);
    if (rc == 0) {
        s->gate_pid = fork();
        rc = s->gate_pid < 0 ? -errno : 0;
    }
    if (rc == 0 && s->gate_pid == 0) {
        (void)close(ends[0]);
        gate(s->c, s->o, &s->jail, ends[1], s->o->ucspi_tls ? &s->ucspi : NULL, &s->trust);
        _exit(EX_SOFTWARE); /* it never returns */
    }
    io_close(&ends[1]);
    if (rc < 0) {
        s->gate_pid = 0;
        io_close(&ends[0]);
        return rc;
    }
    s->gate = ends[0];
    return 0;
}

void monitor_warn(const struct options *o)
{
    if (o->tls_min < 0x0303)
        log_note(
            "--tls-min=1.%u: TLS 1.0 and 1.1 are broken (RFC 8996); use 1.2 as soon as you can",
            o->tls_min - 0x0301);
}

/* Without STARTTLS nothing works without certificates; with it, the lobby can still say why. */
static int load_vault(struct session *s)
{
    monitor_warn(s->o);
    s->have_tls = vault_load(&s->vault, s->o) == 0;
    if (s->have_tls && trust_read(&s->trust, s->o) < 0) {
        vault_wipe(&s->vault);
        s->have_tls = false;
    }
    return s->have_tls || s->o->starttls != NULL ? 0 : EX_CONFIG;
}

/* Whether this peer may send a PROXY header: if not, nothing of what it says is read. */
static bool admit(struct session *s)
{
    if (!s->o->proxy_protocol || policy_trusts_proxy(s->o, s->c))
        return true;
    if (strcmp(s->c->client.text, "unknown") == 0) {
        log_note("client left without a word (a port scan or a health check?)");
        session_ending(s, ENDING_LEFT);
        return false;
    }
    log_error(
        "connection refused: PROXY headers are taken from --proxy-trusted=%s only; if this is "
        "a proxy of yours, put it there",
        s->o->proxy_trusted);
    session_ending(s, ENDING_PROTOCOL);
    return false;
}

int monitor_prepare(struct account *account, struct jail *jail, const struct options *o)
{
    if (o->handler_user != NULL && account_find(account, o->handler_user) < 0) {
        log_error("--handler-user=%s: no such user or group", o->handler_user);
        return EX_CONFIG;
    }
    if (o->handler_user != NULL && geteuid() != 0) {
        log_error("--handler-user=%s: only root can change users; leave it out", o->handler_user);
        return EX_CONFIG;
    }
    return jail_prepare(jail, o) < 0 ? EX_CONFIG : 0;
}

/* What a listener has made ready. */
static int take_given(struct session *s, const struct provision *given)
{
    s->account = given->account;
    s->jail = given->jail;
    if (given->have_tls && vault_borrow(&s->vault, &given->vault) < 0)
        return EX_OSERR;
    s->have_tls = given->have_tls;
    s->trust = given->trust;
    return 0;
}

/* Everything up to two running processes. Returns 0 or the exit status. */
static int set_up(struct session *s, monitor_gate *gate, struct ucspi *handler_side,
                  const struct provision *given)
{
    int rc = given != NULL ? take_given(s, given) : load_vault(s);

    if (rc == 0 && given == NULL)
        rc = monitor_prepare(&s->account, &s->jail, s->o);
    if (rc != 0)
        return rc;
    rc = monitor_take_signals(&s->signals);
    if (rc == 0 && s->o->ucspi_tls)
        rc = ucspi_make(&s->ucspi, handler_side);
    if (rc == 0)
        rc = fork_gate(s, gate);
    jail_close(&s->jail);
    ucspi_close(&s->ucspi);
    trust_free(&s->trust);
    if (rc < 0)
        log_error("cannot start the gate process: %s", strerror(-rc));
    return rc < 0 ? EX_OSERR : 0;
}

static void gate_reaped(struct session *s, int status)
{
    s->gate_pid = 0;
    /* What it sent before it ended is still to be read. */
    while (s->gate >= 0 && answer_one(s))
        ;
    io_close(&s->gate);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_error("the gate crashed, or tried a system call that its jail forbids, and was killed: "
                  "the kernel's log names the call; please report it");
    else if (WIFSIGNALED(status) && s->phase != PHASE_ENDED && !s->gate_told)
        log_error("the gate was killed by signal %d (%s)", WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    /* What its last message could not say, its exit status may. */
    bool refused = WIFEXITED(status) && WEXITSTATUS(status) == EX_OSERR;
    if (s->phase != PHASE_ENDED)
        session_ending(s, refused ? ENDING_SYSTEM : ENDING_GATE_DIED);
    if (s->handler.pid > 0 && s->term_at == 0 && s->kill_at == 0)
        s->term_at = io_deadline(s->o->timeout_grace);
}

static void handler_reaped(struct session *s, int status)
{
    s->handler.pid = 0;
    s->term_at = 0;
    s->kill_at = 0;
    s->handler_result = handler_status(status);
    trace_ended_handler(s->handler_since, s->handler_result);
    /* SIGPIPE is how many programs learn that their client has gone. */
    if (WIFSIGNALED(status) && !s->handler_told && WTERMSIG(status) != SIGPIPE)
        log_error("handler %s was killed by signal %d (%s)", s->o->handler[0], WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    int rc = session_send(s, EVENT_HANDLER_EXITED);
    if (rc < 0 && rc != -EPIPE)
        log_error("cannot tell the gate that the handler has exited: %s", strerror(-rc));
}

/* True if this child has ended. One that can't be waited for is none of ours any more: it counts as
 * one that the system has ended. */
static bool has_ended(struct session *s, pid_t pid, int *status, int options)
{
    pid_t got;

    do {
        got = waitpid(pid, status, options);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        log_error("cannot wait for process %ld: %s", (long)pid, strerror(errno));
        session_ending(s, ENDING_SYSTEM);
        *status = EX_OSERR << 8;
    }
    return got != 0;
}

static void reap(struct session *s, int options)
{
    int status;

    if (s->handler.pid > 0 && has_ended(s, s->handler.pid, &status, options))
        handler_reaped(s, status);
    if (s->old_pid > 0 && has_ended(s, s->old_pid, &status, options)) {
        s->old_pid = 0;
        s->old_term_at = s->old_kill_at = 0;
    }
    if (s->gate_pid > 0 && has_ended(s, s->gate_pid, &status, options))
        gate_reaped(s, status);
}

/* SIGTERM, or something that makes going on impossible: what is in flight is delivered, nothing new is
 * taken. */
static void stop(struct session *s, enum ending ending)
{
    if (s->stopping)
        return;
    /* Perhaps the gate is through already, and says so. */
    while (s->gate >= 0 && answer_one(s))
        ;
    s->stopping = true;
    session_ending(s, ending);
    s->kill_at = session_after_grace(s);
    s->gate_kill_at = s->kill_at + GATE_LAST_MS;
    s->term_at = 0;
    s->handler_told = true;
    if (s->handler.pid > 0)
        (void)kill(s->handler.pid, SIGTERM);
    if (s->gate < 0)
        return;
    if (!s->handler_ran || session_send(s, EVENT_DRAIN) < 0)
        (void)shutdown(s->gate, SHUT_WR);
}

static void take_signal(struct session *s)
{
    struct signalfd_siginfo info;

    while (io_read(s->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(s, WNOHANG);
        else
            stop(s, ENDING_SIGTERM);
    }
}

/* Ends whoever is overdue. */
static void enforce(struct session *s)
{
    if (s->term_at != 0 && io_remaining(s->term_at) == 0) {
        s->term_at = 0;
        s->kill_at = session_after_grace(s);
        if (s->handler.pid > 0) {
            s->handler_told = true;
            log_note("handler %s goes on without its client: SIGTERM", s->o->handler[0]);
            (void)kill(s->handler.pid, SIGTERM);
        }
    }
    if (s->old_term_at != 0 && io_remaining(s->old_term_at) == 0) {
        s->old_term_at = 0;
        s->old_kill_at = session_after_grace(s);
        (void)kill(s->old_pid, SIGTERM);
    }
    if (s->old_kill_at != 0 && io_remaining(s->old_kill_at) == 0) {
        s->old_kill_at = 0;
        (void)kill(s->old_pid, SIGKILL);
    }
    if (s->kill_at != 0 && io_remaining(s->kill_at) == 0) {
        s->kill_at = 0;
        if (s->handler.pid > 0) {
            log_note("handler %s ignores SIGTERM: SIGKILL", s->o->handler[0]);
            (void)kill(s->handler.pid, SIGKILL);
        }
    }
    /* The gate gets the time to tell its client about the handler's end. */
    if (s->gate_kill_at != 0 && io_remaining(s->gate_kill_at) == 0) {
        s->gate_kill_at = 0;
        if (s->gate_pid > 0) {
            log_error("the gate does not end: SIGKILL");
            s->gate_told = true;
            (void)kill(s->gate_pid, SIGKILL);
        }
    }
}

/* Without poll(2) nothing can be waited for but the end. Once, it may have been bad luck. */
static void cannot_poll(struct session *s, int error)
{
    log_error("poll: %s: connection ended", strerror(error));
    if (!s->stopping) {
        stop(s, ENDING_SYSTEM);
        return;
    }
    session_end_gate(s, ENDING_SYSTEM);
    s->handler_told = true;
    if (s->handler.pid > 0)
        (void)kill(s->handler.pid, SIGKILL);
    if (s->old_pid > 0)
        (void)kill(s->old_pid, SIGKILL);
    reap(s, 0);
}

/* At most what a pipe holds: a child of the handler may go on writing. */
static void take_last_diagnostics(struct session *s, struct diagnostics *d)
{
    for (int i = 0; i < LAST_READS && d->fd >= 0; i++)
        (void)session_take_diagnostics(s, d, false);
    io_close(&d->fd);
}

static void watch(struct session *s)
{
    while (s->gate_pid > 0 || s->handler.pid > 0 || s->old_pid > 0) {
        struct pollfd p[] = {{.fd = s->signals, .events = POLLIN},
                             {.fd = s->gate, .events = POLLIN},
                             {.fd = s->errors.fd, .events = POLLIN},
                             {.fd = s->old_errors.fd, .events = POLLIN}};
        io_time next = io_earlier(io_earlier(io_earlier(s->term_at, s->kill_at), s->gate_kill_at),
                                  io_earlier(s->old_term_at, s->old_kill_at));
        int n = poll(p, sizeof p / sizeof p[0], io_remaining(next));
        if (n < 0 && errno != EINTR)
            cannot_poll(s, errno);
        if (n > 0 && p[1].revents != 0)
            (void)answer_one(s);
        if (n > 0 && p[2].revents != 0)
            (void)session_take_diagnostics(s, &s->errors, s->handler.pid > 0);
        if (n > 0 && p[3].revents != 0)
            (void)session_take_diagnostics(s, &s->old_errors, s->old_pid > 0);
        if (n > 0 && p[0].revents != 0)
            take_signal(s);
        enforce(s);
    }
    take_last_diagnostics(s, &s->old_errors);
    take_last_diagnostics(s, &s->errors);
}

/* Lets the gate begin, if it has anything to begin with. */
static void begin(struct session *s)
{
    if (!s->have_tls && s->o->starttls == NULL)
        session_ending(s, ENDING_CONFIGURATION);
    if (s->o->ucspi_tls && !s->handler_ran)
        session_ending(s, ENDING_NO_HANDLER);
    if (s->ending_known) {
        io_close(&s->gate);
        return;
    }
    int rc = answer_begin(s);
    if (rc < 0)
        session_lost_gate(s, "speak to the gate", rc);
}

int monitor_run(struct connection *c, const struct options *o, const struct signals *before,
                monitor_gate *gate, const struct provision *given)
{
    struct session s = {.o = o,
                        .c = c,
                        .before = *before,
                        .signals = -1,
                        .gate = -1,
                        .phase = o->proxy_protocol ? PHASE_HEADER : PHASE_OPENING,
                        .handler = {.in = -1, .out = -1, .errors = -1},
                        .errors = {.fd = -1},
                        .old_errors = {.fd = -1},
                        .ucspi = {-1, -1, -1, false},
                        .started = io_now(),
                        .ending = ENDING_GATE_DIED};

    struct ucspi handler_side = {-1, -1, -1, false};
    if (!admit(&s)) {
        session_summarise(&s);
        activation_close(c);
        return ending_status(s.ending);
    }
    int64_t since = trace_now();
    trace_connected(c);
    int status = set_up(&s, gate, &handler_side, given);
    if (status != 0) {
        vault_wipe(&s.vault);
        session_ending(&s, status == EX_CONFIG ? ENDING_CONFIGURATION : ENDING_SYSTEM);
        session_summarise(&s);
        io_linger(c->in, c->out, io_deadline(LINGER_SECONDS));
        ucspi_close(&handler_side);
        activation_close(c);
        return status;
    }
    /* The gate has been forked: now keys may be decoded. */
    if (s.have_tls && (given == NULL || vault_is_locked(&s.vault)) &&
        vault_unlock(&s.vault, o, false) < 0)
        s.have_tls = false;
    /* Without them sessions can't be resumed: no reason to refuse anybody. */
    if (s.have_tls && tickets_wanted(o) && given == NULL)
        (void)vault_load_tickets(&s.vault, o);
    else if (s.have_tls && !tickets_wanted(o) && o->tickets != NULL)
        log_detail("--tickets=%s: not used, since clients are asked for certificates", o->tickets);
    trace_ready(since, s.have_tls, s.gate_pid);
    if (s.have_tls && o->ucspi_tls)
        (void)session_start_handler(&s, NULL, &handler_side);
    ucspi_close(&handler_side);
    activation_close(c);
    begin(&s);
    session_bound_gate(&s);
    watch(&s);
    vault_wipe(&s.vault);
    session_summarise(&s);
    bool ours = s.ending == ENDING_GATE_DIED || s.ending == ENDING_SYSTEM;
    return s.handler_ran && !ours ? s.handler_result : ending_status(s.ending);
}
