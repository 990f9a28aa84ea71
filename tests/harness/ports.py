# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes listening sockets, and finds out which process listens where."""

import os
import socket

LOOPBACK = {'inet': '127.0.0.1', 'inet6': '::1'}
FAMILY = {'inet': socket.AF_INET, 'inet6': socket.AF_INET6, 'unix': socket.AF_UNIX}


def listen(family='inet', path=None):
    """Returns a listening socket on a port that the kernel picks, or at `path`."""
    listener = socket.socket(FAMILY[family], socket.SOCK_STREAM)
    listener.bind(str(path) if family == 'unix' else (LOOPBACK[family], 0))
    listener.listen(64)
    return listener


def free_port(family='inet'):
    """Returns a free port, for launchers that can't take port 0. If another program takes it first, the launcher fails and is
    started again."""
    with listen(family) as listener:
        return listener.getsockname()[1]


def has_ipv6():
    """True if there is IPv6; containers often lack it, even on loopback."""
    try:
        listen('inet6').close()
    except OSError:
        return False
    return True


def sockets_of(pid):
    """Returns the inodes of the sockets of a process."""
    inodes = set()
    for name in os.listdir(f'/proc/{pid}/fd'):
        try:
            target = os.readlink(f'/proc/{pid}/fd/{name}')
        except FileNotFoundError:
            continue
        if target.startswith('socket:['):
            inodes.add(target[8:-1])
    return inodes


def listening_port(pid):
    """Returns the TCP port on which a process listens; None if it does not listen yet."""
    try:
        inodes = sockets_of(pid)
    except (FileNotFoundError, PermissionError):
        return None
    for table in ('tcp', 'tcp6'):
        with open(f'/proc/{pid}/net/{table}', encoding='ascii') as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if fields[3] == '0A' and fields[9] in inodes:
                    return int(fields[1].rsplit(':', 1)[1], 16)
    return None


def listens_at(path):
    """True if a process listens at this Unix socket. Its file appears a moment before it accepts connections."""
    with open('/proc/net/unix', encoding='utf-8', errors='replace') as file:
        return any(fields[3] == '00010000' and fields[-1] == str(path) for fields in map(str.split, file))
