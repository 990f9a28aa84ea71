# SPDX-License-Identifier: GPL-2.0-or-later
"""UCSPI-TLS: the handler holds the plaintext conversation itself, on the network socket, and asks for TLS."""

import os
import signal
import smtplib

import pytest

from harness import clients, daemons, debian, faults, lobby, processes, tls
from harness.lobby import Client
from harness.pki import Pair

VERSIONS = ['1.2', '1.3']

# Its words are a folder and what it does: y or Y, ask for TLS by that and echo; plain, echo in plaintext after SSLCTLFD
# is closed; quit, answer one line and end; dies, ask for TLS and be killed; anything else is written to SSLCTLFD, and its end awaited.
HANDLER = r'''
import os, select, socket, sys
folder, mode = sys.argv[1:]
control, read, write = (int(os.environ[name]) for name in ('SSLCTLFD', 'SSLREADFD', 'SSLWRITEFD'))

def record(name, data):
    with open('%s/%s.new' % (folder, name), 'wb') as file:
        file.write(data)
    os.rename('%s/%s.new' % (folder, name), '%s/%s' % (folder, name))

def take_line():
    line = b''
    while not line.endswith(b'\n') and (byte := os.read(0, 1)):
        line += byte
    return line

def send(fd, data):
    while data:
        data = data[os.write(fd, data):]

record('environment', b'\0'.join(b'='.join(item) for item in os.environb.items()))
record('peers', ' '.join('%s:%d' % socket.socket(fileno=os.dup(fd)).getpeername() for fd in (0, 1)).encode())
if mode == 'plain':
    os.close(control)
send(1, b'hello\r\n')
line = take_line()
record('line', line)
if mode == 'plain':
    while line:
        send(1, line)
        line = take_line()
    sys.exit(3)
send(1, b'go\r\n')
if mode == 'quit':
    sys.exit(3)
if mode == 'dies':
    send(control, b'y')
    record('asked', b'')
    os.kill(os.getpid(), 9)
send(control, mode.encode())
block = b''
if mode == 'Y':
    while not block.endswith(b'\0\0') and (data := os.read(control, 4096)):
        block += data
elif mode != 'y':
    try:
        record('answer', os.read(control, 100))
    except ConnectionResetError:    # bytes that nobody read
        record('answer', b'')
    sys.exit(3)
record('block', block)
while data := os.read(read, 65536):
    send(write, data)
more = select.select([control], [], [], 0)[0] and os.read(control, 100)
record('more', more or b'')
send(write, b'bye\r\n')
sys.exit(3)
'''


@pytest.fixture
def enter(serve, tmp_path):
    """enter(mode, option...) starts a server with that handler; its files are in the server's `record`."""
    def start(mode, *options, **more):
        record = tmp_path / f'record.{mode}'
        record.mkdir()
        record.chmod(0o777)
        server = serve(lobby.python(HANDLER, record, mode), '--ucspi-tls', *options, **more)
        server.record = record
        return server
    return start


def variables(data):
    return dict(word.split('=', 1) for word in data.decode().split('\0') if word)


def ask_for_tls(client):
    client.expect('hello')
    client.ask('STARTTLS', 'go')


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('mode', ['y', 'Y'])
def test_handler_that_asks_gets_tls_and_bytes_go_both_ways(enter, pki, mode, version):
    server = enter(mode)
    data = bytes(range(256)) * 4096
    with Client(server) as client:
        ours = '{}:{}'.format(*client.socket.getsockname())
        ask_for_tls(client)
        inside = client.handshake(pki.ca, version)
        got = bytearray()
        inside.tls.exchange([data], got.extend)
        inside.tls.has_fin()
    assert got == data + b'bye\r\n'
    end = server.wait()
    assert end.status == 3
    assert end.summary['start'] == 'ucspi-tls'
    assert end.summary['tls'] == f'TLSv{version}'
    assert (end.summary['handler'], end.summary['end']) == ('3', 'client-close')
    assert (end.summary['in'], end.summary['out']) == (str(len(data)), str(len(data) + 5))

    assert (server.record / 'peers').read_text() == f'{ours} {ours}'
    before = variables((server.record / 'environment').read_bytes())
    assert 'UCSPITLS' in before
    assert f"{before['TCPREMOTEIP']}:{before['TCPREMOTEPORT']}" == ours
    assert not [name for name in before if name.startswith('SSL_')]
    block = (server.record / 'block').read_bytes()
    if mode == 'y':
        assert block == b''
    else:
        assert block.endswith(b'\0\0') and b'\0\0' not in block[:-2] and not block.startswith(b'\0')
        after = variables(block)
        assert after['SSL_PROTOCOL'] == f'TLSv{version}'
        assert after['SSL_CIPHER'] == end.summary['cipher']
        assert after['SSL_TLS_SNI'] == 'localhost'
        assert after['SSL_SESSION_RESUMED'] == 'Initial'
    assert (server.record / 'more').read_bytes() == b''


