/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/monitor.h"

#include "monitor/answer.h"
#include "common/io.h"
#include "start/jail.h"
#include "common/log.h"
#include "start/policy.h"
#include "monitor/session.h"
#include "monitor/summary.h"
#include "monitor/trace.h"
#include "vault/vault.h"

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

#define GATE_LAST_MS 3000 /* that the gate may live longer than the handler at the end */
#define LINGER_SECONDS 2  /* for an orderly end where a client cannot be served */

int monitor_begin_signals(struct signals *before)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction usual = {.sa_handler = SIG_DFL};

    (void)sigemptyset(&ignore.sa_mask);
    (void)sigemptyset(&usual.sa_mask);
    /* SIGPIPE would kill us if nobody reads the log, SIGXFSZ if its file has reached RLIMIT_FSIZE. If
     * SIGCHLD were ignored, children could not be waited for. */
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

/* Forks the gate. The fork comes last, so that nothing can fail once a gate runs. Returns 0 or a negative
 * errno. */
static int fork_gate(struct session *s, monitor_gate *gate)
{
    int ends[2];
    pid_t pid = -1;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    /* A gate that does not read must not be able to stop the monitor. */
    int rc = io_set_nonblocking(ends[0], true);
    if (rc == 0) {
        s->jail.monitor = getpid();
        pid = fork();
        rc = pid < 0 ? -errno : 0;
    }
    if (rc == 0 && pid == 0) {
        (void)close(ends[0]);
        gate(s->c, s->o, &s->jail, ends[1], s->o->ucspi_tls ? &s->ucspi : NULL, &s->trust);
        _exit(EX_SOFTWARE); /* it never returns */
    }
    io_close(&ends[1]);
    if (rc < 0) {
        io_close(&ends[0]);
        return rc;
    }
    s->gate_process.pid = pid;
    s->gate = ends[0];
    return 0;
}

/* False if PROXY headers are expected and this peer is no trusted proxy. Then logs why; no byte of it is read. */
static bool peer_may_connect(struct session *s)
{
    if (!s->o->proxy_protocol || policy_trusts_proxy(s->o, s->c))
        return true;
    if (strcmp(s->c->client.text, "unknown") == 0) {
        log_noise("client left without a word (a port scan or a health check?)");
        session_set_ending(s, ENDING_LEFT);
        return false;
    }
    log_error(
        "connection refused: PROXY headers are taken from --proxy-trusted=%s only; if this is "
        "a proxy of yours, put it there",
        s->o->proxy_trusted);
    session_set_ending(s, ENDING_PROTOCOL);
    return false;
}

/* Prepares keys, account and jail for this one connection. Unusable certificates are fatal only without
 * STARTTLS: the lobby can tell its client. Returns 0 or the exit status. */
static int make_provision(struct provision *p, const struct options *o)
{
    int status = provision_prepare(p, o);

    if (status != 0)
        return status;
    p->have_tls = provision_read(&p->vault, &p->trust, o) == 0;
    return p->have_tls || o->starttls != NULL ? 0 : EX_CONFIG;
}

/* Takes the provision over, or borrows its keys if they are a listener's. Returns 0 or the exit status. */
static int take_provision(struct session *s, const struct provision *p)
{
    s->account = p->account;
    s->jail = p->jail;
    s->trust = p->trust;
    s->have_tls = p->have_tls;
    if (p->vault.holder == VAULT_LENT && p->have_tls)
        return vault_borrow(&s->vault, &p->vault) < 0 ? EX_OSERR : 0;
    if (p->have_tls)
        s->vault = p->vault;
    return 0;
}

