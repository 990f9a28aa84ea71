/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "session.h"

#include "io.h"
#include "log.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define LAST_SECONDS 10 /* for whoever should be gone and is not, where --timeout-grace is 0 */

void session_ending(struct session *s, enum ending ending)
{
    if (!s->ending_known)
        s->ending = ending;
    s->ending_known = true;
}

io_time session_after_grace(const struct session *s)
{
    return io_deadline(s->o->timeout_grace != 0 ? s->o->timeout_grace : LAST_SECONDS);
}

int session_send(struct session *s, enum message_type type)
{
    uint8_t buf[16];
    struct message_writer w;

    if (s->gate < 0)
        return -EPIPE;
    message_begin(&w, buf, sizeof buf, type);
    return message_send(s->gate, &w, NULL, 0);
}

void session_end_gate(struct session *s)
{
    io_close(&s->gate);
    if (s->gate_pid > 0)
        (void)kill(s->gate_pid, SIGKILL);
    session_ending(s, ENDING_GATE_DIED);
}

void session_take_diagnostics(struct session *s)
{
    char line[2 * SESSION_DIAGNOSTIC_MAX];
    ssize_t n;

    while ((n = io_read(s->handler.errors, s->diagnostic + s->diagnostic_len,
                        sizeof s->diagnostic - s->diagnostic_len)) > 0) {
        s->diagnostic_len += (size_t)n;
        for (;;) {
            char *newline = memchr(s->diagnostic, '\n', s->diagnostic_len);
            bool full = s->diagnostic_len == sizeof s->diagnostic;
            if (newline == NULL && !full)
                break;
            size_t len = newline != NULL ? (size_t)(newline - s->diagnostic) : s->diagnostic_len;
            log_note("handler: %s", log_sentence(line, sizeof line, s->diagnostic, len));
            len += newline != NULL;
            s->diagnostic_len -= len;
            memmove(s->diagnostic, s->diagnostic + len, s->diagnostic_len);
        }
    }
    if (n == -EAGAIN && s->handler.pid > 0)
        return;
    if (s->diagnostic_len > 0)
        log_note("handler: %s", log_sentence(line, sizeof line, s->diagnostic, s->diagnostic_len));
    s->diagnostic_len = 0;
    io_close(&s->handler.errors);
}

static const char *start_word(const struct session *s)
{
    if (s->o->ucspi_tls)
        return "ucspi-tls";
    if (s->o->starttls == NULL)
        return "immediate";
    return s->phase >= PHASE_SESSION && s->handler_ran && !s->have_facts ? "plaintext" : "starttls";
}

void session_summarise(const struct session *s)
{
    char tls[200] = "", name[300] = "", handler[24] = "";
    char shown[3][128], shown_name[280];
    const struct facts *f = &s->facts;
    io_time ms = io_now() - s->started;

    if (s->have_facts) {
        (void)log_escape(shown[0], sizeof shown[0], f->version, strlen(f->version));
        (void)log_escape(shown[1], sizeof shown[1], f->cipher, strlen(f->cipher));
        (void)log_escape(shown[2], sizeof shown[2], f->group, strlen(f->group));
        (void)snprintf(tls, sizeof tls, " tls=%.20s cipher=%.64s group=%.24s", shown[0], shown[1],
                       shown[2]);
        if (f->name[0] != '\0')
            (void)snprintf(name, sizeof name, " sni=%s",
                           log_escape(shown_name, sizeof shown_name, f->name, strlen(f->name)));
    }
    if (s->handler_ran)
        (void)snprintf(handler, sizeof handler, " handler=%d", s->handler_result);
    log_note("server=%s start=%s%s%s%s%s%s%s in=%llu out=%llu seconds=%lld.%lld end=%s",
             s->c->server.text, start_word(s), s->o->starttls != NULL ? " dialect=" : "",
             s->o->starttls != NULL ? s->o->starttls : "", tls, name,
             s->have_facts ? f->resumed ? " resumed=yes" : " resumed=no" : "", handler,
             (unsigned long long)s->in, (unsigned long long)s->out, (long long)(ms / 1000),
             (long long)(ms % 1000 / 100), ending_name(s->ending));
}
