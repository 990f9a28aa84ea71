# SPDX-License-Identifier: GPL-2.0-or-later
"""A mail body is never taken for commands: what it holds arrives byte for byte, however the connection is made."""

import os
from contextlib import ExitStack

import pytest

from harness import clients, daemons, debian, dialogues, starttls

COMMANDS = [
    b'STARTTLS', b'starttls', b'STLS', b'EHLO x', b'LHLO x', b'HELO x', b'AUTH PLAIN AAAA', b'AUTH LOGIN', b'QUIT',
    b'RSET', b'NOOP', b'MAIL FROM:<eve@example.org>', b'RCPT TO:<eve@example.org>', b'DATA', b'BDAT 4 LAST',
    b'a LOGIN x y', b'a STARTTLS', b'a AUTHENTICATE PLAIN AAAA', b'a LOGOUT', b'a APPEND INBOX {5}',
    b'a APPEND INBOX {5+}', b'USER x', b'PASS y', b'APOP x y', b'DELE 1', b'CAPA', b'CAPABILITIES', b'LOGOUT',
    b'250 STARTTLS', b'+OK', b'-ERR', b'* OK', b'* BYE', b'a OK', b'{5}', b'{5+}', b')',
]
LINES = [
    *COMMANDS, b'.', b'..', b'...', b'. ', b'.QUIT', b'..QUIT', b'', b'.', b'', b' ', b'\t', b'ends in blanks   ',
    b'x' * 998, b'.' * 998, b'STARTTLS ' + b'y' * 991, b'z' * 2000,     # longer than a line may be in the lobby
    bytes(range(0x80, 0x100)), 'grüße, 日本語, \U0001f4ec'.encode(), b'\xff\xfb\x01', b'\x01\x07\x1b[31m\x7f', b'.\xe9',
    b'\x16\x03\x01\x02\xfc\x01\x04\x01\xf8\x03\x03',    # much as a ClientHello begins; IMAP can't keep a NUL
]
HEADER = (b'From: Ann <ann@example.org>\r\nTo: Bob <bob@example.org>\r\nSubject: body\r\n'
          b'Date: Thu, 01 Jan 2026 12:00:00 +0000\r\nMessage-ID: <body@example.org>\r\n\r\n')
# More than all the buffers on the way hold, and each line once at every place in a small one.
BODY = b''.join(line + b'\r\n' for number in range(40) for line in [*LINES, b'w' * number])
MESSAGE = HEADER + BODY
LAST = daemons.message(b'last', b'The session went on.\r\n')

# How the client comes to speak: start, policy.
WAYS = [('plaintext', 'auth'), ('plaintext', 'optional'),
        ('starttls', 'required'), ('starttls', 'auth'), ('starttls', 'optional'), ('immediate', None)]
PASSWORD_WAYS = WAYS[1:]    # where a password may be sent
pytestmark = pytest.mark.big(4)
every_way = pytest.mark.parametrize('start, policy', WAYS)
every_way_with_a_password = pytest.mark.parametrize('start, policy', PASSWORD_WAYS)


@pytest.fixture
def connect(serve, pki):
    """connect(name, start, policy): a daemon, and a client of Python's that is ready to speak to it."""
    class Connected:
        def __init__(self, name, start, policy):
            self.daemon = stack.enter_context(starttls.start(name))
            protocol = self.daemon.protocol
            options = [] if start == 'immediate' else [f'--starttls={protocol}', f'--policy={policy}']
            self.server = serve(self.daemon.argv, f'--stdio={starttls.stdio(name)}', *options)
            self.start = start
            self.client = starttls.by_python(protocol, self.server, start, clients.context(pki.ca))
            stack.callback(lambda: self.client.sock and self.client.sock.close())

        def check(self):
            """postern ended as it should."""
            end = self.server.wait()
            assert end.status == 0, end.log
            assert (end.summary['start'], 'tls' in end.summary) == (self.start, self.start != 'plaintext')

    with ExitStack() as stack:
        yield Connected


def is_stored(stored, message):
    """The daemon has put header lines of its own in front, and changed nothing else."""
    assert stored.endswith(message)
    assert stored.partition(b'\r\n\r\n')[2] == message.partition(b'\r\n\r\n')[2]


def both_are_stored(daemon):
    last, stored = sorted(daemon.stored(), key=len)     # names of files don't always tell the order
    is_stored(stored, MESSAGE)
    is_stored(last, LAST)


def envelope(daemon):
    return f'MAIL FROM:<ann@example.org>\r\nRCPT TO:<{daemon.user or "bob@example.org"}>\r\nDATA\r\n'.encode()


def pieces(data, sizes=(1, 2, 3, 61, 997, 4096)):
    """Cut in pieces of these sizes, again and again."""
    position = number = 0
    while position < len(data):
        size = sizes[number % len(sizes)]
        yield data[position:position + size]
        position += size
        number += 1


