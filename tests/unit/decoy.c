/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of decoy.c, with certificates that openssl(1) makes. */
#include "tls/decoy.h"

#include "vault/chain.h"
#include "vault/keys.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/ed25519.h>

/* What openssl is told to make, and how long the decoy for it is. */
static const struct {
    const char *name;
    const char *newkey;
    size_t len;
} kinds[] = {
    {"p256", "ec -pkeyopt ec_paramgen_curve:P-256", 67},
    {"p384", "ec -pkeyopt ec_paramgen_curve:P-384", 80},
    {"p521", "ec -pkeyopt ec_paramgen_curve:P-521", 98},
    {"rsa2048", "rsa:2048", 317},
    {"rsa3072", "rsa:3072", 445},
    {"rsa4096", "rsa:4096", 573},
    {"ed25519", "ed25519", 82},
    {"ed448", "ed448", 0},
};

#define KINDS (sizeof kinds / sizeof kinds[0])

struct file {
    uint8_t bytes[4096];
    size_t len;
};

static char folder[] = "/tmp/postern-decoy-XXXXXX";

static int run(const char *format, const char *name, const char *newkey)
{
    char command[512];

    (void)snprintf(command, sizeof command, format, folder, newkey, name, name);
    return system(command);
}

static int make_files(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    for (size_t i = 0; i < KINDS; i++)
        if (run("cd %s && openssl req -x509 -newkey %s -nodes -keyout %s.key -out %s.pem -subj "
                "/CN=x 2>/dev/null",
                kinds[i].name, kinds[i].newkey) != 0)
            return -1;
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    return run("rm -rf %s", "", "");
}

static void read_chain(struct chain *c, const char *name)
{
    char path[PATH_MAX];
    struct file f;

    (void)snprintf(path, sizeof path, "%s/%s.pem", folder, name);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    f.len = fread(f.bytes, 1, sizeof f.bytes, in);
    (void)fclose(in);
    assert_int_equal(chain_take(c, path, f.bytes, f.len), 0);
}

/* The last of a decoy for RSA: d, p, q and what is computed of them. */
static const uint8_t threes[] = {2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3, 2, 1, 3};

static void is_of_the_certificates_kind_and_size_and_not_its_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct decoy d;
        struct chain c;
        if (strcmp(kinds[i].name, "ed448") == 0)
            continue; /* no chain of postern's */
        read_chain(&c, kinds[i].name);
        assert_int_equal(decoy_make(&d, c.der, c.len), 0);
        assert_int_equal(d.len, kinds[i].len);
        if (c.kind == KEY_ECDSA)
            assert_int_equal(keys_match((struct bytes){d.key, d.len}, &c, true), KEY_OF_ANOTHER);
        if (c.kind == KEY_RSA) {
            /* The modulus is the certificate's, and what is private is not there. */
            assert_int_equal(keys_match((struct bytes){d.key, d.len}, &c, true), KEY_MATCHES);
            assert_memory_equal(d.key + d.len - sizeof threes, threes, sizeof threes);
        }
        assert_int_equal(d.has_public_half, c.kind == KEY_ED25519);
        chain_free(&c);
    }
}

static void both_halves_of_ed25519_belong_together(void **state)
{
    uint8_t public[ED25519_PUB_KEY_SIZE];
    struct decoy d;
    struct chain c;
    ed25519_key key;

    (void)state;
    read_chain(&c, "ed25519");
    assert_int_equal(decoy_make(&d, c.der, c.len), 0);
    const uint8_t *end = d.key + d.len - sizeof public;
    assert_int_equal(wc_ed25519_init(&key), 0);
    /* Two bytes of header stand between them. */
    assert_int_equal(
        wc_ed25519_import_private_only(end - 2 - ED25519_KEY_SIZE, ED25519_KEY_SIZE, &key), 0);
    assert_int_equal(wc_ed25519_make_public(&key, public, sizeof public), 0);
    assert_memory_equal(end, public, sizeof public);
    assert_null(memmem(c.der, c.len, public, sizeof public));
    wc_ed25519_free(&key);
    chain_free(&c);
}

static void another_kind_of_key_has_no_decoy(void **state)
{
    char command[PATH_MAX];
    struct decoy d;
    struct file f;

    (void)state;
    (void)snprintf(command, sizeof command, "openssl x509 -in %s/ed448.pem -outform DER", folder);
    FILE *in = popen(command, "re");
    assert_non_null(in);
    f.len = fread(f.bytes, 1, sizeof f.bytes, in);
    assert_int_equal(pclose(in), 0);
    assert_int_equal(decoy_make(&d, f.bytes, f.len), -ENOTSUP);
}

static void a_certificate_cut_short_has_none(void **state)
{
    (void)state;
    for (size_t i = 0; i + 1 < KINDS; i++) {
        struct chain c;
        struct decoy d;
        read_chain(&c, kinds[i].name);
        for (size_t len = 0; len < c.len; len++) {
            /* Exactly these bytes: not one behind them may be read. */
            uint8_t *part = malloc(len > 0 ? len : 1);
            assert_non_null(part);
            memcpy(part, c.der, len);
            assert_int_equal(decoy_make(&d, part, len), -EBADMSG);
            free(part);
        }
        chain_free(&c);
    }
}

static void a_damaged_certificate_does_no_harm(void **state)
{
    struct chain c;

    (void)state;
    read_chain(&c, "rsa2048");
    for (size_t i = 0; i < c.len; i++) {
        struct decoy d;
        uint8_t was = c.der[i];
        c.der[i] = 0xff;
        int rc = decoy_make(&d, c.der, c.len);
        assert_true(rc == 0 ? d.len <= sizeof d.key : rc == -EBADMSG || rc == -ENOTSUP);
        c.der[i] = was;
    }
    chain_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_of_the_certificates_kind_and_size_and_not_its_key),
        cmocka_unit_test(both_halves_of_ed25519_belong_together),
        cmocka_unit_test(another_kind_of_key_has_no_decoy),
        cmocka_unit_test(a_certificate_cut_short_has_none),
        cmocka_unit_test(a_damaged_certificate_does_no_harm),
    };

    return cmocka_run_group_tests_name("decoy", tests, make_files, remove_files);
}
