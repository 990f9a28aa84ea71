/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private keys at work: decoded for one task, used, and wiped with the stack that they were on. Only
 * the monitor may come here with a key, after the gate has been forked. Layer 2. */
#ifndef POSTERN_KEYS_H
#define POSTERN_KEYS_H

#include "certs.h"
#include "chain.h"
#include "message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYS_SIGNATURE_MAX 1024 /* RSA of 8192 bits */

/* Proves that a key in DER belongs to the chain's leaf. `thorough` computes an ECDSA key's public
 * half instead of believing the file. Returns 0, -EKEYREJECTED for another one's key, or -ENOTSUP
 * if it is no key of the leaf's kind. Logs nothing. */
int keys_match(const uint8_t *der, size_t len, const struct chain *c, bool thorough);

/* Decrypts a private key in place, which may become shorter, and whose form is then
 * KEY_FORM_PLAIN. Returns 0, or -EKEYREJECTED if the password is not the right one or the library
 * does not know this kind of encryption. Logs nothing. */
int keys_decrypt(uint8_t *key, size_t *len, enum key_form *form, const char *password);

/* Signs data (what it is, `how` says) with a key in DER. *sig_len is the room in sig, at most
 * KEYS_SIGNATURE_MAX, then the length. RSA signatures are verified before they are given out: a
 * faulty one would give the key away. Returns 0, or -EIO and the library's reason in *why. */
int keys_sign(const uint8_t *der, size_t der_len, enum key_kind kind, enum sign_as how,
              const uint8_t *data, size_t len, uint8_t *sig, size_t *sig_len, const char **why);

/* Before the first signature of a process that has inherited no tables: has memory at hand for those that
 * the library lays out for a key of this kind. Nothing can fail. */
void keys_make_room(enum key_kind kind);

/* Has the library make the tables that the first ECDSA signatures of a process need, for a curve of so
 * many bits, with a key that is thrown away; children inherit them. Without them signing takes longer,
 * so nothing is said of a failure. */
void keys_warm_up(unsigned bits);

/* Gives back the memory that signing has taken for tables. */
void keys_forget(void);

#endif
