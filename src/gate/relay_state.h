/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the relay is given, and what it gives back. */
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

/* How the relay reads and writes the client, which may be TLS or not. */
struct relay_client {
    /* More than 0 bytes; 0: the client's orderly end; -EAGAIN; -EPIPE: its end without
     * close_notify; -ECONNRESET; -ENOMEM; any other negative errno: a broken record. */
    ssize_t (*read)(void *client, void *buf, size_t len);
    /* How many of len bytes were taken (0 < n), -EAGAIN, or another negative errno. */
    ssize_t (*write)(void *client, const void *buf, size_t len);
    /* 0 when all that was taken has been sent, -EAGAIN, or another negative errno. */
    int (*flush)(void *client);
    bool (*may_read)(void *client); /* reading now is no danger to memory */
    void (*close)(void *client);    /* queue close_notify */
};

struct relay {
    /* Set by the caller. */
    const struct relay_client *ops;
    void *client;
    int client_in, client_out;
    int to_handler, from_handler; /* the relay owns and closes these */
    int control;                  /* readable when there is an order; -1: none */
    enum order (*order)(void *arg);
    void *order_arg;
    void (*heard)(void *arg);      /* the handler's first bytes have come; NULL: nobody asks */
    unsigned idle, session, grace; /* seconds, 0: none */
    /* Judges the handler's greeting, which is kept from the client until then; NULL: the client
     * gets all that the handler says. */
    enum greeting_verdict (*greeting)(const char *bytes, size_t len, size_t *used);
    unsigned greeting_seconds; /* how long it may take, 0: for ever */
    /* The outcome. */
    uint64_t in;  /* bytes from the client to the handler */
    uint64_t out; /* bytes from the handler to the client */
    enum ending ending;
    bool refused;                  /* the handler greeted with what can't be used */
    bool overstayed;               /* the handler has used up its grace already */
    const char *refused_by_system; /* for ENDING_SYSTEM: what; completes "cannot" */
};

#endif
