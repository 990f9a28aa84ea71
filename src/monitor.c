/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor.h"

#include "facts.h"
#include "handler.h"
#include "io.h"
#include "jail.h"
#include "log.h"
#include "message.h"
#include "policy.h"
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

#define NOTES_MAX 20 /* lines that one gate may write */
#define NOTE_TEXT_MAX 512
#define DIAGNOSTIC_MAX 512 /* a line of the handler's standard error */
#define LAST_SECONDS 10    /* for whoever should be gone and is not, where --timeout-grace is 0 */

extern char **environ;

/* How far the gate has come; it may not go back. */
enum phase {
    PHASE_OPENING,   /* nothing yet */
    PHASE_PLAINTEXT, /* a handler answers behind the lobby */
    PHASE_TLS_NEXT,  /* ... and has been ended again */
    PHASE_CHAIN,     /* it has been given the certificate chain */
    PHASE_SESSION,   /* the relay runs */
    PHASE_ENDED
};

struct monitor {
    const struct options *o;
    struct connection *c;
    struct jail jail;
    struct vault vault;
    struct signals before; /* what the handler gets back */
    int signals;           /* signalfd(2) */
    int gate;              /* our end of the socketpair; -1 when the gate has closed it */
    pid_t gate_pid;        /* 0 when reaped */
    enum phase phase;
    unsigned notes;
    struct account account;
    struct handler handler;
    pid_t old_pid; /* the handler of the plaintext phase, told to end; 0: none */
    io_time old_kill_at;
    bool handler_ran;
    int handler_result; /* its exit status */
    char diagnostic[DIAGNOSTIC_MAX];
    size_t diagnostic_len;
    struct facts facts;
    bool have_facts;
    bool have_tls;      /* certificates and keys are usable */
    struct ucspi ucspi; /* the gate's side of the handler's descriptors */
    io_time started;
    uint64_t in, out;
    enum ending ending;
    bool ending_known;
    bool stopping;   /* SIGTERM has come */
    io_time term_at; /* when the handler gets SIGTERM; 0: not planned */
    io_time kill_at; /* when whoever is left gets SIGKILL */
};

static void set_ending(struct monitor *m, enum ending ending)
{
    if (!m->ending_known)
        m->ending = ending;
    m->ending_known = true;
}

static int take_signals(struct monitor *m)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    (void)sigemptyset(&ignore.sa_mask);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    if (sigaction(SIGPIPE, &ignore, &m->before.pipe) != 0 ||
        sigprocmask(SIG_BLOCK, &set, &m->before.mask) != 0)
        return -errno;
    m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return m->signals < 0 ? -errno : 0;
}

/* Starts the handler: with facts after the handshake, without them before. `ucspi`: with the network
 * socket and these descriptors instead of pipes. */
static int run_handler(struct monitor *m, const struct facts *facts, const struct ucspi *ucspi)
{
    struct environment e;
    struct handler_setup setup = {
        .argv = m->o->handler,
        .stdio = m->o->stdio,
        .account = m->o->handler_user != NULL ? &m->account : NULL,
        .take_errors = m->c->stderr_was_client,
        .environment = &e,
        .signals = &m->before,
    };

    environment_copy(&e, environ);
    environment_describe(&e, &m->c->client, &m->c->server, facts);
    if (ucspi != NULL) {
        ucspi_describe(&e, HANDLER_EXTRA_FIRST);
        setup.given = true;
        setup.given_in = m->c->in;
        setup.given_out = m->c->out;
        setup.extra[0] = ucspi->control;
        setup.extra[1] = ucspi->read;
        setup.extra[2] = ucspi->write;
    }
    int rc = handler_start(&m->handler, &setup);
    environment_free(&e);
    m->handler_ran = rc == 0;
    return rc;
}

static int fork_gate(struct monitor *m, monitor_gate *gate)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    m->gate_pid = fork();
    if (m->gate_pid == 0) {
        (void)close(ends[0]);
        gate(m->c, m->o, &m->jail, ends[1], m->o->ucspi_tls ? &m->ucspi : NULL);
        _exit(EX_OK);
    }
    int rc = m->gate_pid < 0 ? -errno : 0;
    (void)close(ends[1]);
    if (rc < 0) {
        m->gate_pid = 0;
        (void)close(ends[0]);
        return rc;
    }
    m->gate = ends[0];
    /* A gate that does not read must not be able to stop the monitor. */
    return io_set_nonblocking(m->gate, true);
}

