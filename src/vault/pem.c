/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault/pem.h"

#include <errno.h>
#include <string.h>

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/coding.h>
#include <wolfssl/wolfcrypt/types.h>

/* Returns the place of a word, or NULL. */
static const uint8_t *find(const uint8_t *text, const uint8_t *limit, const char *word)
{
    return memmem(text, (size_t)(limit - text), word, strlen(word));
}

int pem_next(struct pem_block *b, const uint8_t **text, size_t *len)
{
    static const char begin[] = "-----BEGIN ", dashes[] = "-----", end[] = "-----END ";
    const uint8_t *limit = *text + *len;

    b->start = find(*text, limit, begin);
    if (b->start == NULL)
        return 0;
    b->label = (const char *)b->start + strlen(begin);
    const uint8_t *p = find((const uint8_t *)b->label, limit, dashes);
    if (p == NULL)
        return -EINVAL;
    b->label_len = (size_t)((const char *)p - b->label);
    b->body = p + strlen(dashes);
    p = find(b->body, limit, end);
    if (p == NULL)
        return -EINVAL;
    b->body_len = (size_t)(p - b->body);
    p = find(p + strlen(end), limit, dashes);
    if (p == NULL)
        return -EINVAL;
    *text = p + strlen(dashes);
    b->len = (size_t)(*text - b->start);
    *len = (size_t)(limit - *text);
    return 1;
}

bool pem_label_is(const struct pem_block *b, const char *label)
{
    return b->label_len == strlen(label) && memcmp(b->label, label, b->label_len) == 0;
}

bool pem_label_ends(const struct pem_block *b, const char *ending)
{
    size_t n = strlen(ending);

    return b->label_len >= n && memcmp(b->label + b->label_len - n, ending, n) == 0;
}

bool pem_is_encrypted(const struct pem_block *b)
{
    return find(b->body, b->body + b->body_len, "Proc-Type:") != NULL;
}

int pem_decode(const struct pem_block *b, uint8_t *der, size_t *der_len)
{
    word32 len = (word32)*der_len;

    if (Base64_Decode(b->body, (word32)b->body_len, der, &len) != 0)
        return -EINVAL;
    *der_len = len;
    return 0;
}
