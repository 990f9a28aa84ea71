/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a certificate or key file as far as it is PEM. */
#include "common.h"

#include "vault/pem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* True if these bytes lie in the text. */
static bool lies_in(const void *bytes, size_t bytes_len, const uint8_t *text, size_t len)
{
    const uint8_t *p = bytes;

    return p >= text && p <= text + len && bytes_len <= (size_t)(text + len - p);
}

/* Base64 makes of four characters three bytes at most, and writes nowhere else. */
static void try_decode(const struct pem_block *b)
{
    size_t room = b->body_len / 4 * 3 + 3;

    for (size_t size = room; size + 8 > room; size--) {
        size_t len = size;
        uint8_t *der = malloc(size > 0 ? size : 1);
        CHECK(der != NULL);
        int rc = pem_decode(b, der, &len);
        CHECK(rc == 0 ? len <= size : rc == -EINVAL && len == size);
        free(der);
        if (size == 0)
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *text = fuzz_copy(data, size);
    const uint8_t *rest = text;
    size_t left = size;
    struct pem_block b;
    int rc;

    while ((rc = pem_next(&b, &rest, &left)) > 0) {
        CHECK(rest + left == text + size);
        CHECK(lies_in(b.start, b.len, text, size) && b.start + b.len == rest);
        CHECK(lies_in(b.label, b.label_len, b.start, b.len));
        CHECK(lies_in(b.body, b.body_len, b.start, b.len));
        CHECK(memcmp(b.start, "-----BEGIN ", 11) == 0 && memcmp(rest - 5, "-----", 5) == 0);
        CHECK(!pem_label_is(&b, "CERTIFICATE") || pem_label_ends(&b, "CERTIFICATE"));
        (void)pem_is_encrypted(&b);
        try_decode(&b);
    }
    CHECK(rc == 0 || rc == -EINVAL);
    CHECK(rc != 0 || memmem(rest, left, "-----BEGIN ", 11) == NULL);
    free(text);
    return 0;
}
