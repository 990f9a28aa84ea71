/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of vault.c, load.c and answer.c: keys that are loaded, matched, kept and wiped, and what a hostile gate can
 * ask of them. openssl(1) makes the files and judges the signatures. */
#include "monitor/answer.h"
#include "gate/ask.h"
#include "ear.h"
#include "tls/hello.h"
#include "common/io.h"
#include "vault/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
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

static char folder[] = "/tmp/postern-vault-XXXXXX";

static const char script[] =
    "set -e; cd '%s'; exec >/dev/null 2>&1; umask 077\n"
    "self() { openssl req -x509 -key $1.key -out $1.pem -subj /CN=$1 -days 30\n"
    "  openssl pkey -in $1.key -pubout -out $1.pub; cat $1.pem $1.key >$1.both; }\n"
    "openssl genrsa -out rsa.key 2048; self rsa; openssl genrsa -out rsa2.key 1024\n"
    "for n in ec ec2; do openssl ecparam -genkey -name prime256v1 -noout -out $n.key; self $n; "
    "done\n"
    "openssl ecparam -genkey -name secp384r1 -noout -out p384.key; self p384\n"
    "openssl genpkey -algorithm ed25519 -out ed.key; self ed\n"
    "openssl genpkey -algorithm ed25519 -out ed2.key\n"
    "openssl ec -in ec.key -no_public -out nopub.key\n"
    /* A key file that lies: one key's private half, another's public half. */
    "openssl ec -in ec.key -outform DER -out ec.der; openssl ec -in ec2.key -outform DER -out "
    "ec2.der\n"
    "{ echo '-----BEGIN EC PRIVATE KEY-----'; { head -c 39 ec2.der; tail -c +40 ec.der; } | \\\n"
    "  openssl base64; echo '-----END EC PRIVATE KEY-----'; } >liar.key\n"
    "cp rsa.key open.key; chmod 644 open.key; cp rsa.both open.both; chmod 644 open.both\n"
    "printf '%%s\\n' '-----BEGIN PRIVATE KEY-----' AAAA '-----END PRIVATE KEY-----' >rubbish.key\n";

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

/* Options that name these files; key NULL: in the certificate's file. */
struct choice {
    struct options o;
    char path[4][PATH_MAX];
};

static void choose_files(struct choice *c, const char *cert, const char *key, const char *cert2,
                         const char *key2)
{
    const char *const names[] = {cert, key, cert2, key2};
    const char *paths[4] = {NULL};

    c->o = (struct options){.tls_min = 0x0303, .pair_count = cert2 != NULL ? 2 : 1};
    for (int i = 0; i < 4; i++) {
        if (names[i] == NULL)
            continue;
        (void)snprintf(c->path[i], PATH_MAX, "%s/%s", folder, names[i]);
        paths[i] = c->path[i];
    }
    c->o.pairs[0] = (struct pair){.cert = paths[0], .key = paths[1]};
    c->o.pairs[1] = (struct pair){.cert = paths[2], .key = paths[3]};
}

static int load(struct vault *v, const struct options *o)
{
    struct ear e = hear();
    int rc = vault_load(v, o);
    heard(e);
    return rc;
}

static int unlock(struct vault *v, const struct options *o, bool thorough)
{
    struct ear e = hear();
    int rc = vault_unlock(v, o, thorough);
    heard(e);
    return rc;
}

/* A vault that is ready, of one pair or two. */
static void open_vault(struct vault *v, const char *name, const char *name2)
{
    static struct choice c;
    char cert[32], key[32], cert2[32], key2[32];

    (void)snprintf(cert, sizeof cert, "%s.pem", name);
    (void)snprintf(key, sizeof key, "%s.key", name);
    (void)snprintf(cert2, sizeof cert2, "%s.pem", name2 != NULL ? name2 : "");
    (void)snprintf(key2, sizeof key2, "%s.key", name2 != NULL ? name2 : "");
    choose_files(&c, cert, key, name2 != NULL ? cert2 : NULL, name2 != NULL ? key2 : NULL);
    if (load(v, &c.o) != 0 || unlock(v, &c.o, false) != 0)
        fail_msg("%s: %s", name, said);
    /* As if the gate had been given its chain. */
    v->chosen = &v->pairs[0];
}

