/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where lines of the log leave the process: standard error, or the syslog daemon at /dev/log. Nobody ever
 * waits for a reader: what one does not take at once is kept, and what is too much is counted. Below the
 * log, and silent. */
#ifndef POSTERN_OUTLET_H
#define POSTERN_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTLET_KEPT 32768    /* bytes of lines that wait for their reader */
#define OUTLET_LINE_MAX 2700 /* bytes of one */

/* All zero before it is opened. */
struct outlet {
    /* Hands bytes over: returns how many, or a negative errno; -EAGAIN if there is no room now. */
    int (*send)(struct outlet *o, const char *line, size_t len);
    int fd;      /* -1: no daemon */
    bool stream; /* the daemon listens on a stream socket */
    int way[2];  /* a pipe of our own on the way to standard error, if that is one; else -1 */
    unsigned long lost; /* lines, since outlet_take_lost() was last asked */
    size_t sent;        /* bytes of the first kept line that have been taken already */
    size_t len;
    char kept[OUTLET_KEPT]; /* lines, their length in two bytes before each */
};

/* Prepares what sends to standard error, or to syslog's daemon. That one is connected to now if it is
 * there, and else with each line. */
void outlet_open_stderr(struct outlet *o);
void outlet_open_syslog(struct outlet *o);

/* Sends a line of at most OUTLET_LINE_MAX bytes, keeps it, or counts it as lost. */
void outlet_put(struct outlet *o, const char *line, size_t len);

/* Sends what is kept, as far as there is room. Returns true if nothing is kept any more. */
bool outlet_flush(struct outlet *o);

/* Returns how many lines have been lost, once, and if there is room for a line that says so; else 0. */
unsigned long outlet_take_lost(struct outlet *o);

/* Takes out what is left of the first kept line, into a buffer of OUTLET_LINE_MAX bytes. Returns its
 * length; 0: none is kept. */
size_t outlet_take(struct outlet *o, char *line);

/* Forgets what is kept and lost: after a fork, that is the parent's to send. */
void outlet_forget(struct outlet *o);

#endif
