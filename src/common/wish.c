/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/wish.h"

void wish_put(struct message_writer *m, const struct wish *w)
{
    message_put_text(m, w->name);
    message_put_number(m, w->rsa);
    message_put_number(m, w->ecdsa);
    message_put_number(m, w->ed25519);
    message_put_number(m, w->staple);
}

void wish_get(struct message_reader *m, struct wish *w)
{
    message_get_text(m, w->name, sizeof w->name);
    w->rsa = (enum fit)message_get_number(m, FIT_AEAD);
    w->ecdsa = (enum fit)message_get_number(m, FIT_AEAD);
    w->ed25519 = (enum fit)message_get_number(m, FIT_AEAD);
    w->staple = message_get_number(m, 1) != 0;
}
