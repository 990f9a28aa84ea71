/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault.h"

#include "keys.h"
#include "log.h"
#include "steps.h"
#include "ticket_file.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

/* The mapping: a key for each pair of the options, one for a name's, the password. */
#define NAMED_AT (OPTIONS_PAIRS_MAX * (size_t)CERTS_KEY_MAX)
#define PASSWORD_AT (NAMED_AT + CERTS_KEY_MAX)
#define PASSWORD_MAX ((size_t)1024)
#define MEMORY_SIZE (PASSWORD_AT + PASSWORD_MAX)
/* What comes of a client's wish for a certificate. */
enum chain_verdict {
    CHAIN_GIVEN,
    CHAIN_NONE_FITS,    /* it can check the signatures of none */
    CHAIN_NO_SUCH_NAME, /* there is none for the name that it asked for */
    CHAIN_BROKEN        /* there is, but it is unusable */
};

#define TO_SIGN_MAX 512
#define REREAD_MS 200

/* Memory for secrets. Locking it may be beyond this process's limit; all else must succeed. */
static uint8_t *map_secret(size_t size)
{
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    if (madvise(memory, size, MADV_DONTFORK) != 0) {
        int saved = errno;
        (void)munmap(memory, size);
        errno = saved;
        return NULL;
    }
    (void)madvise(memory, size, MADV_DONTDUMP);
#ifdef MLOCK_ONFAULT
    (void)mlock2(memory, size, MLOCK_ONFAULT);
#else
    (void)mlock(memory, size);
#endif
    return memory;
}

static void drop_pair(struct vault_pair *p)
{
    chain_free(&p->chain);
    *p = (struct vault_pair){0};
}

static int load_pair(struct vault *v, struct vault_pair *p, const struct pair *from, size_t key_at,
                     uint8_t *scratch)
{
    size_t len = 0;
    bool combined = from->key == NULL;

    *p = (struct vault_pair){.cert_file = from->cert,
                             .key_file = combined ? from->cert : from->key,
                             .staple_file = from->staple,
                             .key_at = key_at};
    int rc = certs_read_file(p->cert_file, combined, scratch, CERTS_FILE_MAX, &len);
    if (rc == 0)
        rc = chain_take(&p->chain, p->cert_file, scratch, len);
    if (rc == 0 && !combined) {
        explicit_bzero(scratch, len);
        rc = certs_read_file(p->key_file, true, scratch, CERTS_FILE_MAX, &len);
    }
    if (rc == 0)
        rc = certs_take_key(p->key_file, scratch, len, v->memory + key_at, &p->key_len,
                            &p->key_form);
    explicit_bzero(scratch, len);
    if (rc < 0)
        drop_pair(p);
    return rc;
}

/* The first line of the file that has the password of the keys. */
static int load_password(struct vault *v, const char *file, uint8_t *scratch)
{
    size_t len = 0;
    int rc = certs_read_file(file, true, scratch, CERTS_FILE_MAX, &len);

    if (rc == 0) {
        const uint8_t *end = memchr(scratch, '\n', len);
        size_t line = end != NULL ? (size_t)(end - scratch) : len;
        if (line > 0 && scratch[line - 1] == '\r')
            line--;
        if (line == 0 || line >= PASSWORD_MAX || memchr(scratch, '\0', line) != NULL) {
            log_error("--key-pass-file=%s: its first line is no password of 1 to %zu bytes", file,
                      PASSWORD_MAX - 1);
            rc = -EINVAL;
        } else {
            memcpy(v->memory + PASSWORD_AT, scratch, line);
            v->memory[PASSWORD_AT + line] = '\0';
        }
    }
    explicit_bzero(scratch, len);
    return rc;
}

