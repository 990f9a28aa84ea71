/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A certificate chain as a file gives it: decoded, judged, its order explained. */
#ifndef POSTERN_CHAIN_H
#define POSTERN_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum key_kind { KEY_NONE, KEY_RSA, KEY_ECDSA, KEY_ED25519 };

/* A certificate chain, leaf first. Owned by whoever read it; chain_free() frees it. */
struct chain {
    uint8_t *der; /* the certificates one behind the other, each in DER */
    size_t len;
    unsigned count;
    enum key_kind kind; /* of the leaf's key */
    unsigned bits;
    size_t public_at; /* where in der the leaf's public key stands, and its length */
    size_t public_len;
    time_t not_before;
    time_t not_after;
    bool self_signed;
    bool ends_at_root;      /* the last certificate is its own issuer */
    uint8_t top_issuer[20]; /* a hash of the name of the last one's issuer */
    char names[2048];       /* what the leaf is good for: its DNS names, or its common name */
    char issuer[128];
};

/* Takes the chain out of a file's text. Refuses what cannot work or is dangerous: nothing there, a
 * certificate that can't be decoded, chain out of order, RSA below 2048 bits, MD5 or SHA-1
 * signatures. Returns 0, or logs one line and returns -EINVAL or -ENOMEM. */
int chain_take(struct chain *c, const char *file, const uint8_t *text, size_t len);

/* True if the issuer of the chain's last certificate is among those of a PEM text. */
bool chain_is_issued_by(const struct chain *c, const uint8_t *text, size_t len);

/* True if the chain's leaf is good for a host name, which is in lower case (RFC 6125 section 6.4). */
bool chain_covers(const struct chain *c, const char *name);

void chain_free(struct chain *c);

/* "RSA", "ECDSA", "Ed25519". */
const char *chain_kind_name(enum key_kind kind);

#endif
