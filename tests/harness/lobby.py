# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests the lobby from outside: the texts of each dialect, a client that sends byte by byte, handlers with a record.

    server = serve(handler.command, '--starttls=imap')
    with Client(server) as client:
        client.play(...)              # a dialogue, line by line
        inside = client.start_tls(...)
"""

import base64
import os
import re
import select
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness import launch, processes, tls

HOST = 'mail.example.org'
TIMEOUT = 20
DEFINE = {'HOST': re.escape(HOST)}
WELCOME = r'(\* OK|\+OK|2\d\d|OK)( .+)?'     # the last line of a handler's greeting

# A password, and encodings of it that must not appear either.
PASSWORD = 'hunter2'
SECRET = base64.b64encode(b'\0bob\0' + PASSWORD.encode()).decode()
SECRETS = [PASSWORD, SECRET, base64.b64encode(PASSWORD.encode()).decode()]


@dataclass(eq=False)
class Dialect:
    """One protocol: lines to send, without their end, and patterns for whole answers."""
    name: str
    hello: str              # the lobby's greeting
    dialogue: str           # everything else that can be said under `required`, with its answers; see Client.play
    starttls: str
    go: str                 # the answer to it
    capability: str
    capabilities: str       # the answer to it
    noop: str
    done: str               # the answer to it
    quit: str
    bye: str
    logins: list            # that are a password in plaintext, each with its name in the log
    need_tls: str           # the answer to a login under `required`
    no_password: str        # ... and under `auth`
    no_tls: str
    malformed: str
    too_long: str
    too_many: str
    timeout: str
    unavailable: str
    service: dict           # a small server, as HANDLER wants it
    auth_hello: str         # its greeting under `auth`
    leave: str              # what leaves the lobby under `optional`

    @property
    def option(self):
        return f'--starttls={self.name}'

    def greets(self, policy='required'):
        """Returns the pattern for what a client sees first."""
        return self.hello if policy == 'required' else self.auth_hello

    def answer(self, line):
        """Returns the answer of the small server to a line, as bytes."""
        words = line.split()
        tag, verb = (words[0], words[1]) if self is IMAP else ('', words[0])
        return self.service.get(verb, self.service['default']).replace(b'TAG', tag.encode())

    def __repr__(self):
        return self.name


IMAP = Dialect(
    name='imap',
    hello=r'\* OK \[CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED\] HOST .+',
    dialogue=rf'''
        C: a1 CAPABILITY
        S: \* CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED
        S: a1 OK .+
        C: A.2] noop
        S: A\.2\] OK .+
        C: 3 ID ("name" "test")
        S: \* ID NIL
        S: 3 OK .+
        C: 4 SELECT INBOX
        S: 4 NO \[PRIVACYREQUIRED\] .+
        C: 5 LOGIN bob {PASSWORD}
        S: 5 NO \[PRIVACYREQUIRED\] .+
        C: 6 AUTHENTICATE PLAIN {SECRET}
        S: 6 NO \[PRIVACYREQUIRED\] .+
        C: 7 AUTHENTICATE SCRAM-SHA-256
        S: 7 NO \[PRIVACYREQUIRED\] .+
        C: 8 FROBNICATE
        S: 8 BAD .+
        C: nonsense
        S: \* BAD .+
        C:
        S: \* BAD .+
        C: +9 NOOP
        S: \* BAD .+
        C: }}&[~ LoGoUt
        S: \* BYE .+
        S: \}}&\[~ OK .+''',
    starttls='a0 STARTTLS', go='a0 OK .+',
    capability='b CAPABILITY', capabilities=r'\* CAPABILITY IMAP4rev1 ID STARTTLS LOGINDISABLED\r\nb OK .+',
    noop='c NOOP', done='c OK .+',
    quit='q LOGOUT', bye=r'\* BYE .+\r\nq OK .+',
    logins=[(f'a LOGIN bob {PASSWORD}', 'LOGIN'), (f'a AUTHENTICATE PLAIN {SECRET}', 'AUTHENTICATE'),
            (f'a login bob "{PASSWORD}"', 'LOGIN'), ('a AUTHENTICATE LOGIN', 'AUTHENTICATE'),
            (f'a AUTHENTICATE XOAUTH2 {SECRET}', 'AUTHENTICATE'), (f'a authenticate oauthbearer {SECRET}',
                                                                   'AUTHENTICATE')],
    need_tls=r'a NO \[PRIVACYREQUIRED\] .+', no_password=r'a NO \[PRIVACYREQUIRED\] .+',
    no_tls=r'a0 NO \[UNAVAILABLE\] .+', malformed='a0 BAD .+',
    too_long=r'\* BYE .+', too_many=r'\* BYE .+', timeout=r'\* BYE .+', unavailable=r'\* BYE \[UNAVAILABLE\] .+',
    service={
        'tagged': True,
        'greeting': b'* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-256] handler ready\r\n',
        'CAPABILITY': b'* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=SCRAM-SHA-256\r\nTAG OK handler did\r\n',
        'LOGOUT': b'* BYE handler\r\nTAG OK handler bye\r\n',
        'AUTHENTICATE': b'+ \r\n',
        'default': b'TAG OK handler did\r\n',
    },
    auth_hello=r'\* OK \[CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 STARTTLS LOGINDISABLED\] handler ready',
    leave=f'z LOGIN bob {PASSWORD}')

POP3 = Dialect(
    name='pop3',
    hello=r'\+OK HOST .+',
    dialogue=rf'''
        C: CAPA
        S: \+OK.*
        S: STLS
        S: RESP-CODES
        S: AUTH-RESP-CODE
        S: IMPLEMENTATION .+
        S: \.
        C: noop
        S: \+OK.*
        C: USER bob
        S: -ERR \[AUTH\] .+
        C: PASS {PASSWORD}
        S: -ERR \[AUTH\] .+
        C: APOP bob c4c9334bac560ecc979e58001b3e22fb
        S: -ERR \[AUTH\] .+
        C: AUTH PLAIN {SECRET}
        S: -ERR \[AUTH\] .+
        C: AUTH
        S: -ERR .+
        C: STAT
        S: -ERR [^[].+
        C: XYZZY
        S: -ERR [^[].+
        C:
        S: -ERR [^[].+
        C: Quit
        S: \+OK.*''',
    starttls='STLS', go=r'\+OK.*',
    capability='CAPA', capabilities=r'\+OK.*\r\nSTLS\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nIMPLEMENTATION .+\r\n\.',
    noop='NOOP', done=r'\+OK.*',
    quit='QUIT', bye=r'\+OK.*',
    logins=[('USER bob', 'USER'), (f'PASS {PASSWORD}', 'PASS'), (f'AUTH PLAIN {SECRET}', 'AUTH'),
            ('auth login', 'AUTH'), (f'AUTH XOAUTH2 {SECRET}', 'AUTH'), (f'AUTH OAUTHBEARER {SECRET}', 'AUTH')],
    need_tls=r'-ERR \[AUTH\] .+', no_password=r'-ERR \[AUTH\] .+',
    no_tls=r'-ERR \[SYS/TEMP\] .+', malformed='-ERR .+',
    too_long='-ERR .+', too_many='-ERR .+', timeout='-ERR .+', unavailable=r'-ERR \[SYS/TEMP\] .+',
    service={
        'greeting': b'+OK handler ready\r\n',
        'CAPA': b'+OK\r\nTOP\r\nUSER\r\nSASL PLAIN SCRAM-SHA-256\r\n.\r\n',
        'AUTH': b'+ \r\n',
        'QUIT': b'+OK handler bye\r\n',
        'default': b'+OK handler did\r\n',
    },
    auth_hello=r'\+OK handler ready',
    leave='USER bob')

SMTP = Dialect(
    name='smtp',
    hello=r'220 HOST ESMTP .+',
    dialogue=rf'''
        C: EHLO client.example.org
        S: 250-HOST
        S: 250-ENHANCEDSTATUSCODES
        S: 250 STARTTLS
        C: HELO client.example.org
        S: 250 HOST
        C: NOOP
        S: 250 2\.0\.0 .+
        C: rset
        S: 250 2\.0\.0 .+
        C: MAIL FROM:<ann@example.org>
        S: 530 5\.7\.0 Must issue a STARTTLS command first
        C: RCPT TO:<bob@example.org>
        S: 530 5\.7\.0 .+
        C: DATA
        S: 530 5\.7\.0 .+
        C: VRFY bob
        S: 530 5\.7\.0 .+
        C: AUTH PLAIN {SECRET}
        S: 530 5\.7\.0 .+
        C: AUTH CRAM-MD5
        S: 530 5\.7\.0 .+
        C: XYZZY
        S: 530 5\.7\.0 .+
        C:
        S: 50[01] 5\.5\.\d .+
        C: quit
        S: 221 2\.0\.0 .+''',
    starttls='STARTTLS', go='220 .+',
    capability='EHLO client.example.org', capabilities=r'250-HOST\r\n250-ENHANCEDSTATUSCODES\r\n250 STARTTLS',
    noop='NOOP', done='250 .+',
    quit='QUIT', bye='221 .+',
    logins=[(f'AUTH PLAIN {SECRET}', 'AUTH'), ('AUTH LOGIN', 'AUTH'), (f'auth xoauth2 {SECRET}', 'AUTH'),
            (f'AUTH OAUTHBEARER {SECRET}', 'AUTH')],
    need_tls=r'530 5\.7\.0 .+', no_password=r'538 5\.7\.11 .+',
    no_tls=r'454 4\.7\.0 .+', malformed=r'501 5\.5\.\d .+',
    too_long=r'500 5\.5\.\d .+', too_many=r'421 4\.7\.0 .+', timeout=r'421 4\.4\.2 .+',
    unavailable=r'421 4\.3\.\d .+',
    service={
        'greeting': b'220 handler ESMTP\r\n',
        'EHLO': b'250-handler\r\n250-PIPELINING\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n',
        'AUTH': b'334 \r\n',
        'MAIL': b'250 2.1.0 handler did\r\n',
        'QUIT': b'221 handler bye\r\n',
        'default': b'250 handler did\r\n',
    },
    auth_hello='220 handler ESMTP',
    leave='MAIL FROM:<ann@example.org>')

LMTP = Dialect(
    name='lmtp',
    hello=r'220 HOST LMTP .+',
    dialogue=rf'''
        C: LHLO client.example.org
        S: 250-HOST
        S: 250-ENHANCEDSTATUSCODES
        S: 250 STARTTLS
        C: HELO client.example.org
        S: 500 .+
        C: EHLO client.example.org
        S: 500 .+
        C: NOOP
        S: 250 2\.0\.0 .+
        C: RSET
        S: 250 2\.0\.0 .+
        C: mail FROM:<>
        S: 530 5\.7\.0 .+
        C: AUTH PLAIN {SECRET}
        S: 530 5\.7\.0 .+
        C: QUIT
        S: 221 2\.0\.0 .+''',
    starttls='STARTTLS', go='220 .+',
    capability='LHLO client.example.org', capabilities=SMTP.capabilities,
    noop='NOOP', done='250 .+',
    quit='QUIT', bye='221 .+',
    logins=SMTP.logins, need_tls=SMTP.need_tls, no_password=SMTP.no_password,
    no_tls=SMTP.no_tls, malformed=SMTP.malformed,
    too_long=SMTP.too_long, too_many=SMTP.too_many, timeout=SMTP.timeout, unavailable=SMTP.unavailable,
    service={
        'greeting': b'220 handler LMTP\r\n',
        'LHLO': b'250-handler\r\n250-PIPELINING\r\n250 AUTH PLAIN SCRAM-SHA-256\r\n',
        'AUTH': b'334 \r\n',
        'QUIT': b'221 handler bye\r\n',
        'default': b'250 handler did\r\n',
    },
    auth_hello='220 handler LMTP',
    leave='MAIL FROM:<ann@example.org>')

SIEVE_CAPABILITIES = (r'"IMPLEMENTATION" "postern"\r\n"SIEVE" ""\r\n"SASL" ""\r\n"STARTTLS"\r\n"VERSION" "1\.0"\r\n'
                      r'OK .+')
SIEVE = Dialect(
    name='sieve',
    hello=SIEVE_CAPABILITIES,
    dialogue=rf'''
        C: CAPABILITY
        S: "IMPLEMENTATION" "postern"
        S: "SIEVE" ""
        S: "SASL" ""
        S: "STARTTLS"
        S: "VERSION" "1\.0"
        S: OK .+
        C: NOOP
        S: OK .+
        C: noop "STARTTLS-SYNC-42"
        S: OK \(TAG "STARTTLS-SYNC-42"\) .+
        C: NOOP bare
        S: NO .+
        C: AUTHENTICATE "PLAIN" "{SECRET}"
        S: NO \(ENCRYPT-NEEDED\) .+
        C: AUTHENTICATE "SCRAM-SHA-256"
        S: NO \(ENCRYPT-NEEDED\) .+
        C: LISTSCRIPTS
        S: NO \(ENCRYPT-NEEDED\) .+
        C: XYZZY
        S: NO .+
        C:
        S: NO .+
        C: Logout
        S: OK .+''',
    starttls='STARTTLS', go='OK .+',
    capability='CAPABILITY', capabilities=SIEVE_CAPABILITIES,
    noop='NOOP', done='OK .+',
    quit='LOGOUT', bye='OK .+',
    logins=[(f'AUTHENTICATE "PLAIN" "{SECRET}"', 'AUTHENTICATE'), ('authenticate "login"', 'AUTHENTICATE'),
            (f'AUTHENTICATE "XOAUTH2" "{SECRET}"', 'AUTHENTICATE'),
            (f'AUTHENTICATE "OAUTHBEARER" "{SECRET}"', 'AUTHENTICATE')],
    need_tls=r'NO \(ENCRYPT-NEEDED\) .+', no_password=r'NO \(ENCRYPT-NEEDED\) .+',
    no_tls='NO .+', malformed='NO .+',
    too_long='BYE .+', too_many='BYE .+', timeout='BYE .+', unavailable='BYE .+',
    service={
        'greeting': b'"IMPLEMENTATION" "handler"\r\n"SASL" "PLAIN SCRAM-SHA-256"\r\n"VERSION" "1.0"\r\nOK\r\n',
        'CAPABILITY': b'"IMPLEMENTATION" "handler"\r\n"SASL" "PLAIN SCRAM-SHA-256"\r\n"VERSION" "1.0"\r\nOK\r\n',
        'AUTHENTICATE': b'""\r\n',
        'LOGOUT': b'OK "handler bye"\r\n',
        'default': b'OK "handler did"\r\n',
    },
    auth_hello=(r'"IMPLEMENTATION" "handler"\r\n"SASL" "SCRAM-SHA-256"\r\n"VERSION" "1\.0"\r\n"STARTTLS"\r\nOK'),
    leave=f'AUTHENTICATE "PLAIN" "{SECRET}"')

NNTP = Dialect(
    name='nntp',
    hello=r'20[01] HOST .+',
    dialogue=rf'''
        C: CAPABILITIES
        S: 101 .+
        S: VERSION 2
        S: IMPLEMENTATION .+
        S: STARTTLS
        S: \.
        C: MODE READER
        S: 483 .+
        C: GROUP misc.test
        S: 483 .+
        C: AUTHINFO USER bob
        S: 483 .+
        C: authinfo pass {PASSWORD}
        S: 483 .+
        C: AUTHINFO SASL PLAIN {SECRET}
        S: 483 .+
        C: POST
        S: 483 .+
        C: XYZZY
        S: 500 .+
        C: AUTHINFO
        S: 501 .+
        C:
        S: 50[01] .+
        C: quit
        S: 205 .+''',
    starttls='STARTTLS', go='382 .+',
    capability='CAPABILITIES', capabilities=r'101 .+\r\nVERSION 2\r\nIMPLEMENTATION .+\r\nSTARTTLS\r\n\.',
    noop='DATE', done='(483|111) .+',     # this protocol has no command that does nothing
    quit='QUIT', bye='205 .+',
    logins=[('AUTHINFO USER bob', 'AUTHINFO USER'), (f'AUTHINFO PASS {PASSWORD}', 'AUTHINFO PASS'),
            (f'authinfo sasl plain {SECRET}', 'AUTHINFO SASL'), (f'AUTHINFO GENERIC {PASSWORD}', 'AUTHINFO')],
    need_tls='483 .+', no_password='483 .+',
    no_tls='580 .+', malformed='501 .+',
    too_long='400 .+', too_many='400 .+', timeout='400 .+', unavailable='400 .+',
    service={
        'greeting': b'200 handler ready\r\n',
        'CAPABILITIES': b'101 list\r\nVERSION 2\r\nREADER\r\nAUTHINFO USER SASL\r\nSASL PLAIN SCRAM-SHA-256\r\n.\r\n',
        'AUTHINFO': b'383 =\r\n',
        'DATE': b'111 20260101000000\r\n',
        'QUIT': b'205 handler bye\r\n',
        'default': b'281 handler did\r\n',
    },
    auth_hello='200 handler ready',
    leave='AUTHINFO USER bob')

DIALECTS = [IMAP, POP3, SMTP, LMTP, SIEVE, NNTP]


# Clients

def matches(pattern, text):
    for word, meaning in DEFINE.items():
        pattern = pattern.replace(word, meaning)
    return re.fullmatch(pattern, text)


class Conversation:
    """Sends and receives lines. Subclasses send and receive bytes; b'' is the end."""

    def __init__(self):
        self.buffer = b''

    def write(self, data):
        raise NotImplementedError

    def read(self):
        raise NotImplementedError

    def send(self, text):
        """Sends bytes, or a line without its end."""
        self.write(text if isinstance(text, bytes) else text.encode() + b'\r\n')

    def line(self):
        """The next line, which ends in CR LF, without that."""
        while b'\n' not in self.buffer:
            data = self.read()
            assert data, f'the end came in place of a line, after {self.buffer!r}'
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b'\n')
        assert line.endswith(b'\r'), f'this line does not end in CR LF: {line!r}'
        return line[:-1].decode('latin-1')

    def expect(self, pattern):
        """Reads as many lines as the pattern has; they must match it."""
        answer = '\r\n'.join(self.line() for _ in range(pattern.count(r'\r\n') + 1))
        assert matches(pattern, answer), f'{answer!r} is not {pattern!r}'
        return answer

    def up_to(self, pattern):
        """Reads lines up to one that matches; returns all of them."""
        lines = [self.line()]
        while not matches(pattern, lines[-1]):
            lines.append(self.line())
        return lines

    def hears(self, data):
        """Checks that exactly these lines come."""
        for line in data.decode().splitlines():
            assert self.line() == line

    def ask(self, line, pattern):
        self.send(line)
        return self.expect(pattern)

    def play(self, dialogue):
        """Sends lines that begin with `C: `, and checks answers by patterns that begin with `S: `."""
        for step in dialogue.strip('\n').split('\n'):
            who, _, text = step.lstrip().partition(' ')
            if who == 'C:':
                self.send(text)
            else:
                assert who == 'S:', step
                self.expect(text)

    def rest(self):
        """Returns all bytes up to the end."""
        parts = [self.buffer]
        self.buffer = b''
        while data := self.read():
            parts.append(data)
        return b''.join(parts)

    def take(self, length):
        """Returns exactly this number of bytes."""
        while len(self.buffer) < length:
            data = self.read()
            assert data, f'the end came {length - len(self.buffer)} bytes too early'
            self.buffer += data
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def closes_with(self, pattern):
        """Checks the last answer: nothing comes behind it."""
        last = self.rest().decode('latin-1')
        assert last.endswith('\r\n') and matches(pattern, last[:-2]), f'{last!r} is not {pattern!r}'

    def is_silent(self, seconds=0.05):
        """Checks that nothing has come, and nothing comes for a moment."""
        raise NotImplementedError


class Client(Conversation):
    """A client in plaintext, over a socket or an object like one. It is a context manager."""

    def __init__(self, server, hello=None, receive_buffer=None):
        super().__init__()
        self.socket = tls.connect(server, receive_buffer)
        if getattr(self.socket, 'family', None) in (socket.AF_INET, socket.AF_INET6):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hello is not None:
            self.expect(hello)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def write(self, data):
        self.socket.sendall(data)

    def read(self):
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b''

    def is_silent(self, seconds=0.05):
        return not self.buffer and not select.select([self.socket], [], [], seconds)[0]

    def is_taken(self, server):
        """Waits until the server has read all that was sent."""
        ours, theirs = self.socket.getsockname(), self.socket.getpeername()

        def empty():
            with open('/proc/net/tcp', encoding='ascii') as file:
                for line in file:
                    fields = line.split()
                    if fields[1] == address(theirs) and fields[2] == address(ours):
                        return fields[4].endswith(':00000000')
            return False
        processes.until(empty, 'the server to read')

    def reset(self):
        """Breaks the connection by a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()

    def fin(self):
        """Ends our direction of the connection."""
        self.socket.shutdown(socket.SHUT_WR)

    def flood(self, source):
        """Sends chunks of `source` until the other side takes no more, and reads meanwhile; returns all that came."""
        came = [self.buffer]
        self.buffer = b''
        pending, chunks, open_ = b'', iter(source), True
        self.socket.setblocking(False)
        while True:
            pending = pending or next(chunks, b'')
            if not pending and open_:
                open_ = False
                self.fin()
            readable, writable, _ = select.select([self.socket], [self.socket] if pending else [], [], TIMEOUT)
            assert readable or writable, f'nothing moves; {came[-1][-200:]!r}'
            try:
                if writable:
                    pending = pending[self.socket.send(pending):]
                if readable:
                    data = self.socket.recv(65536)
                    if not data:
                        return b''.join(came)
                    came.append(data)
            except (ConnectionResetError, BrokenPipeError):
                return b''.join(came)

    def start_tls(self, dialect, ca):
        """Asks for TLS and does the handshake."""
        self.ask(dialect.starttls, dialect.go)
        return self.handshake(ca)

    def handshake(self, ca, version=None):
        assert not self.buffer
        return Inside(self.socket, ca, version)


