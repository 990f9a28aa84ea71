/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libFuzzer: a server name that a client asks for, of which --cert-dir makes a path. */
#include "common.h"

#include "vault/files.h"

#include <stdlib.h>
#include <string.h>

/* A path is the folder, one name below it, and the file's name. */
static void check_path(const char *path, const char *file, const char *name)
{
    static const char dir[] = "/nowhere/";

    CHECK(strncmp(path, dir, sizeof dir - 1) == 0);
    const char *folder = path + sizeof dir - 1, *end = strchr(folder, '/');
    CHECK(end != NULL && end > folder && strcmp(end + 1, file) == 0);
    size_t len = (size_t)(end - folder);
    CHECK(len <= NAME_MAX && folder[0] != '.');
    if (folder[0] != '_') {
        CHECK(strlen(name) == len && memcmp(folder, name, len) == 0);
        return;
    }
    /* The wildcard's: all of the name but its first label. */
    const char *dot = strchr(name, '.');
    CHECK(dot != NULL && strlen(dot) == len - 1 && memcmp(folder + 1, dot, len - 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct name_files files;
    char *name = fuzz_text(data, size);

    memset(&files, 0, sizeof files);
    bool is_name = files_is_host_name(name);
    CHECK(!files_find_name("/nowhere", name, &files));
    CHECK(is_name == (files.cert[0] != '\0'));
    if (is_name) {
        fuzz_check_letters(name, "abcdefghijklmnopqrstuvwxyz0123456789-.");
        CHECK(strstr(name, "..") == NULL && strlen(name) <= 253);
        CHECK(name[0] != '.' && name[strlen(name) - 1] != '.');
        check_path(files.cert, "fullchain.pem", name);
        check_path(files.key, "privkey.pem", name);
    }
    free(name);
    return 0;
}
