/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/lobby.h"

#include "gate/lobby_client.h"
#include "gate/lobby_handler.h"
#include "gate/ruling.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* True if the refusal of a verb gets a line in the log: once for each verb, and fewer for verbs that are no
 * login. Counts the other refusals, so that a client can't flood the log. */
static bool is_worth_a_line(struct lobby *l, const char *verb, bool login)
{
    size_t most = login ? LOBBY_REFUSALS_LOGGED : LOBBY_REFUSALS_LOGGED / 3;
    bool known = false;

    for (size_t i = 0; i < l->refused_count; i++)
        known = known || strcmp(l->refused[i], verb) == 0;
    if (known || l->refused_count >= most) {
        l->refused_more++;
        return false;
    }
    l->refused[l->refused_count++] = verb;
    return true;
}

/* Logs how many refusals got no line. */
static void log_refusal_count(const struct lobby *l)
{
    char text[80];

    (void)snprintf(text, sizeof text, "%u more commands before TLS refused", l->refused_more);
    if (l->refused_more > 0)
        lobby_log(l, GRAVITY_NOTE, text);
}

/* Answers STARTTLS. Closes if bytes follow it: an attacker may have put them there, to be read as the
 * client's first words inside TLS (CVE-2011-0411). */
static enum lobby_step start_tls(struct lobby *l, const struct command *c)
{
    if (lobby_has_more(l)) {
        lobby_log(
            l, GRAVITY_CLIENT,
            "plaintext behind STARTTLS: an injection attack (CVE-2011-0411): connection closed");
        return lobby_end(l, ENDING_PROTOCOL);
    }
    /* RFC 3207 has no TLS inside a transaction, and the monitor was told that there will be none. */
    if (l->setting.mail)
        return lobby_after_write(l, lobby_say(l, SAY_NO_TLS, c));
    if (!l->setting.tls) {
        if (is_worth_a_line(l, "STARTTLS", true))
            lobby_log(l, GRAVITY_ERROR,
                      "STARTTLS refused: certificate or key cannot be used, see above");
        return lobby_after_write(l, lobby_say(l, SAY_NO_TLS, c));
    }
    if (l->to_handler >= 0) {
        lobby_close_handler(l);
        enum asked result = l->host->stop(l->host->gate);
        if (result != ASK_OK)
            return lobby_handler_failed(l, c, result);
    }
    return lobby_say(l, SAY_BEGIN_TLS, c) < 0 ? lobby_end(l, ENDING_LEFT) : STEP_TLS;
}

/* Logs a refusal with the verb alone, never with the client's bytes. */
static void note_refusal(struct lobby *l, const struct command *c)
{
    char text[200];

    if (c->verb == NULL || !is_worth_a_line(l, c->verb, c->login))
        return;
    (void)snprintf(text, sizeof text, "%s before TLS refused by --policy=%s%s", c->verb,
                   options_policy_name(l->policy),
                   c->login ? "; if a password was sent with it, it was sent in plaintext" : "");
    lobby_log(l, GRAVITY_NOTE, text);
}

static enum lobby_step refuse(struct lobby *l, enum occasion occasion, const struct command *c)
{
    note_refusal(l, c);
    return lobby_after_write(l, lobby_say(l, occasion, c));
}

/* Closes since data follows that nobody asked for. */
static enum lobby_step close_unasked(struct lobby *l, const struct command *c)
{
    if (c->login)
        note_refusal(l, c);
    lobby_log(l, GRAVITY_CLIENT,
              "client sent data that nobody asked for before TLS: connection closed");
    return lobby_say_end(l, SAY_TOO_LONG, NULL, ENDING_PROTOCOL);
}

/* Does what the ruling says about the line just read. */
static enum lobby_step handle_line(struct lobby *l)
{
    size_t len = lobby_trim_line_end(l->line, l->line_len);
    struct command c;

    l->dialect->parse(&c, l->line, len);
    struct ruling ruling = ruling_of(l->dialect, &l->setting, &c, l->line, len);
    switch (ruling.kind) {
    case RULING_SAY:
        return lobby_after_write(l, lobby_say(l, ruling.say, &c));
    case RULING_SAY_BYE:
        return lobby_say_end(l, ruling.say, &c, ENDING_LEFT);
    case RULING_REFUSE:
        return refuse(l, ruling.say, &c);
    case RULING_STARTTLS:
        return start_tls(l, &c);
    case RULING_PASS:
        return lobby_pass_command(l, &c);
    case RULING_TRY:
        return lobby_try_to_leave(l, &c);
    case RULING_LEAVE:
        return lobby_leave_at_once(l);
    case RULING_CLOSE:
        break;
    }
    return close_unasked(l, &c);
}

/* Counts a command; true if there were too many. In a mail transaction restarts the deadline instead: the
 * handler limits the number there. */
static bool is_too_many(struct lobby *l)
{
    if (!l->setting.mail)
        return ++l->commands > LOBBY_COMMANDS_MAX;
    l->deadline = io_deadline(l->timeout_idle);
    return false;
}

/* Greets the client, or starts the handler and sends its greeting. */
static enum lobby_step greet(struct lobby *l)
{
    static const struct command connection = {.kind = COMMAND_GREETING, .tag = ""};

    if (!policy_has_handler(l->policy))
        return lobby_after_write(l, lobby_say(l, SAY_GREETING, NULL));
    enum asked result = l->host->start(l->host->gate, &l->to_handler, &l->from_handler);
    if (result != ASK_OK)
        return lobby_handler_failed(l, NULL, result);
    return lobby_pass_answer(l, &connection);
}

struct lobby *lobby_new(void)
{
    struct lobby *l = malloc(sizeof *l);

    if (l != NULL)
        memset(l, 0, offsetof(struct lobby, line));
    return l;
}

enum lobby_outcome lobby_run(struct lobby *l)
{
    enum lobby_step step;

    l->to_handler = l->from_handler = -1;
    l->setting.handler = policy_has_handler(l->policy);
    l->setting.passwords = policy_allows_passwords(l->policy);
    l->setting.mechanism_ok = policy_is_challenge;
    for (step = greet(l); step == STEP_ON;) {
        enum line_result result = lobby_read_line(l, LOBBY_LINE_MAX);
        if (result != LINE_READ) {
            step = lobby_end_without_line(l, result);
        } else if (is_too_many(l)) {
            lobby_log(l, GRAVITY_CLIENT,
                      "client sent more than 20 commands before TLS: connection closed");
            step = lobby_say_end(l, SAY_TOO_MANY, NULL, ENDING_PROTOCOL);
        } else {
            step = handle_line(l);
        }
    }
    log_refusal_count(l);
    if (step != STEP_RELAY)
        lobby_close_handler(l);
    return step == STEP_TLS ? LOBBY_TLS : step == STEP_RELAY ? LOBBY_RELAY : LOBBY_ENDED;
}
