/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Memory of a process: its stack, given back or wiped, and its heap, made ready. */
#ifndef POSTERN_MEMORY_H
#define POSTERN_MEMORY_H

#include <stddef.h>

/* Gives the unused part of the stack back to the system. A process calls it when its deepest calls are over and
 * it only waits. */
void memory_trim_stack(void);

/* Overwrites `depth` bytes of stack, which earlier calls have left there. Is called by the function that made
 * those calls, so that this frame covers theirs. */
void memory_wipe_stack(size_t depth);

/* Makes the heap `size` bytes larger at once, before many small calls of malloc(): that is much faster than one
 * page after the other. size: a few pages to a few MB. A failure is ignored: it only costs time. */
void memory_prepare_heap(size_t size);

#endif
