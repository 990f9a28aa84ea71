/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a ClientHello says, before the TLS library sees it: a pure parser of the message (RFC 8446
 * section 4.1.2, RFC 5246 section 7.4.1.2); or which plaintext protocol a client speaks instead.
 */
#ifndef POSTERN_HELLO_H
#define POSTERN_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HELLO_NAME_MAX 255

/* More groups than these are not looked at. */
#define HELLO_GROUPS_MAX 512

/* How much of a session ticket is kept: what RFC 5077 calls its key's name. */
#define HELLO_TICKET_MAX 16

/* The kinds of certificate that a list of signature algorithms allows. */
struct hello_kinds {
    bool rsa, ecdsa, ed25519;
};

struct hello {
    char name[HELLO_NAME_MAX + 1]; /* server name (SNI), lower case, [a-z0-9._-] only; else "" */
    uint16_t version_min;          /* of the versions offered, as on the wire: 0x0303 = TLS 1.2 */
    uint16_t version_max;
    bool has_sigalgs; /* the signature_algorithms extension was there */
    bool rsa;         /* the client can use an RSA certificate: signatures and suites fit */
    bool ecdsa;       /* ... an ECDSA certificate */
    bool ed25519;     /* ... an Ed25519 certificate */
    /* Kinds that only signature algorithms further down the list allow than the TLS library looks. */
    struct hello_kinds late;
    size_t sigalg_count;
    size_t suite_count; /* of the cipher suites offered */
    size_t suites_sent; /* the same with the values that are signals, or mean nothing */
    size_t size;        /* of the whole message in bytes */
    size_t session_id_len;
    size_t identity_max; /* the longest identity of a pre-shared key or ticket, TLS 1.3; 0: none */
    uint16_t groups[HELLO_GROUPS_MAX]; /* key exchange groups offered, RFC 8422, 8446 */
    size_t group_count;                /* 0: none named */
    char alpn[64];   /* the protocols that it offers, with commas between; cut if there are many */
    bool has_ticket; /* it wants to resume a session, in whatever version */
    size_t ticket_len;                /* of a session ticket for TLS 1.2; 0: none */
    uint8_t ticket[HELLO_TICKET_MAX]; /* its first bytes */
    bool wants_staple;                /* it asks for an OCSP response (RFC 6066 section 8) */
    bool tls13_suites;                /* at least one TLS 1.3 cipher suite */
    bool aead_suites;                 /* at least one TLS 1.2 suite with ECDHE and an AEAD cipher */
    bool ecdsa_suites; /* at least one TLS 1.2 suite for an ECDSA or Ed25519 certificate */
    bool rsa_suites;   /* at least one TLS 1.2 suite for another certificate */
    bool ecdsa_aead;   /* ... with ECDHE and an AEAD cipher */
    bool rsa_aead;
};

/* Reads a whole ClientHello, the header of the message included, for a library that looks at the first
 * `sigalgs` signature algorithms only. Keeps nothing of it. False if it is malformed; *h is filled in
 * only if it is not. */
bool hello_parse(struct hello *h, const uint8_t *message, size_t len, size_t sigalgs);

/* The plaintext protocol that the bytes look like: "IMAP", "POP3", "SMTP", "LMTP", "ManageSieve",
 * "NNTP", "HTTP", "SSH"; "a plaintext protocol" if none is known. */
const char *hello_plaintext(const uint8_t *bytes, size_t len);

/* "TLS 1.2" and so on for a version as on the wire. */
const char *hello_version_name(uint16_t version);

#endif