static void good_pairs_are_loaded_and_match(void **state)
{
    (void)state;
    static const struct {
        const char *cert, *key, *cert2, *key2;
        size_t count;
    } cases[] = {
        {"rsa.pem", "rsa.key", NULL, NULL, 1},
        {"rsa.both", NULL, NULL, NULL, 1},
        {"ec.pem", "ec.key", NULL, NULL, 1},
        {"ec.both", NULL, NULL, NULL, 1},
        {"p384.pem", "p384.key", NULL, NULL, 1},
        {"ed.pem", "ed.key", NULL, NULL, 1},
        {"ed.both", NULL, NULL, NULL, 1},
        {"ec.pem", "nopub.key", NULL, NULL, 1},
        {"rsa.pem", "rsa.key", "ec.pem", "ec.key", 2},
        {"ed.both", NULL, "rsa.both", NULL, 2},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int thorough = 0; thorough < 2; thorough++) {
            struct choice c;
            struct vault v;
            choose_files(&c, cases[i].cert, cases[i].key, cases[i].cert2, cases[i].key2);
            if (load(&v, &c.o) != 0)
                fail_msg("%s: not loaded: %s", cases[i].cert, said);
            assert_int_equal(v.count, cases[i].count);
            assert_non_null(v.memory);
            assert_int_equal(v.signatures, 1);
            if (unlock(&v, &c.o, thorough != 0) != 0)
                fail_msg("%s: not unlocked: %s", cases[i].cert, said);
            assert_string_equal(said, "");
            vault_wipe(&v);
            assert_null(v.memory);
            assert_int_equal(v.count, 0);
            vault_wipe(&v);
        }
    }
}

static void files_that_cannot_be_used_leave_nothing_behind(void **state)
{
    (void)state;
    static const struct {
        const char *name, *cert, *key, *cert2, *key2;
        int result;
        const char *named;
    } cases[] = {
        {"no certificate", "nothing.pem", "rsa.key", NULL, NULL, -ENOENT, "nothing.pem"},
        {"no key", "rsa.pem", "nothing.key", NULL, NULL, -ENOENT, "nothing.key"},
        {"a key for all to read", "rsa.pem", "open.key", NULL, NULL, -EPERM, "open.key"},
        {"a key for all, with its certificate", "open.both", NULL, NULL, NULL, -EPERM, "open.both"},
        {"the second has no key", "rsa.both", NULL, "ec.pem", "nothing.key", -ENOENT,
         "nothing.key"},
        {"a certificate for a key", "rsa.pem", "rsa.pem", NULL, NULL, -EINVAL, "rsa.pem"},
        {"no key in the certificate's file", "rsa.pem", NULL, NULL, NULL, -EINVAL, "--key"},
        {"two of a kind", "ec.both", NULL, "ec2.both", NULL, -EINVAL, "both are ECDSA"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct choice c;
        struct vault v;
        choose_files(&c, cases[i].cert, cases[i].key, cases[i].cert2, cases[i].key2);
        int rc = load(&v, &c.o);
        if (rc != cases[i].result || strstr(said, cases[i].named) == NULL)
            fail_msg("%s: %d: %s", cases[i].name, rc, said);
        assert_null(v.memory);
        assert_int_equal(v.count, 0);
        vault_wipe(&v);
    }
}

static void a_file_that_cannot_be_used_is_told_in_one_line(void **state)
{
    (void)state;
    static const char *const certs[] = {"nothing.pem", "rsa.key"};

    for (size_t i = 0; i < 2; i++) {
        struct choice c;
        struct vault v;
        choose_files(&c, certs[i], "rsa.key", NULL, NULL);
        assert_true(load(&v, &c.o) < 0);
        if (!said_one_line())
            fail_msg("%s", said);
    }
}

static void a_key_that_does_not_match_is_refused_in_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *cert, *key;
        bool thorough;
    } cases[] = {
        {"rsa.pem", "rsa2.key", false}, {"ec.pem", "ec2.key", false},
        {"ed.pem", "ed2.key", false},   {"rsa.pem", "ec.key", false},
        {"ed.pem", "ec.key", false},    {"rsa.pem", "rubbish.key", false},
        {"ec.pem", "liar.key", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct choice c;
        struct vault v;
        choose_files(&c, cases[i].cert, cases[i].key, NULL, NULL);
        if (load(&v, &c.o) != 0)
            fail_msg("%s: not loaded: %s", cases[i].key, said);
        int rc = unlock(&v, &c.o, cases[i].thorough);
        if (rc != -EINVAL || !said_one_line() || strstr(said, "does not match") == NULL ||
            strstr(said, cases[i].key) == NULL || strstr(said, cases[i].cert) == NULL)
            fail_msg("%s and %s: %d: %s", cases[i].cert, cases[i].key, rc, said);
        vault_wipe(&v);
    }
}