/* Without STARTTLS nothing works without certificates; with it, the lobby can still say why. */
static int load_vault(struct monitor *m)
{
    if (m->o->tls_min < 0x0303)
        log_note(
            "--tls-min=1.%u: TLS 1.0 and 1.1 are broken (RFC 8996); use 1.2 as soon as you can",
            m->o->tls_min - 0x0301);
    m->have_tls = vault_load(&m->vault, m->o) == 0;
    return m->have_tls || m->o->starttls != NULL ? 0 : EX_CONFIG;
}

/* Everything up to two running processes. Returns 0 or the exit status. */
static int set_up(struct monitor *m, monitor_gate *gate)
{
    struct ucspi handler_side = {-1, -1, -1, false};
    int rc = load_vault(m);

    if (rc != 0)
        return rc;
    if (m->o->handler_user != NULL && account_find(&m->account, m->o->handler_user) < 0) {
        log_error("--handler-user=%s: no such user or group", m->o->handler_user);
        return EX_CONFIG;
    }
    if (jail_prepare(&m->jail, m->o) < 0)
        return EX_CONFIG;
    rc = take_signals(m);
    if (rc == 0 && m->o->ucspi_tls)
        rc = ucspi_make(&m->ucspi, &handler_side);
    if (rc == 0)
        rc = fork_gate(m, gate);
    jail_close(&m->jail);
    ucspi_close(&m->ucspi);
    if (rc < 0)
        log_error("cannot start the gate process: %s", strerror(-rc));
    else if (m->o->ucspi_tls && run_handler(m, NULL, &handler_side) < 0)
        set_ending(m, ENDING_NO_HANDLER);
    ucspi_close(&handler_side);
    activation_close(m->c);
    return rc < 0 ? EX_OSERR : 0;
}

static int send_plain(struct monitor *m, enum message_type type)
{
    uint8_t buf[16];
    struct message_writer w;

    if (m->gate < 0)
        return -EPIPE;
    message_begin(&w, buf, sizeof buf, type);
    return message_send(m->gate, &w, NULL, 0);
}

/* The gate has broken a rule: nothing that it says is listened to any more. */
static void end_gate(struct monitor *m)
{
    io_close(&m->gate);
    if (m->gate_pid > 0)
        (void)kill(m->gate_pid, SIGKILL);
    set_ending(m, ENDING_GATE_DIED);
}

static void refuse_message(struct monitor *m, const struct message_reader *r)
{
    log_error("the gate sent a %s message that is malformed or out of turn: connection ended",
              message_name(r->type));
    end_gate(m);
}

static io_time after_grace(const struct monitor *m)
{
    return io_deadline(m->o->timeout_grace != 0 ? m->o->timeout_grace : LAST_SECONDS);
}

static void write_note(struct monitor *m, struct message_reader *r)
{
    char text[NOTE_TEXT_MAX], line[2 * NOTE_TEXT_MAX];
    uint64_t gravity = message_get_number(r, 2);

    message_get_text(r, text, sizeof text);
    if (!message_complete(r) || m->notes++ >= NOTES_MAX) {
        refuse_message(m, r);
        return;
    }
    (void)log_sentence(line, sizeof line, text, strlen(text));
    if (gravity == 2)
        log_error("%s", line);
    else if (gravity == 1)
        log_note("%s", line);
    else
        log_detail("%s", line);
}

/* The secrets have done their work, and so has most of what this process may do. */
static void lay_down(struct monitor *m)
{
    vault_wipe(&m->vault);
    int rc = jail_monitor(m->o->jail);
    if (rc < 0)
        log_detail("the monitor's own jail is missing: %s", strerror(-rc));
}

/* Hands the gate the descriptors of the handler that has just been started, or none. */
static void give_handler(struct monitor *m)
{
    uint8_t buf[16];
    struct message_writer w;
    const int fds[2] = {m->handler.in, m->handler.out};
    size_t count = fds[0] < 0 ? 0 : fds[0] == fds[1] ? 1 : 2;

    message_begin(&w, buf, sizeof buf, MESSAGE_HANDLER);
    int rc = message_send(m->gate, &w, fds, count);
    handler_close(&m->handler);
    if (rc < 0) {
        log_error("cannot hand the handler to the gate: %s", strerror(-rc));
        end_gate(m);
    }
}

