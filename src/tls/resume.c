/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/resume.h"

#include <errno.h>
#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#ifdef HAVE_SESSION_TICKET
/* Returns the session's version as on the wire; 0: unknown. */
static unsigned version_of(const WOLFSSL *ssl)
{
    switch (wolfSSL_GetVersion(ssl)) {
    case WOLFSSL_TLSV1:
        return 0x0301;
    case WOLFSSL_TLSV1_1:
        return 0x0302;
    case WOLFSSL_TLSV1_2:
        return 0x0303;
    case WOLFSSL_TLSV1_3:
        return 0x0304;
    default:
        return 0;
    }
}

/* A sealed ticket in the library's four fields. `iv` and `mac` are larger than our nonce and tag, and end in
 * zeros. */
struct fields {
    uint8_t *name; /* WOLFSSL_TICKET_NAME_SZ bytes */
    uint8_t *iv;
    uint8_t *mac;
    uint8_t *bytes;
};

/* Seals the session's state in f->bytes and writes the ticket into the fields. */
static int seal_ticket(struct resumption *r, unsigned version, const struct fields *f, size_t len,
                       int *out_len)
{
    struct ticket_state state = {.len = len};
    struct ticket ticket;
    const uint8_t *p = ticket.bytes;

    if (len > sizeof state.bytes) {
        r->error = -EMSGSIZE;
        return WOLFSSL_TICKET_RET_FATAL;
    }
    memcpy(state.bytes, f->bytes, len);
    r->error = r->seal(r->who, version, &state, &ticket);
    explicit_bzero(&state, sizeof state);
    if (r->error < 0 || ticket.len < TICKET_HEAD_SIZE ||
        ticket.len - TICKET_HEAD_SIZE > (size_t)*out_len)
        return WOLFSSL_TICKET_RET_FATAL;
    memset(f->iv, 0, WOLFSSL_TICKET_IV_SZ);
    memset(f->mac, 0, WOLFSSL_TICKET_MAC_SZ);
    memcpy(f->name, p, TICKET_NAME_SIZE);
    memcpy(f->iv, p += TICKET_NAME_SIZE, TICKET_NONCE_SIZE);
    memcpy(f->mac, p += TICKET_NONCE_SIZE, TICKET_TAG_SIZE);
    memcpy(f->bytes, p + TICKET_TAG_SIZE, ticket.len - TICKET_HEAD_SIZE);
    *out_len = (int)(ticket.len - TICKET_HEAD_SIZE);
    return WOLFSSL_TICKET_RET_OK;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    while (len > 0 && bytes[len - 1] == 0)
        len--;
    return len == 0;
}

/* True if the ticket may be one of ours. In TLS 1.3 the library asks once for each shared cipher suite.
 * After a failure it has zeros in the ticket's place. */
static bool may_be_ours(const struct resumption *r, const struct fields *f, size_t len)
{
    return len >= TICKET_TAG_SIZE && len <= TICKET_MAX - TICKET_HEAD_SIZE &&
           !is_zero(f->bytes, TICKET_TAG_SIZE) && ticket_names_have(r->names, f->name) &&
           memcmp(f->mac, r->refused, sizeof r->refused) != 0 &&
           is_zero(f->iv + TICKET_NONCE_SIZE, WOLFSSL_TICKET_IV_SZ - TICKET_NONCE_SIZE) &&
           is_zero(f->mac + TICKET_TAG_SIZE, WOLFSSL_TICKET_MAC_SZ - TICKET_TAG_SIZE);
}

/* Opens a ticket. Whatever the reason for a failure, it leads to a full handshake. */
static int open_ticket(struct resumption *r, unsigned version, const struct fields *f, size_t len,
                       int *out_len)
{
    struct ticket ticket = {.len = TICKET_HEAD_SIZE + len};
    struct ticket_state state = {.len = 0};
    uint8_t *p = ticket.bytes;

    if (r->error < 0 || r->opens == 0 || !may_be_ours(r, f, len))
        return WOLFSSL_TICKET_RET_REJECT;
    r->opens--;
    memcpy(p, f->name, TICKET_NAME_SIZE);
    memcpy(p += TICKET_NAME_SIZE, f->iv, TICKET_NONCE_SIZE);
    memcpy(p += TICKET_NONCE_SIZE, f->mac, TICKET_TAG_SIZE);
    memcpy(p + TICKET_TAG_SIZE, f->bytes, len);
    r->error = r->open(r->who, version, &ticket, &state);
    if (r->error < 0 || state.len == 0 || state.len > len) {
        memcpy(r->refused, f->mac, sizeof r->refused);
        explicit_bzero(&state, sizeof state);
        return WOLFSSL_TICKET_RET_REJECT;
    }
    memcpy(f->bytes, state.bytes, state.len);
    *out_len = (int)state.len;
    bool old = state.old;
    explicit_bzero(&state, sizeof state);
    /* RET_CREATE asks for a new ticket, in TLS 1.2 only. TLS 1.3 always gives a new one. */
    return old && version < 0x0304 ? WOLFSSL_TICKET_RET_CREATE : WOLFSSL_TICKET_RET_OK;
}

static int handle_ticket(WOLFSSL *ssl, unsigned char name[WOLFSSL_TICKET_NAME_SZ],
                         unsigned char iv[WOLFSSL_TICKET_IV_SZ],
                         unsigned char mac[WOLFSSL_TICKET_MAC_SZ], int seal, unsigned char *bytes,
                         int len, int *out_len, void *context)
{
    const struct fields f = {name, iv, mac, bytes};
    unsigned version = version_of(ssl);

    return seal ? seal_ticket(context, version, &f, (size_t)len, out_len)
                : open_ticket(context, version, &f, (size_t)len, out_len);
}

void resumption_allow(struct WOLFSSL_CTX *context, struct resumption *r)
{
    r->opens = TICKET_OPENS;
    (void)wolfSSL_CTX_set_TicketEncCb(context, handle_ticket);
    (void)wolfSSL_CTX_set_TicketEncCtx(context, r);
    (void)wolfSSL_CTX_set_TicketHint(context, (int)r->lifetime);
#ifndef NO_SESSION_CACHE
    /* The library has a limit of its own, 500 seconds by default. */
    (void)wolfSSL_CTX_set_timeout(context, r->lifetime);
#endif
#ifdef WOLFSSL_EARLY_DATA
    /* Early data can be replayed (RFC 8446 section 8). */
    (void)wolfSSL_CTX_set_max_early_data(context, 0);
#endif
}

void resumption_forbid(struct WOLFSSL_CTX *context)
{
    /* The library's own callback would seal with keys that no other process has. With any callback the
     * library ends the handshake over a long ticket of another server's. */
    (void)wolfSSL_CTX_set_TicketEncCb(context, NULL);
    (void)wolfSSL_CTX_NoTicketTLSv12(context);
#ifdef WOLFSSL_TLS13
    (void)wolfSSL_CTX_no_ticket_TLSv13(context);
#endif
}
#else
void resumption_allow(struct WOLFSSL_CTX *context, struct resumption *r)
{
    (void)context;
    (void)r;
}

void resumption_forbid(struct WOLFSSL_CTX *context)
{
    (void)context;
}
#endif
