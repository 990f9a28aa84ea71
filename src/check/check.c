/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check/check.h"

#include "check/check_certs.h"
#include "check/check_clients.h"
#include "check/days.h"
#include "dialect/dialect.h"
#include "monitor/child.h"
#include "monitor/handler.h"
#include "start/jail.h"
#include "check/report.h"
#include "tls/suites.h"
#include "vault/ticket_file.h"
#include "x509/certificate.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define TICKET_KEY_DAYS                                                                            \
    14 /* warns if the newest ticket key is older; it should be renewed each day */

static void check_tls(struct report *r, const struct options *o)
{
    char why[TLS_WHY_SIZE];

    if (suites_check(o->tls_min, o->ciphers, o->groups, why) < 0)
        report_line(r, VERDICT_FAIL, "%s", why);
    else
        report_line(r, VERDICT_OK, "TLS 1.%u%s", o->tls_min - 0x0301,
                    o->tls_min < 0x0304 ? " and higher" : " only");
    report_line(r, VERDICT_NOTE, "cipher suites%s: %s", o->ciphers != NULL ? "" : " (default)",
                suites_ciphers(o->tls_min, o->ciphers));
    report_line(r, VERDICT_NOTE, "groups%s: %s", o->groups != NULL ? "" : " (default)",
                suites_groups(o->groups));
    report_line(r, VERDICT_NOTE, "post-quantum key exchange: %s",
                suites_use_hybrid(o->groups) ? "yes"
                : suites_have_hybrid()       ? "no: --groups leaves X25519MLKEM768 out"
                                             : "no: this TLS library has none");
    report_line(r, VERDICT_NOTE,
                "%sno early data, no renegotiation, no compression; client certificates are %s",
                tickets_wanted(o) ? "" : "no session tickets or resumption, ",
                o->client_cert == CLIENT_CERT_OFF       ? "not asked for"
                : o->client_cert == CLIENT_CERT_REQUEST ? "asked for, with --client-ca"
                                                        : "required, with --client-ca");
    if (o->tls_min < 0x0303)
        report_line(r, VERDICT_WARN, "--tls-min: TLS 1.0 and 1.1 are broken (RFC 8996)");
}

static void report_ticket_keys(struct report *r, const struct options *o, const struct tickets *t)
{
    char date[16];
    long long days = -days_until(t->keys[0].made);

    x509_date(date, sizeof date, t->keys[0].made);
    report_line(r, VERDICT_OK,
                "%s: %zu ticket key%s, not readable by others, the newest of %s; tickets are good "
                "for %u seconds",
                o->tickets, t->count, t->count == 1 ? "" : "s", date, o->ticket_lifetime);
    if (days > TICKET_KEY_DAYS)
        report_line(r, VERDICT_WARN,
                    "%s: its newest key is %lld days old: let cron run `postern "
                    "--new-ticket-key=%s' each day",
                    o->tickets, days, o->tickets);
}

static void check_tickets(struct report *r, const struct options *o)
{
    if (o->tickets != NULL && !tickets_wanted(o))
        report_line(r, VERDICT_NOTE,
                    "--tickets=%s: not used: where clients are asked for certificates, no session "
                    "is resumed",
                    o->tickets);
    if (!tickets_wanted(o))
        return;
    struct tickets *t = calloc(1, sizeof *t);
    if (t == NULL) {
        report_line(r, VERDICT_FAIL, "%s: out of memory", o->tickets);
        return;
    }
    if (ticket_file_read(t, o->tickets) < 0)
        r->failed = true; /* the report has the line already, from the log */
    else
        report_ticket_keys(r, o, t);
    explicit_bzero(t, sizeof *t);
    free(t);
}

/* Writes a time-out: "30", or "none" for 0. Returns text. */
static const char *seconds(char text[12], unsigned timeout)
{
    (void)snprintf(text, 12, "%u", timeout);
    return timeout > 0 ? text : "none";
}

static void check_timeouts(struct report *r, const struct options *o)
{
    char lobby[12], handshake[12], idle[12], session[12], grace[12];

    report_line(r, VERDICT_NOTE,
                "time-outs in seconds: lobby %s, handshake %s, idle %s, session %s, grace %s",
                seconds(lobby, o->timeout_lobby), seconds(handshake, o->timeout_handshake),
                seconds(idle, o->timeout_idle), seconds(session, o->timeout_session),
                seconds(grace, o->timeout_grace));
    if (o->timeout_lobby == 0 && (o->starttls != NULL || o->ucspi_tls))
        report_line(r, VERDICT_WARN, "--timeout-lobby=0: a client may stay before TLS for ever");
    if (o->timeout_handshake == 0)
        report_line(r, VERDICT_WARN,
                    "--timeout-handshake=0: a client may stay in the handshake for ever");
    if (o->timeout_idle == 0 && o->timeout_session == 0)
        report_line(r, VERDICT_WARN,
                    "--timeout-idle=0: a session in which nothing moves may last for ever");
    if (o->timeout_grace == 0)
        report_line(r, VERDICT_WARN,
                    "--timeout-grace=0: a handler may go on for ever after its client left");
}

