/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a line with a dialect, a policy and perhaps "broken", for certificates that can't be used;
 * then all that the client sends before TLS, a line "%", and all that the handler sends. */
#include "common.h"

#include "gate/lobby.h"
#include "start/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENT_MAX 20000

/* A conversation: what the lobby was given and what came of it. */
struct conversation {
    struct lobby lobby;
    const char *client; /* what the client sends */
    size_t client_len;
    int client_end;  /* its end of the connection */
    int handler_end; /* the handler's end; -1 if none was started */
    const char *handler;
    size_t handler_len;
    unsigned starts, stops, leaves, notes;
};

static enum asked start(void *gate, int *to_handler, int *from_handler)
{
    struct conversation *c = gate;
    int ends[2];

    CHECK(c->starts++ == 0 && c->lobby.policy != POLICY_REQUIRED);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    CHECK(c->handler_len == 0 ||
          send(ends[1], c->handler, c->handler_len, MSG_NOSIGNAL) == (ssize_t)c->handler_len);
    CHECK(shutdown(ends[1], SHUT_WR) == 0);
    *to_handler = *from_handler = ends[0];
    c->handler_end = ends[1];
    return ASK_OK;
}

static enum asked stop(void *gate)
{
    struct conversation *c = gate;

    CHECK(c->starts == 1 && c->stops++ == 0 && c->lobby.to_handler == -1);
    return ASK_OK;
}

static enum order order(void *gate)
{
    const struct conversation *c = gate;

    CHECK(c->lobby.watch >= 0); /* nobody gives orders here */
    return ORDER_ABANDON;
}

static enum asked leave(void *gate)
{
    struct conversation *c = gate;

    CHECK(c->starts == 1 && c->leaves++ == 0);
    return ASK_OK;
}

static void note(void *gate, enum gravity gravity, const char *text)
{
    struct conversation *c = gate;

    (void)gravity;
    c->notes++;
    CHECK(*text != '\0');
    fuzz_check_text(text, 300);
}

static const struct lobby_gate callbacks = {NULL, start, stop, leave, order, note};

/* All that there is to read. The caller frees it. */
static char *drain(int fd, size_t *len)
{
    int there = 0;

    CHECK(ioctl(fd, FIONREAD, &there) == 0);
    char *all = malloc((size_t)there + 1);
    CHECK(all != NULL);
    *len = (size_t)there;
    CHECK(there == 0 || recv(fd, all, *len, MSG_DONTWAIT) == there);
    return all;
}

/* The lobby has taken whole lines and nothing of what stands behind them; STARTTLS is the last there
 * is, with nothing behind it (CVE-2011-0411). */
static void check_taken(const struct conversation *c, enum lobby_outcome outcome)
{
    const struct lobby *l = &c->lobby;
    size_t left, line = (size_t)l->received;
    struct command command;

    free(drain(l->in, &left));
    CHECK(l->received + left == c->client_len);
    CHECK(l->commands <= LOBBY_COMMANDS_MAX + 1);
    if (outcome == LOBBY_ENDED)
        return;
    CHECK(line > 0 && c->client[line - 1] == '\n');
    if (outcome != LOBBY_TLS)
        return;
    CHECK(left == 0 && l->setting.tls);
    size_t end = --line;
    while (line > 0 && c->client[line - 1] != '\n')
        line--;
    if (end > line && c->client[end - 1] == '\r')
        end--;
    l->dialect->parse(&command, c->client + line, end - line);
    CHECK(command.kind == COMMAND_STARTTLS && command.argument_len == 0);
}

/* A client is told whole lines, and what the lobby says by itself is text. */
static void check_said(const struct conversation *c)
{
    size_t len;
    char *said = drain(c->client_end, &len);

    CHECK(len <= c->lobby.sent);
    if (c->lobby.policy == POLICY_REQUIRED) {
        CHECK(len == c->lobby.sent && len > 0 && said[len - 1] == '\n');
        for (size_t i = 0; i < len; i++)
            CHECK((unsigned char)said[i] >= ' ' || said[i] == '\n' || said[i] == '\t' ||
                  (said[i] == '\r' && said[i + 1] == '\n'));
    }
    free(said);
}

