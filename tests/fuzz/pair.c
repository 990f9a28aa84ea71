/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pair.h"

#include "common.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

const char *pair_name(enum key_kind kind)
{
    return kind == KEY_RSA     ? "mail.example.org"
           : kind == KEY_ECDSA ? "imap.example.org"
                               : "news.example.org";
}

struct pair pair_make(enum key_kind kind)
{
    static char paths[KEY_ED25519 + 1][40];
    static const char *const algorithms[] = {
        [KEY_RSA] = "RSA -pkeyopt rsa_keygen_bits:2048",
        [KEY_ECDSA] = "EC -pkeyopt ec_paramgen_curve:P-256",
        [KEY_ED25519] = "ED25519",
    };
    char command[300], text[8192];

    if (paths[kind][0] == '\0') {
        (void)snprintf(
            command, sizeof command,
            "key=$(openssl genpkey -algorithm %s 2>/dev/null) && echo \"$key\" && echo \"$key\" | "
            "openssl req -x509 -key /dev/stdin -subj /CN=%s -days 3650",
            algorithms[kind], pair_name(kind));
        FILE *openssl = popen(command, "r");
        CHECK(openssl != NULL);
        size_t len = fread(text, 1, sizeof text, openssl);
        CHECK(pclose(openssl) == 0);
        int fd = memfd_create("pair", MFD_CLOEXEC);
        /* A key that others may read would be refused. */
        CHECK(fd >= 0 && fchmod(fd, 0600) == 0);
        FILE *file = fdopen(fd, "w");
        CHECK(file != NULL && fwrite(text, 1, len, file) == len && fflush(file) == 0);
        (void)snprintf(paths[kind], sizeof paths[kind], "/proc/self/fd/%d", fd);
    }
    return (struct pair){.cert = paths[kind]};
}

struct vault pair_copy(const struct vault *v)
{
    /* As vault.c lays it out: a key for each pair, one for a name's, and a password. */
    static const size_t size = (OPTIONS_PAIRS_MAX + 1) * (size_t)FILES_KEY_MAX + 1024;
    struct vault copy = *v;

    copy.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(copy.memory != MAP_FAILED);
    memcpy(copy.memory, v->memory, size);
    for (size_t i = 0; i < v->count; i++)
        copy.pairs[i].chain.der = fuzz_copy(v->pairs[i].chain.der, v->pairs[i].chain.len);
    return copy;
}
