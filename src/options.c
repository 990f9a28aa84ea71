/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include "log.h"

#include <errno.h>
#include <getopt.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct row {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* what --help calls it; NULL: takes none */
    const char *help;
    int (*set)(struct options *o, const char *value, const char **why);
};

static int set_number(unsigned *number, const char *value, const char **why)
{
    char *end;

    errno = 0;
    unsigned long n = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 || n > 31536000) {
        *why = "wants a number of seconds, 0 for no limit, at most 31536000";
        return -EINVAL;
    }
    *number = (unsigned)n;
    return 0;
}

static int set_word(int *choice, const char *value, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(value, words[i]) == 0) {
            *choice = i;
            return 0;
        }
    }
    return -EINVAL;
}

static int set_cert(struct options *o, const char *value, const char **why)
{
    if (o->pair_count == OPTIONS_PAIRS_MAX) {
        *why = "given more than twice: one RSA and one ECDSA or Ed25519 certificate is the most";
        return -EINVAL;
    }
    o->pairs[o->pair_count++] = (struct pair){.cert = value};
    return 0;
}

static int set_key(struct options *o, const char *value, const char **why)
{
    if (o->pair_count == 0 || o->pairs[o->pair_count - 1].key != NULL) {
        *why = "belongs behind the --cert that it is for, once";
        return -EINVAL;
    }
    o->pairs[o->pair_count - 1].key = value;
    return 0;
}

static int set_starttls(struct options *o, const char *value, const char **why)
{
    (void)why;
    o->starttls = value;
    return 0;
}

static const char *const policy_words[] = {"required", "auth", "optional", NULL};

static int set_policy(struct options *o, const char *value, const char **why)
{
    int choice = 0;

    *why = "wants required, auth or optional";
    o->policy_given = true;
    int rc = set_word(&choice, value, policy_words);
    o->policy = (enum policy)choice;
    return rc;
}

