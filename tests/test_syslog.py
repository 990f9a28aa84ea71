# SPDX-License-Identifier: GPL-2.0-or-later
"""Nobody waits for whoever should read the log: not a session, not the listener, not SIGTERM."""

import fcntl
import os
import re
import signal
import socket

import pytest

from harness import launch, privileges, processes, tls, wait
from harness.log_reader import Syslog

ECHO = ['/bin/cat']
MAIL_ERROR, MAIL_INFO, MAIL_DETAIL = '19', '22', '23'
SESSIONS = 500 if os.environ.get('MATRIX') == 'all' else 200    # more lines than are kept


@pytest.fixture
def syslog(tmp_path):
    """syslog() is a daemon, with its socket and with `launcher(class)`, which starts postern beside it."""
    daemons = []

    def start(kind=socket.SOCK_DGRAM):
        privileges.need_mounts()
        daemon = Syslog(tmp_path / f'syslog.{len(daemons)}', kind)
        daemon.launcher = lambda launcher: lambda command, folder, **more: launcher(daemon.command(command), folder, **more)
        daemons.append(daemon)
        return daemon
    yield start
    for daemon in daemons:
        daemon.close()


def session(server, pki, words=b'hello'):
    with tls.Client(server, pki.ca) as client:
        client.send(words)
        assert client.take(len(words)) == words
        client.close_notify()
        client.ends_in_order()


def told_lost(texts):
    """How many lines are said to be lost."""
    return sum(int(match[1]) for match in map(re.compile(r'(\d+) lines of the log are lost: ').search, texts) if match)


# A connection each, as under inetd

