/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Chooses, signs, seals and opens. load.c has the other functions of vault.h. */
#include "vault/vault.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct candidate candidate_of(const struct vault *v, const struct vault_pair *p,
                                     const char *name)
{
    return (struct candidate){p->chain.kind, !v->strict_names || chain_covers(&p->chain, name)};
}

/* Chooses the pair from --cert-dir for the server name. */
static enum chain_verdict choose_by_name(struct vault *v, const struct wish *w)
{
    enum chain_verdict verdict = vault_load_name(v, w->name);

    if (verdict != CHAIN_GIVEN)
        return verdict;
    if (!v->old_versions && choose_fit(w, v->named.chain.kind) == FIT_NONE)
        return CHAIN_NONE_FITS;
    v->chosen = &v->named;
    return CHAIN_GIVEN;
}

enum chain_verdict vault_choose(struct vault *v, const struct wish *w)
{
    struct candidate candidates[OPTIONS_PAIRS_MAX];
    size_t number = 0;

    v->chosen = NULL;
    (void)snprintf(v->name, sizeof v->name, "%s", w->name);
    if (v->cert_dir != NULL && w->name[0] != '\0') {
        enum chain_verdict verdict = choose_by_name(v, w);
        if (verdict != CHAIN_NO_SUCH_NAME)
            return verdict;
    }
    for (size_t i = 0; i < v->count; i++)
        candidates[i] = candidate_of(v, &v->pairs[i], w->name);
    enum chain_verdict verdict =
        choose_certificate(candidates, v->count, w, v->old_versions, &number);
    if (verdict == CHAIN_GIVEN)
        v->chosen = &v->pairs[number];
    return verdict;
}

enum other vault_explain_choice(const struct vault *v, const struct wish *w)
{
    if (v->chosen == &v->named || v->count < 2)
        return OTHER_NONE;
    const struct vault_pair *other = &v->pairs[v->chosen == &v->pairs[0]];
    const struct candidate chosen = candidate_of(v, v->chosen, w->name);
    const struct candidate second = candidate_of(v, other, w->name);
    return choose_explain(&chosen, &second, w);
}

void vault_warn_of_dates(const struct vault_pair *p)
{
    time_t now = time(NULL);

    if (p->chain.not_after < now)
        log_error("%s: the certificate has expired; it is served all the same, but clients will "
                  "refuse it: renew it",
                  p->cert_file);
    else if (p->chain.not_before > now)
        log_error("%s: the certificate is not valid yet; it is served all the same, but clients "
                  "will refuse it: see its notBefore date, and this machine's clock",
                  p->cert_file);
}

size_t vault_read_staple(const struct vault_pair *p, uint8_t staple[FILES_STAPLE_MAX])
{
    size_t len = 0;

    /* Without the response clients are served all the same. */
    if (p->staple_file == NULL ||
        files_read(p->staple_file, false, staple, FILES_STAPLE_MAX, &len) < 0)
        return 0;
    return len;
}

/* True for a hash behind one of the prefixes of RFC 8017 section 9.2, note 1. A PKCS#1 v1.5 signature on other
 * data could be misused outside TLS. */
static bool is_digest_info(const uint8_t *data, size_t len)
{
    static const uint8_t sha256[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
    static const uint8_t sha384[] = {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30};
    static const uint8_t sha512[] = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};

    return (len == sizeof sha256 + 32 && memcmp(data, sha256, sizeof sha256) == 0) ||
           (len == sizeof sha384 + 48 && memcmp(data, sha384, sizeof sha384) == 0) ||
           (len == sizeof sha512 + 64 && memcmp(data, sha512, sizeof sha512) == 0);
}

/* True if a handshake with the chosen key signs such data. TLS 1.0 and 1.1 sign SHA-1, and with RSA MD5 and SHA-1
 * together (RFC 4346 section 7.4.3). */
