/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Client CAs and revocation lists (--client-ca, --crl): reads and judges the files. */
#ifndef POSTERN_CLIENT_CA_H
#define POSTERN_CLIENT_CA_H

#include "start/options.h"
#include "x509/trust.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* The most bytes of each file. */
#define TRUST_AUTHORITIES_MAX ((size_t)1024 * 1024)
#define TRUST_LISTS_MAX ((size_t)16 * 1024 * 1024)

/* Reads both files; without --client-ca there is nothing to read. A broken file must not make a service
 * for certain clients one for all, so refused is: what can't be read or holds nothing, what is no CA's
 * certificate or has RSA below 2048 bits, CAs that have all expired, a list that is overdue or no whole
 * list. An expired CA among others is logged and kept; it vouches for nobody.
 * Returns 0 and *t, which trust_free() frees, or logs one line and returns a negative errno. */
int trust_read(struct trust *t, const struct options *o);

/* What --check tells of each. */
struct authority {
    char name[160]; /* fit for the log */
    time_t not_before;
    time_t not_after;
    bool has_list;
};

struct revocations {
    char issuer[160];
    time_t this_update;
    time_t next_update; /* 0: none */
    bool known;         /* its issuer is in --client-ca */
};

/* Take the next one: *rest begins as all of them. False at the end. */
bool trust_next_authority(const struct trust *t, struct der *rest, struct authority *a);
bool trust_next_list(const struct trust *t, struct der *rest, struct revocations *r);

#endif
