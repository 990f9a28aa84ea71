/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/usage.h"

#include "start/option_table.h"

#include <string.h>

#define HELP_WIDTH 80
#define HELP_AT 34

/* Titles, each printed above the option of this name. */
static const struct {
    const char *name;
    const char *title;
} headings[] = {
    {"cert", "Certificates"},
    {"starttls", "STARTTLS"},
    {"handler-user", "The handler"},
    {"proxy-protocol", "Behind a proxy"},
    {"tls-min", "TLS"},
    {"client-ca", "Client certificates"},
    {"gate-user", "The jail"},
    {"timeout-lobby", "Time-outs (0: none)"},
    {"max-connections", "Wait mode: the socket is a listening one"},
    {"config", "Configuration, log and help"},
};

/* Prints the rest of a line, which begins in column HELP_AT; breaks it before column HELP_WIDTH. */
static void print_wrapped(FILE *out, const char *text)
{
    size_t room = HELP_WIDTH - HELP_AT;

    while (strlen(text) > room) {
        size_t len = room;
        while (len > 0 && text[len] != ' ')
            len--;
        (void)fprintf(out, "%.*s\n%*s", (int)len, text, HELP_AT, "");
        text += len + 1;
    }
    (void)fprintf(out, "%s\n", text);
}

static void print_row(FILE *out, const struct option_row *row)
{
    char letter[] = {'-', row->letter, ',', '\0'};

    for (size_t i = 0; i < sizeof headings / sizeof headings[0]; i++)
        if (strcmp(headings[i].name, row->name) == 0)
            (void)fprintf(out, "\n%s\n", headings[i].title);
    int n = fprintf(out, "  %-3s --%s%s%s", row->letter != 0 ? letter : "", row->name,
                    row->argument != NULL ? "=" : "", row->argument != NULL ? row->argument : "");
    (void)fprintf(out, "%*s", HELP_AT - n, "");
    print_wrapped(out, row->help);
}

void usage_print(FILE *out)
{
    (void)fputs("postern [OPTION]... [--] HANDLER [ARG]...\n"
                "TLS for one connection in front of HANDLER, a mail daemon that speaks plaintext\n"
                "on stdin and stdout. Started by inetd, systemd, tcpserver and the like.\n",
                out);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        print_row(out, &option_rows[i]);
    (void)fputs("\nTo try it:\n"
                "  tcpserver 127.0.0.1 9930 postern --cert=cert.pem --key=key.pem imapd\n"
                "  socat TCP-LISTEN:9930,fork,reuseaddr EXEC:'postern -c both.pem imapd',nofork\n",
                out);
}