/* The handshake is done: starts the handler and hands its descriptors to the gate. */
static void take_facts(struct monitor *m, struct message_reader *r)
{
    facts_get(r, &m->facts);
    if (!message_complete(r) || m->phase != PHASE_CHAIN) {
        refuse_message(m, r);
        return;
    }
    m->phase = PHASE_SESSION;
    m->have_facts = true;
    vault_wipe(&m->vault);
    if (!m->o->ucspi_tls && run_handler(m, &m->facts, NULL) < 0)
        set_ending(m, ENDING_NO_HANDLER);
    lay_down(m);
    if (!m->o->ucspi_tls)
        give_handler(m);
}

/* The policies auth and optional: a handler answers before TLS. Once. */
static void start_plaintext(struct monitor *m, struct message_reader *r)
{
    if (m->phase != PHASE_OPENING || m->o->starttls == NULL ||
        !policy_has_handler(policy_for(m->o, &m->c->client, &m->c->server))) {
        refuse_message(m, r);
        return;
    }
    m->phase = PHASE_PLAINTEXT;
    if (run_handler(m, NULL, NULL) < 0)
        set_ending(m, ENDING_NO_HANDLER);
    give_handler(m);
}

/* TLS comes: nothing of the plaintext phase may live on. */
static void end_plaintext(struct monitor *m, struct message_reader *r)
{
    if (m->phase != PHASE_PLAINTEXT) {
        refuse_message(m, r);
        return;
    }
    m->phase = PHASE_TLS_NEXT;
    if (m->handler.pid > 0)
        (void)kill(m->handler.pid, SIGTERM);
    m->old_pid = m->handler.pid;
    m->old_kill_at = m->old_pid > 0 ? after_grace(m) : 0;
    m->handler.pid = 0;
    m->handler_ran = false;
    m->diagnostic_len = 0;
    io_close(&m->handler.errors);
    if (send_plain(m, MESSAGE_ENDED) < 0)
        end_gate(m);
}

/* The client has left the lobby in plaintext: keys are needed no more. */
static void leave_lobby(struct monitor *m, struct message_reader *r)
{
    if (m->phase != PHASE_PLAINTEXT) {
        refuse_message(m, r);
        return;
    }
    m->phase = PHASE_SESSION;
    lay_down(m);
}

static void take_end(struct monitor *m, struct message_reader *r)
{
    enum ending ending = (enum ending)message_get_number(r, ENDING_COUNT - 1);
    uint64_t in = message_get_number(r, UINT64_MAX);
    uint64_t out = message_get_number(r, UINT64_MAX);
    bool overstayed = message_get_number(r, 1) != 0;

    if (!message_complete(r) || m->phase == PHASE_ENDED) {
        refuse_message(m, r);
        return;
    }
    m->phase = PHASE_ENDED;
    set_ending(m, ending);
    m->in = in;
    m->out = out;
    if (m->handler.pid > 0 && m->term_at == 0 && m->kill_at == 0)
        m->term_at = overstayed ? io_now() : io_deadline(m->o->timeout_grace);
}

static void give_chain(struct monitor *m, struct message_reader *r)
{
    if ((m->phase != PHASE_OPENING && m->phase != PHASE_TLS_NEXT) || !m->have_tls) {
        refuse_message(m, r);
        return;
    }
    m->phase = PHASE_CHAIN;
    if (vault_give_chain(&m->vault, r, m->gate) < 0)
        end_gate(m);
}

/* Reads and obeys one message. Returns false when there is none. */
static bool take_message(struct monitor *m)
{
    uint8_t buf[4096];
    struct message_reader r;
    int rc = message_receive(m->gate, &r, buf, sizeof buf, false);

    if (rc == -EAGAIN)
        return false;
    if (rc == -EPIPE) {
        io_close(&m->gate);
        return false;
    }
    if (rc < 0) {
        log_error("the gate sent an unreadable message (%s): connection ended", strerror(-rc));
        end_gate(m);
        return false;
    }
    switch (r.type) {
    case MESSAGE_CHAIN:
        give_chain(m, &r);
        break;
    case MESSAGE_SIGN:
        if (m->phase != PHASE_CHAIN || vault_give_signature(&m->vault, &r, m->gate) < 0)
            end_gate(m);
        break;
    case MESSAGE_FACTS:
        take_facts(m, &r);
        break;
    case MESSAGE_PLAINTEXT:
        start_plaintext(m, &r);
        break;
    case MESSAGE_END_HANDLER:
        end_plaintext(m, &r);
        break;
    case MESSAGE_LEFT:
        leave_lobby(m, &r);
        break;
    case MESSAGE_NOTE:
        write_note(m, &r);
        break;
    case MESSAGE_END:
        take_end(m, &r);
        break;
    default:
        refuse_message(m, &r);
    }
    return true;
}

