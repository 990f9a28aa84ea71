/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vault: private keys and ticket keys, and the few things that are done with them for one handshake. It
 * knows neither sockets nor messages. */
#ifndef POSTERN_VAULT_H
#define POSTERN_VAULT_H

#include "common/bytes.h"
#include "vault/files.h"
#include "vault/chain.h"
#include "vault/choose.h"
#include "vault/keys.h"
#include "start/options.h"
#include "vault/tickets.h"
#include "common/wish.h"

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
    char name[WISH_NAME_MAX + 1]; /* the server name that the gate has asked a chain for */
    struct tickets *tickets;      /* in a mapping like `memory`; NULL: no tickets */
    unsigned seals;               /* how many tickets more the gate may have sealed */
    unsigned opens;               /* ... and opened */
    bool opened;                  /* one could be opened: a signature may not be needed */
};

/* Reads the chains and keys of the options; the keys are not decoded or decrypted yet, so that a fork
 * can come next. Files that are being replaced at this moment are read a second time.
 * Returns 0, or logs one line and returns a negative errno; then nothing is left to wipe. */
int vault_load(struct vault *v, const struct options *o);

/* Decrypts the keys that need it and proves that each belongs to its certificate, but for borrowed keys that
 * the lender's child has proved. Not before the gate has been forked: it decodes keys. `thorough` computes an ECDSA key's public half instead of believing the file (--check).
 * Returns 0, or logs one line and returns -EINVAL. */
int vault_unlock(struct vault *v, const struct options *o, bool thorough);

/* Reads the ticket keys of --tickets into a vault that has been loaded.
 * Returns 0, or logs one line and returns a negative errno: then there are no tickets. */
int vault_load_tickets(struct vault *v, const struct options *o);

/* True if keys are still encrypted, so that vault_unlock() has work to do. */
bool vault_has_encrypted_keys(const struct vault *v);

/* Wait mode, in the process that has loaded the vault and never decodes a key: from now on its
 * children get a copy. Tables that a first signature would have to compute are made here, with a
 * throw-away key. Returns 0, or logs one line and returns a negative errno. */
int vault_lend(struct vault *v);

/* Wait mode, in such a child: takes the copy for its own and sees to it that its own children, such as
 * the gate, get none. What stays in memory is the lender's: vault_wipe() then only gives it up.
 * Returns 0, or logs one line and returns a negative errno: then the process must not go on. */
int vault_borrow(struct vault *v, const struct vault *lent);

/* Loads and proves the pair for a server name from --cert-dir, into v->named. Returns CHAIN_GIVEN,
 * CHAIN_NO_SUCH_NAME if there is no folder for it, or logs one line and returns CHAIN_BROKEN. */
enum chain_verdict vault_load_name(struct vault *v, const char *name);

/* Loads and proves the pair of one folder of --cert-dir, for --check; v has been loaded. Returns 0, and
 * the pair is in v->named; or logs one line and returns a negative errno. */
int vault_load_folder(struct vault *v, const char *folder, bool thorough);

/* Overwrites and unmaps the keys, frees the chains. May be called twice. */
void vault_wipe(struct vault *v);

/* What comes of asking the vault. All but VAULT_DONE end the connection; one line has been logged. */
enum vault_result {
    VAULT_DONE,
    VAULT_REFUSED, /* the gate has asked for what no handshake needs, or too often */
    VAULT_FAILED   /* the library or the system failed */
};

/* Chooses the pair for a client: v->chosen, which CHAIN_GIVEN says is there. */
enum chain_verdict vault_choose(struct vault *v, const struct wish *w);

/* Why it was not the other --cert. */
enum other vault_explain_choice(const struct vault *v, const struct wish *w);

/* Logs a line if the certificate has expired or is not valid yet. */
void vault_warn_of_dates(const struct vault_pair *p);

/* Reads the OCSP response for a pair. Returns its length; 0: there is none, or one line has been logged. */
size_t vault_read_staple(const struct vault_pair *p, uint8_t staple[CERTS_STAPLE_MAX]);

/* Signs with the chosen pair's key, once: what a TLS handshake signs and nothing else. */
enum vault_result vault_sign(struct vault *v, enum sign_as how, struct bytes data,
                             struct signature *sig);

/* Seal and open a session ticket, for this version of TLS (0x0304: 1.3), TICKET_SEALS and TICKET_OPENS
 * times at most. A ticket that can't be opened gives a state of no bytes: that is nobody's fault. */
enum vault_result vault_seal(struct vault *v, const struct options *o, unsigned version,
                             const struct ticket_state *state, struct ticket *ticket);
enum vault_result vault_open(struct vault *v, const struct options *o, unsigned version,
                             const struct ticket *ticket, struct ticket_state *state);

#endif
