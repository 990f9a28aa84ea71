/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/lobby.h"

#include "gate/ruling.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
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
    l->host->note(l->host->gate, GRAVITY_NOTE, text);
}

static void complain(const struct lobby *l, const char *text)
{
    l->host->note(l->host->gate, GRAVITY_ERROR, text);
}

/* Complains of what is the client's own doing. */
static void blame(const struct lobby *l, const char *text)
{
    l->host->note(l->host->gate, GRAVITY_CLIENT, text);
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

    dialect_say(l->dialect, &out, occasion, c, &l->setting);
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

/* True if what there is of a line begins a login that may bring a long SASL response. */
static bool may_be_long(const struct lobby *l)
{
    struct command c;

    l->dialect->parse(&c, l->line, l->line_len);
    return ruling_allows_login(&l->setting, &c) && c.kind == COMMAND_MECHANISM;
}

/* Reads one line of at most `most` bytes, up to its LF and not a byte further, into l->line. */
static enum line_result read_line(struct lobby *l, size_t most)
{
    l->line_len = 0;
    while (l->line_len < most) {
        char *at = l->line + l->line_len;
        ssize_t n = io_peek(l->in, at, most - l->line_len, &l->no_peek);
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
        if (l->line_len == LOBBY_LINE_MAX && most == LOBBY_LINE_MAX && may_be_long(l))
            most = sizeof l->line;
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
        blame(l, "client begins TLS at once, but here it has to say STARTTLS first");
    else
        blame(l, "client sent a NUL or a bare CR before TLS: connection closed");
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
        if (l->setting.mail)
            return say_end(l, SAY_TIMEOUT, NULL, ENDING_TIMEOUT_IDLE);
        note(l, "client did nothing useful before --timeout-lobby was over");
        return say_end(l, SAY_TIMEOUT, NULL, ENDING_TIMEOUT_LOBBY);
    case LINE_TOO_LONG:
        blame(l, l->line_len > LOBBY_LINE_MAX
                     ? "client sent a SASL response of more than 12288 bytes before TLS: "
                       "connection closed"
                     : "client sent a line of more than 1000 bytes before TLS: connection closed");
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
    if (has_more(l)) {
        blame(l,
              "plaintext behind STARTTLS: an injection attack (CVE-2011-0411): connection closed");
        return end(l, ENDING_PROTOCOL);
    }
    /* RFC 3207 knows of no TLS amid a transaction: the monitor has been told that there will be none. */
    if (l->setting.mail)
        return after_write(l, say(l, SAY_NO_TLS, c));
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

/* Logs a refusal: the verb alone, never what the client sent with it. */
static void note_refusal(struct lobby *l, const struct command *c)
{
    char text[200];

    if (c->verb == NULL || !is_worth_a_line(l, c->verb, c->login))
        return;
    (void)snprintf(text, sizeof text, "%s before TLS refused by --policy=%s%s", c->verb,
                   options_policy_name(l->policy),
                   c->login ? "; if a password was sent with it, it was sent in plaintext" : "");
    note(l, text);
}

static enum step refuse(struct lobby *l, enum occasion occasion, const struct command *c)
{
    note_refusal(l, c);
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
        complain(l, l->setting.mail ? "handler did not answer before --timeout-idle was over"
                                    : "handler did not answer before --timeout-lobby was over");
    else if (result == ANSWER_ENDED)
        complain(l, "handler ended before its answer was whole");
    else if (result == ANSWER_MISPLACED)
        complain(l, "handler gave an answer that has no place before TLS");
    else {
        (void)say(l, SAY_UNAVAILABLE, NULL);
        return end_system(l, "speak to the handler", l->error);
    }
    return say_end(l, SAY_UNAVAILABLE, NULL,
                   result != ANSWER_LATE ? ENDING_HANDLER_CLOSE
                   : l->setting.mail     ? ENDING_TIMEOUT_IDLE
                                         : ENDING_TIMEOUT_LOBBY);
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

static enum step write_handler(struct lobby *l, const char *bytes, size_t len)
{
    int rc = io_write_all(l->to_handler, bytes, len, -1, l->deadline);

    return rc < 0 ? no_answer(l, NULL, answer_failed(l, rc)) : STEP_ON;
}

/* Gives the line that has just been read to the handler. */
static enum step pass_line(struct lobby *l)
{
    return write_handler(l, l->line, l->line_len);
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

/* Gives up a SASL exchange in the client's place: what it said is not for the handler, which might take
 * it for a command. */
static enum step cancel_response(struct lobby *l)
{
    note(l, "client answered a SASL challenge with something else than base64: login cancelled");
    return write_handler(l, l->dialect->cancel, strlen(l->dialect->cancel));
}

/* The client's answer to a challenge: one line, or two where the first announces the text of the
 * second. Nobody gets the first before the second is there and is as long as it should be. */
static enum step pass_response(struct lobby *l)
{
    char head[16];
    size_t announced, head_len, len;
    enum line_result result = read_line(l, LOBBY_SASL_MAX + 2);

    if (result != LINE_READ)
        return no_line(l, result);
    if (!l->dialect->response(l->line, without_line_end(l->line, l->line_len), &announced))
        return cancel_response(l);
    if (announced == 0)
        return pass_line(l);
    head_len = l->line_len < sizeof head ? l->line_len : sizeof head;
    memcpy(head, l->line, head_len);
    result = ++l->commands > LOBBY_COMMANDS_MAX ? LINE_TOO_LONG : read_line(l, LOBBY_SASL_MAX + 2);
    if (result != LINE_READ)
        return no_line(l, result);
    len = without_line_end(l->line, l->line_len);
    if (len != announced || !dialect_is_base64(l->line, len))
        return cancel_response(l);
    return write_handler(l, head, head_len) == STEP_ON ? pass_line(l) : STEP_END;
}

/* The client goes on in plaintext; what it says may still be looked at. */
static enum step leave(struct lobby *l)
{
    enum asked result = l->host->leave(l->host->gate);

    return result == ASK_OK ? STEP_RELAY : handler_failed(l, NULL, result);
}

/* The handler has said yes. A mail transaction has begun, in which commands are looked at until the
 * message comes; or the lobby is left. */
static enum step after_yes(struct lobby *l, const struct command *c)
{
    bool mail = c->kind == COMMAND_MAIL && !l->setting.passwords;
    enum step step = l->setting.mail ? STEP_RELAY : leave(l);

    if (step == STEP_RELAY && pass_raw(l, l->reply_len) < 0)
        step = end(l, ENDING_LEFT);
    if (step == STEP_RELAY && mail) {
        l->setting.mail = true;
        l->deadline = io_deadline(l->timeout_idle);
        step = STEP_ON;
    }
    return step;
}

/* A command that leaves the lobby if the handler says yes to it. Until then the lobby is not left:
 * a refused login must not open the way for one that the policy forbids. */
static enum step try_to_leave(struct lobby *l, struct command *c)
{
    char tag[DIALECT_TAG_MAX];

    /* A SASL exchange brings other lines into l->line, while the tag is still needed. */
    memcpy(tag, c->tag, c->tag_len);
    c->tag = tag;
    enum step step = pass_line(l);
    while (step == STEP_ON) {
        size_t n = 0;
        enum answer_result result = handler_line(l, &n);
        if (result != ANSWER_READ)
            return no_answer(l, NULL, result);
        switch (l->dialect->answer(c, l->reply, without_line_end(l->reply, n))) {
        case ANSWER_YES:
            return after_yes(l, c);
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

static enum step leave_at_once(struct lobby *l)
{
    enum step step = l->setting.mail ? STEP_RELAY : leave(l);

    if (step == STEP_RELAY && pass_raw(l, l->reply_len) < 0)
        return end(l, ENDING_LEFT);
    return step == STEP_RELAY && pass_line(l) != STEP_ON ? STEP_END : step;
}

/* Data follows that nobody has asked for. */
static enum step close_unasked(struct lobby *l, const struct command *c)
{
    if (c->login)
        note_refusal(l, c);
    blame(l, "client sent data that nobody asked for before TLS: connection closed");
    return say_end(l, SAY_TOO_LONG, NULL, ENDING_PROTOCOL);
}

static enum step obey(struct lobby *l)
{
    size_t len = without_line_end(l->line, l->line_len);
    struct command c;

    l->dialect->parse(&c, l->line, len);
    struct ruling ruling = ruling_of(l->dialect, &l->setting, &c, l->line, len);
    switch (ruling.kind) {
    case RULING_SAY:
        return after_write(l, say(l, ruling.say, &c));
    case RULING_SAY_BYE:
        return say_end(l, ruling.say, &c, ENDING_LEFT);
    case RULING_REFUSE:
        return refuse(l, ruling.say, &c);
    case RULING_STARTTLS:
        return start_tls(l, &c);
    case RULING_PASS:
        return pass_command(l, &c);
    case RULING_TRY:
        return try_to_leave(l, &c);
    case RULING_LEAVE:
        return leave_at_once(l);
    case RULING_CLOSE:
        break;
    }
    return close_unasked(l, &c);
}

/* Counts a command; those of a mail transaction have a time each, and their number is the handler's
 * to bound. */
static bool is_too_many(struct lobby *l)
{
    if (!l->setting.mail)
        return ++l->commands > LOBBY_COMMANDS_MAX;
    l->deadline = io_deadline(l->timeout_idle);
    return false;
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

struct lobby *lobby_new(void)
{
    struct lobby *l = malloc(sizeof *l);

    if (l != NULL)
        memset(l, 0, offsetof(struct lobby, line));
    return l;
}

enum lobby_outcome lobby_run(struct lobby *l)
{
    enum step step;

    l->to_handler = l->from_handler = -1;
    l->setting.handler = policy_has_handler(l->policy);
    l->setting.passwords = policy_allows_passwords(l->policy);
    l->setting.mechanism_ok = policy_is_challenge;
    for (step = greet(l); step == STEP_ON;) {
        enum line_result result = read_line(l, LOBBY_LINE_MAX);
        if (result != LINE_READ) {
            step = no_line(l, result);
        } else if (is_too_many(l)) {
            blame(l, "client sent more than 20 commands before TLS: connection closed");
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
