/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of files.c, pem.c and chain.c: what is served and what is refused, with files that openssl(1) makes. */
#include "vault/files.h"
#include "vault/chain.h"
#include "ear.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/postern-certs-XXXXXX";

static const char script[] =
    "set -e; cd '%s'; exec >/dev/null 2>&1; umask 077\n"
    "ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n"
    "ca() { openssl req -x509 $ec -keyout $1.key -out $1.pem -subj /CN=$1 -days 30; }\n"
    /* sign NAME ISSUER DIGEST: a certificate for NAME.key */
    "sign() { openssl req -new -key $1.key -subj \"/CN=$1\" -out $1.csr\n"
    "  printf '%%s' \"$4\" >$1.ext\n"
    "  openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 30 $3 \\\n"
    "    -extfile $1.ext -out $1.pem; }\n"
    "genec() { openssl ecparam -genkey -name prime256v1 -noout -out $1.key; }\n"
    "ca root\n"
    "for n in middle leaf sha1leaf sha1middle below; do genec $n; done\n"
    "sign middle root -sha256 basicConstraints=CA:TRUE\n"
    "sign leaf middle -sha256 subjectAltName=DNS:mail.example.org,DNS:*.example.net\n"
    "sign sha1leaf root -sha1 ''\n"
    "sign sha1middle root -sha1 basicConstraints=CA:TRUE\n"
    "sign below sha1middle -sha256 ''\n"
    "openssl genrsa -out weak.key 1024\n"
    "openssl req -x509 -key weak.key -out weak.pem -subj /CN=weak -days 30\n"
    "genec underweak; sign underweak weak -sha256 ''\n"
    "openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem -subj /CN=rsa -days "
    "30\n"
    "openssl req -x509 -key rsa.key -md5 -out md5.pem -subj /CN=md5 -days 30\n"
    "openssl req -x509 -key rsa.key -sha1 -out sha1.pem -subj /CN=sha1 -days 30\n"
    "openssl req -x509 -newkey ed25519 -nodes -keyout ed.key -out ed.pem -subj /CN=ed -days 30\n"
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout p384.key \\\n"
    "  -out p384.pem -subj /CN=p384 -days 30\n"
    "openssl req -x509 -key leaf.key -out sha1root.pem -sha1 -subj /CN=middle -days 30\n"
    "openssl x509 -in leaf.pem -outform DER -out leaf.der\n"
    "openssl pkey -in leaf.key -outform DER -out key.der\n"
    "openssl pkey -in leaf.key -out pkcs8.key\n"
    "openssl pkey -in leaf.key -aes128 -passout pass:x -out locked8.key\n"
    "openssl rsa -in rsa.key -aes128 -passout pass:x -traditional -out locked1.key\n"
    "openssl rsa -in rsa.key -traditional -out pkcs1.key\n"
    "openssl ecparam -genkey -name prime256v1 -out params.key\n";

static int make_files(void **state)
{
    char command[sizeof script + sizeof folder];

    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(command, sizeof command, script, folder);
    return system(command) == 0 ? 0 : -1;
}

