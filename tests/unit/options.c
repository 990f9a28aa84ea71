/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of options.c, option_table.c and usage.c: the command line and the configuration file. */
#include "start/command_line.h"
#include "start/usage.h"
#include "ear.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 40

/* A command line as main() gets it, split at spaces; "%" stands for the configuration file. */
struct line {
    char text[2048];
    char *argv[WORDS_MAX + 2];
    int argc;
};

static char config_file[] = "/tmp/postern-options-XXXXXX";

static void split(struct line *l, const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++)
        n += (size_t)(*text == '%' ? snprintf(l->text + n, sizeof l->text - n, "%s", config_file)
                                   : snprintf(l->text + n, sizeof l->text - n, "%c", *text));
    l->text[n] = '\0';
    static char program[] = "postern";
    l->argc = 0;
    l->argv[l->argc++] = program;
    for (char *word = strtok(l->text, " "); word != NULL; word = strtok(NULL, " ")) {
        assert_true(l->argc <= WORDS_MAX);
        l->argv[l->argc++] = word;
    }
    l->argv[l->argc] = NULL;
}

static int read_line_with_mistakes(struct options *o, struct line *l, const char *text)
{
    split(l, text);
    struct ear e = hear();
    int status = options_read(o, l->argc, l->argv);
    heard(e);
    if (status == 0)
        assert_string_equal(said, "");
    return status;
}

/* Reads a line in which one thing at most is wrong: then the log has one line. */
static int read_line_of(struct options *o, struct line *l, const char *text)
{
    int status = read_line_with_mistakes(o, l, text);

    if (status != 0 && strchr(said, '\n') != said + strlen(said) - 1)
        fail_msg("%s: not one line: %s", text, said);
    return status;
}

/* Reads a good command line. */
static struct options good(struct line *l, const char *text)
{
    struct options o;

    if (read_line_of(&o, l, text) != 0)
        fail_msg("%s: %s", text, said);
    return o;
}

static void write_config(const void *text, size_t len)
{
    int fd = open(config_file, O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    (void)close(fd);
}

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(config_file);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(config_file);
}

static void what_is_not_given_has_its_default(void **state)
{
    (void)state;
    struct line l;
    struct options o = good(&l, "--cert=c.pem imapd");

    assert_int_equal(o.action, ACTION_SERVE);
    assert_int_equal(o.pair_count, 1);
    assert_string_equal(o.pairs[0].cert, "c.pem");
    assert_null(o.pairs[0].key);
    assert_null(o.starttls);
    assert_int_equal(o.policy, POLICY_REQUIRED);
    assert_int_equal(o.jail, JAIL_ON);
    assert_int_equal(o.stdio, STDIO_PIPE);
    assert_int_equal(o.tls_min, 0x0303);
    assert_null(o.ciphers);
    assert_null(o.groups);
    assert_null(o.name);
    assert_null(o.trusted);
    assert_false(o.proxy_protocol);
    assert_null(o.proxy_trusted);
    assert_int_equal(o.proxy_out, PROXY_OUT_OFF);
    assert_null(o.gate_user);
    assert_null(o.handler_user);
    assert_null(o.chroot_dir);
    assert_null(o.config);
    assert_false(o.ucspi_tls);
    assert_int_equal(o.timeout_lobby, 60);
    assert_int_equal(o.timeout_handshake, 30);
    assert_int_equal(o.timeout_idle, 1900);
    assert_int_equal(o.timeout_session, 0);
    assert_int_equal(o.timeout_grace, 10);
    assert_int_equal(o.log, LOG_CHOICE_AUTO);
    assert_int_equal(o.verbosity, 0);
    assert_string_equal(o.handler[0], "imapd");
    assert_null(o.handler[1]);
    options_free(&o);
}

static void each_option_sets_its_own_field(void **state)
{
    (void)state;
    struct line l;
    struct options o =
        good(&l, "--cert=c.pem --key=k.pem --starttls=imap --policy=auth --name=mail.example.org "
                 "--trusted=192.0.2.0/24,local --proxy-protocol --proxy-trusted=192.0.2.1,unix "
                 "--proxy-out=v2 --gate-user=mail:mail --handler-user=vmail --chroot=/empty "
                 "--jail=strict --stdio=socket --tls-min=1.3 --ciphers=A:B --groups=X25519 "
                 "--timeout-lobby=1 --timeout-handshake=2 --timeout-idle=3 --timeout-session=4 "
                 "--timeout-grace=5 --max-connections=6 --max-per-client=7 --exit-idle=8 "
                 "--log=syslog --verbose -- imapd -x --cert=other");

    assert_string_equal(o.pairs[0].cert, "c.pem");
    assert_string_equal(o.pairs[0].key, "k.pem");
    assert_string_equal(o.starttls, "imap");
    assert_int_equal(o.policy, POLICY_AUTH);
    assert_string_equal(o.name, "mail.example.org");
    assert_string_equal(o.trusted, "192.0.2.0/24,local");
    assert_true(o.proxy_protocol);
    assert_string_equal(o.proxy_trusted, "192.0.2.1,unix");
    assert_int_equal(o.proxy_out, PROXY_OUT_V2);
    assert_string_equal(o.gate_user, "mail:mail");
    assert_string_equal(o.handler_user, "vmail");
    assert_string_equal(o.chroot_dir, "/empty");
    assert_int_equal(o.jail, JAIL_STRICT);
    assert_int_equal(o.stdio, STDIO_SOCKET);
    assert_int_equal(o.tls_min, 0x0304);
    assert_string_equal(o.ciphers, "A:B");
    assert_string_equal(o.groups, "X25519");
    assert_int_equal(o.timeout_lobby, 1);
    assert_int_equal(o.timeout_handshake, 2);
    assert_int_equal(o.timeout_idle, 3);
    assert_int_equal(o.timeout_session, 4);
    assert_int_equal(o.timeout_grace, 5);
    assert_int_equal(o.max_connections, 6);
    assert_int_equal(o.max_per_client, 7);
    assert_int_equal(o.exit_idle, 8);
    assert_int_equal(o.log, LOG_CHOICE_SYSLOG);
    assert_int_equal(o.verbosity, 1);
    assert_string_equal(o.handler[0], "imapd");
    assert_string_equal(o.handler[1], "-x");
    assert_string_equal(o.handler[2], "--cert=other");
    assert_null(o.handler[3]);
    options_free(&o);
}

