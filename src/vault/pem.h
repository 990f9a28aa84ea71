/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the blocks of a PEM file (RFC 7468). */
#ifndef POSTERN_PEM_H
#define POSTERN_PEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One block. All pointers point into the text that it was found in. */
struct pem_block {
    const uint8_t *start; /* of its BEGIN line */
    size_t len;           /* END line included */
    const char *label;    /* "CERTIFICATE", not NUL-terminated */
    size_t label_len;
    const uint8_t *body; /* between the two lines */
    size_t body_len;
};

/* Finds the next block in *text and moves *text behind it. Returns 1; 0 if there is none; or -EINVAL if a block
 * begins but does not end. */
int pem_next(struct pem_block *b, const uint8_t **text, size_t *len);

/* True if the label is this one, or ends like this. */
bool pem_label_is(const struct pem_block *b, const char *label);
bool pem_label_ends(const struct pem_block *b, const char *ending);

/* True for a private key in OpenSSL's old form of encryption. It has headers before the base64 (RFC 1421 section
 * 4.6.1.1). */
bool pem_is_encrypted(const struct pem_block *b);

/* Decodes the body into der. *der_len is the room there, then the length. Returns 0, or -EINVAL if the body is no
 * base64 or does not fit. */
int pem_decode(const struct pem_block *b, uint8_t *der, size_t *der_len);

#endif
