# SPDX-License-Identifier: GPL-2.0-or-later
"""One small session in each protocol, over anything that carries bytes.

A Talk is two descriptors: a socket, two pipes, or the standard streams of openssl s_client or gnutls-cli.
"""

import os
import re
import select
import time


class Talk:
    """Sends lines and checks the answers."""

    def __init__(self, read_fd, write_fd, timeout=20):
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.timeout = timeout
        self.buffer = bytearray()

    def say(self, line):
        """Sends a line, or a text that ends in CR LF."""
        data = line if isinstance(line, bytes) else line.encode()
        if not data.endswith(b'\r\n'):
            data += b'\r\n'
        view = memoryview(data)
        while view:
            view = view[os.write(self.write_fd, view):]

    def more(self, deadline):
        """Reads what has come; returns False at the end."""
        ready, _, _ = select.select([self.read_fd], [], [], max(0, deadline - time.monotonic()))
        assert ready, f'no answer within {self.timeout} seconds; so far: {bytes(self.buffer[-500:])!r}'
        data = os.read(self.read_fd, 1 << 20)
        self.buffer += data
        return data != b''

    def cut(self, length):
        data = bytes(self.buffer[:length])
        del self.buffer[:length]
        return data

    def expect(self, pattern):
        """Reads up to a line that begins with `pattern`; returns all up to this line, with it."""
        deadline = time.monotonic() + self.timeout
        wanted = re.compile(pattern.encode())
        start = 0
        while True:
            end = self.buffer.find(b'\n', start) + 1
            if end == 0:
                assert self.more(deadline), f'the end came before {pattern!r}: {bytes(self.buffer[-500:])!r}'
            elif wanted.match(self.buffer, start, end):
                return self.cut(end)
            else:
                start = end

    def ask(self, line, pattern):
        self.say(line)
        return self.expect(pattern)

    def take(self, length):
        """Reads exactly this number of bytes."""
        deadline = time.monotonic() + self.timeout
        while len(self.buffer) < length:
            assert self.more(deadline), f'the end came after {len(self.buffer)} of {length} bytes'
        return self.cut(length)

    def rest(self):
        """Reads until the other side closes."""
        deadline = time.monotonic() + self.timeout
        while self.more(deadline):
            pass
        return self.cut(len(self.buffer))


def dotted(text):
    """Returns a text as SMTP, POP3 and NNTP send it: leading dots doubled, a dot in the last line."""
    return re.sub(rb'^\.', b'..', text, flags=re.MULTILINE) + b'.\r\n'


def undotted(text):
    """Returns the message in a multi-line answer, without the first line and the last dot."""
    body = text[text.index(b'\r\n') + 2:]
    assert body.endswith(b'\r\n.\r\n') or body == b'.\r\n', body[-50:]
    return re.sub(rb'^\.\.', b'.', body[:-3], flags=re.MULTILINE)


def imap(talk, daemon, numbers=(1, 2, 3)):
    """Logs in, lists, fetches and compares messages, logs out."""
    if daemon.preauth:
        talk.expect(r'\* PREAUTH')
    else:
        talk.expect(r'\* OK')
        talk.ask(f'a LOGIN {daemon.user} {daemon.password}', 'a OK')
    count = re.search(rb'^\* (\d+) EXISTS', talk.ask('b SELECT INBOX', 'b OK'), re.MULTILINE)
    assert int(count[1]) == len(daemon.messages)
    for number in numbers:
        talk.say(f'c{number} FETCH {number} BODY.PEEK[]')
        literal = re.search(rb'\{(\d+)\}\r\n$', talk.expect(rf'\* {number} FETCH [^\r\n]*\{{\d+\}}'))
        assert without_own_headers(talk.take(int(literal[1]))) == daemon.messages[number - 1]
        talk.expect(f'c{number} OK')
    assert b'* BYE' in talk.ask('d LOGOUT', 'd OK')


def pop3(talk, daemon, numbers=(1, 2, 3)):
    """Logs in, lists, retrieves and compares messages, quits."""
    if daemon.greets:
        talk.expect(r'\+OK')
    if not daemon.preauth:
        talk.ask(f'USER {daemon.user}', r'\+OK')
        talk.ask(f'PASS {daemon.password}', r'\+OK')
    assert len(talk.ask('LIST', r'\.\r').splitlines()) == len(daemon.messages) + 2
    for number in numbers:
        answer = talk.ask(f'RETR {number}', r'\.\r')
        assert answer.startswith(b'+OK')
        assert without_own_headers(undotted(answer)) == daemon.messages[number - 1]
    talk.ask('QUIT', r'\+OK')


def without_own_headers(message):
    """Returns a message without the header lines that mbox daemons add for themselves."""
    head, separator, body = message.partition(b'\r\n\r\n')
    lines = [line for line in head.split(b'\r\n') if not re.match(rb'(Status|X-IMAPbase|X-UID|X-UIDL):', line, re.I)]
    return b'\r\n'.join(lines) + separator + body


def smtp(talk, daemon, message, hello='EHLO client.example.org'):
    """Sends one message; returns the answer to it."""
    talk.expect('220 ')
    talk.ask(hello, '250 ')
    talk.ask('MAIL FROM:<ann@example.org>', '250 ')
    talk.ask(f'RCPT TO:<{daemon.user or "bob@example.org"}>', '250 ')
    talk.ask('DATA', '354 ')
    answer = talk.ask(dotted(message), r'\d+ ')
    talk.ask('QUIT', '221 ')
    assert answer.startswith(b'250 '), answer
    return answer


def lmtp(talk, daemon, message):
    return smtp(talk, daemon, message, 'LHLO client.example.org')


def nntp(talk, daemon):
    """Reads all articles of the test group, quits."""
    talk.expect('200 ')
    talk.ask('GROUP local.test', '211 3 1 3 ')
    for number, message in enumerate(daemon.messages, 1):
        answer = talk.ask(f'ARTICLE {number}', r'\.\r')
        assert answer.startswith(b'220 '), answer[:100]
        assert undotted(answer) == message
    talk.ask('QUIT', '205 ')


def sieve(talk, script):
    """Stores a script, gets it back, logs out."""
    talk.ask('CAPABILITY', 'OK')
    talk.say(b'PUTSCRIPT "test" {%d+}\r\n' % len(script) + script + b'\r\n')
    talk.expect('OK')
    answer = talk.ask('GETSCRIPT "test"', 'OK')
    assert answer.startswith(b'{%d}\r\n' % len(script) + script), answer
    talk.ask('LOGOUT', 'OK')
