/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzz targets have in common. */
#ifndef FUZZ_COMMON_H
#define FUZZ_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options;

/* What must hold; else the input is a finding. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(__FILE__, __LINE__, #condition);                                             \
    } while (0)

/* libFuzzer's entry, which each target defines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Called once before all, with no limit of time, if the target defines it. */
void fuzz_begin(void) __attribute__((weak));

/* Descriptors from 3 up to this one are the target's: libFuzzer's own lie above it. */
#define FUZZ_FD_FREE 9

_Noreturn void fuzz_fail(const char *file, int line, const char *what);

/* A copy that ends where it ends, so that memory checkers see every byte too many; fuzz_text() puts
 * a NUL behind it. The caller frees it. */
void *fuzz_copy(const void *bytes, size_t len);
char *fuzz_text(const void *bytes, size_t len);

/* Takes the next line off a text: up to its LF, without that and a CR before it. The last one may
 * lack its LF. False at the end. */
bool fuzz_line(const char **text, size_t *len, const char **line, size_t *line_len);

/* What the log has said since this was asked last: how many lines, each of them printable ASCII. The
 * text stays until the log says something else. */
unsigned fuzz_heard(const char **text);

/* Checks that a NUL ends what stands in `size` bytes and that all before it can be printed. */
void fuzz_check_text(const char *text, size_t size);

/* Checks that all of the text is one of these letters. */
void fuzz_check_letters(const char *text, const char *letters);

/* The type of a gate's message that a letter stands for, so that seeds outlive a new type: c chain, s
 * sign, t seal a ticket, o open one, f facts, p plaintext, h end the handler, l left the lobby, n note, e
 * end, x PROXY; any other byte stands for itself. */
uint8_t fuzz_message_type(uint8_t letter);

/* Checks options that options_read() has found to be good. */
void fuzz_check_options(const struct options *o, int argc, char **argv);

#endif
