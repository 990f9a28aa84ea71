/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The secret side: private keys, what they sign, and the messages that ask for it. The monitor
 * owns the vault; the gate only asks. Layer 3. */
#ifndef POSTERN_VAULT_H
#define POSTERN_VAULT_H

#include "certs.h"
#include "hello.h"
#include "message.h"
#include "options.h"

struct vault_pair {
    const char *cert_file;
    const char *key_file;
    struct chain chain;
    size_t key_at; /* where in `memory` its key stands, in DER */
    size_t key_len;
};

struct vault {
    uint8_t *memory; /* a mapping that no fork copies, no core dump holds and no swap sees */
    size_t count;
    struct vault_pair pairs[OPTIONS_PAIRS_MAX];
    size_t chosen;       /* the pair whose chain the gate was given */
    unsigned signatures; /* how many more the gate may ask for */
    bool old_versions;   /* TLS 1.0 and 1.1 are allowed, and with them SHA-1 in signatures */
};

/* Reads the chains and keys of the options; the keys are not decoded yet, so that a fork can come
 * next. Files that are being replaced at this moment are read a second time.
 * Returns 0, or logs one line and returns a negative errno; then nothing is left to wipe. */
int vault_load(struct vault *v, const struct options *o);

/* Proves that each key belongs to its certificate. Not before the gate has been forked: it decodes
 * keys. `thorough` computes an ECDSA key's public half instead of believing the file (--check).
 * Returns 0, or logs one line and returns -EINVAL. */
int vault_unlock(struct vault *v, const struct options *o, bool thorough);

/* Answer the gate, whose message r has already been received and whose every byte is suspect.
 * Return 0, or log one line and return a negative errno: then the connection has to end. */
int vault_give_chain(struct vault *v, struct message_reader *r, int gate);
int vault_give_signature(struct vault *v, struct message_reader *r, int gate);

/* Overwrites and unmaps the keys, frees the chains. May be called twice. */
void vault_wipe(struct vault *v);

/* The gate's side: asks for the chain that fits the ClientHello. *der points into buf.
 * Returns 0, -ENOENT when the client can use none, or another negative errno; logs nothing. */
int vault_ask_chain(int vault, const struct hello *h, uint8_t *buf, size_t size,
                    const uint8_t **der, size_t *len);

/* The gate's side: asks for a signature of at most *sig_len bytes. Returns 0 or a negative errno
 * (-EACCES: the vault refused). */
int vault_ask_signature(int vault, enum sign_as how, const uint8_t *data, size_t len, uint8_t *sig,
                        size_t *sig_len);

#endif
