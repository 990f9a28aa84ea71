/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/command_line.h"

#include "start/config.h"
#include "common/log.h"
#include "start/nearest.h"
#include "start/option_table.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static int set_argument(struct options *o, const struct option_row *row, const char *value)
{
    const char *wants;
    char shown[80];

    if (option_set(o, row, value, &wants) == 0)
        return 0;
    log_error("--%s=%s: %s; see --help", row->name,
              log_escape(shown, sizeof shown, value, strlen(value)), wants);
    return -EINVAL;
}

/* Returns the long name of the option that the user meant; NULL if none is near. */
static const char *meant(const char *name)
{
    const char *names[OPTION_COUNT];

    if (strcmp(name, "user") == 0)
        return "gate-user"; /* its name in version 0.1 */
    if (name[0] != '\0' && name[1] == '\0')
        for (size_t i = 0; i < OPTION_COUNT; i++)
            if (option_rows[i].letter == *name)
                return option_rows[i].name;
    for (size_t i = 0; i < OPTION_COUNT; i++)
        names[i] = option_rows[i].name;
    return nearest_word(name, names, OPTION_COUNT);
}

/* Logs why a long option is wrong: no option has that name, several begin with it, or it takes no value. */
static void refuse_long(const char *word)
{
    char name[40], shown[80];
    size_t len = strcspn(word + 2, "="), begin_so = 0;

    (void)snprintf(name, sizeof name, "%.*s", (int)(len < sizeof name ? len : sizeof name - 1),
                   word + 2);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        begin_so += strncmp(option_rows[i].name, name, len) == 0;
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

/* Logs why getopt_long() returned ? or : for this word. Names only the letter of a short option. */
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

static int argument_of(const struct option_row *row)
{
    return row->argument == NULL        ? no_argument
           : option_may_lack_value(row) ? optional_argument
                                        : required_argument;
}

/* Goes over argv once. If `given` is not NULL, only marks there which options are given, and sets o->config. If
 * it is NULL, sets all options. Returns 0, or logs and returns EX_USAGE. */
static int read_arguments(struct options *o, int argc, char **argv, bool *given)
{
    struct option longs[OPTION_COUNT + 1];
    char shorts[2 * OPTION_COUNT + 3] = "+:";
    size_t n = 2;
    int c;
    int at = -1;

    memset(longs, 0, sizeof longs);
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        longs[i].name = option_rows[i].name;
        longs[i].has_arg = argument_of(&option_rows[i]);
        longs[i].flag = &at;
        longs[i].val = -1 - (int)i; /* so that it is no letter */
        if (option_rows[i].letter != 0) {
            shorts[n++] = option_rows[i].letter;
            if (option_rows[i].argument != NULL)
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
            for (i = 0; option_rows[i].letter != c; i++)
                ;
        if (given != NULL) {
            given[i] = true;
            if (&option_rows[i] == option_find("config") && *optarg != '\0')
                o->config = optarg;
            continue;
        }
        if (set_argument(o, &option_rows[i], optarg != NULL ? optarg : "") < 0)
            return EX_USAGE;
    }
    o->handler = argv + optind;
    return 0;
}

/* Passed to take_line() for each line of the configuration file. */
struct filling {
    struct options *o;
    const bool *given;       /* options on the command line, by row */
    bool seen[OPTION_COUNT]; /* options in the file that were set, by row */
};

/* Copies a value from the file; options_free() frees it. Returns NULL if there is no memory. */
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

/* Writes to `why` that no option has this name, and which one was meant. Returns -1. */
static int refuse_name(const char *name, char *why, size_t size)
{
    const char *near = meant(name + strspn(name, "-"));

    if (near == NULL)
        return refuse(why, size, "no such option; the names are the long ones of --help");
    (void)snprintf(why, size, "no such option; did you mean `%s'?", near);
    return -1;
}

/* Sets the option of one line of the configuration file, unless the command line has set it. */
static int take_line(void *who, const char *name, const char *value, char *why, size_t size)
{
    struct filling *f = who;
    const struct option_row *row = option_find(name);
    const char *wants;

    if (row == NULL)
        return refuse_name(name, why, size);
    if (!option_is_for_file(row))
        return refuse(why, size, "no such option in a file; it is one of the command line only");
    if (option_may_lack_value(row)) {
        if (strcmp(value, "no") == 0)
            return 0;
        if (strcmp(value, "yes") == 0)
            value = "";
        else if (row->argument == NULL)
            return refuse(why, size, "wants yes or no");
    }
    /* A certificate and its key go together: a pair on the command line replaces the file's. */
    bool replaced = option_is_of_pair(row) && f->given[option_find("cert") - option_rows];
    if (f->given[row - option_rows] || replaced)
        return 0;
    const char *copy = keep(f->o, value);
    if (copy == NULL)
        return refuse(why, size, "out of memory");
    f->seen[row - option_rows] = true;
    return option_set(f->o, row, copy, &wants) < 0 ? refuse(why, size, wants) : 0;
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

/* Checks options that need or exclude one another. Returns 0, or logs and returns EX_USAGE. */
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
    bool given[OPTION_COUNT] = {false};
    const size_t policy = (size_t)(option_find("policy") - option_rows);
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
