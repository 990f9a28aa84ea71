/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tls/suites.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/cpuid.h>

#define GROUPS_MAX 16

/* TLS 1.3 suites come first in every list, or wolfSSL 5.5 may refuse clients that offer both versions. AES
 * comes before ChaCha20 only if the hardware helps with it. */
#define TLS13_AES "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384"
#define TLS13_CHACHA "TLS13-CHACHA20-POLY1305-SHA256"
#define TLS12_AES                                                                                  \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384"
#define TLS12_CHACHA "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

static const char aes_first[] = TLS13_AES ":" TLS13_CHACHA ":" TLS12_AES ":" TLS12_CHACHA;
static const char chacha_first[] = TLS13_CHACHA ":" TLS13_AES ":" TLS12_CHACHA ":" TLS12_AES;

/* True if the library does AES in hardware. On x86 it asks the processor at run time. An ARM build with
 * that code needs a processor that has it. */
static bool has_aes_hardware(void)
{
#ifdef WOLFSSL_AESNI
    return IS_INTEL_AESNI(cpuid_get_flags()) != 0;
#elif defined(WOLFSSL_ARMASM)
    return true;
#else
    return false;
#endif
}

/* TLS 1.0 and 1.1 have no AEAD suites, so CBC with SHA-1 is added for them. */
#define TLS10_CBC                                                                                  \
    "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA"
static const char old_ciphers[] =
    TLS13_CHACHA ":" TLS13_AES ":" TLS12_CHACHA ":" TLS12_AES ":" TLS10_CBC;

/* The post-quantum group (draft-ietf-tls-ecdhe-mlkem), for TLS 1.3 only. wolfSSL has it since 5.8, in
 * builds with ML-KEM. Debian's 5.9.2 is such a build, 5.5.4 and 5.7.2 are not. */
#define HYBRID "X25519MLKEM768"
#if defined(WOLFSSL_TLS13) && defined(WOLFSSL_HAVE_MLKEM) && defined(WOLFSSL_PQC_HYBRIDS) &&       \
    defined(HAVE_CURVE25519) && !defined(WOLFSSL_NO_ML_KEM) && !defined(WOLFSSL_NO_ML_KEM_768)
#define HYBRID_GROUP WOLFSSL_X25519MLKEM768
static const char default_groups[] = HYBRID ":X25519:P-256:P-384";
#else
#define HYBRID_GROUP GROUP_MISSING
static const char default_groups[] = "X25519:P-256:P-384";
#endif

/* Results of find_group() for an unknown name, and for a group that this build lacks. */
enum { GROUP_UNKNOWN = -1, GROUP_MISSING = -2 };

/* Names of groups. For each group the name comes first that wolfSSL takes in a list of curves. */
static const struct {
    const char *name;
    int group;
} group_names[] = {
    {HYBRID, HYBRID_GROUP},
#ifdef HAVE_CURVE25519
    {"X25519", WOLFSSL_ECC_X25519},
#endif
#ifdef HAVE_CURVE448
    {"X448", WOLFSSL_ECC_X448},
#endif
    {"P-256", WOLFSSL_ECC_SECP256R1},
    {"P-384", WOLFSSL_ECC_SECP384R1},
    {"P-521", WOLFSSL_ECC_SECP521R1},
    {"secp256r1", WOLFSSL_ECC_SECP256R1},
    {"secp384r1", WOLFSSL_ECC_SECP384R1},
    {"secp521r1", WOLFSSL_ECC_SECP521R1},
    {"prime256v1", WOLFSSL_ECC_SECP256R1},
};

#define GROUP_NAMES (sizeof group_names / sizeof group_names[0])

/* Returns the number of a group, GROUP_UNKNOWN or GROUP_MISSING. */
static int find_group(const char *name, size_t len)
{
    for (size_t i = 0; i < GROUP_NAMES; i++)
        if (strlen(group_names[i].name) == len && strncasecmp(group_names[i].name, name, len) == 0)
            return group_names[i].group;
    return GROUP_UNKNOWN;
}

const char *suites_ciphers(unsigned version, const char *ciphers)
{
    if (ciphers != NULL)
        return ciphers;
    if (version < 0x0303)
        return old_ciphers;
    return has_aes_hardware() ? aes_first : chacha_first;
}

