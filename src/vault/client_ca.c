/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault/client_ca.h"

#include "vault/files.h"
#include "x509/user.h"
#include "common/log.h"
#include "vault/pem.h"
#include "x509/certificate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Writes a distinguished name in printable form. Returns text. */
static char *show_name(char *text, size_t size, struct der name)
{
    char shown[160];

    identity_name(shown, sizeof shown, name);
    return log_sentence(text, size, shown, strlen(shown));
}

/* Judges one certificate of the file, number from 1. Counts it in *valid if it is valid today. Returns 0, or
 * logs one line and returns -EINVAL. */
static int judge_authority(const char *file, unsigned number, struct der one, time_t now,
                           unsigned *valid)
{
    struct certificate c;
    char name[160], date[16];

    if (x509_read(&c, one.at, one.len) < 0) {
        log_error("%s: certificate %u cannot be decoded", file, number);
        return -EINVAL;
    }
    (void)show_name(name, sizeof name, c.subject);
    /* The owner of a key in this file can make certificates for any name. A client must not be one. */
    if (c.version != 3 || !c.is_ca || !c.may_certify) {
        log_error("%s: certificate %u (%s) is no CA's (%s): a CA's certificate belongs here, not a "
                  "client's",
                  file, number, name, c.is_ca ? "keyUsage without keyCertSign" : "not CA:TRUE");
        return -EINVAL;
    }
    if (c.rsa_bits != 0 && c.rsa_bits < RSA_BITS_MIN) {
        log_error("%s: certificate %u (%s) has an RSA key of %u bits, which is too weak: at least "
                  "%u are needed",
                  file, number, name, c.rsa_bits, RSA_BITS_MIN);
        return -EINVAL;
    }
    x509_date(date, sizeof date, c.not_after < now ? c.not_after : c.not_before);
    if (c.not_after < now)
        log_error("%s: CA %s expired on %s: its clients are refused; take it out or renew it", file,
                  name, date);
    else if (c.not_before > now)
        log_error("%s: CA %s is not valid before %s: its clients are refused until then", file,
                  name, date);
    else
        (*valid)++;
    return 0;
}

/* Judges one revocation list, number from 1. Returns 0, or logs one line and returns -EINVAL. */
static int judge_list(const char *file, unsigned number, struct der one, time_t now)
{
    struct revocation_list l;
    char name[160], date[16];

    if (x509_read_crl(&l, one.at, one.len) < 0) {
        log_error("%s: revocation list %u cannot be decoded", file, number);
        return -EINVAL;
    }
    (void)show_name(name, sizeof name, l.issuer);
    if (!l.whole) {
        log_error("%s: the revocation list of %s is a part only (it has a critical extension): a "
                  "whole one is needed",
                  file, name);
        return -EINVAL;
    }
    x509_date(date, sizeof date, l.next_update);
    if (l.next_update == 0 || l.next_update < now) {
        log_error("%s: the revocation list of %s %s %s: without a current one nobody can be let "
                  "in; fetch it anew",
                  file, name, l.next_update == 0 ? "says of no date" : "was to be renewed by",
                  l.next_update == 0 ? "that it holds until then" : date);
        return -EINVAL;
    }
    return 0;
}

/* Decodes the next PEM block of this label into der, and moves *text behind it. *der_len: the room, then the
 * length. Returns 1, 0 if there is none left, or -EINVAL. */
static int take_block(const char *label, const uint8_t **text, size_t *len, uint8_t *der,
                      size_t *der_len)
{
    struct pem_block b;
    int found;

    do {
        found = pem_next(&b, text, len);
    } while (found > 0 && !pem_label_is(&b, label));
    return found > 0 && pem_decode(&b, der, der_len) < 0 ? -EINVAL : found;
}

/* Decodes all PEM blocks of a label from a file. The caller frees *der, even after a failure. Returns 0, or
 * logs one line and returns a negative errno. */
