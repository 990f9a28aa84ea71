/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of child.c: when a child gets which signal, and what of its standard error is logged. */
#include "monitor/child.h"
#include "ear.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A child that waits for a signal; `stubborn`: it ignores SIGTERM. */
static struct child start(enum child_kind kind, bool stubborn)
{
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    struct child c = {.kind = kind, .name = "/bin/imapd", .pid = fork(), .errors = -1};
    assert_true(c.pid >= 0);
    if (c.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        (void)signal(SIGTERM, stubborn ? SIG_IGN : SIG_DFL);
        if (write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)close(ready[0]);
    return c;
}

static void each_child_gets_the_signals_that_are_due(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        enum child_kind kind;
        bool stubborn;
        int signal;           /* that ends it */
        const char *lines[2]; /* said of SIGTERM and of SIGKILL */
    } cases[] = {
        {"a good handler",
         CHILD_HANDLER,
         false,
         SIGTERM,
         {"handler /bin/imapd goes on without its client: SIGTERM", NULL}},
        {"a stubborn one",
         CHILD_HANDLER,
         true,
         SIGKILL,
         {"handler /bin/imapd goes on without its client: SIGTERM",
          "handler /bin/imapd ignores SIGTERM: SIGKILL"}},
        {"a good handler of the plaintext phase",
         CHILD_PLAINTEXT_HANDLER,
         false,
         SIGTERM,
         {"", NULL}},
        {"a stubborn one", CHILD_PLAINTEXT_HANDLER, true, SIGKILL, {"", ""}},
        {"a gate", CHILD_GATE, true, SIGKILL, {"", "the gate does not end: SIGKILL"}},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct child c = start(cases[i].kind, cases[i].stubborn);
        int status;
        assert_int_equal(child_next_deadline(&c), 0);
        child_plan_sigterm(&c, io_now());
        for (int step = 0; step < 2 && cases[i].lines[step] != NULL; step++) {
            struct ear e = hear();
            child_enforce(&c, 3600);
            heard(e);
            if (strstr(said, cases[i].lines[step]) == NULL ||
                (cases[i].lines[step][0] == '\0' && said[0] != '\0'))
                fail_msg("%s: said: %s", cases[i].what, said);
            assert_true(c.we_signalled);
            if (step == 0) {
                assert_in_range(io_remaining(child_next_deadline(&c)), 3000000, 3600000);
                /* What is planned already stays. */
                child_plan_sigterm(&c, io_now());
                assert_int_equal(c.term_at, 0);
                if (cases[i].lines[1] != NULL)
                    assert_int_equal(child_reap(&c, WNOHANG, &status), 0);
            }
            c.kill_at = io_now(); /* an hour later */
        }
        assert_int_equal(child_reap(&c, 0, &status), 1);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), cases[i].signal);
        assert_int_equal(c.pid, 0);
        assert_int_equal(child_next_deadline(&c), 0);
        assert_int_equal(child_reap(&c, 0, &status), 0);
    }
}

static void a_child_that_is_none_of_ours_counts_as_ended(void **state)
{
    (void)state;
    struct child c = {.kind = CHILD_HANDLER, .name = "imapd", .pid = getppid(), .errors = -1};
    int status = 0;

    struct ear e = hear();
    int rc = child_reap(&c, WNOHANG, &status);
    heard(e);
    assert_int_equal(rc, -ECHILD);
    assert_int_equal(c.pid, 0);
    assert_true(said_one_line() && strstr(said, "cannot wait for process") != NULL);
}

static void standard_error_is_logged_line_by_line_and_not_for_ever(void **state)
{
    (void)state;
    struct child c = {.kind = CHILD_HANDLER, .name = "imapd", .pid = getpid()};
    char many[CHILD_ERROR_MAX];
    unsigned lines = 0;
    int p[2];

    assert_int_equal(pipe(p), 0);
    assert_int_equal(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
    c.errors = p[0];
    struct ear e = hear();
    assert_int_equal(write(p[1], "one\ntwo\nhal", 11), 11);
    assert_true(child_read_errors(&c, &lines));
    assert_false(child_read_errors(&c, &lines));
    heard(e);
    assert_int_equal(lines, 2);
    assert_non_null(strstr(said, "handler: one"));
    assert_non_null(strstr(said, "handler: two"));
    assert_null(strstr(said, "hal"));
    /* A line that is too long is cut; a last one without its end is logged at the end. */
    memset(many, 'x', sizeof many);
    e = hear();
    assert_int_equal(write(p[1], many, sizeof many), sizeof many);
    assert_int_equal(write(p[1], "last", 4), 4);
    (void)close(p[1]);
    c.pid = 0;
    child_close_errors(&c, &lines);
    heard(e);
    assert_int_equal(c.errors, -1);
    assert_int_equal(lines, 4);
    assert_non_null(strstr(said, "handler: halxxx"));
    assert_non_null(strstr(said, "xlast"));
    for (lines = 0; lines < 300;) {
        assert_int_equal(pipe(p), 0);
        c.errors = p[0];
        for (int i = 0; i < 100; i++)
            assert_int_equal(write(p[1], "y\n", 2), 2);
        (void)close(p[1]);
        e = hear();
        child_close_errors(&c, &lines);
        heard(e);
        assert_true((strstr(said, "further lines are dropped") != NULL) == (lines == 200));
        assert_true((said[0] == '\0') == (lines == 300));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_child_gets_the_signals_that_are_due),
        cmocka_unit_test(a_child_that_is_none_of_ours_counts_as_ended),
        cmocka_unit_test(standard_error_is_logged_line_by_line_and_not_for_ever),
    };

    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