/* A renewal replaces its files one after the other: this is the last step. */
struct reload {
    char from[PATH_MAX], to[PATH_MAX];
};

static void *renew(void *arg)
{
    struct reload *r = arg;

    (void)poll(NULL, 0, 50);
    return rename(r->from, r->to) == 0 ? arg : NULL;
}

static void copy_file(const char *from, const char *to)
{
    char command[4 * PATH_MAX];

    (void)snprintf(command, sizeof command, "cp -p '%s/%s' '%s/%s'", folder, from, folder, to);
    assert_int_equal(system(command), 0);
}

static void begin_renewal(struct reload *r, pthread_t *thread, const char *good)
{
    copy_file(good, "fresh");
    (void)snprintf(r->from, sizeof r->from, "%s/fresh", folder);
    (void)snprintf(r->to, sizeof r->to, "%s/moving.key", folder);
    assert_int_equal(pthread_create(thread, NULL, renew, r), 0);
}

static void a_renewal_that_is_under_way_is_waited_for(void **state)
{
    (void)state;
    static struct reload r;
    struct choice c;
    struct vault v;
    pthread_t thread;
    void *done = NULL;

    /* The key is the old one still when it is matched. */
    copy_file("ec2.key", "moving.key");
    choose_files(&c, "ec.pem", "moving.key", NULL, NULL);
    assert_int_equal(load(&v, &c.o), 0);
    begin_renewal(&r, &thread, "ec.key");
    int rc = unlock(&v, &c.o, false);
    assert_int_equal(pthread_join(thread, &done), 0);
    assert_non_null(done);
    assert_int_equal(rc, 0);
    assert_string_equal(said, "");
    vault_wipe(&v);
    /* The file is half written when it is read. */
    copy_file("ec.pem", "moving.key");
    begin_renewal(&r, &thread, "ec.key");
    rc = load(&v, &c.o);
    assert_int_equal(pthread_join(thread, &done), 0);
    assert_non_null(done);
    assert_int_equal(rc, 0);
    vault_wipe(&v);
}

static void a_renewal_that_went_well_is_no_error_in_the_log(void **state)
{
    (void)state;
    static struct reload r;
    struct choice c;
    struct vault v;
    pthread_t thread;

    copy_file("ec.pem", "moving.key");
    choose_files(&c, "ec.pem", "moving.key", NULL, NULL);
    begin_renewal(&r, &thread, "ec.key");
    int rc = load(&v, &c.o);
    assert_int_equal(pthread_join(thread, NULL), 0);
    vault_wipe(&v);
    assert_int_equal(rc, 0);
    assert_string_equal(said, "");
}

