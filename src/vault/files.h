/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificate and key files: which for which name, reading, permissions, faults explained. */
#ifndef POSTERN_CERTS_H
#define POSTERN_CERTS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes of a certificate or key file, and of a key in DER. */
#define CERTS_FILE_MAX 65536
#define CERTS_KEY_MAX 8192

/* The most bytes of an OCSP response. */
#define CERTS_STAPLE_MAX 16384

/* Reads a whole file of at most size bytes. `secret`: refuses a file that others may read.
 * Returns 0, or logs one line and returns a negative errno. */
int certs_read_file(const char *file, bool secret, uint8_t *text, size_t size, size_t *len);

/* How a private key stands in its file. */
enum key_form {
    KEY_FORM_PLAIN,        /* DER: PKCS#8, SEC1 or PKCS#1 */
    KEY_FORM_ENCRYPTED,    /* DER: PKCS#8's EncryptedPrivateKeyInfo (RFC 5958 section 3) */
    KEY_FORM_OLD_ENCRYPTED /* PEM with OpenSSL's old headers */
};

/* Takes the private key out of a file's text, as its form says, into key, at most CERTS_KEY_MAX
 * bytes. What it copies of the key goes nowhere else, and nothing is decrypted.
 * Returns 0, or logs one line and returns -EINVAL. */
int certs_take_key(const char *file, const uint8_t *text, size_t len, uint8_t *key, size_t *key_len,
                   enum key_form *form);

/* The files for one server name. */
struct name_files {
    char cert[PATH_MAX];
    char key[PATH_MAX];
};

/* True for what may stand in a path: a host name in lower case, IDNA's A-labels included, which never
 * begins or ends with a dot and has none beside another. */
bool certs_is_host_name(const char *name);

/* The files of a folder of DIR. Returns true if there is a certificate; logs nothing. */
bool certs_find_folder(const char *dir, const char *folder, struct name_files *f);

/* Finds the files for a server name in certbot's layout: DIR/NAME/fullchain.pem and privkey.pem, else
 * those of the wildcard folder DIR/_.PARENT. Whatever is no host name in lower case has none: nothing
 * but [a-z0-9.-] ever reaches a path. Returns true if there is such a folder; logs nothing. */
bool certs_find_name(const char *dir, const char *name, struct name_files *f);

#endif
