/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libseccomp gets instead of malloc(): one piece of memory, given back when nothing in it is used any more.
 * It uses memory that it has freed when there is no more in the middle of a filter (2.5), and asks for hundreds
 * of small pieces, which would stay for as long as the gate lives. */
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#define SIZE ((size_t)256 * 1024) /* bytes; only what is touched is taken, a quarter of it */
#define HEAD 16

void *seccomp_malloc(size_t len);
void *seccomp_realloc(void *old, size_t len);
void seccomp_free(void *piece);

static struct {
    char *start;
    size_t used;
    unsigned pieces;
} memory;

/* A piece has its length before it. New pages are 0, and nothing is used twice. */
void *seccomp_malloc(size_t len)
{
    size_t need = HEAD + (len + HEAD - 1) / HEAD * HEAD;

    if (len > SIZE)
        return NULL;
    if (memory.pieces == 0) {
        void *start = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (start == MAP_FAILED)
            return NULL;
        memory.start = start;
        memory.used = 0;
    }
    if (need > SIZE - memory.used)
        return NULL;
    char *piece = memory.start + memory.used;
    memcpy(piece, &len, sizeof len);
    memory.used += need;
    memory.pieces++;
    return piece + HEAD;
}

void *seccomp_realloc(void *old, size_t len)
{
    void *piece = seccomp_malloc(len);
    size_t old_len = 0;

    if (piece == NULL || old == NULL)
        return piece;
    memcpy(&old_len, (char *)old - HEAD, sizeof old_len);
    memcpy(piece, old, old_len < len ? old_len : len);
    seccomp_free(old);
    return piece;
}

void seccomp_free(void *piece)
{
    if (piece == NULL || --memory.pieces > 0)
        return;
    (void)munmap(memory.start, SIZE);
}