/* Prepares everything and forks the gate. Returns 0 or the exit status. */
static int set_up(struct session *s, monitor_gate *gate, struct ucspi *handler_side,
                  const struct provision *given)
{
    struct provision own = {.jail = {.root = -1}};
    int rc = given != NULL ? 0 : make_provision(&own, s->o);

    if (rc == 0)
        rc = take_provision(s, given != NULL ? given : &own);
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
    /* Reads the messages that the gate sent before it ended. */
    while (s->gate >= 0 && answer_one(s))
        ;
    io_close(&s->gate);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_error("the gate crashed, or tried a system call that its jail forbids, and was killed: "
                  "the kernel's log names the call; please report it");
    else if (WIFSIGNALED(status) && s->phase != PHASE_ENDED && !s->gate_process.we_signalled)
        log_error("the gate was killed by signal %d (%s)", WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    /* If the gate could not send its last message, its exit status may tell why. */
    bool refused = WIFEXITED(status) && WEXITSTATUS(status) == EX_OSERR;
    if (s->phase != PHASE_ENDED)
        session_set_ending(s, refused ? ENDING_SYSTEM : ENDING_GATE_DIED);
    child_plan_sigterm(&s->handler, io_deadline(s->o->timeout_grace));
}

static void handler_reaped(struct session *s, int status)
{
    s->handler_result = handler_status(status);
    trace_ended_handler(s->handler_since, s->handler_result);
    /* Many programs end by SIGPIPE when their client has gone. */
    if (WIFSIGNALED(status) && !s->handler.we_signalled && WTERMSIG(status) != SIGPIPE)
        log_error("handler %s was killed by signal %d (%s)", s->o->handler[0], WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    int rc = session_send(s, EVENT_HANDLER_EXITED);
    if (rc < 0 && rc != -EPIPE)
        log_error("cannot tell the gate that the handler has exited: %s", strerror(-rc));
}

/* Reaps a child. True if it has ended, or cannot be waited for, which is a failure of the system. */
static bool has_ended(struct session *s, struct child *c, int *status, int options)
{
    int rc = child_reap(c, options, status);

    if (rc < 0)
        session_set_ending(s, ENDING_SYSTEM);
    return rc != 0;
}

static void reap(struct session *s, int options)
{
    int status;

    if (has_ended(s, &s->handler, &status, options))
        handler_reaped(s, status);
    (void)has_ended(s, &s->plaintext_handler, &status, options);
    if (has_ended(s, &s->gate_process, &status, options))
        gate_reaped(s, status);
}

/* Ends the connection in order, on SIGTERM or after a failure: the handler's last output is still delivered,
 * and the client's input is read no more. */
static void stop(struct session *s, enum ending ending)
{
    if (s->stopping)
        return;
    /* Perhaps the gate has reported the end already. */
    while (s->gate >= 0 && answer_one(s))
        ;
    s->stopping = true;
    session_set_ending(s, ending);
    s->handler.term_at = 0;
    s->handler.kill_at = io_deadline(session_grace(s));
    /* The gate needs time to end the connection after the handler has ended. */
    s->gate_process.kill_at = s->handler.kill_at + GATE_LAST_MS;
    child_signal(&s->handler, SIGTERM);
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

/* Handles a failure of poll(2). The first time stops in order; the second time kills all children. */
static void poll_failed(struct session *s, int error)
{
    log_error("poll: %s: connection ended", strerror(error));
    if (!s->stopping) {
        stop(s, ENDING_SYSTEM);
        return;
    }
    session_end_gate(s, ENDING_SYSTEM);
    child_signal(&s->handler, SIGKILL);
    child_signal(&s->plaintext_handler, SIGKILL);
    reap(s, 0);
}

static void watch(struct session *s)
{
    struct child *children[] = {&s->gate_process, &s->handler, &s->plaintext_handler};

    while (s->gate_process.pid > 0 || s->handler.pid > 0 || s->plaintext_handler.pid > 0) {
        struct pollfd p[4 + LOG_POLLS] = {{.fd = s->signals, .events = POLLIN},
                                          {.fd = s->gate, .events = POLLIN},
                                          {.fd = s->handler.errors, .events = POLLIN},
                                          {.fd = s->plaintext_handler.errors, .events = POLLIN}};
        log_poll(p + 4);
        io_time next = 0;
        for (int i = 0; i < 3; i++)
            next = io_earlier(next, child_next_deadline(children[i]));
        int n = poll(p, sizeof p / sizeof p[0], io_remaining(next));
        if (n < 0 && errno != EINTR)
            poll_failed(s, errno);
        if (n > 0)
            log_polled(p + 4);
        if (n > 0 && p[1].revents != 0)
            (void)answer_one(s);
        if (n > 0 && p[2].revents != 0)
            (void)child_read_errors(&s->handler, &s->errors);
        if (n > 0 && p[3].revents != 0)
            (void)child_read_errors(&s->plaintext_handler, &s->errors);
        if (n > 0 && p[0].revents != 0)
            take_signal(s);
        for (int i = 0; i < 3; i++)
            child_enforce(children[i], session_grace(s));
    }
    child_close_errors(&s->plaintext_handler, &s->errors);
    child_close_errors(&s->handler, &s->errors);
}

/* Lets the gate begin; or ends it, if certificates or handler are missing. */
static void begin_gate(struct session *s)
{
    if (!s->have_tls && s->o->starttls == NULL)
        session_set_ending(s, ENDING_CONFIGURATION);
    if (s->o->ucspi_tls && !s->handler_ran)
        session_set_ending(s, ENDING_NO_HANDLER);
    if (s->ending_known) {
        io_close(&s->gate);
        return;
    }
    int rc = answer_begin(s);
    if (rc < 0)
        session_lost_gate(s, "speak to the gate", rc);
}

/* Ends a connection for which there is no gate. Returns the exit status. */
static int end_without_gate(struct session *s, int status)
{
    vault_wipe(&s->vault);
    session_set_ending(s, status == EX_CONFIG ? ENDING_CONFIGURATION : ENDING_SYSTEM);
    summary_write(s);
    io_linger(s->c->in, s->c->out, io_deadline(LINGER_SECONDS));
    activation_close(s->c);
    return status;
}

int monitor_run(struct connection *c, const struct options *o, const struct signals *before,
                monitor_gate *gate, const struct provision *given)
{
    struct session s = {.o = o,
                        .c = c,
                        .before = *before,
                        .signals = -1,
                        .gate = -1,
                        .gate_process = {.kind = CHILD_GATE, .name = "gate", .errors = -1},
                        .handler = {.errors = -1},
                        .plaintext_handler = {.errors = -1},
                        .ends = {.in = -1, .out = -1, .errors = -1},
                        .ucspi = {-1, -1, -1, false},
                        .phase = o->proxy_protocol ? PHASE_HEADER : PHASE_OPENING,
                        .started = io_now(),
                        .ending = ENDING_GATE_DIED};
    struct ucspi handler_side = {-1, -1, -1, false};
    int64_t since = trace_now();

    if (!peer_may_connect(&s)) {
        summary_write(&s);
        activation_close(c);
        return ending_status(s.ending);
    }
    trace_connected(c);
    int status = set_up(&s, gate, &handler_side, given);
    if (status != 0)
        return end_without_gate(&s, status);
    /* Keys may be decoded only now: the gate has been forked, so it gets no copy. */
    s.have_tls = s.have_tls && vault_unlock(&s.vault, o, false) == 0;
    if (s.have_tls && !tickets_wanted(o) && o->tickets != NULL)
        log_detail("--tickets=%s: not used, since clients are asked for certificates", o->tickets);
    trace_ready(since, s.have_tls, s.gate_process.pid);
    if (s.have_tls && o->ucspi_tls)
        (void)session_start_handler(&s, NULL, &handler_side);
    ucspi_close(&handler_side);
    activation_close(c);
    begin_gate(&s);
    session_set_gate_deadline(&s);
    watch(&s);
    vault_wipe(&s.vault);
    summary_write(&s);
    bool ours = s.ending == ENDING_GATE_DIED || s.ending == ENDING_SYSTEM;
    return s.handler_ran && !ours ? s.handler_result : ending_status(s.ending);
}
