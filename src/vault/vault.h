/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The vault keeps private keys and ticket keys, and uses them for one handshake. It knows neither sockets nor
 * messages. */
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

/* A certificate chain and its key. */
struct vault_pair {
    const char *cert_file;
    const char *key_file;
    struct chain chain;
    size_t key_at; /* the place of its key in vault.memory */
    size_t key_len;
    enum key_form key_form;
    const char *staple_file; /* of an OCSP response in DER, which is read on request; NULL: none */
};

/* Who owns the keys. In wait mode the listener reads them and lends them to all monitors. */
enum vault_holder { VAULT_OWN, VAULT_LENT, VAULT_BORROWED };

struct vault {
    enum vault_holder holder;
    uint8_t *memory; /* the keys: a mapping left out of forks, core dumps and swap */
    size_t count;
    struct vault_pair pairs[OPTIONS_PAIRS_MAX];
    const char *cert_dir;            /* NULL: none */
    bool strict_names;               /* --sni=strict */
    struct name_files *files;        /* the paths of `named` */
    struct vault_pair named;         /* the pair from cert_dir for the server name */
    const struct vault_pair *chosen; /* the pair for this client; NULL: none yet */
    unsigned signatures;             /* that the gate may still ask for */
    bool old_versions;               /* TLS 1.0 and 1.1 are allowed, which sign SHA-1 */
    char name[WISH_NAME_MAX + 1];    /* the server name in the request for a chain */
    struct tickets *tickets;         /* in a mapping like `memory`; NULL: no tickets */
    unsigned seals;                  /* tickets that the gate may still have sealed */
    unsigned opens;                  /* tickets that the gate may still have opened */
    bool opened;                     /* a ticket was good: the handshake may need no signature */
};

/* Reads the chains and keys of the options. Neither decodes nor decrypts keys, so that the gate can be forked
 * next. Reads the files a second time if they seem to be replaced at this moment. Returns 0; vault_wipe() frees
 * all. Or logs one line and returns a negative errno; then there is nothing to wipe. */
int vault_load(struct vault *v, const struct options *o);

/* Decrypts encrypted keys, and proves that each key belongs to its certificate. Skips borrowed keys in plain
 * form: the listener has had them proved. Decodes keys, so the gate must have been forked before. thorough: see
 * keys_match(). Returns 0, or logs one line and returns -EINVAL. */
int vault_unlock(struct vault *v, const struct options *o, bool thorough);

/* Reads the ticket keys of --tickets into a loaded vault. Returns 0, or logs one line and returns a negative
 * errno; then there are no tickets. */
int vault_load_tickets(struct vault *v, const struct options *o);

/* True if a key is still encrypted. vault_unlock() decrypts it. */
bool vault_has_encrypted_keys(const struct vault *v);

/* Lets future children inherit the keys. For the listener of wait mode, which never decodes them. Also makes the
 * tables that a first signature needs, with a key that is thrown away. Returns 0, or logs one line and returns
 * a negative errno. */
int vault_lend(struct vault *v);

/* Takes over inherited keys, in a child of the listener. Keeps them from its own children, such as the gate.
 * vault_wipe() then unmaps them, but does not overwrite them: they are the lender's. Returns 0, or
 * logs one line and returns a negative errno; then the process must end. */
int vault_borrow(struct vault *v, const struct vault *lent);

/* Loads the pair for a server name from --cert-dir into v->named, and proves it. Returns CHAIN_GIVEN;
 * CHAIN_NO_SUCH_NAME if there is no folder for the name; or logs one line and returns CHAIN_BROKEN. */
enum chain_verdict vault_load_name(struct vault *v, const char *name);

/* Loads the pair of one folder of --cert-dir into v->named, and proves it, for --check. Returns 0, or logs one
 * line and returns a negative errno. */
int vault_load_folder(struct vault *v, const char *folder, bool thorough);

/* Overwrites and unmaps the keys, and frees the chains. May be called twice. */
void vault_wipe(struct vault *v);

/* The result of a request. After all but VAULT_DONE one line has been logged, and the connection has to end. */
enum vault_result {
    VAULT_DONE,
    VAULT_REFUSED, /* no handshake needs this request, or so many */
    VAULT_FAILED   /* the library or the system failed */
};

/* Chooses the pair for a client. Returns CHAIN_GIVEN and sets v->chosen, or returns why there is none. */
enum chain_verdict vault_choose(struct vault *v, const struct wish *w);

/* Returns why the other pair of --cert was not chosen. */
enum other vault_explain_choice(const struct vault *v, const struct wish *w);

/* Logs a line if the certificate has expired or is not valid yet. */
void vault_warn_of_dates(const struct vault_pair *p);

/* Reads the OCSP response for a pair. Returns its length; or 0 if there is none, or after logging one line. */
size_t vault_read_staple(const struct vault_pair *p, uint8_t staple[FILES_STAPLE_MAX]);

/* Signs with the key of the chosen pair. Refuses data that no TLS handshake signs, and a second signature. */
enum vault_result vault_sign(struct vault *v, enum sign_as how, struct bytes data,
                             struct signature *sig);

/* Seal and open a session ticket for this version of TLS (0x0304: 1.3), TICKET_SEALS and TICKET_OPENS times at
 * most. A ticket that cannot be opened is no failure: state->len is 0 then. */
enum vault_result vault_seal(struct vault *v, const struct options *o, unsigned version,
                             const struct ticket_state *state, struct ticket *ticket);
enum vault_result vault_open(struct vault *v, const struct options *o, unsigned version,
                             const struct ticket *ticket, struct ticket_state *state);

#endif
