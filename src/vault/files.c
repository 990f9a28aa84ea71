/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vault/files.h"

#include "common/io.h"
#include "common/log.h"
#include "vault/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int files_read(const char *file, bool secret, uint8_t *text, size_t size, size_t *len)
{
    struct stat s;
    int rc = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *len = 0;
    if (fd < 0) {
        rc = -errno;
        log_error("%s: cannot be opened: %s", file, strerror(-rc));
        return rc;
    }
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode)) {
        log_error("%s: is not a file", file);
        rc = -EINVAL;
    } else if (secret && (s.st_mode & S_IRWXO) != 0) {
        log_error("%s: holds a private key and others may read or change it (mode %04o): chmod o= "
                  "%s",
                  file, (unsigned)(s.st_mode & 07777), file);
        rc = -EPERM;
    }
    while (rc == 0) {
        uint8_t beyond;
        bool full = *len == size;
        ssize_t n = io_read(fd, full ? &beyond : text + *len, full ? 1 : size - *len);
        if (n < 0) {
            rc = (int)n;
            log_error("%s: cannot be read: %s", file, strerror(-rc));
        } else if (n == 0) {
            break;
        } else if (full) {
            rc = -EFBIG;
            log_error("%s: is larger than %zu bytes: not a certificate or key file", file, size);
        } else {
            *len += (size_t)n;
        }
    }
    io_close(&fd);
    return rc;
}

int files_take_key(const char *file, const uint8_t *text, size_t len, uint8_t *key, size_t *key_len,
                   enum key_form *form)
{
    struct pem_block b;

    *key_len = FILES_KEY_MAX;
    while (pem_next(&b, &text, &len) > 0) {
        if (!pem_label_ends(&b, "PRIVATE KEY"))
            continue;
        if (pem_is_encrypted(&b)) {
            *form = KEY_FORM_OLD_ENCRYPTED;
            if (b.len > FILES_KEY_MAX)
                break;
            memcpy(key, b.start, b.len);
            *key_len = b.len;
            return 0;
        }
        *form = pem_label_is(&b, "ENCRYPTED PRIVATE KEY") ? KEY_FORM_ENCRYPTED : KEY_FORM_PLAIN;
        if (pem_decode(&b, key, key_len) == 0)
            return 0;
        log_error("%s: the private key is not base64: the file is damaged", file);
        return -EINVAL;
    }
    log_error("%s: no private key in it: wants PEM, with a line -----BEGIN PRIVATE KEY-----; "
              "give --key=FILE if it is in a file of its own",
              file);
    return -EINVAL;
}

bool files_is_host_name(const char *name)
{
    size_t len = strlen(name);

    return len > 0 && len <= 253 && name[0] != '.' && name[len - 1] != '.' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len &&
           strstr(name, "..") == NULL;
}

/* True unless the file does not exist. An error such as EACCES is found, and logged, on reading. */
static bool is_there(const char *file)
{
    return access(file, F_OK) == 0 ||
           (errno != ENOENT && errno != ENOTDIR && errno != ENAMETOOLONG);
}

bool files_find_folder(const char *dir, const char *folder, struct name_files *f)
{
    int n = snprintf(f->cert, sizeof f->cert, "%s/%s/fullchain.pem", dir, folder);
    int m = snprintf(f->key, sizeof f->key, "%s/%s/privkey.pem", dir, folder);

    return n >= 0 && m >= 0 && (size_t)n < sizeof f->cert && (size_t)m < sizeof f->key &&
           is_there(f->cert);
}

bool files_find_name(const char *dir, const char *name, struct name_files *f)
{
    char folder[NAME_MAX + 1];

    if (!files_is_host_name(name))
        return false;
    if (files_find_folder(dir, name, f))
        return true;
    /* The folder _.example.org is for *.example.org, where the star is one label. */
    const char *dot = strchr(name, '.');
    if (dot == NULL)
        return false;
    (void)snprintf(folder, sizeof folder, "_%s", dot);
    return files_find_folder(dir, folder, f);
}
