/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates and keys for fuzz targets: real ones, made by openssl(1) when they are first asked for. */
#ifndef FUZZ_PAIR_H
#define FUZZ_PAIR_H

#include "vault/chain.h"
#include "start/options.h"
#include "vault/vault.h"

/* A certificate and its key, in one file, which is in memory. */
struct pair pair_make(enum key_kind kind);

/* The host name that the certificate is for, each kind's another one. */
const char *pair_name(enum key_kind kind);

/* A copy of a vault, with memory of its own that vault_wipe() gives back: quicker than to load one. */
struct vault pair_copy(const struct vault *v);

#endif
