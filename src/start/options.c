/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "start/options.h"

#include <stdlib.h>

const char *const options_policy_words[] = {"required", "auth", "optional", NULL};

const char *options_policy_name(enum policy policy)
{
    return options_policy_words[policy];
}

void options_free(struct options *o)
{
    for (size_t i = 0; i < o->owned_count; i++)
        free(o->owned[i]);
    free(o->owned);
    o->owned = NULL;
    o->owned_count = 0;
}