static void client_certificates_are_required_once_there_is_a_ca_for_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum client_cert mode;
        enum client_name part;
    } cases[] = {
        {"--cert=c imapd", CLIENT_CERT_OFF, CLIENT_NAME_CN},
        {"--cert=c --client-ca=a imapd", CLIENT_CERT_REQUIRE, CLIENT_NAME_CN},
        {"--cert=c --client-ca=a --client-cert=require --client-name=san imapd",
         CLIENT_CERT_REQUIRE, CLIENT_NAME_SAN},
        {"--cert=c --client-cert=request --client-ca=a --client-name=email imapd",
         CLIENT_CERT_REQUEST, CLIENT_NAME_EMAIL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct line l;
        struct options o = good(&l, cases[i].text);
        assert_int_equal(o.client_cert, cases[i].mode);
        assert_int_equal(o.client_name, cases[i].part);
        assert_null(o.crl);
        options_free(&o);
    }
}

static void letters_and_separate_values_do_the_same(void **state)
{
    (void)state;
    struct line l;
    struct options o = good(&l, "-c c.pem -kk.pem -s pop3 -p optional -u mail -v -q popd -c x");

    assert_string_equal(o.pairs[0].cert, "c.pem");
    assert_string_equal(o.pairs[0].key, "k.pem");
    assert_string_equal(o.starttls, "pop3");
    assert_int_equal(o.policy, POLICY_OPTIONAL);
    assert_string_equal(o.handler_user, "mail");
    assert_null(o.gate_user);
    assert_int_equal(o.verbosity, -1);
    assert_string_equal(o.handler[0], "popd");
    assert_string_equal(o.handler[1], "-c");
    assert_string_equal(o.handler[2], "x");
    options_free(&o);
    o = good(&l, "--cert c.pem --key k.pem popd");
    assert_string_equal(o.pairs[0].key, "k.pem");
    options_free(&o);
}

static void good_values_are_taken(void **state)
{
    (void)state;
    static const char *const options[] = {
        "--starttls=imap --policy=required",
        "--starttls=imap --policy=auth",
        "--starttls=imap --policy=optional",
        "--starttls=pop3",
        "--starttls=smtp",
        "--starttls=lmtp",
        "--starttls=sieve",
        "--starttls=nntp",
        "--ucspi-tls",
        "--proxy-protocol --proxy-trusted=local",
        "--proxy-out=off",
        "--proxy-out=v1",
        "--proxy-out=v2",
        "--ucspi-tls --proxy-out=off",
        "--jail=on",
        "--jail=strict",
        "--jail=off",
        "--stdio=pipe",
        "--stdio=socket",
        "--tls-min=1.0",
        "--tls-min=1.1",
        "--tls-min=1.2",
        "--tls-min=1.3",
        "--tickets=keys",
        "--tickets keys --ticket-lifetime=1",
        "--ticket-lifetime=604800",
        "--timeout-idle=0",
        "--timeout-idle=31536000",
        "--timeout-idle=007",
        "--name=a",
        "--name=MAIL-1.example_x.org",
        "--gate-user=0",
        "--handler-user=mail:mail",
        "--chroot=/",
        "--log=stderr",
        "--log=syslog",
        "--log=journal",
    };

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        char text[256];
        struct line l;
        (void)snprintf(text, sizeof text, "--cert=c.pem %s imapd", options[i]);
        struct options o = good(&l, text);
        options_free(&o);
    }
}