static int remove_files(void **state)
{
    char command[PATH_MAX];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

/* Texts of files one behind the other, for the parser. */
struct text {
    uint8_t bytes[FILES_SIZE_MAX];
    size_t len;
};

static void path_of(char *path, const char *name)
{
    (void)snprintf(path, PATH_MAX, "%s/%s", folder, name);
}

static void add_file(struct text *t, const char *name)
{
    char path[PATH_MAX];

    path_of(path, name);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        fail_msg("%s is missing", name);
    t->len += fread(t->bytes + t->len, 1, sizeof t->bytes - t->len, f);
    (void)fclose(f);
}

/* Adds each of a list of names with spaces between. */
static void add_files(struct text *t, const char *names)
{
    char copy[256];

    t->len = 0;
    (void)snprintf(copy, sizeof copy, "%s", names);
    for (char *name = strtok(copy, " "); name != NULL; name = strtok(NULL, " "))
        add_file(t, name);
}

/* Parses exactly these bytes: not one behind them may be read. */
static int take_chain(struct chain *c, const struct text *t)
{
    uint8_t *copy = malloc(t->len > 0 ? t->len : 1);

    assert_non_null(copy);
    memcpy(copy, t->bytes, t->len);
    struct ear e = hear();
    int rc = chain_take(c, "chain.pem", copy, t->len);
    heard(e);
    free(copy);
    return rc;
}

static int take_key(const struct text *t, uint8_t *der, size_t *len)
{
    uint8_t *copy = malloc(t->len > 0 ? t->len : 1);

    assert_non_null(copy);
    memcpy(copy, t->bytes, t->len);
    struct ear e = hear();
    enum key_form form;
    int rc = files_take_key("key.pem", copy, t->len, der, len, &form);
    heard(e);
    free(copy);
    return rc;
}

static struct text t;

static void a_good_chain_is_taken_with_what_its_leaf_says(void **state)
{
    (void)state;
    static const struct {
        const char *files;
        unsigned count;
        enum key_kind kind;
        unsigned bits;
        bool self_signed;
        const char *names;
    } cases[] = {
        {"leaf.pem middle.pem root.pem", 3, KEY_ECDSA, 256, false,
         "mail.example.org,*.example.net"},
        {"leaf.pem middle.pem", 2, KEY_ECDSA, 256, false, "mail.example.org,*.example.net"},
        {"leaf.pem", 1, KEY_ECDSA, 256, false, "mail.example.org,*.example.net"},
        {"rsa.pem", 1, KEY_RSA, 2048, true, "rsa"},
        {"ed.pem", 1, KEY_ED25519, 256, true, "ed"},
        {"p384.pem", 1, KEY_ECDSA, 384, true, "p384"},
        {"leaf.key leaf.pem middle.pem", 2, KEY_ECDSA, 256, false,
         "mail.example.org,*.example.net"},
        {"rsa.pem rsa.key", 1, KEY_RSA, 2048, true, "rsa"},
        /* Nobody checks the signature of a root. */
        {"leaf.pem sha1root.pem", 2, KEY_ECDSA, 256, false, "mail.example.org,*.example.net"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chain c;
        add_files(&t, cases[i].files);
        if (take_chain(&c, &t) != 0)
            fail_msg("%s: %s", cases[i].files, said);
        assert_string_equal(said, "");
        assert_int_equal(c.count, cases[i].count);
        assert_int_equal(c.kind, cases[i].kind);
        assert_int_equal(c.bits, cases[i].bits);
        assert_true(c.self_signed == cases[i].self_signed);
        assert_string_equal(c.names, cases[i].names);
        assert_true(c.public_len > 0 && c.public_at + c.public_len <= c.len);
        time_t now = time(NULL);
        assert_true(c.not_before <= now && c.not_before > now - 3600);
        assert_true(c.not_after > now + 29 * 86400L && c.not_after < now + 31 * 86400L);
        chain_free(&c);
        assert_null(c.der);
        assert_int_equal(c.count, 0);
    }
}

static void the_chain_is_the_certificates_der_leaf_first(void **state)
{
    (void)state;
    static struct text der;
    struct chain c;

    add_files(&t, "leaf.pem middle.pem");
    add_files(&der, "leaf.der");
    assert_int_equal(take_chain(&c, &t), 0);
    assert_true(c.len > der.len);
    assert_memory_equal(c.der, der.bytes, der.len);
    chain_free(&c);
}

static void what_cannot_work_or_is_dangerous_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *files, *line;
    } cases[] = {
        {"middle first", "middle.pem leaf.pem", "the right order is 2 (/CN=leaf), 1 (/CN=middle)"},
        {"root before middle", "leaf.pem root.pem middle.pem",
         "the right order is 1 (/CN=leaf), 3 (/CN=middle), 2 (/CN=root)"},
        {"a stranger last", "leaf.pem middle.pem rsa.pem", "do not belong to it: 3 (/CN=rsa)"},
        {"the leaf twice", "leaf.pem leaf.pem", "do not belong to it: 2 (/CN=leaf)"},
        {"RSA 1024", "weak.pem", "1024 bits"},
        {"MD5", "md5.pem", "is signed with MD5 or SHA-1"},
        {"SHA-1", "sha1.pem", "is signed with MD5 or SHA-1"},
        {"SHA-1 with ECDSA", "sha1leaf.pem root.pem", "is signed"},
        {"SHA-1 in the middle", "below.pem sha1middle.pem root.pem", "is signed"},
        {"DER", "leaf.der", "no certificate in it"},
        {"a key", "leaf.key", "no certificate in it"},
        {"a request", "leaf.csr", "no certificate in it"},
        {"nothing", "", "no certificate in it"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chain c;
        add_files(&t, cases[i].files);
        int rc = take_chain(&c, &t);
        if (rc != -EINVAL)
            fail_msg("%s: %d", cases[i].name, rc);
        if (!said_one_line() || strstr(said, cases[i].line) == NULL ||
            strstr(said, "chain.pem") == NULL)
            fail_msg("%s: %s", cases[i].name, said);
        assert_null(c.der);
    }
}

static void an_issuer_with_a_weak_rsa_key_is_refused(void **state)
{
    (void)state;
    struct chain c;

    add_files(&t, "underweak.pem weak.pem");
    int rc = take_chain(&c, &t);
    chain_free(&c);
    assert_int_equal(rc, -EINVAL);
}

/* A chain whose text ends here, as a reader sees it who comes while it is being written. */
static void a_text_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct chain c;

    add_files(&t, "leaf.pem");
    size_t first = t.len;
    for (size_t len = 0; len + 26 < first; len += 13) { /* the END line has 26 bytes */
        t.len = len;
        int rc = take_chain(&c, &t);
        if (rc != -EINVAL)
            fail_msg("%zu of %zu bytes: %d", len, first, rc);
        assert_true(said_one_line());
    }
}

