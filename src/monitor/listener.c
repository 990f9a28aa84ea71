/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/listener.h"

#include "monitor/child.h"
#include "monitor/clients.h"
#include "common/io.h"
#include "common/log.h"
#include "monitor/limits.h"
#include "monitor/notify.h"
#include "monitor/reload.h"
#include "common/memory.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define BATCH 16        /* clients accepted from one socket before the next socket has its turn */
#define PAUSE_SECONDS 1 /* in accepting, when the system lacks memory, processes or descriptors */
#define TRIAL_SECONDS 1 /* how long clients wait while new certificates are tried */
#define SHORTAGE_LINE_SECONDS 60 /* between two lines about what the system lacks */
#define STATUS_SECONDS                                                                             \
    1 /* between two messages to the service manager about the number of clients */

struct listener {
    struct listeners *sockets;
    const struct options *o;
    const struct signals *before;
    monitor_gate *gate;
    struct provision provision;
    struct reload reload;
    struct clients clients;
    struct notify notify;
    int signals; /* signalfd(2) */
    bool sighup_came;
    unsigned sigterms;    /* how often SIGTERM has come */
    io_time paused_until; /* accepts no client before this time; 0: no pause */
    io_time idle_until;   /* when --exit-idle ends us; 0: there are clients, or no such option */
    io_time shortage_line_at;
    struct refusals refusals;
    size_t reported_count; /* the number of clients that the service manager knows */
    io_time report_at;
};

/* Serves one connection, in a child of the listener. First gives up what belongs to the listener. */
static _Noreturn void serve(struct listener *l, struct connection *c)
{
    activation_close_listeners(l->sockets);
    io_close(&l->signals);
    notify_close(&l->notify);
    log_child();
    activation_complete(c);
    log_about(c->client.text);
    int status = monitor_run(c, l->o, l->before, l->gate, &l->provision);
    log_finish();
    /* Not exit(): functions registered with atexit() belong to the listener. */
    _exit(status);
}

/* Accepts no client for a while, since the system lacks something. To try again at once would only spin. */
static void pause_for(struct listener *l, const char *what, int error)
{
    l->paused_until = io_deadline(PAUSE_SECONDS);
    if (l->shortage_line_at != 0 && io_remaining(l->shortage_line_at) > 0)
        return;
    l->shortage_line_at = io_deadline(SHORTAGE_LINE_SECONDS);
    log_error("%s: %s: clients wait until there is more", what, strerror(-error));
}

static void begin_reload(struct listener *l)
{
    (void)reload_begin(&l->reload);
    if (l->reload.trial != 0)
        l->paused_until = io_deadline(TRIAL_SECONDS);
}

/* Takes the new files, or keeps the old ones, when the process that tried them has ended. Logs which. */
static void finish_reload(struct listener *l, int wait_status)
{
    struct provision *p = &l->provision;
    int rc = reload_finish(&l->reload, wait_status, &p->vault, &p->trust);

    if (rc == -EAGAIN) {
        /* Sets no new pause, so that files which change all the time cannot keep clients out. */
        (void)reload_begin(&l->reload);
        return;
    }
    l->paused_until = 0;
    if (rc == 0)
        log_note("certificates and keys have changed: the new ones are used from now on");
    else if (p->have_tls)
        log_error("certificates and keys have changed, but can't be used: the old ones are kept");
    p->have_tls = p->have_tls || rc == 0;
    notify_send(&l->notify, "READY=1");
}

static void monitor_ended(struct listener *l, pid_t pid, int status)
{
    if (clients_remove(&l->clients, pid) < 0)
        return;
    if (WIFSIGNALED(status))
        log_error("monitor %ld was killed by signal %d (%s)", (long)pid, WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    if (l->reload.trial == 0)
        l->paused_until = 0; /* the end of a monitor gives the system something back */
}

static void reap(struct listener *l)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == l->reload.trial)
            finish_reload(l, status);
        else
            monitor_ended(l, pid, status);
    }
}

