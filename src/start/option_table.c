/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/option_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LIFETIME_MAX (7UL * 86400) /* seconds; RFC 8446 section 4.6.1 */

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

/* Takes names with commas between, each of 1 to 255 bytes (RFC 7301 section 3.1). */
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
    unsigned seconds;

    (void)wants;
    if (set_number(&seconds, value, LIFETIME_MAX) < 0 || seconds == 0)
        return -EINVAL;
    o->ticket_lifetime = seconds;
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
static const char *const jail_words[] = {"on", "strict", "off", NULL};
static const char *const stdio_words[] = {"pipe", "socket", NULL};
static const char *const sni_words[] = {"default", "strict", NULL};
static const char *const proxy_out_words[] = {"off", "v1", "v2", NULL};
static const char *const log_words[] = {"auto", "stderr", "syslog", "journal", "json", NULL};

#define AT(member) offsetof(struct options, member)

const struct option_row option_rows[] = {
    {"cert", 'c', OPTION_SPECIAL, "FILE",
     "certificate chain in PEM, leaf first (required; twice: RSA and ECDSA)", 0, "wants a file",
     NULL, set_cert},
    {"key", 'k', OPTION_SPECIAL, "FILE", "its private key in PEM; left out: in the same file", 0,
     "wants a file", NULL, set_key},
    {"cert-dir", 0, OPTION_TEXT, "DIR",
     "certificates by server name: DIR/NAME/fullchain.pem, privkey.pem", AT(cert_dir),
     "wants a folder", NULL, NULL},
    {"sni", 0, OPTION_WORD, "MODE",
     "default or strict: what a name without certificate gets [default]", AT(sni),
     "wants default or strict", sni_words, NULL},
    {"key-pass-file", 0, OPTION_TEXT, "FILE", "its first line is the password of encrypted keys",
     AT(key_pass_file), "wants a file", NULL, NULL},
    {"ocsp", 0, OPTION_SPECIAL, "FILE",
     "OCSP response in DER to staple to the certificate before it", 0, "wants a file", NULL,
     set_ocsp},
    {"starttls", 's', OPTION_TEXT, "DIALECT",
     "imap, pop3, smtp, lmtp, sieve or nntp; without it, immediate TLS", AT(starttls),
     "wants imap, pop3, smtp, lmtp, sieve or nntp", NULL, NULL},
    {"policy", 'p', OPTION_WORD, "POLICY",
     "required, auth or optional: what plaintext may do [required]", AT(policy),
     "wants required, auth or optional", options_policy_words, NULL},
    {"name", 0, OPTION_SPECIAL, "HOST", "name in greetings [this host's]", 0,
     "wants a host name: letters, digits, dots and hyphens, at most 255", NULL, set_name},
    {"trusted", 0, OPTION_TEXT, "CIDR,...",
     "client networks that need no TLS; local: both ends the same host", AT(trusted),
     "wants networks such as 192.0.2.0/24,2001:db8::/32 or the word local", NULL, NULL},
    {"handler-user", 'u', OPTION_SPECIAL, "USER[:GROUP]", "who the handler runs as [as started]", 0,
     "wants USER or USER:GROUP", NULL, set_handler_user},
    {"stdio", 0, OPTION_WORD, "KIND", "the handler's stdin and stdout: pipe or socket [pipe]",
     AT(stdio), "wants pipe or socket", stdio_words, NULL},
    {"ucspi-tls", 0, OPTION_FLAG, NULL, "the handler asks for TLS itself, over UCSPI-TLS",
     AT(ucspi_tls), NULL, NULL, NULL},
    {"proxy-out", 0, OPTION_WORD, "VERSION",
     "give the handler a PROXY header first: v1, v2 or off [off]", AT(proxy_out),
     "wants v1, v2 or off", proxy_out_words, NULL},
    {"proxy-protocol", 0, OPTION_FLAG, NULL,
     "a PROXY header (v1 or v2) comes first; see --proxy-trusted", AT(proxy_protocol), NULL, NULL,
     NULL},
    {"proxy-trusted", 0, OPTION_TEXT, "CIDR,...",
     "who may send it: your proxies; unix: over Unix sockets", AT(proxy_trusted),
     "wants networks such as 192.0.2.0/24,2001:db8::/32 or the words local and unix", NULL, NULL},
    {"tls-min", 0, OPTION_SPECIAL, "VERSION", "lowest TLS version: 1.0, 1.1, 1.2 or 1.3 [1.2]", 0,
     "wants 1.0, 1.1, 1.2 or 1.3", NULL, set_tls_min},
    {"ciphers", 0, OPTION_TEXT, "LIST", "cipher suites as wolfSSL names them, colons between",
     AT(ciphers), "wants a list of cipher suites with colons between", NULL, NULL},
    {"groups", 0, OPTION_TEXT, "LIST", "key exchange [X25519MLKEM768 if known, X25519:P-256:P-384]",
     AT(groups), "wants a list of groups such as X25519:P-256", NULL, NULL},
    {"alpn", 0, OPTION_SPECIAL, "NAME,...",
     "protocol names for ALPN; off: ignore it [the protocol's own]", 0,
     "wants protocol names such as imap,pop3 or the word off", NULL, set_alpn},
    {"tickets", 0, OPTION_TEXT, "FILE", "keys of session tickets, so that sessions can be resumed",
     AT(tickets), "wants a file; --new-ticket-key=FILE makes one", NULL, NULL},
    {"ticket-lifetime", 0, OPTION_SPECIAL, "SECONDS", "for how long a ticket is good [7200]", 0,
     "wants a number of seconds from 1 to 604800, which is a week (RFC 8446)", NULL, set_lifetime},
    {"new-ticket-key", 0, OPTION_SPECIAL, "FILE", "put a new key first in FILE, keep three, exit",
     0, "wants a file", NULL, set_new_ticket_key},
    {"client-ca", 0, OPTION_TEXT, "FILE", "ask clients for certificates that these CAs have signed",
     AT(client_ca), "wants a file", NULL, NULL},
    {"client-cert", 0, OPTION_SPECIAL, "MODE", "request or require, with --client-ca [require]", 0,
     "wants request or require", NULL, set_client_cert},
    {"client-name", 0, OPTION_WORD, "PART", "where the user's name is: cn, email or san [cn]",
     AT(client_name), "wants cn, email or san", client_name_words, NULL},
    {"crl", 0, OPTION_TEXT, "FILE", "revocation lists of the CAs in --client-ca", AT(crl),
     "wants a file", NULL, NULL},
    {"gate-user", 0, OPTION_SPECIAL, "USER[:GROUP]",
     "who the gate runs as [as root: a uid of its own]", 0, "wants USER or USER:GROUP", NULL,
     set_gate_user},
    {"chroot", 0, OPTION_SPECIAL, "DIR", "empty folder for the gate [as root: a fresh one]", 0,
     "wants an absolute path", NULL, set_chroot},
    {"jail", 0, OPTION_WORD, "MODE", "on, strict or off [on]", AT(jail), "wants on, strict or off",
     jail_words, NULL},
    {"timeout-lobby", 0, OPTION_SECONDS, "SECONDS", "for the plaintext before STARTTLS [60]",
     AT(timeout_lobby), NULL, NULL, NULL},
    {"timeout-handshake", 0, OPTION_SECONDS, "SECONDS", "for the TLS handshake [30]",
     AT(timeout_handshake), NULL, NULL, NULL},
    {"timeout-idle", 0, OPTION_SECONDS, "SECONDS", "without a byte in either direction [1900]",
     AT(timeout_idle), NULL, NULL, NULL},
    {"timeout-session", 0, OPTION_SECONDS, "SECONDS", "for the whole connection [0: none]",
     AT(timeout_session), NULL, NULL, NULL},
    {"timeout-grace", 0, OPTION_SECONDS, "SECONDS",
     "for the handler after its client has left [10]", AT(timeout_grace), NULL, NULL, NULL},
    {"max-connections", 0, OPTION_NUMBER, "NUMBER", "connections of all clients together [256]",
     AT(max_connections), NULL, NULL, NULL},
    {"max-per-client", 0, OPTION_NUMBER, "NUMBER", "connections from one address [16]",
     AT(max_per_client), NULL, NULL, NULL},
    {"exit-idle", 0, OPTION_SECONDS, "SECONDS", "exit after so long without a client [0: never]",
     AT(exit_idle), NULL, NULL, NULL},
    {"config", 'f', OPTION_TEXT, "FILE", "lines `option = value' with these long names", AT(config),
     "wants a file", NULL, NULL},
    {"check", 0, OPTION_SPECIAL, "[json]", "check options, files and handler, print a report, exit",
     0, "wants json or nothing", NULL, set_check},
    {"log", 0, OPTION_WORD, "TARGET",
     "stderr, syslog, journal or json [journal, if stderr is; stderr, if it is not the connection; "
     "else syslog]",
     AT(log), "wants stderr, syslog, journal or json", log_words, NULL},
    {"verbose", 'v', OPTION_SPECIAL, NULL, "explain each step in the log", 0, NULL, NULL,
     set_verbose},
    {"quiet", 'q', OPTION_SPECIAL, NULL, "log only what goes wrong", 0, NULL, NULL, set_quiet},
    {"help", 'h', OPTION_SPECIAL, NULL, "print this and exit", 0, NULL, NULL, set_help},
    {"version", 'V', OPTION_SPECIAL, NULL, "print versions and features and exit", 0, NULL, NULL,
     set_version},
};

