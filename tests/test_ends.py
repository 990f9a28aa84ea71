# SPDX-License-Identifier: GPL-2.0-or-later
"""Every way in which a session can end: by the client, by the handler, by a signal, by time.

After each test the harness looks for zombies and orphans.
"""

import os
import signal
import socket
import sys

import pytest

from harness import processes, tls

VERSIONS = ['1.2', '1.3']
STDIO = ['pipe', 'socket']
MEGABYTE = 1 << 20
CAT = ['/bin/cat']
SLEEP = ['/bin/sleep', '1000']      # ignores the end of its standard input
SMALL = 16384       # a receive buffer that is full at once

versions = pytest.mark.parametrize('version', VERSIONS)
stdios = pytest.mark.parametrize('stdio', STDIO)


def shell(script, *words):
    """A handler in shell; its words are $0, $1 ..."""
    return ['/bin/sh', '-c', script, *map(str, words)]


def python(script, *words):
    return [sys.executable, '-I', '-S', '-c', script, *map(str, words)]


# Writes until nothing more fits anywhere, puts into a file how many bytes that were, and waits.
FILL = '''
import os, select, signal, sys
os.set_blocking(1, False)
total = 0
while select.select([], [1], [], 0.3)[1]:
    total += os.write(1, bytes(1000))
with open(sys.argv[1] + '.new', 'w') as file:
    file.write(str(total))
os.rename(sys.argv[1] + '.new', sys.argv[1])
signal.pause()
'''


# The client ends