/* The handler gets whole lines of the client's in their order, and by the policy auth no password. */
static void check_passed_on(const struct conversation *c)
{
    const char *from = c->client, *text, *line, *sent;
    size_t from_len = c->client_len, len, line_len, sent_len = 0;
    bool passwords = c->lobby.policy != POLICY_AUTH;
    char *got = drain(c->handler_end, &len);

    CHECK(len == 0 || got[len - 1] == '\n');
    for (text = got; fuzz_line(&text, &len, &line, &line_len);) {
        const char *cancel = c->lobby.dialect->cancel;
        bool found = false;
        struct command command;
        /* The lobby's own word, in place of a response that is none. */
        if (line_len == strlen(cancel) - 2 && memcmp(line, cancel, line_len) == 0)
            continue;
        while (!found && fuzz_line(&from, &from_len, &sent, &sent_len))
            found = sent_len == line_len && memcmp(sent, line, line_len) == 0;
        CHECK(found);
        char *copy = fuzz_copy(line, line_len);
        c->lobby.dialect->parse(&command, copy, line_len);
        /* STLS and STARTTLS are base64, too: a response to a challenge. */
        CHECK(command.kind != COMMAND_STARTTLS || passwords || dialect_is_base64(line, line_len));
        CHECK(passwords || command.kind != COMMAND_PASSWORD);
        CHECK(passwords || command.kind != COMMAND_MECHANISM || command.mechanism_len == 0 ||
              policy_is_challenge(command.mechanism, command.mechanism_len));
        free(copy);
    }
    free(got);
}

static void converse(struct conversation *c)
{
    int ends[2];
    struct lobby_gate host = callbacks;

    host.gate = c;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    CHECK(c->client_len == 0 ||
          send(ends[1], c->client, c->client_len, MSG_NOSIGNAL) == (ssize_t)c->client_len);
    /* A mail transaction has a time of its own, which is not over: there its end must come. */
    if (c->lobby.policy == POLICY_AUTH)
        CHECK(shutdown(ends[1], SHUT_WR) == 0);
    c->client_end = ends[1];
    c->handler_end = -1;
    c->lobby.host = &host;
    c->lobby.in = c->lobby.out = ends[0];
    c->lobby.watch = -1;
    c->lobby.deadline = 1; /* long over: there is nothing to wait for */
    enum lobby_outcome outcome = lobby_run(&c->lobby);
    CHECK(outcome <= LOBBY_ENDED);
    CHECK(outcome != LOBBY_RELAY || c->lobby.policy != POLICY_REQUIRED);
    CHECK((outcome == LOBBY_RELAY) == (c->lobby.to_handler >= 0));
    CHECK(outcome != LOBBY_TLS || c->stops == c->starts);
    CHECK(outcome != LOBBY_RELAY || c->leaves == 1);
    CHECK(outcome != LOBBY_TLS || c->leaves == 0);
    check_taken(c, outcome);
    check_said(c);
    if (c->lobby.to_handler >= 0)
        (void)close(c->lobby.to_handler);
    if (c->handler_end >= 0) {
        check_passed_on(c);
        (void)close(c->handler_end);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static const char *const policies[] = {"required", "auth", "optional"};

/* Reads "imap auth broken". False if it is nothing of the kind. */
static bool take_setting(struct lobby *l, const char *line, size_t len)
{
    char *text = fuzz_text(line, len), *rest = text;
    const char *word = strsep(&rest, " ");

    l->dialect = dialect_find(word);
    word = strsep(&rest, " ");
    l->policy = POLICY_REQUIRED;
    for (int i = 0; i < 3 && word != NULL; i++)
        if (strcmp(word, policies[i]) == 0)
            l->policy = (enum policy)i;
    l->setting = (struct setting){.host = "mail.example.org", .tls = rest == NULL};
    free(text);
    return l->dialect != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conversation c;
    const char *text = (const char *)data, *line;
    size_t line_len;

    memset(&c, 0, sizeof c);
    if (size > CLIENT_MAX || !fuzz_line(&text, &size, &line, &line_len) ||
        !take_setting(&c.lobby, line, line_len))
        return 0;
    const char *end = memmem(text, size, "\n%\n", 3);
    c.client_len = end != NULL ? (size_t)(end + 1 - text) : size;
    c.handler_len = end != NULL ? size - c.client_len - 2 : 0;
    char *client = fuzz_copy(text, c.client_len);
    char *handler = fuzz_copy(text + size - c.handler_len, c.handler_len);
    c.client = client;
    c.handler = handler;
    converse(&c);
    free(client);
    free(handler);
    return 0;
}