const char *suites_order(unsigned version, const char *ciphers)
{
    if (ciphers != NULL)
        return "their order is that of --ciphers";
    return version >= 0x0303 && has_aes_hardware()
               ? "AES comes first, which the processor helps with"
               : "ChaCha20 comes first, since this TLS library does AES in software";
}

const char *suites_groups(const char *groups)
{
    return groups != NULL ? groups : default_groups;
}

bool suites_have_hybrid(void)
{
    return HYBRID_GROUP > 0;
}

/* Turns a list such as "X25519:P-256" into numbers. Returns how many; -ENOTSUP for a group that this
 * library lacks; else -EINVAL. */
static int parse_groups(const char *list, int groups[GROUPS_MAX])
{
    int count = 0;

    list = suites_groups(list);
    while (*list != '\0') {
        size_t len = strcspn(list, ":,");
        int group = find_group(list, len);
        if (group == GROUP_MISSING)
            return -ENOTSUP;
        if (group < 0 || count == GROUPS_MAX)
            return -EINVAL;
        groups[count++] = group;
        list += len;
        list += strspn(list, ":,");
    }
    return count > 0 ? count : -EINVAL;
}

#ifdef OPENSSL_EXTRA
/* Forbids TLS 1.2 all other groups; without this the client's list alone decides. The library has no other
 * way, and only builds with OPENSSL_EXTRA have this one. It takes curves only, so the hybrid is left out. */
static int forbid_other_groups(WOLFSSL_CTX *context, const int *groups, int count)
{
    char names[GROUPS_MAX * 12] = "";

    for (int i = 0; i < count; i++) {
        size_t n = 0, used = strlen(names);
        if (groups[i] == HYBRID_GROUP)
            continue;
        while (group_names[n].group != groups[i])
            n++;
        (void)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? ":" : "",
                       group_names[n].name);
    }
    if (names[0] == '\0')
        return 0; /* a client that uses TLS 1.2 nevertheless is refused after the handshake */
    return wolfSSL_CTX_set1_curves_list(context, names) == WOLFSSL_SUCCESS ? 0 : -EINVAL;
}
#endif

/* Makes TLS 1.3 use the first `ranked` groups, and TLS 1.2 all `count`. */
static int use_groups(WOLFSSL_CTX *context, int *groups, int ranked, int count)
{
    if (wolfSSL_CTX_set_groups(context, groups, ranked) != WOLFSSL_SUCCESS)
        return -EINVAL;
    for (int i = 0; i < count; i++)
        (void)wolfSSL_CTX_UseSupportedCurve(context, (word16)groups[i]);
    return 0;
}

static int set_groups(WOLFSSL_CTX *context, const char *list, char *why)
{
    int groups[GROUPS_MAX];
    int count = parse_groups(list, groups);

    if (count == -ENOTSUP) {
        (void)snprintf(why, TLS_WHY_SIZE,
                       "--groups: this TLS library (wolfSSL %s) does not have " HYBRID
                       ": leave it out",
                       wolfSSL_lib_version());
        return -EINVAL;
    }
    (void)snprintf(why, TLS_WHY_SIZE,
                   "--groups: wants %sX25519, P-256, P-384 or P-521 with colons "
                   "between",
                   suites_have_hybrid() ? HYBRID ", " : "");
    if (count < 0)
        return -EINVAL;
#ifdef OPENSSL_EXTRA
    /* This must come before use_groups(), since from 5.8 on it sets groups, too. */
    if (forbid_other_groups(context, groups, count) < 0)
        return -EINVAL;
#endif
    if (use_groups(context, groups, count, count) < 0)
        return -EINVAL;
    *why = '\0';
    return 0;
}

static bool is_offered(int group, const uint16_t *offered, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (offered[i] == group)
            return true;
    return false;
}

void suites_insist(struct WOLFSSL_CTX *context, const char *list, const uint16_t *offered,
                   size_t count)
{
    int groups[GROUPS_MAX];
    int ours = parse_groups(list, groups);

    if (ours > 0 && groups[0] == HYBRID_GROUP && is_offered(groups[0], offered, count))
        (void)use_groups(context, groups, 1, ours);
}

bool suites_share_group(const char *list, const uint16_t *offered, size_t count)
{
    int groups[GROUPS_MAX];
    int ours = parse_groups(list, groups);

    if (ours < 0)
        return true; /* suites_set() reports the bad list */
    for (int k = 0; k < ours; k++)
        if (is_offered(groups[k], offered, count))
            return true;
    return false;
}