def address(name):
    """Returns an IPv4 address and a port in the form of /proc/net/tcp."""
    host, port = name
    return f'{int.from_bytes(socket.inet_aton(host), "little"):08X}:{port:04X}'


class Inside(Conversation):
    """A client inside TLS."""

    def __init__(self, connection, ca, version=None):
        super().__init__()
        self.tls = tls.Client(Given(connection), ca, version)

    def write(self, data):
        self.tls.send(data)

    def read(self):
        return self.tls.receive()

    def is_silent(self, seconds=0.05):
        while not self.buffer and select.select([self.tls.socket], [], [], seconds)[0]:
            self.tls.fill()
            self.buffer = self.tls.decrypted() or b''
        return not self.buffer


class From:
    """A server for a client with another address."""

    def __init__(self, server, address):
        self.server = server
        self.address = address

    def connect(self, timeout):
        return socket.create_connection((self.server.host, self.server.port), timeout, (self.address, 0))


class Given:
    """A server to which the connection exists already."""

    def __init__(self, connection):
        self.connection = connection

    def connect(self, _timeout):
        return self.connection


# Two pipes in place of a socket

class Pipes:
    """Our ends of two pipes, with the methods of a socket that clients use."""

    def __init__(self, read_fd, write_fd):
        self.read_fd = read_fd
        self.write_fd = write_fd

    def fileno(self):
        return self.read_fd

    def sendall(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self.write_fd, view):]

    def recv(self, length):
        ready, _, _ = select.select([self.read_fd], [], [], TIMEOUT)
        assert ready, f'nothing came within {TIMEOUT} seconds'
        return os.read(self.read_fd, length)

    def shutdown(self, _how):
        if self.write_fd >= 0:
            os.close(self.write_fd)
        self.write_fd = -1

    def close(self):
        self.shutdown(socket.SHUT_RDWR)
        if self.read_fd >= 0:
            os.close(self.read_fd)
        self.read_fd = -1


