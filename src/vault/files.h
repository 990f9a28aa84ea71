/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds and reads certificate and key files, and checks their permissions. */
#ifndef POSTERN_FILES_H
#define POSTERN_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most bytes of a certificate or key file, and of a key in DER. */
#define FILES_SIZE_MAX 65536
#define FILES_KEY_MAX 8192

/* The most bytes of an OCSP response. */
#define FILES_STAPLE_MAX 16384

/* Reads a whole file of at most size bytes. secret: refuses a file that others may read or change.
 * Returns 0, or logs one line and returns a negative errno. */
int files_read(const char *file, bool secret, uint8_t *text, size_t size, size_t *len);

/* How a private key stands in its file. */
enum key_form {
    KEY_FORM_PLAIN,        /* DER: PKCS#8, SEC1 or PKCS#1 */
    KEY_FORM_ENCRYPTED,    /* DER: PKCS#8's EncryptedPrivateKeyInfo (RFC 5958 section 3) */
    KEY_FORM_OLD_ENCRYPTED /* PEM with OpenSSL's old headers */
};

/* Copies the private key from a file's text to `key`, which has FILES_KEY_MAX bytes. *form says in which form it
 * is then. Makes no other copy and decrypts nothing. Returns 0, or logs one line and returns -EINVAL. */
int files_take_key(const char *file, const uint8_t *text, size_t len, uint8_t *key, size_t *key_len,
                   enum key_form *form);

/* The files for one server name. */
struct name_files {
    char cert[PATH_MAX];
    char key[PATH_MAX];
};

/* True for a host name in lower case, whose characters are [a-z0-9.-]. It may be part of a path: it neither
 * begins nor ends with a dot, and has no two dots in a row. */
bool files_is_host_name(const char *name);

/* Puts the paths of certificate and key in a folder of DIR into *f. True if the certificate is there. Logs
 * nothing. */
bool files_find_folder(const char *dir, const char *folder, struct name_files *f);

/* Finds the files for a server name in certbot's layout: DIR/NAME/fullchain.pem and privkey.pem, else those of
 * the wildcard folder DIR/_.PARENT. Puts their paths into *f. False if there are none, or if `name` is no host
 * name in lower case. Logs nothing. */
bool files_find_name(const char *dir, const char *name, struct name_files *f);

#endif
