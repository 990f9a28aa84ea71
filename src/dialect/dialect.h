/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A protocol as the lobby needs it: its commands, answers and words. Pure: knows no descriptors. */
#ifndef POSTERN_DIALECT_H
#define POSTERN_DIALECT_H

#include <stdbool.h>
#include <stddef.h>

#define DIALECT_TAG_MAX 128 /* bytes of an IMAP tag, which each of our answers repeats */

/* A text under construction in the caller's buffer. Text that does not fit is left out and sets `full`. */
struct text {
    char *buf;
    size_t size;
    size_t len;
    bool full;
};

/* Append bytes; a line and CR LF; formatted text. */
void text_add(struct text *t, const char *bytes, size_t len);
void text_add_line(struct text *t, const char *line, size_t len);
void text_format(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The kinds of lines that a client sends to the lobby. */
enum command_kind {
    COMMAND_GREETING,   /* no command: in `struct reply`, the greeting at the beginning */
    COMMAND_CAPABILITY, /* asks for the server's capabilities */
    COMMAND_STARTTLS,
    COMMAND_QUIT,
    COMMAND_HARMLESS,  /* the lobby can answer it: NOOP, RSET, ID, HELO */
    COMMAND_PASSWORD,  /* a login with a reusable password */
    COMMAND_MECHANISM, /* a login by the SASL mechanism in `mechanism` */
    COMMAND_MAIL,      /* begins a mail transaction (RFC 5321 section 3.3) */
    COMMAND_DATA,      /* asks to send the message; it follows when the answer allows it */
    COMMAND_CHUNK,     /* a part of the message follows at once (RFC 3030) */
    COMMAND_LEAVE, /* if it succeeds, the session goes on in plaintext, without the lobby: news */
    COMMAND_OTHER, /* anything else; the lobby waits for its whole answer */
    COMMAND_MALFORMED, /* breaks the protocol's syntax */
    COMMAND_LITERAL,   /* announces bytes that follow when the server asks for them: refused */
    COMMAND_UNASKED    /* announces bytes that follow at once: ends the connection */
};

/* A parsed line. All pointers but `verb` point into it. */
struct command {
    enum command_kind kind;
    const char *verb; /* the command's name, a constant that may be logged; NULL: unknown */
    const char *tag;  /* IMAP; "" otherwise */
    size_t tag_len;
    const char *argument; /* the rest of the line behind the verb and the blanks */
    size_t argument_len;
    bool plain; /* plain words with one blank between them, which every server reads alike */
    bool login; /* a login by password or mechanism, even if its kind is LITERAL or UNASKED */
    const char *mechanism;
    size_t mechanism_len;
};

/* What the lobby may offer and allow. */
struct setting {
    const char *host; /* our name in greetings */
    bool tls;         /* STARTTLS works */
    bool passwords;   /* reusable passwords are allowed in plaintext */
    bool handler;     /* a handler runs and answers commands (policy auth, optional) */
    bool mail;        /* the handler has accepted a COMMAND_MAIL */
    bool (*mechanism_ok)(const char *name, size_t len); /* true: allowed in plaintext */
};

/* The occasions on which the lobby itself answers the client. Every text is whole lines that end in CR LF. */
enum occasion {
    SAY_GREETING,
    SAY_CAPABILITIES, /* the answer to COMMAND_CAPABILITY */
    SAY_DONE,         /* the answer to COMMAND_HARMLESS */
    SAY_BYE,          /* the answer to COMMAND_QUIT */
    SAY_BEGIN_TLS,    /* the answer to COMMAND_STARTTLS: go ahead */
    SAY_NO_TLS,       /* the answer to COMMAND_STARTTLS: TLS does not work now */
    SAY_NEED_TLS,     /* this command is refused without TLS */
    SAY_NO_PASSWORD,  /* this login is refused without TLS */
    SAY_MALFORMED,    /* a command that breaks the syntax, or STARTTLS with an argument */
    SAY_UNKNOWN,      /* an unknown command */
    /* The connection is closed after each of these. */
    SAY_TOO_LONG,
    SAY_TOO_MANY,
    SAY_TIMEOUT,
    SAY_UNAVAILABLE, /* the handler could not be started */
    SAY_FULL         /* too many clients; in place of the greeting */
};

/* A command of a protocol and its kind. */
struct word {
    const char *verb;
    enum command_kind kind;
};

/* The text for an occasion. In it %h is our name, %t the command's tag (* without one), %a its argument.
 * A part that ends with %. is written only if its condition holds: %+ TLS works, %- it does not,
 * %? the command has an argument, %= a handler runs, %~ no handler runs. */
struct saying {
    enum occasion occasion;
    const char *verb; /* the command that is answered; NULL: any. The first row that fits counts */
    const char *text;
};

/* The state of a handler's answer while it passes to the client, line by line. */
struct reply {
    const struct setting *setting;
    const struct command *command; /* the command; kind COMMAND_GREETING for the greeting */
    unsigned lines;                /* number of lines so far */
    bool many;                     /* the first line said that more come */
    bool preauth;                  /* IMAP: the greeting says that the client is logged in */
};

enum reply_state {
    REPLY_MORE,  /* another line comes */
    REPLY_LAST,  /* the answer is complete */
    REPLY_BROKEN /* not an answer of this protocol, or one that the lobby can't pass on */
};

/* The meaning of a line of the handler's answer to a login or a COMMAND_LEAVE. */
enum answer {
    ANSWER_YES,       /* success: the session leaves the lobby */
    ANSWER_STEP,      /* half of a login is accepted (USER): the lobby goes on */
    ANSWER_NO,        /* refused: the lobby goes on */
    ANSWER_CHALLENGE, /* the client has to send the next line of a SASL exchange */
    ANSWER_MORE       /* the next line decides */
};

/* What to do with a new handler's greeting inside TLS. The client has had a greeting before TLS. */
enum greeting_verdict {
    GREETING_MORE,    /* read on: it is not complete */
    GREETING_SWALLOW, /* discard it */
    GREETING_ANSWER,  /* it is a refusal: send it as the answer to the client's first command */
    GREETING_REFUSE   /* end the session: PREAUTH must not follow STARTTLS */
};

/* One protocol: its data and its functions. */
struct dialect {
    const char *name;             /* its name for --starttls */
    const char *title;            /* its name in messages */
    const char *alpn;             /* its names for ALPN, with commas between */
    bool tabs;                    /* a tab counts as a blank */
    const struct saying *sayings; /* ended by a row without text */
    const struct saying *shared;  /* is searched after `sayings`; NULL: none */

    /* Parses a line without its line end, and sets all of *c. */
    void (*parse)(struct command *c, const char *line, size_t len);

    /* True if the line is a client's response in a SASL exchange: base64, or the word that cancels it. Sets
     * *announced to the length of a response that follows in the next line (ManageSieve), else to 0. */
    bool (*response)(const char *line, size_t len, size_t *announced);
    const char *cancel; /* the response that cancels (RFC 4422 section 3.5), with its line end */

    /* Edits the next line of a handler's answer: adds or removes STARTTLS, hides logins that are not
     * allowed. The line has neither a line end nor a NUL; `out` gets CR LF. `out` collects the whole
     * answer, which is complete at REPLY_LAST. */
    enum reply_state (*reply)(struct reply *r, const char *line, size_t len, struct text *out);

    /* Returns the meaning of a line of the answer to a command of kind PASSWORD, MECHANISM or LEAVE. */
    enum answer (*answer)(const struct command *c, const char *line, size_t len);

    /* Says what to do with the greeting at the beginning of `bytes`. Sets *used to its length with the line
     * end, but not for GREETING_MORE. NULL: the client gets each greeting (ManageSieve). */
    enum greeting_verdict (*greeting)(const char *bytes, size_t len, size_t *used);
};

extern const struct dialect dialect_imap, dialect_pop3, dialect_smtp, dialect_lmtp, dialect_sieve,
    dialect_nntp;

/* Returns the dialect of this name; NULL if there is none. */
const struct dialect *dialect_find(const char *name);

/* Takes a word and the blanks behind it off the front of *rest. Returns the word's length; 0 at the end. */
size_t dialect_word(const char **rest, size_t *len);

/* Sets c->mechanism from c->argument. Clears c->plain unless it is a mechanism's name, alone or with an initial
 * response: base64 or a single =, which stands for an empty one (RFC 4954 section 4). */
void dialect_take_mechanism(struct command *c);

/* True if exactly one blank separates a word of n bytes from `next`, or if nothing follows (left == 0). dialect_word()
 * gives n, next and left. */
bool dialect_one_blank(const char *word, size_t n, const char *next, size_t left);

/* True for the name of a SASL mechanism (RFC 4422 section 3.1); small letters count as capitals. */
bool dialect_is_mechanism(const char *name, size_t len);

/* Finds a word, without regard to case. Returns its row, or NULL. */
const struct word *dialect_find_word(const struct word *words, size_t count, const char *word,
                                     size_t len);

/* Looks the first word of a line up in this table. Sets kind, verb, argument and plain, and clears the rest of *c.
 * An unknown word becomes COMMAND_OTHER without a verb, a missing one COMMAND_MALFORMED. Returns the
 * length of the word. */
size_t dialect_parse_verb(struct command *c, const struct word *words, size_t count,
                          const char *line, size_t len);

/* True if a line begins with three digits. */
bool dialect_has_code(const char *line, size_t len);

/* True if a line holds a control character; a tab is allowed if d->tabs. */
bool dialect_has_control(const struct dialect *d, const char *line, size_t len);

/* Writes the text for this occasion. c: the command that it answers; NULL: none. */
void dialect_say(const struct dialect *d, struct text *out, enum occasion occasion,
                 const struct command *c, const struct setting *s);

/* True for base64 (RFC 4648 section 4) with its padding, and for an empty text. */
bool dialect_is_base64(const char *text, size_t len);

/* Serves as `response` for protocols whose responses are lines of base64, or a star to cancel. */
bool dialect_base64_response(const char *line, size_t len, size_t *announced);

/* True if the len bytes at word are this name, without regard to case. */
bool dialect_is(const char *word, size_t len, const char *name);

/* True if the len bytes at line begin with `start`, without regard to case. */
bool dialect_begins(const char *line, size_t len, const char *start);

/* Serves as `greeting` for protocols whose greeting is one line. A greeting that begins with `good` is discarded,
 * any other one is a refusal. */
enum greeting_verdict dialect_greeting(const char *bytes, size_t len, size_t *used,
                                       const char *good);

/* Appends the allowed mechanisms of a list with blanks between, each with a blank before it. Returns their number. */
unsigned dialect_add_mechanisms(struct text *out, const char *list, size_t len,
                                const struct setting *s);

/* Appends a line: the label, then the allowed mechanisms of the list. Appends nothing if none is allowed. */
void dialect_add_mechanism_line(struct text *out, const char *label, size_t label_len,
                                const char *list, size_t len, const struct setting *s);

#endif
