/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Uses private keys. A key is decoded for one use, then wiped together with the stack that it was on. Only the
 * monitor may call these functions with a key, after it has forked the gate. */
#ifndef POSTERN_KEYS_H
#define POSTERN_KEYS_H

#include "common/bytes.h"
#include "vault/files.h"
#include "vault/chain.h"
#include "common/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_SIGNATURE_MAX 1024 /* RSA of 8192 bits */

/* A private key in DER. */
struct key_der {
    enum key_kind kind;
    struct bytes der;
};

struct signature {
    uint8_t bytes[KEYS_SIGNATURE_MAX];
    size_t len;
};

enum key_match {
    KEY_MATCHES,
    KEY_OF_ANOTHER, /* it belongs to another certificate */
    KEY_UNUSABLE    /* it is no key of the kind that the certificate needs */
};

/* Tells whether a key in DER belongs to the chain's leaf. thorough: computes the public half of an ECDSA key,
 * and does not trust the one in the file. Logs nothing. */
enum key_match keys_match(struct bytes der, const struct chain *c, bool thorough);

/* Decrypts a private key in place. *len may become smaller; *form becomes KEY_FORM_PLAIN. Returns false for a
 * wrong password, or a kind of encryption that the library does not know. Logs nothing. */
bool keys_decrypt(uint8_t *key, size_t *len, enum key_form *form, const char *password);

/* Signs data; `how` says which kind of data that is. Verifies each RSA signature, since a faulty one would reveal
 * the key. Returns true; or false and the library's reason in *why, which nobody frees. Logs nothing. */
bool keys_sign(const struct key_der *key, enum sign_as how, struct bytes data,
               struct signature *sig, const char **why);

/* Reserves memory for the tables that the library makes at the first signature with this kind of key. This saves
 * time in a process that has inherited no tables. A failure has no effect. */
void keys_reserve_heap(enum key_kind kind);

/* Makes the library's tables for ECDSA on a curve of this many bits, with a key that is thrown away. Child
 * processes inherit them. Logs no failure: without the tables signing only takes longer. */
void keys_make_tables(unsigned bits);

/* Frees the tables that signing has made. */
void keys_free_tables(void);

#endif
