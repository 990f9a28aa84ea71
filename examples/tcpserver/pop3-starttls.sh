#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# POP3 with STARTTLS, port 110, with tcpserver of ucspi-tcp. See imaps.sh.
exec tcpserver -HR -c 100 -l localhost 0 110 \
    /usr/local/sbin/postern -f /etc/postern.conf -s pop3 /usr/sbin/popa3d
