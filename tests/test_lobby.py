# SPDX-License-Identifier: GPL-2.0-or-later
"""The plaintext conversation before TLS: what is said, and that nothing of it gets through STARTTLS."""

import itertools
import signal

import pytest

from harness import lobby, processes, tls
from harness.lobby import DIALECTS, IMAP, LMTP, NNTP, POP3, SIEVE, SMTP, Client, Recorder

dialects = pytest.mark.parametrize('dialect', DIALECTS, ids=repr)
policies = pytest.mark.parametrize('policy', ['required', 'auth'])


@pytest.fixture
def enter(serve, tmp_path):
    """enter(dialect, option...) starts a server with a handler that keeps a record, or with the one in `handler`."""
    def start(dialect, *options, handler=None, service=None, **more):
        recorder = Recorder(tmp_path / 'records', dialect.service, **service or {})
        server = serve(handler or recorder.command, dialect.option, f'--name={lobby.HOST}', *options, **more)
        server.recorder = recorder
        return server
    return start


def is_refused(server, policy, words):
    """The client broke the protocol: postern said so, no handshake was begun, and no handler got a byte."""
    end = server.wait()
    assert end.summary['end'] == 'protocol-error', end.log
    assert words in end.log
    assert 'tls' not in end.summary
    if policy == 'required':
        assert end.status == 65
        assert server.recorder.runs() == []
    else:
        assert server.recorder.run(inside=False).input == b''
    return end


def leaves_in_order(inside, dialect):
    """A session inside TLS, in short."""
    inside.send(dialect.quit)
    assert inside.rest().endswith(b'\r\n')


# The dialogue

@dialects
def test_dialogue_under_required_is_as_the_protocol_has_it_and_starts_no_handler(enter, dialect):
    server = enter(dialect)
    with Client(server, dialect.hello) as client:
        client.play(dialect.dialogue)
        assert client.rest() == b''
        assert not lobby.handlers_of(server)
    end = server.wait()
    assert end.status == 0
    assert (end.summary['start'], end.summary['dialect'], end.summary['end']) == ('starttls', dialect.name, 'left')
    assert 'handler' not in end.summary
    assert server.recorder.runs() == []
    lobby.has_no_secret(end.log)


@dialects
@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_after_starttls_the_session_goes_on_inside_tls_with_a_handler_that_starts_only_then(
        enter, pki, dialect, version):
    server = enter(dialect)
    with Client(server, dialect.hello) as client:
        client.ask(dialect.capability, dialect.capabilities)
        client.ask(dialect.starttls, dialect.go)
        assert [child.name in tls.OUR_NAMES for child in tls.children(server.process().pid)] == [True]
        assert server.recorder.runs() == []
        inside = client.handshake(pki.ca, version)
        if dialect is SIEVE:    # RFC 5804 section 2.2: the capabilities come again
            inside.hears(dialect.service['greeting'])
        inside.send(dialect.capability)
        inside.hears(dialect.answer(dialect.capability))
        inside.send(dialect.quit)
        inside.hears(dialect.answer(dialect.quit))
        assert inside.rest() == b''
    end = server.wait()
    assert end.status == 0
    assert end.summary['start'] == 'starttls'
    assert end.summary['tls'] == f'TLSv{version}'
    assert end.summary['handler'] == '0'
    run = server.recorder.run(inside=True)
    assert run.input == f'{dialect.capability}\r\n{dialect.quit}\r\n'.encode()
    assert run.environment['SSL_PROTOCOL'] == f'TLSv{version}'
    assert run.environment['SSL_TLS_SNI'] == 'localhost'
    assert run.environment['TCPREMOTEIP'] == '127.0.0.1'


@dialects
def test_password_typed_before_starttls_reaches_no_handler_and_no_log(enter, pki, dialect):
    server = enter(dialect, '--verbose')
    with Client(server, dialect.hello) as client:
        for line, _ in dialect.logins:
            client.ask(line, dialect.need_tls)
        for bare in (lobby.PASSWORD, lobby.SECRET, f'x {lobby.PASSWORD}', f'{lobby.PASSWORD} {lobby.PASSWORD}'):
            client.send(bare)
            client.line()
        leaves_in_order(client.start_tls(dialect, pki.ca), dialect)
    end = server.wait()
    assert end.status == 0
    for _, verb in dialect.logins:
        assert f'{verb} before TLS refused by --policy=required' in end.log
    lobby.has_no_secret(end.log)
    lobby.has_no_secret(server.recorder.everything())
    assert len(server.recorder.runs()) == 1


