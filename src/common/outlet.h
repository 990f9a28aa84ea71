/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sends lines of the log to standard error, or to the syslog daemon at /dev/log. Never waits for a reader: keeps
 * lines that have no room now, and counts those that can't be kept. Logs nothing itself: the log is
 * built on it. */
#ifndef POSTERN_OUTLET_H
#define POSTERN_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTLET_KEPT 32768    /* bytes of lines that wait for their reader */
#define OUTLET_LINE_MAX 2700 /* bytes of one line */

/* One way out. All zero before it is opened. */
struct outlet {
    /* Sends bytes. Returns their number or a negative errno: -EAGAIN if there is no room now. */
    int (*send)(struct outlet *o, const char *line, size_t len);
    int fd;             /* -1: no daemon */
    bool stream;        /* the daemon listens on a stream socket */
    int way[2];         /* a pipe of our own for splice(2), if standard error is a pipe; else -1 */
    unsigned long lost; /* lines lost since the last outlet_take_lost() */
    size_t sent;        /* bytes of the first kept line that are sent already */
    size_t len;         /* bytes in `kept` */
    char kept[OUTLET_KEPT]; /* lines; two bytes before each hold its length */
};

/* Opens an outlet to standard error. */
void outlet_open_stderr(struct outlet *o);

/* Opens an outlet to the syslog daemon. If the daemon is not there, each line tries to connect again. */
void outlet_open_syslog(struct outlet *o);

/* Sends a line of at most OUTLET_LINE_MAX bytes, keeps it, or counts it as lost. */
void outlet_put(struct outlet *o, const char *line, size_t len);

/* Sends kept lines while there is room. Returns true if no line is kept any more. */
bool outlet_flush(struct outlet *o);

/* Returns the number of lost lines and sets it to 0, so that each is reported once. Returns 0 while there is
 * no room for a line that reports them. */
unsigned long outlet_take_lost(struct outlet *o);

/* Moves the unsent rest of the first kept line to `line`, a buffer of OUTLET_LINE_MAX bytes. Returns its length;
 * 0 if no line is kept. */
size_t outlet_take(struct outlet *o, char *line);

/* Forgets kept and lost lines: called in a child after fork(2), since the parent sends them. */
void outlet_forget(struct outlet *o);

#endif
