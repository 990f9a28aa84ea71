# SPDX-License-Identifier: GPL-2.0-or-later
"""What a launcher has left open reaches nobody, and what a handler does to its process group reaches nobody else."""

import os
import signal
import sys

import pytest

from harness import clients, launch, lobby, ports, processes, tls, wait

LEFT_OPEN = [3, 4, 5, 6, 7, 9, 64, 900]

# Opens a file on each of these descriptors that is free, and becomes what its words say.
LAUNCHER = '''#!{python} -IS
import os, sys
file = os.open({file!r}, os.O_RDONLY)
for fd in {fds}:
    try:
        os.fstat(fd)
    except OSError:
        os.dup2(file, fd)
    os.set_inheritable(fd, True)
os.execv({postern!r}, [{postern!r}, *sys.argv[1:]])
'''

# Says which descriptors it has, and waits for a line.
DESCRIPTORS = '''
import os
def is_open(fd):
    try:
        return bool(os.fstat(fd))
    except OSError:
        return False
os.write(1, (' '.join(str(fd) for fd in range(1024) if is_open(fd)) + '\\n').encode())
os.read(0, 100)
'''

# Signals its process group, survives, says so, and waits for a line.
TERMINATES_ITS_GROUP = 'trap "" TERM; kill -TERM 0; echo alive; read word; exit 3'

LAUNCHERS = [
    (launch.Direct, {'start': 'stdio'}), (launch.Direct, {'start': 'pair'}), (launch.Direct, {'start': 'systemd'}),
    (launch.Direct, {'start': 'stdio', 'stderr': 'socket'}), (launch.Tcpserver, {}), (launch.SocatPipes, {}),
    (wait.Waiting, {'start': 'systemd'}), (wait.Waiting, {'start': 'systemd', 'families': ['inet', 'unix', 'inet']}),
    (wait.Waiting, {'start': 'inetd'}),
]
launchers = pytest.mark.parametrize('launcher, how', LAUNCHERS, ids=lambda value: getattr(value, '__name__', None) or
                                    ' '.join(map(str, value.values())) or '-')


@pytest.fixture(name='postern')
def postern_of_a_careless_launcher(postern, left_open, tmp_path):
    """What starts postern leaves descriptors open."""
    script = tmp_path / 'careless'
    script.write_text(LAUNCHER.format(python=sys.executable, file=str(left_open), fds=LEFT_OPEN, postern=str(postern)),
                      encoding='ascii')
    script.chmod(0o755)
    return script


@pytest.fixture(name='left_open')
def file_that_was_left_open(tmp_path):
    path = tmp_path / 'left-open'
    path.touch()
    return path


def holders(path, server):
    """The processes, of those that this server consists of, that have the file open: pid → descriptors."""
    top = getattr(server, 'process')
    pid = top.pid if hasattr(top, 'pid') else top().pid
    found = {}
    for one in [pid, *(process.pid for process in processes.descendants(pid))]:
        if os.readlink(f'/proc/{one}/exe').endswith('/socat') or os.readlink(f'/proc/{one}/exe').endswith('/tcpserver'):
            continue
        found[one] = [name for name in os.listdir(f'/proc/{one}/fd') if os.readlink(f'/proc/{one}/fd/{name}') == str(path)]
    return found


@launchers
@pytest.mark.parametrize('stdio', ['pipe', 'socket'])
def test_handler_has_three_descriptors_whatever_was_left_open(serve, pki, left_open, launcher, how, stdio):
    server = serve(lobby.python(DESCRIPTORS), f'--stdio={stdio}', launcher=launcher, **how)
    with clients.tls(server, pki.ca) as connection:
        assert connection.makefile('rb').readline() == b'0 1 2\n'
        if os.getuid() == 0:    # a monitor can't be looked at by others
            assert not any(holders(left_open, server).values())
        connection.sendall(b'done\n')
        assert connection.recv(1) == b''


