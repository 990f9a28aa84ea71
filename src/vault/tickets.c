/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault/tickets.h"

#include "common/memory.h"
#include "common/random.h"

#include <errno.h>
#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/sha256.h>

#define FUTURE_SECONDS 60 /* that the clock of another machine may be ahead */

/* The most bytes of stack that the library's functions use, measured, with a margin. A function that uses a key
 * leaves parts of it there. So each of them is noinline, and its caller wipes the stack next. */
#define STACK_SIZE ((size_t)16 * 1024)

bool tickets_available(void)
{
#ifdef HAVE_SESSION_TICKET
    return true;
#else
    return false;
#endif
}

bool tickets_wanted(const struct options *o)
{
    /* A ticket does not tell which client certificate the session began with. */
    return o->tickets != NULL && o->client_cert == CLIENT_CERT_OFF;
}

/* Sets a key's name to a digest of the key, so that the file needs no names. */
static __attribute__((noinline)) int digest_key(struct ticket_key *k)
{
    static const char label[] = "postern ticket key";
    uint8_t digest[WC_SHA256_DIGEST_SIZE];
    wc_Sha256 sha;
    int error = wc_InitSha256(&sha);

    if (error == 0)
        error = wc_Sha256Update(&sha, (const byte *)label, sizeof label);
    if (error == 0)
        error = wc_Sha256Update(&sha, k->key, TICKETS_KEY_SIZE);
    if (error == 0)
        error = wc_Sha256Final(&sha, digest);
    wc_Sha256Free(&sha);
    if (error != 0)
        return -EIO;
    memcpy(k->name, digest, sizeof k->name);
    return 0;
}

int tickets_name_key(struct ticket_key *k)
{
    int rc = digest_key(k);

    memory_wipe_stack(STACK_SIZE);
    return rc;
}

static int add_text(wc_Sha256 *sha, const char *text)
{
    /* The NUL is added, too. So two different lists of texts never give the same bytes. */
    return wc_Sha256Update(sha, (const byte *)text, (word32)strlen(text) + 1);
}

int tickets_context(uint8_t context[TICKETS_CONTEXT_SIZE], const struct options *o,
                    unsigned version, const char *name)
{
    /* The first byte is the version of this format. The last byte stands for the setting for client
     * certificates: 0, since tickets are made only where none is asked for. */
    const byte numbers[] = {1, (byte)(version >> 8), (byte)version, 0};
    wc_Sha256 sha;
    const char *start = o->starttls != NULL ? o->starttls : "immediate";

    if (o->ucspi_tls)
        start = "ucspi-tls";
    int error = wc_InitSha256(&sha);
    if (error == 0)
        error = wc_Sha256Update(&sha, numbers, sizeof numbers);
    if (error == 0)
        error = add_text(&sha, start);
    if (error == 0)
        error = add_text(&sha, name);
    if (error == 0)
        error = add_text(&sha, o->ciphers != NULL ? o->ciphers : "");
    if (error == 0)
        error = wc_Sha256Final(&sha, context);
    wc_Sha256Free(&sha);
    return error == 0 ? 0 : -EIO;
}

/* Encrypts `plain` into the ticket. Its length and its nonce are set already. Returns 0 or -EIO. */
static __attribute__((noinline)) int gcm_seal(const uint8_t *key, const uint8_t *context,
                                              const uint8_t *plain, struct ticket *ticket)
{
    const uint8_t *nonce = ticket->bytes + TICKET_NAME_SIZE;
    uint8_t *tag = ticket->bytes + TICKET_NAME_SIZE + TICKET_NONCE_SIZE;
    size_t len = ticket->len - TICKET_HEAD_SIZE;
    Aes aes;
    int error = wc_AesInit(&aes, NULL, INVALID_DEVID);

    if (error != 0)
        return -EIO;
    error = wc_AesGcmSetKey(&aes, key, TICKETS_KEY_SIZE);
    if (error == 0)
        error = wc_AesGcmEncrypt(&aes, ticket->bytes + TICKET_HEAD_SIZE, plain, (word32)len, nonce,
                                 TICKET_NONCE_SIZE, tag, TICKET_TAG_SIZE, context,
                                 TICKETS_CONTEXT_SIZE);
    wc_AesFree(&aes);
    explicit_bzero(&aes, sizeof aes);
    return error == 0 ? 0 : -EIO;
}

