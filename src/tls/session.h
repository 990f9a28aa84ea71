/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds the parts of a TLS session; for tls.c and explain.c only. */
#ifndef POSTERN_TLS_SESSION_H
#define POSTERN_TLS_SESSION_H

#include "tls/resume.h"
#include "tls/signing.h"
#include "tls/staple.h"
#include "tls/transport.h"
#include "tls/verify.h"

struct tls {
    struct WOLFSSL_CTX *context;
    struct WOLFSSL *ssl;
    struct transport transport;
    struct signing signing;
    struct staple staple;
    struct resumption resumption;
    struct clientcert *client; /* NULL: not asked for, or the handshake is done */
};

#endif
