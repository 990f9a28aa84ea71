/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of handler.c: finding a program, starting it clean, its status. */
#include "monitor/handler.h"

#include "common/io.h"
#include "ear.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/postern-handler-XXXXXX";

static void put_file(const char *name, mode_t mode, const char *text)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_folder(void **state)
{
    char path[PATH_MAX];

    (void)state;
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%c", folder, 'a' + i);
        assert_int_equal(mkdir(path, 0755), 0);
    }
    put_file("a/plain", 0644, "not executable\n");
    put_file("b/plain", 0755, "#!/bin/sh\necho b\n");
    put_file("b/only-b", 0755, "#!/bin/sh\necho b\n");
    put_file("a/locked", 0644, "not executable\n");
    (void)snprintf(path, sizeof path, "%s/a/only-b", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    put_file("c/here", 0755, "#!/bin/sh\n");
    put_file("rubbish", 0755, "\1\2\3 no program\n");
    put_file("no-interpreter", 0755, "#!/nowhere/interpreter\n");
    return 0;
}

static int remove_folder(void **state)
{
    char command[PATH_MAX];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

/* Sets PATH, "%" standing for the folder; NULL: unsets it. */
static void set_path(const char *text)
{
    char path[PATH_MAX] = "";
    size_t n = 0;

    if (text == NULL) {
        (void)unsetenv("PATH");
        return;
    }
    for (; *text != '\0'; text++)
        n += (size_t)(*text == '%' ? snprintf(path + n, sizeof path - n, "%s", folder)
                                   : snprintf(path + n, sizeof path - n, "%c", *text));
    assert_int_equal(setenv("PATH", path, 1), 0);
}

static void a_program_is_found_along_the_path(void **state)
{
    (void)state;
    static const struct {
        const char *path, *name;
        int result;
        const char *found; /* behind the folder's name; absolute if it begins with "//" */
    } cases[] = {
        {"%/a:%/b", "plain", 0, "/b/plain"},
        {"%/b:%/a", "plain", 0, "/b/plain"},
        {"%/a:%/b", "only-b", 0, "/b/only-b"},
        {"%/nowhere:%/b", "only-b", 0, "/b/only-b"},
        {"%/rubbish:%/b", "only-b", 0, "/b/only-b"},
        {"%/a", "plain", -EACCES, NULL},
        {"%/a", "locked", -EACCES, NULL},
        {"%/a:%/b", "locked", -EACCES, NULL},
        {"%/b", "locked", -ENOENT, NULL},
        {"%/a", "only-b", -EACCES, NULL},
        {"%/a:%/b:%/c", "nothing", -ENOENT, NULL},
        {"", "sh", 0, "//bin/sh"},
        {NULL, "sh", 0, "//bin/sh"},
        {"/bin", "sh", 0, "//bin/sh"},
    };
    char *before = strdup(getenv("PATH"));

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[PATH_MAX] = "", wanted[PATH_MAX];
        set_path(cases[i].path);
        int rc = handler_find(cases[i].name, path, sizeof path);
        assert_int_equal(setenv("PATH", before, 1), 0);
        if (rc != cases[i].result)
            fail_msg("%s along %s: %d", cases[i].name, cases[i].path, rc);
        if (rc != 0)
            continue;
        if (strncmp(cases[i].found, "//", 2) == 0) {
            /* /bin may be a link to /usr/bin. */
            assert_non_null(strstr(path, "bin/sh"));
            continue;
        }
        (void)snprintf(wanted, sizeof wanted, "%s%s", folder, cases[i].found);
        assert_string_equal(path, wanted);
    }
    free(before);
}

static void an_empty_part_of_the_path_is_the_current_folder(void **state)
{
    (void)state;
    static const char *const paths[] = {":/nowhere", "/nowhere:", "/nowhere::/nowhere"};
    char *before = strdup(getenv("PATH"));
    char path[PATH_MAX], here[PATH_MAX], there[PATH_MAX];

    assert_non_null(getcwd(here, sizeof here));
    (void)snprintf(there, sizeof there, "%s/c", folder);
    assert_int_equal(chdir(there), 0);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        set_path(paths[i]);
        int rc = handler_find("here", path, sizeof path);
        assert_int_equal(setenv("PATH", before, 1), 0);
        assert_int_equal(rc, 0);
        assert_string_equal(path, "./here");
    }
    assert_int_equal(chdir(here), 0);
    free(before);
}