static int load_all(struct vault *v, const struct options *o, uint8_t *scratch)
{
    int rc = 0;

    if (o->key_pass_file != NULL)
        rc = load_password(v, o->key_pass_file, scratch);
    for (size_t i = 0; rc == 0 && i < o->pair_count; i++) {
        rc = load_pair(v, &v->pairs[i], &o->pairs[i], i * CERTS_KEY_MAX, scratch);
        if (rc == 0)
            v->count++;
    }
    if (rc == 0 && v->count == 2 && v->pairs[0].chain.kind == v->pairs[1].chain.kind) {
        log_error("%s and %s: both are %s certificates: give one RSA and one ECDSA or Ed25519",
                  v->pairs[0].cert_file, v->pairs[1].cert_file,
                  chain_kind_name(v->pairs[0].chain.kind));
        rc = -EINVAL;
    }
    if (rc == 0 && o->cert_dir != NULL && access(o->cert_dir, R_OK | X_OK) != 0) {
        rc = -errno;
        log_error("--cert-dir=%s: %s", o->cert_dir, strerror(-rc));
    }
    return rc;
}

static int load_once(struct vault *v, const struct options *o)
{
    int rc;

    *v = (struct vault){.memory = map_secret(MEMORY_SIZE),
                        .cert_dir = o->cert_dir,
                        .strict_names = o->sni == SNI_STRICT,
                        .signatures = 1,
                        .old_versions = o->tls_min < 0x0303};
    uint8_t *scratch = map_secret(CERTS_FILE_MAX);
    if (v->memory == NULL || scratch == NULL) {
        rc = -ENOMEM;
        log_error("no memory for private keys");
    } else {
        rc = load_all(v, o, scratch);
    }
    if (scratch != NULL)
        (void)munmap(scratch, CERTS_FILE_MAX);
    if (rc < 0)
        vault_wipe(v);
    return rc;
}

int vault_load(struct vault *v, const struct options *o)
{
    log_suspend(true);
    int rc = load_once(v, o);
    log_suspend(false);
    if (rc == 0)
        return 0;
    /* Perhaps half written: a renewal takes some milliseconds. */
    if (rc == -EINVAL)
        (void)poll(NULL, 0, REREAD_MS);
    return load_once(v, o);
}

/* Decrypts a key if need be, and proves that it is its certificate's. */
static int unlock_pair(struct vault *v, struct vault_pair *p, bool thorough)
{
    const char *password = (const char *)v->memory + PASSWORD_AT;
    int rc = 0;

    if (p->key_form != KEY_FORM_PLAIN && *password == '\0') {
        log_error("%s: the private key is encrypted: give its password with --key-pass-file=FILE, "
                  "or write the key plain with `openssl pkey -in %s'",
                  p->key_file, p->key_file);
        return -EACCES;
    }
    if (p->key_form != KEY_FORM_PLAIN)
        rc = keys_decrypt(v->memory + p->key_at, &p->key_len, &p->key_form, password);
    if (rc < 0) {
        log_error("%s: the private key can't be decrypted: wrong password in --key-pass-file, or a "
                  "kind of encryption that the TLS library lacks (PKCS#8 with AES, as openssl "
                  "writes it, is fine)",
                  p->key_file);
        return -EINVAL;
    }
    rc = keys_match(v->memory + p->key_at, p->key_len, &p->chain, thorough);
    if (rc == -EKEYREJECTED)
        log_error("%s: key does not match the first certificate of %s; try --check", p->key_file,
                  p->cert_file);
    else if (rc < 0)
        log_error("%s: not a private key of the kind that %s needs (%s): key does not match",
                  p->key_file, p->cert_file, chain_kind_name(p->chain.kind));
    return rc < 0 ? -EINVAL : 0;
}

static int unlock_all(struct vault *v, bool thorough)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < v->count; i++)
        rc = unlock_pair(v, &v->pairs[i], thorough);
    return rc;
}

int vault_unlock(struct vault *v, const struct options *o, bool thorough)
{
    log_suspend(true);
    int rc = unlock_all(v, thorough);
    log_suspend(false);
    if (rc == 0)
        return 0;
    /* A renewal replaces two files, one after the other. */
    if (rc == -EINVAL)
        (void)poll(NULL, 0, REREAD_MS);
    vault_wipe(v);
    if (load_once(v, o) < 0)
        return -EINVAL;
    return unlock_all(v, thorough) < 0 ? -EINVAL : 0;
}