static int set_name(struct options *o, const char *value, const char **why)
{
    size_t len = strlen(value);

    *why = "wants a host name: letters, digits, dots and hyphens, at most 255";
    if (len == 0 || len > 255)
        return -EINVAL;
    if (strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") != len)
        return -EINVAL;
    o->name = value;
    return 0;
}

static int set_trusted(struct options *o, const char *value, const char **why)
{
    (void)why;
    o->trusted = value;
    return 0;
}

static int set_ucspi_tls(struct options *o, const char *value, const char **why)
{
    (void)value;
    (void)why;
    o->ucspi_tls = true;
    return 0;
}

static int set_user(struct options *o, const char *value, const char **why)
{
    *why = "wants USER or USER:GROUP";
    o->user = value;
    return *value == '\0' || *value == ':' ? -EINVAL : 0;
}

static int set_handler_user(struct options *o, const char *value, const char **why)
{
    *why = "wants USER or USER:GROUP";
    o->handler_user = value;
    return *value == '\0' || *value == ':' ? -EINVAL : 0;
}

static int set_chroot(struct options *o, const char *value, const char **why)
{
    *why = "wants an absolute path";
    o->chroot_dir = value;
    return *value == '/' ? 0 : -EINVAL;
}

static int set_jail(struct options *o, const char *value, const char **why)
{
    static const char *const words[] = {"on", "strict", "off", NULL};
    int choice = 0;

    *why = "wants on, strict or off";
    int rc = set_word(&choice, value, words);
    o->jail = (enum jail_mode)choice;
    return rc;
}

static int set_stdio(struct options *o, const char *value, const char **why)
{
    static const char *const words[] = {"pipe", "socket", NULL};
    int choice = 0;

    *why = "wants pipe or socket";
    int rc = set_word(&choice, value, words);
    o->stdio = (enum stdio_mode)choice;
    return rc;
}

static int set_tls_min(struct options *o, const char *value, const char **why)
{
    static const char *const words[] = {"1.0", "1.1", "1.2", "1.3", NULL};
    int choice = 0;

    *why = "wants 1.0, 1.1, 1.2 or 1.3";
    int rc = set_word(&choice, value, words);
    o->tls_min = 0x0301 + (unsigned)choice;
    return rc;
}

static int set_ciphers(struct options *o, const char *value, const char **why)
{
    *why = "wants a list of cipher suites with colons between";
    o->ciphers = value;
    return *value == '\0' ? -EINVAL : 0;
}

static int set_groups(struct options *o, const char *value, const char **why)
{
    *why = "wants a list of groups such as X25519:P-256";
    o->groups = value;
    return *value == '\0' ? -EINVAL : 0;
}

static int set_timeout_lobby(struct options *o, const char *value, const char **why)
{
    return set_number(&o->timeout_lobby, value, why);
}

static int set_timeout_handshake(struct options *o, const char *value, const char **why)
{
    return set_number(&o->timeout_handshake, value, why);
}

static int set_timeout_idle(struct options *o, const char *value, const char **why)
{
    return set_number(&o->timeout_idle, value, why);
}

static int set_timeout_session(struct options *o, const char *value, const char **why)
{
    return set_number(&o->timeout_session, value, why);
}

static int set_timeout_grace(struct options *o, const char *value, const char **why)
{
    return set_number(&o->timeout_grace, value, why);
}

static int set_config(struct options *o, const char *value, const char **why)
{
    *why = "wants a file";
    o->config = value;
    return *value == '\0' ? -EINVAL : 0;
}

static int set_check(struct options *o, const char *value, const char **why)
{
    (void)value;
    (void)why;
    o->action = ACTION_CHECK;
    return 0;
}

static int set_log(struct options *o, const char *value, const char **why)
{
    static const char *const words[] = {"auto", "stderr", "syslog", NULL};
    int choice = 0;

    *why = "wants stderr or syslog";
    int rc = set_word(&choice, value, words);
    o->log = (enum log_choice)choice;
    return rc;
}

static int set_verbose(struct options *o, const char *value, const char **why)
{
    (void)value;
    (void)why;
    o->verbosity = 1;
    return 0;
}

static int set_quiet(struct options *o, const char *value, const char **why)
{
    (void)value;
    (void)why;
    o->verbosity = -1;
    return 0;
}

static int set_help(struct options *o, const char *value, const char **why)
{
    (void)value;
    (void)why;
    o->action = ACTION_HELP;
    return 0;
}

static int set_version(struct options *o, const char *value, const char **why)
{
    (void)value;
    (void)why;
    o->action = ACTION_VERSION;
    return 0;
}

static const struct row rows[] = {
    {"cert", 'c', "FILE", "certificate chain in PEM, leaf first (required; twice: RSA and ECDSA)",
     set_cert},
    {"key", 'k', "FILE", "its private key in PEM; left out: in the same file", set_key},
    {"starttls", 's', "DIALECT", "imap, pop3, smtp, lmtp, sieve or nntp; without it, immediate TLS",
     set_starttls},
    {"policy", 'p', "POLICY", "required, auth or optional: what plaintext may do [required]",
     set_policy},
    {"name", 0, "HOST", "name in greetings [this host's]", set_name},
    {"trusted", 0, "CIDR,...", "client networks that need no TLS; local: both ends the same host",
     set_trusted},
    {"ucspi-tls", 0, NULL, "the handler asks for TLS itself, over UCSPI-TLS", set_ucspi_tls},
    {"user", 'u', "USER[:GROUP]", "who the gate runs as [as root: a uid of its own]", set_user},
    {"handler-user", 0, "USER[:GROUP]", "who the handler runs as [as started]", set_handler_user},
    {"chroot", 0, "DIR", "empty folder for the gate [as root: a fresh one]", set_chroot},
    {"jail", 0, "MODE", "on, strict or off [on]", set_jail},
    {"stdio", 0, "KIND", "the handler's stdin and stdout: pipe or socket [pipe]", set_stdio},
    {"tls-min", 0, "VERSION", "lowest TLS version: 1.0, 1.1, 1.2 or 1.3 [1.2]", set_tls_min},
    {"ciphers", 0, "LIST", "cipher suites as wolfSSL names them, colons between", set_ciphers},
    {"groups", 0, "LIST", "key exchange groups [X25519:P-256:P-384]", set_groups},
    {"timeout-lobby", 0, "SECONDS", "for the plaintext before STARTTLS [60]", set_timeout_lobby},
    {"timeout-handshake", 0, "SECONDS", "for the TLS handshake [30]", set_timeout_handshake},
    {"timeout-idle", 0, "SECONDS", "without a byte in either direction [1900]", set_timeout_idle},
    {"timeout-session", 0, "SECONDS", "for the whole connection [0: none]", set_timeout_session},
    {"timeout-grace", 0, "SECONDS", "for the handler after its client has left [10]",
     set_timeout_grace},
    {"config", 'f', "FILE", "lines `option = value' with these long names", set_config},
    {"check", 0, NULL, "check options, files and handler, print a report, exit", set_check},
    {"log", 0, "TARGET", "stderr or syslog [stderr, if it is not the connection]", set_log},
    {"verbose", 'v', NULL, "log details", set_verbose},
    {"quiet", 'q', NULL, "log only what goes wrong", set_quiet},
    {"help", 'h', NULL, "print this and exit", set_help},
    {"version", 'V', NULL, "print versions and features and exit", set_version},
};

#define ROWS (sizeof rows / sizeof rows[0])

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static int set_argument(struct options *o, const struct row *row, const char *value)
{
    const char *why = "is wrong";
    char shown[80];

    if (row->set(o, value, &why) == 0)
        return 0;
    log_error("--%s=%s: %s; see --help", row->name,
              log_escape(shown, sizeof shown, value, strlen(value)), why);
    return -EINVAL;
}

/* One pass over argv. With `given` not NULL nothing is set but the marks of what was given and
 * the name of the configuration file; with NULL everything is set. */
static int read_arguments(struct options *o, int argc, char **argv, bool *given)
{
    struct option longs[ROWS + 1];
    char shorts[2 * ROWS + 2] = "+";
    size_t n = 1;
    int c;
    int at = -1;

    memset(longs, 0, sizeof longs);
    for (size_t i = 0; i < ROWS; i++) {
        longs[i].name = rows[i].name;
        longs[i].has_arg = rows[i].argument != NULL ? required_argument : no_argument;
        longs[i].flag = &at;
        longs[i].val = (int)i;
        if (rows[i].letter != 0) {
            shorts[n++] = rows[i].letter;
            if (rows[i].argument != NULL)
                shorts[n++] = ':';
        }
    }
    optind = 0; /* glibc and musl: start anew */
    opterr = 0;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (c == '?') {
            char shown[80];
            const char *word = argv[optind > 0 ? optind - 1 : 0];
            (void)log_escape(shown, sizeof shown, word, strlen(word));
            log_error("%s: no such option, or its value is missing; see --help", shown);
            return EX_USAGE;
        }
        size_t i = (size_t)at;
        if (c != 0)
            for (i = 0; rows[i].letter != c; i++)
                ;
        if (given != NULL) {
            given[i] = true;
            if (rows[i].set == set_config)
                o->config = optarg;
            continue;
        }
        if (set_argument(o, &rows[i], optarg != NULL ? optarg : "") < 0)
            return EX_USAGE;
    }
    o->handler = argv + optind;
    return 0;
}

