/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What -v says of a connection: a line for each step, with the time that it took. Without -v no clock is
 * asked and nothing is sent. Layer 2. */
#ifndef POSTERN_STEPS_H
#define POSTERN_STEPS_H

#include "activation.h"
#include "chain.h"
#include "facts.h"
#include "hello.h"
#include "jail.h"
#include "options.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The longest time that a message tells, in microseconds: ten years. */
#define STEPS_TIME_MAX 315360000000000

/* The time now in microseconds of CLOCK_MONOTONIC; without -v 0. */
int64_t steps_now(void);

/* The gate's steps, one after the other: each line is sent to the monitor, which writes it. */
struct steps {
    int vault;
    int64_t since; /* when the one began that is not over yet */
};

/* A step begins; nothing is said of what was before it. */
void steps_begin(struct steps *s);

/* A step is over, and the next one begins. A line is cut at 500 bytes. */
void steps_end(struct steps *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same: the jail has been closed, a ClientHello has come, the handshake is done. */
void steps_jailed(struct steps *s, const struct jail *j, const struct jail_report *report);
void steps_greeted(struct steps *s, const struct hello *h);
void steps_shook_hands(struct steps *s, const struct facts *f, const struct options *o);

/* A ticket that the client came with has not even been shown to the vault. */
void steps_kept_ticket(const struct steps *s, bool has_keys);

/* The monitor: writes a line of the gate's, which has been made printable. `us` is what stands before it
 * in the message: 0, or the time that it took and 1. */
void steps_write(int64_t us, const char *line);

/* The monitor's own steps; `since` is what steps_now() said when they began. */
void steps_connected(const struct connection *c);
void steps_ready(int64_t since, bool have_tls, pid_t gate);
void steps_signed(int64_t since, enum key_kind kind, const char *key_file);
void steps_opened_ticket(int64_t since);
void steps_sealed_ticket(int64_t since);
void steps_started_handler(int64_t since, pid_t pid, const char *program,
                           const struct account *account);
void steps_ended_handler(int64_t since, int status);

/* Why it was not the other --cert. */
enum steps_other { OTHER_NONE, OTHER_UNFIT, OTHER_OUTWORN, OTHER_FITS, OTHER_SLOWER, OTHER_NAMES };

/* The certificate that a client gets. */
struct steps_choice {
    const char *cert_file;
    enum key_kind kind;
    const char *name; /* the server name that it asked for; "": none */
    bool named;       /* it was found in --cert-dir by that */
    bool has_folders; /* there is a --cert-dir */
    enum steps_other other;
};

void steps_chose(int64_t since, const struct steps_choice *c);

#endif