class OnPipes(launch.Direct):
    """Starts postern with pipes as descriptors 0 and 1; each connect() makes a new pair."""

    def connect(self, timeout=TIMEOUT):
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        log = self.folder / f'log.{len(self.started)}'
        with open(log, 'wb') as file:
            process = subprocess.Popen(self.command, stdin=theirs_in, stdout=theirs_out, stderr=file,
                                       env=self.environment, start_new_session=True)
        os.close(theirs_in)
        os.close(theirs_out)
        process.log_file = log
        with self.news:
            self.started.append(process)
            self.news.notify_all()
        return Pipes(ours_in, ours_out)


# Handlers

# A small server that answers each line by a table and records what it gets: its environment in NAME.PID.environment,
# each read as a line of NAME.PID.input. NAME is `tls` or `plain`. Its arguments are a folder and a dictionary. The keys
# of the dictionary are verbs and these:
#   greeting       the greeting
#   tls_greeting   the greeting inside TLS, if it differs
#   default        the answer to all other lines
#   tagged         the verb is the second word; TAG in an answer stands for the first one
#   then           for a verb, the answers to the lines that follow it
#   echo           a verb after which all bytes are sent back
#   drip           send the greeting byte by byte
#   wait           greet inside TLS only when this file exists
#   probe          write `early` to the record if more bytes come before the answer
#   deaf           before TLS, ignore SIGTERM and the end of input
#   status         the exit status
HANDLER = r'''
import os, select, signal, sys, time
folder, spec = sys.argv[1], eval(sys.argv[2])
tls = 'SSL_PROTOCOL' in os.environ
name = '%s/%s.%d.' % (folder, 'tls' if tls else 'plain', os.getpid())
record = os.open(name + 'input', os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
with open(name + 'new', 'wb') as file:
    file.write(b'\0'.join(b'='.join(item) for item in os.environb.items()))
os.rename(name + 'new', name + 'environment')
if spec.get('deaf') and not tls:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

def early():
    if select.select([0], [], [], 0.05)[0]:
        os.write(record, b'early\n')

def write(data):
    while data:
        data = data[os.write(1, data):]

if 'wait' in spec and tls:
    while not os.path.exists(spec['wait']):
        time.sleep(0.005)
    early()
greeting = spec['tls_greeting' if tls and 'tls_greeting' in spec else 'greeting']
for number in range(len(greeting) if spec.get('drip') else 0):
    write(greeting[number:number + 1])
if not spec.get('drip'):
    write(greeting)
pending, answers, echo = b'', [], False
while True:
    data = os.read(0, 65536)
    if not data:
        while spec.get('deaf') and not tls:
            signal.pause()
        break
    if echo:
        write(data)
        continue
    os.write(record, b'got ' + repr(data).encode() + b'\n')
    pending += data
    while b'\n' in pending and not echo:
        line, _, pending = pending.partition(b'\n')
        if spec.get('probe'):
            early()
        if not answers:
            words = line.split() + [b'', b'']
            tag, verb = words[:2] if spec.get('tagged') else (b'', words[0])
            verb = verb.decode('latin-1').upper()
            answers = [spec.get(verb, spec['default']), *spec.get('then', {}).get(verb, [])]
        write(answers.pop(0).replace(b'TAG', tag))
        if verb in ('QUIT', 'LOGOUT'):
            sys.exit(spec.get('status', 0))
        echo = not answers and verb == spec.get('echo')
    if echo:
        write(pending)
sys.exit(spec.get('status', 0))
'''

