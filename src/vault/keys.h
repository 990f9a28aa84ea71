/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private keys at work: decoded for one task, used, and wiped with the stack that they were on. Only
 * the monitor may come here with a key, after the gate has been forked. */
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
    KEY_OF_ANOTHER, /* it is the key of another certificate */
    KEY_UNUSABLE    /* it is no key of that kind */
};

/* Proves that a key belongs to the chain's leaf, of whose kind it is to be. `thorough` computes an ECDSA
 * key's public half instead of believing the file. Logs nothing. */
enum key_match keys_match(struct bytes der, const struct chain *c, bool thorough);

/* Decrypts a private key in place, which may become shorter, and whose form is then
 * KEY_FORM_PLAIN. Returns false if the password is not the right one or the library does not know this
 * kind of encryption. Logs nothing. */
bool keys_decrypt(uint8_t *key, size_t *len, enum key_form *form, const char *password);

/* Signs data (what it is, `how` says). RSA signatures are verified before they are given out: a faulty one
 * would give the key away. Returns true; or false, and the library's reason in *why. */
bool keys_sign(const struct key_der *key, enum sign_as how, struct bytes data,
               struct signature *sig, const char **why);

/* Before the first signature of a process that has inherited no tables: has memory at hand for those that
 * the library lays out for a key of this kind. Nothing can fail. */
void keys_reserve_heap(enum key_kind kind);

/* Has the library make the tables that the first ECDSA signatures of a process need, for a curve of so
 * many bits, with a key that is thrown away; children inherit them. Without them signing takes longer,
 * so nothing is said of a failure. */
void keys_make_tables(unsigned bits);

/* Gives back the memory that signing has taken for tables. */
void keys_free_tables(void);

#endif
