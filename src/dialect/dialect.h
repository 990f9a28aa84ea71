/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the lobby must know of a protocol: its words, and nothing that touches a descriptor.
 */
#ifndef POSTERN_DIALECT_H
#define POSTERN_DIALECT_H

#include <stdbool.h>
#include <stddef.h>

#define DIALECT_TAG_MAX 128 /* bytes of an IMAP tag: it comes back in each of our answers */

/* Text under construction in a buffer of the caller's; what doesn't fit sets `full`. */
struct text {
    char *buf;
    size_t size;
    size_t len;
    bool full;
};

void text_add(struct text *t, const char *bytes, size_t len);
void text_add_line(struct text *t, const char *line, size_t len);
void text_format(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What a line of the client is to the lobby. */
enum command_kind {
    COMMAND_GREETING,   /* no command: stands for the connection itself, in `struct reply` */
    COMMAND_CAPABILITY, /* asks what the server can do */
    COMMAND_STARTTLS,
    COMMAND_QUIT,
    COMMAND_HARMLESS,  /* the lobby can answer it: NOOP, RSET, ID, HELO */
    COMMAND_PASSWORD,  /* a login with a reusable password */
    COMMAND_MECHANISM, /* a login by the SASL mechanism in `mechanism` */
    COMMAND_MAIL,      /* begins a mail transaction (RFC 5321 section 3.3) */
    COMMAND_DATA,      /* ... in which the message comes next, when it has been asked for */
    COMMAND_CHUNK,     /* ... in which a part of the message follows at once (RFC 3030) */
    COMMAND_LEAVE,     /* begins what the lobby has no part in: news */
    COMMAND_OTHER,     /* anything else; its whole answer is awaited */
    COMMAND_MALFORMED, /* breaks the protocol's syntax */
    COMMAND_LITERAL,   /* announces bytes that it will send only when asked to: refused */
    COMMAND_UNASKED    /* announces bytes that follow without being asked for: fatal */
};

/* A parsed line; the pointers point into it. */
struct command {
    enum command_kind kind;
    const char *verb; /* the command's name as a constant, fit for a log; NULL: not a known one */
    const char *tag;  /* IMAP; "" otherwise */
    size_t tag_len;
    const char *argument; /* what stands behind the verb, without the blanks before it */
    size_t argument_len;
    bool plain; /* its names are plain atoms with one blank between them: read alike by everybody */
    bool login; /* PASSWORD or MECHANISM, even if it is a LITERAL or UNASKED */
    const char *mechanism;
    size_t mechanism_len;
};

/* What can be had in this lobby. */
struct setting {
    const char *host; /* name in greetings */
    bool tls;         /* STARTTLS works */
    bool passwords;   /* reusable passwords are allowed in plaintext */
    bool handler;     /* a handler answers behind the lobby (policy auth, optional) */
    bool mail;        /* the handler has accepted a COMMAND_MAIL */
    bool (*mechanism_ok)(const char *name, size_t len); /* may be used in plaintext */
};

/* What the lobby has to say by itself. Every text is whole lines, ended by CR LF. */
enum occasion {
    SAY_GREETING,
    SAY_CAPABILITIES, /* the answer to COMMAND_CAPABILITY */
    SAY_DONE,         /* the answer to COMMAND_HARMLESS */
    SAY_BYE,          /* the answer to COMMAND_QUIT */
    SAY_BEGIN_TLS,    /* the answer to COMMAND_STARTTLS: go ahead */
    SAY_NO_TLS,       /* ... not now, for a reason of our own */
    SAY_NEED_TLS,     /* refused until TLS is up */
    SAY_NO_PASSWORD,  /* this login is refused without TLS */
    SAY_MALFORMED,    /* a command that breaks the syntax, or STARTTLS with an argument */
    SAY_UNKNOWN,      /* a command that nobody knows */
    /* the connection is closed after these */
    SAY_TOO_LONG,
    SAY_TOO_MANY,
    SAY_TIMEOUT,
    SAY_UNAVAILABLE, /* no handler */
    SAY_FULL         /* more clients than there may be; before the greeting */
};

/* A word of a protocol and what it is to the lobby. */
struct word {
    const char *verb;
    enum command_kind kind;
};

/* What a protocol says on an occasion. In `text`, %h is our name, %t the command's tag (* where there
 * is none) and %a its argument; what stands between %+ and %. is said only if TLS can be had, between
 * %- and %. only if it can't, between %? and %. only if the command has an argument, between %= and
 * %. only if a handler answers behind the lobby, between %~ and %. only if none does. */
struct saying {
    enum occasion occasion;
    const char *verb; /* as the answer to this command; NULL: to any, if no row before it fits */
    const char *text;
};

/* A handler's answer, line by line, on its way to the client. */
struct reply {
    const struct setting *setting;
    const struct command *command; /* what it answers; kind COMMAND_GREETING for the greeting */
    unsigned lines;                /* seen so far */
    bool many;                     /* the first line said that more come */
    bool preauth;                  /* IMAP: the greeting says that the client is logged in */
};

enum reply_state {
    REPLY_MORE,  /* another line comes */
    REPLY_LAST,  /* the answer is complete */
    REPLY_BROKEN /* not an answer in this protocol, or one that has no place in a lobby */
};

/* What a line of a handler's answer means to a command that may leave the lobby. */
enum answer {
    ANSWER_YES,       /* done, or begun: the lobby is left */
    ANSWER_STEP,      /* accepted, but only half of a login: the lobby goes on */
    ANSWER_NO,        /* refused: the lobby goes on */
    ANSWER_CHALLENGE, /* the client's turn in a SASL exchange */
    ANSWER_MORE       /* another line comes first */
};

/* What a fresh handler's greeting inside TLS is to the client, who has had one. */
enum greeting_verdict {
    GREETING_MORE,    /* not all there yet */
    GREETING_SWALLOW, /* nothing new */
    GREETING_ANSWER,  /* it says no: the answer to the client's first command */
    GREETING_REFUSE   /* it can't be used after STARTTLS: PREAUTH */
};

struct dialect {
    const char *name;             /* as --starttls has it */
    const char *title;            /* as people call it */
    const char *alpn;             /* its names for ALPN, with commas between */
    bool tabs;                    /* a tab is a blank, too */
    const struct saying *sayings; /* ended by a row without text */
    const struct saying *shared;  /* for what `sayings` has no row for; NULL: no such rows */

    /* Judges a line without its line end. */
    void (*parse)(struct command *c, const char *line, size_t len);

    /* True if the line is the client's turn in a SASL exchange and nothing else: base64, or what gives
     * up. *announced is set to the length of the text that comes in a line of its own (ManageSieve),
     * else to 0. */
    bool (*response)(const char *line, size_t len, size_t *announced);
    const char *cancel; /* the response that gives up (RFC 4422 section 3.5), with its line end */

    /* Edits the next line of a handler's answer: STARTTLS is ours to offer, what is not allowed is
     * hidden. The line comes without its line end and, being data of a stranger's, is not ended by
     * a NUL either; what is written to `out` has CR LF. `out` gathers the whole answer: at
     * REPLY_LAST it is complete. */
    enum reply_state (*reply)(struct reply *r, const char *line, size_t len, struct text *out);

    /* Judges a line of the answer to a command of kind PASSWORD, MECHANISM or LEAVE. */
    enum answer (*answer)(const struct command *c, const char *line, size_t len);

    /* Judges the greeting that bytes begin with; *used is its length with the line end, set unless
     * it is GREETING_MORE. NULL: this protocol wants the greeting again (ManageSieve). */
    enum greeting_verdict (*greeting)(const char *bytes, size_t len, size_t *used);
};

extern const struct dialect dialect_imap, dialect_pop3, dialect_smtp, dialect_lmtp, dialect_sieve,
    dialect_nntp;

/* The dialect of that name; NULL if there is none. */
const struct dialect *dialect_find(const char *name);

/* Takes a word off the front of *rest, which then begins behind the blanks that follow it.
 * Returns its length; 0 at the end. */
size_t dialect_word(const char **rest, size_t *len);

/* Takes a mechanism, and what may follow it at once, off c->argument. They are plain if the mechanism is
 * a name and the rest base64 or a lone =, which stands for nothing (RFC 4954 section 4). */
void dialect_take_mechanism(struct command *c);

/* True if one blank stands between a word and what comes behind it, or if nothing comes; word and next
 * are as dialect_word() has found them. */
bool dialect_one_blank(const char *word, size_t n, const char *next, size_t left);

/* True for the name of a SASL mechanism (RFC 4422 section 3.1), in any case. */
bool dialect_is_mechanism(const char *name, size_t len);

/* Finds the word, in any case. Returns its row, or NULL. */
const struct word *dialect_find_word(const struct word *words, size_t count, const char *word,
                                     size_t len);

/* Parses the first word of a line as a command out of this table, and sets all of *c but what belongs to a
 * login. An unknown word becomes COMMAND_OTHER without a verb, an empty one COMMAND_MALFORMED.
 * Returns the length of the word. */
size_t dialect_parse_verb(struct command *c, const struct word *words, size_t count,
                          const char *line, size_t len);

/* True if a line begins with three digits. */
bool dialect_has_code(const char *line, size_t len);

/* True if a line holds a control character that this protocol has no use for. */
bool dialect_has_control(const struct dialect *d, const char *line, size_t len);

/* Writes what the lobby says; c is the command it answers, or NULL where there is none. */
void dialect_say(const struct dialect *d, struct text *out, enum occasion occasion,
                 const struct command *c, const struct setting *s);

/* True for base64 (RFC 4648 section 4), the empty text among it; padding only at the end. */
bool dialect_is_base64(const char *text, size_t len);

/* `response` of a protocol whose responses are lines of base64, or a star. */
bool dialect_base64_response(const char *line, size_t len, size_t *announced);

/* True if the len bytes at word are this name, in any case. */
bool dialect_is(const char *word, size_t len, const char *name);

/* True if the len bytes at line begin with this, in any case. */
bool dialect_begins(const char *line, size_t len, const char *start);

/* Judges a greeting of one line, as `greeting` in struct dialect does: one that begins with `good` is
 * swallowed. */
enum greeting_verdict dialect_greeting(const char *bytes, size_t len, size_t *used,
                                       const char *good);

/* Appends those mechanisms of a blank-separated list that may be used, each with a blank before it.
 * Returns how many there were. */
unsigned dialect_add_mechanisms(struct text *out, const char *list, size_t len,
                                const struct setting *s);

/* Appends a line: the label, then the mechanisms of the list that may be used. Appends nothing if there is
 * none. */
void dialect_add_mechanism_line(struct text *out, const char *label, size_t label_len,
                                const char *list, size_t len, const struct setting *s);

#endif