def test_handler_that_never_asks_has_its_session_in_plaintext(enter):
    server = enter('quit')
    with Client(server) as client:
        ask_for_tls(client)
        assert client.rest() == b''
    end = server.wait()
    assert end.status == 3
    assert (end.summary['handler'], end.summary['end']) == ('3', 'handler-close')
    assert 'tls' not in end.summary


def test_handler_that_closes_its_control_descriptor_goes_on_in_plaintext_as_long_as_it_likes(enter):
    server = enter('plain', '--timeout-grace=1')
    with Client(server) as client:
        client.expect('hello')
        client.ask('one', 'one')
        assert client.is_silent(2)
        client.ask('two', 'two')
        client.fin()
        assert client.rest() == b''
    end = server.wait()
    assert end.status == 3, end.log
    assert (end.summary['handler'], end.summary['end']) == ('3', 'handler-close')
    assert 'SIGTERM' not in end.log


@pytest.mark.parametrize('byte', ['x', '\n', '1y'])
def test_handler_that_writes_something_else_to_its_control_descriptor_gets_no_tls(enter, byte):
    server = enter(byte)
    with Client(server) as client:
        ask_for_tls(client)
        assert client.rest() == b''
    end = server.wait()
    assert end.status == 3
    assert 'tls' not in end.summary
    assert 'the handler wrote something else than y or Y to SSLCTLFD' in end.log
    assert (server.record / 'answer').read_bytes() == b''


@pytest.mark.parametrize('mode', ['y', 'Y'])
@pytest.mark.parametrize('garbage', [b'x NOOP\r\n', bytes(100), b'EHLO x\r\n'], ids=['a command', 'NULs', 'EHLO'])
def test_client_that_sends_garbage_in_place_of_a_clienthello_ends_the_handlers_input(enter, mode, garbage):
    server = enter(mode)
    with Client(server) as client:
        ask_for_tls(client)
        client.send(garbage)
        assert client.rest() == b''
    end = server.wait()
    assert end.status != 0      # the handler's: it finds nobody to say its last words to
    assert end.summary['end'] == 'handshake-failed'
    assert 'handshake failed: client ' in end.log
    assert (server.record / 'block').read_bytes() == b''


def test_plaintext_behind_the_command_that_the_handler_has_not_read_is_a_failed_handshake(enter):
    server = enter('y')
    with Client(server) as client:
        client.expect('hello')
        client.send(b'STARTTLS\r\nx NOOP\r\n' + tls.client_hello(versions=[tls.TLS12]))
        client.expect('go')
        assert client.rest() == b''
    end = server.wait()
    assert end.summary['end'] == 'handshake-failed'
    assert 'tls' not in end.summary


def test_client_that_leaves_before_its_clienthello_ends_the_handlers_input(enter):
    server = enter('y')
    with Client(server) as client:
        ask_for_tls(client)
    end = server.wait()
    assert end.summary['end'] == 'left'
    assert (server.record / 'block').read_bytes() == b''


def test_client_that_leaves_in_plaintext_is_the_handlers_to_notice(enter):
    server = enter('plain')
    with Client(server) as client:
        client.expect('hello')
    assert server.wait().status == 3


