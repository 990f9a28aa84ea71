/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of environment.c: what a handler is told, and by nobody else. */
#include "start/environment.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool holds(const struct environment *e, const char *entry)
{
    for (size_t i = 0; i < e->count; i++)
        if (strcmp(e->list[i], entry) == 0)
            return true;
    return false;
}

/* The value of a name; NULL if it is not there. There must be one at most. */
static const char *value_of(const struct environment *e, const char *name)
{
    const char *value = NULL;
    size_t len = strlen(name);

    for (size_t i = 0; i < e->count; i++) {
        if (strncmp(e->list[i], name, len) != 0 || e->list[i][len] != '=')
            continue;
        assert_null(value);
        value = e->list[i] + len + 1;
    }
    return value;
}

static void names_that_postern_sets_are_taken_out(void **state)
{
    (void)state;
    static const char *const forged[] = {
        "SSL_PROTOCOL=TLSv1.3",
        "SSL_CLIENT_VERIFY=SUCCESS",
        "SSL_CLIENT_S_DN_CN=root",
        "SSL_=",
        "SSL_X=1",
        "SSL_TLS_SNI_SERVERNAME=a",
        "SSLCTLFD=3",
        "SSLREADFD=4",
        "SSLWRITEFD=5",
        "TLS=1",
        "TLS_CIPHER=NULL",
        "TLSX=1",
        "TCPREMOTEIP=127.0.0.1",
        "TCPREMOTEPORT=1",
        "TCPREMOTEINFO=root",
        "TCPREMOTEHOSTX=localhost",
        "TCPLOCALIP=127.0.0.1",
        "TCPLOCALHOSTX=localhost",
        "TCPX=1",
        "TCP=1",
        "REMOTE_ADDR=127.0.0.1",
        "REMOTE_PORT=1",
        "REMOTE_USER=root",
        "POSTERN_TLS_EXPORTER=AAAA",
        "POSTERN_=",
        "PROTO=TCP6",
        "PROTO=",
        "UCSPITLS=1",
        "LISTEN_PID=1",
        "LISTEN_FDS=1",
        "LISTEN_FDNAMES=x",
    };

    for (size_t i = 0; i < sizeof forged / sizeof forged[0]; i++) {
        char entry[64];
        char *const from[] = {entry, NULL};
        struct environment e;
        (void)snprintf(entry, sizeof entry, "%s", forged[i]);
        environment_copy(&e, from);
        if (e.count != 0)
            fail_msg("%s is kept", forged[i]);
        assert_false(e.failed);
        environment_free(&e);
    }
}

static void names_that_only_look_like_them_are_kept(void **state)
{
    (void)state;
    static const char *const honest[] = {
        "PATH=/usr/bin",
        "HOME=/root",
        "EMPTY=",
        "SSLX=1",
        "SSL=1",
        "SSLCTLFDX=1",
        "XSSL_PROTOCOL=1",
        "ssl_protocol=1",
        "OPENSSL_CONF=/x",
        "MY_TLS=1",
        "tcp=1",
        "XTCPREMOTEIP=1",
        "TCPREMOTEHOST=client.example.org",
        "TCPLOCALHOST=mail.example.org",
        "TCPREMOTEHOST=",
        "POSTERN=1",
        "POSTERNX=1",
        "REMOTE=1",
        "REMOTEX_ADDR=1",
        "PROTOCOL=1",
        "PROTOX=1",
        "UCSPITLSX=1",
        "LISTEN_PIDFD=1",
        "LISTEN=1",
        "MAILDIR=./SSL_PROTOCOL=x",
    };
    char *from[sizeof honest / sizeof honest[0] + 1] = {NULL};
    struct environment e;

    for (size_t i = 0; i < sizeof honest / sizeof honest[0]; i++)
        assert_non_null(from[i] = strdup(honest[i]));
    environment_copy(&e, from);
    for (size_t i = 0; i < sizeof honest / sizeof honest[0]; i++) {
        if (!holds(&e, honest[i]))
            fail_msg("%s is taken out", honest[i]);
        free(from[i]);
    }
    assert_int_equal(e.count, sizeof honest / sizeof honest[0]);
    assert_null(e.list[e.count]);
    environment_free(&e);
    assert_int_equal(e.count, 0);
    assert_null(e.list);
}