static void bad_values_are_refused_with_their_option_named(void **state)
{
    (void)state;
    static const struct {
        const char *option, *named; /* what the line must hold */
    } cases[] = {
        {"--starttls=", "--starttls="},
        {"--policy=", "--policy="},
        {"--policy=none", "--policy=none: wants required, auth or optional"},
        {"--tickets=", "--tickets="},
        {"--ticket-lifetime=0", "--ticket-lifetime=0: wants a number of seconds from 1 to 604800"},
        {"--ticket-lifetime=604801", "--ticket-lifetime=604801: wants a number of seconds"},
        {"--ticket-lifetime=1h", "--ticket-lifetime=1h: wants a number of seconds"},
        {"--new-ticket-key=", "--new-ticket-key="},
        {"--new-ticket-key=keys", "--new-ticket-key=keys: takes one file, and no handler"},
        {"--client-ca=", "--client-ca="},
        {"--crl=", "--crl="},
        {"--client-cert=off", "--client-cert=off: wants request or require"},
        {"--client-cert=", "--client-cert="},
        {"--client-name=dn", "--client-name=dn: wants cn, email or san"},
        {"--policy=Required", "--policy=Required"},
        {"--name=", "--name="},
        {"--name=mail/example", "--name=mail/example: wants a host name"},
        {"--name=m\303\244il", "--name=m\\xc3\\xa4il"},
        {"--gate-user=", "--gate-user="},
        {"--gate-user=:mail", "--gate-user=:mail: wants USER"},
        {"--handler-user=", "--handler-user="},
        {"--handler-user=:x", "--handler-user=:x"},
        {"--chroot=", "--chroot="},
        {"--chroot=empty", "--chroot=empty: wants an absolute path"},
        {"--jail=yes", "--jail=yes: wants on, strict or off"},
        {"--stdio=tty", "--stdio=tty: wants pipe or socket"},
        {"--tls-min=1.4", "--tls-min=1.4: wants 1.0"},
        {"--tls-min=1", "--tls-min=1"},
        {"--tls-min=TLSv1.2", "--tls-min=TLSv1.2"},
        {"--trusted=", "--trusted="},
        {"--proxy-protocol --proxy-trusted=", "--proxy-trusted="},
        {"--proxy-protocol=yes", "--proxy-protocol=yes"},
        {"--proxy-out=", "--proxy-out="},
        {"--proxy-out=2", "--proxy-out=2: wants v1, v2 or off"},
        {"--ciphers=", "--ciphers="},
        {"--groups=", "--groups="},
        {"--log=", "--log="},
        {"--log=xml", "--log=xml: wants stderr, syslog, journal or json"},
        {"--timeout-lobby=", "--timeout-lobby="},
        {"--timeout-lobby=-1", "--timeout-lobby=-1"},
        {"--timeout-handshake=+1", "--timeout-handshake=+1"},
        {"--timeout-idle=1.5", "--timeout-idle=1.5"},
        {"--timeout-idle=10s", "--timeout-idle=10s: wants a number of seconds"},
        {"--timeout-session=31536001", "--timeout-session=31536001"},
        {"--timeout-session=99999999999999999999999", "--timeout-session=9999"},
        {"--timeout-grace=0x10", "--timeout-grace=0x10"},
        {"--timeout-grace=ten", "--timeout-grace=ten"},
        {"--max-connections=", "--max-connections="},
        {"--max-connections=-1", "--max-connections=-1: wants a number of connections"},
        {"--max-connections=65536", "--max-connections=65536: wants a number of connections"},
        {"--max-per-client=many", "--max-per-client=many: wants a number of connections"},
        {"--exit-idle=1m", "--exit-idle=1m: wants a number of seconds"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        struct line l;
        struct options o;
        (void)snprintf(text, sizeof text, "--cert=c.pem %s imapd", cases[i].option);
        int status = read_line_of(&o, &l, text);
        if (status != EX_USAGE)
            fail_msg("%s: status %d", cases[i].option, status);
        if (strstr(said, cases[i].named) == NULL)
            fail_msg("%s: %s", cases[i].option, said);
        options_free(&o);
    }
}

static void an_empty_file_name_is_refused_with_its_option_named(void **state)
{
    (void)state;
    static const char *const options[] = {
        "--cert=", "--cert=c.pem --key=", "--cert=c.pem --config="};

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        char text[64];
        struct line l;
        struct options o;
        (void)snprintf(text, sizeof text, "%s imapd", options[i]);
        int status = read_line_of(&o, &l, text);
        options_free(&o);
        if (status != EX_USAGE)
            fail_msg("%s: status %d", options[i], status);
    }
}

static void unknown_options_and_missing_values_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *line, *named;
    } cases[] = {
        {"--cert=c.pem --nonsense imapd", "--nonsense"},
        {"--cert=c.pem --nonsense=x imapd", "--nonsense=x"},
        {"--cert=c.pem -x imapd", "-x"},
        {"--cert=c.pem -vx imapd", "-x"},
        {"--cert=c.pem --timeout=1 imapd", "--timeout=1"},
        {"--cert=c.pem --verbose=1 imapd", "--verbose=1: this option takes no value; see --help"},
        {"--crt=c.pem imapd", "--crt=c.pem: no such option; did you mean --cert? See --help"},
        {"--cert=c.pem --handler-usr a imapd",
         "--handler-usr: no such option; did you mean --handler-user?"},
        {"--cert=c.pem --Check imapd", "--Check: no such option; did you mean --check?"},
        {"--cert=c.pem --xyz imapd", "--xyz: no such option; see --help"},
        {"--cert=c.pem --timeout-=1 imapd", "--timeout-=1: several options begin like this"},
        {"--cert=c.pem --name", "--name: its value is missing; see --help"},
        {"--cert=c.pem --key", "--key"},
        {"--cert", "--cert"},
        {"-c", "-c"},
        {"-vc", "-c"},
        {"--cert=c.pem -xv imapd", "-x"},
        {"-xv", "-x"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char wanted[128];
        struct line l;
        struct options o;
        int status = read_line_of(&o, &l, cases[i].line);
        if (status != EX_USAGE)
            fail_msg("%s: status %d", cases[i].line, status);
        (void)snprintf(wanted, sizeof wanted,
                       strchr(cases[i].named, ':') != NULL ? ": %s" : ": %s:", cases[i].named);
        if (strstr(said, wanted) == NULL)
            fail_msg("%s: %s", cases[i].line, said);
        options_free(&o);
    }
}

static void a_command_line_that_begins_with_an_option_is_recognised(void **state)
{
    (void)state;
    static const char *const names[] = {"-f", "--cert=c.pem", "-", "-c\033[2J", NULL};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[40] = "", cert[] = "--cert=c.pem", handler[] = "imapd";
        char *argv[] = {name, cert, handler, NULL}, *none[] = {NULL, handler, NULL};
        struct options o;
        if (names[i] != NULL)
            (void)strcpy(name, names[i]);
        struct ear e = hear();
        int status = names[i] != NULL ? options_read(&o, 3, argv) : options_read(&o, 0, none);
        heard(e);
        if (status != EX_USAGE || !said_one_line() || strstr(said, "inetd.conf") == NULL)
            fail_msg("%s: status %d: %s", name, status, said);
        options_free(&o);
    }
}