@dialects
@policies
def test_starttls_inside_tls_reaches_the_handler_untouched_and_we_advertise_nothing(enter, pki, dialect, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server, dialect.greets(policy)) as client:
        inside = client.start_tls(dialect, pki.ca)
        if dialect is SIEVE:
            inside.hears(dialect.service['greeting'])
        said = [dialect.capability, dialect.starttls, dialect.starttls + ' now', dialect.capability, dialect.quit]
        for line in said:
            inside.send(line)
            inside.hears(dialect.answer(line))
        assert inside.rest() == b''
    assert server.wait().status == 0
    assert server.recorder.run(inside=True).input.decode().splitlines() == said


# STARTTLS lets nothing through

BEHIND = {
    'a command': b'x NOOP\r\n',
    'a ClientHello': tls.client_hello(versions=[tls.TLS12]),
    'a byte': b'x',
    'a line end': b'\n',
    'a NUL': b'\0',
}


@dialects
@pytest.mark.parametrize('policy, behind', [('required', behind) for behind in [*BEHIND, 'STARTTLS again']]
                         + [('auth', 'a command'), ('auth', 'a ClientHello'), ('auth', 'STARTTLS again')])
def test_bytes_behind_starttls_in_one_segment_end_the_connection_without_a_handshake(enter, dialect, policy, behind):
    server = enter(dialect, f'--policy={policy}')
    line = dialect.starttls.encode() + b'\r\n'
    with Client(server, dialect.greets(policy)) as client:
        client.send(line + BEHIND.get(behind, line))
        assert client.rest() == b''
    is_refused(server, policy, 'plaintext behind STARTTLS: an injection attack (CVE-2011-0411)')


@dialects
def test_starttls_at_the_end_of_pipelined_commands_is_accepted_and_with_one_behind_it_refused(enter, pki, dialect):
    server = enter(dialect)
    together = f'{dialect.noop}\r\n{dialect.noop}\r\n{dialect.starttls}\r\n'.encode()
    with Client(server, dialect.hello) as client:
        client.send(together)
        for pattern in (dialect.done, dialect.done, dialect.go):
            client.expect(pattern)
        leaves_in_order(client.handshake(pki.ca), dialect)
    assert server.wait().status == 0
    with Client(server, dialect.hello) as client:
        client.send(together + dialect.noop.encode() + b'\r\n')
        for pattern in (dialect.done, dialect.done):
            client.expect(pattern)
        assert client.rest() == b''
    assert server.wait().status == 65


LATER = {
    'a command': b'x NOOP\r\n',
    'a password': lobby.SECRET.encode() + b'\r\n',
    'a command and a ClientHello': b'x NOOP\r\n' + tls.client_hello(versions=[tls.TLS12]),
    'a NUL': bytes(100),
}


@dialects
@pytest.mark.parametrize('policy, later', [('required', later) for later in [*LATER, 'STARTTLS again']]
                         + [('auth', 'a command')])
def test_plaintext_after_the_answer_to_starttls_is_a_failed_handshake_and_never_a_command(
        enter, dialect, policy, later):
    server = enter(dialect, f'--policy={policy}')
    line = dialect.starttls.encode() + b'\r\n'
    with Client(server, dialect.greets(policy)) as client:
        client.ask(dialect.starttls, dialect.go)
        client.send(LATER.get(later, line))
        client.fin()
        assert client.rest() == b''
    end = server.wait()
    assert end.status == 76
    assert end.summary['end'] == 'handshake-failed'
    assert 'handshake failed: ' in end.log
    assert [run.input for run in server.recorder.runs()] == ([] if policy == 'required' else [b''])
    lobby.has_no_secret(end.log)


@dialects
@policies
def test_starttls_with_an_argument_is_refused_and_the_lobby_goes_on(enter, pki, dialect, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server, dialect.greets(policy)) as client:
        client.ask(dialect.starttls + ' now', dialect.malformed)
        client.ask(dialect.noop, dialect.done)
        client.ask(dialect.starttls + ' ' + dialect.starttls, dialect.malformed)
        leaves_in_order(client.start_tls(dialect, pki.ca), dialect)
    assert server.wait().status == 0
    if policy == 'auth':
        assert server.recorder.run(inside=False).input == dialect.noop.encode() + b'\r\n'