_Static_assert(sizeof option_rows / sizeof option_rows[0] == OPTION_COUNT, "OPTION_COUNT");

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

int option_set(struct options *o, const struct option_row *row, const char *value,
               const char **wants)
{
    void *place = (char *)o + row->place;

    *wants = row->wants;
    switch (row->kind) {
    case OPTION_TEXT:
        *(const char **)place = value;
        return *value == '\0' ? -EINVAL : 0;
    case OPTION_SECONDS:
        *wants = "wants a number of seconds, 0 for no limit, at most 31536000";
        return set_number(place, value, 31536000);
    case OPTION_NUMBER:
        *wants = "wants a number of connections, 0 for no limit, at most 65535";
        return set_number(place, value, 65535);
    case OPTION_WORD:
        return set_word(place, value, row->words);
    case OPTION_FLAG:
        *(bool *)place = true;
        return 0;
    case OPTION_SPECIAL:
        break;
    }
    return row->set(o, value, wants);
}

const struct option_row *option_find(const char *name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strcmp(option_rows[i].name, name) == 0)
            return &option_rows[i];
    return NULL;
}

bool option_may_lack_value(const struct option_row *row)
{
    return row->argument == NULL || *row->argument == '[';
}

bool option_is_for_file(const struct option_row *row)
{
    return row->set != set_help && row->set != set_version && row->set != set_new_ticket_key &&
           strcmp(row->name, "config") != 0;
}

bool option_is_of_pair(const struct option_row *row)
{
    return row->set == set_cert || row->set == set_key || row->set == set_ocsp;
}
