/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the word that the user meant by a misspelt one. Pure. */
#ifndef POSTERN_NEAREST_H
#define POSTERN_NEAREST_H

#include <stddef.h>

/* Counts the steps from one word to the other: a step adds, removes or changes a letter or swaps two neighbours.
 * Treats capitals as small letters and _ as -. Returns 32 if a word has more than 32 bytes. */
unsigned nearest_distance(const char *one, const char *other);

/* Returns the nearest of `count` words to `word`. Returns NULL if none is near: at most one letter in three may be
 * wrong. */
const char *nearest_word(const char *word, const char *const *words, size_t count);

#endif
