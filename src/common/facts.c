/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/facts.h"

#include "common/utf8.h"

#include <string.h>
#include <sysexits.h>

static void put_client(struct message_writer *w, const struct client_facts *c)
{
    message_put_number(w, c->verify);
    message_put_text(w, c->subject);
    message_put_text(w, c->common_name);
    message_put_text(w, c->issuer);
    message_put_text(w, c->serial);
    message_put_text(w, c->fingerprint);
    message_put_text(w, c->user);
}

void facts_put(struct message_writer *w, const struct facts *f)
{
    message_put_text(w, f->version);
    message_put_text(w, f->cipher);
    message_put_text(w, f->group);
    message_put_text(w, f->name);
    message_put_text(w, f->alpn);
    message_put_number(w, f->resumed);
    message_put_bytes(w, f->exporter, f->has_exporter ? sizeof f->exporter : 0);
    put_client(w, &f->client);
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

/* Reads a text of these letters only. Handlers get it in their environment, and shell scripts make paths of it. */
static void get_word(struct message_reader *r, char *text, size_t size, const char *letters)
{
    message_get_text(r, text, size);
    if (strspn(text, letters) != strlen(text))
        r->failed = true;
}

static void get_clean(struct message_reader *r, char *text, size_t size)
{
    message_get_text(r, text, size);
    if (!utf8_is_clean(text))
        r->failed = true;
}

static bool is_user_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(".-_@+", c) != NULL);
}

bool facts_is_user(const char *text)
{
    /* A name can't be an option, a hidden file or "..", so commands and paths may be built from it. */
    if (*text == '\0' || *text == '-' || *text == '.' || strlen(text) > FACTS_USER_MAX)
        return false;
    while (is_user_letter(*text))
        text++;
    return *text == '\0';
}

static void get_client(struct message_reader *r, struct client_facts *c)
{
    c->verify = (enum client_verify)message_get_number(r, CLIENT_VERIFIED);
    get_clean(r, c->subject, sizeof c->subject);
    get_clean(r, c->common_name, sizeof c->common_name);
    get_clean(r, c->issuer, sizeof c->issuer);
    get_word(r, c->serial, sizeof c->serial, LETTERS);
    get_word(r, c->fingerprint, sizeof c->fingerprint, LETTERS);
    message_get_text(r, c->user, sizeof c->user);
    if (c->user[0] != '\0' && !facts_is_user(c->user))
        r->failed = true;
    /* Without a verified certificate all names must be empty. */
    if (c->verify != CLIENT_VERIFIED &&
        (c->subject[0] != '\0' || c->common_name[0] != '\0' || c->issuer[0] != '\0' ||
         c->serial[0] != '\0' || c->fingerprint[0] != '\0' || c->user[0] != '\0'))
        r->failed = true;
}

void facts_get(struct message_reader *r, struct facts *f)
{
    size_t len;

    memset(f, 0, sizeof *f);
    get_word(r, f->version, sizeof f->version, LETTERS);
    get_word(r, f->cipher, sizeof f->cipher, LETTERS);
    get_word(r, f->group, sizeof f->group, LETTERS);
    get_word(r, f->name, sizeof f->name, LETTERS);
    get_word(r, f->alpn, sizeof f->alpn, LETTERS "/");
    f->resumed = message_get_number(r, 1) != 0;
    const uint8_t *exporter = message_get_bytes(r, sizeof f->exporter, &len);
    f->has_exporter = len == sizeof f->exporter;
    if (f->has_exporter)
        memcpy(f->exporter, exporter, len);
    else if (len != 0)
        r->failed = true;
    get_client(r, &f->client);
}

static const struct {
    const char *name;
    int status;
} endings[ENDING_COUNT] = {
    [ENDING_LEFT] = {"left", EX_OK},
    [ENDING_HANDSHAKE] = {"handshake-failed", EX_PROTOCOL},
    [ENDING_TIMEOUT_LOBBY] = {"timeout-lobby", EX_TEMPFAIL},
    [ENDING_TIMEOUT_HANDSHAKE] = {"timeout-handshake", EX_TEMPFAIL},
    [ENDING_PROTOCOL] = {"protocol-error", EX_DATAERR},
    [ENDING_CONFIGURATION] = {"configuration", EX_CONFIG},
    [ENDING_SYSTEM] = {"system-error", EX_OSERR},
    [ENDING_NO_HANDLER] = {"no-handler", EX_UNAVAILABLE},
    [ENDING_CLIENT_CLOSE] = {"client-close", EX_OK},
    [ENDING_HANDLER_CLOSE] = {"handler-close", EX_OK},
    [ENDING_TRUNCATED] = {"truncated", EX_OK},
    [ENDING_RESET] = {"reset", EX_OK},
    [ENDING_TLS_ERROR] = {"tls-error", EX_PROTOCOL},
    [ENDING_TIMEOUT_IDLE] = {"timeout-idle", EX_TEMPFAIL},
    [ENDING_TIMEOUT_SESSION] = {"timeout-session", EX_TEMPFAIL},
    [ENDING_SIGTERM] = {"sigterm", EX_TEMPFAIL},
    [ENDING_GATE_DIED] = {"gate-died", EX_SOFTWARE},
};

const char *ending_name(enum ending ending)
{
    return endings[ending].name;
}

int ending_status(enum ending ending)
{
    return endings[ending].status;
}