@versions
@stdios
def test_after_the_clients_close_notify_the_handler_sees_the_end_and_its_output_still_flows(
        serve, pki, version, stdio):
    length = 3 * MEGABYTE
    server = serve(shell('cat; head -c $0 /dev/zero; echo over', length), f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        client.send(b'last words\n')
        client.close_notify()
        assert client.rest() == b'last words\n' + bytes(length) + b'over\n'
        client.has_fin()
    end = server.wait()
    assert end.status == 0
    assert end.summary['end'] == 'client-close'
    assert (end.summary['in'], end.summary['out']) == ('11', str(11 + length + 5))


@versions
def test_the_clients_close_notify_in_the_middle_of_a_download_does_not_cut_it_off(serve, pki, version):
    length = 8 * MEGABYTE
    server = serve(shell('head -c $0 /dev/zero; cat; echo over', length))
    with tls.Client(server, pki.ca, version, receive_buffer=SMALL) as client:
        assert client.take(1000) == bytes(1000)
        client.close_notify()
        assert client.rest() == bytes(length - 1000) + b'over\n'
        client.has_fin()
    assert server.wait().summary['end'] == 'client-close'


@versions
@stdios
def test_fin_without_close_notify_is_logged_as_truncated_and_ends_the_handlers_input(
        serve, pki, tmp_path, version, stdio):
    server = serve(shell('cat >"$0"; echo eof >>"$0"; echo over', tmp_path / 'input'), f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        client.send(b'half a message ')
        client.fin()
        assert client.rest() == b'over\n'
        client.has_fin()
    end = server.wait()
    assert end.status == 0
    assert end.summary['end'] == 'truncated'
    assert (tmp_path / 'input').read_text() == 'half a message eof\n'


@versions
@stdios
def test_reset_by_the_client_ends_the_handlers_input(serve, pki, tmp_path, version, stdio):
    server = serve(shell('cat >"$0"; echo eof >>"$0"', tmp_path / 'input'), f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        client.send(b'message ')
        processes.until(lambda: (tmp_path / 'input').exists() and (tmp_path / 'input').read_bytes(), 'the message')
        client.reset()
    end = server.wait()
    assert end.status == 0
    assert end.summary['end'] == 'reset'
    assert (tmp_path / 'input').read_text() == 'message eof\n'


@stdios
@pytest.mark.parametrize('how, endings', [
    ('fin', ['truncated']),
    ('reset', ['reset']),
    ('close', ['reset', 'truncated']),      # a reset if bytes were left unread
])
def test_client_that_vanishes_in_the_middle_of_a_download_ends_the_handler(serve, pki, stdio, how, endings):
    server = serve(['/usr/bin/yes'], f'--stdio={stdio}', '--timeout-grace=1')
    with tls.Client(server, pki.ca, receive_buffer=SMALL) as client:
        client.take(5000)
        if how == 'fin':
            client.fin()
            server.process().wait(tls.TIMEOUT)      # and nobody reads any more
        elif how == 'reset':
            client.reset()
    end = server.wait()
    assert end.summary['end'] in endings
    assert end.status != 0      # what yes says to a pipe that nobody reads


# The handler goes on too long

def test_handler_that_ignores_the_end_of_its_input_gets_sigterm_after_its_grace(serve, pki):
    server = serve(SLEEP, '--timeout-grace=1')
    with tls.Client(server, pki.ca) as client:
        client.close_notify()
        client.ends_in_order()
    end = server.wait()
    assert end.status == 128 + signal.SIGTERM
    assert end.summary['end'] == 'client-close'
    assert 'goes on without its client: SIGTERM' in end.log
    assert 'SIGKILL' not in end.log


def test_handler_that_ignores_sigterm_too_gets_sigkill(serve, pki):
    server = serve(shell('trap "" TERM; exec sleep 1000'), '--timeout-grace=1')
    with tls.Client(server, pki.ca) as client:
        client.close_notify()
        client.ends_in_order()
    end = server.wait()
    assert end.status == 128 + signal.SIGKILL
    assert 'goes on without its client: SIGTERM' in end.log
    assert 'ignores SIGTERM: SIGKILL' in end.log


@pytest.mark.parametrize('stdio, trap', [('pipe', ''), ('socket', 'trap "" TERM PIPE;')], ids=['meek', 'stubborn'])
def test_handler_that_floods_after_the_end_is_stopped_when_its_client_reads_no_more(serve, pki, stdio, trap):
    server = serve(shell(f'{trap} cat; exec cat /dev/zero'), f'--stdio={stdio}', '--timeout-grace=1')
    with tls.Client(server, pki.ca, receive_buffer=SMALL) as client:
        client.close_notify()
        end = server.wait()
    assert end.summary['end'] == 'client-close'
    assert end.status != 0


def test_handler_that_floods_for_ever_is_stopped_even_if_its_client_reads_on(serve, pki):
    """Output that somebody takes gets ten times the grace."""
    server = serve(shell('cat; exec yes'), '--timeout-grace=1')
    with tls.Client(server, pki.ca, receive_buffer=SMALL) as client:
        client.close_notify()
        client.socket.settimeout(30)
        while client.receive(1000):
            pass
        client.has_fin()
    end = server.wait()
    assert end.summary['end'] == 'client-close'
    assert end.status in (128 + signal.SIGPIPE, 128 + signal.SIGTERM)


# The handler ends

@versions
@stdios
@pytest.mark.parametrize('status', [0, 3, 255])
def test_all_that_the_handler_wrote_reaches_the_client_then_close_notify_then_fin(serve, pki, version, stdio, status):
    length = 5 * MEGABYTE
    server = serve(shell('head -c $0 /dev/zero; echo over; exit $1', length, status), f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version, receive_buffer=SMALL) as client:
        assert client.rest() == bytes(length) + b'over\n'
        client.has_fin()
    end = server.wait()
    assert end.status == status
    assert end.summary['handler'] == str(status)
    assert end.summary['end'] == 'handler-close'


@versions
@stdios
def test_what_the_client_still_sends_when_the_handler_has_ended_costs_it_no_byte_of_the_answer(
        serve, pki, version, stdio):
    """Unread bytes in a socket that is closed make the kernel send a reset, which would."""
    length = 2 * MEGABYTE
    server = serve(shell('head -c $0 /dev/zero', length), f'--stdio={stdio}')
    got = bytearray()
    with tls.Client(server, pki.ca, version) as client:
        client.exchange([bytes(tls.CHUNK)] * 16, got.extend, end=False)
        client.has_fin()
    assert got == bytes(length)
    end = server.wait()
    assert end.summary['end'] == 'handler-close'


def test_client_that_never_closes_is_left_after_the_grace(serve, pki):
    server = serve(['/bin/echo', 'over'], '--timeout-grace=1')
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'over\n'
        client.has_fin()
        end = server.wait()
    assert end.status == 0
    assert end.summary['end'] == 'handler-close'


@versions
@stdios
def test_handler_that_closes_its_output_ends_the_session_and_gets_the_end_of_its_input(
        serve, pki, tmp_path, version, stdio):
    close = {'pipe': 'exec >&-', 'socket': 'exec >/dev/null'}[stdio]
    if stdio == 'socket':   # its two descriptors are one socket: only a shutdown ends one direction
        handler = python('import os, socket, sys\n'
                         'socket.socket(fileno=os.dup(1)).shutdown(socket.SHUT_WR)\n'
                         'text = sys.stdin.read()\n'
                         'open(sys.argv[1], "w").write("eof")\n'
                         'sys.exit(5)', tmp_path / 'input')
    else:
        handler = shell(f'{close}; cat >/dev/null; printf eof >"$0"; exit 5', tmp_path / 'input')
    server = serve(handler, f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        client.ends_in_order()
    end = server.wait()
    assert (tmp_path / 'input').read_text() == 'eof'
    assert end.status == 5
    assert end.summary['end'] == 'handler-close'


def test_handler_that_closes_its_output_and_lives_on_gets_sigterm_after_its_grace(serve, pki):
    server = serve(shell('exec >&-; exec sleep 1000'), '--timeout-grace=1')
    with tls.Client(server, pki.ca) as client:
        client.ends_in_order()
    end = server.wait()
    assert end.status == 128 + signal.SIGTERM
    assert end.summary['end'] == 'handler-close'


@versions
@stdios
def test_handler_that_closes_its_input_can_still_write(serve, pki, tmp_path, version, stdio):
    os.mkfifo(tmp_path / 'go')
    server = serve(shell('exec <&-; echo one; read line <"$0"; head -c 1000000 /dev/zero; echo two', tmp_path / 'go'),
                   f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        assert client.take(4) == b'one\n'
        client.send(b'nobody reads this')
        client.send(bytes(1000))
        (tmp_path / 'go').write_text('now\n', encoding='ascii')
        assert client.rest() == bytes(1000000) + b'two\n'
        client.has_fin()
    end = server.wait()
    assert end.status == 0
    assert end.summary['end'] == 'handler-close'


@versions
@stdios
def test_handler_that_exits_while_a_child_of_it_holds_the_pipe_ends_the_session(serve, pki, tmp_path, version, stdio):
    os.mkfifo(tmp_path / 'go')
    server = serve(shell('(read line <"$0"; echo late) & echo $! >"$1"; head -c 100000 /dev/zero; echo over; exit 4',
                         tmp_path / 'go', tmp_path / 'child'), f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        assert client.rest() == bytes(100000) + b'over\n'
        client.has_fin()
    end = server.wait()
    assert end.status == 4
    assert end.summary['end'] == 'handler-close'
    (tmp_path / 'go').write_text('now\n', encoding='ascii')
    tls.all_end([int((tmp_path / 'child').read_text())])


@versions
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGHUP],
                         ids=lambda number: number.name)
def test_handler_that_is_killed_by_a_signal_is_told_in_log_and_status(serve, pki, version, number):
    server = serve(shell('ulimit -c 0; echo over; kill -$0 $$', int(number)))
    with tls.Client(server, pki.ca, version) as client:
        assert client.rest() == b'over\n'
        client.has_fin()
    end = server.wait()
    assert end.status == 128 + number
    assert end.summary['handler'] == str(128 + number)
    assert f'handler /bin/sh was killed by signal {int(number)} (' in end.log


# Phases of a connection, for signals to come in

class Phase:
    """A connection that has come so far and stays there."""

    def __init__(self, serve, pki, name, handler=None, **more):
        handlers = {'transfer': ['/bin/cat', '/dev/zero']}
        self.server = serve(handler or handlers.get(name, SLEEP), '--timeout-grace=1', **more)
        self.name = name
        if name in ('opening', 'handshake'):
            self.client = tls.Client(self.server, pki.ca, handshake=False)
            if name == 'handshake':
                self.client.socket.sendall(self.client.hello())
                self.client.fill()      # the server's answer is there; ours to it never comes
        else:
            self.client = tls.Client(self.server, pki.ca, receive_buffer=SMALL if name == 'transfer' else None)
            if name == 'transfer':
                self.client.take(100)
        self.monitor = self.server.process()
        self.gate = tls.gate_of(self.monitor)
        self.handler = tls.handler_of(self.monitor) if name in ('session', 'transfer') else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.socket.close()

    def pid_of(self, who):
        return {'monitor': self.monitor.pid, 'gate': self.gate, 'handler': self.handler}[who]


@pytest.fixture
def phase(serve, pki):
    return lambda name, *more, **others: Phase(serve, pki, name, *more, **others)


stop_signals = pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
                                       ids=lambda number: number.name)


@stop_signals
@pytest.mark.parametrize('name', ['opening', 'handshake'])
def test_stopped_before_the_session_the_connection_is_closed_and_no_handler_runs(phase, name, number):
    with phase(name) as the:
        the.monitor.send_signal(number)
        tls.ended(the.client.socket)
        end = the.server.wait()
    assert end.status == os.EX_TEMPFAIL
    assert end.summary['end'] == 'sigterm'
    assert 'handler' not in end.summary


@stop_signals
def test_stopped_in_an_idle_session_the_client_gets_an_orderly_end_and_the_handler_sigterm(phase, number):
    with phase('session') as the:
        the.monitor.send_signal(number)
        the.client.ends_in_order()
    end = the.server.wait()
    assert end.status == 128 + signal.SIGTERM
    assert end.summary['end'] == 'sigterm'


@versions
@stdios
@pytest.mark.parametrize('whom', ['monitor', 'group'])
def test_stopped_in_mid_transfer_all_that_the_handler_had_written_is_delivered(
        serve, pki, tmp_path, version, stdio, whom):
    server = serve(python(FILL, tmp_path / 'count'), f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version, receive_buffer=SMALL) as client:
        count = int(tls.wait_for_file(tmp_path / 'count'))
        if whom == 'monitor':
            server.process().terminate()
        else:
            os.killpg(server.process().pid, signal.SIGTERM)
        got = client.rest()
        client.has_fin()
    assert len(got) == count
    end = server.wait()
    assert end.status == 128 + signal.SIGTERM
    assert end.summary['end'] == 'sigterm'
    assert end.summary['out'] == str(count)


@stdios
def test_stopped_the_handler_can_still_say_goodbye(serve, pki, stdio):
    script = ('import os, signal\n'
              'def bye(*_):\n os.write(1, b"goodbye\\n")\n os._exit(9)\n'
              'signal.signal(signal.SIGTERM, bye)\n'
              'os.write(1, b"hello\\n")\n'
              'while True: signal.pause()')
    server = serve(python(script), f'--stdio={stdio}')
    with tls.Client(server, pki.ca) as client:
        assert client.take(6) == b'hello\n'
        server.process().terminate()
        assert client.rest() == b'goodbye\n'
        client.has_fin()
    assert server.wait().status == 9


@stdios
def test_stopped_nothing_new_is_read_from_the_client(serve, pki, tmp_path, stdio):
    server = serve(shell('trap "" TERM; echo hello; cat >"$0"; echo over', tmp_path / 'input'), f'--stdio={stdio}')
    with tls.Client(server, pki.ca) as client:
        client.take(6)
        client.send(b'before')
        tls.wait_for_file(tmp_path / 'input')
        server.process().terminate()
        assert client.take(5) == b'over\n'  # so its input has ended
        client.send(b'after')
        client.ends_in_order()
    end = server.wait()
    assert (tmp_path / 'input').read_bytes() == b'before'
    assert end.status == 0
    assert end.summary['in'] == '6'
    assert end.summary['end'] == 'sigterm'


def test_stopped_twice_is_stopped_once(phase):
    with phase('session') as the:
        the.monitor.terminate()
        the.monitor.terminate()
        the.client.ends_in_order()
    end = the.server.wait()
    assert end.status == 128 + signal.SIGTERM


def test_stopped_handler_and_client_that_both_stay_are_left_after_the_grace(serve, pki):
    server = serve(shell('trap "" TERM; echo hello; exec sleep 1000'), '--timeout-grace=1')
    with tls.Client(server, pki.ca) as client:
        client.take(6)
        server.process().terminate()
        end = server.wait()
    assert end.status == 128 + signal.SIGKILL
    assert end.summary['end'] == 'sigterm'


@pytest.mark.parametrize('name, who', [
    ('opening', 'monitor'), ('opening', 'gate'),
    ('handshake', 'monitor'), ('handshake', 'gate'),
    ('session', 'monitor'), ('session', 'gate'), ('session', 'handler'),
    ('transfer', 'monitor'), ('transfer', 'gate'), ('transfer', 'handler'),
])
def test_whoever_is_killed_the_client_sees_the_end_and_nothing_is_left(phase, name, who):
    with phase(name) as the:
        os.kill(the.pid_of(who), signal.SIGKILL)
        tls.ended(the.client.socket)
        if who == 'monitor':
            assert the.monitor.wait(tls.TIMEOUT) == -signal.SIGKILL
            tls.all_end([pid for pid in (the.gate, the.handler) if pid])
            return
    end = the.server.wait()
    if who == 'handler':
        assert end.status == 128 + signal.SIGKILL
        assert end.summary['end'] == 'handler-close'
    else:
        assert end.summary['end'] == 'gate-died'
        assert end.status == os.EX_SOFTWARE
        assert end.summary.get('handler') == {'session': str(128 + signal.SIGTERM),
                                              'transfer': str(128 + signal.SIGPIPE)}.get(name)


@versions
def test_handler_that_is_killed_leaves_its_client_an_orderly_end(serve, pki, version):
    server = serve(SLEEP)
    with tls.Client(server, pki.ca, version) as client:
        os.kill(tls.handler_of(server.process()), signal.SIGKILL)
        client.ends_in_order()
    assert server.wait().status == 128 + signal.SIGKILL


# Time

@pytest.mark.parametrize('name', ['opening', 'handshake'])
def test_handshake_time_out_closes_the_connection(serve, pki, name):
    server = serve(SLEEP, '--timeout-handshake=1')
    with tls.Client(server, pki.ca, handshake=False) as client:
        if name == 'handshake':
            client.socket.sendall(client.hello())
        tls.ended(client.socket)
    end = server.wait()
    assert end.status == os.EX_TEMPFAIL
    assert end.summary['end'] == 'timeout-handshake'
    assert 'handler' not in end.summary


@versions
def test_idle_time_out_gives_the_client_an_orderly_end_and_ends_the_handlers_input(serve, pki, tmp_path, version):
    server = serve(shell('cat; echo eof >"$0"', tmp_path / 'input'), '--timeout-idle=1')
    with tls.Client(server, pki.ca, version) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        client.ends_in_order()
    end = server.wait()
    assert end.summary['end'] == 'timeout-idle'
    assert end.status == 0
    assert (tmp_path / 'input').read_text() == 'eof\n'


def test_session_time_out_ends_even_a_busy_session(serve, pki):
    server = serve(['/bin/cat', '/dev/zero'], '--timeout-session=1')
    with tls.Client(server, pki.ca) as client:
        while client.receive():
            pass
        client.has_fin()
    end = server.wait()
    assert end.summary['end'] == 'timeout-session'
    assert end.summary['handler'] == str(128 + signal.SIGPIPE)


def test_session_time_out_ends_an_idle_session_and_the_grace_an_idle_handler(serve, pki):
    server = serve(SLEEP, '--timeout-session=1', '--timeout-grace=1')
    with tls.Client(server, pki.ca) as client:
        client.ends_in_order()
    end = server.wait()
    assert end.summary['end'] == 'timeout-session'
    assert end.status == 128 + signal.SIGTERM


# What breaks the session

@versions
@pytest.mark.parametrize('bytes_sent', [
    tls.record(23, bytes(100), tls.TLS12),
    tls.record(23, bytes(18000), tls.TLS12),
    b'EHLO client.example.org\r\n' * 10,
], ids=['forged', 'too-long', 'plaintext'])
def test_bytes_that_are_no_record_of_this_session_end_it(serve, pki, tmp_path, version, bytes_sent):
    server = serve(shell('cat >"$0"; echo eof >>"$0"', tmp_path / 'input'))
    with tls.Client(server, pki.ca, version) as client:
        client.socket.sendall(bytes_sent)
        tls.ended(client.socket)
    end = server.wait()
    assert end.summary['end'] == 'tls-error'
    assert (tmp_path / 'input').read_text() == 'eof\n'


def test_client_that_wants_to_renegotiate_is_refused(serve, pki):
    """In TLS 1.2; TLS 1.3 has no renegotiation."""
    server = serve(CAT)
    run = tls.openssl_client(server, '-tls1_2', '-CAfile', pki.ca, data=b'R\n')
    assert b'RENEGOTIATING' in run.stdout
    assert server.wait().summary['end'] == 'tls-error'


# The connection may be something else than one TCP socket

@pytest.mark.parametrize('start', ['stdio', 'pair', 'systemd'])
def test_ends_are_told_over_a_unix_socket_too(serve, pki, start):
    server = serve(CAT, family='unix', start=start)
    with tls.Client(server, pki.ca) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        client.close_notify()
        client.ends_in_order()
    end = server.wait()
    assert end.status == 0
    assert end.summary['end'] == 'client-close'
    assert end.summary['client'] == 'unix'


def test_connection_that_was_gone_before_postern_started_is_a_client_that_left(serve):
    ours, theirs = socket.socketpair()
    server = serve(CAT)
    ours.close()
    with theirs:
        server.spawn(theirs)
    end = server.wait()
    assert end.status == 0
    assert end.summary['end'] == 'left'
