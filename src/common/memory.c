/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define DEPTH ((uintptr_t)256 * 1024) /* more than any call needs */
#define MARGIN ((uintptr_t)2048)      /* for this frame and what madvise() puts below it */

static uintptr_t page_size(void)
{
    return (uintptr_t)sysconf(_SC_PAGESIZE);
}

void memory_trim_stack(void)
{
    const uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - MARGIN) & ~(page_size() - 1);

    /* What is not there of it is passed over. */
    (void)madvise((void *)(end - DEPTH), DEPTH, MADV_DONTNEED);
}

__attribute__((noinline)) void memory_wipe_stack(size_t depth)
{
    uint8_t frame[depth];

    explicit_bzero(frame, depth);
}

void memory_prepare_heap(size_t size)
{
#ifdef __GLIBC__
    /* Freed again, the piece has to stay part of the heap. */
    if (mallopt(M_MMAP_THRESHOLD, 2 * (int)size) == 0 ||
        mallopt(M_TRIM_THRESHOLD, 2 * (int)size) == 0)
        return;
    void *piece = malloc(size);
    if (piece == NULL)
        return;
    const uintptr_t start = ((uintptr_t)piece + page_size() - 1) & ~(page_size() - 1);
    /* An older kernel refuses, and pages come one by one. */
    (void)madvise((void *)start, size - page_size(), MADV_POPULATE_WRITE);
    free(piece);
#else
    (void)size;
#endif
}
