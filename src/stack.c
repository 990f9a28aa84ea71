/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "stack.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEPTH ((uintptr_t)256 * 1024) /* more than any call needs */
#define MARGIN ((uintptr_t)2048)      /* for this frame and what madvise() puts below it */

void stack_trim(void)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - MARGIN) & ~(page - 1);

    /* What is not there of it is passed over. */
    (void)madvise((void *)(end - DEPTH), DEPTH, MADV_DONTNEED);
}