static void gate_reaped(struct monitor *m, int status)
{
    m->gate_pid = 0;
    /* What it sent before it ended is still to be read. */
    while (m->gate >= 0 && take_message(m))
        ;
    io_close(&m->gate);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        log_error("the gate was killed by its jail for a system call that it must not make; the "
                  "kernel's log names it; if this is no attack, --jail=off goes without");
    else if (WIFSIGNALED(status) && m->phase != PHASE_ENDED && WTERMSIG(status) != SIGKILL)
        log_error("the gate was killed by signal %d (%s)", WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    if (m->phase != PHASE_ENDED)
        set_ending(m, ENDING_GATE_DIED);
    if (m->handler.pid > 0 && m->term_at == 0 && m->kill_at == 0)
        m->term_at = io_deadline(m->o->timeout_grace);
}

static void handler_reaped(struct monitor *m, int status)
{
    m->handler.pid = 0;
    m->term_at = 0;
    m->kill_at = 0;
    m->handler_result = handler_status(status);
    if (WIFSIGNALED(status) && m->phase != PHASE_ENDED && !m->stopping)
        log_error("handler %s was killed by signal %d (%s)", m->o->handler[0], WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    (void)send_plain(m, MESSAGE_EXITED);
}

static void reap(struct monitor *m)
{
    int status;

    if (m->handler.pid > 0 && waitpid(m->handler.pid, &status, WNOHANG) == m->handler.pid)
        handler_reaped(m, status);
    if (m->old_pid > 0 && waitpid(m->old_pid, &status, WNOHANG) == m->old_pid) {
        m->old_pid = 0;
        m->old_kill_at = 0;
    }
    if (m->gate_pid > 0 && waitpid(m->gate_pid, &status, WNOHANG) == m->gate_pid)
        gate_reaped(m, status);
}

/* SIGTERM: what is in flight is delivered, nothing new is taken. */
static void stop(struct monitor *m)
{
    if (m->stopping)
        return;
    m->stopping = true;
    set_ending(m, ENDING_SIGTERM);
    m->kill_at = after_grace(m);
    m->term_at = 0;
    if (m->handler.pid > 0)
        (void)kill(m->handler.pid, SIGTERM);
    if (m->gate < 0)
        return;
    if (!m->handler_ran || send_plain(m, MESSAGE_DRAIN) < 0)
        (void)shutdown(m->gate, SHUT_WR);
}

static void take_signal(struct monitor *m)
{
    struct signalfd_siginfo s;

    while (io_read(m->signals, &s, sizeof s) == (ssize_t)sizeof s) {
        if (s.ssi_signo == SIGCHLD)
            reap(m);
        else
            stop(m);
    }
}

/* Logs whole lines of the handler's standard error, or all there is when it has ended. */
static void take_diagnostics(struct monitor *m)
{
    char line[2 * DIAGNOSTIC_MAX];
    ssize_t n;

    while ((n = io_read(m->handler.errors, m->diagnostic + m->diagnostic_len,
                        sizeof m->diagnostic - m->diagnostic_len)) > 0) {
        m->diagnostic_len += (size_t)n;
        for (;;) {
            char *newline = memchr(m->diagnostic, '\n', m->diagnostic_len);
            bool full = m->diagnostic_len == sizeof m->diagnostic;
            if (newline == NULL && !full)
                break;
            size_t len = newline != NULL ? (size_t)(newline - m->diagnostic) : m->diagnostic_len;
            log_note("handler: %s", log_sentence(line, sizeof line, m->diagnostic, len));
            len += newline != NULL;
            m->diagnostic_len -= len;
            memmove(m->diagnostic, m->diagnostic + len, m->diagnostic_len);
        }
    }
    if (n != -EAGAIN)
        io_close(&m->handler.errors);
}

/* Ends whoever is overdue. */
static void enforce(struct monitor *m)
{
    if (m->term_at != 0 && io_remaining(m->term_at) == 0) {
        m->term_at = 0;
        m->kill_at = after_grace(m);
        if (m->handler.pid > 0) {
            log_note("handler %s goes on without its client: SIGTERM", m->o->handler[0]);
            (void)kill(m->handler.pid, SIGTERM);
        }
    }
    if (m->old_kill_at != 0 && io_remaining(m->old_kill_at) == 0) {
        m->old_kill_at = 0;
        (void)kill(m->old_pid, SIGKILL);
    }
    if (m->kill_at != 0 && io_remaining(m->kill_at) == 0) {
        m->kill_at = 0;
        if (m->handler.pid > 0) {
            log_note("handler %s ignores SIGTERM: SIGKILL", m->o->handler[0]);
            (void)kill(m->handler.pid, SIGKILL);
        }
        if (m->gate_pid > 0)
            (void)kill(m->gate_pid, SIGKILL);
    }
}

static void watch(struct monitor *m)
{
    while (m->gate_pid > 0 || m->handler.pid > 0 || m->old_pid > 0) {
        struct pollfd p[] = {{.fd = m->signals, .events = POLLIN},
                             {.fd = m->gate, .events = POLLIN},
                             {.fd = m->handler.errors, .events = POLLIN}};
        io_time next = io_earlier(io_earlier(m->term_at, m->kill_at), m->old_kill_at);
        int n = poll(p, sizeof p / sizeof p[0], io_remaining(next));
        if (n < 0 && errno != EINTR) {
            log_error("poll: %s", strerror(errno));
            m->kill_at = io_now();
        }
        if (n > 0 && p[1].revents != 0)
            (void)take_message(m);
        if (n > 0 && p[2].revents != 0)
            take_diagnostics(m);
        if (n > 0 && p[0].revents != 0)
            take_signal(m);
        enforce(m);
    }
    if (m->handler.errors >= 0)
        take_diagnostics(m);
}

static const char *start_word(const struct monitor *m)
{
    if (m->o->ucspi_tls)
        return "ucspi-tls";
    if (m->o->starttls == NULL)
        return "immediate";
    return m->phase >= PHASE_SESSION && m->handler_ran && !m->have_facts ? "plaintext" : "starttls";
}

static void write_summary(const struct monitor *m)
{
    char tls[200] = "", name[300] = "", handler[24] = "";
    char shown[3][128], shown_name[280];
    const struct facts *f = &m->facts;
    io_time ms = io_now() - m->started;

    if (m->have_facts) {
        (void)log_escape(shown[0], sizeof shown[0], f->version, strlen(f->version));
        (void)log_escape(shown[1], sizeof shown[1], f->cipher, strlen(f->cipher));
        (void)log_escape(shown[2], sizeof shown[2], f->group, strlen(f->group));
        (void)snprintf(tls, sizeof tls, " tls=%.20s cipher=%.64s group=%.24s", shown[0], shown[1],
                       shown[2]);
        if (f->name[0] != '\0')
            (void)snprintf(name, sizeof name, " sni=%s",
                           log_escape(shown_name, sizeof shown_name, f->name, strlen(f->name)));
    }
    if (m->handler_ran)
        (void)snprintf(handler, sizeof handler, " handler=%d", m->handler_result);
    log_note("server=%s start=%s%s%s%s%s%s%s in=%llu out=%llu seconds=%lld.%lld end=%s",
             m->c->server.text, start_word(m), m->o->starttls != NULL ? " dialect=" : "",
             m->o->starttls != NULL ? m->o->starttls : "", tls, name,
             m->have_facts ? f->resumed ? " resumed=yes" : " resumed=no" : "", handler,
             (unsigned long long)m->in, (unsigned long long)m->out, (long long)(ms / 1000),
             (long long)(ms % 1000 / 100), ending_name(m->ending));
}

static int send_go(struct monitor *m)
{
    uint8_t buf[16];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, MESSAGE_GO);
    message_put_number(&w, m->have_tls);
    return message_send(m->gate, &w, NULL, 0);
}

int monitor_run(struct connection *c, const struct options *o, monitor_gate *gate)
{
    struct monitor m = {.o = o,
                        .c = c,
                        .signals = -1,
                        .gate = -1,
                        .handler = {.in = -1, .out = -1, .errors = -1},
                        .ucspi = {-1, -1, -1, false},
                        .started = io_now(),
                        .ending = ENDING_GATE_DIED};

    int status = set_up(&m, gate);
    if (status != 0) {
        vault_wipe(&m.vault);
        activation_close(c);
        return status;
    }
    /* The gate has been forked: now keys may be decoded. */
    if (m.have_tls && vault_unlock(&m.vault, o, false) < 0)
        m.have_tls = false;
    if (!m.have_tls && o->starttls == NULL) {
        set_ending(&m, ENDING_CONFIGURATION);
        io_close(&m.gate);
    } else if (send_go(&m) < 0) {
        set_ending(&m, ENDING_GATE_DIED);
    }
    watch(&m);
    vault_wipe(&m.vault);
    write_summary(&m);
    return m.handler_ran ? m.handler_result : ending_status(m.ending);
}