static void a_chain_cut_in_its_second_certificate_is_refused(void **state)
{
    (void)state;
    struct chain c;

    add_files(&t, "leaf.pem");
    size_t first = t.len;
    add_files(&t, "leaf.pem middle.pem");
    size_t all = t.len;
    for (size_t len = first + 40; len + 26 < all; len += 100) {
        t.len = len;
        int rc = take_chain(&c, &t);
        chain_free(&c);
        if (rc != -EINVAL)
            fail_msg("%zu of %zu bytes: %d", len, all, rc);
    }
}

static void damaged_certificates_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        char byte;
    } cases[] = {{"no base64", '!'}, {"NUL", '\0'}, {"8-bit", '\377'}, {"a dash", '-'}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chain c;
        add_files(&t, "leaf.pem");
        t.bytes[100] = (uint8_t)cases[i].byte;
        int rc = take_chain(&c, &t);
        if (rc != -EINVAL || !said_one_line())
            fail_msg("%s: %d: %s", cases[i].name, rc, said);
    }
}

/* Whatever byte is changed, it is taken or refused, but never crashes. */
static void changed_bytes_never_crash_it(void **state)
{
    (void)state;
    uint32_t seed = 1;

    add_files(&t, "leaf.pem middle.pem");
    for (int n = 0; n < 600; n++) {
        struct chain c;
        seed = seed * 1664525 + 1013904223;
        size_t at = (seed >> 8) % t.len;
        uint8_t before = t.bytes[at];
        t.bytes[at] = (uint8_t)("ABCDwxyz0189+/=\n"[seed >> 28]);
        int rc = take_chain(&c, &t);
        assert_true(rc == 0 || rc == -EINVAL);
        chain_free(&c);
        t.bytes[at] = before;
    }
}

static void text_around_the_blocks_and_crlf_do_no_harm(void **state)
{
    (void)state;
    static struct text crlf;
    struct chain c;

    add_files(&t, "leaf.pem middle.pem");
    crlf.len = (size_t)snprintf((char *)crlf.bytes, sizeof crlf.bytes,
                                "Bag Attributes\r\n    friendlyName: x\r\n");
    for (size_t i = 0; i < t.len; i++) {
        if (t.bytes[i] == '\n')
            crlf.bytes[crlf.len++] = '\r';
        crlf.bytes[crlf.len++] = t.bytes[i];
    }
    memcpy(crlf.bytes + crlf.len, "the end", 7);
    crlf.len += 7;
    assert_int_equal(take_chain(&c, &crlf), 0);
    assert_int_equal(c.count, 2);
    chain_free(&c);
}

