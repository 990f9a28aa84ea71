/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process takes of the system's memory, and when. */
#ifndef POSTERN_MEMORY_H
#define POSTERN_MEMORY_H

#include <stddef.h>

/* Gives back to the system what deeper calls than this one have used of the stack: for a process that has
 * done its deepest work and now only waits. */
void memory_trim_stack(void);

/* Overwrites what functions that were called before this one have left on the stack, `depth` bytes deep. To
 * be called by who has called them, so that this frame lies over theirs. */
void memory_wipe_stack(size_t depth);

/* Has the heap grow by so many bytes at once, which takes a fraction of the time of as many pages that are
 * touched one after the other. size: a few pages to a few MB, which malloc() is about to be asked for in
 * small pieces. Nothing is said of a failure: things only take longer. */
void memory_prepare_heap(size_t size);

#endif
