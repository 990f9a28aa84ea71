/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the word that was meant by one that is misspelt. Pure. */
#ifndef POSTERN_NEAREST_H
#define POSTERN_NEAREST_H

#include <stddef.h>

/* Counts how many letters must be put in, left out, changed or swapped with their neighbour to make one
 * word of the other. Capitals count as small letters and _ as -. Words of over 32 bytes are at least 32
 * apart. */
unsigned nearest_distance(const char *one, const char *other);

/* Returns the one of `count` words that is nearest to `word`, or NULL if none is near: of three letters
 * one may be wrong. */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
