/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decides what to do with a client's line in the lobby. Pure, and the same for every dialect. */
#ifndef POSTERN_RULING_H
#define POSTERN_RULING_H

#include "dialect/dialect.h"

#include <stdbool.h>
#include <stddef.h>

enum ruling_kind {
    RULING_SAY,      /* answer with `say` */
    RULING_SAY_BYE,  /* answer with `say` and close: the client said goodbye */
    RULING_REFUSE,   /* answer with `say`, and log the verb if it is known */
    RULING_STARTTLS, /* begin TLS */
    RULING_PASS,     /* send the line to the handler, and its whole answer to the client */
    RULING_TRY,   /* the same; a yes leaves the lobby or, for COMMAND_MAIL, begins a transaction */
    RULING_LEAVE, /* leave the lobby and send the line to the handler */
    RULING_CLOSE  /* close: data follows that nobody asked for */
};

struct ruling {
    enum ruling_kind kind;
    enum occasion say;
};

/* True if this login may be tried in plaintext. */
bool ruling_allows_login(const struct setting *s, const struct command *c);

/* Decides about a line, without its line end, which the dialect has parsed into command c. Under policy
 * `auth` the handler gets only commands of the dialect's list, spelled plainly, and no reusable password. */
struct ruling ruling_of(const struct dialect *d, const struct setting *s, const struct command *c,
                        const char *line, size_t len);

#endif