@dialects
@pytest.mark.parametrize('how', ['in capitals', 'in small letters', 'ended by a bare LF', 'cut before its LF',
                                 'byte by byte'])
def test_starttls_is_understood(enter, pki, dialect, how):
    server = enter(dialect)
    line = dialect.starttls.encode()
    pieces = {
        'in capitals': [line.upper() + b'\r\n'],
        'in small letters': [line.lower() + b'\r\n'],
        'ended by a bare LF': [line + b'\n'],
        'cut before its LF': [line + b'\r', b'\n'],
        'byte by byte': [bytes([byte]) for byte in line + b'\r\n'],
    }[how]
    with Client(server, dialect.hello) as client:
        for piece in pieces:
            client.send(piece)
            if piece is not pieces[-1]:
                client.is_taken(server)
        client.expect(dialect.go.replace('a0', '[aA]0'))
        leaves_in_order(client.handshake(pki.ca), dialect)
    assert server.wait().status == 0


# Silence, half lines, and the end

@policies
def test_client_that_says_nothing_whole_is_timed_out_in_the_words_of_each_protocol(enter, policy):
    waiting = []
    for dialect in DIALECTS:
        server = enter(dialect, f'--policy={policy}', '--timeout-lobby=2', handler=lobby.tiny(dialect))
        silent, half, busy = (Client(server) for _ in range(3))
        for client in (silent, half, busy):
            client.up_to(lobby.WELCOME)
        half.send(dialect.starttls.encode())
        busy.send(dialect.noop)
        busy.line()
        waiting.append((dialect, server, (silent, half, busy)))
    for dialect, server, clients in waiting:
        for client in clients:
            with client:
                client.closes_with(dialect.timeout)
            end = server.wait()
            assert end.status == (75 if policy == 'required' else 0)
            assert end.summary['end'] == 'timeout-lobby'
            assert 'client did nothing useful before --timeout-lobby was over' in end.log


def test_client_that_sends_a_byte_from_time_to_time_is_timed_out_all_the_same(enter):
    server = enter(SMTP, '--timeout-lobby=1')
    with Client(server, SMTP.hello) as client:
        for byte in itertools.cycle(b'NOOP '):
            client.send(bytes([byte]))
            if not client.is_silent(0.1):
                break
        client.closes_with(SMTP.timeout)
    assert server.wait().status == 75


@dialects
@pytest.mark.parametrize('how', ['in an orderly way', 'by reset'])
def test_client_that_leaves_after_any_byte_of_the_dialogue_leaves_nothing_behind(enter, dialect, how):
    server = enter(dialect)
    dialogue = f'{dialect.noop}\r\n{dialect.starttls}\r\n'.encode()
    for length in range(len(dialogue) + 1):
        # Every other one does not even wait for the greeting.
        with Client(server, dialect.hello if length % 2 else None) as client:
            client.send(dialogue[:length])
            if how == 'by reset':
                client.reset()
            else:
                client.fin()
                client.rest()
    for length in range(len(dialogue) + 1):
        end = server.wait()
        assert (end.status, end.summary['end']) == (0, 'left'), (dialogue[:length], end.log)
    assert server.recorder.runs() == []


@dialects
def test_client_that_leaves_after_any_byte_of_a_dialogue_with_a_handler_ends_it(enter, dialect):
    server = enter(dialect, '--policy=optional', handler=lobby.tiny(dialect))
    dialogue = f'{dialect.noop}\r\n{dialect.starttls}\r\n'.encode()
    for length in range(len(dialogue) + 1):
        with Client(server) as client:
            client.send(dialogue[:length])
            if length % 2:
                client.fin()
                client.rest()
    for length in range(len(dialogue) + 1):
        end = server.wait()
        # The handler's status, if it was still the handler.
        assert (end.status, end.summary['end']) == (0, 'left'), (dialogue[:length], end.log)


@dialects
def test_half_a_line_and_the_end_is_no_command(enter, dialect):
    server = enter(dialect, '--policy=auth')
    with Client(server, dialect.auth_hello) as client:
        client.send(dialect.quit.encode())
        client.fin()
        assert client.rest() == b''
    end = server.wait()
    assert (end.status, end.summary['end']) == (0, 'left')
    assert server.recorder.run(inside=False).input == b''


