/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/ticket.h"

#include <string.h>

bool ticket_names_have(const struct ticket_names *n, const uint8_t *ticket)
{
    for (size_t i = 0; i < n->count; i++)
        if (memcmp(n->names[i], ticket, TICKET_NAME_SIZE) == 0)
            return true;
    return false;
}
