/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/delivery.h"

#include "common/io.h"
#include "common/outlet.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define LAST_MS 1000             /* time for kept lines at the end of a process */
#define RELIEF_SIZE (256 * 1024) /* bytes of the pipe to the listener: 64 messages */

static struct {
    struct outlet outlets[DELIVERY_WAYS];
    bool shared;   /* there is a listener, and `relief` is open */
    bool child;    /* this process is a child of the listener */
    int relief[2]; /* a pipe to the listener: lines that its children could not send */
} the_delivery;

void delivery_open(enum delivery_way way)
{
    struct outlet *o = &the_delivery.outlets[way];

    if (o->send != NULL)
        return;
    if (way == DELIVERY_STDERR)
        outlet_open_stderr(o);
    else
        outlet_open_syslog(o);
}

void delivery_put(enum delivery_way way, const char *line, size_t len)
{
    outlet_put(&the_delivery.outlets[way], line, len);
}

unsigned long delivery_take_lost(enum delivery_way way)
{
    struct outlet *o = &the_delivery.outlets[way];

    return o->send != NULL ? outlet_take_lost(o) : 0;
}

void delivery_descriptors(int fds[DELIVERY_DESCRIPTORS])
{
    for (int i = 0; i < DELIVERY_WAYS; i++, fds += 3) {
        const struct outlet *o = &the_delivery.outlets[i];
        bool open = o->send != NULL;
        bool piped = open && i == DELIVERY_STDERR;
        fds[0] = open ? o->fd : -1;
        fds[1] = piped ? o->way[0] : -1;
        fds[2] = piped ? o->way[1] : -1;
    }
}

/* A message in the pipe to the listener: a line, or the number of lost lines. */
struct relief {
    uint8_t way;
    bool is_number;
    char bytes[OUTLET_LINE_MAX];
};

#define RELIEF_HEAD offsetof(struct relief, bytes)

void delivery_share(void)
{
    the_delivery.shared = pipe2(the_delivery.relief, O_CLOEXEC | O_NONBLOCK | O_DIRECT) == 0;
    if (the_delivery.shared)
        (void)fcntl(the_delivery.relief[1], F_SETPIPE_SZ, RELIEF_SIZE);
}

void delivery_child(void)
{
    for (int i = 0; i < DELIVERY_WAYS; i++)
        outlet_forget(&the_delivery.outlets[i]);
    the_delivery.child = the_delivery.shared;
    if (the_delivery.child)
        io_close(&the_delivery.relief[0]);
}

/* Reads the pipe in the listener and sends the lines of its children. A hostile child can only add lines. */
static void relieve(void)
{
    struct relief r;
    ssize_t n;

    while ((n = io_read(the_delivery.relief[0], &r, sizeof r)) > (ssize_t)RELIEF_HEAD) {
        size_t len = (size_t)n - RELIEF_HEAD;
        if (r.way >= DELIVERY_WAYS || the_delivery.outlets[r.way].send == NULL)
            continue;
        struct outlet *o = &the_delivery.outlets[r.way];
        unsigned long lost = 0;
        if (!r.is_number) {
            outlet_put(o, r.bytes, len);
        } else if (len == sizeof lost) {
            memcpy(&lost, r.bytes, sizeof lost);
            o->lost += lost;
        }
    }
}

/* Passes to the listener the lines that this child can't send, and the number of lost ones. */
static void hand_over(enum delivery_way way)
{
    struct outlet *o = &the_delivery.outlets[way];
    struct relief r = {.way = (uint8_t)way};
    size_t len;

    if (o->send == NULL)
        return;
    (void)outlet_flush(o);
    while ((len = outlet_take(o, r.bytes)) > 0)
        o->lost += io_write(the_delivery.relief[1], &r, RELIEF_HEAD + len) < 0;
    if (o->lost == 0)
        return;
    r.is_number = true;
    memcpy(r.bytes, &o->lost, sizeof o->lost);
    /* Failure is ignored: no other process could report the loss. */
    (void)io_write(the_delivery.relief[1], &r, RELIEF_HEAD + sizeof o->lost);
}

void delivery_poll(struct pollfd p[DELIVERY_POLLS])
{
    bool reads = the_delivery.shared && !the_delivery.child;

    for (int i = 0; i < DELIVERY_WAYS; i++) {
        const struct outlet *o = &the_delivery.outlets[i];
        p[i] = (struct pollfd){.fd = o->len > 0 ? o->fd : -1, .events = POLLOUT};
    }
    p[DELIVERY_WAYS] = (struct pollfd){.fd = reads ? the_delivery.relief[0] : -1, .events = POLLIN};
}

bool delivery_polled(const struct pollfd p[DELIVERY_POLLS])
{
    bool any = false;

    for (int i = 0; i < DELIVERY_POLLS; i++) {
        if (p[i].fd < 0 || p[i].revents == 0)
            continue;
        any = true;
        if (i < DELIVERY_WAYS)
            (void)outlet_flush(&the_delivery.outlets[i]);
        else
            relieve();
    }
    return any;
}

/* True if one of the outlets keeps a line and is open. */
static bool waits(const struct pollfd p[DELIVERY_POLLS])
{
    for (int i = 0; i < DELIVERY_WAYS; i++)
        if (p[i].fd >= 0)
            return true;
    return false;
}

bool delivery_finish(void)
{
    io_time deadline = io_now() + LAST_MS;
    struct pollfd p[DELIVERY_POLLS];

    if (the_delivery.child) {
        for (int i = 0; i < DELIVERY_WAYS; i++)
            hand_over((enum delivery_way)i);
        return false;
    }
    if (the_delivery.shared)
        relieve();
    for (;;) {
        delivery_poll(p);
        if (!waits(p) || poll(p, DELIVERY_POLLS, io_remaining(deadline)) <= 0)
            return true;
        (void)delivery_polled(p);
    }
}
