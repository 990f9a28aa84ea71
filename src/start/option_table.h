/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of all options: names, values, what --help says of each, and how each is set. */
#ifndef POSTERN_OPTION_TABLE_H
#define POSTERN_OPTION_TABLE_H

#include "start/options.h"

#include <stdbool.h>
#include <stddef.h>

/* The kind of an option's value, and so the type of its member in struct options. */
enum option_kind {
    OPTION_TEXT,    /* const char *, not empty */
    OPTION_SECONDS, /* unsigned */
    OPTION_NUMBER,  /* unsigned */
    OPTION_WORD,    /* an enum whose values are the numbers of the words, from 0 */
    OPTION_FLAG,    /* bool; takes no value */
    OPTION_SPECIAL  /* set by the function `set` */
};

/* One option. */
struct option_row {
    const char *name;
    char letter; /* 0: none */
    enum option_kind kind;
    const char *argument; /* its name in --help; in brackets: may be left out; NULL: takes none */
    const char *help;
    size_t place;      /* offset of its member in struct options; unused for OPTION_SPECIAL */
    const char *wants; /* how a right value looks, for the log */
    const char *const *words; /* for OPTION_WORD; ended by NULL */
    int (*set)(struct options *o, const char *value, const char **wants);
};

#define OPTION_COUNT 45

extern const struct option_row option_rows[];

/* Returns the option of this long name; NULL if there is none. */
const struct option_row *option_find(const char *name);

/* Sets one option; o keeps the pointer `value`. Returns 0, or -EINVAL and in *wants how a right value looks.
 * Logs nothing. */
int option_set(struct options *o, const struct option_row *row, const char *value,
               const char **wants);

/* True if the option can be given without a value. */
bool option_may_lack_value(const struct option_row *row);

/* True if the option may stand in a configuration file, too. */
bool option_is_for_file(const struct option_row *row);

/* True for --cert, --key and --ocsp, which belong to one another by their order. */
bool option_is_of_pair(const struct option_row *row);

#endif