static void no_fork_copies_the_keys(void **state)
{
    (void)state;
    struct vault v;
    int status = 0, p[2];

    open_vault(&v, "ec", NULL);
    assert_int_equal(pipe(p), 0);
    assert_int_equal(write(p[1], v.memory, 1), 1);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(write(p[1], v.memory, 1) < 0 && errno == EFAULT ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    (void)close(p[0]);
    (void)close(p[1]);
    vault_wipe(&v);
}

/* Sends a message as the gate would, lets the monitor answer with this vault, and reads the answer, if there
 * is one, into buf. Returns false if the gate has broken a rule: its connection has been ended. r->type is 0
 * if no answer came. */
static bool ask_raw(struct vault *v, const struct message_writer *w, struct message_reader *answer,
                    uint8_t *buf)
{
    static const struct options o = {.tls_min = 0x0303};
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
    struct session session = {.o = &o,
                              .vault = *v,
                              .have_tls = true,
                              .gate = s[1],
                              .phase = w->buf[0] == REQ_CHAIN ? PHASE_OPENING : PHASE_CHAIN};
    if (v->chosen != NULL)
        session.vault.chosen = &session.vault.pairs[v->chosen - v->pairs];
    assert_int_equal(message_send(s[0], w, NULL, 0), 0);
    struct ear e = hear();
    (void)answer_one(&session);
    heard(e);
    bool kept = session.gate >= 0;
    io_close(&session.gate);
    *v = session.vault;
    if (v->chosen != NULL)
        v->chosen = &v->pairs[v->chosen - session.vault.pairs];
    memset(answer, 0, sizeof *answer);
    (void)message_receive(s[0], answer, buf, MESSAGE_MAX, false);
    (void)close(s[0]);
    return kept;
}

static void write_chain_request(struct message_writer *w, uint8_t *buf, size_t size, unsigned rsa,
                                unsigned ecdsa, unsigned ed25519)
{
    message_begin(w, buf, size, REQ_CHAIN);
    message_put_text(w, "mail.example.org");
    message_put_number(w, rsa);
    message_put_number(w, ecdsa);
    message_put_number(w, ed25519);
    message_put_number(w, 0);
}

static void a_client_gets_the_chain_that_it_can_check(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        unsigned rsa, ecdsa, ed25519; /* 0: can't, 1: with outworn suites only, 2: well */
        int chosen;                   /* -1: none */
    } cases[] = {
        {"rsa", "ec", 1, 1, 1, 1}, {"ec", "rsa", 1, 1, 1, 0},  {"rsa", "ec", 1, 0, 1, 0},
        {"rsa", "ec", 0, 1, 0, 1}, {"rsa", "ec", 0, 0, 0, -1}, {"ec", "rsa", 1, 0, 0, 1},
        {"rsa", "ed", 1, 1, 1, 1}, {"rsa", "ed", 1, 1, 0, 0},  {"rsa", NULL, 0, 1, 1, -1},
        {"ec", NULL, 1, 0, 0, -1}, {"ec", NULL, 2, 1, 0, 0},   {"rsa", "ec", 2, 1, 0, 0},
        {"ec", "rsa", 2, 1, 0, 1}, {"rsa", "ec", 1, 2, 0, 1},  {"ec", "rsa", 2, 2, 2, 0},
        {"ed", "rsa", 2, 1, 1, 1},
    };
    static uint8_t buf[MESSAGE_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t request[512];
        struct message_writer w;
        struct message_reader r;
        struct vault v;
        size_t len = 0;
        open_vault(&v, cases[i].first, cases[i].second);
        write_chain_request(&w, request, sizeof request, cases[i].rsa, cases[i].ecdsa,
                            cases[i].ed25519);
        assert_true(ask_raw(&v, &w, &r, buf));
        assert_string_equal(said, "");
        assert_int_equal(r.type, ANS_CHAIN);
        assert_true((message_get_number(&r, 1) == 0) == (cases[i].chosen >= 0));
        const uint8_t *der = message_get_bytes(&r, MESSAGE_MAX, &len);
        size_t staple_len;
        (void)message_get_bytes(&r, 0, &staple_len);
        assert_true(message_complete(&r));
        if (cases[i].chosen < 0) {
            assert_int_equal(len, 0);
        } else {
            const struct chain *c = &v.pairs[cases[i].chosen].chain;
            if (len != c->len || memcmp(der, c->der, len) != 0)
                fail_msg("%s, %s: case %zu gets another chain", cases[i].first, cases[i].second, i);
            assert_ptr_equal(v.chosen, &v.pairs[cases[i].chosen]);
        }
        vault_wipe(&v);
    }
}

static void an_expired_certificate_is_served_with_a_line_in_the_log(void **state)
{
    (void)state;
    static uint8_t buf[MESSAGE_MAX];
    uint8_t request[512];
    struct message_writer w;
    struct message_reader r;
    struct vault v;

    open_vault(&v, "ec", NULL);
    v.pairs[0].chain.not_after = 1000000000;
    write_chain_request(&w, request, sizeof request, true, true, true);
    assert_true(ask_raw(&v, &w, &r, buf));
    assert_int_equal(r.type, ANS_CHAIN);
    assert_true(said_one_line() && strstr(said, "expired") && strstr(said, "ec.pem"));
    vault_wipe(&v);
}

