#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# POP3 over TLS at once, port 995, with BusyBox's tcpsvd. -c bounds the number of clients, -C from one
# address.
exec busybox tcpsvd -c 30 -C 5 0 995 \
    /usr/local/sbin/postern -f /etc/postern.conf /usr/sbin/popa3d