/* Forks a monitor for a client, or refuses the client. Closes the connection in this process. */
static void admit(struct listener *l, struct connection *c)
{
    const char *why = limits_reached(l->o, &l->clients, &c->client);
    pid_t pid = -1;

    if (why != NULL) {
        reap(l); /* perhaps a client has just left */
        why = limits_reached(l->o, &l->clients, &c->client);
    }
    if (why == NULL && (pid = fork()) == 0)
        serve(l, c);
    if (pid > 0) {
        clients_add(&l->clients, pid, &c->client);
    } else {
        if (why == NULL)
            pause_for(l, "cannot fork", -errno);
        limits_refuse(&l->refusals, l->o, c, why != NULL ? why : "no process to be had",
                      l->clients.count);
    }
    activation_close(c);
}

/* True if an error of accept(2) concerns only this client, who has left or cannot be reached. */
static bool concerns_one_client(int error)
{
    static const int errors[] = {EINTR,       ECONNABORTED, EPROTO,       EPERM,      ENETDOWN,
                                 ENOPROTOOPT, EHOSTDOWN,    EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH};

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (error == -errors[i])
            return true;
    return false;
}

static void accept_some(struct listener *l, size_t number)
{
    struct connection c;

    for (int i = 0; i < BATCH && l->paused_until == 0; i++) {
        int rc = activation_accept(l->sockets, number, &c);
        if (rc == 0) {
            admit(l, &c);
        } else if (rc == -EAGAIN) {
            return;
        } else if (!concerns_one_client(rc)) {
            pause_for(l, "cannot accept", rc);
        }
    }
}

/* Handles SIGTERM. The first one: no new clients. The second one: passes SIGTERM on to all monitors. */
static void stop(struct listener *l)
{
    l->sigterms++;
    if (l->sigterms > 1) {
        clients_signal(&l->clients, SIGTERM);
        return;
    }
    activation_close_listeners(l->sockets);
    notify_send(&l->notify, "STOPPING=1");
    log_note("told to end: no more clients; %zu connections go on, until SIGTERM comes once more",
             l->clients.count);
}