static void setting_an_empty_value_adds_nothing_but_adding_one_does(void **state)
{
    (void)state;
    struct environment e = {0};

    environment_set(&e, "A", "");
    assert_int_equal(e.count, 0);
    environment_add(&e, "A", "");
    assert_int_equal(e.count, 1);
    assert_string_equal(e.list[0], "A=");
    environment_free(&e);
    environment_set(&e, "A", "1");
    environment_set(&e, "B", "with = and space");
    assert_int_equal(e.count, 2);
    assert_string_equal(e.list[0], "A=1");
    assert_string_equal(e.list[1], "B=with = and space");
    assert_null(e.list[2]);
    environment_free(&e);
}

static const struct facts tls = {.version = "TLSv1.3",
                                 .cipher = "TLS_AES_128_GCM_SHA256",
                                 .group = "x25519",
                                 .name = "mail.example.org",
                                 .has_exporter = true,
                                 .exporter = {0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07,
                                              0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f,
                                              0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
                                              0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff}};

struct ends {
    struct peer client, server;
};

static struct ends ends_of(sa_family_t family, const char *client, const char *server)
{
    struct ends c = {.client = {.family = family}, .server = {.family = family}};

    c.client.port = 50122;
    c.server.port = 65535;
    (void)snprintf(c.client.host, sizeof c.client.host, "%s", client);
    (void)snprintf(c.server.host, sizeof c.server.host, "%s", server);
    return c;
}

static void both_ends_are_told_for_ipv4_and_ipv6(void **state)
{
    (void)state;
    static const struct {
        sa_family_t family;
        const char *client, *server;
    } cases[] = {{AF_INET, "192.0.2.7", "198.51.100.1"}, {AF_INET6, "2001:db8::1", "2001:db8::2"}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ends c = ends_of(cases[i].family, cases[i].client, cases[i].server);
        struct environment e = {0};
        environment_describe(&e, &c.client, &c.server, NULL);
        assert_string_equal(value_of(&e, "PROTO"), "TCP");
        assert_string_equal(value_of(&e, "TCPREMOTEIP"), cases[i].client);
        assert_string_equal(value_of(&e, "TCPREMOTEPORT"), "50122");
        assert_string_equal(value_of(&e, "TCPLOCALIP"), cases[i].server);
        assert_string_equal(value_of(&e, "TCPLOCALPORT"), "65535");
        assert_string_equal(value_of(&e, "REMOTE_ADDR"), cases[i].client);
        assert_string_equal(value_of(&e, "REMOTE_PORT"), "50122");
        assert_null(value_of(&e, "TCPREMOTEHOST"));
        for (size_t n = 0; n < e.count; n++)
            assert_int_not_equal(strncmp(e.list[n], "SSL_", 4), 0);
        assert_null(value_of(&e, "POSTERN_TLS_EXPORTER"));
        environment_free(&e);
    }
}

static void a_unix_client_has_no_address(void **state)
{
    (void)state;
    struct ends c = ends_of(AF_UNIX, "", "");
    struct environment e = {0};

    environment_describe(&e, &c.client, &c.server, NULL);
    assert_string_equal(value_of(&e, "PROTO"), "UNIX");
    assert_int_equal(e.count, 1);
    environment_free(&e);
}

static void of_a_pipe_nothing_is_told(void **state)
{
    (void)state;
    struct ends c = ends_of(AF_UNSPEC, "", "");
    struct environment e = {0};

    environment_describe(&e, &c.client, &c.server, NULL);
    assert_int_equal(e.count, 0);
    environment_free(&e);
}

