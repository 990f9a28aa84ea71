#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Try postern without touching the system: POP3 over TLS on port 9950, and only for this machine.
# In another window: openssl s_client -quiet -crlf -connect 127.0.0.1:9950
exec socat TCP-LISTEN:9950,bind=127.0.0.1,fork,reuseaddr \
    EXEC:'/usr/local/sbin/postern -f /etc/postern.conf /usr/sbin/popa3d',nofork