# A smaller server for tests with many connections: no record, one greeting, one answer.
TINY = 'printf "$0"; while read -r tag line; do printf "$1" "$tag"; done'


def python(script, *words):
    return [sys.executable, '-I', '-S', '-c', script, *map(str, words)]


def shell(script, *words):
    """Returns a handler in shell; its words are $0, $1 ..."""
    return ['/bin/sh', '-c', script, *map(str, words)]


def printable(text):
    """Returns bytes in the notation of printf(1)."""
    return text.decode().replace('%', '%%').replace('\r\n', r'\r\n')


def tiny(dialect):
    return shell(TINY, printable(dialect.service['greeting']),
                 printable(dialect.service['default']).replace('TAG', '%s'))


@dataclass
class Run:
    """The record of one process of the handler."""
    tls: bool
    pid: int
    environment: dict
    reads: list
    early: bool

    @property
    def input(self):
        return b''.join(self.reads)


class Recorder:
    """A handler with a table of answers, and the records of all its processes."""

    def __init__(self, folder, service, **more):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o777)
        self.command = python(HANDLER, self.folder, {**service, **more})

    def runs(self):
        """Returns all processes that have sent their greeting, in the order of their start."""
        found = []
        for path in sorted(self.folder.glob('*.environment'), key=lambda file: file.stat().st_mtime_ns):
            name, pid, _ = path.name.split('.')
            lines = path.with_suffix('.input').read_bytes().splitlines()
            found.append(Run(
                tls=name == 'tls', pid=int(pid),
                environment=dict(word.split('=', 1) for word in path.read_bytes().decode().split('\0')),
                reads=[eval(line[4:]) for line in lines if line.startswith(b'got ')],
                early=b'early' in lines))
        return found

    def run(self, inside):
        """Returns the only process before TLS, or the only one inside it."""
        [run] = [run for run in self.runs() if run.tls == inside]
        return run

    def everything(self):
        """Returns all bytes that the processes have got, and their environments."""
        return b'\n'.join(path.read_bytes() for path in self.folder.iterdir())


