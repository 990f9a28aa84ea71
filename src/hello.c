/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hello.h"

#include <string.h>
#include <strings.h>

/* A bounded cursor: what runs over its end fails and reads as zero from then on. */
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

/* A vector with a length field of so many bytes before it, as a cursor of its own. */
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

/* RFC 8701 (GREASE): values of the form 0x?A?A mean nothing. */
static bool is_grease(uint32_t value)
{
    return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

/* The suites of TLS 1.2 and before that want an ECDSA certificate (RFC 8422, 5289, 7251, 7905). */
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

/* RFC 8446 section 4.2.3. What is signed with SHA-1 or MD5 does not count. */
static void note_sigalg(struct hello *h, uint32_t scheme)
{
    bool sha2 =
        scheme >> 8 >= 4 && scheme >> 8 <= 6; /* SHA-256, -384, -512 with an old kind of key */

    if (scheme == 0x0807)
        h->ed25519 = true;
    else if ((sha2 && (scheme & 0xff) == 1) || (scheme >= 0x0804 && scheme <= 0x0806))
        h->rsa = true;
    else if (sha2 && (scheme & 0xff) == 3)
        h->ecdsa = true;
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

/* Letters in lower case; false if there is a byte that no host name has. */
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

/* RFC 6066 section 3: the first host_name. One that can't be a host's, such as an IPv6 address,
 * counts as none: it reaches neither log nor files. */
static bool take_name(struct hello *h, struct cursor extension)
{
    struct cursor list = take_vector(&extension, 2);
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
        /* A trailing dot names the same host (RFC 6066 forbids it; some clients send it). */
        size_t len = strlen(h->name);
        if (len > 1 && h->name[len - 1] == '.')
            h->name[len - 1] = '\0';
    }
    return !list.failed && !extension.failed;
}

/* RFC 7301 section 3.1. The names are kept for the log: as far as they are words. */
static bool take_protocols(struct hello *h, struct cursor extension)
{
    struct cursor list = take_vector(&extension, 2);
    size_t used = 0;

    while (!list.failed && list.left > 0) {
        struct cursor name = take_vector(&list, 1);
        if (list.failed || used + name.left + 2 > sizeof h->alpn)
            break;
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
    return !list.failed && !extension.failed;
}

static bool take_extension(struct hello *h, uint32_t type, struct cursor body)
{
    if (type == 0)
        return take_name(h, body);
    if (type == 10) { /* supported_groups, RFC 8446 section 4.2.7 */
        struct cursor list = take_vector(&body, 2);
        while (!list.failed && list.left > 0) {
            uint32_t group = take_number(&list, 2);
            if (!is_grease(group) && h->group_count < HELLO_GROUPS_MAX)
                h->groups[h->group_count++] = (uint16_t)group;
        }
        return !list.failed && !body.failed;
    }
    if (type == 13) { /* signature_algorithms, RFC 8446 section 4.2.3 */
        struct cursor list = take_vector(&body, 2);
        h->has_sigalgs = true;
        while (!list.failed && list.left > 0)
            note_sigalg(h, take_number(&list, 2));
        return !list.failed && !body.failed;
    }
    if (type == 5) /* status_request; RFC 6066 section 8: 1 is OCSP */
        h->wants_staple = body.left > 0 && body.next[0] == 1;
    if (type == 35) { /* session_ticket, RFC 5077 section 3.2 */
        h->ticket_len = body.left;
        h->has_ticket = h->has_ticket || body.left > 0;
        memcpy(h->ticket, body.next, body.left < sizeof h->ticket ? body.left : sizeof h->ticket);
    }
    if (type == 41) /* pre_shared_key, RFC 8446 section 4.2.11 */
        h->has_ticket = true;
    if (type == 16)
        return take_protocols(h, body);
    if (type == 43) { /* supported_versions, RFC 8446 section 4.2.1: replaces the old field */
        struct cursor list = take_vector(&body, 1);
        h->version_min = 0;
        h->version_max = 0;
        while (!list.failed && list.left > 0)
            note_version(h, take_number(&list, 2));
        return !list.failed && !body.failed;
    }
    return true;
}

static bool parse_body(struct hello *h, struct cursor c)
{
    memset(h, 0, sizeof *h);
    note_version(h, take_number(&c, 2));
    /* Without supported_versions the client can do all up to this one; how low, it doesn't say. */
    skip(&c, 32);
    (void)take_vector(&c, 1);
    struct cursor suites = take_vector(&c, 2);
    while (!suites.failed && suites.left > 0)
        note_suite(h, take_number(&suites, 2));
    (void)take_vector(&c, 1);
    if (c.failed || suites.failed)
        return false;
    if (c.left > 0) {
        struct cursor extensions = take_vector(&c, 2);
        while (!extensions.failed && extensions.left > 0) {
            uint32_t type = take_number(&extensions, 2);
            struct cursor body = take_vector(&extensions, 2);
            if (extensions.failed || !take_extension(h, type, body))
                return false;
        }
        if (extensions.failed)
            return false;
    }
    if (!h->has_sigalgs) { /* RFC 5246 section 7.4.1.4.1: the suites alone decide */
        h->rsa = true;
        h->ecdsa = true;
    }
    if (h->version_max < 0x0304 || !h->tls13_suites) {
        h->rsa = h->rsa && h->rsa_suites;
        h->ecdsa = h->ecdsa && h->ecdsa_suites;
        h->ed25519 = h->ed25519 && h->ecdsa_suites;
    }
    return !c.failed && c.left == 0;
}

/* Copies the handshake bytes out of their records, up to the end of the first message.
 * Returns how many, and in *verdict what hinders when it is none. */
static size_t unwrap(uint8_t *out, const uint8_t *bytes, size_t len, enum hello_verdict *verdict)
{
    size_t have = 0;

    *verdict = HELLO_MORE;
    while (len >= 5) {
        size_t record = (size_t)bytes[3] << 8 | bytes[4];
        if (bytes[0] != 22 || bytes[1] != 3 || record == 0 || record > HELLO_MAX)
            break;
        size_t part = len - 5 < record ? len - 5 : record;
        if (have + part > HELLO_MAX)
            break;
        memcpy(out + have, bytes + 5, part);
        have += part;
        if (have >= 4) {
            size_t body = (size_t)out[1] << 16 | (size_t)out[2] << 8 | out[3];
            if (out[0] != 1 || body > HELLO_MAX - 4)
                break;
            if (have >= body + 4) {
                *verdict = HELLO_OK;
                return have;
            }
        }
        if (part < record)
            return have;
        bytes += 5 + part;
        len -= 5 + part;
    }
    if (len >= 5)
        *verdict = HELLO_BAD;
    return have;
}

static enum hello_verdict first_bytes(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return HELLO_MORE;
    if (bytes[0] == 22)
        return len > 1 && bytes[1] != 3 ? HELLO_BAD : HELLO_OK;
    if (bytes[0] == 21)
        return HELLO_ALERT;
    if (bytes[0] >= 0x80) {
        if (len < 5)
            return HELLO_MORE;
        return bytes[2] == 1 && (bytes[3] == 0 || bytes[3] == 3) ? HELLO_SSL2 : HELLO_PLAINTEXT;
    }
    return HELLO_PLAINTEXT;
}

enum hello_verdict hello_parse(struct hello *h, const uint8_t *bytes, size_t len)
{
    uint8_t message[HELLO_MAX];
    enum hello_verdict verdict = first_bytes(bytes, len);

    if (verdict != HELLO_OK)
        return verdict;
    size_t have = unwrap(message, bytes, len, &verdict);
    if (verdict == HELLO_MORE && len >= HELLO_MAX)
        return HELLO_BAD;
    if (verdict != HELLO_OK)
        return verdict;
    size_t body = (size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3];
    if (have < body + 4)
        return HELLO_BAD;
    return parse_body(h, (struct cursor){.next = message + 4, .left = body}) ? HELLO_OK : HELLO_BAD;
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

    /* "CAPABILITIES" stands before "CAPA", being longer; ManageSieve's word before both. */
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
