/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/policy.h"

#include "dialect/dialect.h"
#include "common/log.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* Checks one list of networks. `words` names, for the log, the words that may stand in it. */
static int check_list(const char *option, const char *list, bool may_be_unix, const char *words)
{
    static const char unix_word[] = "unix";
    struct networks n;
    char shown[80];
    const char *bad = NULL;
    size_t len = 0;

    if (list == NULL)
        return 0;
    if (networks_parse(&n, list, &bad, &len) == 0) {
        for (size_t i = 0; i < n.count && !may_be_unix; i++)
            if (n.list[i].family == AF_UNIX)
                bad = unix_word, len = sizeof unix_word - 1;
        if (bad == NULL)
            return 0;
    }
    log_error("%s: %s: wants networks such as 192.0.2.0/24,2001:db8::/32 or the %s, at most %d",
              option, log_escape(shown, sizeof shown, bad, len), words, PEER_NETWORKS_MAX);
    return -EINVAL;
}

int policy_check(const struct options *o)
{
    int rc = check_list("--trusted", o->trusted, false, "word local");

    if (rc == 0)
        rc = check_list("--proxy-trusted", o->proxy_trusted, true, "words local and unix");
    return rc;
}

static bool list_holds(const char *list, const struct peer *client, const struct peer *server)
{
    struct networks n;
    const char *bad;
    size_t len;

    return list != NULL && networks_parse(&n, list, &bad, &len) == 0 &&
           networks_hold(&n, client, server);
}

bool policy_trusts_proxy(const struct options *o, const struct connection *c)
{
    return list_holds(o->proxy_trusted, &c->client, &c->server);
}

enum policy policy_for(const struct options *o, const struct connection *c)
{
    static const struct peer elsewhere = {.family = AF_UNSPEC};

    /* Without an address from a PROXY header the client is unknown. */
    if (o->proxy_protocol && !c->proxied)
        return o->policy;
    /* The server in a PROXY header is another machine, so `local' can't be true: compares with `elsewhere`. */
    return list_holds(o->trusted, &c->client, c->proxied ? &elsewhere : &c->server)
               ? POLICY_OPTIONAL
               : o->policy;
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
