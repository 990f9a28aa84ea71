/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "lobby.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define SAY_MAX 1024

/* What the conversation does next. */
enum step { STEP_ON, STEP_TLS, STEP_RELAY, STEP_END };

static enum step end(struct lobby *l, enum ending ending)
{
    l->ending = ending;
    return STEP_END;
}

static void note(const struct lobby *l, const char *text)
{
    l->host->note(l->host->gate, false, text);
}

static void complain(const struct lobby *l, const char *text)
{
    l->host->note(l->host->gate, true, text);
}

/* The system has refused something; `what` completes "cannot". */
static enum step end_system(struct lobby *l, const char *what, int error)
{
    char text[160];

    (void)snprintf(text, sizeof text, "cannot %s: %s", what, strerror(-error));
    complain(l, text);
    return end(l, ENDING_SYSTEM);
}

/* The next step after a write to the client. */
static enum step after_write(struct lobby *l, int rc)
{
    if (rc == -ENOMEM || rc == -ENOBUFS || rc == -EMSGSIZE)
        return end_system(l, "write to the client", rc);
    return rc < 0 ? end(l, ENDING_LEFT) : STEP_ON;
}

/* A client must not flood the log: a line for each verb that is refused, but for few that are no login;
 * the rest is counted. */
static bool is_worth_a_line(struct lobby *l, const char *verb, bool login)
{
    size_t most = login ? LOBBY_TOLD_MAX : LOBBY_TOLD_MAX / 3;
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

static void tell_refusals(const struct lobby *l)
{
    char text[80];

    (void)snprintf(text, sizeof text, "%u more commands before TLS refused", l->refused_more);
    if (l->refused_more > 0)
        note(l, text);
}

/* What the client sees is in this order, whole: a client that doesn't read gets no second answer. */
static int send_text(struct lobby *l, const char *bytes, size_t len)
{
    l->sent += len;
    return io_write_all(l->out, bytes, len, -1, l->deadline);
}

static int say(struct lobby *l, enum occasion occasion, const struct command *c)
{
    char buf[SAY_MAX];
    struct text out = {.buf = buf, .size = sizeof buf};

    l->dialect->say(&out, occasion, c, &l->setting);
    return out.full ? -EMSGSIZE : send_text(l, buf, out.len);
}

/* Says the last thing there is to say. */
static enum step say_end(struct lobby *l, enum occasion occasion, const struct command *c,
                         enum ending ending)
{
    (void)say(l, occasion, c);
    return end(l, ending);
}

/* Takes len bytes that io_peek() has shown: those behind the line's end stay in the kernel. */
static bool take(const struct lobby *l, char *buf, size_t len)
{
    return l->no_peek || io_read(l->in, buf, len) == (ssize_t)len;
}

/* NUL and a CR that no LF follows have no place in any of these protocols. */
static bool is_clean(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (line[i] == '\0' || (line[i] == '\r' && i + 1 < len && line[i + 1] != '\n'))
            return false;
    return true;
}

/* What came of reading a line, or waiting for one. */
enum line_result {
    LINE_READ,
    LINE_CLIENT_LEFT,
    LINE_TOO_LONG,
    LINE_BAD_BYTES, /* bytes that no line may have */
    LINE_TIMEOUT,
    LINE_HANDLER_EXITED,
    LINE_STOP,  /* the monitor wants the end */
    LINE_FAILED /* the system failed: l->error */
};

static enum line_result wait_for_client(struct lobby *l)
{
    int rc = io_wait(l->in, POLLIN, l->watch, l->deadline);

    if (rc == 0)
        return LINE_READ;
    if (rc == -ETIMEDOUT)
        return LINE_TIMEOUT;
    if (rc != -ECANCELED) {
        l->error = rc;
        return LINE_FAILED;
    }
    switch (l->host->order(l->host->gate)) {
    case ORDER_GO_ON:
        return LINE_READ;
    case ORDER_HANDLER_EXITED:
        return LINE_HANDLER_EXITED;
    default:
        return LINE_STOP;
    }
}

/* Reads one line, up to its LF and not a byte further, into l->line. */
static enum line_result read_line(struct lobby *l)
{
    l->line_len = 0;
    while (l->line_len < sizeof l->line) {
        char *at = l->line + l->line_len;
        ssize_t n = io_peek(l->in, at, sizeof l->line - l->line_len, &l->no_peek);
        if (n == -EAGAIN) {
            enum line_result result = wait_for_client(l);
            if (result != LINE_READ)
                return result;
            continue;
        }
        if (n <= 0)
            return LINE_CLIENT_LEFT;
        const char *lf = memchr(at, '\n', (size_t)n);
        size_t len = lf != NULL ? (size_t)(lf - at) + 1 : (size_t)n;
        if (!take(l, at, len))
            return LINE_CLIENT_LEFT;
        l->line_len += len;
        l->received += len;
        if (!is_clean(l->line, l->line_len))
            return LINE_BAD_BYTES;
        if (lf != NULL)
            return LINE_READ;
    }
    return LINE_TOO_LONG;
}

/* What the handler said last before it exited. */
static void read_rest(struct lobby *l)
{
    while (l->reply_len < sizeof l->reply) {
        ssize_t n =
            io_read(l->from_handler, l->reply + l->reply_len, sizeof l->reply - l->reply_len);
        if (n <= 0)
            return;
        l->reply_len += (size_t)n;
    }
}

/* What came has bytes that no line may have. */
static void complain_of_bytes(const struct lobby *l)
{
    /* A TLS record with a handshake message (RFC 8446 section 5.1). */
    if (l->line_len > 1 && l->line[0] == 22 && l->line[1] == 3)
        complain(l, "client begins TLS at once, but here it has to say STARTTLS first");
    else
        complain(l, "client sent a NUL or a bare CR before TLS: connection closed");
}

/* Ends the lobby since there is no line. */
static enum step no_line(struct lobby *l, enum line_result result)
{
    switch (result) {
    case LINE_CLIENT_LEFT:
        return end(l, ENDING_LEFT);
    case LINE_STOP:
        return say_end(l, SAY_UNAVAILABLE, NULL, ENDING_SIGTERM);
    case LINE_HANDLER_EXITED:
        read_rest(l);
        (void)send_text(l, l->reply, l->reply_len);
        return end(l, ENDING_HANDLER_CLOSE);
    case LINE_TIMEOUT:
        note(l, "client did nothing useful before --timeout-lobby was over");
        return say_end(l, SAY_TIMEOUT, NULL, ENDING_TIMEOUT_LOBBY);
    case LINE_TOO_LONG:
        complain(l, "client sent a line of more than 1000 bytes before TLS: connection closed");
        return say_end(l, SAY_TOO_LONG, NULL, ENDING_PROTOCOL);
    case LINE_BAD_BYTES:
        complain_of_bytes(l);
        return say_end(l, SAY_TOO_LONG, NULL, ENDING_PROTOCOL);
    default:
        (void)say(l, SAY_UNAVAILABLE, NULL);
        return end_system(l, "wait for the client", l->error);
    }
}

/* True if bytes of the client are there already. */
static bool has_more(struct lobby *l)
{
    struct pollfd p = {.fd = l->in, .events = POLLIN};
    char byte;

    if (!l->no_peek)
        return io_peek(l->in, &byte, 1, &l->no_peek) > 0;
    return poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0;
}

/* Starting or stopping the handler failed. */
static enum step handler_failed(struct lobby *l, const struct command *c, enum asked result)
{
    static const enum ending endings[] = {[ASK_NOTHING] = ENDING_NO_HANDLER,
                                          [ASK_HANDLER_EXITED] = ENDING_SIGTERM,
                                          [ASK_STOP] = ENDING_SIGTERM,
                                          [ASK_FAILED] = ENDING_SYSTEM};

    return say_end(l, SAY_UNAVAILABLE, c, endings[result]);
}

static void close_handler(struct lobby *l)
{
    if (l->from_handler != l->to_handler)
        io_close(&l->from_handler);
    l->from_handler = -1;
    io_close(&l->to_handler);
}

/* CVE-2011-0411: what stands behind STARTTLS was put there by somebody else than the client, to be
 * taken for what it will say inside TLS. */
static enum step start_tls(struct lobby *l, const struct command *c)
{
    if (c->argument_len > 0)
        return after_write(l, say(l, SAY_MALFORMED, c));
    if (has_more(l)) {
        complain(
            l, "plaintext behind STARTTLS: an injection attack (CVE-2011-0411): connection closed");
        return end(l, ENDING_PROTOCOL);
    }
    if (!l->setting.tls) {
        if (is_worth_a_line(l, "STARTTLS", true))
            complain(l, "STARTTLS refused: certificate or key cannot be used, see above");
        return after_write(l, say(l, SAY_NO_TLS, c));
    }
    if (l->to_handler >= 0) {
        close_handler(l);
        enum asked result = l->host->stop(l->host->gate);
        if (result != ASK_OK)
            return handler_failed(l, c, result);
    }
    return say(l, SAY_BEGIN_TLS, c) < 0 ? end(l, ENDING_LEFT) : STEP_TLS;
}

/* A refusal and its line in the log: the verb alone, never what the client sent with it. */
static enum step refuse(struct lobby *l, enum occasion occasion, const struct command *c)
{
    char text[200];
    bool login = c->kind == COMMAND_PASSWORD || c->kind == COMMAND_MECHANISM;

    if (c->verb != NULL && is_worth_a_line(l, c->verb, login)) {
        (void)snprintf(text, sizeof text, "%s before TLS refused by --policy=%s%s", c->verb,
                       options_policy_name(l->policy),
                       login ? "; if a password was sent with it, it was sent in plaintext" : "");
        note(l, text);
    }
    return after_write(l, say(l, occasion, c));
}

/* What came of reading the handler's answer, or writing to it. */
enum answer_result {
    ANSWER_READ,
    ANSWER_ENDED, /* the handler has closed its end */
    ANSWER_LATE,
    ANSWER_MISPLACED, /* it has no place before TLS, or no end */
    ANSWER_FAILED     /* the system failed: l->error */
};

/* Sorts what io_wait(), io_read() or io_write_all() says of the handler. */
static enum answer_result answer_failed(struct lobby *l, ssize_t error)
{
    if (error == -ETIMEDOUT)
        return ANSWER_LATE;
    if (error == 0 || error == -EPIPE || error == -ECONNRESET)
        return ANSWER_ENDED;
    l->error = (int)error;
    return ANSWER_FAILED;
}

/* Reads until the handler's next line is whole, which l->reply begins with then; *len is its length with
 * the line end. */
static enum answer_result handler_line(struct lobby *l, size_t *len)
{
    for (;;) {
        const char *lf = memchr(l->reply, '\n', l->reply_len);
        if (lf != NULL) {
            *len = (size_t)(lf - l->reply) + 1;
            return ANSWER_READ;
        }
        if (l->reply_len == sizeof l->reply)
            return ANSWER_MISPLACED;
        ssize_t n =
            io_read(l->from_handler, l->reply + l->reply_len, sizeof l->reply - l->reply_len);
        if (n == -EAGAIN)
            n = io_wait(l->from_handler, POLLIN, -1, l->deadline);
        else if (n == 0)
            return ANSWER_ENDED;
        if (n < 0)
            return answer_failed(l, n);
        l->reply_len += (size_t)n;
    }
}

static size_t without_line_end(const char *line, size_t len)
{
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    return len;
}

/* Ends the lobby since the handler's answer is not whole. */
static enum step no_answer(struct lobby *l, const struct reply *r, enum answer_result result)
{
    if (r != NULL && r->preauth)
        complain(l,
                 "handler greets with PREAUTH: it takes the client for logged in, so it can't be "
                 "used with --starttls; use immediate TLS, or a login program");
    else if (result == ANSWER_LATE)
        complain(l, "handler did not answer before --timeout-lobby was over");
    else if (result == ANSWER_ENDED)
        complain(l, "handler ended before its answer was whole");
    else if (result == ANSWER_MISPLACED)
        complain(l, "handler gave an answer that has no place before TLS");
    else {
        (void)say(l, SAY_UNAVAILABLE, NULL);
        return end_system(l, "speak to the handler", l->error);
    }
    return say_end(l, SAY_UNAVAILABLE, NULL,
                   result == ANSWER_LATE ? ENDING_TIMEOUT_LOBBY : ENDING_HANDLER_CLOSE);
}

/* Passes the handler's whole answer to command c on, edited. */
static enum step pass_answer(struct lobby *l, const struct command *c)
{
    char buf[LOBBY_REPLY_MAX + SAY_MAX];
    struct text out = {.buf = buf, .size = sizeof buf};
    struct reply r = {.setting = &l->setting, .command = c};
    enum reply_state state = REPLY_MORE;

    while (state == REPLY_MORE) {
        size_t n = 0;
        enum answer_result result = handler_line(l, &n);
        if (result != ANSWER_READ)
            return no_answer(l, &r, result);
        state = l->dialect->reply(&r, l->reply, without_line_end(l->reply, n), &out);
        l->reply_len -= n;
        memmove(l->reply, l->reply + n, l->reply_len);
        if (state == REPLY_BROKEN || out.full)
            return no_answer(l, &r, ANSWER_MISPLACED);
    }
    return after_write(l, send_text(l, buf, out.len));
}

/* Gives the line that has just been read to the handler. */
static enum step pass_line(struct lobby *l)
{
    int rc = io_write_all(l->to_handler, l->line, l->line_len, -1, l->deadline);

    return rc < 0 ? no_answer(l, NULL, answer_failed(l, rc)) : STEP_ON;
}

/* Gives the first n bytes of what the handler has said to the client as they are. */
static int pass_raw(struct lobby *l, size_t n)
{
    if (send_text(l, l->reply, n) < 0)
        return -EPIPE;
    l->reply_len -= n;
    memmove(l->reply, l->reply + n, l->reply_len);
    return 0;
}

/* The client's answer to a challenge: one line, or two where the first announces a literal. */
static enum step pass_response(struct lobby *l)
{
    bool announced;

    do {
        enum line_result result = read_line(l);
        if (result != LINE_READ)
            return no_line(l, result);
        size_t len = without_line_end(l->line, l->line_len);
        announced = len > 1 && l->line[0] == '{' && l->line[len - 1] == '}';
        if (pass_line(l) != STEP_ON)
            return STEP_END;
    } while (announced && ++l->commands <= LOBBY_COMMANDS_MAX);
    return STEP_ON;
}

/* A command that leaves the lobby if the handler says yes to it. Until then the lobby is not left:
 * a refused login must not open the way for one that the policy forbids. */
static enum step try_to_leave(struct lobby *l, const struct command *c)
{
    enum step step = pass_line(l);

    while (step == STEP_ON) {
        size_t n = 0;
        enum answer_result result = handler_line(l, &n);
        if (result != ANSWER_READ)
            return no_answer(l, NULL, result);
        switch (l->dialect->answer(c, l->reply, without_line_end(l->reply, n))) {
        case ANSWER_YES:
            return pass_raw(l, l->reply_len) < 0 ? end(l, ENDING_LEFT) : STEP_RELAY;
        case ANSWER_MORE:
            step = pass_raw(l, n) < 0 ? end(l, ENDING_LEFT) : STEP_ON;
            break;
        case ANSWER_CHALLENGE:
            if (++l->commands > LOBBY_COMMANDS_MAX || pass_raw(l, n) < 0)
                return say_end(l, SAY_TOO_MANY, NULL, ENDING_PROTOCOL);
            step = pass_response(l);
            break;
        case ANSWER_STEP:
        case ANSWER_NO:
            return pass_answer(l, c);
        }
    }
    return step;
}

static enum step pass_command(struct lobby *l, const struct command *c)
{
    enum step step = pass_line(l);

    if (step == STEP_ON)
        step = pass_answer(l, c);
    if (step == STEP_ON && c->kind == COMMAND_QUIT)
        step = end(l, ENDING_LEFT);
    return step;
}

/* The policies auth and optional: a handler answers. */
static enum step obey_with_handler(struct lobby *l, const struct command *c)
{
    bool allowed = l->setting.passwords;

    switch (c->kind) {
    case COMMAND_MECHANISM:
        if (c->mechanism_len == 0)
            return pass_command(l, c);
        allowed = allowed || policy_is_challenge(c->mechanism, c->mechanism_len);
        return allowed ? try_to_leave(l, c) : refuse(l, SAY_NO_PASSWORD, c);
    case COMMAND_PASSWORD:
        return allowed ? try_to_leave(l, c) : refuse(l, SAY_NO_PASSWORD, c);
    case COMMAND_LEAVE:
        return try_to_leave(l, c);
    default:
        return pass_command(l, c);
    }
}

/* The policy required: the lobby answers by itself. */
static enum step obey_alone(struct lobby *l, const struct command *c)
{
    switch (c->kind) {
    case COMMAND_CAPABILITY:
        return after_write(l, say(l, SAY_CAPABILITIES, c));
    case COMMAND_HARMLESS:
        return after_write(l, say(l, SAY_DONE, c));
    case COMMAND_QUIT:
        return say_end(l, SAY_BYE, c, ENDING_LEFT);
    default:
        return refuse(l, c->verb != NULL ? SAY_NEED_TLS : SAY_UNKNOWN, c);
    }
}

static enum step leave_at_once(struct lobby *l)
{
    if (pass_raw(l, l->reply_len) < 0)
        return end(l, ENDING_LEFT);
    return pass_line(l) == STEP_ON ? STEP_RELAY : STEP_END;
}

static enum step obey(struct lobby *l)
{
    char line[LOBBY_LINE_MAX];
    struct command c;

    /* A SASL exchange brings other lines, while the command is still needed. */
    memcpy(line, l->line, l->line_len);
    l->dialect->parse(&c, line, without_line_end(line, l->line_len));
    /* Where every login is allowed, one that begins with a literal is too: it can't be followed line
     * by line, so it leaves at once. */
    if (c.login && (c.kind == COMMAND_LITERAL || c.kind == COMMAND_UNASKED) && l->setting.handler &&
        l->setting.passwords)
        return leave_at_once(l);
    switch (c.kind) {
    case COMMAND_STARTTLS:
        return start_tls(l, &c);
    case COMMAND_MALFORMED:
    case COMMAND_LITERAL:
        return after_write(l, say(l, SAY_MALFORMED, &c));
    case COMMAND_UNASKED:
        complain(l, "client sent data that nobody asked for before TLS: connection closed");
        return say_end(l, SAY_TOO_LONG, NULL, ENDING_PROTOCOL);
    default:
        return policy_has_handler(l->policy) ? obey_with_handler(l, &c) : obey_alone(l, &c);
    }
}

static enum step greet(struct lobby *l)
{
    static const struct command connection = {.kind = COMMAND_GREETING, .tag = ""};

    if (!policy_has_handler(l->policy))
        return after_write(l, say(l, SAY_GREETING, NULL));
    enum asked result = l->host->start(l->host->gate, &l->to_handler, &l->from_handler);
    if (result != ASK_OK)
        return handler_failed(l, NULL, result);
    return pass_answer(l, &connection);
}

enum lobby_outcome lobby_run(struct lobby *l)
{
    enum step step;

    l->to_handler = l->from_handler = -1;
    l->setting.handler = policy_has_handler(l->policy);
    l->setting.passwords = policy_allows_passwords(l->policy);
    l->setting.mechanism_ok = policy_is_challenge;
    for (step = greet(l); step == STEP_ON;) {
        enum line_result result = read_line(l);
        if (result != LINE_READ) {
            step = no_line(l, result);
        } else if (++l->commands > LOBBY_COMMANDS_MAX) {
            complain(l, "client sent more than 20 commands before TLS: connection closed");
            step = say_end(l, SAY_TOO_MANY, NULL, ENDING_PROTOCOL);
        } else {
            step = obey(l);
        }
    }
    tell_refusals(l);
    if (step != STEP_RELAY)
        close_handler(l);
    return step == STEP_TLS ? LOBBY_TLS : step == STEP_RELAY ? LOBBY_RELAY : LOBBY_ENDED;
}
