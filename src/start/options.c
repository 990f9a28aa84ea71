/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/options.h"

#include "start/config.h"
#include "common/log.h"
#include "start/nearest.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define HELP_WIDTH 80
#define HELP_AT 34
#define LIFETIME_MAX (7UL * 86400) /* RFC 8446 section 4.6.1 */

/* What kind of value an option takes, and so the type of its place in struct options. */
enum kind {
    TEXT,    /* const char *, not empty */
    SECONDS, /* unsigned */
    COUNT,   /* unsigned */
    WORD,    /* an enum whose values are the numbers of the words, from 0 */
    FLAG,    /* bool; no value */
    SPECIAL  /* `set` knows */
};

struct row {
    const char *name;
    char letter; /* 0: none */
    enum kind kind;
    const char *argument; /* what --help calls it; NULL: takes none */
    const char *help;
    size_t place;             /* offset in struct options; none for SPECIAL */
    const char *wants;        /* what is said of a wrong value */
    const char *const *words; /* for WORD */
    int (*set)(struct options *o, const char *value, const char **wants);
};

static int set_cert(struct options *o, const char *value, const char **wants)
{
    if (o->pair_count == OPTIONS_PAIRS_MAX) {
        *wants = "given more than twice: one RSA and one ECDSA or Ed25519 certificate is the most";
        return -EINVAL;
    }
    o->pairs[o->pair_count++] = (struct pair){.cert = value};
    return *value == '\0' ? -EINVAL : 0;
}

static int set_key(struct options *o, const char *value, const char **wants)
{
    if (o->pair_count == 0 || o->pairs[o->pair_count - 1].key != NULL) {
        *wants = "belongs behind the --cert that it is for, once";
        return -EINVAL;
    }
    o->pairs[o->pair_count - 1].key = value;
    return *value == '\0' ? -EINVAL : 0;
}

static int set_ocsp(struct options *o, const char *value, const char **wants)
{
    if (o->pair_count == 0 || o->pairs[o->pair_count - 1].staple != NULL) {
        *wants = "belongs behind the --cert that it is for, once";
        return -EINVAL;
    }
    o->pairs[o->pair_count - 1].staple = value;
    return *value == '\0' ? -EINVAL : 0;
}

/* RFC 7301 section 3.1: names of 1 to 255 bytes. */
static int set_alpn(struct options *o, const char *value, const char **wants)
{
    const char *p = value;

    (void)wants;
    o->alpn = value;
    if (strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/,") !=
        strlen(value))
        return -EINVAL;
    for (;;) {
        size_t len = strcspn(p, ",");
        if (len == 0 || len > 255)
            return -EINVAL;
        if (p[len] == '\0')
            return 0;
        p += len + 1;
    }
}

static int set_name(struct options *o, const char *value, const char **wants)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    size_t len = strlen(value);

    (void)wants;
    o->name = value;
    return len == 0 || len > 255 || strspn(value, letters) != len ? -EINVAL : 0;
}

static int check_user(const char *value)
{
    return *value == '\0' || *value == ':' ? -EINVAL : 0;
}

static int set_gate_user(struct options *o, const char *value, const char **wants)
{
    (void)wants;
    o->gate_user = value;
    return check_user(value);
}

static int set_handler_user(struct options *o, const char *value, const char **wants)
{
    (void)wants;
    o->handler_user = value;
    return check_user(value);
}

static int set_chroot(struct options *o, const char *value, const char **wants)
{
    (void)wants;
    o->chroot_dir = value;
    return *value == '/' ? 0 : -EINVAL;
}

static int set_tls_min(struct options *o, const char *value, const char **wants)
{
    (void)wants;
    if (strlen(value) != 3 || value[0] != '1' || value[1] != '.' || value[2] < '0' ||
        value[2] > '3')
        return -EINVAL;
    o->tls_min = 0x0301 + (unsigned)(value[2] - '0');
    return 0;
}

static int set_client_cert(struct options *o, const char *value, const char **wants)
{
    (void)wants;
    if (strcmp(value, "request") == 0)
        o->client_cert = CLIENT_CERT_REQUEST;
    else if (strcmp(value, "require") == 0)
        o->client_cert = CLIENT_CERT_REQUIRE;
    else
        return -EINVAL;
    return 0;
}