static void check_start(struct report *r, const struct options *o)
{
    static const char *const means[] = {
        [POLICY_REQUIRED] = "no handler and no login before TLS",
        [POLICY_AUTH] = "no reusable passwords before TLS",
        [POLICY_OPTIONAL] = "all is allowed in plaintext, passwords too",
    };

    if (o->ucspi_tls)
        report_line(r, VERDICT_OK,
                    "the handler begins in plaintext and asks for TLS itself (UCSPI-TLS)");
    else if (o->starttls == NULL)
        report_line(r, VERDICT_OK, "TLS begins at once, as for ports 993, 995 and 465");
    else
        report_line(r, o->policy == POLICY_OPTIONAL ? VERDICT_WARN : VERDICT_OK,
                    "STARTTLS in %s, policy %s: %s", dialect_find(o->starttls)->title,
                    options_policy_name(o->policy), means[o->policy]);
    if (o->proxy_protocol)
        report_line(r, VERDICT_OK, "a PROXY header comes first; connections from %s only",
                    o->proxy_trusted);
    if (o->proxy_out != PROXY_OUT_OFF)
        report_line(r, VERDICT_NOTE,
                    "the handler's input begins with a PROXY header, version %d: it must know",
                    (int)o->proxy_out);
    if (o->trusted != NULL)
        report_line(r, VERDICT_NOTE, "plaintext is as good as TLS for clients of %s", o->trusted);
}

static void check_handler(struct report *r, const struct options *o)
{
    char path[PATH_MAX];
    struct account account;

    if (o->handler_user != NULL && account_find(&account, o->handler_user) < 0)
        report_line(r, VERDICT_FAIL, "--handler-user=%s: no such user or group", o->handler_user);
    else if (o->handler_user != NULL && geteuid() != 0)
        report_line(r, VERDICT_FAIL, "--handler-user=%s: only root can change users",
                    o->handler_user);
    else if (o->handler_user != NULL)
        report_line(r, VERDICT_OK, "the handler runs as user %u, group %u (%s)", account.uid,
                    account.gid, o->handler_user);
    else
        report_line(r, VERDICT_NOTE, "the handler runs as who starts postern (here user %u)",
                    getuid());
    if (o->handler[0] == NULL) {
        report_line(r, VERDICT_WARN, "no handler given: nothing to check about it");
        return;
    }
    int rc = handler_find(o->handler[0], path, sizeof path);
    if (rc == 0)
        report_line(r, VERDICT_OK, "handler %s", path);
    else
        report_line(r, VERDICT_FAIL, "handler %s: %s", o->handler[0],
                    rc == -EACCES   ? "not executable: see its permissions"
                    : rc == -ENOENT ? "not found: give its whole path"
                                    : strerror(-rc));
}

/* Reports which user the gate runs as. */
static void check_user(struct report *r, const struct jail *j, const char *user)
{
    if (!j->as_root)
        report_line(r, VERDICT_NOTE, "the gate runs as who starts postern (here user %u)",
                    getuid());
    else if (j->own_id)
        report_line(r, VERDICT_OK,
                    "the gate runs as a user of its own, with an id that no other has");
    else
        report_line(r, VERDICT_OK, "the gate runs as user %u, group %u (%s)", j->account.uid,
                    j->account.gid, user);
}

/* Enters the jail in a child process. Returns true, and in report->missing what the system lacks; or false, and
 * there what failed. */
static bool try_jail(struct jail *j, struct jail_report *report)
{
    int ends[2], status = 0;

    if (pipe(ends) != 0) {
        (void)snprintf(report->missing, sizeof report->missing, "pipe: %s", strerror(errno));
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        int rc = jail_enter(j, report);
        ssize_t n = write(ends[1], report->missing, sizeof report->missing);
        _exit(rc == 0 && n > 0 ? 0 : 1);
    }
    (void)close(ends[1]);
    if (child < 0 || read(ends[0], report->missing, sizeof report->missing) <= 0)
        (void)snprintf(report->missing, sizeof report->missing, "it could not be tried");
    (void)close(ends[0]);
    bool ended = child > 0 && child_wait(child, &status) == 0;
    report->missing[sizeof report->missing - 1] = '\0';
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void check_jail(struct report *r, const struct options *o)
{
    struct jail j;
    struct jail_report report = {""};
    char text[256];

    if (jail_prepare(&j, o) < 0) {
        return;
    }
    check_user(r, &j, o->gate_user);
    (void)fflush(r->out);
    if (o->jail == JAIL_OFF) {
        report_line(r, VERDICT_WARN, "--jail=off: the gate is not locked in, only no longer root");
    } else if (!try_jail(&j, &report)) {
        report_line(r, VERDICT_FAIL, "jail: %s", report.missing);
    } else {
        jail_describe(&j, &report, text, sizeof text);
        report_line(r, VERDICT_NOTE, "jail: has %s", text);
        if (report.missing[0] != '\0')
            report_line(r, VERDICT_WARN, "jail: closed, but lacks %s", report.missing);
        else
            report_line(r, VERDICT_OK, "jail: closed whole%s",
                        j.as_root ? "" : ", as far as it can be without root");
    }
    jail_close(&j);
}

int check_run(const struct options *o, FILE *out)
{
    struct report r;

    report_open(&r, out, o->check_json);
    check_certificates(&r, o);
    check_start(&r, o);
    check_tls(&r, o);
    check_clients(&r, o);
    check_tickets(&r, o);
    check_timeouts(&r, o);
    check_handler(&r, o);
    check_jail(&r, o);
    report_close(&r);
    return r.failed ? EX_CONFIG : EX_OK;
}

void check_print_version(FILE *out)
{
    (void)fprintf(out, "postern %s\n", POSTERN_VERSION);
    suites_print_version(out);
#ifdef POSTERN_SECCOMP
    (void)fputs("jail: chroot, own uid, no_new_privs, rlimits, Landlock, seccomp\n", out);
#else
    (void)fputs("jail: chroot, own uid, no_new_privs, rlimits, Landlock (built without seccomp)\n",
                out);
#endif
}