static int load_name_once(struct vault *v, bool thorough)
{
    const struct pair from = {.cert = v->files->cert, .key = v->files->key};
    uint8_t *scratch = map_secret(CERTS_FILE_MAX);

    if (scratch == NULL) {
        log_error("no memory for private keys");
        return -ENOMEM;
    }
    drop_pair(&v->named);
    int rc = load_pair(v, &v->named, &from, NAMED_AT, scratch);
    (void)munmap(scratch, CERTS_FILE_MAX);
    return rc == 0 ? unlock_pair(v, &v->named, thorough) : rc;
}

static int load_named(struct vault *v, bool thorough)
{
    log_suspend(true);
    int rc = load_name_once(v, thorough);
    log_suspend(false);
    if (rc == 0)
        return 0;
    if (rc == -EINVAL)
        (void)poll(NULL, 0, REREAD_MS);
    return load_name_once(v, thorough);
}

int vault_load_tickets(struct vault *v, const struct options *o)
{
    struct tickets *t = (struct tickets *)(void *)map_secret(sizeof *t);

    if (t == NULL) {
        log_error("no memory for ticket keys");
        return -ENOMEM;
    }
    int rc = ticket_file_read(t, o->tickets);
    if (rc < 0) {
        (void)munmap(t, sizeof *t);
        return rc;
    }
    v->tickets = t;
    v->seals = TICKETS_SEALS;
    v->opens = TICKETS_OPENS;
    return 0;
}

static int make_files(struct vault *v)
{
    if (v->files == NULL)
        v->files = malloc(sizeof *v->files);
    if (v->files != NULL)
        return 0;
    log_error("out of memory");
    return -ENOMEM;
}

int vault_load_folder(struct vault *v, const char *folder, bool thorough)
{
    if (make_files(v) < 0)
        return -ENOMEM;
    if (certs_find_folder(v->cert_dir, folder, v->files))
        return load_named(v, thorough);
    log_error("%s: no such file", v->files->cert);
    return -ENOENT;
}

/* The pair for a server name. Returns 0, -ENXIO if there is none, or logs one line and returns
 * another negative errno. */
static int load_name(struct vault *v, const char *name)
{
    if (make_files(v) < 0)
        return -ENOMEM;
    return certs_find_name(v->cert_dir, name, v->files) ? load_named(v, false) : -ENXIO;
}

/* How well a client can do with a kind of certificate. */
enum fit { FIT_NONE, FIT_OUTWORN, FIT_GOOD };

struct fits {
    enum fit rsa, ecdsa, ed25519;
};

static enum fit fit_of(const struct vault_pair *p, const struct fits *f)
{
    return p->chain.kind == KEY_RSA ? f->rsa : p->chain.kind == KEY_ECDSA ? f->ecdsa : f->ed25519;
}

/* Of the pairs of the options one that the client can check: one with which it has good suites before
 * others, the quicker kinds before RSA. NULL if there is none; but TLS 1.0 and 1.1 are not asked, they
 * can't say. */
static const struct vault_pair *choose_default(const struct vault *v, const struct fits *f,
                                               const char *name)
{
    const struct vault_pair *best = NULL;
    enum fit best_fit = FIT_NONE;

    for (size_t i = 0; i < v->count; i++) {
        const struct vault_pair *p = &v->pairs[i];
        enum fit fit = fit_of(p, f);
        if (v->strict_names && !chain_covers(&p->chain, name))
            continue;
        if (fit > best_fit || (fit == best_fit && fit != FIT_NONE && p->chain.kind != KEY_RSA) ||
            (best == NULL && v->old_versions)) {
            best = p;
            best_fit = fit;
        }
    }
    return best;
}

/* True if one of the pairs of the options may be shown to a client that asks for this name. */
static bool has_default(const struct vault *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (!v->strict_names || chain_covers(&v->pairs[i].chain, name))
            return true;
    return false;
}