static int set_lifetime(struct options *o, const char *value, const char **wants)
{
    char *end;

    (void)wants;
    errno = 0;
    unsigned long n = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 || n < 1 || n > LIFETIME_MAX)
        return -EINVAL;
    o->ticket_lifetime = (unsigned)n;
    return 0;
}

static int set_new_ticket_key(struct options *o, const char *value, const char **wants)
{
    (void)wants;
    o->action = ACTION_NEW_TICKET_KEY;
    o->new_ticket_key = value;
    return *value == '\0' ? -EINVAL : 0;
}

static int set_check(struct options *o, const char *value, const char **wants)
{
    (void)wants;
    o->action = ACTION_CHECK;
    o->check_json = strcmp(value, "json") == 0;
    return *value == '\0' || o->check_json ? 0 : -EINVAL;
}

static int set_verbose(struct options *o, const char *value, const char **wants)
{
    (void)value;
    (void)wants;
    o->verbosity = 1;
    return 0;
}

static int set_quiet(struct options *o, const char *value, const char **wants)
{
    (void)value;
    (void)wants;
    o->verbosity = -1;
    return 0;
}

static int set_help(struct options *o, const char *value, const char **wants)
{
    (void)value;
    (void)wants;
    o->action = ACTION_HELP;
    return 0;
}

static int set_version(struct options *o, const char *value, const char **wants)
{
    (void)value;
    (void)wants;
    o->action = ACTION_VERSION;
    return 0;
}

static const char *const client_name_words[] = {"cn", "email", "san", NULL};
static const char *const policy_words[] = {"required", "auth", "optional", NULL};
static const char *const jail_words[] = {"on", "strict", "off", NULL};
static const char *const stdio_words[] = {"pipe", "socket", NULL};
static const char *const sni_words[] = {"default", "strict", NULL};
static const char *const proxy_out_words[] = {"off", "v1", "v2", NULL};
static const char *const log_words[] = {"auto", "stderr", "syslog", "journal", "json", NULL};

#define AT(member) offsetof(struct options, member)