static void a_name_with_a_slash_is_taken_as_it_is(void **state)
{
    (void)state;
    char name[PATH_MAX], path[PATH_MAX];

    (void)snprintf(name, sizeof name, "%s/b/plain", folder);
    assert_int_equal(handler_find(name, path, sizeof path), 0);
    assert_string_equal(path, name);
    (void)snprintf(name, sizeof name, "%s/a/plain", folder);
    assert_int_equal(handler_find(name, path, sizeof path), -EACCES);
    assert_int_equal(handler_find(folder, path, sizeof path), -EACCES);
    (void)snprintf(name, sizeof name, "%s/nothing", folder);
    assert_int_equal(handler_find(name, path, sizeof path), -ENOENT);
}

static void a_path_that_does_not_fit_is_not_found(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int result;
    } cases[] = {{"/bin/sh", -ENAMETOOLONG}, {"sh", -ENOENT}};

    for (size_t i = 0; i < 2; i++) {
        char *path = malloc(6);
        assert_non_null(path);
        assert_int_equal(handler_find(cases[i].name, path, 6), cases[i].result);
        free(path);
    }
}

/* What a handler gets if a test says nothing else. */
static struct signals plain_signals;
static struct environment plain_environment;

static struct handler_setup setup_for(char **argv, enum stdio_mode stdio)
{
    struct handler_setup setup = {.argv = argv,
                                  .stdio = stdio,
                                  .extra = {-1, -1, -1},
                                  .environment = &plain_environment,
                                  .signals = &plain_signals};

    (void)sigemptyset(&plain_signals.mask);
    plain_signals.pipe.sa_handler = SIG_DFL;
    if (plain_environment.count == 0)
        environment_add(&plain_environment, "PATH", "/usr/bin:/bin");
    return setup;
}

