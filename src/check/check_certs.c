/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check/check_certs.h"

#include "check/days.h"
#include "common/log.h"
#include "tls/staple.h"
#include "tls/suites.h"
#include "vault/vault.h"
#include "x509/certificate.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROOTS_MAX ((size_t)4 * 1024 * 1024)

/* The root certificates that this system trusts, in PEM. len is 0 if none were found. */
struct roots {
    uint8_t *text;
    size_t len;
};

static void read_roots(struct roots *roots)
{
    static const char *const files[] = {"/etc/ssl/certs/ca-certificates.crt",
                                        "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};

    *roots = (struct roots){.text = malloc(ROOTS_MAX)};
    log_suspend(true);
    for (size_t i = 0; roots->text != NULL && i < sizeof files / sizeof files[0]; i++)
        if (files_read(files[i], false, roots->text, ROOTS_MAX, &roots->len) == 0)
            break;
    log_suspend(false);
}

static const char *format_date(char text[32], time_t when)
{
    struct tm t;

    (void)gmtime_r(&when, &t);
    (void)strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &t);
    return text;
}

static const char *plural(long long number)
{
    return number == 1 ? "" : "s";
}

static void check_dates(struct report *r, const char *file, const struct chain *c)
{
    char date[16];
    time_t now = time(NULL);
    long long days = days_until(c->not_after);

    x509_date(date, sizeof date, c->not_after);
    if (c->not_before > now)
        report_line(r, VERDICT_FAIL,
                    "%s: not valid yet: see its notBefore date, and this machine's clock", file);
    if (c->not_after < now)
        report_line(r, VERDICT_FAIL, "%s: expired on %s, %lld day%s ago: renew it", file, date,
                    -days, plural(-days));
    else if (days <= DAYS_SOON)
        report_line(r, VERDICT_WARN, "%s: expires on %s, in %lld day%s: renew it", file, date, days,
                    plural(days));
    else
        report_line(r, VERDICT_OK, "%s: valid until %s, %lld day%s left", file, date, days,
                    plural(days));
}

/* Reports whether clients can continue the chain to a root that they trust. */
static void check_issuer(struct report *r, const char *file, const struct chain *c,
                         const struct roots *roots)
{
    if (c->self_signed) {
        report_line(r, VERDICT_WARN,
                    "%s: self-signed: clients warn of it or refuse it until they are told to trust "
                    "it",
                    file);
        return;
    }
    bool known = c->ends_at_root || chain_is_issued_by(c, roots->text, roots->len);
    if (known)
        report_line(r, VERDICT_OK, "%s: the chain is complete", file);
    else if (c->count == 1)
        report_line(r, VERDICT_WARN,
                    "%s: no intermediate certificate in it: clients must know the issuer (%s) "
                    "themselves",
                    file, c->issuer);
    else if (roots->len > 0)
        report_line(r, VERDICT_WARN,
                    "%s: the last certificate's issuer is none that this system trusts: it belongs "
                    "to a private CA, or an intermediate certificate is missing",
                    file);
}

/* A key that is used with each connection should not be able to make certificates. */
static void check_is_no_ca(struct report *r, const char *file, const struct chain *c)
{
    if (c->is_ca)
        report_line(
            r, VERDICT_WARN,
            "%s: a CA's own certificate (CA:TRUE): whoever gets its key can make certificates "
            "for any name, which clients that trust this one believe; openssl req -x509 makes "
            "a better one with -addext basicConstraints=critical,CA:FALSE",
            file);
}

static void check_staple(struct report *r, const struct vault_pair *p)
{
    uint8_t response[FILES_STAPLE_MAX];
    struct staple s = {p->chain.der, p->chain.len, response, 0};
    char why[TLS_WHY_SIZE];

    if (p->staple_file == NULL)
        return;
    if (files_read(p->staple_file, false, response, sizeof response, &s.response_len) < 0)
        return;
    if (staple_check(&s, why) < 0)
        report_line(r, VERDICT_WARN, "%s: OCSP response left out: %s", p->staple_file, why);
    else
        report_line(r, VERDICT_OK, "%s: OCSP response is good, and shown to clients that ask",
                    p->staple_file);
}