static const struct row rows[] = {
    {"cert", 'c', SPECIAL, "FILE",
     "certificate chain in PEM, leaf first (required; twice: RSA and ECDSA)", 0, "wants a file",
     NULL, set_cert},
    {"key", 'k', SPECIAL, "FILE", "its private key in PEM; left out: in the same file", 0,
     "wants a file", NULL, set_key},
    {"cert-dir", 0, TEXT, "DIR", "certificates by server name: DIR/NAME/fullchain.pem, privkey.pem",
     AT(cert_dir), "wants a folder", NULL, NULL},
    {"sni", 0, WORD, "MODE", "default or strict: what a name without certificate gets [default]",
     AT(sni), "wants default or strict", sni_words, NULL},
    {"key-pass-file", 0, TEXT, "FILE", "its first line is the password of encrypted keys",
     AT(key_pass_file), "wants a file", NULL, NULL},
    {"ocsp", 0, SPECIAL, "FILE", "OCSP response in DER to staple to the certificate before it", 0,
     "wants a file", NULL, set_ocsp},
    {"starttls", 's', TEXT, "DIALECT",
     "imap, pop3, smtp, lmtp, sieve or nntp; without it, immediate TLS", AT(starttls),
     "wants imap, pop3, smtp, lmtp, sieve or nntp", NULL, NULL},
    {"policy", 'p', WORD, "POLICY", "required, auth or optional: what plaintext may do [required]",
     AT(policy), "wants required, auth or optional", policy_words, NULL},
    {"name", 0, SPECIAL, "HOST", "name in greetings [this host's]", 0,
     "wants a host name: letters, digits, dots and hyphens, at most 255", NULL, set_name},
    {"trusted", 0, TEXT, "CIDR,...",
     "client networks that need no TLS; local: both ends the same host", AT(trusted),
     "wants networks such as 192.0.2.0/24,2001:db8::/32 or the word local", NULL, NULL},
    {"handler-user", 'u', SPECIAL, "USER[:GROUP]", "who the handler runs as [as started]", 0,
     "wants USER or USER:GROUP", NULL, set_handler_user},
    {"stdio", 0, WORD, "KIND", "the handler's stdin and stdout: pipe or socket [pipe]", AT(stdio),
     "wants pipe or socket", stdio_words, NULL},
    {"ucspi-tls", 0, FLAG, NULL, "the handler asks for TLS itself, over UCSPI-TLS", AT(ucspi_tls),
     NULL, NULL, NULL},
    {"proxy-out", 0, WORD, "VERSION", "give the handler a PROXY header first: v1, v2 or off [off]",
     AT(proxy_out), "wants v1, v2 or off", proxy_out_words, NULL},
    {"proxy-protocol", 0, FLAG, NULL, "a PROXY header (v1 or v2) comes first; see --proxy-trusted",
     AT(proxy_protocol), NULL, NULL, NULL},
    {"proxy-trusted", 0, TEXT, "CIDR,...", "who may send it: your proxies; unix: over Unix sockets",
     AT(proxy_trusted),
     "wants networks such as 192.0.2.0/24,2001:db8::/32 or the words local and unix", NULL, NULL},
    {"tls-min", 0, SPECIAL, "VERSION", "lowest TLS version: 1.0, 1.1, 1.2 or 1.3 [1.2]", 0,
     "wants 1.0, 1.1, 1.2 or 1.3", NULL, set_tls_min},
    {"ciphers", 0, TEXT, "LIST", "cipher suites as wolfSSL names them, colons between", AT(ciphers),
     "wants a list of cipher suites with colons between", NULL, NULL},
    {"groups", 0, TEXT, "LIST", "key exchange [X25519MLKEM768 if known, X25519:P-256:P-384]",
     AT(groups), "wants a list of groups such as X25519:P-256", NULL, NULL},
    {"alpn", 0, SPECIAL, "NAME,...", "protocol names for ALPN; off: ignore it [the protocol's own]",
     0, "wants protocol names such as imap,pop3 or the word off", NULL, set_alpn},
    {"tickets", 0, TEXT, "FILE", "keys of session tickets, so that sessions can be resumed",
     AT(tickets), "wants a file; --new-ticket-key=FILE makes one", NULL, NULL},
    {"ticket-lifetime", 0, SPECIAL, "SECONDS", "for how long a ticket is good [7200]", 0,
     "wants a number of seconds from 1 to 604800, which is a week (RFC 8446)", NULL, set_lifetime},
    {"new-ticket-key", 0, SPECIAL, "FILE", "put a new key first in FILE, keep three, exit", 0,
     "wants a file", NULL, set_new_ticket_key},
    {"client-ca", 0, TEXT, "FILE", "ask clients for certificates that these CAs have signed",
     AT(client_ca), "wants a file", NULL, NULL},
    {"client-cert", 0, SPECIAL, "MODE", "request or require, with --client-ca [require]", 0,
     "wants request or require", NULL, set_client_cert},
    {"client-name", 0, WORD, "PART", "where the user's name is: cn, email or san [cn]",
     AT(client_name), "wants cn, email or san", client_name_words, NULL},
    {"crl", 0, TEXT, "FILE", "revocation lists of the CAs in --client-ca", AT(crl), "wants a file",
     NULL, NULL},
    {"gate-user", 0, SPECIAL, "USER[:GROUP]", "who the gate runs as [as root: a uid of its own]", 0,
     "wants USER or USER:GROUP", NULL, set_gate_user},
    {"chroot", 0, SPECIAL, "DIR", "empty folder for the gate [as root: a fresh one]", 0,
     "wants an absolute path", NULL, set_chroot},
    {"jail", 0, WORD, "MODE", "on, strict or off [on]", AT(jail), "wants on, strict or off",
     jail_words, NULL},
    {"timeout-lobby", 0, SECONDS, "SECONDS", "for the plaintext before STARTTLS [60]",
     AT(timeout_lobby), NULL, NULL, NULL},
    {"timeout-handshake", 0, SECONDS, "SECONDS", "for the TLS handshake [30]",
     AT(timeout_handshake), NULL, NULL, NULL},
    {"timeout-idle", 0, SECONDS, "SECONDS", "without a byte in either direction [1900]",
     AT(timeout_idle), NULL, NULL, NULL},
    {"timeout-session", 0, SECONDS, "SECONDS", "for the whole connection [0: none]",
     AT(timeout_session), NULL, NULL, NULL},
    {"timeout-grace", 0, SECONDS, "SECONDS", "for the handler after its client has left [10]",
     AT(timeout_grace), NULL, NULL, NULL},
    {"max-connections", 0, COUNT, "NUMBER", "connections of all clients together [256]",
     AT(max_connections), NULL, NULL, NULL},
    {"max-per-client", 0, COUNT, "NUMBER", "connections from one address [16]", AT(max_per_client),
     NULL, NULL, NULL},
    {"exit-idle", 0, SECONDS, "SECONDS", "exit after so long without a client [0: never]",
     AT(exit_idle), NULL, NULL, NULL},
    {"config", 'f', TEXT, "FILE", "lines `option = value' with these long names", AT(config),
     "wants a file", NULL, NULL},
    {"check", 0, SPECIAL, "[json]", "check options, files and handler, print a report, exit", 0,
     "wants json or nothing", NULL, set_check},
    {"log", 0, WORD, "TARGET",
     "stderr, syslog, journal or json [journal, if stderr is; stderr, if it is not the connection; "
     "else syslog]",
     AT(log), "wants stderr, syslog, journal or json", log_words, NULL},
    {"verbose", 'v', SPECIAL, NULL, "explain each step in the log", 0, NULL, NULL, set_verbose},
    {"quiet", 'q', SPECIAL, NULL, "log only what goes wrong", 0, NULL, NULL, set_quiet},
    {"help", 'h', SPECIAL, NULL, "print this and exit", 0, NULL, NULL, set_help},
    {"version", 'V', SPECIAL, NULL, "print versions and features and exit", 0, NULL, NULL,
     set_version},
};