@dialects
@policies
def test_sigterm_in_the_lobby_is_told_to_the_client(enter, dialect, policy):
    server = enter(dialect, f'--policy={policy}', handler=lobby.tiny(dialect))
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        server.process().send_signal(signal.SIGTERM)
        client.closes_with(dialect.unavailable)
    end = server.wait()
    assert end.status == (75 if policy == 'required' else 143)
    assert end.summary['end'] == 'sigterm'


# Limits

@dialects
def test_line_of_1000_bytes_is_answered_and_one_of_1001_ends_the_connection(enter, dialect):
    server = enter(dialect)
    start = dialect.noop + ' ' * 3
    with Client(server, dialect.hello) as client:
        client.send((start + 'x' * (998 - len(start))).encode() + b'\r\n')
        client.line()
        client.send((start + 'x' * (999 - len(start))).encode() + b'\n')
        client.line()
        client.send((start + 'x' * (999 - len(start))).encode() + b'\r\n')
        client.closes_with(dialect.too_long)
    is_refused(server, 'required', 'client sent a line of more than 1000 bytes before TLS')


@dialects
@policies
def test_ten_megabytes_without_a_line_end_are_not_read_and_the_answer_still_arrives(enter, dialect, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server, dialect.greets(policy)) as client:
        said = client.flood(b'x' * 65536 for _ in range(160))
    assert lobby.matches(dialect.too_long + r'\r\n', said.decode())
    end = is_refused(server, policy, 'client sent a line of more than 1000 bytes before TLS')
    assert int(end.summary['in']) <= 1000


@dialects
@policies
def test_twenty_commands_are_answered_and_the_21st_ends_the_connection(enter, dialect, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server, dialect.greets(policy)) as client:
        for _ in range(20):
            client.ask(dialect.noop, dialect.done)
        client.send(dialect.noop)
        client.closes_with(dialect.too_many)
    end = server.wait()
    assert end.status == (65 if policy == 'required' else 0)
    assert end.summary['end'] == 'protocol-error'
    assert 'client sent more than 20 commands before TLS' in end.log


@dialects
@policies
def test_twenty_refused_logins_are_answered_and_the_21st_ends_the_connection(enter, dialect, policy):
    server = enter(dialect, f'--policy={policy}')
    line, verb = dialect.logins[0]
    with Client(server, dialect.greets(policy)) as client:
        for _ in range(20):
            client.ask(line, dialect.need_tls if policy == 'required' else dialect.no_password)
        client.send(line)
        client.closes_with(dialect.too_many)
    end = server.wait()
    assert end.status == (65 if policy == 'required' else 0), end.log
    assert end.summary['end'] == 'protocol-error'
    assert end.log.count(f'{verb} before TLS refused') == 1, 'one line for all of them'
    assert '19 more commands before TLS refused' in end.log
    assert 'client sent more than 20 commands before TLS' in end.log


@dialects
@policies
def test_ten_thousand_commands_get_twenty_answers_and_a_last_word(enter, dialect, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server, dialect.greets(policy)) as client:
        said = client.flood([(dialect.noop + '\r\n').encode() * 10000])
    assert lobby.matches(rf'({dialect.done}\r\n){{20}}{dialect.too_many}\r\n', said.decode())
    end = server.wait()
    assert end.summary['end'] == 'protocol-error'
    if policy == 'auth':
        assert len(server.recorder.run(inside=False).reads) == 20


def test_reply_to_a_command_with_the_longest_tag_is_whole_and_a_longer_one_is_refused(enter):
    server = enter(IMAP)
    tag = 'T' * 128
    with Client(server, IMAP.hello) as client:
        for command, answer in [('NOOP', 'OK'), ('LIST', r'NO \[PRIVACYREQUIRED\]'), ('XYZZY', 'BAD')]:
            client.ask(f'{tag} {command}', rf'{tag} {answer} .+')
        client.ask(f'{tag} CAPABILITY', IMAP.capabilities.replace('b OK', f'{tag} OK'))
        for length in (129, 1000 - len(' NOOP\r\n')):
            client.ask('T' * length + ' NOOP', r'\* BAD .+')
    assert server.wait().status == 0


# Bytes that have no place in a command

