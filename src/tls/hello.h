/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads a ClientHello before the TLS library sees it (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), and
 * recognises plaintext protocols. Pure. */
#ifndef POSTERN_HELLO_H
#define POSTERN_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HELLO_NAME_MAX 255

/* The most groups that are kept. */
#define HELLO_GROUPS_MAX 512

/* Bytes of a session ticket that are kept: the name of its key (RFC 5077 section 4). */
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
    bool ecdsa;       /* the same for an ECDSA certificate */
    bool ed25519;     /* the same for an Ed25519 certificate */
    /* Kinds allowed only by signature algorithms so late in the list that the TLS library ignores them. */
    struct hello_kinds late;
    size_t sigalg_count;
    size_t suite_count; /* of the cipher suites offered */
    size_t suites_sent; /* the same, signals and GREASE values included */
    size_t size;        /* of the whole message in bytes */
    size_t session_id_len;
    size_t identity_max; /* the longest identity of a pre-shared key or ticket, TLS 1.3; 0: none */
    uint16_t groups[HELLO_GROUPS_MAX]; /* key exchange groups offered, RFC 8422, 8446 */
    size_t group_count;                /* 0: none named */
    char alpn[64]; /* protocols offered, separated by commas; those that do not fit are left out */
    bool has_ticket;                  /* the client wants to resume a session, in any version */
    size_t ticket_len;                /* bytes of a session ticket for TLS 1.2; 0: none */
    uint8_t ticket[HELLO_TICKET_MAX]; /* its first bytes */
    bool wants_staple;    /* the client asks for an OCSP response (RFC 6066 section 8) */
    bool extended_master; /* the client offers the extended master secret (RFC 7627) */
    bool useless_share;   /* it has an X25519 key from which no secret can come */
    bool tls13_suites;    /* at least one TLS 1.3 cipher suite */
    bool aead_suites;     /* at least one TLS 1.2 suite with ECDHE and an AEAD cipher */
    bool ecdsa_suites;    /* at least one TLS 1.2 suite for an ECDSA or Ed25519 certificate */
    bool rsa_suites;      /* at least one TLS 1.2 suite for another certificate */
    bool ecdsa_aead;      /* ecdsa_suites has one with ECDHE and an AEAD cipher */
    bool rsa_aead;        /* the same for rsa_suites */
};

/* Reads a whole ClientHello, which begins with the header of the message. `sigalgs` is the number of
 * signature algorithms that the TLS library looks at. *h keeps no pointer into the message. Returns false if
 * the message is malformed; then *h has no meaning. */
bool hello_parse(struct hello *h, const uint8_t *message, size_t len, size_t sigalgs);

/* Returns the plaintext protocol that the bytes look like: "IMAP", "POP3", "SMTP", "LMTP", "ManageSieve",
 * "NNTP", "HTTP", "SSH", "PROXY"; "a plaintext protocol" for any other. */
const char *hello_plaintext(const uint8_t *bytes, size_t len);

/* Returns the name of a version as on the wire: "TLS 1.2" for 0x0303. */
const char *hello_version_name(uint16_t version);

#endif
