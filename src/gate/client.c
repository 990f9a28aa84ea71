/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/client.h"

#include "start/activation.h"
#include "common/io.h"
#include "tls/tls.h"

#include <errno.h>

static ssize_t tls_client_read(void *client, void *buf, size_t len)
{
    return tls_read(client, buf, len);
}

static ssize_t tls_client_write(void *client, const void *buf, size_t len)
{
    int rc = tls_write(client, buf, len);

    return rc < 0 ? rc : (ssize_t)len;
}

static int tls_client_flush(void *client)
{
    return tls_flush(client);
}

static bool tls_client_may_read(void *client)
{
    return tls_may_read(client);
}

static void tls_client_close(void *client)
{
    tls_close(client);
}

const struct relay_client client_tls = {tls_client_read, tls_client_write, tls_client_flush,
                                        tls_client_may_read, tls_client_close};

static ssize_t plain_client_read(void *client, void *buf, size_t len)
{
    const struct connection *c = client;
    ssize_t n = io_read(c->in, buf, len);

    return n < 0 && n != -EAGAIN ? -ECONNRESET : n;
}

static ssize_t plain_client_write(void *client, const void *buf, size_t len)
{
    const struct connection *c = client;

    return io_write(c->out, buf, len);
}

static int plain_client_flush(void *client)
{
    (void)client;
    return 0;
}

static bool plain_client_may_read(void *client)
{
    (void)client;
    return true;
}

static void plain_client_close(void *client)
{
    (void)client;
}

const struct relay_client client_plain = {plain_client_read, plain_client_write, plain_client_flush,
                                          plain_client_may_read, plain_client_close};