static void the_facts_of_tls_are_told(void **state)
{
    (void)state;
    struct ends c = ends_of(AF_INET, "192.0.2.7", "198.51.100.1");
    struct environment e = {0};

    environment_describe(&e, &c.client, &c.server, &tls);
    assert_string_equal(value_of(&e, "SSL_PROTOCOL"), "TLSv1.3");
    assert_string_equal(value_of(&e, "SSL_CIPHER"), "TLS_AES_128_GCM_SHA256");
    assert_string_equal(value_of(&e, "SSL_TLS_SNI"), "mail.example.org");
    assert_string_equal(value_of(&e, "SSL_TLS_SNI_SERVERNAME"), "mail.example.org");
    assert_string_equal(value_of(&e, "SSL_SESSION_RESUMED"), "Initial");
    assert_string_equal(value_of(&e, "SSL_CLIENT_VERIFY"), "NONE");
    assert_string_equal(value_of(&e, "PROTO"), "TCP");
    environment_free(&e);
}

static void a_client_certificate_is_told_by_mod_ssls_names_and_by_s6s(void **state)
{
    (void)state;
    struct ends c = ends_of(AF_INET, "192.0.2.7", "198.51.100.1");
    struct environment e = {0};
    struct facts facts = tls;

    facts.client = (struct client_facts){.verify = CLIENT_VERIFIED,
                                         .subject = "CN=alice,O=Example",
                                         .common_name = "alice",
                                         .issuer = "CN=Root",
                                         .serial = "0A",
                                         .fingerprint = "00ff",
                                         .user = "alice@example.org"};
    environment_describe(&e, &c.client, &c.server, &facts);
    assert_string_equal(value_of(&e, "SSL_CLIENT_VERIFY"), "SUCCESS");
    assert_string_equal(value_of(&e, "SSL_CLIENT_S_DN"), "CN=alice,O=Example");
    assert_string_equal(value_of(&e, "SSL_CLIENT_S_DN_CN"), "alice");
    assert_string_equal(value_of(&e, "SSL_CLIENT_I_DN"), "CN=Root");
    assert_string_equal(value_of(&e, "SSL_CLIENT_M_SERIAL"), "0A");
    assert_string_equal(value_of(&e, "SSL_CLIENT_FINGERPRINT"), "00ff");
    assert_string_equal(value_of(&e, "SSL_CLIENT_USER"), "alice@example.org");
    assert_string_equal(value_of(&e, "SSL_PEER_CERT_HASH"), "SHA256:00ff");
    assert_string_equal(value_of(&e, "SSL_PEER_CERT_SUBJECT"), "CN=alice,O=Example");
    environment_free(&e);
    facts.client = (struct client_facts){.verify = CLIENT_NONE};
    environment_describe(&e, &c.client, &c.server, &facts);
    assert_string_equal(value_of(&e, "SSL_CLIENT_VERIFY"), "NONE");
    assert_null(value_of(&e, "SSL_CLIENT_USER"));
    assert_null(value_of(&e, "SSL_PEER_CERT_HASH"));
    environment_free(&e);
}

static void a_resumed_session_without_name_and_exporter_is_told_so(void **state)
{
    (void)state;
    struct ends c = ends_of(AF_UNIX, "", "");
    struct facts f = tls;
    struct environment e = {0};

    f.resumed = true;
    f.has_exporter = false;
    f.name[0] = '\0';
    environment_describe(&e, &c.client, &c.server, &f);
    assert_string_equal(value_of(&e, "SSL_SESSION_RESUMED"), "Resumed");
    assert_null(value_of(&e, "SSL_TLS_SNI"));
    assert_null(value_of(&e, "SSL_TLS_SNI_SERVERNAME"));
    assert_null(value_of(&e, "POSTERN_TLS_EXPORTER"));
    assert_string_equal(value_of(&e, "SSL_PROTOCOL"), "TLSv1.3");
    environment_free(&e);
}