/* What --help writes above the option of this name. */
static const struct {
    const char *name;
    const char *title;
} headings[] = {
    {"cert", "Certificates"},
    {"starttls", "STARTTLS"},
    {"handler-user", "The handler"},
    {"proxy-protocol", "Behind a proxy"},
    {"tls-min", "TLS"},
    {"client-ca", "Client certificates"},
    {"gate-user", "The jail"},
    {"timeout-lobby", "Time-outs (0: none)"},
    {"max-connections", "Wait mode: the socket is a listening one"},
    {"config", "Configuration, log and help"},
};

static int set_number(unsigned *number, const char *value, unsigned long max)
{
    char *end;

    errno = 0;
    unsigned long n = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || errno != 0 || n > max)
        return -EINVAL;
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

/* Sets one option. Returns 0, or -EINVAL and in *wants what would have been right. */
static int set_option(struct options *o, const struct row *row, const char *value,
                      const char **wants)
{
    void *place = (char *)o + row->place;

    *wants = row->wants;
    switch (row->kind) {
    case TEXT:
        *(const char **)place = value;
        return *value == '\0' ? -EINVAL : 0;
    case SECONDS:
        *wants = "wants a number of seconds, 0 for no limit, at most 31536000";
        return set_number(place, value, 31536000);
    case COUNT:
        *wants = "wants a number of connections, 0 for no limit, at most 65535";
        return set_number(place, value, 65535);
    case WORD:
        return set_word(place, value, row->words);
    case FLAG:
        *(bool *)place = true;
        return 0;
    case SPECIAL:
        break;
    }
    return row->set(o, value, wants);
}

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
    const char *wants;
    char shown[80];

    if (set_option(o, row, value, &wants) == 0)
        return 0;
    log_error("--%s=%s: %s; see --help", row->name,
              log_escape(shown, sizeof shown, value, strlen(value)), wants);
    return -EINVAL;
}

