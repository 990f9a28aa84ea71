/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads, keeps and wipes the keys. vault.c has the other functions of vault.h. */
#include "vault/vault.h"

#include "vault/keys.h"
#include "common/log.h"
#include "vault/ticket_file.h"

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

/* The mapping holds a key for each pair of --cert, the key of `named`, and the password. */
#define NAMED_AT (OPTIONS_PAIRS_MAX * (size_t)FILES_KEY_MAX)
#define PASSWORD_AT (NAMED_AT + FILES_KEY_MAX)
#define PASSWORD_MAX ((size_t)1024)
#define MEMORY_SIZE (PASSWORD_AT + PASSWORD_MAX)
#define REREAD_MS 200 /* before files are read a second time */

/* Maps memory for secrets. Returns NULL on failure, with errno. Locking may exceed this process's limit, so its
 * failure is ignored. */
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

/* Reads chain and key of a pair; the key goes to v->memory + key_at. scratch: FILES_SIZE_MAX bytes. Returns 0, or
 * logs one line and returns a negative errno. */
static int load_pair(struct vault *v, struct vault_pair *p, const struct pair *from, size_t key_at,
                     uint8_t *scratch)
{
    size_t len = 0;
    bool combined = from->key == NULL;

    *p = (struct vault_pair){.cert_file = from->cert,
                             .key_file = combined ? from->cert : from->key,
                             .staple_file = from->staple,
                             .key_at = key_at};
    int rc = files_read(p->cert_file, combined, scratch, FILES_SIZE_MAX, &len);
    if (rc == 0)
        rc = chain_take(&p->chain, p->cert_file, scratch, len);
    if (rc == 0 && !combined) {
        explicit_bzero(scratch, len);
        rc = files_read(p->key_file, true, scratch, FILES_SIZE_MAX, &len);
    }
    if (rc == 0)
        rc = files_take_key(p->key_file, scratch, len, v->memory + key_at, &p->key_len,
                            &p->key_form);
    explicit_bzero(scratch, len);
    if (rc < 0)
        drop_pair(p);
    return rc;
}

/* Reads the password of encrypted keys, the first line of a file. Returns as load_pair(). */
static int load_password(struct vault *v, const char *file, uint8_t *scratch)
{
    size_t len = 0;
    int rc = files_read(file, true, scratch, FILES_SIZE_MAX, &len);

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
        rc = load_pair(v, &v->pairs[i], &o->pairs[i], i * FILES_KEY_MAX, scratch);
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

static int load_once(struct vault *v, const struct options *o, bool thorough)
{
    int rc;

    (void)thorough; /* nothing is decoded here */
    *v = (struct vault){.memory = map_secret(MEMORY_SIZE),
                        .cert_dir = o->cert_dir,
                        .strict_names = o->sni == SNI_STRICT,
                        .signatures = 1,
                        .old_versions = o->tls_min < 0x0303};
    uint8_t *scratch = map_secret(FILES_SIZE_MAX);
    if (v->memory == NULL || scratch == NULL) {
        rc = -ENOMEM;
        log_error("no memory for private keys");
    } else {
        rc = load_all(v, o, scratch);
    }
    if (scratch != NULL)
        (void)munmap(scratch, FILES_SIZE_MAX);
    if (rc < 0)
        vault_wipe(v);
    return rc;
}

/* A step of loading. It may meet files that are just being replaced. */
typedef int loader(struct vault *v, const struct options *o, bool thorough);

/* Calls `first`, without logging. If that fails, waits a moment and calls `second`, which logs. A renewal
 * replaces certificate and key one after the other, which takes some milliseconds. */
static int try_twice(struct vault *v, const struct options *o, bool thorough, loader *first,
                     loader *second)
{
    log_suspend(true);
    int rc = first(v, o, thorough);
    log_suspend(false);
    if (rc == 0)
        return 0;
    if (rc == -EINVAL)
        (void)poll(NULL, 0, REREAD_MS);
    return second(v, o, thorough);
}

int vault_load(struct vault *v, const struct options *o)
{
    return try_twice(v, o, false, load_once, load_once);
}

/* Decrypts the key of a pair if needed, and proves that it belongs to the certificate. */
static int unlock_pair(struct vault *v, struct vault_pair *p, bool thorough)
{
    const char *password = (const char *)v->memory + PASSWORD_AT;

    if (p->key_form != KEY_FORM_PLAIN && *password == '\0') {
        log_error("%s: the private key is encrypted: give its password with --key-pass-file=FILE, "
                  "or write the key plain with `openssl pkey -in %s'",
                  p->key_file, p->key_file);
        return -EACCES;
    }
    if (p->key_form != KEY_FORM_PLAIN &&
        !keys_decrypt(v->memory + p->key_at, &p->key_len, &p->key_form, password)) {
        log_error("%s: the private key can't be decrypted: wrong password in --key-pass-file, or a "
                  "kind of encryption that the TLS library lacks (PKCS#8 with AES, as openssl "
                  "writes it, is fine)",
                  p->key_file);
        return -EINVAL;
    }
    enum key_match match =
        keys_match((struct bytes){v->memory + p->key_at, p->key_len}, &p->chain, thorough);
    if (match == KEY_OF_ANOTHER)
        log_error("%s: key does not match the first certificate of %s; try --check", p->key_file,
                  p->cert_file);
    else if (match == KEY_UNUSABLE)
        log_error("%s: not a private key of the kind that %s needs (%s): key does not match",
                  p->key_file, p->cert_file, chain_kind_name(p->chain.kind));
    return match == KEY_MATCHES ? 0 : -EINVAL;
}

static int unlock_all(struct vault *v, const struct options *o, bool thorough)
{
    int rc = 0;

    (void)o;
    for (size_t i = 0; rc == 0 && i < v->count; i++)
        rc = unlock_pair(v, &v->pairs[i], thorough);
    return rc;
}

/* Reads the keys again and unlocks them. Ticket keys stay as they are. */
static int load_and_unlock(struct vault *v, const struct options *o, bool thorough)
{
    struct tickets *tickets = v->tickets;

    v->tickets = NULL;
    vault_wipe(v);
    int rc = load_once(v, o, thorough);
    v->tickets = tickets;
    v->seals = TICKET_SEALS;
    v->opens = TICKET_OPENS;
    if (rc < 0)
        vault_wipe(v);
    return rc == 0 ? unlock_all(v, o, thorough) : rc;
}

int vault_unlock(struct vault *v, const struct options *o, bool thorough)
{
    /* The listener has had these keys proved. */
    if (v->holder == VAULT_BORROWED && !vault_has_encrypted_keys(v))
        return 0;
    return try_twice(v, o, thorough, unlock_all, load_and_unlock) < 0 ? -EINVAL : 0;
}

/* Loads the pair whose paths are in v->files into v->named, and proves it. */
static int load_name(struct vault *v, const struct options *o, bool thorough)
{
    const struct pair from = {.cert = v->files->cert, .key = v->files->key};
    uint8_t *scratch = map_secret(FILES_SIZE_MAX);

    (void)o;
    if (scratch == NULL) {
        log_error("no memory for private keys");
        return -ENOMEM;
    }
    drop_pair(&v->named);
    int rc = load_pair(v, &v->named, &from, NAMED_AT, scratch);
    (void)munmap(scratch, FILES_SIZE_MAX);
    return rc == 0 ? unlock_pair(v, &v->named, thorough) : rc;
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
    v->seals = TICKET_SEALS;
    v->opens = TICKET_OPENS;
    return 0;
}

/* Allocates v->files. */
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
    if (files_find_folder(v->cert_dir, folder, v->files))
        return try_twice(v, NULL, thorough, load_name, load_name);
    log_error("%s: no such file", v->files->cert);
    return -ENOENT;
}

