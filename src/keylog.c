/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The form is that of NSS (draft-ietf-tls-keylogfile): a label, the client's random, the secret.
 *
 * For TLS 1.2 the library has to have wolfSSL_get_keys(): it is built so with OPENSSL_EXTRA, as Debian's is. What
 * TLS 1.3 encrypts with, it tells of by wolfSSL_set_tls13_secret_cb() alone, which is there if it was built with
 * HAVE_SECRET_CALLBACK. Debian's 5.5.4 was not: nothing in it tells of what a line for TLS 1.3 is made of, so
 * there is none. */
#include "keylog.h"

#ifdef POSTERN_DEBUG

#include "io.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#define VARIABLE "SSLKEYLOGFILE"
#define SECRET_MAX 64

#if defined(OPENSSL_EXTRA) || defined(WOLFSSL_EXTRA)
#define HAS_TLS12 true
#else
#define HAS_TLS12 false
#endif

#if defined(HAVE_SECRET_CALLBACK) && defined(WOLFSSL_TLS13)
#define HAS_TLS13 true
#else
#define HAS_TLS13 false
#endif

/* The line's first word, by its number in a message. */
static const char *const labels[] = {
    "CLIENT_RANDOM",           "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0",         "EXPORTER_SECRET",
};

#define LABELS (sizeof labels / sizeof labels[0])

void keylog_warn(void)
{
    const char *file = getenv(VARIABLE);
    const char *which = HAS_TLS12 && HAS_TLS13 ? "of sessions"
                        : HAS_TLS12 ? "of sessions in TLS 1.2 (not of 1.3: see src/keylog.c)"
                        : HAS_TLS13 ? "of sessions in TLS 1.3 (not of 1.2: see src/keylog.c)"
                                    : "of no sessions (see src/keylog.c)";

    log_error("this build of postern is for debugging: it writes the secrets %s to the file "
              "that " VARIABLE " names: %s",
              which, file != NULL && *file != '\0' ? file : "none");
}

int keylog_open(void)
{
    const char *file = getenv(VARIABLE);

    if (file == NULL || *file == '\0')
        return -1;
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        log_error(VARIABLE "=%s: cannot be opened: %s", file, strerror(errno));
    return fd;
}

/* Room for hexadecimal digits and a NUL. */
static char *put_hex(char *text, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text += sprintf(text, "%02x", bytes[i]);
    return text;
}

bool keylog_write(int fd, struct message_reader *r)
{
    char line[64 + 2 * (KEYLOG_RANDOM_SIZE + SECRET_MAX)];
    size_t random_len, secret_len;
    size_t label = (size_t)message_get_number(r, LABELS - 1);
    const uint8_t *random = message_get_bytes(r, KEYLOG_RANDOM_SIZE, &random_len);
    const uint8_t *secret = message_get_bytes(r, SECRET_MAX, &secret_len);

    if (!message_complete(r) || random_len != KEYLOG_RANDOM_SIZE || secret_len == 0)
        return false;
    if (fd < 0)
        return true;
    char *end = line + sprintf(line, "%s ", labels[label]);
    end = put_hex(end, random, random_len);
    *end++ = ' ';
    end = put_hex(end, secret, secret_len);
    *end++ = '\n';
    /* All of a line at once: other processes append to the file, too. */
    ssize_t n = io_write(fd, line, (size_t)(end - line));
    if (n != end - line)
        log_error(VARIABLE ": a line is lost: %s", n < 0 ? strerror((int)-n) : "no room");
    explicit_bzero(line, sizeof line);
    return true;
}

static void send_secret(const struct keylog *k, size_t label, const uint8_t *secret, size_t len)
{
    uint8_t buf[128 + SECRET_MAX];
    struct message_writer w;

    message_begin(&w, buf, sizeof buf, MESSAGE_KEYLOG);
    message_put_number(&w, label);
    message_put_bytes(&w, k->random, sizeof k->random);
    message_put_bytes(&w, secret, len);
    /* Nothing depends on it. */
    (void)message_send(k->vault, &w, NULL, 0);
    explicit_bzero(buf, sizeof buf);
}

#if defined(HAVE_SECRET_CALLBACK) && defined(WOLFSSL_TLS13)
static int take_secret(WOLFSSL *ssl, int id, const unsigned char *secret, int len, void *keylog)
{
    static const size_t numbers[] = {
        [CLIENT_HANDSHAKE_TRAFFIC_SECRET] = 1,
        [SERVER_HANDSHAKE_TRAFFIC_SECRET] = 2,
        [CLIENT_TRAFFIC_SECRET] = 3,
        [SERVER_TRAFFIC_SECRET] = 4,
        [EXPORTER_SECRET] = 5,
    };
    size_t label = id >= 0 && (size_t)id < sizeof numbers / sizeof numbers[0] ? numbers[id] : 0;

    (void)ssl;
    if (label != 0 && len > 0)
        send_secret(keylog, label, secret, (size_t)len);
    return 0;
}
#endif

/* RFC 8446 section 4.1.2: record header, message header and version stand before it. */
#define RANDOM_AT ((size_t)5 + 4 + 2)

void keylog_watch(struct keylog *k, struct WOLFSSL *ssl, int vault, const uint8_t *hello,
                  size_t len)
{
    k->vault = vault;
    if (len < RANDOM_AT + KEYLOG_RANDOM_SIZE)
        return;
    memcpy(k->random, hello + RANDOM_AT, KEYLOG_RANDOM_SIZE);
#if defined(HAVE_SECRET_CALLBACK) && defined(WOLFSSL_TLS13)
    (void)wolfSSL_set_tls13_secret_cb(ssl, take_secret, k);
#else
    (void)ssl;
#endif
}

void keylog_finish(const struct keylog *k, struct WOLFSSL *ssl)
{
#if defined(OPENSSL_EXTRA) || defined(WOLFSSL_EXTRA)
    unsigned char *master, *server, *client;
    unsigned master_len, server_len, client_len;

    if (wolfSSL_GetVersion(ssl) != WOLFSSL_TLSV1_3 &&
        wolfSSL_get_keys(ssl, &master, &master_len, &server, &server_len, &client, &client_len) ==
            WOLFSSL_SUCCESS)
        send_secret(k, 0, master, master_len);
#else
    (void)k;
    (void)ssl;
#endif
}

#endif