def test_plaintext_handler_has_three_descriptors_whatever_was_left_open(serve):
    script = DESCRIPTORS.replace("os.write(1, (", "os.write(1, ('+OK ' + ").replace('\\n', '\\r\\n')
    server = serve(lobby.python(script), '--starttls=pop3', '--policy=auth')
    with server.connect() as connection:
        assert connection.makefile('rb').readline() == b'+OK 0 1 2\r\n'
    server.wait()


def test_ucspi_handler_has_its_six_descriptors_whatever_was_left_open(serve):
    server = serve(lobby.python(DESCRIPTORS), '--ucspi-tls')
    with server.connect() as connection:
        assert connection.makefile('rb').readline() == b'0 1 2 3 4 5\n'
        connection.sendall(b'done\n')
        assert connection.recv(1) == b''
    server.wait()


@pytest.mark.parametrize('script, status', [(TERMINATES_ITS_GROUP, '3'), ('kill -TERM 0; exit 4', '143')],
                         ids=['and survives', 'itself too'])
def test_handler_that_terminates_its_process_group_ends_no_one_of_ours(serve, pki, script, status):
    server = serve(['/bin/sh', '-c', script])
    with clients.tls(server, pki.ca) as connection:
        if status == '3':
            assert connection.makefile('rb').readline() == b'alive\n'
            connection.sendall(b'done\n')
        assert connection.recv(1) == b''
    end = server.wait()
    assert (end.status, end.summary['handler'], end.summary['end']) == (int(status), status, 'handler-close')


def test_plaintext_handler_that_terminates_its_process_group_ends_no_one_of_ours(serve):
    server = serve(['/bin/sh', '-c', 'trap "" TERM; kill -TERM 0; printf "+OK here\\r\\n"; '
                    'while read word; do printf "+OK\\r\\n"; done; exit 3'], '--starttls=pop3', '--policy=optional')
    with server.connect() as connection:
        lines = connection.makefile('rb')
        assert lines.readline() == b'+OK here\r\n'
        connection.sendall(b'USER me\r\n')
        assert lines.readline() == b'+OK\r\n'
        lines.close()
    summary = server.wait().summary
    assert (summary['handler'], summary['end']) == ('3', 'left')


def test_ucspi_handler_that_terminates_its_process_group_ends_no_one_of_ours(serve):
    server = serve(['/bin/sh', '-c', TERMINATES_ITS_GROUP], '--ucspi-tls')
    with server.connect() as connection:
        assert connection.makefile('rb').readline() == b'alive\n'
        connection.sendall(b'done\n')
        assert connection.recv(1) == b''
    summary = server.wait().summary
    assert (summary['handler'], summary['end']) == ('3', 'handler-close')


def test_in_wait_mode_it_ends_neither_the_listener_nor_others_sessions(serve, pki):
    server = serve(['/bin/sh', '-c', 'read word; ' + TERMINATES_ITS_GROUP], launcher=wait.Waiting)
    with clients.tls(server, pki.ca) as other, clients.tls(server, pki.ca) as connection:
        lines = connection.makefile('rb')
        connection.sendall(b'begin\n')
        assert lines.readline() == b'alive\n'
        other.sendall(b'begin\n')
        assert other.makefile('rb').readline() == b'alive\n'
        for one in (connection, other):
            one.sendall(b'done\n')
            assert one.recv(1) == b''
    for number in (1, 2):
        assert server.summary(number)['handler'] == '3'
    with clients.tls(server, pki.ca) as connection:
        connection.sendall(b'begin\ndone\n')
        assert connection.makefile('rb').readline() == b'alive\n'


def test_handler_leads_a_session_of_its_own_and_still_hears_of_the_end(serve, pki):
    server = serve(['/bin/sh', '-c', 'echo $$; exec sleep 1000'], '--timeout-grace=1')
    with clients.tls(server, pki.ca) as connection:
        handler = int(connection.makefile('rb').readline())
        assert (os.getsid(handler), os.getpgid(handler)) == (handler, handler)
        server.process().send_signal(signal.SIGINT)
        assert connection.recv(1) == b''
    assert server.wait().summary['handler'] == '143'
