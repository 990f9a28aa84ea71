/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What certificates and revocation lists say (RFC 5280): read, not verified, which is the TLS library's
 * part. Pure. */
#ifndef POSTERN_X509_H
#define POSTERN_X509_H

#include "x509/der.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* RSA keys of fewer bits are too weak. */
#define RSA_BITS_MIN 2048

/* The fields point into the certificate's bytes. */
struct certificate {
    struct der serial;    /* the INTEGER's bytes */
    struct der issuer;    /* what is in the SEQUENCE of the Name, see dn.h */
    struct der subject;   /* likewise */
    struct der alt_names; /* what is in the SEQUENCE of subjectAltName; at == NULL: there is none */
    time_t not_before;
    time_t not_after;
    unsigned version;    /* 1 to 3 */
    unsigned rsa_bits;   /* 0: another kind of key */
    bool weak_signature; /* with MD2, MD5 or SHA-1 */
    bool self_issued;    /* subject and issuer are the same */
    bool is_ca;          /* basicConstraints */
    bool may_certify;    /* keyUsage: keyCertSign, or no keyUsage at all */
    bool may_sign;       /* keyUsage: digitalSignature, or none at all */
    bool for_clients;    /* extendedKeyUsage: clientAuth, any, or none at all */
};

struct revocation_list {
    struct der issuer;
    time_t this_update;
    time_t next_update; /* 0: none */
    bool whole;         /* no delta, and for all certificates: no critical extension */
};

/* Returns 0, or -EBADMSG for what is none. */
int x509_read(struct certificate *c, const uint8_t *der, size_t len);
int x509_read_crl(struct revocation_list *l, const uint8_t *der, size_t len);

bool x509_same_name(struct der a, struct der b);

/* Writes a day as 2026-01-02; "" for what no calendar has. size >= 16. */
void x509_date(char *text, size_t size, time_t when);

#endif
