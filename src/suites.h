/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Versions, cipher suites and groups: what is offered, and what the library knows. Layer 2. */
#ifndef POSTERN_SUITES_H
#define POSTERN_SUITES_H

#include <stdio.h>

/* Room for a reason in words, wherever one is asked for. */
#define TLS_WHY_SIZE 160

struct WOLFSSL_CTX;

/* Sets the lowest version (0x0303: TLS 1.2) and the lists (NULL: the defaults), and switches off
 * what is not wanted: session cache, client certificates, tickets. Returns 0, or -EINVAL and the
 * reason in `why`. */
int suites_set(struct WOLFSSL_CTX *context, unsigned version, const char *ciphers,
               const char *groups, char *why);

/* Proves the same without a connection. */
int suites_check(unsigned version, const char *ciphers, const char *groups, char *why);

/* Prints the library's version and what of it postern can use, for --version. */
void suites_print_version(FILE *out);

#endif
