/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check.h"

#include "dialect/dialect.h"
#include "handler.h"
#include "jail.h"
#include "log.h"
#include "suites.h"
#include "vault.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define SOON_DAYS 21
#define DAY 86400

#ifndef POSTERN_VERSION
#define POSTERN_VERSION "development"
#endif

struct report {
    FILE *out;
    bool failed;
};

static void line(struct report *r, const char *verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void line(struct report *r, const char *verdict, const char *format, ...)
{
    va_list arguments;

    (void)fprintf(r->out, "%s  ", verdict);
    va_start(arguments, format);
    (void)vfprintf(r->out, format, arguments);
    va_end(arguments);
    (void)fputc('\n', r->out);
    if (strcmp(verdict, "FAIL") == 0)
        r->failed = true;
}

static void check_dates(struct report *r, const char *file, const struct chain *c)
{
    char date[32];
    struct tm t;
    time_t now = time(NULL);
    long long days = ((long long)c->not_after - (long long)now) / DAY;

    (void)gmtime_r(&c->not_after, &t);
    (void)strftime(date, sizeof date, "%Y-%m-%d", &t);
    if (c->not_before > now)
        line(r, "FAIL", "%s: not valid yet: see its notBefore date, and this machine's clock",
             file);
    if (c->not_after < now)
        line(r, "FAIL", "%s: expired on %s, %lld days ago: renew it", file, date, -days);
    else if (days <= SOON_DAYS)
        line(r, "warn", "%s: expires on %s, in %lld days: renew it", file, date, days);
    else
        line(r, "ok  ", "%s: valid until %s, %lld days left", file, date, days);
}

static void check_pair(struct report *r, const struct vault_pair *p)
{
    const struct chain *c = &p->chain;

    line(r, "ok  ", "%s: %s certificate, %u bits, for %s", p->cert_file, chain_kind_name(c->kind),
         c->bits, c->names[0] != '\0' ? c->names : "no name at all");
    line(r, "ok  ", "%s: %u certificate%s, in order", p->cert_file, c->count,
         c->count == 1 ? "" : "s");
    line(r, "ok  ", "%s: key matches, not readable by others", p->key_file);
    if (c->names[0] == '\0')
        line(r, "warn", "%s: names no host: clients will refuse it", p->cert_file);
    if (c->self_signed)
        line(r, "warn",
             "%s: self-signed: clients warn of it or refuse it until they are told to "
             "trust it",
             p->cert_file);
    else if (c->count == 1)
        line(r, "warn",
             "%s: no intermediate certificate in it: clients must know the issuer (%s) "
             "themselves",
             p->cert_file, c->issuer);
    check_dates(r, p->cert_file, c);
}

static void check_pairs(struct report *r, const struct options *o)
{
    struct vault v;

    if (vault_load(&v, o) < 0) {
        r->failed = true;
        return;
    }
    if (vault_unlock(&v, o, true) < 0) {
        r->failed = true;
    } else {
        for (size_t i = 0; i < v.count; i++)
            check_pair(r, &v.pairs[i]);
    }
    vault_wipe(&v);
}

static void check_tls(struct report *r, const struct options *o)
{
    char why[TLS_WHY_SIZE];

    if (suites_check(o->tls_min, o->ciphers, o->groups, why) < 0)
        line(r, "FAIL", "%s", why);
    else
        line(r, "ok  ", "TLS 1.%u and higher, suites %s, groups %s", o->tls_min - 0x0301,
             o->ciphers != NULL ? o->ciphers : "by default",
             o->groups != NULL ? o->groups : "by default");
    if (o->tls_min < 0x0303)
        line(r, "warn", "--tls-min: TLS 1.0 and 1.1 are broken (RFC 8996)");
}

static void check_start(struct report *r, const struct options *o)
{
    static const char *const means[] = {
        [POLICY_REQUIRED] = "no handler and no login before TLS",
        [POLICY_AUTH] = "no reusable passwords before TLS",
        [POLICY_OPTIONAL] = "all is allowed in plaintext, passwords too",
    };

    if (o->ucspi_tls)
        line(r, "ok  ", "the handler begins in plaintext and asks for TLS itself (UCSPI-TLS)");
    else if (o->starttls == NULL)
        line(r, "ok  ", "TLS begins at once, as for ports 993, 995 and 465");
    else
        line(r, o->policy == POLICY_OPTIONAL ? "warn" : "ok  ", "STARTTLS in %s, policy %s: %s",
             dialect_find(o->starttls)->title, options_policy_name(o->policy), means[o->policy]);
    if (o->trusted != NULL)
        line(r, "note", "plaintext is as good as TLS for clients of %s", o->trusted);
}

static void check_handler(struct report *r, const struct options *o)
{
    char path[PATH_MAX];
    struct account account;

    if (o->handler_user != NULL && account_find(&account, o->handler_user) < 0)
        line(r, "FAIL", "--handler-user=%s: no such user or group", o->handler_user);
    else if (o->handler_user != NULL && geteuid() != 0)
        line(r, "FAIL", "--handler-user=%s: only root can change users", o->handler_user);
    if (o->handler[0] == NULL) {
        line(r, "warn", "no handler given: nothing to check about it");
        return;
    }
    int rc = handler_find(o->handler[0], path, sizeof path);
    if (rc == 0)
        line(r, "ok  ", "handler %s", path);
    else
        line(r, "FAIL", "handler %s: %s", o->handler[0],
             rc == -EACCES ? "not executable: see its permissions"
                           : "not found: give its whole path");
}

/* Locks a child in and hears from it what was missing. */
static void check_jail(struct report *r, const struct options *o)
{
    struct jail j;
    struct jail_report report = {""};
    int ends[2], status = 0;

    if (o->jail == JAIL_OFF) {
        line(r, "warn", "--jail=off: the gate is not locked in, only no longer root");
        return;
    }
    if (jail_prepare(&j, o) < 0) {
        r->failed = true;
        return;
    }
    (void)fflush(r->out);
    if (pipe(ends) != 0) {
        line(r, "FAIL", "pipe: %s", strerror(errno));
        jail_close(&j);
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        int rc = jail_enter(&j, &report);
        ssize_t n = write(ends[1], report.missing, sizeof report.missing);
        _exit(rc == 0 && n > 0 ? 0 : 1);
    }
    (void)close(ends[1]);
    if (child < 0 || read(ends[0], report.missing, sizeof report.missing) <= 0)
        (void)snprintf(report.missing, sizeof report.missing, "it could not be tried");
    (void)close(ends[0]);
    jail_close(&j);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    report.missing[sizeof report.missing - 1] = '\0';
    if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        line(r, "FAIL", "jail: %s", report.missing);
    else if (report.missing[0] != '\0')
        line(r, "warn", "jail: closed, but lacks %s", report.missing);
    else
        line(r, "ok  ", "jail: closed whole%s",
             j.as_root ? "" : ", as far as it can be without root");
}

int check_run(const struct options *o, FILE *out)
{
    struct report r = {.out = out};

    log_open(LOG_TO_REPORT, LOG_NORMAL);
    check_pairs(&r, o);
    check_start(&r, o);
    check_tls(&r, o);
    check_handler(&r, o);
    check_jail(&r, o);
    (void)fputs(r.failed ? "FAIL: this does not work yet; see the lines above\n" : "all is well\n",
                out);
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