static void malformed_chain_messages_end_the_connection(void **state)
{
    (void)state;
    static uint8_t buf[MESSAGE_MAX];
    static char long_name[300];
    uint8_t request[1024], copy[1024];
    struct message_writer w;
    struct message_reader r;
    struct vault v;

    open_vault(&v, "rsa", "ec");
    write_chain_request(&w, request, sizeof request, true, true, true);
    size_t whole = w.len;
    for (size_t len = 1; len <= whole + 1; len++) {
        memcpy(copy, request, sizeof copy);
        copy[whole] = 0;
        struct message_writer cut = {.buf = copy, .size = sizeof copy, .len = len};
        bool kept = ask_raw(&v, &cut, &r, buf);
        if (len == whole) {
            assert_true(kept);
            continue;
        }
        if (kept || r.type != 0 || !said_one_line())
            fail_msg("%zu of %zu bytes: %s", len, whole, said);
    }
    memset(long_name, 'a', sizeof long_name - 1);
    message_begin(&w, request, sizeof request, REQ_CHAIN);
    message_put_bytes(&w, long_name, HELLO_NAME_MAX + 1);
    for (int i = 0; i < 4; i++)
        message_put_number(&w, 1);
    assert_false(ask_raw(&v, &w, &r, buf));
    message_begin(&w, request, sizeof request, REQ_CHAIN);
    message_put_bytes(&w, "a\0b", 3);
    for (int i = 0; i < 4; i++)
        message_put_number(&w, 1);
    assert_false(ask_raw(&v, &w, &r, buf));
    for (int bad = 0; bad < 4; bad++) {
        message_begin(&w, request, sizeof request, REQ_CHAIN);
        message_put_text(&w, "a");
        for (int i = 0; i < 4; i++)
            message_put_number(&w, i == bad ? 3 : 1);
        assert_false(ask_raw(&v, &w, &r, buf));
        assert_int_equal(r.type, 0);
    }
    vault_wipe(&v);
}

/* A DigestInfo with a hash behind it, of SHA-256, 384 or 512. */
static size_t write_digest_info(uint8_t *out, unsigned bits)
{
    uint8_t size = (uint8_t)(bits / 8), id = bits == 256 ? 1 : bits == 384 ? 2 : 3;
    const uint8_t head[] = {0x30, (uint8_t)(size + 17),
                            0x30, 0x0d,
                            0x06, 0x09,
                            0x60, 0x86,
                            0x48, 0x01,
                            0x65, 0x03,
                            0x04, 0x02,
                            id,   0x05,
                            0x00, 0x04,
                            size};

    memcpy(out, head, sizeof head);
    for (size_t i = 0; i < size; i++)
        out[sizeof head + i] = (uint8_t)(i * 3 + 1);
    return sizeof head + size;
}

static void write_sign_request(struct message_writer *w, uint8_t *buf, size_t size, uint64_t how,
                               const uint8_t *data, size_t len)
{
    message_begin(w, buf, size, REQ_SIGN);
    message_put_number(w, how);
    message_put_bytes(w, data, len);
}

static void put_file(const char *name, const uint8_t *bytes, size_t len)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void signatures_are_good_for_every_key_and_scheme(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        enum sign_as how;
        unsigned bits; /* of the hash; 0: the message itself */
        const char *check;
    } cases[] = {
        {"rsa", SIGN_RSA_PKCS1, 256, "-pkeyopt digest:sha256"},
        {"rsa", SIGN_RSA_PKCS1, 384, "-pkeyopt digest:sha384"},
        {"rsa", SIGN_RSA_PKCS1, 512, "-pkeyopt digest:sha512"},
        {"rsa", SIGN_RSA_PSS_SHA256, 256,
         "-pkeyopt digest:sha256 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest"},
        {"rsa", SIGN_RSA_PSS_SHA384, 384,
         "-pkeyopt digest:sha384 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest"},
        {"rsa", SIGN_RSA_PSS_SHA512, 512,
         "-pkeyopt digest:sha512 -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest"},
        {"ec", SIGN_ECDSA, 256, ""},
        {"ec", SIGN_ECDSA, 384, ""},
        {"ec", SIGN_ECDSA, 512, ""},
        {"p384", SIGN_ECDSA, 384, ""},
        {"p384", SIGN_ECDSA, 256, ""},
        {"ed", SIGN_ED25519, 0, "-rawin"},
    };
    static uint8_t buf[MESSAGE_MAX];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t request[1024], info[256], data[130];
        struct message_writer w;
        struct message_reader r;
        struct vault v;
        char command[2048];
        size_t len = 0, info_len = 0, data_len = sizeof data;
        open_vault(&v, cases[i].key, NULL);
        memset(data, ' ', sizeof data);
        if (cases[i].bits != 0) {
            info_len = write_digest_info(info, cases[i].bits);
            data_len = cases[i].bits / 8;
            memcpy(data, info + info_len - data_len, data_len);
        }
        bool pkcs1 = cases[i].how == SIGN_RSA_PKCS1;
        write_sign_request(&w, request, sizeof request, cases[i].how, pkcs1 ? info : data,
                           pkcs1 ? info_len : data_len);
        if (!ask_raw(&v, &w, &r, buf))
            fail_msg("%s, scheme %d: %s", cases[i].key, (int)cases[i].how, said);
        assert_string_equal(said, "");
        assert_int_equal(r.type, ANS_SIGNATURE);
        const uint8_t *sig = message_get_bytes(&r, 1024, &len);
        assert_true(message_complete(&r) && len > 0);
        put_file("data", data, data_len);
        put_file("sig", sig, len);
        (void)snprintf(command, sizeof command,
                       "cd '%s' && openssl pkeyutl -verify -pubin -inkey %s.pub -sigfile sig "
                       "-in data %s >log 2>&1",
                       folder, cases[i].key, cases[i].check);
        if (system(command) != 0)
            fail_msg("%s, scheme %d, %u bits: a bad signature", cases[i].key, (int)cases[i].how,
                     cases[i].bits);
        assert_int_equal(v.signatures, 0);
        vault_wipe(&v);
    }
}