enum chain_verdict vault_load_name(struct vault *v, const char *name)
{
    if (make_files(v) < 0)
        return CHAIN_BROKEN;
    if (!files_find_name(v->cert_dir, name, v->files))
        return CHAIN_NO_SUCH_NAME;
    return try_twice(v, NULL, false, load_name, load_name) == 0 ? CHAIN_GIVEN : CHAIN_BROKEN;
}

/* Gives madvise(2) this advice on all secrets. Returns 0 or a negative errno. */
static int advise_on_fork(const struct vault *v, int advice)
{
    if (madvise(v->memory, MEMORY_SIZE, advice) != 0 ||
        (v->tickets != NULL && madvise(v->tickets, sizeof *v->tickets, advice) != 0))
        return -errno;
    return 0;
}

bool vault_has_encrypted_keys(const struct vault *v)
{
    bool locked = false;

    for (size_t i = 0; i < v->count; i++)
        locked = locked || v->pairs[i].key_form != KEY_FORM_PLAIN;
    return locked;
}

int vault_lend(struct vault *v)
{
    int rc = advise_on_fork(v, MADV_DOFORK);

    if (rc < 0) {
        log_error("cannot share the keys' memory: %s", strerror(-rc));
        return rc;
    }
    for (size_t i = 0; i < v->count; i++)
        if (v->pairs[i].chain.kind == KEY_ECDSA)
            keys_make_tables(v->pairs[i].chain.bits);
    v->holder = VAULT_LENT;
    return 0;
}

int vault_borrow(struct vault *v, const struct vault *lent)
{
    *v = *lent;
    v->holder = VAULT_BORROWED;
    int rc = advise_on_fork(v, MADV_DONTFORK);
    if (rc < 0)
        log_error("cannot keep the keys from the gate: %s", strerror(-rc));
    return rc;
}

static void unmap(void *memory, size_t size, bool wipe)
{
    if (memory == NULL)
        return;
    if (wipe)
        explicit_bzero(memory, size);
    (void)munmap(memory, size);
}

void vault_wipe(struct vault *v)
{
    bool borrowed = v->holder == VAULT_BORROWED;
    /* To overwrite borrowed memory would only make a copy of it. But this process has its own copy if it has
     * loaded the key of a name, or decrypted keys. */
    bool copied = v->memory != NULL && (v->named.key_len > 0 || v->memory[PASSWORD_AT] != '\0');

    for (size_t i = 0; i < OPTIONS_PAIRS_MAX && !borrowed; i++)
        drop_pair(&v->pairs[i]);
    drop_pair(&v->named);
    free(v->files);
    unmap(v->memory, MEMORY_SIZE, !borrowed || copied);
    unmap(v->tickets, sizeof *v->tickets, !borrowed);
    v->files = NULL;
    v->chosen = NULL;
    v->memory = NULL;
    v->tickets = NULL;
    v->count = 0;
    if (v->holder != VAULT_OWN)
        return; /* other monitors use the tables, too */
    keys_free_tables();
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
