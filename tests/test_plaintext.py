# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions that go on in plaintext end as those inside TLS do, and each byte of a connection is counted once.

That their keys are gone is in test_secrets.py, that their processes are locked in is in test_jail.py.
"""

import os
import signal

import pytest

from harness import lobby, processes, tls
from harness.lobby import DIALECTS, IMAP, POP3, SIEVE, SMTP, WAYS, Client, Recorder, counted

MEGABYTE = 1 << 20
SMALL = 16384       # a receive buffer that is full at once
MAIL, LOGIN = 'by DATA under auth', 'by LOGIN under optional'
TERM, KILL, PIPE = (128 + number for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGPIPE))

dialects = pytest.mark.parametrize('dialect', DIALECTS, ids=repr)
ways = pytest.mark.parametrize('way', WAYS)
stdios = pytest.mark.parametrize('stdio', ['pipe', 'socket'])


@pytest.fixture
def enter(serve, tmp_path):
    """enter(dialect, option...) starts a server with a handler that keeps a record."""
    def start(dialect, *options, **service):
        recorder = Recorder(tmp_path / 'records', dialect.service, **service)
        server = serve(recorder.command, dialect.option, f'--name={lobby.HOST}', *options)
        server.recorder = recorder
        return server
    return start


def ends(server, ending, status, client):
    """It ended so, and the summary has exactly the bytes that this client has sent and got."""
    end = server.wait()
    assert (end.summary['end'], end.status, end.summary['start']) == (ending, status, 'plaintext'), end.log
    assert (end.summary['in'], end.summary['out']) == (str(client.sent), str(client.came)), end.log
    assert not {'tls', 'cipher', 'sni', 'resumed'} & set(end.summary)
    return end


# Bytes are counted

def say(client, dialect, *lines):
    for line in lines:
        client.send(line)
        client.hears(dialect.answer(line))


@dialects
@pytest.mark.parametrize('policy', ['required', 'auth', 'optional'])
def test_in_and_out_are_those_of_the_lobby_and_of_the_session_inside_tls(enter, pki, dialect, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server) as client:
        counted(client)
        client.up_to(lobby.WELCOME)
        if policy != 'optional':
            client.ask(dialect.logins[0][0], dialect.need_tls if policy == 'required' else dialect.no_password)
        client.ask(dialect.noop, dialect.done)
        inside = counted(client.start_tls(dialect, pki.ca))
        if dialect is SIEVE:
            inside.up_to(lobby.WELCOME)
        say(inside, dialect, dialect.noop)
        inside.tls.close_notify()
        assert inside.rest() == b''
    end = server.wait()
    assert end.summary['start'] == 'starttls'
    assert (end.summary['in'], end.summary['out']) == (str(client.sent + inside.sent), str(client.came + inside.came))


@dialects
def test_in_and_out_are_those_of_the_lobby_and_of_the_session_that_goes_on_in_plaintext(enter, dialect):
    line = lobby.APOP if dialect is POP3 else dialect.leave
    verb = line.upper().split()[dialect is IMAP]
    yes = {'sieve': b'OK\r\n', 'nntp': b'281 in\r\n'}.get(dialect.name, dialect.answer(line))
    server = enter(dialect, '--policy=optional', echo=verb, **{verb: yes})
    with Client(server) as client:
        counted(client)
        client.up_to(lobby.WELCOME)
        client.ask(dialect.noop, dialect.done)
        client.send(line)
        client.hears(yes)
        client.send(bytes(100000))
        assert client.take(100000) == bytes(100000)
        client.fin()
        assert client.rest() == b''
    ends(server, 'client-close', 0, client)


@dialects
@pytest.mark.parametrize('policy', ['required', 'auth', 'optional'])
def test_in_and_out_are_those_of_a_lobby_in_which_all_ends(enter, dialect, policy):
    server = enter(dialect, f'--policy={policy}')
    with Client(server) as client:
        counted(client)
        client.up_to(lobby.WELCOME)
        client.ask(dialect.noop, dialect.done)
        client.send(dialect.quit)
        client.rest()
    summary = server.wait().summary
    assert (summary['in'], summary['out'], summary['end']) == (str(client.sent), str(client.came), 'left')


# The client ends

@ways
@stdios
def test_after_the_clients_end_the_handler_sees_it_and_its_output_still_flows(go_on, way, stdio):
    server, client = go_on(way, 'cat; head -c $1 /dev/zero; echo over; exit 7', f'--stdio={stdio}', words=[3 * MEGABYTE])
    client.send(b'last words\n')
    client.fin()
    assert client.rest() == b'last words\n' + bytes(3 * MEGABYTE) + b'over\n'
    ends(server, 'client-close', 7, client)


@stdios
def test_reset_by_the_client_ends_the_handlers_input(go_on, tmp_path, stdio):
    server, client = go_on(MAIL, 'cat >"$1"; echo eof >>"$1"', f'--stdio={stdio}', words=[tmp_path / 'input'])
    client.send(b'message ')
    processes.until(lambda: (tmp_path / 'input').exists() and (tmp_path / 'input').read_bytes(), 'the message')
    client.reset()
    ends(server, 'reset', 0, client)
    assert (tmp_path / 'input').read_text() == 'message eof\n'


def test_handler_that_goes_on_without_its_client_gets_sigterm_after_its_grace_and_then_sigkill(go_on):
    server, client = go_on(MAIL, 'exec sleep 1000', '--timeout-grace=1')
    stubborn, other = go_on(LOGIN, 'trap "" TERM; echo hello; exec sleep 1000', '--timeout-grace=1')
    assert other.take(6) == b'hello\n'
    client.fin()
    other.fin()
    assert (client.rest(), other.rest()) == (b'', b'')
    end = ends(server, 'client-close', TERM, client)
    assert 'goes on without its client: SIGTERM' in end.log and 'SIGKILL' not in end.log
    assert 'ignores SIGTERM: SIGKILL' in ends(stubborn, 'client-close', KILL, other).log


# The handler ends

@ways
@stdios
def test_all_that_the_handler_wrote_reaches_the_client_and_then_its_end(go_on, way, stdio):
    server, client = go_on(way, 'head -c $1 /dev/zero; echo over; exit 7', f'--stdio={stdio}', words=[5 * MEGABYTE])
    assert client.rest() == bytes(5 * MEGABYTE) + b'over\n'
    client.fin()
    ends(server, 'handler-close', 7, client)


def test_handler_that_closes_its_output_and_lives_on_gets_sigterm_after_its_grace(go_on):
    server, client = go_on(LOGIN, 'exec >&-; exec sleep 1000', '--timeout-grace=1')
    assert client.rest() == b''
    client.fin()
    ends(server, 'handler-close', TERM, client)


# Signals

FILL = ('import os, select, signal, sys\nos.set_blocking(1, False)\ntotal = 0\n'
        'while select.select([], [1], [], 0.3)[1]:\n total += os.write(1, bytes(1000))\n'
        'open(sys.argv[1] + ".new", "w").write(str(total))\nos.rename(sys.argv[1] + ".new", sys.argv[1])\nsignal.pause()\n')


@pytest.mark.parametrize('way', [MAIL, LOGIN])
@stdios
def test_stopped_in_mid_transfer_all_that_the_handler_had_written_is_delivered(go_on, tmp_path, way, stdio):
    server, client = go_on(way, 'exec /usr/bin/python3 -I -S -c "$1" "$2"', f'--stdio={stdio}', words=[FILL, tmp_path / 'count'],
                           receive_buffer=SMALL)
    count = int(tls.wait_for_file(tmp_path / 'count'))
    server.process().terminate()
    assert client.rest() == bytes(count)
    client.fin()
    ends(server, 'sigterm', TERM, client)


def test_stopped_the_handler_can_still_say_goodbye_and_gets_nothing_more(go_on, tmp_path):
    server, client = go_on(MAIL, 'trap "" TERM; cat >"$1"; echo goodbye; exit 9', words=[tmp_path / 'input'])
    client.send(b'before')
    tls.wait_for_file(tmp_path / 'input')
    server.process().terminate()
    assert client.rest() == b'goodbye\n'
    client.socket.sendall(b'after')
    client.fin()
    ends(server, 'sigterm', 9, client)
    assert (tmp_path / 'input').read_bytes() == b'before'


def test_stopped_handler_and_client_that_both_stay_are_left_after_the_grace(go_on):
    server, client = go_on(LOGIN, 'trap "" TERM; echo hello; exec sleep 1000', '--timeout-grace=1')
    assert client.take(6) == b'hello\n'
    server.process().terminate()
    ends(server, 'sigterm', KILL, client)


@pytest.mark.parametrize('who', ['monitor', 'gate', 'handler'])
def test_whoever_is_killed_the_client_sees_the_end_and_nothing_is_left(go_on, who):
    server, client = go_on(MAIL, 'exec sleep 1000', '--timeout-grace=1')
    monitor = server.process()
    pids = {'monitor': monitor.pid, 'gate': tls.gate_of(monitor), 'handler': tls.handler_of(monitor)}
    os.kill(pids[who], signal.SIGKILL)
    assert client.rest() == b''
    client.socket.close()
    if who == 'monitor':
        assert monitor.wait(tls.TIMEOUT) == -signal.SIGKILL
        tls.all_end([pids['gate'], pids['handler']])
    elif who == 'gate':
        end = server.wait()
        assert (end.summary['end'], end.status, end.summary['handler']) == ('gate-died', os.EX_SOFTWARE, str(TERM))
    else:
        ends(server, 'handler-close', KILL, client)


# Time

@stdios
def test_idle_time_out_ends_the_clients_connection_and_the_handlers_input(go_on, tmp_path, stdio):
    server, client = go_on(LOGIN, 'cat; echo eof >"$1"; exit 7', f'--stdio={stdio}', '--timeout-idle=1',
                           words=[tmp_path / 'input'])
    client.send(b'hello')
    assert client.rest() == b'hello'
    client.fin()
    ends(server, 'timeout-idle', 7, client)
    assert (tmp_path / 'input').read_text() == 'eof\n'


def test_session_time_out_ends_a_busy_session_and_an_idle_one_whose_handler_gets_its_grace(go_on):
    busy, client = go_on(MAIL, 'exec cat /dev/zero', '--timeout-session=1')
    idle, other = go_on(LOGIN, 'exec sleep 1000', '--timeout-session=1', '--timeout-grace=1')
    while client.read():
        pass
    client.fin()
    assert other.rest() == b''
    other.fin()
    ends(busy, 'timeout-session', PIPE, client)
    ends(idle, 'timeout-session', TERM, other)


def test_nobody_is_ended_by_the_time_of_a_phase_that_is_over(go_on, serve, pki):
    """Neither by the gate nor by the monitor, which gives the gate ten seconds more. Sessions with an end of their own are
    the clock."""
    limits = ['--timeout-lobby=1', '--timeout-handshake=1']
    server, client = go_on(MAIL, 'exec cat', *limits)
    upgraded = serve(lobby.tiny(SMTP), SMTP.option, *limits)
    immediate = serve(['/bin/cat'], *limits)
    with Client(upgraded) as other, tls.Client(immediate, pki.ca) as third:
        other.up_to(lobby.WELCOME)
        inside = other.start_tls(SMTP, pki.ca)
        clock, last = go_on(LOGIN, 'exec sleep 1000', '--timeout-session=13', '--timeout-grace=1')
        assert last.rest() == b''
        last.fin()
        ends(clock, 'timeout-session', TERM, last)
        client.send(b'still here')
        client.fin()
        assert client.rest() == b'still here'
        inside.ask('NOOP', SMTP.done)
        third.send(b'hello')
        assert third.take(5) == b'hello'
        inside.tls.close_notify()
        inside.tls.ends_in_order()
        third.close_notify()
        third.ends_in_order()
    ends(server, 'client-close', 0, client)
    assert [upgraded.wait().summary['end'], immediate.wait().summary['end']] == ['client-close'] * 2
