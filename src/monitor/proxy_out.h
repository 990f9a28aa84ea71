/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Builds the PROXY header for the handler (--proxy-out) and sends it. start/proxy.h parses such headers. */
#ifndef POSTERN_PROXY_OUT_H
#define POSTERN_PROXY_OUT_H

#include "common/facts.h"
#include "monitor/handler.h"
#include "start/activation.h"
#include "start/options.h"
#include "start/peer.h"

#include <stddef.h>
#include <stdint.h>

/* The most bytes that proxy_out_build() writes. */
#define PROXY_OUT_BYTES_MAX 768

/* Writes a header of this version that describes a connection. Returns its length; 0 for PROXY_OUT_OFF.
 * facts: of the handshake; NULL: there was none. Version 2 then says that the client uses TLS. It adds the
 * server name that the client asked for, and the common name of a client certificate that was verified. */
size_t proxy_out_build(uint8_t buf[PROXY_OUT_BYTES_MAX], enum proxy_out version,
                       const struct peer *client, const struct peer *server,
                       const struct facts *facts);

/* Writes the header to the standard input of a handler that has just been started. A handler that has closed
 * its input already is no failure: the relay finds that out. Returns 0; or closes the handler's pipes, logs
 * one line and returns a negative errno. */
int proxy_out_send(struct handler *h, enum proxy_out version, const struct connection *c,
                   const struct facts *facts);

#endif