static void keys_belong_to_the_certificate_before_them(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *cert[2], *key[2];
    } cases[] = {
        {"-c a -k b imapd", 0, {"a", NULL}, {"b", NULL}},
        {"-c a -c b imapd", 0, {"a", "b"}, {NULL, NULL}},
        {"-c a -k x -c b imapd", 0, {"a", "b"}, {"x", NULL}},
        {"-c a -c b -k y imapd", 0, {"a", "b"}, {NULL, "y"}},
        {"-c a -k x -c b -k y imapd", 0, {"a", "b"}, {"x", "y"}},
        {"-k x -c a imapd", EX_USAGE, {NULL, NULL}, {NULL, NULL}},
        {"-c a -k x -k y imapd", EX_USAGE, {NULL, NULL}, {NULL, NULL}},
        {"-c a -c b -c c imapd", EX_USAGE, {NULL, NULL}, {NULL, NULL}},
        {"-k x imapd", EX_USAGE, {NULL, NULL}, {NULL, NULL}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct line l;
        struct options o;
        int status = read_line_of(&o, &l, cases[i].line);
        if (status != cases[i].status)
            fail_msg("%s: status %d: %s", cases[i].line, status, said);
        if (status != 0) {
            if (strstr(said, strstr(cases[i].line, "-c c") != NULL ? "--cert=c" : "--key=") == NULL)
                fail_msg("%s: %s", cases[i].line, said);
            options_free(&o);
            continue;
        }
        for (size_t n = 0; n < 2; n++) {
            assert_int_equal(n < o.pair_count, cases[i].cert[n] != NULL);
            if (n >= o.pair_count)
                continue;
            assert_string_equal(o.pairs[n].cert, cases[i].cert[n]);
            assert_true((o.pairs[n].key == NULL) == (cases[i].key[n] == NULL));
            if (o.pairs[n].key != NULL)
                assert_string_equal(o.pairs[n].key, cases[i].key[n]);
        }
        options_free(&o);
    }
}

static void what_does_not_go_together_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int status;
        const char *named;
    } cases[] = {
        {"imapd", EX_USAGE, "--cert"},
        {"", EX_USAGE, "--cert"},
        {"--cert=c.pem", EX_USAGE, "handler"},
        {"--cert=c.pem --", EX_USAGE, "handler"},
        {"--cert=c.pem --policy=required imapd", EX_USAGE, "--starttls"},
        {"--cert=c.pem --policy=auth imapd", EX_USAGE, "--starttls"},
        {"--cert=c.pem --ucspi-tls --starttls=imap imapd", EX_USAGE, "--ucspi-tls"},
        {"--cert=c.pem --client-cert=request imapd", EX_USAGE, "--client-cert"},
        {"--cert=c.pem --ocsp=o.der --client-ca=a.pem imapd", EX_USAGE, "--ocsp"},
        {"--cert=c.pem --crl=l.pem imapd", EX_USAGE, "--crl"},
        {"--cert=c.pem --proxy-protocol imapd", EX_USAGE, "--proxy-trusted"},
        {"--cert=c.pem --proxy-trusted=local imapd", EX_USAGE, "--proxy-protocol"},
        {"--cert=c.pem --ucspi-tls --proxy-protocol --proxy-trusted=::1 imapd", EX_USAGE,
         "--proxy-protocol"},
        {"--cert=c.pem --ucspi-tls --proxy-out=v1 imapd", EX_USAGE, "--proxy-out"},
        {"--cert=c.pem --check", 0, ""},
        {"--cert=c.pem --check imapd", 0, ""},
        {"--check", EX_USAGE, "--cert"},
        {"--help", 0, ""},
        {"-h --policy=auth", 0, ""},
        {"--version", 0, ""},
        {"-V imapd", 0, ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct line l;
        struct options o;
        int status = read_line_of(&o, &l, cases[i].line);
        if (status != cases[i].status || strstr(said, cases[i].named) == NULL)
            fail_msg("%s: status %d: %s", cases[i].line, status, said);
        options_free(&o);
    }
}

static void actions_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum action action;
    } cases[] = {{"--cert=c.pem imapd", ACTION_SERVE},
                 {"--cert=c.pem --check", ACTION_CHECK},
                 {"--help", ACTION_HELP},
                 {"-h", ACTION_HELP},
                 {"--version", ACTION_VERSION},
                 {"-V", ACTION_VERSION}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct line l;
        struct options o = good(&l, cases[i].line);
        assert_int_equal(o.action, cases[i].action);
        options_free(&o);
    }
}

static void a_value_in_a_message_is_escaped_and_cut(void **state)
{
    (void)state;
    char text[1024] = "--cert=c.pem --jail=\033[2J";
    struct line l;
    struct options o;

    assert_int_equal(read_line_of(&o, &l, text), EX_USAGE);
    assert_non_null(strstr(said, "--jail=\\x1b[2J"));
    options_free(&o);
    (void)strcpy(text, "--cert=c.pem --jail=");
    memset(text + strlen(text), 'x', 800);
    assert_int_equal(read_line_of(&o, &l, text), EX_USAGE);
    assert_true(strlen(said) < 300);
    assert_non_null(strstr(said, "xxx..."));
    options_free(&o);
}

static void help_names_every_option_once(void **state)
{
    (void)state;
    static const char *const names[] = {"--cert=",
                                        "--key=",
                                        "--starttls=",
                                        "--policy=",
                                        "--name=",
                                        "--trusted=",
                                        "--ucspi-tls",
                                        "--gate-user=",
                                        "--handler-user=",
                                        "--chroot=",
                                        "--jail=",
                                        "--stdio=",
                                        "--tls-min=",
                                        "--ciphers=",
                                        "--groups=",
                                        "--timeout-lobby=",
                                        "--timeout-idle=",
                                        "--timeout-session=",
                                        "--timeout-grace=",
                                        "--timeout-handshake=",
                                        "--max-connections=",
                                        "--max-per-client=",
                                        "--exit-idle=",
                                        "--config=",
                                        "--check",
                                        "--log=",
                                        "--help",
                                        "--version",
                                        "--verbose",
                                        "--quiet"};
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);

    assert_non_null(f);
    usage_print(f);
    assert_int_equal(fclose(f), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char wanted[32];
        (void)snprintf(wanted, sizeof wanted, "  %s", names[i]);
        if (strstr(text, names[i]) == NULL)
            fail_msg("%s is missing", names[i]);
    }
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
        if (strlen(line) > 80)
            fail_msg("%zu columns: %s", strlen(line), line);
    free(text);
}

