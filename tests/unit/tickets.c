/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Unit tests of tickets.c, ticket_file.c and what answer.c and ask.c make of them: the file with the ticket keys and its
 * rotation, what a ticket can and can't be opened with, and what a hostile gate can ask for. */
#include "monitor/answer.h"
#include "gate/ask.h"
#include "ear.h"
#include "vault/ticket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

#define DATE "2025-01-31T12:00:00Z"
#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX_B "ffeeddccbbaa99887766554433221100FFEEDDCCBBAA99887766554433221100"
#define LINE_A DATE " " HEX_A "\n"
#define LINE_B DATE " " HEX_B "\n"
#define FIVE LINE_A LINE_A LINE_A LINE_A LINE_A

static enum key_text parse(struct tickets *t, const char *text, size_t *line)
{
    memset(t, 0, sizeof *t);
    return ticket_file_parse(t, (const uint8_t *)text, strlen(text), line);
}

static void texts_that_are_well_formed_give_their_keys(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        size_t count;
    } cases[] = {
        {"one key", LINE_A, 1},
        {"two keys", LINE_A LINE_B, 2},
        {"no newline at the end", DATE " " HEX_A, 1},
        {"comments, empty lines, blanks at the end",
         "# about\n\n" DATE " " HEX_A " \t\r\n  \n#" LINE_A, 1},
        {"as many as there may be", FIVE LINE_A LINE_A LINE_B, 8},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tickets t;
        size_t line;
        if (parse(&t, cases[i].text, &line) != KEY_TEXT_GOOD || t.count != cases[i].count)
            fail_msg("%s: %zu keys", cases[i].name, t.count);
        for (uint8_t k = 0; k < sizeof t.keys[0].key; k++)
            assert_int_equal(t.keys[0].key[k], k);
        assert_int_equal(t.keys[0].made, 1738324800);
    }
}

static void texts_that_are_not_say_in_which_line_and_leave_no_key(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        enum key_text result;
        size_t line;
    } cases[] = {
        {"empty", "", KEY_TEXT_EMPTY, 1},
        {"only a comment", "# nothing\n", KEY_TEXT_EMPTY, 2},
        {"nine keys", FIVE LINE_A LINE_A LINE_A LINE_B, KEY_TEXT_TOO_MANY, 9},
        {"no date", HEX_A "\n", KEY_TEXT_WRONG, 1},
        {"a date that is none", "2025-13-31T12:00:00Z " HEX_A "\n", KEY_TEXT_WRONG, 1},
        {"a date without its Z", "2025-01-31T12:00:000 " HEX_A "\n", KEY_TEXT_WRONG, 1},
        {"two spaces", DATE "  " HEX_A "\n", KEY_TEXT_WRONG, 1},
        {"a tab", DATE "\t" HEX_A "\n", KEY_TEXT_WRONG, 1},
        {"a space before it", " " LINE_A, KEY_TEXT_WRONG, 1},
        {"a short key behind a good one", LINE_A DATE " 0011\n", KEY_TEXT_WRONG, 2},
        {"a long key", DATE " " HEX_A "00\n", KEY_TEXT_WRONG, 1},
        {"no hexadecimal digit", "# x\n" DATE " g" HEX_A + 1, KEY_TEXT_WRONG, 1},
        {"PEM", "-----BEGIN PRIVATE KEY-----\n", KEY_TEXT_WRONG, 1},
        {"two keys in one line", DATE " " HEX_A " " LINE_B, KEY_TEXT_WRONG, 1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const struct ticket_key none;
        struct tickets t;
        size_t line;
        enum key_text result = parse(&t, cases[i].text, &line);
        if (result != cases[i].result || line != cases[i].line)
            fail_msg("%s: %d in line %zu", cases[i].name, (int)result, line);
        assert_int_equal(t.count, 0);
        assert_memory_equal(&t.keys[0], &none, sizeof none);
    }
}

/* A key with these bytes, and its name. */
static void add(struct tickets *t, uint8_t byte)
{
    struct ticket_key *k = &t->keys[t->count++];

    memset(k->key, byte, sizeof k->key);
    assert_int_equal(tickets_name_key(k), 0);
}

#define NOW 1738324800
static const uint8_t secret[] = "what a session is resumed from";

static const struct options usual = {.tickets = "tickets", .ticket_lifetime = 7200};

