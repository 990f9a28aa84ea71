/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a certificate chain from a file and judges it. */
#ifndef POSTERN_CHAIN_H
#define POSTERN_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum key_kind { KEY_NONE, KEY_RSA, KEY_ECDSA, KEY_ED25519 };

/* A certificate chain. The server's own certificate, the leaf, comes first. */
struct chain {
    uint8_t *der; /* all certificates in DER, one after the other */
    size_t len;
    unsigned count;
    enum key_kind kind; /* of the leaf's key */
    unsigned bits;      /* of the leaf's key */
    size_t public_at;   /* the place of the leaf's public key in der */
    size_t public_len;
    time_t not_before; /* of the leaf */
    time_t not_after;
    bool self_signed;       /* the leaf is its own issuer */
    bool is_ca;             /* the leaf may issue others (basicConstraints: CA:TRUE) */
    bool ends_at_root;      /* the last certificate is its own issuer */
    uint8_t top_issuer[20]; /* the library's hash of the name of the last certificate's issuer */
    char names[2048];       /* the leaf's DNS names, or else its common name, with commas between */
    char issuer[128];       /* of the leaf; fit for the log */
};

/* Reads the chain from a PEM text; `file` is for the log. Refuses a chain that cannot work or is dangerous: no
 * certificate, one that cannot be decoded, a wrong order, RSA below 2048 bits, MD5 or SHA-1 signatures. Returns
 * 0; chain_free() frees it. Or logs one line and returns -EINVAL or -ENOMEM. */
int chain_take(struct chain *c, const char *file, const uint8_t *text, size_t len);

/* True if the issuer of the chain's last certificate is among the certificates of a PEM text. */
bool chain_is_issued_by(const struct chain *c, const uint8_t *text, size_t len);

/* True if the leaf is valid for a host name, given in lower case (RFC 6125 section 6.4). */
bool chain_covers(const struct chain *c, const char *name);

/* Frees the chain. May be called twice. */
void chain_free(struct chain *c);

/* Returns "RSA", "ECDSA" or "Ed25519". */
const char *chain_kind_name(enum key_kind kind);

#endif
