#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# POP3 over TLS at once, port 995, where BusyBox has neither tcpsvd nor inetd but nc with -e. It bounds nothing and
# the log comes to standard error: for a trial.
exec busybox nc -ll -p 995 -e /usr/local/sbin/postern -f /etc/postern.conf /usr/sbin/popa3d
