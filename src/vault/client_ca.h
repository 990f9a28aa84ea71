/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads client CAs and revocation lists (--client-ca, --crl) and judges them. */
#ifndef POSTERN_CLIENT_CA_H
#define POSTERN_CLIENT_CA_H

#include "start/options.h"
#include "x509/trust.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* The most bytes of each file. */
#define CLIENT_CA_FILE_MAX ((size_t)1024 * 1024)
#define CLIENT_CA_CRL_MAX ((size_t)16 * 1024 * 1024)

/* Reads the files of --client-ca and --crl. Without --client-ca there is nothing to read.
 * Refuses a file that cannot be read or is empty; a certificate that is no CA's, or has RSA below 2048 bits;
 * CAs that have all expired; a revocation list that is overdue or covers only a part. Otherwise a broken file
 * could let in clients that it should keep out. An expired CA among others is logged and kept, but its clients
 * are refused. Returns 0; trust_free() frees *t. Or logs one line and returns a negative errno. */
int client_ca_read(struct trust *t, const struct options *o);

/* A client CA, for --check. */
struct authority {
    char name[160]; /* printable */
    time_t not_before;
    time_t not_after;
    bool has_list; /* --crl has its revocation list */
};

/* A revocation list, for --check. */
struct revocations {
    char issuer[160];
    time_t this_update;
    time_t next_update; /* 0: none */
    bool known;         /* its issuer is in --client-ca */
};

/* Read the next CA or list from *rest and move *rest behind it. *rest begins as trust_authorities() or
 * trust_lists(). Return false at the end. */
bool client_ca_next(const struct trust *t, struct der *rest, struct authority *a);
bool client_ca_next_list(const struct trust *t, struct der *rest, struct revocations *r);

#endif
