/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/lobby_handler.h"

#include "common/io.h"
#include "gate/lobby_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

enum lobby_step lobby_handler_failed(struct lobby *l, const struct command *c, enum asked result)
{
    static const enum ending endings[] = {[ASK_NOTHING] = ENDING_NO_HANDLER,
                                          [ASK_HANDLER_EXITED] = ENDING_SIGTERM,
                                          [ASK_STOP] = ENDING_SIGTERM,
                                          [ASK_FAILED] = ENDING_SYSTEM};

    return lobby_say_end(l, SAY_UNAVAILABLE, c, endings[result]);
}

void lobby_close_handler(struct lobby *l)
{
    if (l->from_handler != l->to_handler)
        io_close(&l->from_handler);
    l->from_handler = -1;
    io_close(&l->to_handler);
}

/* The result of reading the handler's answer, or of writing to the handler. */
enum answer_result {
    ANSWER_READ,
    ANSWER_ENDED,     /* the handler closed its end */
    ANSWER_LATE,      /* the deadline is over */
    ANSWER_MISPLACED, /* not allowed before TLS, or too long */
    ANSWER_FAILED     /* the system failed: l->error */
};

/* Turns a result of io_wait(), io_read() or io_write_all() that is no success into an answer_result. */
static enum answer_result answer_error(struct lobby *l, ssize_t error)
{
    if (error == -ETIMEDOUT)
        return ANSWER_LATE;
    if (error == 0 || error == -EPIPE || error == -ECONNRESET)
        return ANSWER_ENDED;
    l->error = (int)error;
    return ANSWER_FAILED;
}

/* Reads until l->reply begins with a whole line. *len is its length, line end included. */
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
            return answer_error(l, n);
        l->reply_len += (size_t)n;
    }
}

/* Answers, logs and ends the lobby since the handler gave no usable answer. `r` may be NULL. */
static enum lobby_step end_without_answer(struct lobby *l, const struct reply *r,
                                          enum answer_result result)
{
    if (r != NULL && r->preauth)
        lobby_log(l, GRAVITY_ERROR,
                  "handler greets with PREAUTH: it takes the client for logged in, so it can't be "
                  "used with --starttls; use immediate TLS, or a login program");
    else if (result == ANSWER_LATE)
        lobby_log(l, GRAVITY_ERROR,
                  l->setting.mail ? "handler did not answer before --timeout-idle was over"
                                  : "handler did not answer before --timeout-lobby was over");
    else if (result == ANSWER_ENDED)
        lobby_log(l, GRAVITY_ERROR, "handler ended before its answer was whole");
    else if (result == ANSWER_MISPLACED)
        lobby_log(l, GRAVITY_ERROR, "handler gave an answer that has no place before TLS");
    else {
        (void)lobby_say(l, SAY_UNAVAILABLE, NULL);
        return lobby_end_system(l, "speak to the handler", l->error);
    }
    return lobby_say_end(l, SAY_UNAVAILABLE, NULL,
                         result != ANSWER_LATE ? ENDING_HANDLER_CLOSE
                         : l->setting.mail     ? ENDING_TIMEOUT_IDLE
                                               : ENDING_TIMEOUT_LOBBY);
}

enum lobby_step lobby_pass_answer(struct lobby *l, const struct command *c)
{
    char buf[LOBBY_REPLY_MAX + LOBBY_SAY_MAX];
    struct text out = {.buf = buf, .size = sizeof buf};
    struct reply r = {.setting = &l->setting, .command = c};
    enum reply_state state = REPLY_MORE;

    while (state == REPLY_MORE) {
        size_t n = 0;
        enum answer_result result = handler_line(l, &n);
        if (result != ANSWER_READ)
            return end_without_answer(l, &r, result);
        state = l->dialect->reply(&r, l->reply, lobby_trim_line_end(l->reply, n), &out);
        l->reply_len -= n;
        memmove(l->reply, l->reply + n, l->reply_len);
        if (state == REPLY_BROKEN || out.full)
            return end_without_answer(l, &r, ANSWER_MISPLACED);
    }
    return lobby_after_write(l, lobby_send(l, buf, out.len));
}

static enum lobby_step write_handler(struct lobby *l, const char *bytes, size_t len)
{
    int rc = io_write_all(l->to_handler, bytes, len, -1, l->deadline);

    return rc < 0 ? end_without_answer(l, NULL, answer_error(l, rc)) : STEP_ON;
}

/* Sends the line just read to the handler. */
static enum lobby_step pass_line(struct lobby *l)
{
    return write_handler(l, l->line, l->line_len);
}

/* Sends the first n bytes of l->reply to the client unchanged. Returns 0 or -EPIPE. */
static int pass_raw(struct lobby *l, size_t n)
{
    if (lobby_send(l, l->reply, n) < 0)
        return -EPIPE;
    l->reply_len -= n;
    memmove(l->reply, l->reply + n, l->reply_len);
    return 0;
}

