/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads certificates and revocation lists (RFC 5280). Does not verify them: the TLS library does. Pure. */
#ifndef POSTERN_X509_H
#define POSTERN_X509_H

#include "x509/der.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* RSA keys with fewer bits are weak. */
#define RSA_BITS_MIN 2048

/* The parts of a certificate. All struct der point into its bytes, which the caller keeps. */
struct certificate {
    struct der serial;    /* the bytes of the INTEGER */
    struct der issuer;    /* the content of the Name's SEQUENCE, see dn.h */
    struct der subject;   /* the content of the Name's SEQUENCE */
    struct der alt_names; /* the content of subjectAltName's SEQUENCE; at == NULL: none */
    time_t not_before;
    time_t not_after;
    unsigned version;    /* 1 to 3 */
    unsigned rsa_bits;   /* length of an RSA key; 0: another kind of key */
    bool weak_signature; /* signed with MD2, MD5 or SHA-1 */
    bool self_issued;    /* subject and issuer are the same */
    bool is_ca;          /* basicConstraints: cA */
    bool may_certify;    /* keyUsage has keyCertSign, or there is no keyUsage */
    bool may_sign;       /* keyUsage has digitalSignature, or there is no keyUsage */
    bool for_clients;    /* extendedKeyUsage has clientAuth or any, or is not there */
};

/* The parts of a revocation list. */
struct revocation_list {
    struct der issuer; /* the content of the Name's SEQUENCE */
    time_t this_update;
    time_t next_update; /* 0: none */
    bool whole; /* no critical extension: covers all certificates of the issuer, is no delta */
};

/* Reads a certificate in DER. Returns 0, or -EBADMSG if it is malformed, or has bytes that are not signed. */
int x509_read(struct certificate *c, const uint8_t *der, size_t len);

/* Reads a revocation list in DER. Returns 0, or -EBADMSG if it is malformed. */
int x509_read_crl(struct revocation_list *l, const uint8_t *der, size_t len);

/* True if two Names have the same bytes. */
bool x509_same_name(struct der a, struct der b);

/* Writes the day (UTC) of a time as 2026-01-02; "" if the calendar has no such day. size >= 16. */
void x509_date(char *text, size_t size, time_t when);

#endif
