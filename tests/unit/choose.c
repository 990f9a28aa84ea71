/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of choose.c: which certificate each kind of client gets. */
#include "vault/choose.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RSA(name)                                                                                  \
    {                                                                                              \
        KEY_RSA, name                                                                              \
    }
#define ECDSA(name)                                                                                \
    {                                                                                              \
        KEY_ECDSA, name                                                                            \
    }
#define ED25519(name)                                                                              \
    {                                                                                              \
        KEY_ED25519, name                                                                          \
    }
#define NONE                                                                                       \
    {                                                                                              \
        KEY_NONE, false                                                                            \
    }

static void a_client_gets_the_certificate_with_which_it_can_do_best(void **state)
{
    (void)state;
    static const struct {
        const char *client;
        struct candidate c[2];
        size_t count;
        struct wish wish;
        bool old_versions;
        enum chain_verdict verdict;
        size_t number;
        enum other other;
    } cases[] = {
        {"can do both equally well, and gets the quicker one, which is the second",
         {RSA(true), ECDSA(true)},
         2,
         {"", FIT_AEAD, FIT_AEAD, FIT_AEAD, false},
         false,
         CHAIN_GIVEN,
         1,
         OTHER_SLOWER},
        {"can do both equally well, and gets the quicker one, which is the first",
         {ECDSA(true), RSA(true)},
         2,
         {"", FIT_AEAD, FIT_AEAD, FIT_AEAD, false},
         false,
         CHAIN_GIVEN,
         0,
         OTHER_SLOWER},
        {"has AEAD suites for RSA only",
         {ECDSA(true), RSA(true)},
         2,
         {"", FIT_AEAD, FIT_LEGACY, FIT_NONE, false},
         false,
         CHAIN_GIVEN,
         1,
         OTHER_LEGACY},
        {"can check RSA only",
         {ECDSA(true), RSA(true)},
         2,
         {"", FIT_LEGACY, FIT_NONE, FIT_NONE, false},
         false,
         CHAIN_GIVEN,
         1,
         OTHER_UNFIT},
        {"can check Ed25519",
         {RSA(true), ED25519(true)},
         2,
         {"", FIT_AEAD, FIT_NONE, FIT_AEAD, false},
         false,
         CHAIN_GIVEN,
         1,
         OTHER_SLOWER},
        {"can check neither",
         {RSA(true), ECDSA(true)},
         2,
         {"", FIT_NONE, FIT_NONE, FIT_AEAD, false},
         false,
         CHAIN_NONE_FITS,
         0,
         OTHER_NONE},
        {"of TLS 1.0 can't say what it can check, and gets one all the same",
         {RSA(true), ECDSA(true)},
         2,
         {"", FIT_NONE, FIT_NONE, FIT_NONE, false},
         true,
         CHAIN_GIVEN,
         0,
         OTHER_FITS},
        {"asks for a name that only the second is for",
         {ECDSA(false), RSA(true)},
         2,
         {"a", FIT_AEAD, FIT_AEAD, FIT_AEAD, false},
         false,
         CHAIN_GIVEN,
         1,
         OTHER_NAMES},
        {"asks for a name that none is for",
         {ECDSA(false), RSA(false)},
         2,
         {"a", FIT_AEAD, FIT_AEAD, FIT_AEAD, false},
         false,
         CHAIN_NO_SUCH_NAME,
         0,
         OTHER_NONE},
        {"of TLS 1.0 asks for a name that none is for",
         {ECDSA(false), NONE},
         1,
         {"a", FIT_NONE, FIT_NONE, FIT_NONE, false},
         true,
         CHAIN_NO_SUCH_NAME,
         0,
         OTHER_NONE},
        {"asks for a name that one is for which it can't check",
         {ECDSA(true), RSA(false)},
         2,
         {"a", FIT_AEAD, FIT_NONE, FIT_NONE, false},
         false,
         CHAIN_NONE_FITS,
         0,
         OTHER_NONE},
        {"comes where there is only --cert-dir",
         {NONE, NONE},
         0,
         {"", FIT_AEAD, FIT_AEAD, FIT_AEAD, false},
         false,
         CHAIN_NO_SUCH_NAME,
         0,
         OTHER_NONE},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t number = 9;
        enum chain_verdict verdict = choose_certificate(cases[i].c, cases[i].count, &cases[i].wish,
                                                        cases[i].old_versions, &number);
        if (verdict != cases[i].verdict)
            fail_msg("a client that %s: verdict %d", cases[i].client, (int)verdict);
        if (verdict != CHAIN_GIVEN)
            continue;
        if (number != cases[i].number)
            fail_msg("a client that %s: number %zu", cases[i].client, number);
        enum other other =
            choose_explain(&cases[i].c[number], &cases[i].c[1 - number], &cases[i].wish);
        if (other != cases[i].other)
            fail_msg("a client that %s: the other one: %d", cases[i].client, (int)other);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_gets_the_certificate_with_which_it_can_do_best),
    };

    return cmocka_run_group_tests_name("choose", tests, NULL, NULL);
}