BYTES = {
    'a NUL before a command': b'\0LINE\r\n',
    'a NUL behind a command': b'LINE\0\r\n',
    'a NUL inside a command': b'LI\0NE\r\n',
    'a bare CR before a command': b'\rLINE\r\n',
    'a bare CR inside a command': b'LI\rNE\r\n',
    'a bare CR as line end': b'LINE\rLINE\r\n',
    'two CRs before the LF': b'LINE\r\r\n',
}


@dialects
@pytest.mark.parametrize('name', BYTES)
def test_line_is_refused_and_ends_the_connection_for(enter, dialect, name):
    server = enter(dialect)
    half = len(dialect.starttls) // 2
    data = BYTES[name].replace(b'LI', dialect.starttls[:half].encode()).replace(b'NE', dialect.starttls[half:].encode())
    with Client(server, dialect.hello) as client:
        client.send(data)
        client.closes_with(dialect.too_long)
    is_refused(server, 'required', 'client sent a NUL or a bare CR before TLS')


@pytest.mark.parametrize('length', [b'\x02\x00', b'\x06\x0a', b'\x0d\x0a'], ids=['', 'with an LF in its length', 'CR LF'])
@dialects
def test_tls_at_once_is_named_in_the_log(enter, dialect, length):
    server = enter(dialect)
    with Client(server, dialect.hello) as client:
        client.send(b'\x16\x03\x01' + length + b'\x01\x00\x01\xfc\x03\x03' + bytes(505))
        client.closes_with(dialect.too_long)
    is_refused(server, 'required', 'client begins TLS at once, but here it has to say STARTTLS first')


@dialects
@pytest.mark.parametrize('data', [b'\0\r\n', b'x\rx\r\n'], ids=['a NUL', 'a bare CR'])
def test_no_handler_gets_a_line_with(enter, dialect, data):
    server = enter(dialect, '--policy=auth')
    with Client(server, dialect.auth_hello) as client:
        client.send(dialect.noop.encode() + data)
        client.closes_with(dialect.too_long)
    is_refused(server, 'auth', 'client sent a NUL or a bare CR before TLS')


@dialects
def test_bare_lf_is_a_line_end(enter, dialect):
    server = enter(dialect)
    with Client(server, dialect.hello) as client:
        client.send(f'{dialect.noop}\n{dialect.capability}\n{dialect.noop}\r\n'.encode())
        for pattern in (dialect.done, dialect.capabilities, dialect.done):
            client.expect(pattern)
        client.send(f'{dialect.quit}\n'.encode())
        client.closes_with(dialect.bye)
    assert server.wait().status == 0


@dialects
def test_8_bit_bytes_are_an_unknown_command_and_do_not_reach_the_log(enter, dialect):
    server = enter(dialect, '--verbose')
    every = bytes(range(128, 256))
    with Client(server, dialect.hello) as client:
        for line in (every, every + b' ' + every, b'x ' + every, dialect.starttls.encode() + every,
                     dialect.starttls.encode() + b' ' + every):
            client.send(line + b'\r\n')
            assert lobby.matches(r'(x |a0 |\* )?(BAD|-ERR|5\d\d|NO) .+', client.line())
        client.ask(dialect.quit, dialect.bye)
    assert server.wait().status == 0
    assert server.log().isascii()


# Bytes that are announced

REFUSED = [
    (IMAP, 'a LOGIN {7}', r'a NO \[PRIVACYREQUIRED\] .+'), (IMAP, 'a LOGIN bob {7}', r'a NO \[PRIVACYREQUIRED\] .+'),
    (IMAP, 'a AUTHENTICATE PLAIN {7}', r'a NO \[PRIVACYREQUIRED\] .+'), (IMAP, 'a NOOP {0}', 'a BAD .+'),
    (IMAP, 'a STARTTLS {5}', 'a BAD .+'), (IMAP, 'a XYZZY {99999999999999999999}', 'a BAD .+'),
    (SIEVE, 'AUTHENTICATE "PLAIN" {7}', 'NO .+'), (SIEVE, 'NOOP {7}', 'NO .+'), (SIEVE, 'STARTTLS {7}', 'NO .+'),
]
FATAL = [
    (IMAP, 'a LOGIN {7+}'), (IMAP, 'a LOGIN bob {7+}'), (IMAP, 'a NOOP {0+}'), (IMAP, 'a STARTTLS {5+}'),
    (IMAP, '* {5+}'), (IMAP, '{5+}'), (IMAP, 'a AUTHENTICATE PLAIN {7+}'), (IMAP, 'a LOGIN {7-}'),
    (SIEVE, 'AUTHENTICATE "PLAIN" {7+}'), (SIEVE, 'STARTTLS {7+}'), (SIEVE, 'PUTSCRIPT "x" {7+}'), (SIEVE, '{7+}'),
    (SMTP, 'BDAT 7'), (SMTP, 'BDAT 7 LAST'), (LMTP, 'bdat 7'),
    (NNTP, 'TAKETHIS <x@example.org>'),
]


