/* SPDX-License-Identifier: GPL-2.0-or-later */
/* postern: a TLS gate for mail daemons that speak plaintext on stdin and stdout.
 *
 * main() reads the options and takes the descriptors. With a listening socket, the listener accepts clients and
 * forks a monitor for each. Otherwise this process is the monitor. The monitor forks the gate:
 *
 *   gate:     jail → PROXY header (--proxy-protocol) → lobby (STARTTLS only) → handshake → facts → relay → end
 *   monitor:  answers the gate → on its facts: wipes the keys, starts the handler → reaps → summary → exit status */

#include "start/activation.h"
#include "check/check.h"
#include "dialect/dialect.h"
#include "gate/gate.h"
#include "common/io.h"
#include "monitor/listener.h"
#include "common/log.h"
#include "monitor/monitor.h"
#include "start/command_line.h"
#include "start/policy.h"
#include "start/usage.h"
#include "vault/ticket_file.h"
#include "tls/tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

/* Opens the log before the options are known. Errors in them go to standard error and to syslog, as fits. */
static void open_first_log(void)
{
    bool is_journal = activation_stderr_is_journal();

    if (activation_stderr_is_client())
        log_open(LOG_TO_SYSLOG, LOG_NORMAL);
    else
        log_open(is_journal || isatty(STDERR_FILENO) ? LOG_TO_STDERR : LOG_TO_BOTH, LOG_NORMAL);
    log_as_journal(is_journal);
}

static void open_log(const struct options *o)
{
    bool stderr_is_client = activation_stderr_is_client();
    bool to_syslog = o->log == LOG_CHOICE_SYSLOG || stderr_is_client;

    log_open(to_syslog ? LOG_TO_SYSLOG : LOG_TO_STDERR, (enum log_level)o->verbosity);
    log_as_journal(o->log == LOG_CHOICE_JOURNAL ||
                   (o->log == LOG_CHOICE_AUTO && activation_stderr_is_journal()));
    if (o->log == LOG_CHOICE_JSON)
        log_as_json();
    if ((o->log == LOG_CHOICE_STDERR || o->log == LOG_CHOICE_JOURNAL) && stderr_is_client)
        log_note("--log=%s: standard error is the connection itself here: using syslog",
                 o->log == LOG_CHOICE_STDERR ? "stderr" : "journal");
}

/* Checks what the table of options cannot check. Returns 0, or logs one line and returns EX_USAGE. */
static int check_words(const struct options *o)
{
    char shown[80];

    if (o->starttls != NULL && dialect_find(o->starttls) == NULL) {
        log_error("--starttls=%s: wants imap, pop3, smtp, lmtp, sieve or nntp; see --help",
                  log_escape(shown, sizeof shown, o->starttls, strlen(o->starttls)));
        return EX_USAGE;
    }
    if (o->tickets != NULL && !tickets_available()) {
        log_error("--tickets=%s: this TLS library was built without session tickets", o->tickets);
        return EX_USAGE;
    }
    return policy_check(o) < 0 ? EX_USAGE : 0;
}

/* Closes what the launcher left open besides the connection or the listening sockets: a descriptor that
 * stays open keeps somebody's port or pipe in use. Returns 0 or the exit status. */
static int close_others(const struct connection *c, const struct listeners *l)
{
    int keep[2 + LOG_DESCRIPTORS + ACTIVATION_SOCKETS_MAX] = {c->in, c->out};

    log_descriptors(keep + 2);
    memcpy(keep + 2 + LOG_DESCRIPTORS, l->fds, l->count * sizeof l->fds[0]);
    int rc = io_close_others(keep, 2 + LOG_DESCRIPTORS + l->count);
    if (rc == 0)
        return 0;
    log_error("cannot close descriptors that were left open: %s", strerror(-rc));
    return EX_OSERR;
}

static int serve(const struct options *o, const struct signals *before)
{
    struct connection c;
    struct listeners l;

    open_log(o);
    int status = activation_take(&c, &l);
    if (status == 0)
        status = close_others(&c, &l);
    if (status != 0)
        return status;
    if (l.count > 0) {
        /* Initialized once here: all children inherit the library. */
        if (tls_start() == 0)
            return listener_run(&l, o, before, gate_run);
        log_error("cannot start the TLS library");
        return EX_OSERR;
    }
    if (o->ucspi_tls && c.client.family == AF_UNSPEC && strcmp(c.client.text, "pipe") == 0) {
        log_error("--ucspi-tls: the connection is a pair of pipes, but has to be a socket");
        activation_close(&c);
        return EX_USAGE;
    }
    log_about(c.client.text);
    return monitor_run(&c, o, before, gate_run, NULL);
}

int main(int argc, char **argv)
{
    struct options o;
    struct signals before;
    int status;

    if (monitor_begin_signals(&before) < 0 || io_fill_standard() < 0) {
        log_error("cannot set up signals and standard descriptors: %s", strerror(errno));
        log_finish();
        return EX_OSERR;
    }
    open_first_log();
    status = options_read(&o, argc, argv);
    if (status == 0)
        status = check_words(&o);
    if (status == 0) {
        switch (o.action) {
        case ACTION_HELP:
            usage_print(stdout);
            break;
        case ACTION_VERSION:
            check_print_version(stdout);
            break;
        case ACTION_CHECK:
            status = check_run(&o, stdout);
            break;
        case ACTION_NEW_TICKET_KEY:
            status = ticket_file_renew(o.new_ticket_key) < 0 ? EX_CONFIG : EX_OK;
            break;
        case ACTION_SERVE:
            status = serve(&o, &before);
            break;
        }
    }
    options_free(&o);
    log_finish();
    return status;
}
