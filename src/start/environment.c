/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/environment.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names of variables about the connection. A star stands for any ending. */
static const char *const reserved[] = {
    "SSL_*",    "SSLCTLFD", "SSLREADFD", "SSLWRITEFD", "TLS*",       "TCP*",           "POSTERN_*",
    "REMOTE_*", "PROTO",    "UCSPITLS",  "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
};

static bool is_reserved(const char *entry)
{
    static const char remote[] = "TCPREMOTEHOST=", local[] = "TCPLOCALHOST=";

    /* Keeps the two that only the launcher knows: postern does no DNS. */
    if (strncmp(entry, remote, sizeof remote - 1) == 0 ||
        strncmp(entry, local, sizeof local - 1) == 0)
        return false;
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++) {
        size_t len = strlen(reserved[i]);
        if (reserved[i][len - 1] == '*') {
            if (strncmp(entry, reserved[i], len - 1) == 0)
                return true;
        } else if (strncmp(entry, reserved[i], len) == 0 && entry[len] == '=') {
            return true;
        }
    }
    return false;
}

static void add(struct environment *e, char *entry)
{
    char **list = entry == NULL ? NULL : realloc(e->list, (e->count + 2) * sizeof *list);

    if (list == NULL) {
        free(entry);
        e->failed = true;
        return;
    }
    e->list = list;
    e->list[e->count++] = entry;
    e->list[e->count] = NULL;
}

void environment_copy(struct environment *e, char *const *from)
{
    *e = (struct environment){0};
    for (; *from != NULL; from++)
        if (!is_reserved(*from))
            add(e, strdup(*from));
}

void environment_remove(struct environment *e, const char *name)
{
    size_t len = strlen(name), kept = 0;

    for (size_t i = 0; i < e->count; i++) {
        if (strncmp(e->list[i], name, len) == 0 && e->list[i][len] == '=')
            free(e->list[i]);
        else
            e->list[kept++] = e->list[i];
    }
    e->count = kept;
    if (e->list != NULL)
        e->list[kept] = NULL;
}

void environment_add(struct environment *e, const char *name, const char *value)
{
    size_t size = strlen(name) + strlen(value) + 2;
    char *entry = malloc(size);
    if (entry != NULL)
        (void)snprintf(entry, size, "%s=%s", name, value);
    add(e, entry);
}

void environment_set(struct environment *e, const char *name, const char *value)
{
    if (*value != '\0')
        environment_add(e, name, value);
}

/* Writes base64 (RFC 4648 section 4). `out` has room for 4 characters per 3 bytes and a NUL. */
static void base64(char *out, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (i + 1 < len)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (i + 2 < len)
            group |= bytes[i + 2];
        *out++ = digits[group >> 18];
        *out++ = digits[group >> 12 & 63];
        *out++ = (char)(i + 1 < len ? digits[group >> 6 & 63] : '=');
        *out++ = (char)(i + 2 < len ? digits[group & 63] : '=');
    }
    *out = '\0';
}

static void describe_ends(struct environment *e, const struct peer *client,
                          const struct peer *server)
{
    char port[8];

    if (client->family != AF_INET && client->family != AF_INET6) {
        if (client->family == AF_UNIX)
            environment_set(e, "PROTO", "UNIX");
        return;
    }
    environment_set(e, "PROTO", "TCP");
    environment_set(e, "TCPREMOTEIP", client->host);
    environment_set(e, "REMOTE_ADDR", client->host);
    (void)snprintf(port, sizeof port, "%u", (unsigned)client->port);
    environment_set(e, "TCPREMOTEPORT", port);
    environment_set(e, "REMOTE_PORT", port);
    environment_set(e, "TCPLOCALIP", server->host);
    (void)snprintf(port, sizeof port, "%u", (unsigned)server->port);
    environment_set(e, "TCPLOCALPORT", port);
}

/* Adds the client certificate by the names of Apache's mod_ssl and, for the last two, of s6-tlsd. */
static void describe_client(struct environment *e, const struct client_facts *c)
{
    char hash[sizeof c->fingerprint + 8] = "";

    environment_set(e, "SSL_CLIENT_VERIFY", c->verify == CLIENT_VERIFIED ? "SUCCESS" : "NONE");
    environment_set(e, "SSL_CLIENT_S_DN", c->subject);
    environment_set(e, "SSL_CLIENT_S_DN_CN", c->common_name);
    environment_set(e, "SSL_CLIENT_I_DN", c->issuer);
    environment_set(e, "SSL_CLIENT_M_SERIAL", c->serial);
    environment_set(e, "SSL_CLIENT_FINGERPRINT", c->fingerprint);
    environment_set(e, "SSL_CLIENT_USER", c->user);
    if (c->fingerprint[0] != '\0')
        (void)snprintf(hash, sizeof hash, "SHA256:%s", c->fingerprint);
    environment_set(e, "SSL_PEER_CERT_HASH", hash);
    environment_set(e, "SSL_PEER_CERT_SUBJECT", c->subject);
}

void environment_describe(struct environment *e, const struct peer *client,
                          const struct peer *server, const struct facts *facts)
{
    char exporter[4 * ((sizeof facts->exporter + 2) / 3) + 1];

    describe_ends(e, client, server);
    if (facts == NULL)
        return;
    environment_set(e, "SSL_PROTOCOL", facts->version);
    environment_set(e, "SSL_CIPHER", facts->cipher);
    environment_set(e, "SSL_TLS_SNI", facts->name);
    environment_set(e, "SSL_TLS_SNI_SERVERNAME", facts->name);
    environment_set(e, "POSTERN_TLS_ALPN", facts->alpn);
    environment_set(e, "SSL_SESSION_RESUMED", facts->resumed ? "Resumed" : "Initial");
    describe_client(e, &facts->client);
    if (facts->has_exporter) {
        base64(exporter, facts->exporter, sizeof facts->exporter);
        environment_set(e, "POSTERN_TLS_EXPORTER", exporter);
    }
}

void environment_free(struct environment *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->list[i]);
    free(e->list);
    *e = (struct environment){0};
}