def named(table):
    return [pytest.param(*row, id=f'{row[0].name} {row[1]}') for row in table]


@policies
@pytest.mark.parametrize('dialect, line, answer', named(REFUSED))
def test_literal_that_waits_to_be_asked_for_is_refused_and_not_asked_for(enter, dialect, line, answer, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server, dialect.greets(policy)) as client:
        client.ask(line, answer)
        client.ask(dialect.noop, dialect.done)
        client.ask(dialect.quit, dialect.bye)
        assert client.rest() == b''
    end = server.wait()
    assert end.status == 0
    logs_login = 'LOGIN' in line or 'AUTHENTICATE' in line
    assert (f' before TLS refused by --policy={policy}; if a password was sent' in end.log) == logs_login
    if policy == 'auth':
        assert server.recorder.run(inside=False).input == f'{dialect.noop}\r\n{dialect.quit}\r\n'.encode()


@policies
@pytest.mark.parametrize('dialect, line', named(FATAL))
def test_bytes_that_follow_without_being_asked_for_end_the_connection(enter, dialect, line, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server, dialect.greets(policy)) as client:
        client.send(f'{line}\r\n{dialect.starttls}\r\n{lobby.PASSWORD}\r\n'.encode())
        client.closes_with(dialect.too_long)
    end = is_refused(server, policy, 'client sent data that nobody asked for before TLS')
    lobby.has_no_secret(end.log)


# Two pipes, which can't be peeked into

@dialects
def test_on_two_pipes_the_dialogue_is_the_same(enter, dialect):
    server = enter(dialect, launcher=lobby.OnPipes)
    with Client(server, dialect.hello) as client:
        client.play(dialect.dialogue)
        assert client.rest() == b''
    assert server.wait().status == 0


@dialects
@pytest.mark.parametrize('pieces', ['whole lines', 'single bytes'])
def test_on_two_pipes_the_session_goes_on_inside_tls(enter, pki, dialect, pieces):
    server = enter(dialect, launcher=lobby.OnPipes)
    with Client(server, dialect.hello) as client:
        for line, pattern in [(dialect.capability, dialect.capabilities), (dialect.starttls, dialect.go)]:
            line = line.encode() + b'\r\n'
            for piece in [line] if pieces == 'whole lines' else [bytes([byte]) for byte in line]:
                client.send(piece)
            client.expect(pattern)
        leaves_in_order(client.handshake(pki.ca), dialect)
    end = server.wait()
    assert end.status == 0
    assert end.summary['tls'] == 'TLSv1.3'
    assert server.recorder.run(inside=True).input == dialect.quit.encode() + b'\r\n'


@dialects
@pytest.mark.parametrize('behind', ['a command', 'a ClientHello', 'a byte'])
def test_on_two_pipes_bytes_behind_starttls_end_the_connection(enter, dialect, behind):
    server = enter(dialect, launcher=lobby.OnPipes)
    with Client(server, dialect.hello) as client:
        client.send(dialect.starttls.encode() + b'\r\n' + BEHIND[behind])
        assert client.rest() == b''
        is_refused(server, 'required', 'plaintext behind STARTTLS: an injection attack')


@dialects
def test_on_two_pipes_a_client_that_leaves_after_any_byte_leaves_nothing_behind(enter, dialect):
    server = enter(dialect, launcher=lobby.OnPipes)
    dialogue = f'{dialect.noop}\r\n{dialect.starttls}\r\n'.encode()
    for length in range(len(dialogue) + 1):
        with Client(server, dialect.hello) as client:
            client.send(dialogue[:length])
            if length % 2:
                client.fin()
                client.rest()
    for length in range(len(dialogue) + 1):
        end = server.wait()
        assert (end.status, end.summary['end']) == (0, 'left'), (dialogue[:length], end.log)