static void policies_have_the_names_that_the_command_line_takes(void **state)
{
    (void)state;
    assert_string_equal(options_policy_name(POLICY_REQUIRED), "required");
    assert_string_equal(options_policy_name(POLICY_AUTH), "auth");
    assert_string_equal(options_policy_name(POLICY_OPTIONAL), "optional");
}

/* Reads a configuration file with this text. */
static int read_config_text(struct options *o, struct line *l, const char *text, const char *line)
{
    write_config(text, strlen(text));
    return read_line_of(o, l, line);
}

static void a_configuration_file_sets_what_the_command_line_could(void **state)
{
    (void)state;
    struct line l;
    struct options o;

    assert_int_equal(read_config_text(&o, &l,
                                      "# a comment\n"
                                      "; another\n"
                                      "\n"
                                      "cert = c.pem\n"
                                      "key=k.pem\n"
                                      "  tls-min\t=   1.3  \n"
                                      "\ttimeout-idle = 7\n"
                                      "stdio = socket\n"
                                      "   # an indented comment\n"
                                      "ciphers = A:B\n",
                                      "--config=% imapd"),
                     0);
    assert_string_equal(o.pairs[0].cert, "c.pem");
    assert_string_equal(o.pairs[0].key, "k.pem");
    assert_int_equal(o.tls_min, 0x0304);
    assert_int_equal(o.timeout_idle, 7);
    assert_int_equal(o.stdio, STDIO_SOCKET);
    assert_string_equal(o.ciphers, "A:B");
    options_free(&o);
}

static void the_command_line_wins_over_the_file(void **state)
{
    (void)state;
    static const char text[] = "cert = file.pem\nkey = file.key\ntimeout-idle = 7\n"
                               "timeout-grace = 8\nverbose = yes\nstdio = socket\n";
    struct line l;
    struct options o;

    /* Wherever on the command line the file is named. */
    static const char *const lines[] = {"-f % --timeout-idle=1 -q imapd",
                                        "--timeout-idle=1 -q -f % imapd"};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(read_config_text(&o, &l, text, lines[i]), 0);
        assert_int_equal(o.timeout_idle, 1);
        assert_int_equal(o.timeout_grace, 8);
        assert_int_equal(o.verbosity, -1);
        assert_int_equal(o.stdio, STDIO_SOCKET);
        assert_int_equal(o.pair_count, 1);
        assert_string_equal(o.pairs[0].cert, "file.pem");
        assert_string_equal(o.pairs[0].key, "file.key");
        options_free(&o);
    }
}

static void a_pair_on_the_command_line_replaces_the_files(void **state)
{
    (void)state;
    static const char text[] = "cert = a.pem\nkey = a.key\ncert = b.pem\nkey = b.key\n";
    struct line l;
    struct options o;

    assert_int_equal(read_config_text(&o, &l, text, "-f % imapd"), 0);
    assert_int_equal(o.pair_count, 2);
    assert_string_equal(o.pairs[0].cert, "a.pem");
    assert_string_equal(o.pairs[0].key, "a.key");
    assert_string_equal(o.pairs[1].cert, "b.pem");
    assert_string_equal(o.pairs[1].key, "b.key");
    options_free(&o);
    /* The file's key must not be paired with the command line's certificate. */
    assert_int_equal(read_config_text(&o, &l, text, "-f % -c mine.pem imapd"), 0);
    assert_int_equal(o.pair_count, 1);
    assert_string_equal(o.pairs[0].cert, "mine.pem");
    assert_null(o.pairs[0].key);
    options_free(&o);
    assert_int_equal(read_config_text(&o, &l, "cert = a.pem\n", "-f % -k mine.key imapd"), 0);
    assert_int_equal(o.pair_count, 1);
    assert_string_equal(o.pairs[0].cert, "a.pem");
    assert_string_equal(o.pairs[0].key, "mine.key");
    options_free(&o);
}

static void flags_in_a_file_want_yes_or_no(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status, verbosity;
        bool ucspi;
    } cases[] = {
        {"verbose = yes\n", 0, 1, false},       {"verbose = no\n", 0, 0, false},
        {"quiet = yes\n", 0, -1, false},        {"ucspi-tls = yes\n", 0, 0, true},
        {"ucspi-tls = no\n", 0, 0, false},      {"check = yes\n", 0, 0, false},
        {"check = no\n", 0, 0, false},          {"check = json\n", 0, 0, false},
        {"check = xml\n", EX_CONFIG, 0, false}, {"verbose = true\n", EX_CONFIG, 0, false},
        {"verbose = 1\n", EX_CONFIG, 0, false}, {"verbose =\n", EX_CONFIG, 0, false},
        {"verbose\n", EX_CONFIG, 0, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct line l;
        struct options o;
        int status = read_config_text(&o, &l, cases[i].text, "-c c.pem -f % imapd");
        if (status != cases[i].status)
            fail_msg("%s: status %d: %s", cases[i].text, status, said);
        if (status == 0) {
            assert_int_equal(o.verbosity, cases[i].verbosity);
            assert_true(o.ucspi_tls == cases[i].ucspi);
        }
        options_free(&o);
    }
}