static void check_pair(struct report *r, const struct vault_pair *p, const struct roots *roots)
{
    const struct chain *c = &p->chain;
    char date[32];

    report_begin(r, VERDICT_OK, "%s: %s certificate, %u bits, for %s", p->cert_file,
                 chain_kind_name(c->kind), c->bits,
                 c->names[0] != '\0' ? c->names : "no name at all");
    report_text(r, "certificate", p->cert_file);
    report_text(r, "key", p->key_file);
    report_text(r, "kind", chain_kind_name(c->kind));
    report_number(r, "bits", c->bits);
    report_words(r, "names", c->names);
    report_text(r, "issuer", c->issuer);
    report_flag(r, "self_signed", c->self_signed);
    report_flag(r, "ca", c->is_ca);
    report_number(r, "chain_length", c->count);
    report_text(r, "not_before", format_date(date, c->not_before));
    report_text(r, "not_after", format_date(date, c->not_after));
    report_number(r, "days_left", days_until(c->not_after));
    report_end(r);
    report_line(r, VERDICT_OK, "%s: %u certificate%s, in order", p->cert_file, c->count,
                c->count == 1 ? "" : "s");
    report_line(r, VERDICT_OK, "%s: key matches, not readable by others", p->key_file);
    check_is_no_ca(r, p->cert_file, c);
    if (c->names[0] == '\0')
        report_line(r, VERDICT_WARN, "%s: names no host: clients will refuse it", p->cert_file);
    check_issuer(r, p->cert_file, c, roots);
    check_dates(r, p->cert_file, c);
    check_staple(r, p);
}

/* Checks one folder of --cert-dir. Its pair must be valid for the name of the folder. The folder _.example.org is
 * for every name below example.org. */
static void check_folder(struct report *r, struct vault *v, const char *folder,
                         const struct roots *roots)
{
    char name[NAME_MAX + 8];

    (void)snprintf(name, sizeof name, "%s%s", folder[0] == '_' ? "any" : "",
                   folder[0] == '_' ? folder + 1 : folder);
    if (!files_is_host_name(name)) {
        report_line(r, VERDICT_WARN,
                    "%s/%s: no client can ask for this: wants a host name in lower case (xn-- form "
                    "for international ones)",
                    v->cert_dir, folder);
        return;
    }
    if (vault_load_folder(v, folder, true) < 0)
        return;
    check_pair(r, &v->named, roots);
    if (!chain_covers(&v->named.chain, name))
        report_line(r, VERDICT_WARN, "%s: is not for %s: clients that ask for that will refuse it",
                    v->named.cert_file, folder[0] == '_' ? folder + 2 : folder);
}

/* A filter for scandir(3). Keeps links, which may point to folders. */
static int is_folder(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type != DT_REG;
}

static void check_folders(struct report *r, struct vault *v, const struct roots *roots)
{
    struct dirent **folders = NULL;
    int count = scandir(v->cert_dir, &folders, is_folder, alphasort);

    if (count < 0)
        report_line(r, VERDICT_FAIL, "--cert-dir=%s: %s", v->cert_dir, strerror(errno));
    for (int i = 0; i < count; i++) {
        check_folder(r, v, folders[i]->d_name, roots);
        free(folders[i]);
    }
    free(folders);
    if (count == 0)
        report_line(r, v->count > 0 ? VERDICT_WARN : VERDICT_FAIL,
                    "--cert-dir=%s: there is no folder in it", v->cert_dir);
}

void check_certificates(struct report *r, const struct options *o)
{
    struct vault v;
    struct roots roots;

    if (vault_load(&v, o) < 0)
        return;
    read_roots(&roots);
    if (vault_unlock(&v, o, true) == 0) {
        for (size_t i = 0; i < v.count; i++)
            check_pair(r, &v.pairs[i], &roots);
        if (v.cert_dir != NULL)
            check_folders(r, &v, &roots);
    }
    free(roots.text);
    vault_wipe(&v);
}
