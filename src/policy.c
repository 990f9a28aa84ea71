/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy.h"

#include "dialect/dialect.h"
#include "log.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

int policy_check(const struct options *o)
{
    struct networks trusted;
    char shown[80];
    const char *bad;
    size_t len;

    if (o->trusted == NULL || networks_parse(&trusted, o->trusted, &bad, &len) == 0)
        return 0;
    log_error("--trusted: %s: wants networks such as 192.0.2.0/24,2001:db8::/32 or the word local, "
              "at most %d",
              log_escape(shown, sizeof shown, bad, len), PEER_NETWORKS_MAX);
    return -EINVAL;
}

enum policy policy_for(const struct options *o, const struct peer *client,
                       const struct peer *server)
{
    struct networks trusted;
    const char *bad;
    size_t len;

    if (o->trusted == NULL || networks_parse(&trusted, o->trusted, &bad, &len) < 0)
        return o->policy;
    return networks_hold(&trusted, client, server) ? POLICY_OPTIONAL : o->policy;
}

const char *policy_alpn(const struct options *o, const struct peer *server)
{
    static const struct {
        uint16_t port;
        const char *dialect;
    } ports[] = {{465, "smtp"}, {563, "nntp"}, {993, "imap"}, {995, "pop3"}};
    const char *dialect = o->starttls;

    if (o->alpn != NULL)
        return strcmp(o->alpn, "off") == 0 ? NULL : o->alpn;
    for (size_t i = 0; dialect == NULL && i < sizeof ports / sizeof ports[0]; i++)
        if (ports[i].port == server->port)
            dialect = ports[i].dialect;
    return dialect != NULL ? dialect_find(dialect)->alpn
                           : "imap,pop3,managesieve,nntp,smtp,esmtp,lmtp";
}

bool policy_has_handler(enum policy policy)
{
    return policy != POLICY_REQUIRED;
}

bool policy_allows_passwords(enum policy policy)
{
    return policy == POLICY_OPTIONAL;
}

bool policy_is_challenge(const char *mechanism, size_t len)
{
    /* A star stands for any ending. */
    static const char *const known[] = {
        "SCRAM-*",    "CRAM-MD5", "DIGEST-MD5", "APOP", "NTLM", "GSSAPI", "GS2-*",
        "GSS-SPNEGO", "EXTERNAL", "ANONYMOUS",  "OTP",  "SKEY", "SRP",    "SRP-*",
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t n = strlen(known[i]);
        bool any_ending = known[i][n - 1] == '*';
        if (any_ending)
            n--;
        if (len >= n && (any_ending || len == n) && strncasecmp(mechanism, known[i], n) == 0)
            return true;
    }
    return false;
}
