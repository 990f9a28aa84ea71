/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds what the caller gives to relay_run(), and its results. */
#ifndef POSTERN_RELAY_STATE_H
#define POSTERN_RELAY_STATE_H

#include "gate/ask.h"
#include "dialect/dialect.h"
#include "common/facts.h"
#include "common/io.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Functions to read and write the client, with TLS or without. */
struct relay_client {
    /* Returns how many bytes it read; 0: orderly end; -EAGAIN; -EPIPE: end without close_notify;
     * -ECONNRESET; -ENOMEM; any other negative errno: a broken record. */
    ssize_t (*read)(void *client, void *buf, size_t len);
    /* Returns how many of len bytes it took, at least 1; -EAGAIN; or another negative errno. */
    ssize_t (*write)(void *client, const void *buf, size_t len);
    /* Returns 0 when all bytes taken are sent, -EAGAIN, or another negative errno. */
    int (*flush)(void *client);
    bool (*may_read)(void *client); /* true if reading can't fill memory */
    void (*close)(void *client);    /* queues close_notify */
};

struct relay {
    /* Set by the caller. */
    const struct relay_client *ops;
    void *client;
    int client_in, client_out;
    int to_handler, from_handler; /* relay_run() closes these */
    int control;                  /* readable when there is an order; -1: none */
    enum order (*order)(void *arg);
    void *order_arg;
    void (*heard)(void *arg);      /* called at the handler's first bytes; NULL: not called */
    unsigned idle, session, grace; /* seconds, 0: none */
    /* Judges the handler's greeting, which the client does not get before. NULL: the client gets all
     * that the handler says. */
    enum greeting_verdict (*greeting)(const char *bytes, size_t len, size_t *used);
    unsigned greeting_seconds; /* time-out for a whole greeting; 0: none */
    /* The outcome. */
    uint64_t in;  /* bytes from the client to the handler */
    uint64_t out; /* bytes from the handler to the client */
    enum ending ending;
    bool refused;                  /* the handler's greeting can't be used */
    bool overstayed;               /* the handler has had its whole grace already */
    const char *refused_by_system; /* for ENDING_SYSTEM: what failed; completes "cannot" */
};

#endif
