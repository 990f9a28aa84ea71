/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: the environment that postern was started with, an entry a line. Nothing in the copy for
 * the handler may pass for what postern itself says of the connection. */
#include "common.h"

#include "start/environment.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX 200

/* True if an entry of `text` sets this very name, or with a star one that begins like it. */
static bool sets(const char *text, const char *name)
{
    size_t len = strcspn(name, "*");

    return strncmp(text, name, len) == 0 && (name[len] == '*' || text[len] == '=');
}

static bool is_forged(const char *text)
{
    static const char *const ours[] = {
        "SSL_*",         "SSLCTLFD",   "SSLREADFD",      "SSLWRITEFD",    "UCSPITLS",
        "TLS*",          "POSTERN_*",  "PROTO",          "TCPREMOTEIP",   "TCPREMOTEPORT",
        "TCPREMOTEINFO", "TCPLOCALIP", "TCPLOCALPORT",   "REMOTE_ADDR",   "REMOTE_PORT",
        "LISTEN_PID",    "LISTEN_FDS", "LISTEN_FDNAMES", "TCP_ANYTHING*",
    };

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (sets(text, ours[i]))
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *from[ENTRIES_MAX + 1];
    const char *text = (const char *)data, *line;
    size_t line_len, count = 0, at = 0;
    struct environment e;

    while (count < ENTRIES_MAX && fuzz_line(&text, &size, &line, &line_len))
        from[count++] = fuzz_text(line, line_len);
    from[count] = NULL;
    environment_copy(&e, from);
    CHECK(!e.failed && e.count <= count && (e.list == NULL || e.list[e.count] == NULL));
    for (size_t i = 0; i < e.count; i++) {
        CHECK(!is_forged(e.list[i]));
        /* The others are there, in their order. */
        while (at < count && strcmp(from[at], e.list[i]) != 0)
            at++;
        CHECK(at++ < count);
    }
    environment_free(&e);
    for (size_t i = 0; i < count; i++)
        free(from[i]);
    return 0;
}
