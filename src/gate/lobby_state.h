/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds the lobby's limits and its state, which its files share. */
#ifndef POSTERN_LOBBY_STATE_H
#define POSTERN_LOBBY_STATE_H

#include "gate/ask.h"
#include "dialect/dialect.h"
#include "common/facts.h"
#include "common/io.h"
#include "start/policy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOBBY_LINE_MAX 1000  /* bytes, line end included */
#define LOBBY_SASL_MAX 12288 /* bytes of a response in a SASL exchange (RFC 4954 section 4.4) */
#define LOBBY_COMMANDS_MAX 20
#define LOBBY_REPLY_MAX 13000   /* bytes of a handler's answer to one command, or challenge */
#define LOBBY_REFUSALS_LOGGED 6 /* refusals of one client that get a line each in the log */

/* The gate's functions that the lobby calls, with `gate` as first argument. */
struct lobby_gate {
    void *gate;
    /* Starts the handler and returns ASK_OK and its descriptors. Has logged the reason of ASK_FAILED, as
     * `stop` and `leave` have. */
    enum asked (*start)(void *gate, int *to_handler, int *from_handler);
    /* Stops the handler, whose descriptors must be closed already. */
    enum asked (*stop)(void *gate);
    /* Tells the monitor that the client goes on in plaintext for good. */
    enum asked (*leave)(void *gate);
    /* Receives an order; called when `watch` is readable. */
    enum order (*order)(void *gate);
    /* Writes a line to the log. */
    void (*note)(void *gate, enum gravity gravity, const char *text);
};

struct lobby {
    /* Set by the caller. */
    const struct dialect *dialect;
    struct setting setting;
    enum policy policy;
    const struct lobby_gate *host;
    int in, out; /* the client's descriptors, non-blocking */
    int watch;   /* readable when there is an order; -1: none */
    io_time deadline;
    unsigned timeout_idle; /* seconds for each command of a mail transaction; 0: no limit */
    /* The outcome. */
    enum ending ending;
    int to_handler, from_handler; /* for LOBBY_RELAY the caller must close them; else -1 */
    uint64_t sent, received;      /* bytes to and from the client */
    /* Private. */
    int error;       /* of the last system call that failed, a negative errno */
    bool no_peek;    /* `in` is no socket, so it is read byte by byte */
    size_t line_len; /* of `line`, line end included */
    unsigned commands;
    const char *refused[LOBBY_REFUSALS_LOGGED]; /* verbs whose refusal was logged */
    size_t refused_count;
    unsigned refused_more; /* refusals that were not logged */
    size_t reply_len;
    /* lobby_new() does not zero these, so that memory never used is never touched. */
    char line[LOBBY_SASL_MAX + LOBBY_LINE_MAX];
    char reply[LOBBY_REPLY_MAX]; /* bytes of the handler that were not yet handled */
};

#endif
