# SPDX-License-Identifier: GPL-2.0-or-later
"""Sends legal but unusual ClientHellos, and reads the server's answers.

Recut is a real client (Python's ssl module) that cuts its ClientHello into other records than OpenSSL does. It can hold
whole sessions. client_hello() makes a message by hand, cut() puts it into records, and ask() reads the answer.
"""

import os
from dataclasses import dataclass

from harness import tls
from harness.tls import extension, numbers, vector

HANDSHAKE, ALERT = 22, 21
CLIENT_HELLO, SERVER_HELLO = 1, 2
RECORD_MOST = 16384
HEADER = 5

X25519, P256, P384 = 0x001d, 0x0017, 0x0018
ECDSA_GCM, RSA_GCM, AES_13 = 0xc02b, 0xc02f, 0x1301
UNKNOWN_SUITES = [0xd100 + number for number in range(2000)]
UNKNOWN_SCHEMES = [0xfe00 + number for number in range(200)]
SERVER_NAME, GROUPS, POINTS, SIGNATURES, PADDING, TICKET, PRE_SHARED_KEY = 0, 10, 11, 13, 21, 35, 41
VERSIONS, PSK_MODES, KEY_SHARE = 43, 45, 51

RETRY = bytes.fromhex('cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c')


def cut(message, size=RECORD_MOST, version=tls.TLS10):
    """Returns a handshake message in records of `size` bytes each; the last one holds the rest."""
    return b''.join(tls.record(HANDSHAKE, message[at:at + size], version) for at in range(0, len(message), size))


def handshake(kind, body):
    return bytes([kind]) + vector(3, body)


def key_share(group=X25519, key=b'\x09' + bytes(31)):     # RFC 7748: the base point
    return extension(KEY_SHARE, vector(2, numbers([group]) + vector(2, key)))


def pre_shared_key(length):
    """Returns the extension that offers a TLS 1.3 ticket of this length. It must be the last one."""
    identity = vector(2, os.urandom(length)) + bytes(4)
    return extension(PSK_MODES, b'\1\1') + extension(PRE_SHARED_KEY, vector(2, identity) + vector(2, vector(1, bytes(32))))


def client_hello(version='1.3', session_id=b'', suites=None, groups=(X25519, P256), schemes=(0x0403, 0x0804, 0x0401),
                 versions=None, more=b'', share=None, compression=b'\0'):
    """The message. `versions`: what supported_versions says, by default the one version or nothing; `more`: extensions."""
    if suites is None:
        suites = [AES_13] if version == '1.3' else [ECDSA_GCM]
    if versions is None and version == '1.3':
        versions = [tls.TLS13]
    extensions = extension(SERVER_NAME, vector(2, b'\0' + vector(2, b'localhost')))
    extensions += extension(GROUPS, vector(2, numbers(groups))) + extension(POINTS, b'\1\0')
    extensions += extension(SIGNATURES, vector(2, numbers(schemes)))
    if versions:
        extensions += extension(VERSIONS, vector(1, numbers(versions)))
    if version == '1.3':
        extensions += share or key_share()
    body = (tls.TLS12.to_bytes(2, 'big') + os.urandom(32) + vector(1, session_id) + vector(2, numbers(suites))
            + vector(1, compression) + vector(2, extensions + more))
    return handshake(CLIENT_HELLO, body)


@dataclass
class Answer:
    """What came first: `hello` is the body of a ServerHello, `alert` the code of a fatal alert; neither: a bare close."""
    hello: bytes = None
    alert: int = None

    @property
    def retry(self):
        return self.hello is not None and self.hello[2:34] == RETRY

    @property
    def session_id(self):
        return self.hello[35:35 + self.hello[34]]


def read_answer(stream):
    header = stream.read(HEADER)
    body = stream.read(int.from_bytes(header[3:], 'big')) if header else b''
    if header[:1] == bytes([ALERT]) and body[:1] == b'\2':
        return Answer(alert=body[1])
    if header[:1] == bytes([HANDSHAKE]) and body[:1] == bytes([SERVER_HELLO]):
        return Answer(hello=body[4:4 + int.from_bytes(body[1:4], 'big')])
    assert not header, f'neither ServerHello nor alert: {header + body!r}'
    return Answer()


def ask(server, said):
    """Sends these bytes and reads the beginning of the answer."""
    with server.connect() as connection:
        connection.sendall(said)
        with connection.makefile('rb') as stream:
            return read_answer(stream)


class Recut(tls.Client):
    """A client whose ClientHellos go out in records of `size` bytes, of this version; the rest as OpenSSL made it.

    first: what goes out before the hello, in the same write. one_by_one: each byte by itself.
    """

    def __init__(self, server, ca, size=RECORD_MOST, record_version=tls.TLS10, first=b'', one_by_one=False, **more):
        self.size = size
        self.record_version = record_version
        self.first = first
        self.one_by_one = one_by_one
        self.hellos = []
        super().__init__(server, ca, **more)

    def flush(self):
        made = self.outgoing.read()
        sent, self.first = self.first, b''
        while made:
            end = HEADER + int.from_bytes(made[3:5], 'big')
            made, one = made[end:], made[:end]
            if one[0] == HANDSHAKE and self.may_be_hello() and one[HEADER] == CLIENT_HELLO:
                message = one[HEADER:]
                length = 4 + int.from_bytes(message[1:4], 'big')
                while len(message) < length:    # OpenSSL puts a long one into several records, too
                    end = HEADER + int.from_bytes(made[3:5], 'big')
                    message, made = message + made[HEADER:end], made[end:]
                self.hellos.append(message)
                one = cut(message, self.size, self.record_version)
            sent += one
        if self.one_by_one and self.tls.version() is None:
            for at in range(len(sent)):
                self.socket.sendall(sent[at:at + 1])
        else:
            self.socket.sendall(sent)

    def may_be_hello(self):
        """True while nothing has come but perhaps a HelloRetryRequest: no key is agreed on yet."""
        return not self.hellos or (len(self.hellos) == 1 and self.tls.cipher() is None)