static void a_mistake_in_the_file_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int line;
        const char *why;
    } cases[] = {
        {"unknown name", "\n# x\nnonsense = 1\n", 3, "nonsense: no such option"},
        {"a letter for a name", "c = c.pem\n", 1, "c: no such option; did you mean `cert'?"},
        {"a name with dashes", "--cert = c.pem\n", 1,
         "--cert: no such option; did you mean `cert'?"},
        {"config", "config = other\n", 1, "config: no such option"},
        {"help", "help = yes\n", 1, "help: no such option"},
        {"version", "version = yes\n", 1, "version: no such option"},
        {"bad value", "cert = c.pem\ntls-min = 9\n", 2, "tls-min: wants 1.0"},
        {"empty value", "\n\nciphers =\n", 3, "ciphers: wants"},
        {"no equals sign", "cert = c.pem\nquiet\n", 2, "not an `option = value' line"},
        {"rubbish", "cert = c.pem\n\1\2\3\n", 2, "not an `option = value' line"},
        {"a section", "[postern]\ncert = c.pem\n", 1, "postern: sections mean nothing here"},
        {"a section without an end", "[postern\n", 1, "not an `option = value' line"},
        {"a key first", "key = k.pem\ncert = c.pem\n", 1, "key: belongs behind"},
        {"three certificates", "cert = a\ncert = b\ncert = c\n", 3, "cert: given more than twice"},
        {"a section behind blanks", "cert = c.pem\n  [x y] # z\n", 2, "x\\x20y: sections"},
        {"a misspelt name", "crt = c.pem\n", 1, "crt: no such option; did you mean `cert'?"},
        {"letters swapped", "polciy = auth\n", 1, "polciy: no such option; did you mean `policy'?"},
        {"capitals", "TLS_MIN = 1.2\n", 1, "TLS_MIN: no such option; did you mean `tls-min'?"},
        {"new-ticket-key", "new-ticket-key = k\n", 1, "new-ticket-key: no such option in a file"},
        {"no name", "cert = c.pem\n = 1\n", 2, "not an `option = value' line"},
        {"a colon", "cert: c.pem\n", 1, "not an `option = value' line"},
        {"a comment for a value", "cert = # c.pem\n", 1, "cert: wants a file"},
        {"a second byte order mark", "\357\273\277\357\273\277cert = c.pem\n", 1,
         "\\xef\\xbb\\xbfcert: no such option"},
        {"a byte order mark further down", "cert = c.pem\n\357\273\277jail = on\n", 2,
         "\\xef\\xbb\\xbfjail: no such option"},
        {"a mistake behind a good line without an end", "cert = c.pem\njail = x", 2, "jail: wants"},
        {"CRLF", "cert = c.pem\r\n\r\njail = x\r\n", 3, "jail: wants"},
        {"an escape sequence", "\033[2J = x\n", 1, "\\x1b[2J: no such option"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char wanted[PATH_MAX];
        struct line l;
        struct options o;
        int status = read_config_text(&o, &l, cases[i].text, "-f % imapd");
        if (status != EX_CONFIG)
            fail_msg("%s: status %d: %s", cases[i].name, status, said);
        (void)snprintf(wanted, sizeof wanted, "%s:%d: %s", config_file, cases[i].line,
                       cases[i].why);
        if (strstr(said, wanted) == NULL)
            fail_msg("%s: %s", cases[i].name, said);
        options_free(&o);
    }
}

static void a_section_alone_is_no_section_to_overlook(void **state)
{
    (void)state;
    struct line l;
    struct options o;

    int status = read_config_text(&o, &l, "cert = c.pem\n[postern]\n", "-f % imapd");
    assert_int_equal(status, EX_CONFIG);
    assert_non_null(strstr(said, ":2: postern: sections mean nothing here"));
    options_free(&o);
}

/* Checks that the log names these lines of the file, in this order, and no others. */
static void assert_lines_named(const int *lines, size_t count)
{
    const char *line = said;

    for (size_t i = 0; i < count; i++, line = strchr(line, '\n') + 1) {
        char wanted[PATH_MAX];
        (void)snprintf(wanted, sizeof wanted, ": %s:%d: ", config_file, lines[i]);
        const char *at = strstr(line, wanted), *end = strchr(line, '\n');
        if (at == NULL || end == NULL || at > end)
            fail_msg("no line %d: %s", lines[i], said);
    }
    if (*line != '\0')
        fail_msg("more: %s", line);
}

static void all_mistakes_of_the_file_are_named_in_one_run(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int lines[6];
        size_t count;
    } cases[] = {
        {"two", "jail = x\nstdio = y\n", {1, 2}, 2},
        {"the last without a newline", "jail = x\ncert = c.pem\nstdio = y", {1, 3}, 2},
        {"of all kinds",
         "key = k.pem\nnonsense = 1\n# a comment\n[x]\nwords\n\ncert = c.pem\ntls-min = 9\nquiet = "
         "1\n",
         {1, 2, 4, 5, 8, 9},
         6},
        {"the same one again", "jail = x\njail = x\n", {1, 2}, 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct line l;
        struct options o;
        write_config(cases[i].text, strlen(cases[i].text));
        int status = read_line_with_mistakes(&o, &l, "-f % imapd");
        if (status != EX_CONFIG)
            fail_msg("%s: status %d: %s", cases[i].name, status, said);
        assert_lines_named(cases[i].lines, cases[i].count);
        options_free(&o);
    }
}

static void a_file_full_of_mistakes_does_not_fill_the_log(void **state)
{
    (void)state;
    char text[1000] = "", wanted[PATH_MAX];
    struct line l;
    struct options o;
    size_t lines = 0;

    for (size_t i = 0; i < 60; i++)
        (void)strcat(text, "x\n");
    write_config(text, strlen(text));
    assert_int_equal(read_line_with_mistakes(&o, &l, "-f % imapd"), EX_CONFIG);
    options_free(&o);
    for (const char *p = said; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, 51);
    (void)snprintf(wanted, sizeof wanted, "%s: 10 more mistakes\n", config_file);
    assert_non_null(strstr(said, wanted));
}