/* Cancels a SASL exchange in the client's place. The handler does not get the client's line, which it might
 * take for a command. */
static enum lobby_step cancel_response(struct lobby *l)
{
    lobby_log(l, GRAVITY_NOTE,
              "client answered a SASL challenge with something else than base64: login cancelled");
    return write_handler(l, l->dialect->cancel, strlen(l->dialect->cancel));
}

/* Sends the client's response to a challenge to the handler. In some dialects a first line announces the
 * length of a second one. Then the handler gets both only when the second has that length. */
static enum lobby_step pass_response(struct lobby *l)
{
    char head[16];
    size_t announced, head_len, len;
    enum line_result result = lobby_read_line(l, LOBBY_SASL_MAX + 2);

    if (result != LINE_READ)
        return lobby_end_without_line(l, result);
    if (!l->dialect->response(l->line, lobby_trim_line_end(l->line, l->line_len), &announced))
        return cancel_response(l);
    if (announced == 0)
        return pass_line(l);
    head_len = l->line_len < sizeof head ? l->line_len : sizeof head;
    memcpy(head, l->line, head_len);
    result =
        ++l->commands > LOBBY_COMMANDS_MAX ? LINE_TOO_LONG : lobby_read_line(l, LOBBY_SASL_MAX + 2);
    if (result != LINE_READ)
        return lobby_end_without_line(l, result);
    len = lobby_trim_line_end(l->line, l->line_len);
    if (len != announced || !dialect_is_base64(l->line, len))
        return cancel_response(l);
    return write_handler(l, head, head_len) == STEP_ON ? pass_line(l) : STEP_END;
}

/* Tells the monitor that the client stays in plaintext. In a mail transaction commands are still read. */
static enum lobby_step leave(struct lobby *l)
{
    enum asked result = l->host->leave(l->host->gate);

    return result == ASK_OK ? STEP_RELAY : lobby_handler_failed(l, NULL, result);
}

/* Acts on the handler's yes. COMMAND_MAIL begins a mail transaction, in which commands are read until the
 * message comes. Any other command leaves the lobby. */
static enum lobby_step after_yes(struct lobby *l, const struct command *c)
{
    bool mail = c->kind == COMMAND_MAIL && !l->setting.passwords;
    enum lobby_step step = l->setting.mail ? STEP_RELAY : leave(l);

    if (step == STEP_RELAY && pass_raw(l, l->reply_len) < 0)
        step = lobby_end(l, ENDING_LEFT);
    if (step == STEP_RELAY && mail) {
        l->setting.mail = true;
        l->deadline = io_deadline(l->timeout_idle);
        step = STEP_ON;
    }
    return step;
}

enum lobby_step lobby_try_to_leave(struct lobby *l, struct command *c)
{
    char tag[DIALECT_TAG_MAX];

    /* c->tag points into l->line, which a SASL exchange overwrites. */
    memcpy(tag, c->tag, c->tag_len);
    c->tag = tag;
    enum lobby_step step = pass_line(l);
    while (step == STEP_ON) {
        size_t n = 0;
        enum answer_result result = handler_line(l, &n);
        if (result != ANSWER_READ)
            return end_without_answer(l, NULL, result);
        switch (l->dialect->answer(c, l->reply, lobby_trim_line_end(l->reply, n))) {
        case ANSWER_YES:
            return after_yes(l, c);
        case ANSWER_MORE:
            step = pass_raw(l, n) < 0 ? lobby_end(l, ENDING_LEFT) : STEP_ON;
            break;
        case ANSWER_CHALLENGE:
            if (++l->commands > LOBBY_COMMANDS_MAX || pass_raw(l, n) < 0)
                return lobby_say_end(l, SAY_TOO_MANY, NULL, ENDING_PROTOCOL);
            step = pass_response(l);
            break;
        case ANSWER_STEP:
        case ANSWER_NO:
            return lobby_pass_answer(l, c);
        }
    }
    return step;
}

enum lobby_step lobby_pass_command(struct lobby *l, const struct command *c)
{
    enum lobby_step step = pass_line(l);

    if (step == STEP_ON)
        step = lobby_pass_answer(l, c);
    if (step == STEP_ON && c->kind == COMMAND_QUIT)
        step = lobby_end(l, ENDING_LEFT);
    return step;
}

enum lobby_step lobby_leave_at_once(struct lobby *l)
{
    enum lobby_step step = l->setting.mail ? STEP_RELAY : leave(l);

    if (step == STEP_RELAY && pass_raw(l, l->reply_len) < 0)
        return lobby_end(l, ENDING_LEFT);
    return step == STEP_RELAY && pass_line(l) != STEP_ON ? STEP_END : step;
}