/* All that comes from fd until its end, as text. */
static void read_all(int fd, char *text, size_t size)
{
    io_time deadline = io_deadline(4);
    size_t len = 0;

    for (;;) {
        assert_true(len < size - 1);
        ssize_t n = io_read(fd, text + len, size - 1 - len);
        if (n == -EAGAIN) {
            assert_int_equal(io_wait(fd, POLLIN, -1, deadline), 0);
            continue;
        }
        assert_true(n >= 0);
        if (n == 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
}

static int reap(struct handler *h)
{
    int status = 0;

    assert_int_equal(waitpid(h->pid, &status, 0), h->pid);
    h->pid = 0;
    return handler_status(status);
}

/* Runs `sh -c script`, gives what it writes in *text, and its status. */
static int run_script(struct handler_setup *setup, const char *script, char *text, size_t size)
{
    char sh[] = "/bin/sh", c[] = "-c", copy[512];
    char *argv[] = {sh, c, copy, NULL};
    struct handler h;

    (void)snprintf(copy, sizeof copy, "%s", script);
    setup->argv = argv;
    assert_int_equal(handler_start(&h, setup), 0);
    read_all(h.out, text, size);
    handler_close(&h);
    io_close(&h.errors);
    return reap(&h);
}

static void cat_gives_back_what_it_gets_by_pipe_and_by_socket(void **state)
{
    (void)state;
    static const enum stdio_mode modes[] = {STDIO_PIPE, STDIO_SOCKET};

    for (size_t i = 0; i < 2; i++) {
        char cat[] = "/bin/cat", text[32];
        char *argv[] = {cat, NULL};
        struct handler_setup setup = setup_for(argv, modes[i]);
        struct handler h;
        struct stat s;
        assert_int_equal(handler_start(&h, &setup), 0);
        assert_true(h.pid > 0 && h.in > 2 && h.out > 2);
        assert_int_equal(h.errors, -1);
        assert_int_equal(h.in == h.out, modes[i] == STDIO_SOCKET);
        assert_int_equal(fstat(h.in, &s), 0);
        assert_int_equal(S_ISSOCK(s.st_mode), modes[i] == STDIO_SOCKET);
        assert_true((fcntl(h.in, F_GETFL) & O_NONBLOCK) != 0);
        assert_true((fcntl(h.out, F_GETFL) & O_NONBLOCK) != 0);
        assert_int_equal(fcntl(h.in, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fcntl(h.out, F_GETFD), FD_CLOEXEC);
        assert_int_equal(io_write(h.in, "a line\n", 7), 7);
        if (modes[i] == STDIO_SOCKET)
            assert_int_equal(shutdown(h.in, SHUT_WR), 0);
        else
            io_close(&h.in);
        read_all(h.out, text, sizeof text);
        assert_string_equal(text, "a line\n");
        assert_int_equal(reap(&h), 0);
        handler_close(&h);
        assert_int_equal(h.in, -1);
        assert_int_equal(h.out, -1);
    }
}

static void the_handlers_own_ends_block(void **state)
{
    (void)state;
    char text[64];

    for (int i = 0; i < 2; i++) {
        struct handler_setup setup = setup_for(NULL, i == 0 ? STDIO_PIPE : STDIO_SOCKET);
        assert_int_equal(run_script(&setup, "grep -h flags /proc/self/fdinfo/0 /proc/self/fdinfo/1",
                                    text, sizeof text),
                         0);
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
            assert_int_equal(strtol(line + strlen("flags:\t"), NULL, 8) & O_NONBLOCK, 0);
    }
}

static void no_descriptor_above_2_leaks_into_a_handler(void **state)
{
    (void)state;
    static const enum stdio_mode modes[] = {STDIO_PIPE, STDIO_SOCKET, STDIO_PIPE};
    char cat[] = "/bin/cat", text[256];
    char *argv[] = {cat, NULL};

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct handler_setup setup = setup_for(argv, modes[i]);
        struct handler other;
        /* The ends of a handler that runs already must not leak into the next one. */
        setup.take_errors = i == 2;
        assert_int_equal(handler_start(&other, &setup), 0);
        /* ls itself opens the folder, as 3. */
        assert_int_equal(run_script(&setup, "ls /proc/self/fd", text, sizeof text), 0);
        assert_string_equal(text, "0\n1\n2\n3\n");
        handler_close(&other);
        io_close(&other.errors);
        assert_int_equal(reap(&other), 0);
    }
}

static void the_environment_is_the_one_given_and_no_other(void **state)
{
    (void)state;
    struct handler_setup setup = setup_for(NULL, STDIO_PIPE);
    struct environment e = {0};
    char env[] = "/usr/bin/env", text[256];
    char *argv[] = {env, NULL};
    struct handler h;

    assert_int_equal(setenv("FORGED", "1", 1), 0);
    environment_add(&e, "PROTO", "TCP");
    environment_add(&e, "EMPTY", "");
    setup.environment = &e;
    setup.argv = argv;
    assert_int_equal(handler_start(&h, &setup), 0);
    read_all(h.out, text, sizeof text);
    handler_close(&h);
    assert_int_equal(reap(&h), 0);
    assert_string_equal(text, "PROTO=TCP\nEMPTY=\n");
    environment_free(&e);
    /* Of an empty one too. */
    assert_int_equal(handler_start(&h, &setup), 0);
    read_all(h.out, text, sizeof text);
    handler_close(&h);
    assert_int_equal(reap(&h), 0);
    assert_string_equal(text, "");
    assert_int_equal(unsetenv("FORGED"), 0);
}

static void signal_mask_and_sigpipe_are_as_postern_found_them(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int blocked; /* 0: none */
        bool ignored;
    } cases[] = {
        {"as usual", 0, false},
        {"SIGPIPE ignored by the caller", 0, true},
        {"SIGUSR1 blocked by the caller", SIGUSR1, false},
    };
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigset_t all, old;

    (void)sigfillset(&all);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct handler_setup setup = setup_for(NULL, STDIO_PIPE);
        char text[256];
        unsigned long blocked = 0, ignored = 0;
        plain_signals.pipe.sa_handler = cases[i].ignored ? SIG_IGN : SIG_DFL;
        if (cases[i].blocked != 0)
            (void)sigaddset(&plain_signals.mask, cases[i].blocked);
        /* What the monitor itself has while it starts a handler. */
        assert_int_equal(sigaction(SIGPIPE, &ignore, &before), 0);
        assert_int_equal(sigprocmask(SIG_SETMASK, &all, &old), 0);
        int status =
            run_script(&setup, "exec grep -E 'SigBlk|SigIgn' /proc/self/status", text, sizeof text);
        assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
        assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
        assert_int_equal(status, 0);
        assert_int_equal(sscanf(text, "SigBlk: %lx SigIgn: %lx", &blocked, &ignored), 2);
        if (blocked != (cases[i].blocked != 0 ? 1UL << (cases[i].blocked - 1) : 0))
            fail_msg("%s: blocked are %lx", cases[i].name, blocked);
        if (((ignored >> (SIGPIPE - 1)) & 1) != cases[i].ignored)
            fail_msg("%s: ignored are %lx", cases[i].name, ignored);
    }
}

