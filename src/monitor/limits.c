/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/limits.h"

#include "common/log.h"
#include "dialect/dialect.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_SECONDS 1 /* between two lines about clients that were refused */

const char *limits_reached(const struct options *o, const struct clients *clients,
                           const struct peer *client)
{
    if (clients->count >= clients->room)
        return "--max-connections";
    /* Behind a proxy all clients have its address. */
    if (o->max_per_client > 0 && !o->proxy_protocol &&
        clients_count(clients, client) >= o->max_per_client)
        return "--max-per-client";
    return NULL;
}

/* Says no in the protocol's words, where there are any before TLS; never waits. */
static void send_refusal(const struct options *o, const struct connection *c)
{
    const struct dialect *d = o->starttls != NULL ? dialect_find(o->starttls) : NULL;
    char host[256] = "localhost", line[512];
    struct setting setting = {.host = host};
    struct text text = {.buf = line, .size = sizeof line};

    if (d == NULL)
        return;
    if (o->name != NULL)
        (void)snprintf(host, sizeof host, "%s", o->name);
    else
        (void)gethostname(host, sizeof host - 1);
    dialect_say(d, &text, SAY_FULL, NULL, &setting);
    /* A fresh connection has room for a line. */
    (void)io_send(c->out, line, text.len);
    (void)shutdown(c->out, SHUT_WR);
    /* Unread bytes would turn the end into a reset, which can destroy what was just said. */
    (void)io_receive(c->in, line, sizeof line);
}

static void log_refused(struct refusals *r, const char *client, const char *why, size_t connections)
{
    r->count++;
    if (r->line_at != 0 && io_remaining(r->line_at) > 0)
        return;
    r->line_at = io_deadline(LINE_SECONDS);
    if (r->count == 1)
        log_error("client=%s refused: %s (%zu connections)", client, why, connections);
    else
        log_error("client=%s refused: %s (%zu connections), and %u others before it", client, why,
                  connections, r->count - 1);
    r->count = 0;
}

void limits_refuse(struct refusals *r, const struct options *o, const struct connection *c,
                   const char *why, size_t connections)
{
    send_refusal(o, c);
    log_refused(r, c->client.text, why, connections);
}