/* Chooses the pair for a client. */
static enum chain_verdict choose(struct vault *v, const struct fits *f, const char *name)
{
    v->chosen = NULL;
    if (v->cert_dir != NULL && *name != '\0') {
        int rc = load_name(v, name);
        if (rc == 0 && (v->old_versions || fit_of(&v->named, f) != FIT_NONE))
            v->chosen = &v->named;
        if (rc != -ENXIO)
            return rc < 0 ? CHAIN_BROKEN : v->chosen != NULL ? CHAIN_GIVEN : CHAIN_NONE_FITS;
    }
    if (!has_default(v, name))
        return CHAIN_NO_SUCH_NAME;
    v->chosen = choose_default(v, f, name);
    return v->chosen != NULL ? CHAIN_GIVEN : CHAIN_NONE_FITS;
}

/* A response that can't be had is no reason to serve nobody. */
static size_t read_staple(const struct vault_pair *p, bool wanted, uint8_t *staple)
{
    size_t len = 0;

    if (p == NULL || !wanted || p->staple_file == NULL ||
        certs_read_file(p->staple_file, false, staple, CERTS_STAPLE_MAX, &len) < 0)
        return 0;
    return len;
}

static int send_chain(int gate, enum chain_verdict verdict, const struct vault_pair *p,
                      bool wants_staple)
{
    static const size_t overhead = 64;
    struct message_writer w;
    uint8_t staple[CERTS_STAPLE_MAX];
    size_t staple_len = read_staple(p, wants_staple, staple);
    size_t size = overhead + (p != NULL ? p->chain.len : 0) + staple_len;
    uint8_t *buf = malloc(size);

    if (buf == NULL) {
        log_error("out of memory for a certificate chain");
        return -ENOMEM;
    }
    message_begin(&w, buf, size, ANS_CHAIN);
    message_put_number(&w, verdict);
    message_put_bytes(&w, p != NULL ? p->chain.der : NULL, p != NULL ? p->chain.len : 0);
    message_put_bytes(&w, staple, staple_len);
    int rc = message_send(gate, &w, NULL, 0);
    free(buf);
    if (rc < 0 && rc != -EPIPE)
        log_error("cannot send the certificate chain to the gate: %s", strerror(-rc));
    return rc;
}

static void warn_of_dates(const struct vault_pair *p)
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

static enum steps_other judge_other(const struct vault *v, const struct fits *f)
{
    if (v->chosen == &v->named || v->count < 2)
        return OTHER_NONE;
    const struct vault_pair *other = &v->pairs[v->chosen == &v->pairs[0]];
    if (v->strict_names && !chain_covers(&other->chain, v->name))
        return OTHER_NAMES;
    if (fit_of(other, f) == fit_of(v->chosen, f))
        return other->chain.kind == KEY_RSA ? OTHER_SLOWER : OTHER_FITS;
    return fit_of(other, f) == FIT_NONE ? OTHER_UNFIT : OTHER_OUTWORN;
}

/* Explains the choice, to whoever reads a log with -v. */
static void tell_choice(const struct vault *v, const struct fits *f, int64_t since)
{
    const struct steps_choice c = {.cert_file = v->chosen->cert_file,
                                   .kind = v->chosen->chain.kind,
                                   .name = v->name,
                                   .named = v->chosen == &v->named,
                                   .has_folders = v->cert_dir != NULL,
                                   .other = judge_other(v, f)};

    steps_chose(since, &c);
}

int vault_give_chain(struct vault *v, struct message_reader *r, int gate)
{
    int64_t since = steps_now();
    struct fits fits;

    message_get_text(r, v->name, sizeof v->name);
    fits.rsa = (enum fit)message_get_number(r, FIT_GOOD);
    fits.ecdsa = (enum fit)message_get_number(r, FIT_GOOD);
    fits.ed25519 = (enum fit)message_get_number(r, FIT_GOOD);
    bool wants_staple = message_get_number(r, 1) != 0;
    if (!message_complete(r)) {
        log_error("the gate sent a malformed chain message: connection ended");
        return -EBADMSG;
    }
    enum chain_verdict verdict = choose(v, &fits, v->name);
    if (v->chosen != NULL) {
        tell_choice(v, &fits, since);
        warn_of_dates(v->chosen);
    }
    return send_chain(gate, verdict, v->chosen, wants_staple);
}

/* RFC 8017 section 9.2, note 1: the only strings that may stand before a hash in a PKCS#1 v1.5
 * signature. To sign anything else would make the vault an oracle. */
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

