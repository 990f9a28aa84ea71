/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/trace.h"

#include "common/log.h"

#include <stdio.h>
#include <unistd.h>

void trace_write(int64_t us, const char *line)
{
    if (us > 0)
        log_timed(us - 1, "%s", line);
    else
        log_detail("%s", line);
}

void trace_connected(const struct connection *c)
{
    static const char *const ways[] = {
        [GIVEN_STANDARD] = "as inetd and tcpserver do",
        [GIVEN_PASSED] = "by LISTEN_FDS, as systemd does (Accept=yes)",
        [GIVEN_ACCEPTED] = "from a listening socket (wait mode)",
    };
    const char *what = c->given != GIVEN_STANDARD ? ""
                       : c->in == c->out          ? "on standard input, "
                                                  : "on standard input and output, ";

    log_detail("connected to %s: given %s%s", c->server.text, what, ways[c->given]);
}

void trace_ready(int64_t since, bool have_tls, pid_t gate)
{
    log_timed(trace_now() - since, "%s; the gate is process %ld",
              have_tls ? "certificates and keys are ready" : "there are no usable certificates",
              (long)gate);
}

void trace_chose(int64_t since, const struct vault *v, const struct wish *w)
{
    static const char *const others[] = {
        [OTHER_NONE] = "",
        [OTHER_UNFIT] = "; the client can't use the other one",
        [OTHER_LEGACY] = "; with the other one the client has only outworn cipher suites",
        [OTHER_FITS] = "; the client could use the other one, too",
        [OTHER_SLOWER] = "; the client could use the other one, too, but RSA is slower",
        [OTHER_NAMES] = "; the other one is not for this name (--sni=strict)",
    };
    bool has_folders = v->cert_dir != NULL;
    const char *why = "the default";

    if (v->chosen == &v->named)
        why = "the folder of --cert-dir for ";
    else if (has_folders && w->name[0] == '\0')
        why = "the default, since the client names no server";
    else if (has_folders)
        why = "the default, since --cert-dir has no folder for ";
    log_timed(trace_now() - since, "certificate %s (%s): %s%s%s", v->chosen->cert_file,
              chain_kind_name(v->chosen->chain.kind), why, has_folders ? w->name : "",
              others[vault_explain_choice(v, w)]);
}

void trace_signed(int64_t since, enum key_kind kind, const char *key_file)
{
    log_timed(trace_now() - since, "signed with the %s key of %s", chain_kind_name(kind), key_file);
}

void trace_opened_ticket(int64_t since)
{
    log_timed(trace_now() - since, "the client's session ticket is good");
}

void trace_sealed_ticket(int64_t since)
{
    log_timed(trace_now() - since, "a session ticket is made for the client");
}

void trace_started_handler(int64_t since, pid_t pid, const char *program,
                           const struct account *account)
{
    char user[100];

    if (!log_has_details())
        return;
    if (account == NULL)
        (void)snprintf(user, sizeof user, "user %ld, as postern was started", (long)geteuid());
    else
        (void)snprintf(user, sizeof user, "user %ld%s%s", (long)account->uid,
                       account->name[0] != '\0' ? ", " : "", account->name);
    log_timed(trace_now() - since, "handler %s is process %ld of %s", program, (long)pid, user);
}

void trace_ended_handler(int64_t since, int status)
{
    log_timed(trace_now() - since, "handler has ended with status %d", status);
}