static void keys_of_every_form_are_taken(void **state)
{
    (void)state;
    static const char *const files[] = {"leaf.key",          "pkcs8.key",      "pkcs1.key",
                                        "rsa.key",           "ed.key",         "params.key",
                                        "leaf.pem leaf.key", "rsa.key rsa.pem"};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        uint8_t der[FILES_KEY_MAX];
        size_t len = 0;
        add_files(&t, files[i]);
        if (take_key(&t, der, &len) != 0)
            fail_msg("%s: %s", files[i], said);
        /* A DER sequence of this very length. */
        assert_int_equal(der[0], 0x30);
        size_t body = der[1] < 0x80    ? der[1] + 2U
                      : der[1] == 0x81 ? der[2] + 3U
                                       : ((size_t)der[2] << 8 | der[3]) + 4U;
        assert_int_equal(len, body);
        assert_string_equal(said, "");
    }
}

static void keys_that_cannot_be_used_are_refused_with_the_way_out(void **state)
{
    (void)state;
    static const struct {
        const char *files, *line;
    } cases[] = {
        {"leaf.pem", "no private key in it"},
        {"key.der", "no private key in it"},
        {"", "no private key in it"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t der[FILES_KEY_MAX];
        size_t len = 0;
        add_files(&t, cases[i].files);
        int rc = take_key(&t, der, &len);
        if (rc != -EINVAL || !said_one_line() || strstr(said, cases[i].line) == NULL)
            fail_msg("%s: %d: %s", cases[i].files, rc, said);
    }
}

static void a_key_cut_anywhere_is_refused(void **state)
{
    (void)state;
    add_files(&t, "rsa.key");
    size_t all = t.len;
    for (size_t len = 0; len + 26 < all; len += 50) {
        uint8_t der[FILES_KEY_MAX];
        size_t der_len = 0;
        t.len = len;
        int rc = take_key(&t, der, &der_len);
        if (rc != -EINVAL || !said_one_line())
            fail_msg("%zu of %zu bytes: %d: %s", len, all, rc, said);
    }
}

static void a_key_that_is_too_large_is_refused(void **state)
{
    (void)state;
    static const char begin[] = "-----BEGIN PRIVATE KEY-----\n",
                      end[] = "\n-----END PRIVATE KEY-----\n";
    uint8_t der[FILES_KEY_MAX];
    size_t len = 0;

    memcpy(t.bytes, begin, sizeof begin - 1);
    memset(t.bytes + sizeof begin - 1, 'A', 20000);
    memcpy(t.bytes + sizeof begin - 1 + 20000, end, sizeof end - 1);
    t.len = sizeof begin - 1 + 20000 + sizeof end - 1;
    assert_int_equal(take_key(&t, der, &len), -EINVAL);
    assert_true(said_one_line());
}

static int read_path(const char *path, bool secret, size_t size, size_t *len)
{
    uint8_t *text = malloc(size);

    assert_non_null(text);
    struct ear e = hear();
    int rc = files_read(path, secret, text, size, len);
    heard(e);
    free(text);
    return rc;
}

static void a_secret_file_that_others_may_use_is_refused(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        bool secret;
        int result;
    } cases[] = {
        {0600, true, 0},      {0400, true, 0},      {0640, true, 0},      {0660, true, 0},
        {0644, true, -EPERM}, {0604, true, -EPERM}, {0602, true, -EPERM}, {0666, true, -EPERM},
        {0644, false, 0},     {0600, false, 0},
    };
    char path[PATH_MAX];

    path_of(path, "leaf.key");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = 0;
        assert_int_equal(chmod(path, cases[i].mode), 0);
        int rc = read_path(path, cases[i].secret, FILES_SIZE_MAX, &len);
        if (rc != cases[i].result)
            fail_msg("mode %04o: %d: %s", (unsigned)cases[i].mode, rc, said);
        if (rc == 0)
            assert_true(len > 0 && said[0] == '\0');
        else
            assert_true(said_one_line() && strstr(said, path) && strstr(said, "chmod"));
    }
    assert_int_equal(chmod(path, 0600), 0);
}