bool suites_allow_group(const char *list, const char *name)
{
    /* find_group() also knows the names that only the library uses. */
    int found = find_group(name, strlen(name));
    int groups[GROUPS_MAX];
    int ours = parse_groups(list, groups);

    for (int k = 0; k < ours; k++)
        if (groups[k] == found)
            return true;
    return false;
}

bool suites_use_hybrid(const char *groups)
{
    return suites_have_hybrid() && suites_allow_group(groups, HYBRID);
}

/* Returns the library's number for a version. */
static int library_version(unsigned version)
{
    static const int versions[] = {WOLFSSL_TLSV1, WOLFSSL_TLSV1_1, WOLFSSL_TLSV1_2,
                                   WOLFSSL_TLSV1_3};

    return versions[version - 0x0301];
}

int suites_set(struct WOLFSSL_CTX *context, unsigned version, const char *ciphers,
               const char *groups, char *why)
{
    ciphers = suites_ciphers(version, ciphers);
    if (wolfSSL_CTX_SetMinVersion(context, library_version(version)) != WOLFSSL_SUCCESS) {
        (void)snprintf(why, TLS_WHY_SIZE,
                       "--tls-min=1.%u: this TLS library does not have that version",
                       version - 0x0301);
        return -EINVAL;
    }
    if (wolfSSL_CTX_set_cipher_list(context, ciphers) != WOLFSSL_SUCCESS) {
        (void)snprintf(why, TLS_WHY_SIZE, "--ciphers: the TLS library knows none of these suites");
        return -EINVAL;
    }
#ifndef NO_SESSION_CACHE
    (void)wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
#endif
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_NONE, NULL);
    return set_groups(context, groups, why);
}

int suites_check(unsigned version, const char *ciphers, const char *groups, char *why)
{
    int rc = -ENOMEM;

    (void)snprintf(why, TLS_WHY_SIZE, "no memory for TLS");
    if (wolfSSL_Init() != WOLFSSL_SUCCESS)
        return rc;
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfSSLv23_server_method());
    if (context != NULL)
        rc = suites_set(context, version, ciphers, groups, why);
    wolfSSL_CTX_free(context);
    return rc;
}

const struct suites_limits *suites_limits(void)
{
    /* These are WOLFSSL_MAX_SIGALGO and WOLFSSL_MAX_SUITE_SZ (two bytes each), MAX_PSK_ID_LEN and
     * MAX_HANDSHAKE_SZ in internal.h. 5.9.2 allows identities as long as its longest ticket, at least 256. */
    static const struct suites_limits old = {19, 150, 1536, 18462}; /* 5.5.4, 5.7.2 */
    static const struct suites_limits new = {64, 150, 256, 18462};  /* 5.9.2 */

    return wolfSSL_lib_version_hex() < 0x05009000 ? &old : &new;
}

void suites_print_version(FILE *out)
{
    static const char *const features[] = {
#ifdef WOLFSSL_TLS13
        "TLS1.3",
#endif
#ifndef WOLFSSL_NO_TLS12
        "TLS1.2",
#endif
#ifndef NO_OLD_TLS
        "TLS1.1",
#endif
#ifdef WOLFSSL_ALLOW_TLSV10
        "TLS1.0",
#endif
#ifdef HAVE_SNI
        "SNI",
#endif
#ifdef HAVE_CURVE25519
        "X25519",
#endif
#ifdef HAVE_ED25519
        "Ed25519",
#endif
#ifdef HAVE_SESSION_TICKET
        "tickets",
#endif
#ifdef HAVE_KEYING_MATERIAL
        "exporter",
#endif
#ifdef HAVE_ALPN
        "ALPN",
#endif
#if defined(HAVE_OCSP) && defined(HAVE_CERTIFICATE_STATUS_REQUEST)
        "OCSP-stapling",
#endif
#if defined(WOLFSSL_ALWAYS_VERIFY_CB) && defined(OPENSSL_EXTRA)
        "client-certificates",
#ifdef HAVE_CRL
        "CRL",
#endif
#endif
    };

    (void)fprintf(out, "wolfSSL %s (built against %s):", wolfSSL_lib_version(),
                  LIBWOLFSSL_VERSION_STRING);
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++)
        (void)fprintf(out, " %s", features[i]);
    if (suites_have_hybrid())
        (void)fputs(" " HYBRID, out);
    (void)fputs(has_aes_hardware() ? " AES-hardware\n" : "\n", out);
}
