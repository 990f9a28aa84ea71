/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of log.c: escaping within bounds, levels, one write a line. */
#include "common/log.h"
#include "ear.h"

#include <stdarg.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

typedef char *escaper(char *dst, size_t size, const void *text, size_t len);

static const struct {
    const char *name, *text;
    size_t len;
    const char *word, *sentence;
} cases[] = {
    {"nothing", "", 0, "", ""},
    {"a word", "imap", 4, "imap", "imap"},
    {"every other printable", "!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", 36,
     "!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", "!#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~"},
    {"space, quote, backslash", "a b\"c\\d", 7, "a\\x20b\\x22c\\x5cd", "a b\"c\\d"},
    {"line ends", "a\r\nb", 4, "a\\x0d\\x0ab", "a\\x0d\\x0ab"},
    {"NUL", "a\0b", 3, "a\\x00b", "a\\x00b"},
    {"escape sequence", "\033[2J", 4, "\\x1b[2J", "\\x1b[2J"},
    {"tab and DEL", "\t\177", 2, "\\x09\\x7f", "\\x09\\x7f"},
    {"8-bit", "\200\237\377", 3, "\\x80\\x9f\\xff", "\\x80\\x9f\\xff"},
};

static void foreign_text_becomes_one_word_or_a_safe_sentence(void **state)
{
    (void)state;
    char out[256];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_ptr_equal(log_escape(out, sizeof out, cases[i].text, cases[i].len), out);
        assert_string_equal(out, cases[i].word);
        assert_ptr_equal(log_sentence(out, sizeof out, cases[i].text, cases[i].len), out);
        assert_string_equal(out, cases[i].sentence);
    }
}

/* What escaping into endless room gives. */
static size_t escape_all(escaper *escape, char *out, size_t size, const void *text, size_t len)
{
    (void)escape(out, size, text, len);
    return strlen(out);
}

/* Every size from 8 up, in a block of exactly that size, for texts of every length of one byte. */
static void check_bounds(escaper *escape, char byte)
{
    char text[64], whole[512];

    memset(text, byte, sizeof text);
    for (size_t len = 0; len <= sizeof text; len++) {
        size_t all = escape_all(escape, whole, sizeof whole, text, len);
        for (size_t size = 8; size < 80; size++) {
            char *out = malloc(size);
            assert_non_null(out);
            memset(out, 0x55, size);
            (void)escape(out, size, text, len);
            assert_non_null(memchr(out, '\0', size));
            size_t got = strlen(out);
            for (size_t i = 0; i < got; i++)
                assert_true(out[i] >= ' ' && out[i] < 0x7f);
            if (strcmp(out, whole) != 0) {
                assert_true(all + 4 > size);
                assert_true(got >= 3 && strcmp(out + got - 3, "...") == 0);
                assert_memory_equal(out, whole, got - 3);
            }
            free(out);
        }
    }
}

static void no_size_from_8_up_is_overrun(void **state)
{
    (void)state;
    static const char bytes[] = {'a', ' ', '\\', '\n', '\377', '\0'};

    for (size_t i = 0; i < sizeof bytes; i++) {
        check_bounds(log_escape, bytes[i]);
        check_bounds(log_sentence, bytes[i]);
    }
}

static void what_fits_exactly_is_not_cut(void **state)
{
    (void)state;
    char out[8];

    assert_string_equal(log_escape(out, sizeof out, "abcdefg", 7), "abcdefg");
    assert_string_equal(log_sentence(out, sizeof out, "abc\n", 4), "abc\\x0a");
    assert_string_equal(log_escape(out, sizeof out, "abcdefgh", 8), "abcd...");
}

static void levels_choose_which_lines_are_written(void **state)
{
    (void)state;
    static const struct {
        enum log_level level;
        bool note, detail;
    } levels[] = {{LOG_QUIET, false, false}, {LOG_NORMAL, true, false}, {LOG_VERBOSE, true, true}};

    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        log_open(LOG_TO_STDERR, levels[i].level);
        struct ear e = hear();
        log_error("the %s", "error");
        log_note("the %s", "note");
        log_detail("the %s", "detail");
        log_timed(1234567, "the %s", "step");
        heard(e);
        assert_non_null(strstr(said, "the error\n"));
        assert_int_equal(strstr(said, "the note\n") != NULL, levels[i].note);
        assert_int_equal(strstr(said, "the detail\n") != NULL, levels[i].detail);
        assert_int_equal(strstr(said, "the step (1234.5 ms)\n") != NULL, levels[i].detail);
        assert_int_equal(log_has_details(), levels[i].detail);
    }
    log_open(LOG_TO_STDERR, LOG_NORMAL);
}

static void a_line_says_program_process_and_about(void **state)
{
    (void)state;
    char wanted[128];

    log_about("192.0.2.7:50122");
    struct ear e = hear();
    log_error("it is broken");
    heard(e);
    log_about("");
    (void)snprintf(wanted, sizeof wanted, "postern[%ld]: client=192.0.2.7:50122 it is broken\n",
                   (long)getpid());
    assert_string_equal(said, wanted);
}

static void an_over_long_line_is_cut_and_still_one_line(void **state)
{
    (void)state;
    static char text[6000], about[600];

    memset(text, 'x', sizeof text - 1);
    memset(about, 'y', sizeof about - 1);
    log_about(about);
    struct ear e = hear();
    log_error("%s", text);
    heard(e);
    log_about("");
    size_t len = strlen(said);
    assert_in_range(len, 1000, 2400);
    assert_ptr_equal(strchr(said, '\n'), said + len - 1);
    assert_int_equal(strspn(strchr(said, 'y'), "y"), 159);
}

static void a_line_stays_one_line_whatever_is_in_it(void **state)
{
    (void)state;
    char text[6000];

    struct ear e = hear();
    log_error("%s: cannot be opened", "a\nFAIL\r\t\033[2J\303\244 \\ \"z\"");
    heard(e);
    assert_non_null(
        strstr(said, ": a\\x0aFAIL\\x0d\\x09\\x1b[2J\\xc3\\xa4 \\ \"z\": cannot be opened\n"));
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    e = hear();
    log_error("%s", text);
    heard(e);
    assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
}

static void a_log_that_cannot_be_written_harms_nobody(void **state)
{
    (void)state;
    int saved = dup(STDERR_FILENO);

    (void)close(STDERR_FILENO);
    log_error("nobody hears this");
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(foreign_text_becomes_one_word_or_a_safe_sentence),
        cmocka_unit_test(no_size_from_8_up_is_overrun),
        cmocka_unit_test(what_fits_exactly_is_not_cut),
        cmocka_unit_test(levels_choose_which_lines_are_written),
        cmocka_unit_test(a_line_says_program_process_and_about),
        cmocka_unit_test(an_over_long_line_is_cut_and_still_one_line),
        cmocka_unit_test(a_line_stays_one_line_whatever_is_in_it),
        cmocka_unit_test(a_log_that_cannot_be_written_harms_nobody),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
