/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gate/ruling.h"

static struct ruling say(enum occasion occasion)
{
    return (struct ruling){RULING_SAY, occasion};
}

static struct ruling refuse(enum occasion occasion)
{
    return (struct ruling){RULING_REFUSE, occasion};
}

static struct ruling act(enum ruling_kind kind)
{
    return (struct ruling){kind, SAY_DONE};
}

bool ruling_allows_login(const struct setting *s, const struct command *c)
{
    if (!s->handler)
        return false;
    return s->passwords || (c->kind == COMMAND_MECHANISM && c->mechanism_len > 0 &&
                            s->mechanism_ok(c->mechanism, c->mechanism_len));
}

/* Decides about a line that announces data. If the policy allows every login, also one with a literal is
 * allowed. A literal can't be read line by line, so such a login leaves the lobby at once. */
static struct ruling rule_announced(const struct setting *s, const struct command *c)
{
    if (c->login && s->handler && s->passwords)
        return act(RULING_LEAVE);
    if (c->login && c->kind == COMMAND_LITERAL)
        return refuse(s->handler ? SAY_NO_PASSWORD : SAY_NEED_TLS);
    return c->kind == COMMAND_LITERAL ? say(SAY_MALFORMED) : act(RULING_CLOSE);
}

/* Decides for policy `required`, where the lobby answers by itself. */
static struct ruling rule_alone(const struct command *c)
{
    switch (c->kind) {
    case COMMAND_CAPABILITY:
        return say(SAY_CAPABILITIES);
    case COMMAND_HARMLESS:
        return say(SAY_DONE);
    case COMMAND_QUIT:
        return (struct ruling){RULING_SAY_BYE, SAY_BYE};
    case COMMAND_CHUNK:
        return act(RULING_CLOSE);
    default:
        return refuse(c->verb != NULL ? SAY_NEED_TLS : SAY_UNKNOWN);
    }
}

/* Decides for the policies `auth` and `optional` about a command that the handler may get. */
static struct ruling rule_with_handler(const struct setting *s, const struct command *c)
{
    switch (c->kind) {
    case COMMAND_PASSWORD:
    case COMMAND_MECHANISM:
    case COMMAND_LEAVE:
        return act(RULING_TRY);
    case COMMAND_MAIL:
        return act(s->passwords || !s->mail ? RULING_TRY : RULING_PASS);
    case COMMAND_DATA:
        return act(s->mail ? RULING_TRY : RULING_PASS);
    case COMMAND_CHUNK:
        return act(s->mail ? RULING_LEAVE : RULING_CLOSE);
    default:
        return act(RULING_PASS);
    }
}

struct ruling ruling_of(const struct dialect *d, const struct setting *s, const struct command *c,
                        const char *line, size_t len)
{
    if (c->kind == COMMAND_LITERAL || c->kind == COMMAND_UNASKED)
        return rule_announced(s, c);
    /* This comes first, so that a password sent in plaintext is always logged. */
    if ((c->kind == COMMAND_PASSWORD || c->kind == COMMAND_MECHANISM) && !ruling_allows_login(s, c))
        return refuse(s->handler ? SAY_NO_PASSWORD : SAY_NEED_TLS);
    if (c->kind == COMMAND_MALFORMED || dialect_has_control(d, line, len))
        return say(SAY_MALFORMED);
    if (c->kind == COMMAND_STARTTLS)
        return c->argument_len > 0 ? say(SAY_MALFORMED) : act(RULING_STARTTLS);
    if (!s->handler)
        return rule_alone(c);
    if (!s->passwords && c->verb == NULL)
        return refuse(SAY_UNKNOWN);
    if (!s->passwords && !c->plain)
        return say(SAY_MALFORMED);
    return rule_with_handler(s, c);
}