@pytest.mark.parametrize('fault', ['no such file', 'another key'])
def test_without_a_usable_certificate_no_handler_is_started(enter, pki, tmp_path, fault):
    cert = tmp_path / 'missing' if fault == 'no such file' else pki.ecdsa.cert
    server = enter('y', pair=Pair(cert, pki.leaf('other').key, pki.ca))
    with Client(server) as client:
        assert client.read() == b''
    end = server.wait()
    assert end.status == 78
    assert end.summary['end'] == 'configuration'
    assert 'handler' not in end.summary


def test_handler_that_cannot_be_started_is_told_and_everything_ends(serve):
    server = serve(['/nowhere/handler'], '--ucspi-tls')
    with Client(server) as client:
        assert client.read() == b''
    end = server.wait()
    assert end.status == 69
    assert end.summary['end'] == 'no-handler'
    assert 'handler /nowhere/handler cannot be started: No such file or directory' in end.log


@pytest.mark.parametrize('said', ['nothing', 'a ClientHello'])
def test_handler_that_dies_while_the_handshake_goes_on_is_named_as_the_end(enter, said):
    server = enter('dies')
    with Client(server) as client:
        ask_for_tls(client)
        if said != 'nothing':
            client.send(tls.client_hello(versions=[tls.TLS12]))
        client.rest()
    end = server.wait()
    assert end.status == 128 + 9
    assert end.summary['end'] == 'handler-close', end.log
    assert 'was killed by signal 9' in end.log
    assert 'handler ended before the handshake that it asked for was done' in end.log


def test_a_request_is_heard_before_the_end_of_the_handler_that_made_it(enter):
    server = enter('dies')
    with Client(server) as client:
        client.expect('hello')
        monitor = server.process()
        gate = faults.gate_of(monitor)
        os.kill(gate, signal.SIGSTOP)
        client.ask('STARTTLS', 'go')
        # Both are there for the gate to see when it goes on.
        processes.until(lambda: not [p for p in processes.descendants(monitor.pid) if p.pid != gate], 'the handler to end')
        os.kill(gate, signal.SIGCONT)
        client.rest()
    end = server.wait()
    assert end.summary['end'] == 'handler-close', end.log
    assert 'handler ended before the handshake that it asked for was done' in end.log


# Debian's mailfront

@pytest.fixture
def mailfront(serve):
    return serve(debian.inside('/usr/sbin/smtpfront-echo', 'starttls-ucspi', 'accept'), '--ucspi-tls')


class Smtp(smtplib.SMTP):
    """Connected to a server of ours."""

    def __init__(self, server):
        self.server = server
        super().__init__(clients.NAME, server.port, 'client.example.org')

    def _get_socket(self, host, port, timeout):
        return self.server.connect()


@pytest.mark.parametrize('version', VERSIONS)
def test_mailfront_gets_three_megabytes_by_smtplib_after_starttls(mailfront, pki, version):
    client = Smtp(mailfront)
    client.ehlo()
    assert client.has_extn('starttls')
    code, _ = client.starttls(context=clients.context(pki.ca, version))
    assert code == 220
    client.ehlo()
    assert not client.has_extn('starttls')
    client.mail('ann@example.org')
    client.rcpt('bob@example.org')
    code, answer = client.data(daemons.MESSAGES[1])
    assert code == 250
    assert answer == b'Received %d bytes.' % len(daemons.lf(daemons.MESSAGES[1]))
    client.quit()
    end = mailfront.wait()
    assert end.status == 0
    assert (end.summary['start'], end.summary['tls']) == ('ucspi-tls', f'TLSv{version}')


def test_mailfront_gets_mail_in_plaintext_if_the_client_wants_no_tls(mailfront):
    client = Smtp(mailfront)
    client.ehlo()
    client.sendmail('ann@example.org', ['bob@example.org'], daemons.MESSAGES[1])
    client.quit()
    end = mailfront.wait()
    assert end.status == 0
    assert 'tls' not in end.summary
