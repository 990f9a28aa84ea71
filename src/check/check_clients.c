/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "check/check_clients.h"

#include "check/days.h"
#include "vault/client_ca.h"
#include "tls/verify.h"
#include "common/log.h"
#include "tls/suites.h"
#include "x509/certificate.h"

#include <string.h>
#include <time.h>

#define LIST_SOON_SECONDS                                                                          \
    ((time_t)2 * DAY_SECONDS) /* lists with less time left are warned of: they are short-lived */
#define NAMES_MAX 10          /* CAs that are reported one by one; a CA with a fault always is */

static void check_authorities(struct report *r, const struct options *o, const struct trust *t)
{
    struct authority a;
    time_t now = time(NULL);
    unsigned count = 0;
    char date[16];

    for (struct der rest = trust_authorities(t); client_ca_next(t, &rest, &a); count++) {
        x509_date(date, sizeof date, a.not_after);
        /* client_ca_read() has logged a line about a CA that is not valid today. */
        if (a.not_after < now || a.not_before > now)
            r->failed = true;
        else if (days_until(a.not_after) <= DAYS_SOON)
            report_line(r, VERDICT_WARN, "%s: CA %s expires on %s, in %lld days", o->client_ca,
                        a.name, date, days_until(a.not_after));
        else if (count < NAMES_MAX)
            report_line(r, VERDICT_OK, "%s: CA %s, valid until %s", o->client_ca, a.name, date);
        if (o->crl != NULL && !a.has_list)
            report_line(r, VERDICT_WARN, "%s: no revocation list of CA %s: its clients are refused",
                        o->crl, a.name);
    }
    report_line(r, VERDICT_OK, "%s: %u CA%s for client certificates, which are %s", o->client_ca,
                count, count == 1 ? "" : "s",
                o->client_cert == CLIENT_CERT_REQUIRE ? "required" : "requested");
}

static void check_lists(struct report *r, const struct options *o, const struct trust *t)
{
    struct revocations l;
    time_t now = time(NULL);
    char made[16], until[16];

    for (struct der rest = trust_lists(t); client_ca_next_list(t, &rest, &l);) {
        x509_date(made, sizeof made, l.this_update);
        x509_date(until, sizeof until, l.next_update);
        report_line(
            r, l.next_update - now <= LIST_SOON_SECONDS ? VERDICT_WARN : VERDICT_OK,
            "%s: revocation list of %s, made on %s, holds until %s: fetch the next one before that",
            o->crl, l.issuer, made, until);
        if (!l.known)
            report_line(
                r, VERDICT_WARN,
                "%s: %s, whose revocation list this is, is not in --client-ca: it is not used",
                o->crl, l.issuer);
    }
}

void check_clients(struct report *r, const struct options *o)
{
    struct trust t;
    char why[TLS_WHY_SIZE], shown[2 * TLS_WHY_SIZE];

    if (o->client_cert == CLIENT_CERT_OFF)
        return;
    if (client_ca_read(&t, o) < 0) {
        r->failed = true;
        return;
    }
    const struct clientcert_setup setup = {o->client_cert, o->client_name, &t};
    check_authorities(r, o, &t);
    check_lists(r, o, &t);
    int rc = clientcert_check(&setup, why);
    (void)log_sentence(shown, sizeof shown, why, strlen(why));
    if (rc < 0)
        report_line(r, VERDICT_FAIL, "%s", shown);
    else if (*why != '\0')
        report_line(r, VERDICT_WARN, "%s: its clients are refused", shown);
    if (o->policy != POLICY_REQUIRED || o->trusted != NULL || o->ucspi_tls)
        report_line(r, VERDICT_NOTE,
                    "client certificates are for TLS: who goes on in plaintext shows none");
    trust_free(&t);
}
