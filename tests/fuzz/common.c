/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common.h"

#include "common/log.h"
#include "common/message.h"
#include "start/options.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);

/* What the log has said since it was asked last. */
static struct {
    char text[65536];
    size_t len;
    unsigned lines;
} said;

static FILE *report; /* standard error as it was before libFuzzer or a target put something there */

static void take_line(void *who, bool error, const char *text)
{
    (void)who;
    (void)error;
    fuzz_check_text(text, sizeof said.text);
    CHECK(said.len + strlen(text) + 2 <= sizeof said.text);
    said.len += (size_t)sprintf(said.text + said.len, "%s\n", text);
    said.lines++;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (int fd = 0; fd < FUZZ_FD_FREE;)
        CHECK((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0);
    report = fdopen(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, FUZZ_FD_FREE), "w");
    CHECK(report != NULL);
    log_open(LOG_TO_STDERR, LOG_VERBOSE);
    log_redirect(take_line, NULL);
    if (fuzz_begin != NULL)
        fuzz_begin();
    return 0;
}

void fuzz_fail(const char *file, int line, const char *what)
{
    FILE *to = report != NULL ? report : stderr;

    (void)fprintf(to, "%s:%d: %s\nthe log: %s\n", file, line, what, said.text);
    (void)fflush(to);
    abort();
}

void *fuzz_copy(const void *bytes, size_t len)
{
    void *copy = malloc(len > 0 ? len : 1);

    CHECK(copy != NULL);
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

char *fuzz_text(const void *bytes, size_t len)
{
    char *copy = malloc(len + 1);

    CHECK(copy != NULL);
    if (len > 0)
        memcpy(copy, bytes, len);
    copy[len] = '\0';
    return copy;
}

bool fuzz_line(const char **text, size_t *len, const char **line, size_t *line_len)
{
    if (*len == 0)
        return false;
    const char *lf = memchr(*text, '\n', *len);
    size_t used = lf != NULL ? (size_t)(lf - *text) + 1 : *len;
    *line = *text;
    *line_len = lf != NULL ? used - 1 : used;
    *text += used;
    *len -= used;
    if (lf != NULL && *line_len > 0 && (*line)[*line_len - 1] == '\r')
        --*line_len;
    return true;
}

unsigned fuzz_heard(const char **text)
{
    unsigned lines = said.lines;

    said.text[said.len] = '\0';
    said.len = 0;
    said.lines = 0;
    if (text != NULL)
        *text = said.text;
    return lines;
}

void fuzz_check_text(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    CHECK(len < size);
    for (size_t i = 0; i < len; i++)
        CHECK(text[i] >= ' ' && text[i] < 0x7f);
}

void fuzz_check_letters(const char *text, const char *letters)
{
    CHECK(strspn(text, letters) == strlen(text));
}

uint8_t fuzz_message_type(uint8_t letter)
{
    static const struct {
        char letter;
        enum message_type type;
    } types[] = {
        {'c', REQ_CHAIN},   {'s', REQ_SIGN},         {'t', REQ_SEAL},
        {'o', REQ_OPEN},    {'f', REQ_SESSION},      {'p', REQ_PLAINTEXT_HANDLER},
        {'n', REPORT_NOTE}, {'h', REQ_STOP_HANDLER}, {'l', REPORT_LEFT_LOBBY},
        {'e', REPORT_END},  {'x', REPORT_PROXY},     {'v', REPORT_STEP},
    };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].letter == letter)
            return (uint8_t)types[i].type;
    return letter;
}

/* True if a text lies in the command line, or is one of those that the options own. */
static bool is_known(const struct options *o, int argc, char **argv, const char *text)
{
    for (int i = 0; i < argc; i++)
        if (text >= argv[i] && text <= argv[i] + strlen(argv[i]))
            return true;
    for (size_t i = 0; i < o->owned_count; i++)
        if (text == o->owned[i])
            return true;
    return false;
}

void fuzz_check_options(const struct options *o, int argc, char **argv)
{
    const char *const texts[] = {
        o->starttls, o->name,     o->trusted,       o->gate_user, o->handler_user,  o->chroot_dir,
        o->ciphers,  o->groups,   o->config,        o->alpn,      o->proxy_trusted, o->client_ca,
        o->crl,      o->cert_dir, o->key_pass_file, o->tickets,   o->new_ticket_key};
    const unsigned seconds[] = {o->timeout_lobby, o->timeout_handshake, o->timeout_idle,
                                o->timeout_session, o->timeout_grace};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CHECK(texts[i] == NULL || (*texts[i] != '\0' && is_known(o, argc, argv, texts[i])));
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++)
        CHECK(seconds[i] <= 31536000);
    CHECK(o->pair_count <= OPTIONS_PAIRS_MAX);
    for (size_t i = 0; i < o->pair_count; i++) {
        CHECK(*o->pairs[i].cert != '\0' && is_known(o, argc, argv, o->pairs[i].cert));
        CHECK(o->pairs[i].key == NULL ||
              (*o->pairs[i].key != '\0' && is_known(o, argc, argv, o->pairs[i].key)));
        CHECK(o->pairs[i].staple == NULL ||
              (*o->pairs[i].staple != '\0' && is_known(o, argc, argv, o->pairs[i].staple)));
    }
    CHECK(o->action <= ACTION_NEW_TICKET_KEY && o->policy <= POLICY_OPTIONAL &&
          o->jail <= JAIL_OFF && o->stdio <= STDIO_SOCKET && o->sni <= SNI_STRICT &&
          o->log <= LOG_CHOICE_JSON && o->proxy_out <= PROXY_OUT_V2 &&
          o->client_cert <= CLIENT_CERT_REQUIRE && o->client_name <= CLIENT_NAME_SAN);
    CHECK(o->tls_min >= 0x0301 && o->tls_min <= 0x0304);
    CHECK(o->verbosity >= -1 && o->verbosity <= 1);
    CHECK(o->chroot_dir == NULL || *o->chroot_dir == '/');
    if (o->name != NULL)
        fuzz_check_letters(o->name,
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
    CHECK(o->name == NULL || strlen(o->name) <= 255);
    CHECK(o->handler >= argv && o->handler <= argv + argc && argv[argc] == NULL);
    if (o->action != ACTION_SERVE && o->action != ACTION_CHECK)
        return;
    CHECK(o->pair_count > 0 || o->cert_dir != NULL);
    CHECK(o->action == ACTION_CHECK || o->handler[0] != NULL);
    CHECK(o->starttls != NULL || o->trusted == NULL);
    CHECK(o->starttls != NULL || o->policy == POLICY_REQUIRED);
    CHECK(o->starttls == NULL || !o->ucspi_tls);
    CHECK((o->client_ca == NULL) == (o->client_cert == CLIENT_CERT_OFF));
    CHECK(o->client_ca != NULL || o->crl == NULL);
}