@dialects
def test_on_two_pipes_limits_hold(enter, dialect):
    server = enter(dialect, launcher=lobby.OnPipes)
    with Client(server, dialect.hello) as client:
        client.send(b'x' * 1001)
        client.closes_with(dialect.too_long)
    is_refused(server, 'required', 'client sent a line of more than 1000 bytes before TLS')
    with Client(server, dialect.hello) as client:
        client.send((dialect.noop + '\r\n').encode() * 30)
        for _ in range(20):
            client.expect(dialect.done)
        client.closes_with(dialect.too_many)
    is_refused(server, 'required', 'client sent more than 20 commands before TLS')


# The fresh handler

@dialects
@pytest.mark.parametrize('policy', ['auth', 'optional'])
def test_handler_after_starttls_is_a_new_process_that_knows_nothing_of_the_plaintext(enter, pki, dialect, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        client.ask(dialect.noop, dialect.done)
        before = server.recorder.run(inside=False)
        assert [process.pid for process in lobby.handlers_of(server)] == [before.pid]
        client.ask(dialect.starttls, dialect.go)
        processes.until(lambda: not lobby.handlers_of(server), 'the end of the first handler')
        inside = client.handshake(pki.ca)
        if dialect is SIEVE:
            inside.hears(dialect.service['greeting'])
        inside.send(dialect.noop)
        inside.hears(dialect.answer(dialect.noop))
        after = server.recorder.run(inside=True)
        assert [process.pid for process in lobby.handlers_of(server)] == [after.pid]
        leaves_in_order(inside, dialect)
    assert server.wait().status == 0
    assert before.pid != after.pid
    assert not [name for name in before.environment if name.startswith(('SSL_', 'POSTERN_'))]
    assert after.environment['SSL_PROTOCOL'] == 'TLSv1.3'
    assert after.environment['SSL_CIPHER'].startswith('TLS_')
    assert before.environment['TCPREMOTEPORT'] == after.environment['TCPREMOTEPORT']
    after = server.recorder.run(inside=True)
    assert after.input == f'{dialect.noop}\r\n{dialect.quit}\r\n'.encode()


def test_handler_of_the_plaintext_that_will_not_end_is_killed_and_does_not_delay_tls(enter, pki):
    server = enter(SMTP, '--policy=auth', '--timeout-grace=1', service={'deaf': True})
    with Client(server, SMTP.auth_hello) as client:
        client.ask(SMTP.starttls, SMTP.go)
        old = server.recorder.run(inside=False)
        inside = client.handshake(pki.ca)
        inside.ask(SMTP.noop, SMTP.done)
        assert old.pid in [process.pid for process in lobby.handlers_of(server)]
        processes.until(lambda: len(lobby.handlers_of(server)) == 1, 'the first handler to be killed')
        inside.ask(SMTP.noop, SMTP.done)
    end = server.wait()
    assert end.summary['end'] in ('truncated', 'reset')


HALF = [(POP3, 'USER bob', '+OK'), (NNTP, 'AUTHINFO USER bob', '381 more'), (SMTP, 'HELO liar', '250 handler'),
        (IMAP, 'z LOGIN bob secret', 'z NO no'), (SIEVE, 'AUTHENTICATE "PLAIN" "AAAA"', 'NO')]


@pytest.mark.parametrize('dialect, line, answer', [pytest.param(*row, id=repr(row[0])) for row in HALF])
def test_half_a_login_in_plaintext_is_forgotten_by_starttls(enter, pki, dialect, line, answer):
    verb = line.split()[dialect is IMAP]
    server = enter(dialect, '--policy=optional', service={verb: answer.encode() + b'\r\n'})
    with Client(server) as client:
        client.up_to(lobby.WELCOME)
        client.send(line)
        client.line()
        inside = client.start_tls(dialect, pki.ca)
        if dialect is SIEVE:
            inside.up_to(lobby.WELCOME)
        inside.send(dialect.noop)
        inside.hears(dialect.answer(dialect.noop))
    assert server.wait().status == 0
    assert server.recorder.run(inside=False).input == line.encode() + b'\r\n'
    assert server.recorder.run(inside=True).input == dialect.noop.encode() + b'\r\n'