/* Returns the long name that was meant, or NULL if none is near. */
static const char *meant(const char *name)
{
    const char *names[ROWS];

    if (strcmp(name, "user") == 0)
        return "gate-user"; /* as it was called in 0.1 */
    if (name[0] != '\0' && name[1] == '\0')
        for (size_t i = 0; i < ROWS; i++)
            if (rows[i].letter == *name)
                return rows[i].name;
    for (size_t i = 0; i < ROWS; i++)
        names[i] = rows[i].name;
    return nearest_word(name, names, ROWS);
}

/* Refuses a long option: there is none of that name, several begin with it, or it takes no value. */
static void refuse_long(const char *word)
{
    char name[40], shown[80];
    size_t len = strcspn(word + 2, "="), begin_so = 0;

    (void)snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1),
                   word + 2);
    for (size_t i = 0; i < ROWS; i++)
        begin_so += strncmp(rows[i].name, name, len) == 0;
    const char *near = begin_so == 0 ? meant(name) : NULL;
    (void)log_escape(shown, sizeof shown, word, strlen(word));
    if (near != NULL)
        log_error("%s: no such option; did you mean --%s? See --help", shown, near);
    else if (begin_so > 1)
        log_error("%s: several options begin like this; see --help", shown);
    else
        log_error("%s: %s; see --help", shown,
                  begin_so == 1 ? "this option takes no value" : "no such option");
}

/* Says what is wrong with a word that getopt_long() returned ? or : for. A letter is named by itself. */
static int refuse_argument(int returned, const char *word)
{
    const char letter[] = {'-', (char)optopt, '\0'};
    char shown[80];

    if (returned != ':' && strncmp(word, "--", 2) == 0 && optopt <= 0) {
        refuse_long(word);
        return EX_USAGE;
    }
    if (optopt > ' ' && optopt < 0x7f)
        word = letter;
    log_error("%s: %s; see --help", log_escape(shown, sizeof shown, word, strlen(word)),
              returned == ':' ? "its value is missing" : "no such option");
    return EX_USAGE;
}

/* An argument in brackets may be left out, with its equals sign. */
static bool may_lack_argument(const struct row *row)
{
    return row->argument == NULL || *row->argument == '[';
}

static int argument_of(const struct row *row)
{
    return row->argument == NULL    ? no_argument
           : may_lack_argument(row) ? optional_argument
                                    : required_argument;
}

/* One pass over argv. With `given` not NULL nothing is set but the marks of what was given and
 * the name of the configuration file; with NULL everything is set. */
static int read_arguments(struct options *o, int argc, char **argv, bool *given)
{
    struct option longs[ROWS + 1];
    char shorts[2 * ROWS + 3] = "+:";
    size_t n = 2;
    int c;
    int at = -1;

    memset(longs, 0, sizeof longs);
    for (size_t i = 0; i < ROWS; i++) {
        longs[i].name = rows[i].name;
        longs[i].has_arg = argument_of(&rows[i]);
        longs[i].flag = &at;
        longs[i].val = -1 - (int)i; /* so that it is no letter */
        if (rows[i].letter != 0) {
            shorts[n++] = rows[i].letter;
            if (rows[i].argument != NULL)
                shorts[n++] = ':';
        }
    }
    optind = 0; /* glibc and musl: start anew */
    opterr = 0;
    while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (c == '?' || c == ':')
            return refuse_argument(c, argv[optind > 0 ? optind - 1 : 0]);
        size_t i = (size_t)(-1 - at);
        if (c != 0)
            for (i = 0; rows[i].letter != c; i++)
                ;
        if (given != NULL) {
            given[i] = true;
            if (rows[i].place == AT(config) && rows[i].kind == TEXT && *optarg != '\0')
                o->config = optarg;
            continue;
        }
        if (set_argument(o, &rows[i], optarg != NULL ? optarg : "") < 0)
            return EX_USAGE;
    }
    o->handler = argv + optind;
    return 0;
}