/* True if a request may be signed with the chosen key. TLS 1.0 and 1.1 sign SHA-1, for RSA with
 * MD5 beside it (RFC 4346 section 7.4.3). */
static bool may_sign(const struct vault *v, enum sign_as how, const uint8_t *data, size_t len)
{
    enum key_kind kind = v->chosen->chain.kind;

    switch (how) {
    case SIGN_ECDSA:
        return kind == KEY_ECDSA &&
               (len == 32 || len == 48 || len == 64 || (len == 20 && v->old_versions));
    case SIGN_RSA_PKCS1:
        return kind == KEY_RSA && (is_digest_info(data, len) || (len == 36 && v->old_versions));
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

int vault_give_signature(struct vault *v, struct message_reader *r, int gate)
{
    uint8_t sig[KEYS_SIGNATURE_MAX], buf[KEYS_SIGNATURE_MAX + 16];
    size_t sig_len = sizeof sig, len;
    struct message_writer w;
    const char *why;

    enum sign_as how = (enum sign_as)message_get_number(r, SIGN_ED25519);
    const uint8_t *data = message_get_bytes(r, TO_SIGN_MAX, &len);
    if (!message_complete(r) || v->chosen == NULL || !may_sign(v, how, data, len)) {
        log_error("the gate asked for a signature on what no handshake needs: connection ended");
        return -EBADMSG;
    }
    if (v->signatures == 0) {
        log_error("the gate asked for more signatures than one handshake needs: connection ended");
        return -EBADMSG;
    }
    v->signatures--;
    const struct vault_pair *p = v->chosen;
    if (v->holder == VAULT_OWN)
        keys_make_room(p->chain.kind);
    int64_t since = steps_now();
    int rc = keys_sign(v->memory + p->key_at, p->key_len, p->chain.kind, how, data, len, sig,
                       &sig_len, &why);
    if (rc < 0) {
        log_error("%s: signing failed: %s", p->key_file, why);
        return rc;
    }
    steps_signed(since, p->chain.kind, p->key_file);
    message_begin(&w, buf, sizeof buf, ANS_SIGNATURE);
    message_put_bytes(&w, sig, sig_len);
    rc = message_send(gate, &w, NULL, 0);
    if (rc < 0 && rc != -EPIPE)
        log_error("cannot send a signature to the gate: %s", strerror(-rc));
    return rc;
}

/* To overwrite what belongs to the lender would only make a copy first. But a name's key, and what a
 * password has decrypted, are in a copy already. */
static void give_up(struct vault *v)
{
    if (v->memory != NULL) {
        if (v->named.key_len > 0 || v->memory[PASSWORD_AT] != '\0')
            explicit_bzero(v->memory, MEMORY_SIZE);
        (void)munmap(v->memory, MEMORY_SIZE);
    }
    if (v->tickets != NULL)
        (void)munmap(v->tickets, sizeof *v->tickets);
    drop_pair(&v->named);
    free(v->files);
    v->files = NULL;
    v->chosen = NULL;
    v->memory = NULL;
    v->tickets = NULL;
    v->count = 0;
}

static int share(const struct vault *v, int advice)
{
    if (madvise(v->memory, MEMORY_SIZE, advice) != 0 ||
        (v->tickets != NULL && madvise(v->tickets, sizeof *v->tickets, advice) != 0))
        return -errno;
    return 0;
}

bool vault_is_locked(const struct vault *v)
{
    bool locked = false;

    for (size_t i = 0; i < v->count; i++)
        locked = locked || v->pairs[i].key_form != KEY_FORM_PLAIN;
    return locked;
}

int vault_lend(struct vault *v)
{
    int rc = share(v, MADV_DOFORK);

    if (rc < 0) {
        log_error("cannot share the keys' memory: %s", strerror(-rc));
        return rc;
    }
    for (size_t i = 0; i < v->count; i++)
        if (v->pairs[i].chain.kind == KEY_ECDSA)
            keys_warm_up(v->pairs[i].chain.bits);
    v->holder = VAULT_LENT;
    return 0;
}

int vault_borrow(struct vault *v, const struct vault *lent)
{
    *v = *lent;
    v->holder = VAULT_BORROWED;
    int rc = share(v, MADV_DONTFORK);
    if (rc < 0)
        log_error("cannot keep the keys from the gate: %s", strerror(-rc));
    return rc;
}

void vault_wipe(struct vault *v)
{
    if (v->holder == VAULT_BORROWED) {
        give_up(v);
        return;
    }
    for (size_t i = 0; i < OPTIONS_PAIRS_MAX; i++)
        drop_pair(&v->pairs[i]);
    drop_pair(&v->named);
    free(v->files);
    v->files = NULL;
    v->chosen = NULL;
    if (v->memory != NULL) {
        explicit_bzero(v->memory, MEMORY_SIZE);
        (void)munmap(v->memory, MEMORY_SIZE);
        v->memory = NULL;
    }
    v->count = 0;
    if (v->tickets != NULL) {
        explicit_bzero(v->tickets, sizeof *v->tickets);
        (void)munmap(v->tickets, sizeof *v->tickets);
        v->tickets = NULL;
    }
    if (v->holder == VAULT_LENT)
        return; /* the tables are for the next one, too */
    keys_forget();
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

int vault_ask(int vault, const struct message_writer *w, struct message_reader *r, uint8_t *buf,
              size_t size, enum message_type wanted)
{
    int rc = message_send(vault, w, NULL, 0);

    if (rc == 0)
        rc = message_receive(vault, r, buf, size, false);
    if (rc == 0 && r->type != wanted)
        rc = r->type == EVENT_HANDLER_EXITED ? -ECHILD : -ECANCELED;
    return rc == -EPIPE ? -ECANCELED : rc;
}

static enum fit fit_for(const struct hello *h, bool fits, bool aead)
{
    bool tls13 = h->version_max >= 0x0304 && h->tls13_suites;

    return !fits ? FIT_NONE : tls13 || aead ? FIT_GOOD : FIT_OUTWORN;
}

int vault_ask_chain(int vault, const struct hello *h, uint8_t *buf, size_t size,
                    struct vault_chain *c)
{
    static const int errors[] = {[CHAIN_GIVEN] = 0,
                                 [CHAIN_NONE_FITS] = -ENOENT,
                                 [CHAIN_NO_SUCH_NAME] = -ENXIO,
                                 [CHAIN_BROKEN] = -EKEYREJECTED};
    uint8_t request[HELLO_NAME_MAX + 64];
    struct message_writer w;
    struct message_reader r;

    message_begin(&w, request, sizeof request, REQ_CHAIN);
    message_put_text(&w, h->name);
    message_put_number(&w, fit_for(h, h->rsa, h->rsa_aead));
    message_put_number(&w, fit_for(h, h->ecdsa, h->ecdsa_aead));
    message_put_number(&w, fit_for(h, h->ed25519, h->ecdsa_aead));
    message_put_number(&w, h->wants_staple);
    int rc = vault_ask(vault, &w, &r, buf, size, ANS_CHAIN);
    if (rc < 0)
        return rc;
    size_t verdict = (size_t)message_get_number(&r, CHAIN_BROKEN);
    c->der = message_get_bytes(&r, size, &c->len);
    c->staple = message_get_bytes(&r, size, &c->staple_len);
    return message_complete(&r) ? errors[verdict] : -EBADMSG;
}

int vault_ask_signature(int vault, enum sign_as how, const uint8_t *data, size_t len, uint8_t *sig,
                        size_t *sig_len)
{
    uint8_t buf[KEYS_SIGNATURE_MAX + 16];
    struct message_writer w;
    struct message_reader r;
    size_t got;

    message_begin(&w, buf, sizeof buf, REQ_SIGN);
    message_put_number(&w, how);
    message_put_bytes(&w, data, len);
    int rc = vault_ask(vault, &w, &r, buf, sizeof buf, ANS_SIGNATURE);
    if (rc < 0)
        return rc;
    const uint8_t *bytes = message_get_bytes(&r, *sig_len, &got);
    if (!message_complete(&r))
        return -EBADMSG;
    if (got == 0)
        return -EACCES;
    memcpy(sig, bytes, got);
    *sig_len = got;
    return 0;
}