static void a_second_signature_is_refused(void **state)
{
    (void)state;
    static uint8_t buf[MESSAGE_MAX];
    uint8_t request[256], hash[32] = {1};
    struct message_writer w;
    struct message_reader r;
    struct vault v;

    open_vault(&v, "ec", NULL);
    write_sign_request(&w, request, sizeof request, SIGN_ECDSA, hash, sizeof hash);
    assert_true(ask_raw(&v, &w, &r, buf));
    assert_int_equal(r.type, ANS_SIGNATURE);
    /* The very same one, another one: it makes no difference. */
    for (int i = 0; i < 2; i++) {
        hash[0] = (uint8_t)(i + 1);
        write_sign_request(&w, request, sizeof request, SIGN_ECDSA, hash, sizeof hash);
        assert_false(ask_raw(&v, &w, &r, buf));
        assert_int_equal(r.type, 0);
        assert_true(said_one_line());
    }
    vault_wipe(&v);
}

static void what_no_handshake_needs_is_not_signed(void **state)
{
    (void)state;
    enum content { ONES, INFO_256, INFO_384, INFO_512, SPOILED_INFO, INFO_WITHOUT_NULL };
    static const struct {
        const char *name, *key;
        uint64_t how;
        enum content content;
        size_t len; /* 0: as long as the content is */
        bool old, ok;
    } cases[] = {
        {"no scheme", "rsa", 0, ONES, 32, false, false},
        {"an unknown scheme", "rsa", SIGN_ED25519 + 1, ONES, 32, false, false},
        {"a huge scheme", "rsa", UINT64_MAX, ONES, 32, false, false},
        {"a scheme that is one modulo 2^32", "ec", 0x100000001, ONES, 32, false, false},
        {"ECDSA with an RSA key", "rsa", SIGN_ECDSA, ONES, 32, false, false},
        {"Ed25519 with an RSA key", "rsa", SIGN_ED25519, ONES, 130, false, false},
        {"PKCS#1 with an EC key", "ec", SIGN_RSA_PKCS1, INFO_256, 0, false, false},
        {"PSS with an EC key", "ec", SIGN_RSA_PSS_SHA256, ONES, 32, false, false},
        {"Ed25519 with an EC key", "ec", SIGN_ED25519, ONES, 130, false, false},
        {"ECDSA with an Ed25519 key", "ed", SIGN_ECDSA, ONES, 32, false, false},
        {"PSS with an Ed25519 key", "ed", SIGN_RSA_PSS_SHA256, ONES, 32, false, false},
        {"nothing, PSS", "rsa", SIGN_RSA_PSS_SHA256, ONES, 0, false, false},
        {"nothing, PKCS#1", "rsa", SIGN_RSA_PKCS1, ONES, 0, false, false},
        {"nothing, ECDSA", "ec", SIGN_ECDSA, ONES, 0, false, false},
        {"nothing, Ed25519", "ed", SIGN_ED25519, ONES, 0, false, false},
        {"PSS with another hash", "rsa", SIGN_RSA_PSS_SHA256, ONES, 48, false, false},
        {"PSS with a byte less", "rsa", SIGN_RSA_PSS_SHA384, ONES, 47, false, false},
        {"PSS with a byte more", "rsa", SIGN_RSA_PSS_SHA512, ONES, 65, false, false},
        {"PKCS#1 of a bare hash", "rsa", SIGN_RSA_PKCS1, ONES, 32, false, false},
        {"PKCS#1 of no DigestInfo as long as one", "rsa", SIGN_RSA_PKCS1, ONES, 51, false, false},
        {"PKCS#1, DigestInfo spoiled", "rsa", SIGN_RSA_PKCS1, SPOILED_INFO, 0, false, false},
        {"PKCS#1, DigestInfo without NULL", "rsa", SIGN_RSA_PKCS1, INFO_WITHOUT_NULL, 0, false,
         false},
        {"PKCS#1, a byte less", "rsa", SIGN_RSA_PKCS1, INFO_256, 50, false, false},
        {"PKCS#1, a byte more", "rsa", SIGN_RSA_PKCS1, INFO_256, 52, false, false},
        {"PKCS#1, as long as the key", "rsa", SIGN_RSA_PKCS1, ONES, 256, false, false},
        {"PKCS#1 of SHA-1 and MD5", "rsa", SIGN_RSA_PKCS1, ONES, 36, false, false},
        {"the same for TLS 1.1", "rsa", SIGN_RSA_PKCS1, ONES, 36, true, true},
        {"ECDSA of SHA-1", "ec", SIGN_ECDSA, ONES, 20, false, false},
        {"the same for TLS 1.1, ECDSA", "ec", SIGN_ECDSA, ONES, 20, true, true},
        {"ECDSA of 31 bytes", "ec", SIGN_ECDSA, ONES, 31, false, false},
        {"ECDSA of 33 bytes", "ec", SIGN_ECDSA, ONES, 33, true, false},
        {"Ed25519 of a bare hash", "ed", SIGN_ED25519, ONES, 32, false, false},
        {"Ed25519 of too much", "ed", SIGN_ED25519, ONES, 513, false, false},
        {"ECDSA of too much", "ec", SIGN_ECDSA, ONES, 60000, false, false},
    };
    static uint8_t buf[MESSAGE_MAX], request[MESSAGE_MAX], data[60000];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message_writer w;
        struct message_reader r;
        struct vault v;
        size_t len = 0;
        memset(data, 1, sizeof data); /* wolfSSL 5.9 signs no hash of zeros */
        if (cases[i].content != ONES)
            len = write_digest_info(data, cases[i].content == INFO_384   ? 384
                                          : cases[i].content == INFO_512 ? 512
                                                                         : 256);
        if (cases[i].content == SPOILED_INFO)
            data[14] = 4; /* SHA-224's number with SHA-256's length */
        if (cases[i].content == INFO_WITHOUT_NULL) {
            memmove(data + 15, data + 17, len - 17);
            len -= 2;
            data[1] = (uint8_t)(data[1] - 2);
            data[3] = (uint8_t)(data[3] - 2);
        }
        if (cases[i].len != 0)
            len = cases[i].len;
        open_vault(&v, cases[i].key, NULL);
        v.old_versions = cases[i].old;
        write_sign_request(&w, request, sizeof request, cases[i].how, data, len);
        bool kept = ask_raw(&v, &w, &r, buf);
        vault_wipe(&v);
        if (kept != cases[i].ok)
            fail_msg("%s: %s", cases[i].name, said);
        assert_int_equal(r.type, cases[i].ok ? ANS_SIGNATURE : 0);
        if (!cases[i].ok)
            assert_true(said_one_line());
    }
}

