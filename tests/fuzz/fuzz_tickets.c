/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a letter, and behind it: f the text of a file of ticket keys; m one message of the gate's
 * that asks for a ticket or brings one; t two bytes that say where a ticket is damaged, and what is
 * sealed in it. */
#include "common.h"

#include "monitor/answer.h"
#include "common/message.h"
#include "vault/ticket_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static const struct options options = {.tickets = "tickets", .ticket_lifetime = 7200};
static struct tickets keys;

void fuzz_begin(void)
{
    for (keys.count = 0; keys.count < 2; keys.count++) {
        memset(keys.keys[keys.count].key, (int)keys.count + 1, TICKETS_KEY_SIZE);
        CHECK(tickets_name_key(&keys.keys[keys.count]) == 0);
    }
    CHECK(fuzz_heard(NULL) == 0);
}

static void parse_file(const uint8_t *data, size_t size)
{
    static const struct ticket_key none;
    static struct tickets t;
    size_t line = 0;
    enum key_text result = ticket_file_parse(&t, data, size, &line);

    CHECK(line >= 1 && line <= size + 1);
    if (result == KEY_TEXT_GOOD) {
        CHECK(t.count > 0 && t.count <= TICKET_KEYS_MAX);
        CHECK(size >= t.count * 2 * TICKETS_KEY_SIZE);
    } else {
        CHECK(result <= KEY_TEXT_WRONG);
        CHECK(t.count == 0);
        for (size_t i = 0; i < TICKET_KEYS_MAX; i++)
            CHECK(memcmp(&t.keys[i], &none, sizeof none) == 0);
    }
    CHECK(fuzz_heard(NULL) == 0);
}

/* An answer is what was asked for; the log has a line of what came of it. */
static void take_message(uint8_t *data, size_t size)
{
    static uint8_t buf[MESSAGE_MAX];
    struct message_reader r;
    int ends[2];
    size_t len;

    message_parse(&r, data, size);
    if (r.type != REQ_SEAL && r.type != REQ_OPEN)
        return;
    bool seal = r.type == REQ_SEAL;
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    struct session s = {.o = &options,
                        .have_tls = true,
                        .gate = ends[0],
                        .phase = PHASE_CHAIN,
                        .vault = {.tickets = &keys,
                                  .seals = TICKET_SEALS,
                                  .opens = TICKET_OPENS,
                                  .name = "mail.example"}};
    CHECK(send(ends[1], data, size, MSG_NOSIGNAL) == (ssize_t)size);
    (void)answer_one(&s);
    CHECK(fuzz_heard(NULL) == 1);
    bool kept = s.gate >= 0;
    io_close(&s.gate);
    int got = message_receive(ends[1], &r, buf, sizeof buf, false);
    io_close(&ends[1]);
    if (!kept) {
        CHECK(got == -EPIPE);
        return;
    }
    CHECK(got == 0 && r.type == (seal ? ANS_SEALED : ANS_OPENED));
    const uint8_t *bytes = message_get_bytes(&r, TICKET_MAX, &len);
    if (seal)
        CHECK(len > TICKET_HEAD_SIZE && memcmp(bytes, keys.keys[0].name, TICKET_NAME_SIZE) == 0);
    else /* nobody can forge one */
        CHECK(message_get_number(&r, 1) == 0 && len == 0 && !s.vault.opened);
    CHECK(message_complete(&r));
    CHECK(s.vault.seals + s.vault.opens == TICKET_SEALS + TICKET_OPENS - 1);
}

static void damage(const uint8_t *data, size_t size)
{
    static struct ticket_state state, back;
    static struct ticket sealed;
    const uint8_t context[TICKETS_CONTEXT_SIZE] = {1};
    time_t now = time(NULL);

    if (size < 2 || size - 2 > TICKET_STATE_MAX)
        return;
    state.len = size - 2;
    memcpy(state.bytes, data + 2, state.len);
    CHECK(tickets_seal(&keys, context, now, &state, &sealed) == 0);
    CHECK(tickets_open(&keys, context, now, 1, &sealed, &back) == TICKET_GOOD);
    CHECK(!back.old && back.len == state.len && memcmp(back.bytes, state.bytes, back.len) == 0);
    sealed.bytes[((size_t)data[0] << 8 | data[1]) % sealed.len] ^= (uint8_t)(data[0] | 1);
    CHECK(tickets_open(&keys, context, now, 1, &sealed, &back) != TICKET_GOOD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t *copy = fuzz_copy(data + 1, size - 1);
    switch (data[0]) {
    case 'f':
        parse_file(copy, size - 1);
        break;
    case 'm':
        take_message(copy, size - 1);
        break;
    case 't':
        damage(copy, size - 1);
        break;
    default:
        break;
    }
    free(copy);
    return 0;
}