static void the_exporter_is_base64(void **state)
{
    (void)state;
    struct ends c = ends_of(AF_INET, "192.0.2.7", "198.51.100.1");
    struct facts f = tls;
    struct environment e = {0};

    /* Computed with base64(1). */
    environment_describe(&e, &c.client, &c.server, &f);
    assert_string_equal(value_of(&e, "POSTERN_TLS_EXPORTER"),
                        "AAECAwQFBgcICQoLDA0OD/Dx8vP09fb3+Pn6+/z9/v8=");
    environment_free(&e);
    memset(f.exporter, 0xff, sizeof f.exporter);
    environment_describe(&e, &c.client, &c.server, &f);
    assert_string_equal(value_of(&e, "POSTERN_TLS_EXPORTER"),
                        "//////////////////////////////////////////8=");
    environment_free(&e);
    memset(f.exporter, 0, sizeof f.exporter);
    environment_describe(&e, &c.client, &c.server, &f);
    assert_string_equal(value_of(&e, "POSTERN_TLS_EXPORTER"),
                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    environment_free(&e);
}

static void no_forged_name_survives_beside_the_true_one(void **state)
{
    (void)state;
    char ip[] = "TCPREMOTEIP=127.0.0.1", protocol[] = "SSL_PROTOCOL=TLSv9", path[] = "PATH=/bin";
    char host[] = "TCPREMOTEHOST=client.example.org";
    char *const from[] = {ip, path, protocol, host, NULL};
    struct ends c = ends_of(AF_INET, "192.0.2.7", "198.51.100.1");
    struct environment e;

    environment_copy(&e, from);
    environment_describe(&e, &c.client, &c.server, &tls);
    assert_string_equal(value_of(&e, "TCPREMOTEIP"), "192.0.2.7");
    assert_string_equal(value_of(&e, "SSL_PROTOCOL"), "TLSv1.3");
    assert_string_equal(value_of(&e, "PATH"), "/bin");
    assert_string_equal(value_of(&e, "TCPREMOTEHOST"), "client.example.org");
    environment_free(&e);
}

static void a_name_is_taken_out_again_and_no_other(void **state)
{
    (void)state;
    char *const from[] = {(char *)"TCPREMOTEHOST=a", (char *)"TCPREMOTEHOSTX=b",
                          (char *)"HOME=TCPREMOTEHOST=c", (char *)"TCPREMOTEHOST=", NULL};
    struct environment e;

    environment_copy(&e, from);
    environment_add(&e, "PATH", "/bin");
    environment_remove(&e, "TCPREMOTEHOST");
    assert_false(holds(&e, "TCPREMOTEHOST=a"));
    assert_false(holds(&e, "TCPREMOTEHOST="));
    assert_true(holds(&e, "HOME=TCPREMOTEHOST=c"));
    assert_true(holds(&e, "PATH=/bin"));
    assert_null(e.list[e.count]);
    environment_remove(&e, "HOME");
    environment_remove(&e, "PATH");
    environment_remove(&e, "NONE");
    assert_int_equal(e.count, 0);
    environment_free(&e);
    environment_remove(&e, "HOME");
    assert_int_equal(e.count, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_postern_sets_are_taken_out),
        cmocka_unit_test(names_that_only_look_like_them_are_kept),
        cmocka_unit_test(setting_an_empty_value_adds_nothing_but_adding_one_does),
        cmocka_unit_test(both_ends_are_told_for_ipv4_and_ipv6),
        cmocka_unit_test(a_unix_client_has_no_address),
        cmocka_unit_test(of_a_pipe_nothing_is_told),
        cmocka_unit_test(the_facts_of_tls_are_told),
        cmocka_unit_test(a_client_certificate_is_told_by_mod_ssls_names_and_by_s6s),
        cmocka_unit_test(a_resumed_session_without_name_and_exporter_is_told_so),
        cmocka_unit_test(the_exporter_is_base64),
        cmocka_unit_test(no_forged_name_survives_beside_the_true_one),
        cmocka_unit_test(a_name_is_taken_out_again_and_no_other),
    };

    return cmocka_run_group_tests_name("environment", tests, NULL, NULL);
}
