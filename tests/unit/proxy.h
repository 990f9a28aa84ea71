/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of PROXY headers and the peers in them, for the tests of the parser and of the builder. */
#ifndef POSTERN_TEST_PROXY_H
#define POSTERN_TEST_PROXY_H

#include "start/peer.h"

#include <arpa/inet.h>
#include <string.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define PORTS "\xc3\xca\x03\xe1"              /* 50122 and 993 */
#define IPV4 "\xc0\0\2\7\xc6\x33\x64\1" PORTS /* 192.0.2.7, 198.51.100.1 */
#define IPV6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1" PORTS

#define BYTES(text) text, sizeof(text) - 1

/* Returns a peer with this address. */
static inline struct peer peer_at(const char *address, uint16_t port)
{
    struct peer p = {.family = AF_UNSPEC};
    uint8_t bytes[16];

    if (inet_pton(AF_INET, address, bytes) == 1)
        peer_set_bytes(&p, AF_INET, bytes, port);
    else if (inet_pton(AF_INET6, address, bytes) == 1)
        peer_set_bytes(&p, AF_INET6, bytes, port);
    else if (strcmp(address, "unix") == 0)
        peer_set_bytes(&p, AF_UNIX, NULL, 0);
    return p;
}

#endif