/* Seals the secret with the first key. */
static struct ticket seal(const struct tickets *t, const struct options *o, unsigned version,
                          const char *name)
{
    uint8_t context[TICKETS_CONTEXT_SIZE];
    struct ticket_state state = {.len = sizeof secret};
    struct ticket ticket;

    memcpy(state.bytes, secret, sizeof secret);
    assert_int_equal(tickets_context(context, o, version, name), 0);
    assert_int_equal(tickets_seal(t, context, NOW, &state, &ticket), 0);
    return ticket;
}

/* What a ticket is to be opened for. */
struct purpose {
    const struct options *o;
    unsigned version;
    const char *name;
    time_t now;
};

static enum ticket_verdict open_for(const struct tickets *t, struct purpose p,
                                    const struct ticket *ticket, bool *old)
{
    uint8_t context[TICKETS_CONTEXT_SIZE];
    struct ticket_state state;

    assert_int_equal(tickets_context(context, p.o, p.version, p.name), 0);
    enum ticket_verdict verdict =
        tickets_open(t, context, p.now, p.o->ticket_lifetime, ticket, &state);
    if (verdict == TICKET_GOOD) {
        assert_int_equal(state.len, sizeof secret);
        assert_memory_equal(state.bytes, secret, sizeof secret);
        *old = state.old;
    }
    return verdict;
}

static void each_key_of_the_file_opens_and_only_the_first_seals(void **state)
{
    (void)state;
    struct tickets before = {0}, after = {0}, later = {0};
    struct ticket sealed;
    bool old = true;

    add(&before, 1);
    add(&after, 2);
    add(&after, 1);
    add(&later, 3);
    add(&later, 2);
    sealed = seal(&before, &usual, 0x0304, "mail.example.org");
    assert_int_equal(
        open_for(&before, (struct purpose){&usual, 0x0304, "mail.example.org", NOW}, &sealed, &old),
        0);
    assert_false(old);
    assert_int_equal(
        open_for(&after, (struct purpose){&usual, 0x0304, "mail.example.org", NOW}, &sealed, &old),
        0);
    assert_true(old);
    assert_int_equal(
        open_for(&later, (struct purpose){&usual, 0x0304, "mail.example.org", NOW}, &sealed, &old),
        TICKET_UNKNOWN_KEY);
    sealed = seal(&after, &usual, 0x0304, "mail.example.org");
    assert_int_equal(
        open_for(&before, (struct purpose){&usual, 0x0304, "mail.example.org", NOW}, &sealed, &old),
        TICKET_UNKNOWN_KEY);
}

static void a_ticket_does_not_show_what_is_sealed_and_no_two_are_the_same(void **state)
{
    (void)state;
    struct tickets t = {0};

    add(&t, 1);
    const struct ticket one = seal(&t, &usual, 0x0304, "a"), two = seal(&t, &usual, 0x0304, "a");
    assert_int_equal(one.len, TICKET_HEAD_SIZE + TICKET_TIME_SIZE + sizeof secret);
    assert_int_equal(two.len, one.len);
    assert_null(memmem(one.bytes, one.len, secret, 8));
    assert_null(memmem(one.bytes, one.len, t.keys[0].key, 8));
    assert_memory_equal(one.bytes, two.bytes, TICKET_NAME_SIZE);
    assert_memory_not_equal(one.bytes + TICKET_NAME_SIZE, two.bytes + TICKET_NAME_SIZE,
                            TICKET_NONCE_SIZE);
    assert_memory_not_equal(one.bytes + TICKET_HEAD_SIZE, two.bytes + TICKET_HEAD_SIZE, 8);
}