static void standard_error_is_inherited_or_taken(void **state)
{
    (void)state;
    char sh[] = "/bin/sh", c[] = "-c", script[] = "echo to-stderr >&2; echo to-stdout", text[64];
    char *argv[] = {sh, c, script, NULL};
    struct handler_setup setup = setup_for(argv, STDIO_PIPE);
    struct handler h;

    struct ear e = hear();
    int rc = handler_start(&h, &setup);
    if (rc == 0)
        read_all(h.out, text, sizeof text);
    handler_close(&h);
    if (rc == 0)
        (void)reap(&h);
    heard(e);
    assert_int_equal(rc, 0);
    assert_string_equal(text, "to-stdout\n");
    assert_string_equal(said, "to-stderr\n");
    setup.take_errors = true;
    assert_int_equal(handler_start(&h, &setup), 0);
    assert_true((fcntl(h.errors, F_GETFL) & O_NONBLOCK) != 0);
    assert_int_equal(fcntl(h.errors, F_GETFD), FD_CLOEXEC);
    read_all(h.errors, text, sizeof text);
    assert_string_equal(text, "to-stderr\n");
    read_all(h.out, text, sizeof text);
    assert_string_equal(text, "to-stdout\n");
    handler_close(&h);
    /* Its standard error stays: what it says while it ends goes to the log. */
    assert_true(fcntl(h.errors, F_GETFD) >= 0);
    io_close(&h.errors);
    assert_int_equal(reap(&h), 0);
}

static int count_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void a_handler_that_cannot_be_started_leaves_a_line_and_nothing_open(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int result;
        const char *reason;
    } cases[] = {
        {"/nothing", -ENOENT, "No such file or directory"},
        {"/a/plain", -EACCES, "Permission denied"},
        {"/a", -EACCES, "Permission denied"},
        {"/a/plain/nothing", -ENOTDIR, "Not a directory"},
        {"/rubbish", -ENOEXEC, "Exec format error"},
        {"/no-interpreter", -ENOENT, "the interpreter that its first line (#!) names"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int mode = 0; mode < 3; mode++) {
            char name[PATH_MAX];
            char *argv[] = {name, NULL};
            struct handler_setup setup = setup_for(argv, mode == 0 ? STDIO_PIPE : STDIO_SOCKET);
            struct handler h;
            setup.take_errors = mode == 2;
            (void)snprintf(name, sizeof name, "%s%s", folder, cases[i].name);
            int before = count_descriptors();
            struct ear e = hear();
            int rc = handler_start(&h, &setup);
            heard(e);
            if (rc != cases[i].result)
                fail_msg("%s: %d", cases[i].name, rc);
            assert_int_equal(count_descriptors(), before);
            assert_int_equal(h.pid, 0);
            assert_true(h.in == -1 && h.out == -1 && h.errors == -1);
            assert_non_null(strstr(said, name));
            assert_non_null(strstr(said, cases[i].reason));
            assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
            /* And no child is left to be reaped. */
            assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
            assert_int_equal(errno, ECHILD);
        }
    }
}

static void a_failed_environment_starts_nothing(void **state)
{
    (void)state;
    char cat[] = "/bin/cat";
    char *argv[] = {cat, NULL};
    struct handler_setup setup = setup_for(argv, STDIO_PIPE);
    struct environment failed = {.failed = true};
    struct handler h;

    setup.environment = &failed;
    struct ear e = hear();
    int rc = handler_start(&h, &setup);
    heard(e);
    assert_int_equal(rc, -ENOMEM);
    assert_int_equal(h.pid, 0);
}