/* What the configuration file is read into. */
struct filling {
    struct options *o;
    const bool *given; /* what the command line has said, by row */
    bool seen[ROWS];   /* what the file has said */
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

static int refuse(char *why, size_t size, const char *reason)
{
    (void)snprintf(why, size, "%s", reason);
    return -1;
}

/* Refuses a name that no option has, with or without the dashes of the command line. */
static int refuse_name(const char *name, char *why, size_t size)
{
    const char *near = meant(name + strspn(name, "-"));

    if (near == NULL)
        return refuse(why, size, "no such option; the names are the long ones of --help");
    (void)snprintf(why, size, "no such option; did you mean `%s'?", near);
    return -1;
}

/* One line of the configuration file. */
static int take_line(void *who, const char *name, const char *value, char *why, size_t size)
{
    struct filling *f = who;
    const struct row *row = find_row(name);
    const char *wants;

    if (row == NULL)
        return refuse_name(name, why, size);
    if (row == find_row("config") || row->set == set_help || row->set == set_version ||
        row->set == set_new_ticket_key)
        return refuse(why, size, "no such option in a file; it is one of the command line only");
    if (may_lack_argument(row)) {
        if (strcmp(value, "no") == 0)
            return 0;
        if (strcmp(value, "yes") == 0)
            value = "";
        else if (row->argument == NULL)
            return refuse(why, size, "wants yes or no");
    }
    /* A certificate and its key go together: a pair on the command line replaces the file's. */
    bool is_pair = row->set == set_cert || row->set == set_key || row->set == set_ocsp;
    if (f->given[row - rows] || (is_pair && f->given[0]))
        return 0;
    const char *copy = keep(f->o, value);
    if (copy == NULL)
        return refuse(why, size, "out of memory");
    f->seen[row - rows] = true;
    return set_option(f->o, row, copy, &wants) < 0 ? refuse(why, size, wants) : 0;
}

static int check_proxy(const struct options *o)
{
    if (o->proxy_protocol && o->proxy_trusted == NULL) {
        log_error("--proxy-protocol: say by --proxy-trusted=CIDR,... who your proxies are: whoever "
                  "may send a PROXY header can claim any address");
        return EX_USAGE;
    }
    if (o->proxy_trusted != NULL && !o->proxy_protocol) {
        log_error("--proxy-trusted says who may send a PROXY header: it goes with "
                  "--proxy-protocol only");
        return EX_USAGE;
    }
    if (o->ucspi_tls && (o->proxy_protocol || o->proxy_out != PROXY_OUT_OFF)) {
        log_error("--ucspi-tls gives the handler the connection itself, and starts it before a "
                  "PROXY header is read: leave %s out",
                  o->proxy_protocol ? "--proxy-protocol" : "--proxy-out");
        return EX_USAGE;
    }
    return 0;
}

/* What no single option can know. */
static int check_together(const struct options *o, bool policy_given)
{
    if (o->action == ACTION_HELP || o->action == ACTION_VERSION)
        return 0;
    if (o->action == ACTION_NEW_TICKET_KEY) {
        if (o->handler[0] != NULL)
            log_error("--new-ticket-key=%s: takes one file, and no handler", o->new_ticket_key);
        return o->handler[0] != NULL ? EX_USAGE : 0;
    }
    if (o->pair_count == 0 && o->cert_dir == NULL) {
        log_error("no certificate: give --cert=FILE (and --key=FILE); for a trial, `openssl req "
                  "-x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem' makes one");
        return EX_USAGE;
    }
    if (o->handler[0] == NULL && o->action == ACTION_SERVE) {
        log_error("no handler: end the command line with the program that speaks plaintext on "
                  "stdin and stdout; see --help");
        return EX_USAGE;
    }
    if (policy_given && o->starttls == NULL) {
        log_error("--policy is about plaintext before STARTTLS: it goes with --starttls only");
        return EX_USAGE;
    }
    if (o->trusted != NULL && o->starttls == NULL) {
        log_error("--trusted is about plaintext before STARTTLS: it goes with --starttls only");
        return EX_USAGE;
    }
    if (o->ucspi_tls && o->starttls != NULL) {
        log_error("--ucspi-tls leaves the plaintext to the handler: leave --starttls out");
        return EX_USAGE;
    }
    for (size_t i = 0; o->client_ca != NULL && i < o->pair_count; i++) {
        if (o->pairs[i].staple != NULL) {
            log_error("--ocsp does not go together with --client-ca: the issuer of our own "
                      "certificate would be believed about clients, too");
            return EX_USAGE;
        }
    }
    if (o->client_ca == NULL && (o->client_cert != CLIENT_CERT_OFF || o->crl != NULL)) {
        log_error("--%s is about client certificates: it goes with --client-ca=FILE only",
                  o->crl != NULL ? "crl" : "client-cert");
        return EX_USAGE;
    }
    return check_proxy(o);
}

/* Refuses a command line that begins with an option where the program's name has to stand. */
static int check_program_name(int argc, char **argv)
{
    char shown[80];

    if (argc > 0 && *argv[0] != '-')
        return 0;
    const char *name = argc > 0 ? argv[0] : "";
    log_error("the command line begins with `%s' instead of the program's name: in inetd.conf it "
              "stands twice, as in `/usr/local/sbin/postern postern --cert=...'",
              log_sentence(shown, sizeof shown, name, strlen(name)));
    return EX_USAGE;
}

int options_read(struct options *o, int argc, char **argv)
{
    bool given[ROWS] = {false};
    const size_t policy = (size_t)(find_row("policy") - rows);
    struct filling f = {.o = o, .given = given};

    *o = (struct options){.tls_min = 0x0303,
                          .ticket_lifetime = 7200,
                          .timeout_lobby = 60,
                          .timeout_handshake = 30,
                          .timeout_idle = 1900,
                          .timeout_grace = 10,
                          .max_connections = 256,
                          .max_per_client = 16};
    int rc = check_program_name(argc, argv);
    if (rc == 0)
        rc = read_arguments(o, argc, argv, given);
    if (rc == 0 && o->config != NULL)
        rc = config_read(o->config, take_line, &f) < 0 ? EX_CONFIG : 0;
    if (rc == 0)
        rc = read_arguments(o, argc, argv, NULL);
    if (rc == 0)
        rc = check_together(o, given[policy] || f.seen[policy]);
    if (o->client_ca != NULL && o->client_cert == CLIENT_CERT_OFF)
        o->client_cert = CLIENT_CERT_REQUIRE;
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

/* Prints words from column HELP_AT on, in lines of HELP_WIDTH columns at most. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t room = HELP_WIDTH - HELP_AT;

    while (strlen(text) > room) {
        size_t len = room;
        while (len > 0 && text[len] != ' ')
            len--;
        (void)fprintf(out, "%.*s\n%*s", (int)len, text, HELP_AT, "");
        text += len + 1;
    }
    (void)fprintf(out, "%s\n", text);
}

static void print_row(FILE *out, const struct row *row)
{
    char letter[] = {'-', row->letter, ',', '\0'};

    for (size_t i = 0; i < sizeof headings / sizeof headings[0]; i++)
        if (strcmp(headings[i].name, row->name) == 0)
            (void)fprintf(out, "\n%s\n", headings[i].title);
    int n = fprintf(out, "  %-3s --%s%s%s", row->letter != 0 ? letter : "", row->name,
                    row->argument != NULL ? "=" : "", row->argument != NULL ? row->argument : "");
    (void)fprintf(out, "%*s", HELP_AT - n, "");
    print_wrapped(out, row->help);
}

void options_help(FILE *out)
{
    (void)fputs("postern [OPTION]... [--] HANDLER [ARG]...\n"
                "TLS for one connection in front of HANDLER, a mail daemon that speaks plaintext\n"
                "on stdin and stdout. Started by inetd, systemd, tcpserver and the like.\n",
                out);
    for (size_t i = 0; i < ROWS; i++)
        print_row(out, &rows[i]);
    (void)fputs("\nTo try it:\n"
                "  tcpserver 127.0.0.1 9930 postern --cert=cert.pem --key=key.pem imapd\n"
                "  socat TCP-LISTEN:9930,fork,reuseaddr EXEC:'postern -c both.pem imapd',nofork\n",
                out);
}

const char *options_policy_name(enum policy policy)
{
    return policy_words[policy];
}