static void a_ticket_is_refused_for_anything_else_than_it_was_sealed_for(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct options o;
        unsigned version;
        const char *name;
        int result;
    } cases[] = {
        {"the same", {.ticket_lifetime = 7200, .starttls = "imap"}, 0x0304, "mail.example.org", 0},
        {"another name",
         {.ticket_lifetime = 7200, .starttls = "imap"},
         0x0304,
         "mail.example.net",
         TICKET_DAMAGED},
        {"no name", {.ticket_lifetime = 7200, .starttls = "imap"}, 0x0304, "", TICKET_DAMAGED},
        {"TLS 1.2",
         {.ticket_lifetime = 7200, .starttls = "imap"},
         0x0303,
         "mail.example.org",
         TICKET_DAMAGED},
        {"another protocol",
         {.ticket_lifetime = 7200, .starttls = "smtp"},
         0x0304,
         "mail.example.org",
         TICKET_DAMAGED},
        {"immediate TLS", {.ticket_lifetime = 7200}, 0x0304, "mail.example.org", TICKET_DAMAGED},
        {"UCSPI-TLS",
         {.ticket_lifetime = 7200, .ucspi_tls = true},
         0x0304,
         "mail.example.org",
         TICKET_DAMAGED},
        {"other cipher suites",
         {.ticket_lifetime = 7200, .starttls = "imap", .ciphers = "TLS13-AES128-GCM-SHA256"},
         0x0304,
         "mail.example.org",
         TICKET_DAMAGED},
        {"another lifetime",
         {.ticket_lifetime = 60, .starttls = "imap"},
         0x0304,
         "mail.example.org",
         0},
        {"another policy",
         {.ticket_lifetime = 7200, .starttls = "imap", .policy = POLICY_AUTH},
         0x0304,
         "mail.example.org",
         0},
    };
    struct tickets t = {0};
    struct ticket sealed;
    bool old;

    add(&t, 1);
    sealed = seal(&t, &cases[0].o, cases[0].version, cases[0].name);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc = open_for(&t, (struct purpose){&cases[i].o, cases[i].version, cases[i].name, NOW},
                          &sealed, &old);
        if (rc != cases[i].result)
            fail_msg("%s: %d", cases[i].what, rc);
    }
}

static void a_ticket_is_good_for_its_lifetime_and_not_from_the_future(void **state)
{
    (void)state;
    static const struct {
        time_t age;
        int result;
    } cases[] = {{0, 0},
                 {7200, 0},
                 {7201, TICKET_EXPIRED},
                 {86400, TICKET_EXPIRED},
                 {-60, 0},
                 {-61, TICKET_EXPIRED},
                 {-1000000, TICKET_EXPIRED}};
    struct tickets t = {0};
    struct ticket sealed;
    bool old;

    add(&t, 1);
    sealed = seal(&t, &usual, 0x0304, "a");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rc =
            open_for(&t, (struct purpose){&usual, 0x0304, "a", NOW + cases[i].age}, &sealed, &old);
        if (rc != cases[i].result)
            fail_msg("%lld seconds old: %d", (long long)cases[i].age, rc);
    }
}

static void a_ticket_with_one_bit_changed_or_a_byte_missing_is_refused(void **state)
{
    (void)state;
    struct tickets t = {0};
    bool old;

    add(&t, 1);
    const struct purpose purpose = {&usual, 0x0304, "a", NOW};
    struct ticket sealed = seal(&t, &usual, 0x0304, "a");
    for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
        sealed.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        enum ticket_verdict verdict = open_for(&t, purpose, &sealed, &old);
        if (verdict != (bit < 8 * TICKET_NAME_SIZE ? TICKET_UNKNOWN_KEY : TICKET_DAMAGED))
            fail_msg("bit %zu: %d", bit, (int)verdict);
        sealed.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    struct ticket cut = sealed;
    for (cut.len = 0; cut.len < sealed.len; cut.len++)
        assert_int_equal(open_for(&t, purpose, &cut, &old), TICKET_DAMAGED);
    cut.bytes[sealed.len] = 0;
    cut.len = sealed.len + 1;
    assert_int_equal(open_for(&t, purpose, &cut, &old), TICKET_DAMAGED);
    assert_int_equal(open_for(&t, purpose, &sealed, &old), TICKET_GOOD);
}

static void too_much_is_not_sealed(void **state)
{
    (void)state;
    const uint8_t context[TICKETS_CONTEXT_SIZE] = {0};
    struct ticket_state plain = {.len = 1}, back;
    struct ticket sealed;
    struct tickets t = {0};

    assert_int_equal(tickets_seal(&t, context, NOW, &plain, &sealed), -EINVAL);
    add(&t, 1);
    plain.len = TICKET_STATE_MAX + 1;
    assert_int_equal(tickets_seal(&t, context, NOW, &plain, &sealed), -EINVAL);
    plain.len = TICKET_STATE_MAX;
    assert_int_equal(tickets_seal(&t, context, NOW, &plain, &sealed), 0);
    assert_int_equal(sealed.len, TICKET_MAX);
    assert_int_equal(tickets_open(&t, context, NOW, 1, &sealed, &back), TICKET_GOOD);
    assert_int_equal(back.len, TICKET_STATE_MAX);
}

/* The file itself */

