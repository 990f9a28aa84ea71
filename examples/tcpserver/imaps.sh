#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# IMAP over TLS at once, port 993, with tcpserver of ucspi-tcp. 0 is every address; -c bounds the number of clients,
# -H and -R switch off look-ups of names, which would make clients wait.
exec tcpserver -HR -c 100 -l localhost 0 993 \
    /usr/local/sbin/postern -f /etc/postern.conf --stdio=socket /usr/sbin/imap4d --inetd