static void a_handler_runs_as_its_account(void **state)
{
    (void)state;
    struct handler_setup setup = setup_for(NULL, STDIO_PIPE);
    struct account a;
    char text[64];

    if (geteuid() != 0)
        skip();
    assert_int_equal(account_find(&a, "nobody:nogroup"), 0);
    setup.account = &a;
    assert_int_equal(run_script(&setup, "id -un; id -gn; id -G", text, sizeof text), 0);
    assert_non_null(strstr(text, "nobody\nnogroup\n65534\n"));
    /* A number that no account has: no groups but the one that was named. */
    assert_int_equal(account_find(&a, "54321:54322"), 0);
    assert_int_equal(run_script(&setup, "id -u; id -G", text, sizeof text), 0);
    assert_string_equal(text, "54321\n54322\n");
}

static void the_status_is_the_handlers_own_or_128_and_its_signal(void **state)
{
    (void)state;
    static const struct {
        const char *script;
        int status;
    } cases[] = {{"exit 0", 0},
                 {"exit 7", 7},
                 {"exit 255", 255},
                 {"kill -TERM $$", 128 + SIGTERM},
                 {"kill -KILL $$", 128 + SIGKILL},
                 {"kill -PIPE $$", 128 + SIGPIPE}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct handler_setup setup = setup_for(NULL, STDIO_PIPE);
        char text[16];
        assert_int_equal(run_script(&setup, cases[i].script, text, sizeof text), cases[i].status);
    }
}

static void given_descriptors_become_the_handlers_own(void **state)
{
    (void)state;
    char sh[] = "/bin/sh", c[] = "-c",
         script[] = "cat; echo three >&3; echo four >&4; echo five >&5; ls /proc/self/fd >&5";
    char *argv[] = {sh, c, script, NULL};
    struct handler_setup setup = setup_for(argv, STDIO_PIPE);
    struct handler h;
    char text[64];
    int in[2], out[2], extra[3][2];

    /* In an order in which careless copying would overwrite one with another. */
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    for (int i = 2; i >= 0; i--) {
        assert_int_equal(pipe2(extra[i], O_CLOEXEC), 0);
        setup.extra[i] = extra[i][1];
    }
    setup.given = true;
    setup.given_in = in[0];
    setup.given_out = out[1];
    assert_int_equal(handler_start(&h, &setup), 0);
    assert_true(h.in == -1 && h.out == -1);
    (void)close(in[0]);
    (void)close(out[1]);
    assert_int_equal(io_write(in[1], "zero\n", 5), 5);
    (void)close(in[1]);
    read_all(out[0], text, sizeof text);
    assert_string_equal(text, "zero\n");
    static const char *const wanted[] = {"three\n", "four\n", "five\n0\n1\n2\n3\n4\n5\n6\n"};
    for (int i = 0; i < 3; i++) {
        (void)close(extra[i][1]);
        read_all(extra[i][0], text, sizeof text);
        assert_string_equal(text, wanted[i]);
        (void)close(extra[i][0]);
    }
    (void)close(out[0]);
    assert_int_equal(reap(&h), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_is_found_along_the_path),
        cmocka_unit_test(an_empty_part_of_the_path_is_the_current_folder),
        cmocka_unit_test(a_name_with_a_slash_is_taken_as_it_is),
        cmocka_unit_test(a_path_that_does_not_fit_is_not_found),
        cmocka_unit_test(cat_gives_back_what_it_gets_by_pipe_and_by_socket),
        cmocka_unit_test(the_handlers_own_ends_block),
        cmocka_unit_test(no_descriptor_above_2_leaks_into_a_handler),
        cmocka_unit_test(the_environment_is_the_one_given_and_no_other),
        cmocka_unit_test(signal_mask_and_sigpipe_are_as_postern_found_them),
        cmocka_unit_test(standard_error_is_inherited_or_taken),
        cmocka_unit_test(a_handler_that_cannot_be_started_leaves_a_line_and_nothing_open),
        cmocka_unit_test(a_failed_environment_starts_nothing),
        cmocka_unit_test(a_handler_runs_as_its_account),
        cmocka_unit_test(the_status_is_the_handlers_own_or_128_and_its_signal),
        cmocka_unit_test(given_descriptors_become_the_handlers_own),
    };

    /* Whatever started this program may have left descriptors open. */
    (void)io_fill_standard();
    (void)io_close_others(NULL, 0);
    int failed = cmocka_run_group_tests_name("handler", tests, make_folder, remove_folder);
    environment_free(&plain_environment);
    return failed;
}
