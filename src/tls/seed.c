/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/random.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#include <wolfssl/wolfcrypt/random.h>

/* Takes the place of the library's own function of this name, which opens /dev/urandom: the dynamic
 * linker finds the program's first. The library makes generators in places where no context or device
 * is asked: 5.7.2 one for each certificate in a client's chain, and it refuses the client if that fails.
 * In Debian's builds before 5.9 no call changes where seeds come from. Weak, so that a static library's
 * own wins; `make static` builds one that calls getrandom by itself. */
__attribute__((weak)) int wc_GenerateSeed(OS_Seed *os, byte *seed, word32 sz)
{
    (void)os;
    return random_fill(seed, sz) == 0 ? 0 : RNG_FAILURE_E;
}
