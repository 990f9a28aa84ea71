/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a client's line in the lobby: pure judgement, the same for every dialect. */
#ifndef POSTERN_RULING_H
#define POSTERN_RULING_H

#include "dialect/dialect.h"

#include <stdbool.h>
#include <stddef.h>

enum ruling_kind {
    RULING_SAY,      /* the lobby answers by itself with `say` */
    RULING_SAY_BYE,  /* ... and closes the connection: the client has said goodbye */
    RULING_REFUSE,   /* the lobby says `say`, and the log has a line if the verb is known */
    RULING_STARTTLS, /* TLS is asked for */
    RULING_PASS,     /* the handler gets the line; its whole answer is awaited */
    RULING_TRY,      /* ... and a yes leaves the lobby or, for COMMAND_MAIL, begins a transaction */
    RULING_LEAVE,    /* the handler gets the line, and from now on nothing is looked at */
    RULING_CLOSE     /* data that nobody asked for follows: the connection is closed */
};

struct ruling {
    enum ruling_kind kind;
    enum occasion say;
};

/* True if this login may be tried in plaintext. */
bool ruling_allows_login(const struct setting *s, const struct command *c);

/* Judges a line, which has no line end, and command c, as the dialect has parsed it. Under policy `auth`
 * the handler gets only commands of the dialect's list, spelled plainly, and no reusable password. */
struct ruling ruling_of(const struct dialect *d, const struct setting *s, const struct command *c,
                        const char *line, size_t len);

#endif
