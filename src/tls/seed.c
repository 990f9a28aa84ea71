/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/random.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>

/* Replaces the library's function of this name, which opens /dev/urandom: the dynamic linker finds the
 * program's function first. Registering a device is not enough, since the library also makes generators
 * that belong to no context or device. 5.7.2 makes one for each certificate in a client's chain, and refuses
 * the client if that fails. Debian's builds before 5.9 have no call that changes where seeds come from. The
 * function is weak, so that a static library's own is used; that of `make static` calls getrandom. */
__attribute__((weak)) int wc_GenerateSeed(OS_Seed *os, byte *seed, word32 sz)
{
    (void)os;
    return random_fill(seed, sz) == 0 ? 0 : RNG_FAILURE_E;
}
