/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The secret side: private keys, what they sign, and the messages that ask for it. The monitor
 * owns the vault; the gate only asks. Layer 3. */
#ifndef POSTERN_VAULT_H
#define POSTERN_VAULT_H

#include "certs.h"
#include "chain.h"
#include "hello.h"
#include "message.h"
#include "options.h"
#include "tickets.h"

struct vault_pair {
    const char *cert_file;
    const char *key_file;
    struct chain chain;
    size_t key_at; /* where in `memory` its key stands */
    size_t key_len;
    enum key_form key_form;
    const char *staple_file; /* an OCSP response in DER, read when it is asked for; NULL: none */
};

/* Whose keys these are: in wait mode one process reads them and lends them to all monitors. */
enum vault_holder { VAULT_OWN, VAULT_LENT, VAULT_BORROWED };

struct vault {
    enum vault_holder holder;
    uint8_t *memory; /* a mapping that no fork copies, no core dump holds and no swap sees */
    size_t count;
    struct vault_pair pairs[OPTIONS_PAIRS_MAX];
    const char *cert_dir; /* NULL: none */
    bool strict_names;
    struct name_files *files;        /* of `named` */
    struct vault_pair named;         /* the pair in cert_dir that the client has asked for */
    const struct vault_pair *chosen; /* the pair whose chain the gate was given */
    unsigned signatures;             /* how many more the gate may ask for */
    bool old_versions; /* TLS 1.0 and 1.1 are allowed, and with them SHA-1 in signatures */
    char name[HELLO_NAME_MAX + 1]; /* the server name that the gate has asked a chain for */
    struct tickets *tickets;       /* in a mapping like `memory`; NULL: no tickets */
    unsigned seals;                /* how many tickets more the gate may have sealed */
    unsigned opens;                /* ... and opened */
    bool opened;                   /* one could be opened: a signature may not be needed */
};

/* Reads the chains and keys of the options; the keys are not decoded or decrypted yet, so that a fork
 * can come next. Files that are being replaced at this moment are read a second time.
 * Returns 0, or logs one line and returns a negative errno; then nothing is left to wipe. */
int vault_load(struct vault *v, const struct options *o);

/* Decrypts the keys that need it and proves that each belongs to its certificate. Not before the gate
 * has been forked: it decodes keys. `thorough` computes an ECDSA key's public half instead of believing the file (--check).
 * Returns 0, or logs one line and returns -EINVAL. */
int vault_unlock(struct vault *v, const struct options *o, bool thorough);

/* Reads the ticket keys of --tickets; to be called after vault_unlock(), once the gate has been forked.
 * Returns 0, or logs one line and returns a negative errno: then there are no tickets. */
int vault_load_tickets(struct vault *v, const struct options *o);

/* True if keys are still encrypted, so that vault_unlock() has work to do. */
bool vault_is_locked(const struct vault *v);

/* Wait mode, in the process that has loaded the vault and never decodes a key: from now on its
 * children get a copy. Tables that a first signature would have to compute are made here, with a
 * throw-away key. Returns 0, or logs one line and returns a negative errno. */
int vault_lend(struct vault *v);

/* Wait mode, in such a child: takes the copy for its own and sees to it that its own children, such as
 * the gate, get none. What stays in memory is the lender's: vault_wipe() then only gives it up.
 * Returns 0, or logs one line and returns a negative errno: then the process must not go on. */
int vault_borrow(struct vault *v, const struct vault *lent);

/* Answer the gate, whose message r has already been received and whose every byte is suspect.
 * Return 0; -EPIPE: the gate has left; or log one line and return a negative errno (-EBADMSG: the gate
 * has broken a rule): then the connection has to end. */
int vault_give_chain(struct vault *v, struct message_reader *r, int gate);
int vault_give_signature(struct vault *v, struct message_reader *r, int gate);

/* Loads and proves the pair of one folder of --cert-dir, for --check; v has been loaded. Returns 0, and
 * the pair is in v->named; or logs one line and returns a negative errno. */
int vault_load_folder(struct vault *v, const char *folder, bool thorough);

/* Overwrites and unmaps the keys, frees the chains. May be called twice. */
void vault_wipe(struct vault *v);

/* What the gate gets to show to its client. */
struct vault_chain {
    const uint8_t *der; /* certificates, leaf first */
    size_t len;
    const uint8_t *staple; /* an OCSP response, which has to be judged before it is used */
    size_t staple_len;     /* 0: none */
};

/* The gate's side: sends a request and receives its answer into buf. Returns 0; -ECHILD: the handler has
 * exited; -ECANCELED: the monitor wants the connection to end, or is gone; or another negative errno.
 * Logs nothing. */
int vault_ask(int vault, const struct message_writer *w, struct message_reader *r, uint8_t *buf,
              size_t size, enum message_type wanted);

/* The gate's side: asks for the chain that fits the ClientHello. *c points into buf.
 * Returns 0, -ENOENT when the client can use none, -ENXIO when there is none for the name that it
 * asked for, -EKEYREJECTED when that one is unusable (the monitor has said why); -ECHILD: the handler
 * has exited; -ECANCELED: the monitor wants the connection to end, or is gone; or another negative
 * errno. Logs nothing. */
int vault_ask_chain(int vault, const struct hello *h, uint8_t *buf, size_t size,
                    struct vault_chain *c);

/* The gate's side: asks for a signature of at most *sig_len bytes. Returns as vault_ask_chain() does
 * (-EACCES: the vault refused). */
int vault_ask_signature(int vault, enum sign_as how, const uint8_t *data, size_t len, uint8_t *sig,
                        size_t *sig_len);

#endif
