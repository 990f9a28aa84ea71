/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions, cipher suites and groups: what is offered, and what the library knows. */
#ifndef POSTERN_SUITES_H
#define POSTERN_SUITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Room for a reason in words, wherever one is asked for. */
#define TLS_WHY_SIZE 280

struct WOLFSSL_CTX;

/* Sets the lowest version (0x0303: TLS 1.2) and the lists (NULL: the defaults), and switches off
 * what is not wanted: session cache, client certificates. Returns 0, or -EINVAL and the
 * reason in `why`. */
int suites_set(struct WOLFSSL_CTX *context, unsigned version, const char *ciphers,
               const char *groups, char *why);

/* Proves the same without a connection. */
int suites_check(unsigned version, const char *ciphers, const char *groups, char *why);

/* The lists in force, those asked for (NULL: none was) or the defaults. They live as long as what was
 * given, or for ever. */
const char *suites_ciphers(unsigned version, const char *ciphers);
const char *suites_groups(const char *groups);

/* True if the library has the post-quantum group X25519MLKEM768. */
bool suites_have_hybrid(void);

/* True if the list (NULL: the default) has that group, by whatever case it is written in. */
bool suites_use_hybrid(const char *groups);

/* Why the list of suites is in its order, in words. */
const char *suites_order(unsigned version, const char *ciphers);

/* After suites_set(): if the post-quantum group is first in the list (NULL: the default) and among those
 * that a client offers, TLS 1.3 uses no other. A client that has sent no key share for it is asked for one
 * (HelloRetryRequest): what is recorded today must not be readable later, which is worth a round trip. */
void suites_insist(struct WOLFSSL_CTX *context, const char *list, const uint16_t *offered,
                   size_t count);

/* True if one of the groups that a client offers is in the list (NULL: the default). */
bool suites_share_group(const char *list, const uint16_t *offered, size_t count);

/* True if the group that was used, by the library's name for it, is in the list. */
bool suites_allow_group(const char *list, const char *name);

/* What the library takes of a ClientHello, if it is built with limits of its own; more of it is legal. */
struct suites_limits {
    size_t sigalgs;  /* signature algorithms: it does not look at more */
    size_t suites;   /* cipher suites: it refuses more */
    size_t identity; /* bytes in an identity of a pre-shared key (TLS 1.3 tickets) */
    size_t message;  /* bytes in all */
};
const struct suites_limits *suites_limits(void);

/* Prints the library's version and what of it postern can use, for --version. */
void suites_print_version(FILE *out);

#endif