# Sessions that go on in plaintext: a handler in shell that accepts a login and then runs other commands.

@dataclass
class Way:
    """A way out of the lobby without TLS: lines, each with the handler's answer."""
    dialect: Dialect
    options: list
    lines: list

    @property
    def greeting(self):
        """Returns the handler's greeting, which the client gets unchanged."""
        return {'imap': '* OK hello', 'pop3': '+OK hello'}.get(self.dialect.name, '220 hello')

    def handler(self, rest, *words):
        """Returns the handler; its words are $1, $2 ..."""
        answers = [answer for _, answer in self.lines]
        turns = 'read -r line; printf "%s\\r\\n" "$1"; shift; ' * len(answers)
        return shell('printf "%s\\r\\n" "$0"; ' + turns + rest, self.greeting, *answers, *words)

    def leave(self, client):
        for line, answer in self.lines:
            client.send(line)
            client.hears(answer.encode())


APOP = 'APOP bob c4c9334bac560ecc979e58001b3e22fb'
LOGIN = f'z LOGIN bob {PASSWORD}'
MAIL = ('MAIL FROM:<ann@example.org>', '250 ok')
WAYS = {
    'by DATA under auth': Way(SMTP, ['--policy=auth'], [MAIL, ('DATA', '354 go on')]),
    'by APOP under auth': Way(POP3, ['--policy=auth'], [(APOP, '+OK in')]),
    'by LOGIN under optional': Way(IMAP, ['--policy=optional'], [(LOGIN, 'z OK in')]),
    'by LOGIN of a trusted client': Way(IMAP, ['--policy=required', '--trusted=local'], [(LOGIN, 'z OK in')]),
}
# States in which TLS can't begin any more, but the lobby still reads commands.
HALF_WAYS = {'by MAIL under auth': Way(SMTP, ['--policy=auth'], [MAIL])}


def counted(conversation):
    """Makes a conversation count its bytes, as `sent` and `came`."""
    write, read = conversation.write, conversation.read

    def count_write(data):
        conversation.sent += len(data)
        write(data)

    def count_read():
        data = read()
        conversation.came += len(data)
        return data
    conversation.sent = conversation.came = 0
    conversation.write, conversation.read = count_write, count_read
    return conversation


def has_no_secret(text):
    text = text if isinstance(text, str) else text.decode('latin-1')
    for secret in SECRETS:
        assert secret not in text, text


def handlers_of(server, number=0):
    """Returns the handlers of a connection: its processes but postern's own."""
    return [child for child in tls.children(server.process(number).pid) if child.name not in tls.OUR_NAMES]
