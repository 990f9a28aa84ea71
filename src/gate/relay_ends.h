/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and writes the two ends of the relay, client and handler, and keeps its state. */
#ifndef POSTERN_RELAY_ENDS_H
#define POSTERN_RELAY_ENDS_H

#include "gate/relay_state.h"

/* Bytes of each direction's buffer: those of one TLS record, a quarter of a pipe. */
#define RELAY_BUFFER_SIZE 16384

/* The bytes of one direction that were read and not yet written. */
struct flow {
    uint8_t *bytes;
    size_t at;
    size_t len;
};

struct relay_state {
    struct relay *r;
    struct flow up;         /* client to handler */
    struct flow down;       /* handler to client */
    bool client_ended;      /* the client will not be read again */
    bool hung_up;           /* poll() reports POLLHUP; bytes may still be unread */
    bool client_gone;       /* the client can neither be read nor written */
    bool handler_ended;     /* the handler will not be read again */
    bool handler_exited;    /* the monitor said so: EAGAIN now means the end */
    bool draining;          /* ORDER_DRAIN came: the client is not read any more */
    unsigned client_quiet;  /* rounds in which the client is not read, after EAGAIN */
    unsigned handler_quiet; /* the same for the handler */
    bool heard;             /* the handler's first bytes came */
    bool greeting;          /* the handler's greeting is not whole yet */
    bool held;              /* a refusing greeting is kept until the client's first command */
    bool ended;             /* r->ending is set */
    int error;              /* of ENDING_SYSTEM, a negative errno; else 0 */
    io_time session_end;
    io_time greeting_end;
    io_time idle_since;   /* when bytes last moved */
    io_time left_at;      /* when the client ended or draining began; 0: not yet */
    io_time delivered_at; /* when the client last took bytes */
};

/* Set the ending, unless one is set already. relay_end_system() sets ENDING_SYSTEM: `what` completes "cannot",
 * `error` is a negative errno. */
void relay_end(struct relay_state *s, enum ending ending);
void relay_end_system(struct relay_state *s, const char *what, int error);

/* Notes that the client can neither be read nor written any more. */
void relay_lose_client(struct relay_state *s);

/* Closes the handler's input, and drops the bytes that it did not read. */
void relay_close_to_handler(struct relay_state *s);

/* Drops the handler's greeting, which can't be used, and stops reading the handler. */
void relay_refuse_greeting(struct relay_state *s);

/* True if the client, or the handler, should be read: its buffer is free and it has not ended. */
bool relay_wants_client(const struct relay_state *s);
bool relay_wants_handler(const struct relay_state *s);

/* Read or write what is possible now. Return true if anything changed. */
bool relay_read_client(struct relay_state *s);
bool relay_write_handler(struct relay_state *s);
bool relay_read_handler(struct relay_state *s);
bool relay_write_client(struct relay_state *s);

/* Sends what an earlier write to the client left over. True if some of it still can't be sent. */
bool relay_flush_client(struct relay_state *s);

#endif
