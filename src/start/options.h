/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options, however they were given: command_line.h reads them. */
#ifndef POSTERN_OPTIONS_H
#define POSTERN_OPTIONS_H

#include "common/facts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum policy { POLICY_REQUIRED, POLICY_AUTH, POLICY_OPTIONAL };
enum jail_mode { JAIL_ON, JAIL_STRICT, JAIL_OFF };
enum stdio_mode { STDIO_PIPE, STDIO_SOCKET };
enum sni_mode { SNI_DEFAULT, SNI_STRICT };
enum proxy_out { PROXY_OUT_OFF, PROXY_OUT_V1, PROXY_OUT_V2 };
enum log_choice {
    LOG_CHOICE_AUTO,
    LOG_CHOICE_STDERR,
    LOG_CHOICE_SYSLOG,
    LOG_CHOICE_JOURNAL,
    LOG_CHOICE_JSON
};
enum client_cert { CLIENT_CERT_OFF, CLIENT_CERT_REQUEST, CLIENT_CERT_REQUIRE };
enum action { ACTION_SERVE, ACTION_CHECK, ACTION_HELP, ACTION_VERSION, ACTION_NEW_TICKET_KEY };

/* The files of a certificate chain and its key. */
struct pair {
    const char *cert;
    const char *key;    /* NULL: the key is in the same file */
    const char *staple; /* an OCSP response in DER; NULL: none */
};

#define OPTIONS_PAIRS_MAX 2

/* All options. Users stand here as they were written; account_find() looks them up later. */
struct options {
    enum action action;
    bool check_json;
    struct pair pairs[OPTIONS_PAIRS_MAX];
    size_t pair_count;
    const char *cert_dir;      /* NULL: none */
    const char *key_pass_file; /* NULL: none */
    enum sni_mode sni;
    const char *alpn;     /* names with commas between; NULL: the dialect's */
    const char *starttls; /* a dialect's name; NULL: immediate TLS */
    enum policy policy;
    const char *name;          /* NULL: gethostname() */
    const char *trusted;       /* networks as text; policy.h reads them; NULL: none */
    const char *proxy_trusted; /* the networks that PROXY headers come from, as text */
    enum proxy_out proxy_out;  /* the PROXY header that the handler gets */
    bool proxy_protocol;       /* the client's side sends a PROXY header first */
    bool ucspi_tls;
    const char *gate_user;
    const char *handler_user;
    const char *chroot_dir;
    enum jail_mode jail;
    enum stdio_mode stdio;
    unsigned tls_min;           /* as on the wire: 0x0303 for TLS 1.2 */
    unsigned ticket_lifetime;   /* seconds */
    const char *tickets;        /* file with the keys of session tickets; NULL: no tickets */
    const char *new_ticket_key; /* file to which a new key is to be added */
    const char *ciphers;
    const char *groups;
    const char *client_ca; /* NULL: no client certificates */
    const char *crl;       /* NULL: none */
    enum client_cert client_cert;
    enum client_name client_name;
    unsigned timeout_lobby; /* all time-outs in seconds; 0: none */
    unsigned timeout_handshake;
    unsigned timeout_idle;
    unsigned timeout_session;
    unsigned timeout_grace;
    unsigned max_connections; /* for wait mode; 0: no limit */
    unsigned max_per_client;  /* for wait mode; 0: no limit */
    unsigned exit_idle;       /* seconds; 0: never */
    const char *config;
    enum log_choice log;
    int verbosity;  /* -1: -q, 0, 1: -v */
    char **handler; /* NULL-terminated; the rest of argv */
    char **owned;   /* strings that the configuration file gave; options_free() frees them */
    size_t owned_count;
};

/* Frees the strings that came from the file. */
void options_free(struct options *o);

/* The names of the policies in the order of enum policy; NULL ends them. */
extern const char *const options_policy_words[];

/* Returns the name of a policy, as on the command line. */
const char *options_policy_name(enum policy policy);

#endif