static void take_signals(struct listener *l)
{
    struct signalfd_siginfo info;

    while (io_read(l->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            reap(l);
        else if (info.ssi_signo == SIGHUP)
            l->sighup_came = true;
        else
            stop(l);
    }
}

/* Tells the service manager how many clients there are, once a second at most. */
static void report_count(struct listener *l)
{
    char text[64];

    if (l->notify.fd < 0 || l->reported_count == l->clients.count ||
        (l->report_at != 0 && io_remaining(l->report_at) > 0))
        return;
    l->report_at = io_deadline(STATUS_SECONDS);
    l->reported_count = l->clients.count;
    (void)snprintf(text, sizeof text, "STATUS=%zu connections", l->reported_count);
    notify_send(&l->notify, text);
}

/* Does what depends on time or SIGHUP. Returns when it has to be called next; 0: whenever. */
static io_time do_timed_work(struct listener *l)
{
    io_time next = 0;

    if (l->paused_until != 0 && io_remaining(l->paused_until) == 0)
        l->paused_until = 0;
    if (l->sighup_came && l->reload.trial == 0 && l->sigterms == 0) {
        char text[64];
        l->sighup_came = false;
        (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                       (long long)io_now() * 1000);
        notify_send(&l->notify, text);
        begin_reload(l);
    }
    if (l->clients.count > 0)
        l->idle_until = 0;
    else if (l->idle_until == 0)
        l->idle_until = io_deadline(l->o->exit_idle);
    report_count(l);
    if (l->notify.fd >= 0 && l->reported_count != l->clients.count)
        next = l->report_at;
    return io_earlier(io_earlier(next, l->paused_until), l->idle_until);
}

/* True if there was no client for the time of --exit-idle. quiet: no client waits on a socket now. */
static bool is_idle(const struct listener *l, bool quiet)
{
    return quiet && l->paused_until == 0 && l->idle_until != 0 && io_remaining(l->idle_until) == 0;
}

static void watch(struct listener *l)
{
    struct pollfd p[1 + LOG_POLLS + ACTIVATION_SOCKETS_MAX];
    struct pollfd *for_log = p + 1, *for_clients = for_log + LOG_POLLS;

    while (l->sigterms == 0 || l->clients.count > 0) {
        io_time next = do_timed_work(l);
        size_t sockets = l->sockets->count;
        p[0] = (struct pollfd){.fd = l->signals, .events = POLLIN};
        log_poll(for_log);
        for (size_t i = 0; i < sockets; i++)
            for_clients[i] = (struct pollfd){.fd = l->paused_until == 0 ? l->sockets->fds[i] : -1,
                                             .events = POLLIN};
        int n = poll(p, 1 + LOG_POLLS + sockets, io_remaining(next));
        if (n < 0 && errno != EINTR)
            pause_for(l, "cannot wait for clients", -errno);
        if (is_idle(l, n == 0)) {
            log_note("nobody has come in %u seconds (--exit-idle): done", l->o->exit_idle);
            return;
        }
        if (n <= 0)
            continue;
        log_polled(for_log);
        if (p[0].revents != 0) {
            take_signals(l);
            continue; /* new certificates may have been loaded: poll again before accepting */
        }
        if (reload_is_due(&l->reload))
            begin_reload(l);
        for (size_t i = 0; i < sockets; i++)
            if (for_clients[i].revents != 0)
                accept_some(l, i);
    }
}

/* Loads certificates and keys for the first time. Returns 0 or the exit status. */
static int load_files(struct listener *l)
{
    int rc, status = EX_OSERR << 8;

    do {
        if (reload_begin(&l->reload) < 0)
            return EX_OSERR;
        (void)child_wait(l->reload.trial, &status);
        rc = reload_finish(&l->reload, status, &l->provision.vault, &l->provision.trust);
    } while (rc == -EAGAIN);
    l->provision.have_tls = rc == 0;
    if (rc == 0)
        return 0;
    if (l->o->starttls == NULL)
        return EX_CONFIG;
    log_error("certificates and keys can't be used: there is no STARTTLS until they have changed");
    return 0;
}

/* Prepares everything before the first client. Returns 0 or the exit status. */
static int set_up(struct listener *l)
{
    int rc = clients_open(&l->clients, l->o->max_connections);

    if (rc == 0)
        rc = monitor_take_signals(&l->signals);
    if (rc < 0) {
        log_error("cannot set up memory and signals: %s", strerror(-rc));
        return EX_OSERR;
    }
    rc = provision_prepare(&l->provision, l->o);
    if (rc != 0)
        return rc;
    rc = load_files(l);
    return rc;
}

static void log_sockets(const struct listeners *l)
{
    char text[1024] = "";

    for (size_t i = 0, used = 0; i < l->count; i++, used = strlen(text)) {
        struct peer nobody, server;
        (void)peer_of(l->fds[i], &nobody, &server);
        (void)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "", server.text);
    }
    log_note("accepting connections on %s%s%s%s", text, l->names[0] != '\0' ? " (" : "", l->names,
             l->names[0] != '\0' ? ")" : "");
}

int listener_run(struct listeners *sockets, const struct options *o, const struct signals *before,
                 monitor_gate *gate)
{
    struct listener l = {.sockets = sockets,
                         .o = o,
                         .before = before,
                         .gate = gate,
                         .provision = {.vault = {.holder = VAULT_LENT}, .jail = {.root = -1}},
                         .reload = {.o = o},
                         .signals = -1};

    notify_open(&l.notify);
    log_share();
    int status = set_up(&l);
    if (status == 0) {
        log_sockets(sockets);
        notify_send(&l.notify, "READY=1");
        memory_trim_stack(); /* each child would copy it */
        watch(&l);
    }
    activation_close_listeners(sockets);
    vault_wipe(&l.provision.vault);
    trust_free(&l.provision.trust);
    jail_close(&l.provision.jail);
    clients_close(&l.clients);
    notify_close(&l.notify);
    io_close(&l.signals);
    return status;
}
