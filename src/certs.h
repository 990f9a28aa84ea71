/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificate and key files: reading, permissions, order, faults explained. Layer 2. */
#ifndef POSTERN_CERTS_H
#define POSTERN_CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum key_kind { KEY_NONE, KEY_RSA, KEY_ECDSA, KEY_ED25519 };

/* What a key can be asked to sign: a hash, or for Ed25519 the message itself. */
enum sign_as {
    SIGN_ECDSA = 1,
    SIGN_RSA_PKCS1, /* a DigestInfo, RFC 8017 section 9.2 */
    SIGN_RSA_PSS_SHA256,
    SIGN_RSA_PSS_SHA384,
    SIGN_RSA_PSS_SHA512,
    SIGN_ED25519
};

/* A certificate chain, leaf first. Owned by whoever read it; certs_free() frees it. */
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
    char names[512]; /* what the leaf is good for: its DNS names, or its common name */
    char issuer[128];
};

/* The most bytes of a certificate or key file, and of a key in DER. */
#define CERTS_FILE_MAX 65536
#define CERTS_KEY_MAX 8192

/* Reads a whole file of at most size bytes. `secret`: refuses a file that others may read.
 * Returns 0, or logs one line and returns a negative errno. */
int certs_read_file(const char *file, bool secret, uint8_t *text, size_t size, size_t *len);

/* Takes the chain out of a file's text. Refuses what cannot work or is dangerous: nothing there, a
 * certificate that can't be decoded, chain out of order, RSA below 2048 bits, MD5 or SHA-1
 * signatures. Returns 0, or logs one line and returns -EINVAL or -ENOMEM. */
int certs_take_chain(struct chain *c, const char *file, const uint8_t *text, size_t len);

/* Takes the private key out of a file's text, as DER (PKCS#8, SEC1 or PKCS#1) into der, at most
 * CERTS_KEY_MAX bytes. What it copies of the key goes nowhere but into der.
 * Returns 0, or logs one line and returns a negative errno. */
int certs_take_key(const char *file, const uint8_t *text, size_t len, uint8_t *der,
                   size_t *der_len);

void certs_free(struct chain *c);

/* "RSA", "ECDSA", "Ed25519". */
const char *certs_kind_name(enum key_kind kind);

#endif