static char folder[] = "/tmp/postern-tickets-XXXXXX";
static char path[PATH_MAX];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof path, "%s/tickets", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char command[PATH_MAX];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static int renew(void)
{
    struct ear e = hear();
    int rc = ticket_file_renew(path);
    heard(e);
    return rc;
}

static int read_file(struct tickets *t)
{
    struct ear e = hear();
    int rc = ticket_file_read(t, path);
    heard(e);
    return rc;
}

static void a_new_key_comes_first_three_are_kept_and_the_file_is_the_owners_alone(void **state)
{
    (void)state;
    struct tickets t, last = {0};
    struct stat s;

    (void)umask(0);
    for (size_t i = 1; i <= 5; i++) {
        time_t now = time(NULL);
        assert_int_equal(renew(), 0);
        assert_string_equal(said, "");
        assert_int_equal(read_file(&t), 0);
        assert_int_equal(t.count, i < 3 ? i : 3);
        assert_true(t.keys[0].made >= now && t.keys[0].made <= time(NULL));
        assert_memory_not_equal(t.keys[0].key, last.keys[0].key, sizeof t.keys[0].key);
        assert_memory_equal(&t.keys[1], &last.keys[0], (t.count - 1) * sizeof t.keys[0]);
        assert_int_equal(stat(path, &s), 0);
        assert_int_equal(s.st_mode & 07777, 0600);
        last = t;
    }
    assert_int_equal(unlink(path), 0);
    /* Nothing is left beside it. */
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void what_a_killed_one_has_left_is_no_obstacle(void **state)
{
    (void)state;
    char left[PATH_MAX + 8];
    struct tickets t;

    (void)snprintf(left, sizeof left, "%s.new", path);
    int fd = open(left, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(renew(), 0);
    assert_int_equal(read_file(&t), 0);
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(unlink(path), 0);
}

static void a_link_goes_on_leading_to_the_file(void **state)
{
    (void)state;
    char real[PATH_MAX + 8], parent[PATH_MAX];
    struct stat s;

    (void)snprintf(parent, sizeof parent, "%s/elsewhere", folder);
    (void)snprintf(real, sizeof real, "%s/real", parent);
    assert_int_equal(mkdir(parent, 0700), 0);
    write_file(LINE_A, 0600);
    assert_int_equal(rename(path, real), 0);
    assert_int_equal(symlink("elsewhere/real", path), 0);
    assert_int_equal(renew(), 0);
    assert_int_equal(lstat(path, &s), 0);
    assert_true(S_ISLNK(s.st_mode));
    struct tickets t;
    assert_int_equal(read_file(&t), 0);
    assert_int_equal(t.count, 2);
    assert_int_equal(unlink(path), 0);
}

static void a_file_with_an_owner_keeps_him(void **state)
{
    (void)state;
    struct stat s;

    if (geteuid() != 0)
        return; /* only root can give files away */
    write_file(LINE_A, 0600);
    assert_int_equal(chown(path, 12, 13), 0);
    assert_int_equal(renew(), 0);
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_uid, 12);
    assert_int_equal(s.st_gid, 13);
    assert_int_equal(s.st_mode & 07777, 0600);
    assert_int_equal(unlink(path), 0);
}

static void
all_who_renew_at_the_same_time_leave_their_key_and_no_reader_sees_half_a_file(void **state)
{
    (void)state;
    struct tickets t;
    pid_t children[4];
    int status;

    assert_int_equal(renew(), 0);
    for (size_t i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            int rc = 0;
            for (int n = 0; n < 20 && rc == 0; n++)
                rc = ticket_file_renew(path);
            _exit(rc == 0 ? 0 : 1);
        }
    }
    for (int n = 0; n < 200; n++)
        assert_int_equal(read_file(&t), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(read_file(&t), 0);
    assert_int_equal(t.count, 3);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(t.keys[i].key, t.keys[k].key, sizeof t.keys[i].key);
    assert_int_equal(unlink(path), 0);
}

static void a_file_that_is_wrong_is_neither_used_nor_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        mode_t mode;
        int result;
        const char *why;
    } cases[] = {
        {"malformed", LINE_A "rubbish\n", 0600, -EINVAL,
         "line 2: no ticket key: wants a date like"},
        {"no key", "# none\n", 0600, -EINVAL, "no ticket key in it: `postern --new-ticket-key="},
        {"too many", FIVE FIVE, 0600, -EINVAL, "line 9: more than 8 ticket keys"},
        {"for all to read", LINE_A, 0644, -EPERM, "others may read or change it"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tickets t;
        char now[4096] = "";
        write_file(cases[i].text, cases[i].mode);
        for (int renewing = 0; renewing < 2; renewing++) {
            int rc = renewing != 0 ? renew() : read_file(&t);
            if (rc != cases[i].result || !said_one_line() || strstr(said, cases[i].why) == NULL ||
                strstr(said, path) == NULL)
                fail_msg("%s: %d, said: %s", cases[i].name, rc, said);
        }
        int fd = open(path, O_RDONLY);
        assert_true(read(fd, now, sizeof now - 1) > 0);
        (void)close(fd);
        assert_string_equal(now, cases[i].text);
        assert_int_equal(unlink(path), 0);
    }
}