static bool may_sign(const struct vault *v, enum sign_as how, struct bytes data)
{
    enum key_kind kind = v->chosen->chain.kind;
    size_t len = data.len;

    switch (how) {
    case SIGN_ECDSA:
        return kind == KEY_ECDSA &&
               (len == 32 || len == 48 || len == 64 || (len == 20 && v->old_versions));
    case SIGN_RSA_PKCS1:
        return kind == KEY_RSA && (is_digest_info(data.at, len) || (len == 36 && v->old_versions));
    case SIGN_RSA_PSS_SHA256:
        return kind == KEY_RSA && len == 32;
    case SIGN_RSA_PSS_SHA384:
        return kind == KEY_RSA && len == 48;
    case SIGN_RSA_PSS_SHA512:
        return kind == KEY_RSA && len == 64;
    case SIGN_ED25519:
        return kind == KEY_ED25519 && len >= 64;
    }
    return false;
}

enum vault_result vault_sign(struct vault *v, enum sign_as how, struct bytes data,
                             struct signature *sig)
{
    const struct vault_pair *p = v->chosen;
    const char *why;

    if (p == NULL || !may_sign(v, how, data)) {
        log_error("the gate asked for a signature on what no handshake needs: connection ended");
        return VAULT_REFUSED;
    }
    if (v->signatures == 0) {
        log_error("the gate asked for more signatures than one handshake needs: connection ended");
        return VAULT_REFUSED;
    }
    v->signatures--;
    if (v->holder == VAULT_OWN)
        keys_reserve_heap(p->chain.kind);
    const struct key_der key = {p->chain.kind, {v->memory + p->key_at, p->key_len}};
    if (keys_sign(&key, how, data, sig, &why))
        return VAULT_DONE;
    log_error("%s: signing failed: %s", p->key_file, why);
    return VAULT_FAILED;
}

/* Counts a request about a ticket in *left, and computes the context of this connection. */
static enum vault_result count_ticket_request(const struct vault *v, const struct options *o,
                                              unsigned version, unsigned *left, uint8_t *context)
{
    if (v->tickets == NULL || *left == 0) {
        log_error("the gate asked for more session tickets than one handshake needs: connection "
                  "ended");
        return VAULT_REFUSED;
    }
    (*left)--;
    if (tickets_context(context, o, version, v->name) == 0)
        return VAULT_DONE;
    log_error("%s: no ticket: the TLS library's SHA-256 fails", o->tickets);
    return VAULT_FAILED;
}

enum vault_result vault_seal(struct vault *v, const struct options *o, unsigned version,
                             const struct ticket_state *state, struct ticket *ticket)
{
    uint8_t context[TICKETS_CONTEXT_SIZE];
    enum vault_result result = count_ticket_request(v, o, version, &v->seals, context);

    if (result != VAULT_DONE)
        return result;
    int rc = tickets_seal(v->tickets, context, time(NULL), state, ticket);
    if (rc == 0)
        return VAULT_DONE;
    log_error("%s: sealing a ticket failed: %s", o->tickets, strerror(-rc));
    return VAULT_FAILED;
}

enum vault_result vault_open(struct vault *v, const struct options *o, unsigned version,
                             const struct ticket *ticket, struct ticket_state *state)
{
    /* Only details: clients may come with old tickets. */
    static const char *const reasons[] = {
        [TICKET_UNKNOWN_KEY] = "sealed with a key that is not in the file",
        [TICKET_EXPIRED] = "older than --ticket-lifetime, or from the future",
        [TICKET_DAMAGED] = "sealed for another name, version or service, or damaged",
        [TICKET_FAILED] = "the TLS library fails",
    };
    uint8_t context[TICKETS_CONTEXT_SIZE];
    enum vault_result result = count_ticket_request(v, o, version, &v->opens, context);

    *state = (struct ticket_state){.len = 0};
    if (result != VAULT_DONE)
        return result;
    enum ticket_verdict verdict =
        tickets_open(v->tickets, context, time(NULL), o->ticket_lifetime, ticket, state);
    if (verdict != TICKET_GOOD)
        log_detail("the client's session ticket is not used: %s", reasons[verdict]);
    v->opened = v->opened || verdict == TICKET_GOOD;
    return VAULT_DONE;
}
