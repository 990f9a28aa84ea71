/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of nearest.c: which word was meant. */
#include "start/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void the_distance_counts_what_must_be_changed(void **state)
{
    (void)state;
    static const struct {
        const char *one, *other;
        unsigned distance;
    } cases[] = {
        {"", "", 0},
        {"cert", "cert", 0},
        {"cert", "", 4},
        {"cert", "crt", 1},
        {"cert", "certt", 1},
        {"cert", "cart", 1},
        {"cert", "cret", 1},
        {"cert", "ecrt", 1},
        {"cert", "trec", 3},
        {"Cert", "cERT", 0},
        {"tls_min", "tls-min", 0},
        {"kitten", "sitting", 3},
        {"ab", "bca", 3},
        {"\303\244", "a", 2},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0},
        {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 32},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned there = nearest_distance(cases[i].one, cases[i].other);
        unsigned back = nearest_distance(cases[i].other, cases[i].one);
        if (there != cases[i].distance || back != there)
            fail_msg("%s, %s: %u, %u", cases[i].one, cases[i].other, there, back);
    }
}

static void only_a_word_that_is_near_is_meant(void **state)
{
    (void)state;
    static const char *const words[] = {"cert", "key", "cert-dir", "timeout-idle", "policy"};
    static const struct {
        const char *word, *meant;
    } cases[] = {
        {"cert", "cert"},
        {"crt", "cert"},
        {"certs", "cert"},
        {"certdir", "cert-dir"},
        {"certdirs", "cert-dir"},
        {"time-out-idle", "timeout-idle"},
        {"timeoutidel", "timeout-idle"},
        {"ky", NULL},
        {"kye", "key"},
        {"", NULL},
        {"x", NULL},
        {"nonsense", NULL},
        {"poxyz", NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *meant = nearest_word(cases[i].word, words, sizeof words / sizeof words[0]);
        if ((meant == NULL) != (cases[i].meant == NULL) ||
            (meant != NULL && strcmp(meant, cases[i].meant) != 0))
            fail_msg("%s: %s", cases[i].word, meant != NULL ? meant : "none");
    }
    assert_null(nearest_word("cert", words, 0));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_distance_counts_what_must_be_changed),
        cmocka_unit_test(only_a_word_that_is_near_is_meant),
    };

    return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
