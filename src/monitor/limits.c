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
    /* Behind a proxy all clients have the address of the proxy. */
    if (o->max_per_client > 0 && !o->proxy_protocol &&
        clients_count(clients, client) >= o->max_per_client)
        return "--max-per-client";
    return NULL;
}

/* Sends the refusal of the protocol, if it has one before TLS. Never waits. */
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
    /* A new connection has room for one line. */
    (void)io_send(c->out, line, text.len);
    (void)shutdown(c->out, SHUT_WR);
    /* If bytes are left unread at close, the kernel sends a reset. That may destroy our line. */
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