@pytest.mark.parametrize('kind', [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=['datagrams', 'stream'])
def test_lines_come_with_facility_priority_date_name_and_process(serve, pki, syslog, kind):
    daemon = syslog(kind)
    server = serve(ECHO, '-v', launcher=daemon.launcher(launch.Direct), stderr='socket')
    session(server, pki)
    assert server.wait().status == 0
    lines = daemon.read()
    assert len(lines) > 3 and None not in lines
    assert {line['pid'] for line in lines} == {str(server.process(0).pid)}
    assert {line['priority'] for line in lines} == {MAIL_INFO, MAIL_DETAIL}
    assert lines[-1]['priority'] == MAIL_INFO and lines[-1]['text'].endswith('end=client-close')


@pytest.mark.parametrize('options', [[], ['-v'], ['--log=json']], ids=' '.join)
def test_a_daemon_that_does_not_read_stops_no_session(serve, pki, syslog, options):
    daemon = syslog()
    daemon.fill()
    server = serve(ECHO, *options, '--log=syslog' if '--log=json' not in options else '-v', launcher=daemon.launcher(launch.Direct),
                   stderr='socket')
    for _ in range(3):
        session(server, pki)
        assert server.wait().status == 0
    assert daemon.read() == []


def test_sigterm_ends_a_session_whose_log_nobody_reads(serve, pki, syslog):
    daemon = syslog()
    daemon.fill()
    server = serve(ECHO, '-v', launcher=daemon.launcher(launch.Direct), stderr='socket')
    with tls.Client(server, pki.ca) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        server.process().send_signal(signal.SIGTERM)
        assert client.rest() == b''
    server.wait()


def test_lines_that_are_kept_come_in_order_when_the_daemon_reads_again(serve, pki, syslog):
    daemon = syslog()
    server = serve(ECHO, '-v', launcher=daemon.launcher(launch.Direct), stderr='socket')
    session(server, pki)
    server.wait()
    usual = [re.sub(r'[0-9.]+', '0', line['text']) for line in daemon.read()]
    daemon.fill()
    with tls.Client(server, pki.ca) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        daemon.attend()
        texts = daemon.read_until('handshake')
        client.close_notify()
        client.ends_in_order()
    server.wait()
    texts += [line['text'] for line in daemon.read()]
    texts = [re.sub(r'[0-9.]+', '0', text) for text in texts]
    kept = next(n for n, text in enumerate(usual) if 'handler /bin/cat is process' in text) + 1
    assert texts[:kept] == usual[:kept]
    assert sorted(texts) == sorted(usual)    # the gate's last words and the handler's end come in either order


def test_lines_that_are_lost_are_counted_and_told_by_the_next_that_goes_through(serve, pki, syslog):
    daemon = syslog()
    daemon.fill()
    script = 'read line; for n in $(seq 150); do printf "%d %0450d\\n" $n 0 >&2; done; echo written; read line; echo last >&2'
    server = serve(['/bin/sh', '-c', script], launcher=daemon.launcher(launch.Direct), stderr='socket')
    with tls.Client(server, pki.ca) as client:
        client.send(b'go\n')
        assert client.take(8) == b'written\n'
        monitor = server.process().pid
        processes.until(lambda: not unread(monitor), 'all that the handler has said has been taken')
        daemon.attend()
        texts = daemon.read_until('are lost')
        client.send(b'go on\n')
        client.rest()
        client.close_notify()
    server.wait()
    texts += [line['text'] for line in daemon.read()]
    found = [int(text.partition('handler: ')[2].split()[0]) for text in texts if re.search(r'handler: \d', text)]
    assert found == sorted(found) and 0 < len(found) < 150
    assert told_lost(texts) == 150 - len(found)
    told, last = (next(n for n, text in enumerate(texts) if words in text) for words in ('are lost', 'handler: last'))
    assert told < last < len(texts) - 1 and texts[-1].endswith('end=handler-close')


def unread(pid):
    """Whether a pipe of this process has bytes that it has not read: only reading ends can be asked."""
    for entry in os.scandir(f'/proc/{pid}/fd'):
        try:
            if not os.readlink(entry.path).startswith('pipe:'):
                continue
            with open(entry.path, 'rb', buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as pipe:
                if fcntl.ioctl(pipe, 0x541B, b'\0' * 4) != b'\0' * 4:    # FIONREAD
                    return True
        except OSError:
            continue
    return False


@pytest.mark.parametrize('kind', [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=['datagrams', 'stream'])
@pytest.mark.parametrize('launcher', [launch.Direct, wait.Waiting], ids=['inetd', 'wait'])
def test_a_restarted_daemon_is_found_again_in_the_middle_of_a_session(serve, pki, syslog, kind, launcher):
    daemon = syslog(kind)
    server = serve(ECHO, '-v', '--log=syslog', launcher=daemon.launcher(launcher))
    with tls.Client(server, pki.ca) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        daemon.read_until('handler /bin/cat is process')
        daemon.end()
        daemon.begin()
        client.close_notify()
        client.ends_in_order()
    texts = daemon.read_until('end=')
    assert not told_lost(texts)
    session(server, pki)
    daemon.read_until('end=')


@pytest.mark.parametrize('launcher', [launch.Direct, wait.Waiting], ids=['inetd', 'wait'])
def test_a_daemon_that_comes_late_is_found(serve, pki, syslog, launcher):
    daemon = syslog()
    daemon.end()
    server = serve(['/bin/sh', '-c', 'echo one >&2; read line; echo two >&2'], launcher=daemon.launcher(launcher), stderr='socket')
    with tls.Client(server, pki.ca) as client:
        monitor = server.process().pid if launcher is launch.Direct else server.pid
        processes.until(lambda: processes.descendants(monitor), 'the handler')
        daemon.begin()
        client.send(b'go on\n')
        client.rest()
        client.close_notify()
    texts = daemon.read_until('end=')
    assert any('handler: two' in text for text in texts)


# Wait mode

@pytest.mark.parametrize('options', [[], ['-v']], ids=['normal', 'verbose'])
def test_a_listener_whose_log_nobody_reads_serves_on_and_tells_afterwards_what_is_lost(serve, pki, syslog, options):
    daemon = syslog()
    daemon.fill()
    server = serve(ECHO, '--log=syslog', *options, launcher=daemon.launcher(wait.Waiting))
    for _ in range(SESSIONS):
        session(server, pki)
    server.has_monitors(0)
    daemon.attend()
    texts = daemon.read_until('are lost')
    server.tell(signal.SIGTERM)
    assert server.wait().status == 0
    texts += [line['text'] for line in daemon.read()]
    summaries = sum('end=client-close' in text for text in texts)
    assert any('told to end' in text for text in texts)
    if not options:
        assert summaries + told_lost(texts) == SESSIONS
    else:
        assert summaries < SESSIONS and told_lost(texts) > SESSIONS - summaries


def test_sigterm_ends_a_listener_whose_log_nobody_reads(serve, pki, syslog):
    daemon = syslog()
    daemon.fill()
    server = serve(ECHO, '--log=syslog', '-v', launcher=daemon.launcher(wait.Waiting))
    with tls.Client(server, pki.ca) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        server.tell(signal.SIGTERM)
        client.send(b'again')
        assert client.take(5) == b'again'
        server.tell(signal.SIGTERM)
        assert client.rest() == b''
    assert server.wait().status == 0


# Standard error

class WithPipe:
    """Standard error is a pipe that is full and that nobody reads, until `read()`."""

    def __init__(self, launcher, folder):
        self.path = folder / 'log.fifo'
        os.mkfifo(self.path)
        self.pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        self.launcher = lambda command, folder, **more: launcher(['/bin/sh', '-c', 'exec "$@" 2>"$0"', str(self.path), *command], folder,
                                                                 **more)

    def fill(self):
        for size in (4096, 1):
            try:
                while True:
                    os.write(self.pipe, b'\0' * size)
            except BlockingIOError:
                pass

    def read(self):
        try:
            return os.read(self.pipe, 1 << 20).replace(b'\0', b'').decode()
        except BlockingIOError:
            return ''

    def read_until(self, words):
        text = ''

        def came():
            nonlocal text
            text += self.read()
            return words in text
        processes.until(came, f'{words!r} on standard error')
        return text


@pytest.fixture
def with_pipe(tmp_path):
    pipes = []

    def start(launcher):
        pipes.append(WithPipe(launcher, tmp_path))
        return pipes[-1]
    yield start
    for pipe in pipes:
        os.close(pipe.pipe)


def test_a_full_pipe_for_standard_error_stops_no_listener_and_no_session(serve, pki, with_pipe):
    pipe = with_pipe(wait.Waiting)
    pipe.fill()
    server = serve(ECHO, launcher=pipe.launcher)
    for _ in range(SESSIONS):
        session(server, pki)
    server.has_monitors(0)
    text = pipe.read_until('are lost')
    server.tell(signal.SIGTERM)
    assert server.wait().status == 0
    text += pipe.read()
    lines = text.splitlines()
    assert all(re.fullmatch(r'postern\[\d+\]: [ -~]+', line) for line in lines)
    assert sum('end=client-close' in line for line in lines) + told_lost(lines) == SESSIONS
    assert 'told to end' in lines[-1]


@pytest.mark.parametrize('options', [[], ['-v'], ['--log=json']], ids=' '.join)
def test_a_session_ends_with_a_full_pipe_for_standard_error(serve, pki, with_pipe, options):
    pipe = with_pipe(launch.Direct)
    pipe.fill()
    server = serve(ECHO, *options, launcher=pipe.launcher)
    session(server, pki)
    assert server.wait().status == 0
