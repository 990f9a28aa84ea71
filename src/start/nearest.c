/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/nearest.h"

#include <string.h>

#define LENGTH_MAX 32

static char fold(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return (char)(letter - 'A' + 'a');
    if (letter == '_')
        return '-';
    return letter;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned least_of_two = a < b ? a : b;

    return least_of_two < c ? least_of_two : c;
}

/* Computes the optimal string alignment distance, a row of the table for each letter of `one`. */
unsigned nearest_distance(const char *one, const char *other)
{
    unsigned table[LENGTH_MAX + 1][LENGTH_MAX + 1];
    size_t rows = strnlen(one, LENGTH_MAX + 1), columns = strnlen(other, LENGTH_MAX + 1);

    if (rows > LENGTH_MAX || columns > LENGTH_MAX)
        return LENGTH_MAX;
    for (size_t j = 0; j <= columns; j++)
        table[0][j] = (unsigned)j;
    for (size_t i = 1; i <= rows; i++) {
        table[i][0] = (unsigned)i;
        for (size_t j = 1; j <= columns; j++) {
            char a = fold(one[i - 1]), b = fold(other[j - 1]);
            table[i][j] = least(table[i - 1][j] + 1, table[i][j - 1] + 1,
                                table[i - 1][j - 1] + (a == b ? 0 : 1));
            if (i > 1 && j > 1 && a == fold(other[j - 2]) && b == fold(one[i - 2]) &&
                table[i - 2][j - 2] + 1 < table[i][j])
                table[i][j] = table[i - 2][j - 2] + 1;
        }
    }
    return table[rows][columns];
}

const char *nearest_word(const char *word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    unsigned shortest = (unsigned)(strnlen(word, LENGTH_MAX) / 3) + 1;

    for (size_t i = 0; i < count; i++) {
        unsigned distance = nearest_distance(word, words[i]);
        if (distance < shortest) {
            shortest = distance;
            nearest = words[i];
        }
    }
    return nearest;
}
