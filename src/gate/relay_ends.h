/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two ends of the relay: reads and writes the client and the handler, and keeps the relay's state. */
#ifndef POSTERN_RELAY_ENDS_H
#define POSTERN_RELAY_ENDS_H

#include "gate/relay_state.h"

/* What one TLS record carries, and a quarter of a pipe. */
#define RELAY_BUFFER_SIZE 16384

/* One direction. */
struct flow {
    uint8_t *bytes;
    size_t at;
    size_t len;
};

struct relay_state {
    struct relay *r;
    struct flow up;     /* client to handler */
    struct flow down;   /* handler to client */
    bool client_ended;  /* nothing more will be read from the client */
    bool hung_up;       /* poll says so, but bytes may still be there to be read */
    bool client_gone;   /* ... nor can anything be written to it */
    bool handler_ended; /* nothing more will be read from the handler */
    bool handler_exited;
    bool draining;
    unsigned client_quiet;  /* rounds for which the client is not read: it had nothing */
    unsigned handler_quiet; /* rounds for which the handler is not read */
    bool heard;             /* the handler has said something */
    bool greeting;          /* the handler's greeting is not whole yet */
    bool held;              /* a greeting that says no waits for the client's first command */
    bool ended;             /* r->ending is set */
    int error;              /* why, as a negative errno, if the system has refused something */
    io_time session_end;
    io_time greeting_end;
    io_time idle_since;
    io_time left_at;      /* when the client ended; 0: not yet */
    io_time delivered_at; /* when the client last took bytes */
};

/* Notes the ending; the second that the system refused something, by a negative errno: `what` completes
 * "cannot". The first ending noted stays. */
void relay_end(struct relay_state *s, enum ending ending);
void relay_end_system(struct relay_state *s, const char *what, int error);

/* Notes that nothing can be read from the client any more, nor written to it. */
void relay_lose_client(struct relay_state *s);

/* Closes the handler's standard input, and drops what it has not taken. */
void relay_close_to_handler(struct relay_state *s);

/* Notes that the handler's greeting can't be used, and drops it. */
void relay_refuse_greeting(struct relay_state *s);

/* True if there is room for what the client, or the handler, says, and it may say it. */
bool relay_wants_client(const struct relay_state *s);
bool relay_wants_handler(const struct relay_state *s);

/* Read or write once, if there is reason to. Return true if anything has changed. */
bool relay_read_client(struct relay_state *s);
bool relay_write_handler(struct relay_state *s);
bool relay_read_handler(struct relay_state *s);
bool relay_write_client(struct relay_state *s);

/* Sends what was written to the client before. True if some of it still waits for room. */
bool relay_flush_client(struct relay_state *s);

#endif