static int read_blocks(const char *file, const char *label, size_t max, uint8_t **der, size_t *len)
{
    uint8_t *text = malloc(max);
    size_t left = 0;
    int rc = 0, found = 0;

    *der = NULL;
    *len = 0;
    if (text == NULL)
        rc = -ENOMEM;
    else
        rc = files_read(file, false, text, max, &left);
    const uint8_t *at = text;
    size_t size = left;
    /* Base64 makes four bytes of three, so the DER is shorter than the text. */
    if (rc == 0 && (*der = malloc(size + 1)) == NULL)
        rc = -ENOMEM;
    while (rc == 0) {
        struct der rest = {*der + *len, size - *len}, one;
        found = take_block(label, &at, &left, *der + *len, &rest.len);
        if (found <= 0)
            break;
        if (!trust_next(&rest, &one) || rest.len != 0)
            found = -EINVAL;
        else
            *len += one.len;
        if (found < 0)
            break;
    }
    if (rc == -ENOMEM)
        log_error("%s: out of memory", file);
    if (rc == 0 && found < 0) {
        log_error("%s: damaged: a block of -----BEGIN %s----- that is cut short or no base64", file,
                  label);
        rc = -EINVAL;
    } else if (rc == 0 && *len == 0) {
        log_error("%s: nothing in it: wants PEM, with a line -----BEGIN %s-----", file, label);
        rc = -EINVAL;
    }
    free(text);
    return rc;
}

static int read_authorities(struct trust *t, const char *file, time_t now)
{
    unsigned number = 0, valid = 0;
    struct der one;
    int rc =
        read_blocks(file, "CERTIFICATE", CLIENT_CA_FILE_MAX, &t->authorities, &t->authorities_len);

    for (struct der rest = trust_authorities(t); rc == 0 && trust_next(&rest, &one);)
        rc = judge_authority(file, ++number, one, now, &valid);
    if (rc == 0 && valid == 0) {
        log_error("%s: no CA in it is valid today: nobody can be let in", file);
        rc = -EINVAL;
    }
    return rc;
}

static int read_lists(struct trust *t, const char *file, time_t now)
{
    unsigned number = 0;
    struct der one;
    int rc = read_blocks(file, "X509 CRL", CLIENT_CA_CRL_MAX, &t->lists, &t->lists_len);

    for (struct der rest = trust_lists(t); rc == 0 && trust_next(&rest, &one);)
        rc = judge_list(file, ++number, one, now);
    return rc;
}

int client_ca_read(struct trust *t, const struct options *o)
{
    time_t now = time(NULL);
    int rc = 0;

    *t = (struct trust){0};
    if (o->client_ca != NULL)
        rc = read_authorities(t, o->client_ca, now);
    if (rc == 0 && o->crl != NULL)
        rc = read_lists(t, o->crl, now);
    if (rc < 0)
        trust_free(t);
    return rc;
}

/* True if a CA of this name is in --client-ca. */
static bool has_authority(const struct trust *t, struct der name)
{
    struct certificate c;
    struct der one;

    for (struct der rest = trust_authorities(t); trust_next(&rest, &one);)
        if (x509_read(&c, one.at, one.len) == 0 && x509_same_name(c.subject, name))
            return true;
    return false;
}

/* True if a revocation list of this issuer is in --crl. */
static bool has_list(const struct trust *t, struct der name)
{
    struct revocation_list l;
    struct der one;

    for (struct der rest = trust_lists(t); trust_next(&rest, &one);)
        if (x509_read_crl(&l, one.at, one.len) == 0 && x509_same_name(l.issuer, name))
            return true;
    return false;
}

bool client_ca_next(const struct trust *t, struct der *rest, struct authority *a)
{
    struct certificate c;
    struct der one;

    if (!trust_next(rest, &one) || x509_read(&c, one.at, one.len) < 0)
        return false;
    (void)show_name(a->name, sizeof a->name, c.subject);
    a->not_before = c.not_before;
    a->not_after = c.not_after;
    a->has_list = has_list(t, c.subject);
    return true;
}

bool client_ca_next_list(const struct trust *t, struct der *rest, struct revocations *r)
{
    struct revocation_list l;
    struct der one;

    if (!trust_next(rest, &one) || x509_read_crl(&l, one.at, one.len) < 0)
        return false;
    (void)show_name(r->issuer, sizeof r->issuer, l.issuer);
    r->this_update = l.this_update;
    r->next_update = l.next_update;
    r->known = has_authority(t, l.issuer);
    return true;
}
