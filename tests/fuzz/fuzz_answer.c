/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a byte of settings, and the messages of a gate that may have been taken over, each behind
 * its length in two bytes, for the monitor that serves it. */
#include "common.h"
#include "pair.h"

#include "monitor/answer.h"
#include "common/facts.h"
#include "start/jail.h"
#include "common/message.h"
#include "monitor/summary.h"
#include "vault/tickets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGES_MAX 100
#define NOTES_MAX 40

enum setting {
    STARTTLS = 1,
    AUTH = 2,
    TLS = 4,
    UCSPI = 8,
    STOPPING = 16,
    ERRORS = 32,
    PROXY = 64,
    TICKETS = 128
};

/* How many of each message the monitor has sent. */
struct tally {
    unsigned of[EVENT_DRAIN + 1];
};

/* The gate's end: counts what the monitor has answered, whose messages are well-formed. */
static void read_answers(int gate, struct tally *t)
{
    static uint8_t buf[MESSAGE_MAX];
    struct message_reader r;
    size_t len;

    while (message_receive(gate, &r, buf, sizeof buf, true) == 0) {
        CHECK(r.type > EVENT_GO && r.type <= ANS_HANDLER_STOPPED);
        t->of[r.type]++;
        if (r.type == ANS_CHAIN) {
            (void)message_get_number(&r, UINT64_MAX);
            (void)message_get_bytes(&r, sizeof buf, &len); /* the chain, and then a staple */
        }
        if (r.type >= ANS_CHAIN && r.type <= ANS_OPENED)
            (void)message_get_bytes(&r, sizeof buf, &len);
        if (r.type == ANS_OPENED)
            (void)message_get_number(&r, 1);
        CHECK(message_complete(&r));
        /* No handler can be started here, so there are no descriptors of one. */
        CHECK(r.fds[0] == -1 && r.fds[1] == -1);
    }
}

/* What must hold after each message, whatever it was. */
static void check_session(const struct session *s, enum phase before, const struct tally *t)
{
    CHECK(s->phase >= before && s->phase <= PHASE_ENDED);
    CHECK(s->gate_process.pid == 0 && s->handler.pid == 0 && s->plaintext_handler.pid == 0);
    CHECK(s->ending < ENDING_COUNT && *ending_name(s->ending) != '\0');
    CHECK(t->of[ANS_CHAIN] <= 1 && t->of[ANS_SIGNATURE] <= 1 && t->of[ANS_HANDLER] <= 2 &&
          t->of[ANS_HANDLER_STOPPED] <= 1);
    CHECK(t->of[ANS_SEALED] <= TICKET_SEALS && t->of[ANS_OPENED] <= TICKET_OPENS);
    CHECK(t->of[ANS_SIGNATURE] == 0 || s->have_tls);
    CHECK(s->phase < PHASE_CHAIN || s->phase == PHASE_ENDED || s->left_lobby ||
          t->of[ANS_CHAIN] == 1 || s->gate < 0);
    /* The secrets are gone as soon as the session begins. */
    CHECK(s->phase != PHASE_SESSION ||
          (s->vault.memory == NULL && s->vault.count == 0 && s->vault.tickets == NULL));
    CHECK(!s->have_facts || (s->have_tls && !s->stopping));
    CHECK(!s->have_facts || t->of[ANS_SIGNATURE] == 1 ||
          (s->facts.resumed && t->of[ANS_OPENED] > 0));
    /* Who the client is has been said before all else, once, by whoever may. */
    CHECK(s->phase != PHASE_HEADER || (s->o->proxy_protocol && !s->c->proxied));
    CHECK(!s->c->proxied || s->o->proxy_protocol);
    fuzz_check_text(s->c->client.text, sizeof s->c->client.text);
    fuzz_check_text(s->c->server.text, sizeof s->c->server.text);
    CHECK(!s->left_lobby || s->o->ucspi_tls ||
          (s->o->starttls != NULL && s->o->policy != POLICY_REQUIRED));
    if (s->have_facts) {
        fuzz_check_text(s->facts.version, sizeof s->facts.version);
        fuzz_check_text(s->facts.cipher, sizeof s->facts.cipher);
        fuzz_check_text(s->facts.group, sizeof s->facts.group);
        fuzz_check_text(s->facts.name, sizeof s->facts.name);
        fuzz_check_text(s->facts.alpn, sizeof s->facts.alpn);
    }
}

static struct vault loaded;
static struct tickets keys;
static int summary;          /* a file in memory */
static struct ticket sealed; /* a ticket that can be opened */

/* Ticket keys, and a ticket for a connection without STARTTLS. */
static void make_tickets(void)
{
    static const struct options o = {.ucspi_tls = false};
    uint8_t context[TICKETS_CONTEXT_SIZE];

    keys.count = 1;
    memset(keys.keys[0].key, 'k', sizeof keys.keys[0].key);
    CHECK(tickets_name_key(&keys.keys[0]) == 0);
    CHECK(tickets_context(context, &o, 0x0304, "mail.example.org") == 0);
    struct ticket_state state = {.bytes = "session", .len = 7};
    CHECK(tickets_seal(&keys, context, time(NULL), &state, &sealed) == 0);
}