static void a_file_over_one_mebibyte_is_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {1024UL * 1024, 1024UL * 1024 + 1};
    static const char begin[] = "cert = c.pem\n";

    for (size_t i = 0; i < 2; i++) {
        struct line l;
        struct options o;
        char *text = malloc(sizes[i]);
        assert_non_null(text);
        memset(text, '\n', sizes[i]);
        memcpy(text, begin, strlen(begin));
        write_config(text, sizes[i]);
        free(text);
        assert_int_equal(read_line_of(&o, &l, "-f % imapd"), i == 0 ? 0 : EX_CONFIG);
        if (i == 1)
            assert_non_null(strstr(said, "the file is too large"));
        options_free(&o);
    }
}

static void values_are_what_stands_between_blanks_and_a_comment(void **state)
{
    (void)state;
    static const struct {
        const char *name, *line, *cert;
    } cases[] = {
        {"blanks around", "  cert  =  c.pem  ", "c.pem"},
        {"tabs around", "\tcert\t=\tc.pem\t", "c.pem"},
        {"none around", "cert=c.pem", "c.pem"},
        {"blanks within", "cert = my own cert.pem", "my own cert.pem"},
        {"double quotes", "cert = \"c.pem\"", "\"c.pem\""},
        {"single quotes", "cert = 'c.pem'", "'c.pem'"},
        {"an equals sign", "cert = a=b", "a=b"},
        {"an equals sign first", "cert == b", "= b"},
        {"a backslash at the end", "cert = c.pem\\", "c.pem\\"},
        {"a semicolon within", "cert = a;b", "a;b"},
        {"a hash within", "cert = a#b", "a#b"},
        {"a comment behind it", "cert = c.pem ; mine", "c.pem"},
        {"the other comment behind it", "cert = c.pem # mine", "c.pem"},
        {"a comment behind a tab", "cert = c.pem\t#", "c.pem"},
        {"two comments", "cert = a#b ;c # d", "a#b"},
        {"a section's brackets", "cert = [c.pem]", "[c.pem]"},
        {"UTF-8", "cert = \303\244.pem", "\303\244.pem"},
        {"a CR within", "cert = a\rb", "a\rb"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];
        struct line l;
        struct options o;
        (void)snprintf(text, sizeof text, "%s\n", cases[i].line);
        write_config(text, strlen(text));
        int status = read_line_of(&o, &l, "-f % imapd");
        if (status != 0 || strcmp(o.pairs[0].cert, cases[i].cert) != 0)
            fail_msg("%s: status %d: %s%s", cases[i].name, status, said,
                     status == 0 ? o.pairs[0].cert : "");
        options_free(&o);
    }
}

static void odd_line_ends_do_no_harm(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
    } cases[] = {
        {"CRLF", "cert = c.pem\r\ntls-min = 1.3\r\n"},
        {"no newline at the end", "cert = c.pem\ntls-min = 1.3"},
        {"CRLF, none at the end", "cert = c.pem\r\ntls-min = 1.3\r"},
        {"a byte order mark", "\357\273\277cert = c.pem\ntls-min = 1.3\n"},
        {"blank lines", "\n\n\r\n  \n\t\ncert = c.pem\n\ntls-min = 1.3\n\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct line l;
        struct options o;
        int status = read_config_text(&o, &l, cases[i].text, "-f % imapd");
        if (status != 0)
            fail_msg("%s: status %d: %s", cases[i].name, status, said);
        assert_string_equal(o.pairs[0].cert, "c.pem");
        assert_int_equal(o.tls_min, 0x0304);
        options_free(&o);
    }
}

static void a_line_has_4096_bytes_at_most(void **state)
{
    (void)state;
    static const struct {
        const char *name, *begin, *end;
        size_t len;
        int status;
    } cases[] = {
        {"a value that fits", "ciphers = ", "\njail = off\n", 4096, 0},
        {"one that does not", "ciphers = ", "\njail = off\n", 4097, EX_CONFIG},
        {"CR LF does not count", "ciphers = ", "\r\njail = off\n", 4096, 0},
        {"too long before CR LF", "ciphers = ", "\r\njail = off\n", 4097, EX_CONFIG},
        {"the last line", "ciphers = ", "", 4096, 0},
        {"too long a last line", "ciphers = ", "", 4097, EX_CONFIG},
        {"a comment", "#", "\njail = off\n", 4096, 0},
        {"too long a comment", "#", "\njail = off\n", 4097, EX_CONFIG},
        {"a CR as the first byte too many", "ciphers = ", "\rjail = off\r\n", 4096, EX_CONFIG},
        {"several times as long", "ciphers = ", "\njail = off\n", 30000, EX_CONFIG},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static char text[32000];
        char wanted[PATH_MAX];
        struct line l;
        struct options o;
        size_t len = (size_t)snprintf(text, sizeof text, "cert = c.pem\n%s", cases[i].begin);
        size_t filling = cases[i].len - strlen(cases[i].begin);
        memset(text + len, 'x', filling);
        (void)strcpy(text + len + filling, cases[i].end);
        write_config(text, strlen(text));
        int status = read_line_of(&o, &l, "-f % imapd");
        (void)snprintf(wanted, sizeof wanted, "%s:2: this line is too long", config_file);
        if (status != cases[i].status || (status != 0 && strstr(said, wanted) == NULL))
            fail_msg("%s: status %d: %s", cases[i].name, status, said);
        if (status == 0) {
            assert_int_equal(o.jail, *cases[i].end != '\0' ? JAIL_OFF : JAIL_ON);
            assert_true(*cases[i].begin == '#' || strlen(o.ciphers) == filling);
        }
        options_free(&o);
    }
}

