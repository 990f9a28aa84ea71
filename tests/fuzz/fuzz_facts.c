/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: the facts of a handshake as a gate reports them, on their way into the handler's
 * environment. */
#include "common.h"

#include "start/environment.h"
#include "common/facts.h"
#include "common/message.h"
#include "start/peer.h"
#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static void check_word(const char *text, size_t size, const char *letters)
{
    fuzz_check_text(text, size);
    fuzz_check_letters(text, letters);
}

/* What a handler's environment gets from them is safe for a shell script that forgot its quotes. */
static void check_environment(const struct facts *f)
{
    const struct peer peer = {.family = AF_INET, .host = "192.0.2.7", .port = 993};
    struct environment e = {0};

    environment_describe(&e, &peer, &peer, f);
    CHECK(!e.failed && e.count > 0 && e.list[e.count] == NULL);
    for (size_t i = 0; i < e.count; i++) {
        const char *equals = strchr(e.list[i], '=');
        CHECK(equals != NULL && equals > e.list[i] && equals[1] != '\0');
        CHECK(strspn(e.list[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == (size_t)(equals - e.list[i]));
        if (f->client.verify == CLIENT_VERIFIED)
            CHECK(utf8_is_clean(equals + 1));
        else
            fuzz_check_letters(equals + 1, LETTERS "/+=");
    }
    environment_free(&e);
}

/* Whoever has shown no certificate has no name, and a user's is a word. */
static void check_client(const struct client_facts *c)
{
    const char *const texts[] = {c->subject, c->common_name, c->issuer,
                                 c->serial,  c->fingerprint, c->user};

    CHECK(c->verify <= CLIENT_VERIFIED);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CHECK(utf8_is_clean(texts[i]) && (c->verify == CLIENT_VERIFIED || *texts[i] == '\0'));
    check_word(c->serial, sizeof c->serial, LETTERS);
    check_word(c->fingerprint, sizeof c->fingerprint, LETTERS);
    CHECK(strnlen(c->user, sizeof c->user) < sizeof c->user);
    if (c->user[0] != '\0')
        fuzz_check_letters(c->user, LETTERS "@+");
    CHECK(c->user[0] != '.' && c->user[0] != '-');
}

/* What was read whole is written again, byte by byte the same. */
static void check_again(const struct facts *f, const uint8_t *message, size_t len)
{
    struct message_writer w;
    uint8_t *again = malloc(len);

    CHECK(again != NULL);
    message_begin(&w, again, len, (enum message_type)message[0]);
    facts_put(&w, f);
    CHECK(!w.failed && w.len == len && memcmp(again, message, len) == 0);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *message = fuzz_copy(data, size);
    struct message_reader r;
    struct facts f;

    memset(&f, 0xa5, sizeof f);
    message_parse(&r, message, size);
    facts_get(&r, &f);
    if (message_complete(&r)) {
        check_word(f.version, sizeof f.version, LETTERS);
        check_word(f.cipher, sizeof f.cipher, LETTERS);
        check_word(f.group, sizeof f.group, LETTERS);
        check_word(f.name, sizeof f.name, LETTERS);
        check_word(f.alpn, sizeof f.alpn, LETTERS "/");
        check_client(&f.client);
        check_environment(&f);
        check_again(&f, message, size);
    }
    /* How a connection ended is a number of the gate's too, but never beyond the table. */
    if (size > 0 && data[0] < ENDING_COUNT) {
        CHECK(*ending_name((enum ending)data[0]) != '\0');
        CHECK(ending_status((enum ending)data[0]) >= 0);
    }
    free(message);
    return 0;
}
