/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/json.h"

#include <stdio.h>

const char *json_byte(char out[JSON_BYTE_SIZE], char byte)
{
    unsigned char c = (unsigned char)byte;

    if (c < ' ' || c >= 0x7f)
        (void)snprintf(out, JSON_BYTE_SIZE, "\\u%04x", c);
    else
        (void)snprintf(out, JSON_BYTE_SIZE, "%s%c", c == '"' || c == '\\' ? "\\" : "", c);
    return out;
}
