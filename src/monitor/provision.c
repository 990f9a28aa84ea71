/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/provision.h"

#include "vault/client_ca.h"
#include "common/log.h"

#include <sysexits.h>
#include <unistd.h>

int provision_prepare(struct provision *p, const struct options *o)
{
    if (o->tls_min < 0x0303)
        log_note(
            "--tls-min=1.%u: TLS 1.0 and 1.1 are broken (RFC 8996); use 1.2 as soon as you can",
            o->tls_min - 0x0301);
    if (o->handler_user != NULL && account_find(&p->account, o->handler_user) < 0) {
        log_error("--handler-user=%s: no such user or group", o->handler_user);
        return EX_CONFIG;
    }
    if (o->handler_user != NULL && geteuid() != 0) {
        log_error("--handler-user=%s: only root can change users; leave it out", o->handler_user);
        return EX_CONFIG;
    }
    return jail_prepare(&p->jail, o) < 0 ? EX_CONFIG : 0;
}

int provision_read(struct vault *v, struct trust *t, const struct options *o)
{
    int rc = vault_load(v, o);

    if (rc < 0)
        return rc;
    rc = client_ca_read(t, o);
    if (rc < 0)
        vault_wipe(v);
    else if (tickets_wanted(o))
        (void)vault_load_tickets(v, o);
    return rc;
}