static void what_cannot_be_written_is_an_error_that_names_the_file(void **state)
{
    (void)state;
    static const char *const cases[] = {"/no/such/folder/tickets", "/proc/tickets", "/dev/null"};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ear e = hear();
        int rc = ticket_file_renew(cases[i]);
        heard(e);
        if (rc >= 0 || !said_one_line() || strstr(said, cases[i]) == NULL)
            fail_msg("%s: %d, said: %s", cases[i], rc, said);
    }
}

/* Between gate and monitor */

/* A connection whose vault has these keys for tickets and nothing else. */
static struct session make_session(struct tickets *t, int gate)
{
    struct session s = {.o = &usual,
                        .have_tls = true,
                        .gate = gate,
                        .phase = PHASE_CHAIN,
                        .vault = {.tickets = t,
                                  .seals = TICKET_SEALS,
                                  .opens = TICKET_OPENS,
                                  .name = "mail.example.org"}};

    return s;
}

/* Answers one request. */
static bool serve(struct session *s)
{
    struct ear e = hear();
    bool answered = answer_one(s);
    heard(e);
    return answered && s->gate >= 0;
}

/* The gate's side of both requests in a child, which ends with 0 if all is as it should be. */
static int play_gate(int monitor)
{
    struct ask a = {.monitor = monitor};
    struct ticket_state plain = {.len = sizeof secret}, back;
    struct ticket sealed;

    memcpy(plain.bytes, secret, sizeof secret);
    if (ask_seal(&a, 0x0303, &plain, &sealed) != ASK_OK)
        return 1;
    if (ask_open(&a, 0x0304, &sealed, &back) != ASK_OK || back.len != 0)
        return 2;
    if (ask_open(&a, 0x0303, &sealed, &back) != ASK_OK || back.old || back.len != sizeof secret ||
        memcmp(back.bytes, secret, back.len) != 0)
        return 3;
    return 0;
}

static void the_gate_has_a_ticket_sealed_and_opened_again(void **state)
{
    (void)state;
    struct tickets t = {0};
    int ends[2], status;

    add(&t, 1);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    pid_t gate = fork();
    if (gate == 0)
        _exit(play_gate(ends[1]));
    (void)close(ends[1]);
    struct session s = make_session(&t, ends[0]);
    assert_true(serve(&s));
    assert_true(serve(&s));
    assert_false(s.vault.opened);
    assert_true(serve(&s));
    assert_true(s.vault.opened);
    (void)close(ends[0]);
    assert_int_equal(waitpid(gate, &status, 0), gate);
    assert_int_equal(status, 0);
}

