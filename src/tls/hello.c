/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/hello.h"

#include "tls/point.h"

#include <string.h>
#include <strings.h>

#define GROUP_X25519 0x001d /* RFC 8446 section 4.2.7 */

/* A bounded cursor. Reading past its end sets `failed`; from then on it reads zeros. */
struct cursor {
    const uint8_t *next;
    size_t left;
    bool failed;
};

static uint32_t take_number(struct cursor *c, size_t bytes)
{
    uint32_t value = 0;

    if (c->failed || c->left < bytes) {
        c->failed = true;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | c->next[i];
    c->next += bytes;
    c->left -= bytes;
    return value;
}

/* Takes a vector that has a length field of length_bytes before it. */
static struct cursor take_vector(struct cursor *c, size_t length_bytes)
{
    size_t len = take_number(c, length_bytes);

    if (c->failed || c->left < len) {
        c->failed = true;
        return (struct cursor){.next = NULL};
    }
    struct cursor vector = {.next = c->next, .left = len};
    c->next += len;
    c->left -= len;
    return vector;
}

static void skip(struct cursor *c, size_t bytes)
{
    if (c->failed || c->left < bytes) {
        c->failed = true;
        return;
    }
    c->next += bytes;
    c->left -= bytes;
}

/* Takes a vector that must have at least `least` bytes. */
static struct cursor take_list(struct cursor *c, size_t length_bytes, size_t least)
{
    struct cursor list = take_vector(c, length_bytes);

    list.failed = list.failed || c->failed || list.left < least;
    return list;
}

/* True if a list was read without failure, and nothing follows it in `whole`. */
static bool ended_well(const struct cursor *list, const struct cursor *whole)
{
    return !list->failed && !whole->failed && whole->left == 0;
}

/* True for GREASE values, 0x?A?A, which mean nothing (RFC 8701). */
static bool is_grease(uint32_t value)
{
    return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/* True for suites before TLS 1.3 that need an ECDSA certificate (RFC 8422, 5289, 7251, 7905). */
static bool is_ecdsa_suite(uint32_t suite)
{
    return (suite >= 0xc006 && suite <= 0xc00a) || suite == 0xc023 || suite == 0xc024 ||
           suite == 0xc02b || suite == 0xc02c || suite == 0xc072 || suite == 0xc073 ||
           (suite >= 0xc0ac && suite <= 0xc0af) || suite == 0xcca9;
}

static void note_suite(struct hello *h, uint32_t suite)
{
    if (is_grease(suite) || suite == 0x00ff || suite == 0x5600)
        return; /* not suites but signals: RFC 8701, 5746, 7507 */
    h->suite_count++;
    if (suite >= 0x1301 && suite <= 0x1305)
        h->tls13_suites = true;
    else if (is_ecdsa_suite(suite))
        h->ecdsa_suites = true;
    else
        h->rsa_suites = true;
    /* ECDHE with AES-GCM (RFC 5289: C02B, C02C, C02F, C030), AES-CCM (RFC 7251: C0AC to C0AF)
     * or ChaCha20-Poly1305 (RFC 7905: CCA8, CCA9). */
    if (suite == 0xc02b || suite == 0xc02c || (suite >= 0xc0ac && suite <= 0xc0af) ||
        suite == 0xcca9)
        h->ecdsa_aead = true;
    else if (suite == 0xc02f || suite == 0xc030 || suite == 0xcca8)
        h->rsa_aead = true;
    h->aead_suites = h->ecdsa_aead || h->rsa_aead;
}

/* Notes the kind of certificate for a signature scheme (RFC 8446 section 4.2.3). Ignores SHA-1 and MD5. */
static void note_sigalg(struct hello_kinds *kinds, uint32_t scheme)
{
    bool sha2 =
        scheme >> 8 >= 4 && scheme >> 8 <= 6; /* SHA-256, -384, -512 with an old kind of key */

    if (scheme == 0x0807)
        kinds->ed25519 = true;
    else if ((sha2 && (scheme & 0xff) == 1) || (scheme >= 0x0804 && scheme <= 0x0806))
        kinds->rsa = true;
    else if (sha2 && (scheme & 0xff) == 3)
        kinds->ecdsa = true;
}

/* Takes the signature algorithms; the library looks at the first `limit` only. */
static bool take_sigalgs(struct hello *h, struct cursor extension, size_t limit)
{
    struct cursor list = take_list(&extension, 2, 2);
    struct hello_kinds early = {.rsa = false}, late = {.rsa = false};

    h->has_sigalgs = true;
    while (!list.failed && list.left > 0) {
        h->sigalg_count++;
        note_sigalg(h->sigalg_count <= limit ? &early : &late, take_number(&list, 2));
    }
    h->rsa = early.rsa;
    h->ecdsa = early.ecdsa;
    h->ed25519 = early.ed25519;
    h->late.rsa = late.rsa && !early.rsa;
    h->late.ecdsa = late.ecdsa && !early.ecdsa;
    h->late.ed25519 = late.ed25519 && !early.ed25519;
    return ended_well(&list, &extension);
}

static void note_version(struct hello *h, uint32_t version)
{
    if (version < 0x0300 || version > 0x03ff || is_grease(version))
        return;
    if (h->version_min == 0 || version < h->version_min)
        h->version_min = (uint16_t)version;
    if (version > h->version_max)
        h->version_max = (uint16_t)version;
}

/* Copies a name in lower case. Returns false for a byte that no host name has. */
static bool copy_name(char *out, const uint8_t *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t b = name[i];
        if (b >= 'A' && b <= 'Z')
            b = (uint8_t)(b + ('a' - 'A'));
        if ((b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '.' && b != '-' && b != '_')
            return false;
        out[i] = (char)b;
    }
    out[len] = '\0';
    return true;
}

/* Takes the first host_name (RFC 6066 section 3). One that can't be a host's, such as an IPv6 address,
 * becomes "", so that it reaches neither log nor files. */
static bool take_name(struct hello *h, struct cursor extension)
{
    struct cursor list = take_list(&extension, 2, 1);
    bool seen = false;

    while (!list.failed && list.left > 0) {
        uint32_t type = take_number(&list, 1);
        struct cursor name = take_vector(&list, 2);
        if (list.failed)
            return false;
        if (type != 0 || seen)
            continue;
        seen = true;
        if (name.left == 0 || name.left > HELLO_NAME_MAX)
            return false;
        if (!copy_name(h->name, name.next, name.left))
            h->name[0] = '\0';
        /* Some clients send a trailing dot, which RFC 6066 forbids. It names the same host. */
        size_t len = strlen(h->name);
        if (len > 1 && h->name[len - 1] == '.')
            h->name[len - 1] = '\0';
    }
    return ended_well(&list, &extension);
}

/* Takes the ALPN names (RFC 7301 section 3.1) for the log. A byte that is not printable becomes "?". */
static bool take_protocols(struct hello *h, struct cursor extension)
{
    struct cursor list = take_list(&extension, 2, 2);
    size_t used = 0;

    while (!list.failed && list.left > 0) {
        struct cursor name = take_list(&list, 1, 1);
        if (name.failed)
            return false;
        if (used + name.left + 2 > sizeof h->alpn)
            continue;
        if (used > 0)
            h->alpn[used++] = ',';
        for (size_t i = 0; i < name.left; i++) {
            bool plain = name.next[i] > ' ' && name.next[i] < 0x7f;
            h->alpn[used++] = '?';
            if (plain)
                h->alpn[used - 1] = (char)name.next[i];
        }
        h->alpn[used] = '\0';
    }
    return ended_well(&list, &extension);
}

/* Takes the key exchange groups (RFC 8446 section 4.2.7). */
static bool take_groups(struct hello *h, struct cursor extension)
{
    struct cursor list = take_list(&extension, 2, 2);

    while (!list.failed && list.left > 0) {
        uint32_t group = take_number(&list, 2);
        if (!is_grease(group) && h->group_count < HELLO_GROUPS_MAX)
            h->groups[h->group_count++] = (uint16_t)group;
    }
    return ended_well(&list, &extension);
}

/* Takes supported_versions, which replaces the field for the version (RFC 8446 section 4.2.1). */
static bool take_versions(struct hello *h, struct cursor extension)
{
    struct cursor list = take_list(&extension, 1, 2);

    h->version_min = 0;
    h->version_max = 0;
    while (!list.failed && list.left > 0)
        note_version(h, take_number(&list, 2));
    return ended_well(&list, &extension);
}

/* Takes the identities of pre-shared keys; the binders follow (RFC 8446 section 4.2.11). */
static bool take_identities(struct hello *h, struct cursor extension)
{
    struct cursor list = take_vector(&extension, 2);

    h->has_ticket = true;
    while (!list.failed && list.left > 0) {
        struct cursor identity = take_vector(&list, 2);
        skip(&list, 4);
        if (identity.left > h->identity_max)
            h->identity_max = identity.left;
    }
    /* The library judges the rest, in TLS 1.3. */
    return true;
}

/* RFC 8446 section 4.2.8. What is malformed is the library's to judge, in TLS 1.3. */
static void take_shares(struct hello *h, struct cursor extension)
{
    struct cursor list = take_vector(&extension, 2);

    while (!list.failed && list.left > 0) {
        uint32_t group = take_number(&list, 2);
        struct cursor key = take_vector(&list, 2);
        if (group == GROUP_X25519 && key.left == POINT_X25519_SIZE && point_has_low_order(key.next))
            h->useless_share = true;
    }
}

static bool take_extension(struct hello *h, uint32_t type, struct cursor body, size_t sigalgs)
{
    if (type == 0)
        return take_name(h, body);
    if (type == 10)
        return take_groups(h, body);
    if (type == 13)
        return take_sigalgs(h, body, sigalgs);
    if (type == 5) /* status_request; RFC 6066 section 8: 1 is OCSP */
        h->wants_staple = body.left > 0 && body.next[0] == 1;
    if (type == 35) { /* session_ticket, RFC 5077 section 3.2 */
        h->ticket_len = body.left;
        h->has_ticket = h->has_ticket || body.left > 0;
        memcpy(h->ticket, body.next, body.left < sizeof h->ticket ? body.left : sizeof h->ticket);
    }
    if (type == 23) /* extended_master_secret, RFC 7627 section 5.1 */
        h->extended_master = true;
    if (type == 51)
        take_shares(h, body);
    if (type == 41)
        return take_identities(h, body);
    if (type == 16)
        return take_protocols(h, body);
    if (type == 43)
        return take_versions(h, body);
    return true;
}

static bool take_extensions(struct hello *h, struct cursor extensions, size_t sigalgs)
{
    while (!extensions.failed && extensions.left > 0) {
        uint32_t type = take_number(&extensions, 2);
        struct cursor body = take_vector(&extensions, 2);
        if (extensions.failed || !take_extension(h, type, body, sigalgs))
            return false;
    }
    return !extensions.failed;
}

/* Clears the kinds of certificate for which the client has no suite; TLS 1.3 suites fit all kinds. */
static void drop_kinds_without_suite(struct hello *h)
{
    if (!h->has_sigalgs) { /* RFC 5246 section 7.4.1.4.1: the suites alone decide */
        h->rsa = true;
        h->ecdsa = true;
    }
    if (h->version_max >= 0x0304 && h->tls13_suites)
        return;
    h->rsa = h->rsa && h->rsa_suites;
    h->ecdsa = h->ecdsa && h->ecdsa_suites;
    h->ed25519 = h->ed25519 && h->ecdsa_suites;
    h->late.rsa = h->late.rsa && h->rsa_suites;
    h->late.ecdsa = h->late.ecdsa && h->ecdsa_suites;
    h->late.ed25519 = h->late.ed25519 && h->ecdsa_suites;
}

bool hello_parse(struct hello *h, const uint8_t *message, size_t len, size_t sigalgs)
{
    struct cursor c = {.next = message, .left = len};

    memset(h, 0, sizeof *h);
    h->size = len;
    if (take_number(&c, 1) != 1 || take_number(&c, 3) != c.left)
        return false;
    note_version(h, take_number(&c, 2));
    /* Without supported_versions this is the client's highest version; its lowest is not known. */
    skip(&c, 32);
    struct cursor session = take_vector(&c, 1);
    struct cursor suites = take_list(&c, 2, 2);
    h->session_id_len = session.left;
    h->suites_sent = suites.left / 2;
    while (!suites.failed && suites.left > 0)
        note_suite(h, take_number(&suites, 2));
    struct cursor compression = take_list(&c, 1, 1);
    if (session.left > 32 || suites.failed || compression.failed)
        return false;
    if (c.left > 0) {
        struct cursor extensions = take_vector(&c, 2);
        if (c.failed || !take_extensions(h, extensions, sigalgs))
            return false;
    }
    drop_kinds_without_suite(h);
    return c.left == 0;
}

static bool begins(const uint8_t *bytes, size_t len, const char *word)
{
    size_t n = strlen(word);

    return len >= n && strncasecmp((const char *)bytes, word, n) == 0;
}

const char *hello_plaintext(const uint8_t *bytes, size_t len)
{
    static const struct {
        const char *word;
        const char *protocol;
    } openings[] = {
        {"EHLO", "SMTP"},
        {"HELO", "SMTP"},
        {"MAIL FROM", "SMTP"},
        {"LHLO", "LMTP"},
        {"CAPABILITY", "ManageSieve"},
        {"AUTHENTICATE", "ManageSieve"},
        {"CAPABILITIES", "NNTP"},
        {"MODE READER", "NNTP"},
        {"CAPA", "POP3"},
        {"USER ", "POP3"},
        {"APOP ", "POP3"},
        {"STLS", "POP3"},
        {"AUTH", "POP3"},
        {"GET ", "HTTP"},
        {"POST ", "HTTP"},
        {"HEAD ", "HTTP"},
        {"OPTIONS ", "HTTP"},
        {"CONNECT ", "HTTP"},
        {"PRI ", "HTTP"},
        {"SSH-", "SSH"},
        {"STARTTLS", "SMTP"},
        {"PROXY ", "PROXY"},
    };
    static const char *const imap[] = {"CAPABILITY", "LOGIN",  "STARTTLS", "AUTHENTICATE",
                                       "NOOP",       "LOGOUT", "ID",       "SELECT"};

    /* The table has "CAPABILITY" before "CAPA"; "CAPABILITIES" is NNTP's alone. */
    for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++)
        if (begins(bytes, len, openings[i].word) &&
            !(begins(bytes, len, "CAPABILITIES") && strcmp(openings[i].protocol, "NNTP") != 0))
            return openings[i].protocol;
    size_t tag = 0;
    while (tag < len && tag < 32 && bytes[tag] > ' ' && bytes[tag] < 0x7f)
        tag++;
    if (tag > 0 && tag < len && bytes[tag] == ' ')
        for (size_t i = 0; i < sizeof imap / sizeof imap[0]; i++)
            if (begins(bytes + tag + 1, len - tag - 1, imap[i]))
                return "IMAP";
    return "a plaintext protocol";
}

const char *hello_version_name(uint16_t version)
{
    static const char *const names[] = {"SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"};

    if (version < 0x0300 || version > 0x0304)
        return "an unknown version";
    return names[version - 0x0300];
}