static void malformed_sign_messages_end_the_connection(void **state)
{
    (void)state;
    static uint8_t buf[MESSAGE_MAX];
    uint8_t request[256] = {0}, hash[32] = {1};
    struct message_writer w;
    struct message_reader r;
    struct vault v;

    open_vault(&v, "ec", NULL);
    write_sign_request(&w, request, sizeof request, SIGN_ECDSA, hash, sizeof hash);
    size_t whole = w.len;
    for (size_t len = 1; len <= whole + 9; len++) {
        if (len == whole)
            continue;
        struct message_writer cut = {.buf = request, .size = sizeof request, .len = len};
        bool kept = ask_raw(&v, &cut, &r, buf);
        if (kept || r.type != 0 || !said_one_line())
            fail_msg("%zu of %zu bytes: %s", len, whole, said);
        /* What is refused costs nothing. */
        assert_int_equal(v.signatures, 1);
    }
    vault_wipe(&v);
}

static void an_empty_vault_signs_nothing(void **state)
{
    (void)state;
    static uint8_t buf[MESSAGE_MAX];
    uint8_t request[256], hash[32] = {1};
    struct message_writer w;
    struct message_reader r;
    struct vault v;

    open_vault(&v, "ec", NULL);
    vault_wipe(&v);
    write_sign_request(&w, request, sizeof request, SIGN_ECDSA, hash, sizeof hash);
    assert_false(ask_raw(&v, &w, &r, buf));
    assert_int_equal(r.type, 0);
}

