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

#define DEPTH ((uintptr_t)256 * 1024) /* bytes; more than any call needs */
#define MARGIN ((uintptr_t)2048)      /* bytes for this frame and that of madvise() */

static uintptr_t page_size(void)
{
    return (uintptr_t)sysconf(_SC_PAGESIZE);
}

void memory_trim_stack(void)
{
    const uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - MARGIN) & ~(page_size() - 1);

    /* madvise() skips pages that are not mapped. */
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
    /* Keeps the piece in the heap when it is freed below. */
    if (mallopt(M_MMAP_THRESHOLD, 2 * (int)size) == 0 ||
        mallopt(M_TRIM_THRESHOLD, 2 * (int)size) == 0)
        return;
    void *piece = malloc(size);
    if (piece == NULL)
        return;
    const uintptr_t start = ((uintptr_t)piece + page_size() - 1) & ~(page_size() - 1);
    /* An older kernel refuses; then each page is mapped when it is first used. */
    (void)madvise((void *)start, size - page_size(), MADV_POPULATE_WRITE);
    free(piece);
#else
    (void)size;
#endif
}
