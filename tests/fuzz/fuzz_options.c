/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a command line, one argument a line, in which CR stands for LF. Behind a line "%" come
 * the lines of the configuration file, wherever --config says that it is. */
#include "common.h"

#include "start/config.h"
#include "dialect/dialect.h"
#include "common/log.h"
#include "start/command_line.h"
#include "start/policy.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define ARGUMENTS_MAX 100

static const char *file;
static size_t file_len;

/* Instead of the one of config.c, which fuzz_config.c tries: no file that a command line names is
 * to be opened. */
int config_read(const char *name, config_taker *take, void *who)
{
    const char *text = file, *line;
    size_t len = file_len, line_len;
    int rc = 0;

    CHECK(*name != '\0');
    while (rc == 0 && fuzz_line(&text, &len, &line, &line_len)) {
        char *option = fuzz_text(line, line_len), *equals = strchr(option, '=');
        char why[200] = "";
        if (equals != NULL)
            *equals = '\0';
        rc = take(who, option, equals != NULL ? equals + 1 : "", why, sizeof why);
        CHECK(rc == 0 || (rc == -1 && why[0] != '\0'));
        if (rc < 0)
            log_error("%s", why);
        free(option);
    }
    return rc;
}

/* Makes a command line of the lines up to "%". Returns argc. */
static int split(char **argv, const char **text, size_t *len)
{
    const char *line;
    size_t line_len;
    int argc = 0;

    argv[argc++] = fuzz_text("postern", 7);
    while (argc < ARGUMENTS_MAX && fuzz_line(text, len, &line, &line_len)) {
        if (line_len == 1 && *line == '%')
            break;
        argv[argc] = fuzz_text(line, line_len);
        for (char *at = argv[argc]; (at = strchr(at, '\r')) != NULL;)
            *at = '\n';
        argc++;
    }
    argv[argc] = NULL;
    return argc;
}

/* Reads the command line once; what is wrong with it is one line of the log. */
static int read_once(struct options *o, int argc, char **argv)
{
    int status = options_read(o, argc, argv);

    CHECK(status == 0 || status == EX_USAGE || status == EX_CONFIG);
    CHECK(fuzz_heard(NULL) == (status == 0 ? 0 : 1));
    if (status != 0)
        return status;
    fuzz_check_options(o, argc, argv);
    if (o->starttls != NULL)
        (void)dialect_find(o->starttls);
    CHECK(policy_check(o) == 0 ? fuzz_heard(NULL) == 0 : fuzz_heard(NULL) == 1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argv[ARGUMENTS_MAX + 1];
    struct options o, again;

    file = (const char *)data;
    file_len = size;
    int argc = split(argv, &file, &file_len);
    int status = read_once(&o, argc, argv);
    /* Nothing of the first time is left in getopt(3). */
    CHECK(read_once(&again, argc, argv) == status);
    if (status == 0)
        CHECK(o.action == again.action && o.handler == again.handler &&
              o.tls_min == again.tls_min && o.pair_count == again.pair_count &&
              o.owned_count == again.owned_count);
    options_free(&o);
    options_free(&again);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return 0;
}