/* Decrypts the ticket into `plain`. */
static __attribute__((noinline)) enum ticket_verdict
gcm_open(const uint8_t *key, const uint8_t *context, const struct ticket *ticket, uint8_t *plain)
{
    const uint8_t *nonce = ticket->bytes + TICKET_NAME_SIZE;
    const uint8_t *tag = nonce + TICKET_NONCE_SIZE;
    size_t len = ticket->len - TICKET_HEAD_SIZE;
    Aes aes;
    int error = wc_AesInit(&aes, NULL, INVALID_DEVID);

    if (error != 0)
        return TICKET_FAILED;
    error = wc_AesGcmSetKey(&aes, key, TICKETS_KEY_SIZE);
    if (error == 0)
        error = wc_AesGcmDecrypt(&aes, plain, ticket->bytes + TICKET_HEAD_SIZE, (word32)len, nonce,
                                 TICKET_NONCE_SIZE, tag, TICKET_TAG_SIZE, context,
                                 TICKETS_CONTEXT_SIZE);
    wc_AesFree(&aes);
    explicit_bzero(&aes, sizeof aes);
    return error == 0 ? TICKET_GOOD : TICKET_DAMAGED;
}

int tickets_seal(const struct tickets *t, const uint8_t context[TICKETS_CONTEXT_SIZE], time_t now,
                 const struct ticket_state *state, struct ticket *ticket)
{
    uint8_t inner[TICKET_TIME_SIZE + TICKET_STATE_MAX];

    if (t->count == 0 || state->len > TICKET_STATE_MAX)
        return -EINVAL;
    for (int i = 0; i < TICKET_TIME_SIZE; i++)
        inner[i] = (uint8_t)((uint64_t)now >> (56 - 8 * i));
    memcpy(inner + TICKET_TIME_SIZE, state->bytes, state->len);
    ticket->len = TICKET_HEAD_SIZE + TICKET_TIME_SIZE + state->len;
    memcpy(ticket->bytes, t->keys[0].name, TICKET_NAME_SIZE);
    int rc = random_fill(ticket->bytes + TICKET_NAME_SIZE, TICKET_NONCE_SIZE);
    if (rc == 0)
        rc = gcm_seal(t->keys[0].key, context, inner, ticket);
    memory_wipe_stack(STACK_SIZE);
    explicit_bzero(inner, sizeof inner);
    return rc;
}

static const struct ticket_key *find_key(const struct tickets *t, const uint8_t *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (memcmp(t->keys[i].name, name, TICKET_NAME_SIZE) == 0)
            return &t->keys[i];
    return NULL;
}

/* Judges the time at which a ticket was sealed, the first bytes of its plaintext. */
static enum ticket_verdict check_age(const uint8_t *inner, time_t now, unsigned lifetime)
{
    uint64_t then = 0;

    for (int i = 0; i < TICKET_TIME_SIZE; i++)
        then = then << 8 | inner[i];
    if (then > (uint64_t)now + FUTURE_SECONDS)
        return TICKET_EXPIRED;
    return then + lifetime < (uint64_t)now ? TICKET_EXPIRED : TICKET_GOOD;
}

enum ticket_verdict tickets_open(const struct tickets *t,
                                 const uint8_t context[TICKETS_CONTEXT_SIZE], time_t now,
                                 unsigned lifetime, const struct ticket *ticket,
                                 struct ticket_state *state)
{
    uint8_t inner[TICKET_TIME_SIZE + TICKET_STATE_MAX];

    if (ticket->len < TICKET_HEAD_SIZE + TICKET_TIME_SIZE || ticket->len > TICKET_MAX)
        return TICKET_DAMAGED;
    const struct ticket_key *k = find_key(t, ticket->bytes);
    if (k == NULL)
        return TICKET_UNKNOWN_KEY;
    enum ticket_verdict verdict = gcm_open(k->key, context, ticket, inner);
    memory_wipe_stack(STACK_SIZE);
    if (verdict == TICKET_GOOD)
        verdict = check_age(inner, now, lifetime);
    if (verdict == TICKET_GOOD) {
        state->len = ticket->len - TICKET_HEAD_SIZE - TICKET_TIME_SIZE;
        memcpy(state->bytes, inner + TICKET_TIME_SIZE, state->len);
        state->old = k != &t->keys[0];
    }
    explicit_bzero(inner, sizeof inner);
    return verdict;
}