@every_way
@pytest.mark.parametrize('name', ['exim', 'dovecot-lmtp'])
def test_a_body_of_commands_sent_by_smtplib_is_stored_byte_for_byte(connect, name, start, policy):
    the = connect(name, start, policy)
    the.client.ehlo_or_helo_if_needed()
    for message in (MESSAGE, LAST):
        assert the.client.mail('ann@example.org')[0] == 250
        assert the.client.rcpt(the.daemon.user or 'bob@example.org')[0] == 250
        assert the.client.data(message)[0] == 250
    the.client.quit()
    the.check()
    both_are_stored(the.daemon)


@every_way
@pytest.mark.parametrize('name', ['exim', 'dovecot-lmtp'])
def test_a_body_of_commands_behind_a_pipelined_envelope_is_stored_byte_for_byte(connect, name, start, policy):
    """RFC 2920: MAIL, RCPT and DATA come in one piece, the next MAIL right behind the body, all that in odd pieces."""
    the = connect(name, start, policy)
    the.client.ehlo_or_helo_if_needed()
    the.client.sock.sendall(envelope(the.daemon))
    assert [the.client.getreply()[0] for _ in range(3)] == [250, 250, 354]
    for piece in pieces(dialogues.dotted(MESSAGE) + envelope(the.daemon)):
        the.client.sock.sendall(piece)
    assert [the.client.getreply()[0] for _ in range(4)] == [250, 250, 250, 354]
    the.client.sock.sendall(dialogues.dotted(LAST) + b'QUIT\r\n')
    assert [the.client.getreply()[0] for _ in range(2)] == [250, 221]
    the.client.close()
    the.check()
    both_are_stored(the.daemon)


@every_way_with_a_password
@pytest.mark.parametrize('name', ['courier-imap', 'mailutils-imap4d'])
def test_a_body_of_commands_appended_by_imaplib_is_fetched_byte_for_byte(connect, name, start, policy):
    the = connect(name, start, policy)
    the.client.login(the.daemon.user, the.daemon.password)
    assert the.client.append('INBOX', None, None, MESSAGE)[0] == 'OK'
    fetch_and_compare(the.client)
    the.client.logout()
    the.check()
    if name == 'courier-imap':
        stored = [text for folder in ('new', 'cur') for text in maildir(the.daemon, folder)]
        assert [text for text in stored if b'Subject: body' in text] == [MESSAGE]


def fetch_and_compare(client):
    assert client.select('INBOX') == ('OK', [b'4'])
    [number] = client.search(None, 'SUBJECT', 'body')[1][0].split()
    _, answer = client.fetch(number, '(BODY.PEEK[])')
    assert dialogues.without_own_headers(answer[0][1]) == MESSAGE


def maildir(daemon, folder):
    return daemons.MailUser(daemon.user, 0, f'/home/{daemon.user}').maildir(folder)


@every_way_with_a_password
def test_a_body_of_commands_in_a_literal_behind_a_pipelined_login_is_fetched_byte_for_byte(connect, start, policy):
    """RFC 7888: LOGIN, APPEND and its literal come in one piece, and no answer is awaited in between."""
    the = connect('mailutils-imap4d', start, policy)
    login = f'a LOGIN {the.daemon.user} {the.daemon.password}\r\n'.encode()
    the.client.sock.sendall(login + b'b APPEND INBOX {%d+}\r\n' % len(MESSAGE) + MESSAGE + b'\r\n')
    for tag in (b'a', b'b'):
        while not (line := the.client.readline()).startswith(tag):
            assert line.startswith(b'*'), line
        assert line.startswith(tag + b' OK'), line
    the.client.state = 'AUTH'
    fetch_and_compare(the.client)
    the.client.logout()
    the.check()


@every_way_with_a_password
@pytest.mark.parametrize('name', ['popa3d', 'mailutils-pop3d'])
def test_a_body_of_commands_is_retrieved_by_poplib_byte_for_byte(connect, name, start, policy):
    the = connect(name, start, policy)
    mbox = debian.ROOT / 'var/mail' / the.daemon.user
    for message in (MESSAGE, LAST):
        with open(mbox, 'r+b') as file:     # not 'ab': the kernel may forbid to create in this folder what is another's
            file.seek(0, os.SEEK_END)
            file.write(b'From ann@example.org Thu Jan  1 12:00:00 2026\n' + daemons.lf(message) + b'\n')
    starttls.age(the.daemon)
    the.client.user(the.daemon.user)
    the.client.pass_(the.daemon.password)
    for number, message in ((4, MESSAGE), (5, LAST)):
        _, lines, _ = the.client.retr(number)
        assert dialogues.without_own_headers(b'\r\n'.join(lines) + b'\r\n') == message
    the.client.quit()
    the.check()
