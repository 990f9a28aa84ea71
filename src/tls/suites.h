/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions, cipher suites and groups: what postern offers, and what the library can do. */
#ifndef POSTERN_SUITES_H
#define POSTERN_SUITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Bytes of every buffer `why`, which gets a reason in words. */
#define TLS_WHY_SIZE 280

struct WOLFSSL_CTX;

/* Sets the lowest version (0x0303: TLS 1.2) and the lists (NULL: the defaults) of a context. Switches off
 * session cache and client certificates. Returns 0, or -EINVAL with the reason in `why`. */
int suites_set(struct WOLFSSL_CTX *context, unsigned version, const char *ciphers,
               const char *groups, char *why);

/* Tries suites_set() with a context of its own. Returns 0, or a negative errno with the reason in `why`. */
int suites_check(unsigned version, const char *ciphers, const char *groups, char *why);

/* Return the list in use: the one given, or the default if that is NULL. The result lives as long as
 * the argument, or for ever. */
const char *suites_ciphers(unsigned version, const char *ciphers);
const char *suites_groups(const char *groups);

/* True if the library has the post-quantum group X25519MLKEM768. */
bool suites_have_hybrid(void);

/* True if the list (NULL: the default) has that group; case does not matter. */
bool suites_use_hybrid(const char *groups);

/* Returns in words why the list of suites has its order. */
const char *suites_order(unsigned version, const char *ciphers);

/* Makes TLS 1.3 use the post-quantum group only, if that comes first in the list (NULL: the default) and
 * the client offers it. A client that sent no key share for it gets a HelloRetryRequest. The extra round
 * trip is worth it: a recorded session must not be readable later. Call it after suites_set(). */
void suites_insist(struct WOLFSSL_CTX *context, const char *list, const uint16_t *offered,
                   size_t count);

/* True if the list (NULL: the default) has one of the groups that a client offers. */
bool suites_share_group(const char *list, const uint16_t *offered, size_t count);

/* True if the list (NULL: the default) has the group of this name, which is the library's. */
bool suites_allow_group(const char *list, const char *name);

/* The library's limits for a ClientHello, where the protocol allows more. */
struct suites_limits {
    size_t sigalgs;  /* signature algorithms: more are ignored */
    size_t suites;   /* cipher suites: more are refused */
    size_t identity; /* bytes in an identity of a pre-shared key (TLS 1.3 tickets) */
    size_t message;  /* bytes in all */
};
const struct suites_limits *suites_limits(void);

/* Prints the library's version and its features that postern uses, for --version. */
void suites_print_version(FILE *out);

#endif