static void a_nul_in_the_file_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *name, *before, *after;
        size_t filling;
        int line;
    } cases[] = {
        {"in a value", "cert = c.pem", ".old\n", 0, 1},
        {"in a name", "\nce", "rt = c.pem\n", 0, 2},
        {"alone in its line", "cert = c.pem\n", "\n", 0, 2},
        {"in the first of two parts of a comment", "cert = c.pem\n#", "jail = off\n", 197, 2},
        {"at the end", "cert = c.pem\n", "", 0, 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[400], wanted[PATH_MAX];
        struct line l;
        struct options o;
        size_t len = strlen(cases[i].before);
        (void)memcpy(text, cases[i].before, len);
        text[len++] = '\0';
        (void)memset(text + len, ' ', cases[i].filling);
        len += cases[i].filling;
        (void)memcpy(text + len, cases[i].after, strlen(cases[i].after));
        write_config(text, len + strlen(cases[i].after));
        int status = read_line_of(&o, &l, "-f % imapd");
        (void)snprintf(wanted, sizeof wanted, "%s:%d: there is a NUL", config_file, cases[i].line);
        if (status != EX_CONFIG || strstr(said, wanted) == NULL)
            fail_msg("%s: status %d: %s", cases[i].name, status, said);
        options_free(&o);
    }
}

static void a_value_that_looks_like_more_lines_sets_nothing_else(void **state)
{
    (void)state;
    char text[1000] = "cert = c.pem\n#";
    struct line l;
    struct options o;
    size_t len = strlen(text);

    /* A long comment's tail must not be read as a line of its own. */
    memset(text + len, 'x', 197);
    (void)strcpy(text + len + 197, "\n");
    memset(text + len, ' ', 197);
    (void)memcpy(text + len + 170, "                             jail = off\n", 41);
    int status = read_config_text(&o, &l, text, "-f % imapd");
    if (status == 0)
        assert_int_equal(o.jail, JAIL_ON);
    options_free(&o);
}

static void a_file_that_cannot_be_read_is_named_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *file, *why;
    } cases[] = {{"/nowhere/postern.conf", "No such file"}, {"/", "Is a directory"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        struct line l;
        struct options o;
        (void)snprintf(text, sizeof text, "-c c.pem --config=%s imapd", cases[i].file);
        int status = read_line_of(&o, &l, text);
        if (status != EX_CONFIG || strstr(said, cases[i].file) == NULL ||
            strstr(said, cases[i].why) == NULL)
            fail_msg("%s: status %d: %s", cases[i].file, status, said);
        options_free(&o);
    }
}

static void an_empty_file_changes_nothing(void **state)
{
    (void)state;
    struct line l;
    struct options o;

    assert_int_equal(read_config_text(&o, &l, "", "-c c.pem -f % imapd"), 0);
    assert_int_equal(o.pair_count, 1);
    options_free(&o);
}

static void the_last_configuration_file_named_is_read(void **state)
{
    (void)state;
    struct line l;
    struct options o;

    assert_int_equal(read_config_text(&o, &l, "cert = c.pem\n", "-f /nowhere -f % imapd"), 0);
    options_free(&o);
}

static void values_of_the_file_outlive_it(void **state)
{
    (void)state;
    struct line l;
    struct options o;

    assert_int_equal(read_config_text(&o, &l, "cert = c.pem\nname = a.example\n", "-f % imapd"), 0);
    write_config("", 0);
    assert_string_equal(o.name, "a.example");
    assert_string_equal(o.pairs[0].cert, "c.pem");
    options_free(&o);
    options_free(&o);
    assert_null(o.owned);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(each_option_sets_its_own_field),
        cmocka_unit_test(client_certificates_are_required_once_there_is_a_ca_for_them),
        cmocka_unit_test(letters_and_separate_values_do_the_same),
        cmocka_unit_test(good_values_are_taken),
        cmocka_unit_test(bad_values_are_refused_with_their_option_named),
        cmocka_unit_test(an_empty_file_name_is_refused_with_its_option_named),
        cmocka_unit_test(unknown_options_and_missing_values_are_named),
        cmocka_unit_test(a_command_line_that_begins_with_an_option_is_recognised),
        cmocka_unit_test(keys_belong_to_the_certificate_before_them),
        cmocka_unit_test(what_does_not_go_together_is_refused),
        cmocka_unit_test(actions_are_told_apart),
        cmocka_unit_test(a_value_in_a_message_is_escaped_and_cut),
        cmocka_unit_test(help_names_every_option_once),
        cmocka_unit_test(policies_have_the_names_that_the_command_line_takes),
        cmocka_unit_test(a_configuration_file_sets_what_the_command_line_could),
        cmocka_unit_test(the_command_line_wins_over_the_file),
        cmocka_unit_test(a_pair_on_the_command_line_replaces_the_files),
        cmocka_unit_test(flags_in_a_file_want_yes_or_no),
        cmocka_unit_test(a_mistake_in_the_file_is_told_with_its_line),
        cmocka_unit_test(a_section_alone_is_no_section_to_overlook),
        cmocka_unit_test(odd_line_ends_do_no_harm),
        cmocka_unit_test(all_mistakes_of_the_file_are_named_in_one_run),
        cmocka_unit_test(a_file_full_of_mistakes_does_not_fill_the_log),
        cmocka_unit_test(a_file_over_one_mebibyte_is_refused),
        cmocka_unit_test(values_are_what_stands_between_blanks_and_a_comment),
        cmocka_unit_test(a_line_has_4096_bytes_at_most),
        cmocka_unit_test(a_nul_in_the_file_is_refused_with_its_line),
        cmocka_unit_test(a_value_that_looks_like_more_lines_sets_nothing_else),
        cmocka_unit_test(a_file_that_cannot_be_read_is_named_with_the_reason),
        cmocka_unit_test(an_empty_file_changes_nothing),
        cmocka_unit_test(the_last_configuration_file_named_is_read),
        cmocka_unit_test(values_of_the_file_outlive_it),
    };

    return cmocka_run_group_tests_name("options", tests, make_file, remove_file);
}
