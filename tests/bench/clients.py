# SPDX-License-Identifier: GPL-2.0-or-later
"""The clients: Python's ssl module. A kind of connection is a function (connection) -> session that can be talked to.

The handler of all servers greets, reads one line (a LOGOUT, a DOWN number, a UP number), does that, says `a OK' and ends.
"""

import contextlib
import socket
import ssl
import statistics
import threading
import time

HANDLER = r"""#!/bin/sh
printf '* OK ready\r\n'
read -r tag verb n
case $verb in
DOWN) exec head -c "${n%?}" /dev/zero ;;
UP) head -c "${n%?}" >/dev/null ;;
esac
printf 'a OK done\r\n'
"""


class NotResumed(Exception):
    """The server does not know the session any more that it has given out."""


def prompt(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(20)
    return connection


def line(session):
    """One line; more than that never comes before the next command."""
    text = b''
    while not text.endswith(b'\n'):
        more = session.recv(1000)
        if not more:
            raise ConnectionError(f'the server has ended after {text!r}')
        text += more
    return text


def plain(connection):
    return prompt(connection)


class Tls:
    """Clients of one server: kind `full', `resumed' or `starttls'."""

    def __init__(self, certificate, kind):
        self.context = ssl.create_default_context(cafile=certificate)
        self.kind = kind
        self.session = None
        self.suite = ''

    def copy(self):
        """A client with a memory of its own, for a thread of its own."""
        other = Tls.__new__(Tls)
        other.__dict__.update(self.__dict__, session=None)
        return other

    def __call__(self, connection):
        prompt(connection)
        if self.kind == 'starttls':
            line(connection)
            connection.sendall(b'x STARTTLS\r\n')
            assert b'x OK' in line(connection)
        known = self.session if self.kind == 'resumed' else None
        tls = self.context.wrap_socket(connection, server_hostname='localhost', session=known)
        if known and not tls.session_reused:
            tls.close()
            raise NotResumed
        name, version, _ = tls.cipher()
        self.suite = f'{tls.version()[3:]} {short(name)}'
        return tls

    def keep(self, tls):
        """Remember the session for the next connection; in TLS 1.3 tickets come after the handshake."""
        if self.kind == 'resumed':
            self.session = tls.session


def short(suite):
    for part in ('CHACHA20', 'AES_256_GCM', 'AES_128_GCM', 'AES256-GCM', 'AES128-GCM'):
        if part in suite:
            return part.replace('_', '').replace('-', '').replace('GCM', '-GCM')
    return suite


def talk(running, client):
    """A whole connection with one short command. From connect to the first answer: ms."""
    begin = time.perf_counter()
    session = client(running.connect() if hasattr(running, 'connect') else socket.create_connection(running))
    with session:
        session.sendall(b'a LOGOUT\r\n')
        text = b''
        while b'a OK' not in text:
            text += line(session)
        first = time.perf_counter()
        if isinstance(client, Tls):
            client.keep(session)
        with contextlib.suppress(OSError):
            while session.recv(1000):
                pass
    return (first - begin) * 1000


def greeted(running, client):
    """A session that has been greeted and says nothing."""
    session = client(running.connect())
    line(session)
    return session


def down(running, client, size):
    """MB/s from the server to the client."""
    buffer = memoryview(bytearray(1 << 18))
    with greeted(running, client) as session:
        begin = time.perf_counter()
        session.sendall(b'a DOWN %d\r\n' % size)
        left = size
        while left > 0:
            n = session.recv_into(buffer)
            if n == 0:
                raise ConnectionError(f'{left} bytes are missing')
            left -= n
    return size / (time.perf_counter() - begin) / 1e6


def up(running, client, size):
    """MB/s from the client to the server, until the handler has read it all."""
    piece = memoryview(bytes(1 << 18))
    with greeted(running, client) as session:
        begin = time.perf_counter()
        session.sendall(b'a UP %d\r\n' % size)
        for start in range(0, size, len(piece)):
            session.sendall(piece[:min(len(piece), size - start)])
        assert b'a OK' in line(session)
        return size / (time.perf_counter() - begin) / 1e6


def crowd(address, client, level, count):
    """Latencies in ms of `count` connections by `level` clients at once, each with a next one when its last is done."""
    latencies, errors = [], []
    numbers = iter(range(count))
    lock = threading.Lock()

    def one():
        mine = client.copy() if isinstance(client, Tls) else client
        try:
            if isinstance(mine, Tls) and mine.kind == 'resumed':
                talk(address, mine)    # a full handshake to begin with, which doesn't count
            while True:
                with lock:
                    if next(numbers, None) is None:
                        return
                latencies.append(talk(address, mine))
        except (OSError, NotResumed) as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(level)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(latencies), errors


def percentile(values, percent):
    return statistics.quantiles(values, n=100, method='inclusive')[percent - 1] if len(values) > 1 else values[0]