struct config_reader {
    struct options *o;
    const bool *given; /* what the command line has said, by row */
    FILE *file;
    bool too_long;
    char why[320]; /* the first thing that is wrong; inih then tells its line */
};

/* A copy of a value from the file that lives as long as the options. NULL: no memory. */
static const char *keep(struct options *o, const char *value)
{
    char **more = realloc(o->owned, (o->owned_count + 1) * sizeof *more);

    if (more == NULL)
        return NULL;
    o->owned = more;
    char *copy = strdup(value);
    if (copy != NULL)
        o->owned[o->owned_count++] = copy;
    return copy;
}

/* inih takes an indented line for a continuation and a long one for two: neither is wanted. */
static char *read_line(char *line, int size, void *stream)
{
    struct config_reader *reader = stream;

    if (fgets(line, size, reader->file) == NULL)
        return NULL;
    size_t len = strlen(line);
    if (len == (size_t)size - 1 && line[len - 1] != '\n') {
        reader->too_long = true;
        (void)snprintf(line, (size_t)size, "=\n");
        return line;
    }
    size_t blank = strspn(line, " \t");
    memmove(line, line + blank, len - blank + 1);
    return line;
}

static int refuse(struct config_reader *reader, const char *name, const char *why)
{
    char shown[80];

    if (reader->why[0] == '\0')
        (void)snprintf(reader->why, sizeof reader->why, "%s: %s",
                       log_escape(shown, sizeof shown, name, strlen(name)), why);
    return 0;
}

/* inih calls this for each line; 0 marks that line as wrong. */
static int take_line(void *user, const char *section, const char *name, const char *value)
{
    struct config_reader *reader = user;
    const struct row *row = find_row(name);
    const char *why = "is wrong";

    if (*section != '\0')
        return refuse(reader, section, "sections mean nothing here; write option = value only");
    if (row == NULL || row->set == set_config || row->set == set_help || row->set == set_version)
        return refuse(reader, name, "no such option; the names are the long ones of --help");
    if (row->argument == NULL) {
        if (strcmp(value, "no") == 0)
            return 1;
        if (strcmp(value, "yes") != 0)
            return refuse(reader, name, "wants yes or no");
    }
    /* A certificate and its key go together: a pair on the command line replaces the file's. */
    bool is_pair = row->set == set_cert || row->set == set_key;
    if (reader->given[row - rows] || (is_pair && reader->given[0]))
        return 1;
    const char *copy = keep(reader->o, value);
    if (copy == NULL)
        return refuse(reader, name, "out of memory");
    if (row->set(reader->o, copy, &why) < 0)
        return refuse(reader, name, why);
    return 1;
}