void fuzz_begin(void)
{
    struct options o = {.tls_min = 0x0303, .pair_count = 1, .pairs = {pair_make(KEY_ECDSA)}};

    CHECK(vault_load(&loaded, &o) == 0);
    make_tickets();
    CHECK((summary = memfd_create("summary", MFD_CLOEXEC)) >= 0);
}

/* Sends a message as the gate does; "O" is one with the good ticket, which no seed can hold. */
static void send_message(int gate, const uint8_t *data, size_t len)
{
    uint8_t good[TICKET_MAX + 64];
    struct message_writer w;

    message_begin(&w, good, sizeof good, REQ_OPEN);
    message_put_number(&w, 0x0304);
    message_put_bytes(&w, sealed.bytes, sealed.len);
    if (len == 1 && *data == 'O') {
        data = good;
        len = w.len;
    }
    uint8_t *message = fuzz_copy(data, len);
    if (len > 0)
        message[0] = fuzz_message_type(message[0]);
    CHECK(send(gate, message, len, MSG_NOSIGNAL) == (ssize_t)len);
    free(message);
}

/* Gives the monitor one message after the other, until it has had enough. Returns how many. */
static unsigned converse(struct session *s, int gate, const uint8_t *data, size_t size)
{
    struct tally t = {{0}};
    unsigned count = 0;

    while (size >= 2 && s->gate >= 0 && count++ < MESSAGES_MAX) {
        size_t len = (size_t)data[0] << 8 | data[1];
        enum phase before = s->phase;
        data += 2;
        size -= 2;
        if (len > size)
            len = size;
        send_message(gate, data, len);
        data += len;
        size -= len;
        bool taken = answer_one(s);
        CHECK(!taken || len > 0);
        /* A line for what was wrong, and one for a handler that can't be started. */
        CHECK(fuzz_heard(NULL) <= 2);
        read_answers(gate, &t);
        check_session(s, before, &t);
    }
    return count;
}

/* The vault of a session, which vault_wipe() gives back. */
static struct vault make_vault(bool with_tickets)
{
    struct vault v = pair_copy(&loaded);

    if (!with_tickets)
        return v;
    v.tickets = mmap(NULL, sizeof keys, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK((void *)v.tickets != MAP_FAILED);
    *v.tickets = keys;
    v.seals = TICKET_SEALS;
    v.opens = TICKET_OPENS;
    return v;
}

static struct options make_options(unsigned settings, char **handler)
{
    struct options o = {.starttls = settings & STARTTLS ? "imap" : NULL,
                        .policy = settings & AUTH ? POLICY_AUTH : POLICY_REQUIRED,
                        .ucspi_tls = (settings & UCSPI) != 0 && !(settings & STARTTLS),
                        .proxy_protocol = (settings & PROXY) != 0,
                        .tls_min = 0x0303,
                        .tickets = settings & TICKETS ? "tickets" : NULL,
                        .ticket_lifetime = 7200,
                        .timeout_handshake = 30,
                        .timeout_grace = 10,
                        .handler = handler};

    return o;
}

/* The summary is one printable line, whatever the gate has said. It goes to standard error itself. */
static void check_summary(const struct session *s)
{
    char text[8192];
    int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, FUZZ_FD_FREE);

    CHECK(saved >= 0 && ftruncate(summary, 0) == 0 && lseek(summary, 0, SEEK_SET) == 0);
    CHECK(dup2(summary, STDERR_FILENO) >= 0);
    summary_write(s);
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    ssize_t n = pread(summary, text, sizeof text, 0);
    CHECK(n > 0 && text[n - 1] == '\n');
    text[n - 1] = '\0';
    fuzz_check_text(text, (size_t)n);
    CHECK(strlen(text) == (size_t)n - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *handler[] = {"/nowhere/imapd", NULL};
    int ends[2];

    if (size == 0)
        return 0;
    unsigned settings = data[0];
    const struct options o = make_options(settings, handler);
    struct connection c = {.in = -1,
                           .out = -1,
                           .stderr_was_client = (settings & ERRORS) != 0,
                           .client = {.family = AF_INET, .text = "192.0.2.7:50122"},
                           .server = {.family = AF_INET, .text = "192.0.2.1:143"}};
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    struct session s = {.o = &o,
                        .c = &c,
                        .gate = ends[0],
                        .jail = {.mode = JAIL_OFF},
                        .phase = o.proxy_protocol ? PHASE_HEADER : PHASE_OPENING,
                        .gate_process = {.errors = -1},
                        .handler = {.errors = -1},
                        .plaintext_handler = {.errors = -1},
                        .ends = {.in = -1, .out = -1, .errors = -1},
                        .stopping = (settings & STOPPING) != 0,
                        .started = io_now(),
                        .ending = ENDING_GATE_DIED};
    s.have_tls = (settings & TLS) != 0;
    if (s.have_tls)
        s.vault = make_vault((settings & TICKETS) != 0);
    (void)converse(&s, ends[1], data + 1, size - 1);
    CHECK(s.notes <= NOTES_MAX + 1);
    check_summary(&s);
    vault_wipe(&s.vault);
    io_close(&s.gate);
    (void)close(ends[1]);
    return 0;
}