static void what_is_no_readable_file_is_refused_with_its_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int result;
        const char *line;
    } cases[] = {
        {"nothing", -ENOENT, "No such file"},
        {"", -EINVAL, "is not a file"},
        {"fifo", -EINVAL, "is not a file"},
    };
    char path[PATH_MAX];
    size_t len;

    path_of(path, "fifo");
    assert_int_equal(mkfifo(path, 0600), 0); /* opening it must not wait for a writer */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        path_of(path, cases[i].name);
        int rc = read_path(path, true, FILES_SIZE_MAX, &len);
        if (rc != cases[i].result || !said_one_line() || strstr(said, path) == NULL ||
            strstr(said, cases[i].line) == NULL)
            fail_msg("%s: %d: %s", cases[i].name, rc, said);
        assert_int_equal(len, 0);
    }
}

static void write_zeros(const char *path, off_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, len), 0);
    (void)close(fd);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    (void)state;
    static const off_t sizes[] = {101, 200, 1000000};
    char path[PATH_MAX];
    size_t len;

    path_of(path, "zeros");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        write_zeros(path, sizes[i]);
        assert_int_equal(read_path(path, true, 100, &len), -EFBIG);
        assert_true(said_one_line() && strstr(said, path) != NULL);
    }
    write_zeros(path, 99);
    assert_int_equal(read_path(path, true, 100, &len), 0);
    assert_int_equal(len, 99);
    write_zeros(path, 0);
    assert_int_equal(read_path(path, true, 100, &len), 0);
    assert_int_equal(len, 0);
}

static void a_file_of_just_the_most_bytes_is_read(void **state)
{
    (void)state;
    char path[PATH_MAX];
    size_t len = 0;

    path_of(path, "zeros");
    write_zeros(path, 100);
    assert_int_equal(read_path(path, true, 100, &len), 0);
    assert_int_equal(len, 100);
}

static void kinds_of_keys_have_names(void **state)
{
    (void)state;
    assert_string_equal(chain_kind_name(KEY_RSA), "RSA");
    assert_string_equal(chain_kind_name(KEY_ECDSA), "ECDSA");
    assert_string_equal(chain_kind_name(KEY_ED25519), "Ed25519");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_chain_is_taken_with_what_its_leaf_says),
        cmocka_unit_test(the_chain_is_the_certificates_der_leaf_first),
        cmocka_unit_test(what_cannot_work_or_is_dangerous_is_refused),
        cmocka_unit_test(an_issuer_with_a_weak_rsa_key_is_refused),
        cmocka_unit_test(a_text_cut_anywhere_is_refused),
        cmocka_unit_test(a_chain_cut_in_its_second_certificate_is_refused),
        cmocka_unit_test(damaged_certificates_are_refused),
        cmocka_unit_test(changed_bytes_never_crash_it),
        cmocka_unit_test(text_around_the_blocks_and_crlf_do_no_harm),
        cmocka_unit_test(keys_of_every_form_are_taken),
        cmocka_unit_test(keys_that_cannot_be_used_are_refused_with_the_way_out),
        cmocka_unit_test(a_key_cut_anywhere_is_refused),
        cmocka_unit_test(a_key_that_is_too_large_is_refused),
        cmocka_unit_test(a_secret_file_that_others_may_use_is_refused),
        cmocka_unit_test(what_is_no_readable_file_is_refused_with_its_name),
        cmocka_unit_test(a_file_that_is_too_large_is_refused),
        cmocka_unit_test(a_file_of_just_the_most_bytes_is_read),
        cmocka_unit_test(kinds_of_keys_have_names),
    };

    return cmocka_run_group_tests_name("certs", tests, make_files, remove_files);
}