static int read_config(struct options *o, const bool *given)
{
    struct config_reader reader = {.o = o, .given = given, .file = fopen(o->config, "re")};

    if (reader.file == NULL) {
        log_error("--config=%s: cannot be opened: %s", o->config, strerror(errno));
        return EX_CONFIG;
    }
    errno = 0;
    int line = ini_parse_stream(read_line, &reader, take_line, &reader);
    bool unreadable = ferror(reader.file) != 0;
    int saved = errno;
    (void)fclose(reader.file);
    if (unreadable) {
        log_error("--config=%s: cannot be read: %s", o->config, strerror(saved));
        return EX_CONFIG;
    }
    if (line == 0)
        return 0;
    if (reader.too_long && reader.why[0] == '\0')
        (void)snprintf(reader.why, sizeof reader.why, "this line is too long");
    log_error("%s:%d: %s", o->config, line,
              reader.why[0] != '\0' ? reader.why : "not an `option = value' line");
    return EX_CONFIG;
}

/* What no single option can know. */
static int check_together(const struct options *o)
{
    if (o->action == ACTION_HELP || o->action == ACTION_VERSION)
        return 0;
    if (o->pair_count == 0) {
        log_error("no certificate: give --cert=FILE (and --key=FILE); for a trial, `openssl req "
                  "-x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem' makes one");
        return EX_USAGE;
    }
    if (o->handler[0] == NULL && o->action == ACTION_SERVE) {
        log_error("no handler: end the command line with the program that speaks plaintext on "
                  "stdin and stdout; see --help");
        return EX_USAGE;
    }
    if (o->policy_given && o->starttls == NULL) {
        log_error("--policy is about plaintext before STARTTLS: it goes with --starttls only");
        return EX_USAGE;
    }
    if (o->ucspi_tls && o->starttls != NULL) {
        log_error("--ucspi-tls leaves the plaintext to the handler: leave --starttls out");
        return EX_USAGE;
    }
    return 0;
}

int options_read(struct options *o, int argc, char **argv)
{
    bool given[ROWS] = {false};

    *o = (struct options){.tls_min = 0x0303,
                          .timeout_lobby = 60,
                          .timeout_handshake = 30,
                          .timeout_idle = 1900,
                          .timeout_grace = 10};
    int rc = read_arguments(o, argc, argv, given);
    if (rc == 0 && o->config != NULL)
        rc = read_config(o, given);
    if (rc == 0)
        rc = read_arguments(o, argc, argv, NULL);
    if (rc == 0)
        rc = check_together(o);
    return rc;
}

void options_free(struct options *o)
{
    for (size_t i = 0; i < o->owned_count; i++)
        free(o->owned[i]);
    free(o->owned);
    o->owned = NULL;
    o->owned_count = 0;
}

void options_help(FILE *out)
{
    (void)fputs("postern [OPTION]... [--] HANDLER [ARG]...\n"
                "TLS for one connection in front of HANDLER, a mail daemon that speaks plaintext\n"
                "on stdin and stdout. Started by inetd, systemd, tcpserver and the like.\n\n",
                out);
    for (size_t i = 0; i < ROWS; i++) {
        char left[40];
        int n = snprintf(left, sizeof left, "--%s%s%s", rows[i].name,
                         rows[i].argument != NULL ? "=" : "",
                         rows[i].argument != NULL ? rows[i].argument : "");
        (void)n;
        if (rows[i].letter != 0)
            (void)fprintf(out, "  -%c, %-28s %s\n", rows[i].letter, left, rows[i].help);
        else
            (void)fprintf(out, "      %-28s %s\n", left, rows[i].help);
    }
    (void)fputs("\nTo try it:\n"
                "  tcpserver 127.0.0.1 9930 postern --cert=cert.pem --key=key.pem imapd\n"
                "  socat TCP-LISTEN:9930,fork,reuseaddr EXEC:'postern -c both.pem imapd'\n",
                out);
}

const char *options_policy_name(enum policy policy)
{
    return policy_words[policy];
}
