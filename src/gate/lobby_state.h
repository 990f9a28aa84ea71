/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the lobby share: its limits and its state. */
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
#define LOBBY_REPLY_MAX 13000 /* a handler's answer to one command; a SASL challenge among them */
#define LOBBY_TOLD_MAX 6      /* refusals of one client that have a line each in the log */

/* What the lobby asks of the gate that it belongs to. */
struct lobby_gate {
    void *gate;
    /* Starts the handler of the plaintext phase: ASK_OK, and descriptors to and from it. The gate has told
     * the log why the system failed (ASK_FAILED). */
    enum asked (*start)(void *gate, int *to_handler, int *from_handler);
    /* Stops it; its descriptors have been closed. */
    enum asked (*stop)(void *gate);
    /* Tells the monitor that the client goes on in plaintext for good. */
    enum asked (*leave)(void *gate);
    /* Reads the order that `watch` announced. */
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
    int in, out; /* the client, non-blocking */
    int watch;   /* readable when there is an order */
    io_time deadline;
    unsigned timeout_idle; /* seconds for each command of a mail transaction; 0: no limit */
    /* The outcome. */
    enum ending ending;
    int to_handler, from_handler; /* for LOBBY_RELAY the caller's; else closed and -1 */
    uint64_t sent, received;      /* bytes to and from the client */
    /* Its own. */
    int error;       /* the last thing that the system has refused, a negative errno */
    bool no_peek;    /* the descriptor is no socket: it is read byte by byte */
    size_t line_len; /* with its line end */
    unsigned commands;
    const char *refused[LOBBY_TOLD_MAX]; /* verbs whose refusal has been told to the log */
    size_t refused_count;
    unsigned refused_more; /* refusals that have not */
    size_t reply_len;
    /* From here on nothing needs to be set: most of it is never touched. */
    char line[LOBBY_SASL_MAX + LOBBY_LINE_MAX];
    char reply[LOBBY_REPLY_MAX]; /* what the handler has sent and nobody has looked at */
};

#endif