static void a_hostile_gate_gets_nothing(void **state)
{
    (void)state;
    static uint8_t long_bytes[TICKET_MAX + 1] = {1};
    static const char malformed[] = "message: connection ended", more[] = "more session tickets";
    static const struct {
        const char *name;
        enum message_type type;
        uint64_t version;
        size_t len;
        bool keys, rest;
        unsigned before; /* requests that have been granted already */
        const char *why;
    } cases[] = {
        {"nothing to seal", REQ_SEAL, 0x0304, 0, true, false, 0, malformed},
        {"no ticket", REQ_OPEN, 0x0304, 0, true, false, 0, malformed},
        {"too much to seal", REQ_SEAL, 0x0304, TICKET_STATE_MAX + 1, true, false, 0, malformed},
        {"too long a ticket", REQ_OPEN, 0x0304, sizeof long_bytes, true, false, 0, malformed},
        {"no version", REQ_SEAL, 0x0300, 9, true, false, 0, malformed},
        {"a version to come", REQ_OPEN, 0x0305, 99, true, false, 0, malformed},
        {"something behind it", REQ_SEAL, 0x0304, 9, true, true, 0, malformed},
        {"no keys", REQ_SEAL, 0x0304, 9, false, false, 0, more},
        {"no keys to open", REQ_OPEN, 0x0304, 99, false, false, 0, more},
        {"a second ticket", REQ_SEAL, 0x0304, 9, true, false, TICKET_SEALS, more},
        {"a third to open", REQ_OPEN, 0x0304, 99, true, false, TICKET_OPENS, more},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tickets t = {0};
        uint8_t buf[4096], answer[4096];
        struct message_writer w;
        struct message_reader r;
        int ends[2];

        add(&t, 1);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
        struct session s = make_session(cases[i].keys ? &t : NULL, ends[0]);
        s.vault.seals -= cases[i].type == REQ_SEAL ? cases[i].before : 0;
        s.vault.opens -= cases[i].type == REQ_OPEN ? cases[i].before : 0;
        message_begin(&w, buf, sizeof buf, cases[i].type);
        message_put_number(&w, cases[i].version);
        message_put_bytes(&w, long_bytes, cases[i].len);
        if (cases[i].rest)
            message_put_number(&w, 0);
        assert_int_equal(message_send(ends[1], &w, NULL, 0), 0);
        if (serve(&s) || !said_one_line() || strstr(said, cases[i].why) == NULL)
            fail_msg("%s: said: %s", cases[i].name, said);
        assert_int_equal(message_receive(ends[1], &r, answer, sizeof answer, false), -EPIPE);
        assert_false(s.vault.opened);
        (void)close(ends[1]);
    }
}

static void keys_are_kept_where_no_fork_and_no_core_dump_copies_them_and_wiped(void **state)
{
    (void)state;
    struct options o = {.tickets = path, .ticket_lifetime = 7200};
    struct vault v = {.count = 0};
    unsigned char resident;
    int status;

    write_file(LINE_A LINE_B, 0600);
    assert_int_equal(vault_load_tickets(&v, &o), 0);
    assert_int_equal(v.tickets->count, 2);
    void *memory = v.tickets;
    /* Not even the file's text is left, but for the keys. */
    assert_null(memmem(memory, sizeof *v.tickets, "0001020304", 10));
    pid_t child = fork();
    if (child == 0)
        _exit(mincore(memory, 4096, &resident) == -1 && errno == ENOMEM ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    vault_wipe(&v);
    assert_null(v.tickets);
    assert_int_equal(mincore(memory, 4096, &resident), -1);
    vault_wipe(&v);
    assert_int_equal(unlink(path), 0);
    struct ear e = hear();
    int rc = vault_load_tickets(&v, &o);
    heard(e);
    assert_int_equal(rc, -ENOENT);
    assert_true(said_one_line());
    assert_null(v.tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_are_well_formed_give_their_keys),
        cmocka_unit_test(texts_that_are_not_say_in_which_line_and_leave_no_key),
        cmocka_unit_test(each_key_of_the_file_opens_and_only_the_first_seals),
        cmocka_unit_test(a_ticket_does_not_show_what_is_sealed_and_no_two_are_the_same),
        cmocka_unit_test(a_ticket_is_refused_for_anything_else_than_it_was_sealed_for),
        cmocka_unit_test(a_ticket_is_good_for_its_lifetime_and_not_from_the_future),
        cmocka_unit_test(a_ticket_with_one_bit_changed_or_a_byte_missing_is_refused),
        cmocka_unit_test(too_much_is_not_sealed),
        cmocka_unit_test(a_new_key_comes_first_three_are_kept_and_the_file_is_the_owners_alone),
        cmocka_unit_test(what_a_killed_one_has_left_is_no_obstacle),
        cmocka_unit_test(a_link_goes_on_leading_to_the_file),
        cmocka_unit_test(a_file_with_an_owner_keeps_him),
        cmocka_unit_test(
            all_who_renew_at_the_same_time_leave_their_key_and_no_reader_sees_half_a_file),
        cmocka_unit_test(a_file_that_is_wrong_is_neither_used_nor_replaced),
        cmocka_unit_test(what_cannot_be_written_is_an_error_that_names_the_file),
        cmocka_unit_test(the_gate_has_a_ticket_sealed_and_opened_again),
        cmocka_unit_test(a_hostile_gate_gets_nothing),
        cmocka_unit_test(keys_are_kept_where_no_fork_and_no_core_dump_copies_them_and_wiped),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