/* The gate's side for one question, in a thread; the monitor's side is the test itself. */
struct gate {
    struct ask ask;
    const struct hello *hello; /* NULL: asks for a signature */
    uint8_t buf[MESSAGE_MAX];
    struct chain_answer chain;
    size_t len; /* of the signature, in buf */
    enum asked result;
};

static void *ask_once(void *arg)
{
    static const uint8_t hash[32] = {1};
    struct gate *g = arg;

    g->len = sizeof g->buf;
    if (g->hello != NULL)
        g->result = ask_chain(&g->ask, g->hello, g->buf, &g->chain);
    else
        g->result =
            ask_signature(&g->ask, SIGN_ECDSA, (struct bytes){hash, sizeof hash}, g->buf, &g->len);
    return NULL;
}

static void talk(struct session *session, struct gate *g)
{
    pthread_t thread;
    int s[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s), 0);
    g->ask = (struct ask){.monitor = s[0]};
    session->gate = s[1];
    assert_int_equal(pthread_create(&thread, NULL, ask_once, g), 0);
    assert_true(answer_one(session));
    assert_int_equal(session->gate, s[1]);
    (void)close(s[1]);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(s[0]);
}

static void both_sides_understand_each_other(void **state)
{
    (void)state;
    static const struct options o = {.tls_min = 0x0303};
    static const struct hello h = {.name = "mail.example.org", .ecdsa = true};
    static struct gate g;
    struct session s = {.o = &o, .have_tls = true, .phase = PHASE_OPENING};

    open_vault(&s.vault, "rsa", "ec");
    g.hello = &h;
    talk(&s, &g);
    const struct chain *c = &s.vault.pairs[1].chain;
    assert_int_equal(g.result, ASK_OK);
    assert_int_equal(g.chain.verdict, CHAIN_GIVEN);
    assert_int_equal(g.chain.chain.len, c->len);
    assert_memory_equal(g.chain.chain.at, c->der, c->len);
    assert_int_equal(g.chain.staple.len, 0);
    g.hello = NULL;
    talk(&s, &g);
    assert_int_equal(g.result, ASK_OK);
    assert_in_range(g.len, 60, 72);
    vault_wipe(&s.vault);
}

static void a_client_that_can_use_no_chain_is_told_apart(void **state)
{
    (void)state;
    static const struct options o = {.tls_min = 0x0303};
    static const struct hello h = {.rsa = true};
    static struct gate g;
    struct session s = {.o = &o, .have_tls = true, .phase = PHASE_OPENING};

    open_vault(&s.vault, "ec", NULL);
    g.hello = &h;
    talk(&s, &g);
    vault_wipe(&s.vault);
    assert_int_equal(g.result, ASK_OK);
    assert_int_equal(g.chain.verdict, CHAIN_NONE_FITS);
    assert_int_equal(g.chain.chain.len, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_pairs_are_loaded_and_match),
        cmocka_unit_test(files_that_cannot_be_used_leave_nothing_behind),
        cmocka_unit_test(a_file_that_cannot_be_used_is_told_in_one_line),
        cmocka_unit_test(a_key_that_does_not_match_is_refused_in_one_line),
        cmocka_unit_test(a_renewal_that_is_under_way_is_waited_for),
        cmocka_unit_test(a_renewal_that_went_well_is_no_error_in_the_log),
        cmocka_unit_test(no_fork_copies_the_keys),
        cmocka_unit_test(a_client_gets_the_chain_that_it_can_check),
        cmocka_unit_test(an_expired_certificate_is_served_with_a_line_in_the_log),
        cmocka_unit_test(malformed_chain_messages_end_the_connection),
        cmocka_unit_test(signatures_are_good_for_every_key_and_scheme),
        cmocka_unit_test(a_second_signature_is_refused),
        cmocka_unit_test(what_no_handshake_needs_is_not_signed),
        cmocka_unit_test(malformed_sign_messages_end_the_connection),
        cmocka_unit_test(an_empty_vault_signs_nothing),
        cmocka_unit_test(both_sides_understand_each_other),
        cmocka_unit_test(a_client_that_can_use_no_chain_is_told_apart),
    };

    return cmocka_run_group_tests_name("vault", tests, make_files, remove_files);
}
