/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "monitor/take_report.h"

#include "common/log.h"
#include "monitor/trace.h"
#include "start/proxy.h"

#include <string.h>

#define NOTES_MAX 40      /* lines that one gate may write; with -v it needs some 20 */
#define NOTE_TEXT_MAX 512 /* bytes of a line */

void take_left_lobby(struct session *s, struct message_reader *r)
{
    /* From PHASE_OPENING a client may only stay in plaintext with --ucspi-tls. */
    if (s->phase == PHASE_OPENING && !s->o->ucspi_tls) {
        session_refuse_message(s, r);
        return;
    }
    s->phase = PHASE_SESSION;
    s->left_lobby = true;
    session_set_gate_deadline(s);
    session_drop_secrets(s);
}

void take_proxy(struct session *s, struct message_reader *r)
{
    struct proxy_header h;

    proxy_get(r, &h);
    if (!message_complete(r)) {
        session_refuse_message(s, r);
        return;
    }
    s->phase = PHASE_OPENING;
    if (!h.has_addresses)
        return;
    activation_set_proxied(s->c, &h.client, &h.server);
    log_about(s->c->client.text);
}

void take_line(struct session *s, struct message_reader *r)
{
    char text[NOTE_TEXT_MAX], line[2 * NOTE_TEXT_MAX];
    bool step = r->type == REPORT_STEP;
    uint64_t number = message_get_number(r, step ? TRACE_TIME_MAX : GRAVITY_MAX);

    message_get_text(r, text, sizeof text);
    if (!message_complete(r) || (step && !log_has_details()) || s->notes++ >= NOTES_MAX) {
        session_refuse_message(s, r);
        return;
    }
    (void)log_sentence(line, sizeof line, text, strlen(text));
    if (step)
        trace_write((int64_t)number, line);
    else if (number == GRAVITY_ERROR)
        log_error("%s", line);
    else if (number == GRAVITY_CLIENT)
        log_client("%s", line);
    else if (number == GRAVITY_NOISE)
        log_noise("%s", line);
    else if (number == GRAVITY_NOTE)
        log_note("%s", line);
    else
        log_detail("%s", line);
}

void take_end(struct session *s, struct message_reader *r)
{
    enum ending ending = (enum ending)message_get_number(r, ENDING_COUNT - 1);
    uint64_t in = message_get_number(r, UINT64_MAX);
    uint64_t out = message_get_number(r, UINT64_MAX);
    bool overstayed = message_get_number(r, 1) != 0;

    if (!message_complete(r)) {
        session_refuse_message(s, r);
        return;
    }
    s->phase = PHASE_ENDED;
    session_set_gate_deadline(s);
    session_set_ending(s, ending);
    s->in = in;
    s->out = out;
    child_plan_sigterm(&s->handler, overstayed ? io_now() : io_deadline(s->o->timeout_grace));
}
