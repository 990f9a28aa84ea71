# SPDX-License-Identifier: GPL-2.0-or-later
"""What the process that touches network bytes can do: nothing but talk over the descriptors that it has."""

import os
import re
import socket

import pytest

from harness import launch, lobby, processes, syslog, tls

pytestmark = pytest.mark.not_sanitized("the sanitizers' own calls are not in the jail's list")

OWN_IDS = 1879048192
CONFIG, OK = os.EX_CONFIG, 0
IDS = str(tls.NOBODY)
PHASES = ['opening', 'session']

needs_root = pytest.mark.skipif(os.getuid() != 0, reason='only root can change ids and see the processes of others')
phases = pytest.mark.parametrize('phase', PHASES)


class Look:
    """A connection held in one phase, for a look at its processes."""

    def __init__(self, server, pki, phase):
        self.server = server
        self.client = tls.Client(server, pki.ca, handshake=phase == 'session')
        if phase == 'session':
            self.client.send(b'hello')
            assert self.client.take(5) == b'hello'
        self.phase = phase
        self.monitor = server.process().pid
        self.gate = self.find_gate()
        self.status = tls.status(self.gate)

    def find_gate(self):
        if '--jail=off' not in self.server.command:
            return tls.gate_of(self.server.process())
        return tls.processes.until(
            lambda: next((child.pid for child in tls.children(self.monitor) if child.name == 'postern'), None), 'the gate')

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None and self.phase == 'session':
            self.client.close_notify()
            self.client.ends_in_order()
        self.client.socket.close()
        if kind is None:
            assert self.server.wait().status == OK

    def limits(self):
        """Name → soft and hard limit."""
        with open(f'/proc/{self.gate}/limits', encoding='ascii') as file:
            return {line[:26].strip(): tuple(line[26:].split()[:2]) for line in file.readlines()[1:]}

    def descriptors(self):
        return {int(name): os.readlink(f'/proc/{self.gate}/fd/{name}') for name in os.listdir(f'/proc/{self.gate}/fd')}


@pytest.fixture
def look(serve, pki):
    """look(phase, option...): start a server, connect, and come as far as `phase`."""
    return lambda phase, *options, **more: Look(serve(['/bin/cat'], *options, **more), pki, phase)


def ids(status):
    return status['Uid'].split(), status['Gid'].split(), status['Groups']


# As root

@needs_root
@phases
def test_gate_has_a_user_and_group_of_its_own_and_no_other_groups(look, phase):
    with look(phase) as the:
        own = str(OWN_IDS + the.gate)
        assert ids(the.status) == ([own] * 4, [own] * 4, '')


@needs_root
@phases
def test_gates_root_is_an_empty_folder(look, phase):
    """Made by `make install`, or a fresh one that has no name any more."""
    with look(phase) as the:
        root = f'/proc/{the.gate}/root'
        name = os.readlink(root)
        assert os.listdir(root) == []
        assert os.stat(root).st_uid == 0 and os.stat(root).st_mode & 0o022 == 0
        assert re.fullmatch(r'/.*postern.* \(deleted\)|.*/lib/postern/empty', name), name
        assert os.stat(f'/proc/{the.gate}/cwd').st_ino == os.stat(root).st_ino


@needs_root
@phases
def test_gate_has_no_capability_and_can_gain_no_right(look, phase):
    with look(phase) as the:
        for name in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb'):
            assert int(the.status[name], 16) == 0, name
        assert (the.status['NoNewPrivs'], the.status['Seccomp']) == ('1', tls.seccomp_of(os.readlink(f'/proc/{the.monitor}/exe')))


@needs_root
@phases
def test_gate_may_start_no_process_write_no_file_and_dump_no_core(look, phase):
    with look(phase) as the:
        limits = the.limits()
        for name in ('Max processes', 'Max file size', 'Max core file size'):
            assert limits[name] == ('0', '0'), name


@needs_root
@phases
def test_gate_cannot_be_traced_or_dumped_by_others_of_its_kind(look, phase):
    """A process that is not dumpable has its /proc entries owned by root."""
    with look(phase) as the:
        assert os.stat(f'/proc/{the.gate}/environ').st_uid == 0
        assert os.stat(f'/proc/{the.gate}/mem').st_uid == 0


@needs_root
@pytest.mark.parametrize('stdio, streams', [('pipe', 2), ('socket', 1)])
@pytest.mark.parametrize('start, stderr', [('stdio', 'file'), ('stdio', 'socket'), ('pair', 'file'), ('systemd', 'file')])
def test_gate_holds_only_its_descriptors(look, stdio, streams, start, stderr):
    """The connection, the way to the monitor, the handler's ends; the three standard ones lead nowhere or to the log."""
    with look('session', f'--stdio={stdio}', start=start, stderr=stderr) as the:
        held = the.descriptors()
        log = str(the.server.process().log_file)
        higher = [target for number, target in held.items() if number > 2]
        if stdio == 'pipe':
            assert len([target for target in higher if target.startswith('pipe:[')]) == 2
        connection = 2 if start == 'pair' and len(higher) == (1 + 2 + streams) else 1
        assert len(higher) == connection + 1 + streams, held
        assert all(target.startswith(('socket:[', 'pipe:[')) for target in higher), held
        for number in (0, 1, 2):
            assert held.get(number, '/dev/null') in ('/dev/null', log) or held[number] in higher, held


@needs_root
def test_two_gates_have_different_ids(serve, pki):
    server = serve(['/bin/cat'])
    with tls.Client(server, pki.ca) as one, tls.Client(server, pki.ca) as two:
        gates = [tls.gate_of(server.process(number)) for number in (0, 1)]
        first, second = (ids(tls.status(gate)) for gate in gates)
        assert not set(first[0]) & set(second[0])
        assert not set(first[1]) & set(second[1])
        for client in (one, two):
            client.close_notify()
            client.ends_in_order()
    server.wait()
    server.wait()


@needs_root
@pytest.mark.parametrize('option, user, group', [
    ('--gate-user=65534:65534', '65534', '65534'),
    ('--gate-user=12345:54321', '12345', '54321'),
    ('--gate-user=nobody', '65534', '65534'),
    ('--gate-user=nobody:daemon', '65534', '1'),
    ('--gate-user=nobody:1', '65534', '1'),
])
def test_user_is_who_the_gate_runs_as(look, option, user, group):
    with look('session', option) as the:
        assert ids(the.status) == ([user] * 4, [group] * 4, '')
        assert os.listdir(f'/proc/{the.gate}/root') == []


@needs_root
@pytest.mark.parametrize('value', ['no-such-user', 'nobody:no-such-group', '4711', 'root', '0:0', 'nobody:root', '1:0'])
def test_user_that_is_unknown_or_root_is_refused(serve, value):
    server = serve(['/bin/cat'], f'--gate-user={value}')
    with server.connect() as connection:
        assert tls.ended(connection) == b''
    end = server.wait()
    assert end.status == CONFIG
    assert f'--gate-user={value}: ' in end.log


EXTRA = 31071


class InGroup(launch.Direct):
    """On a machine where nobody is in one more group."""

    def __init__(self, command, folder, **more):
        super().__init__(command, folder, **more)
        with open('/etc/group', encoding='utf-8') as file:
            (self.folder / 'group').write_text(file.read() + f'postern-test:x:{EXTRA}:nobody\n')
        self.command = ['unshare', '--mount', '--propagation=private', '/bin/sh', '-c', 'mount --bind "$0" /etc/group; exec "$@"',
                        str(self.folder / 'group'), *self.command]


@needs_root
@pytest.mark.parametrize('option', ['--handler-user=nobody', '-unobody'])
def test_handler_user_is_who_the_handler_runs_as_with_all_its_groups(serve, pki, option):
    server = serve(['/usr/bin/id'], option, launcher=InGroup)
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup),%d(postern-test)\n' % EXTRA
    assert server.wait().status == OK


@needs_root
def test_without_handler_user_the_handler_has_the_groups_that_postern_was_started_with(serve, pki):
    assert os.getgroups(), 'the tests start with some'
    server = serve(['/bin/sh', '-c', 'id -G; exec grep Groups: /proc/self/status'])
    with tls.Client(server, pki.ca) as client:
        ours = tls.status(os.getpid())['Groups']
        assert client.rest().decode() == ' '.join(['0', *ours.split()]) + f'\nGroups:\t{ours} \n'
    assert server.wait().status == OK


@needs_root
def test_handler_user_that_is_unknown_is_refused(serve):
    server = serve(['/bin/cat'], '--handler-user=no-such-user')
    with server.connect() as connection:
        assert tls.ended(connection) == b''
    end = server.wait()
    assert end.status == CONFIG
    assert '--handler-user=no-such-user: ' in end.log


@needs_root
def test_chroot_is_the_gates_root(look, tmp_path):
    (tmp_path / 'empty').mkdir()
    with look('session', f'--chroot={tmp_path}/empty') as the:
        assert os.readlink(f'/proc/{the.gate}/root') == f'{tmp_path}/empty'


class Installed(launch.Direct):
    """Where the program's empty folder has been installed."""

    SCRIPT = 'mount --bind "$0" /usr/local/lib; exec "$@"'

    def __init__(self, command, folder, **more):
        super().__init__(command, folder, **more)
        (self.folder / 'lib/postern/empty').mkdir(parents=True)
        self.command = ['unshare', '--mount', '--propagation=private', '/bin/sh', '-c', self.SCRIPT,
                        str(self.folder / 'lib'), *self.command]


@needs_root
@phases
def test_installed_empty_folder_is_the_gates_root(look, phase):
    with look(phase, '--jail=strict', launcher=Installed) as the:
        root, empty = os.stat(f'/proc/{the.gate}/root'), os.stat(the.server.folder / 'lib/postern/empty')
        assert (root.st_dev, root.st_ino) == (empty.st_dev, empty.st_ino)
        assert ids(the.status)[2] == ''


@needs_root
def test_where_a_syslogd_runs_nobody_but_the_monitor_holds_a_way_to_it(serve, pki):
    server = serve(['/bin/cat'], '--log=syslog', launcher=syslog.WithSyslog)
    with tls.Client(server, pki.ca) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        monitor = server.process()
        assert descriptors(tls.gate_of(monitor)) == sorted(['/dev/null'] * 3 + ['socket'] * 2 + ['pipe'] * 2)
        assert descriptors(tls.handler_of(monitor)) == sorted(['pipe', 'pipe', str(monitor.log_file)])
        assert descriptors(monitor.pid) == sorted(
            ['/dev/null', '/dev/null', str(monitor.log_file), 'socket', 'socket', 'anon_inode:[signalfd]'])
        client.close_notify()
        client.ends_in_order()
    assert server.wait().log == ''
    [(priority, text)] = server.lines()
    assert priority == '22' and text.endswith(' end=client-close')


@needs_root
@pytest.mark.parametrize('errors', ['file', 'journal'])
def test_journal_on_standard_output_is_not_taken_for_the_client_of_a_unix_socket(serve, pki, errors):
    server = serve(['/bin/sh', '-c', 'echo remark >&2; exec cat'], family='unix',
                   launcher=lambda *words, **more: syslog.WithJournal(*words, errors=errors, **more))
    with tls.Client(server, pki.ca) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        client.close_notify()
        client.ends_in_order()
    end = server.wait()
    assert end.status == OK
    told = {'file': end.log, 'journal': server.told.read_text()}
    [remark, line] = told.pop(errors).splitlines()
    assert remark == 'remark'
    assert launch.summaries(line + '\n')[0].items() >= {'client': 'unix', 'in': '5', 'out': '5', 'end': 'client-close'}.items()
    assert list(told.values()) == ['']


@needs_root
def test_chroot_that_is_not_there_is_refused(serve, tmp_path):
    server = serve(['/bin/cat'], f'--chroot={tmp_path}/missing')
    with server.connect() as connection:
        assert tls.ended(connection) == b''
    end = server.wait()
    assert end.status == CONFIG
    assert f'--chroot={tmp_path}/missing: ' in end.log


@needs_root
@phases
def test_strict_jail_serves_where_nothing_is_missing(look, phase):
    with look(phase, '--jail=strict') as the:
        assert the.status['Seccomp'] == '2'


@needs_root
def test_monitor_is_locked_in_too_once_the_handler_runs(look):
    with look('session') as the:
        assert tls.status(the.monitor)['Seccomp'] == '2'


# Where a session goes on in plaintext

@pytest.mark.parametrize('launcher', [launch.Direct, tls.Unprivileged], ids=['as started', 'without root'])
@pytest.mark.parametrize('way', [*lobby.WAYS, *lobby.HALF_WAYS])
def test_when_a_session_goes_on_in_plaintext_gate_and_monitor_are_locked_in_and_the_handler_is_free(go_on, way, launcher):
    server, client = go_on(way, 'exec cat', launcher=launcher)
    monitor, own = server.process(), tls.status(os.getpid())
    handler = tls.status(tls.handler_of(monitor))
    assert tls.jailed(tls.gate_of(monitor))
    processes.until(lambda: tls.jailed(monitor.pid), "the monitor's own filter")
    assert (handler['Seccomp'], handler['NoNewPrivs']) == (own['Seccomp'], own['NoNewPrivs'])
    assert descriptors(monitor.pid) == sorted(
        ['/dev/null', '/dev/null', str(monitor.log_file), 'socket', 'anon_inode:[signalfd]'])
    assert descriptors(tls.gate_of(monitor)) == sorted(['/dev/null'] * 3 + ['socket'] * 2 + ['pipe'] * 2)
    client.fin()
    assert client.rest() == b''
    assert server.wait().status == OK


def descriptors(pid):
    """What a process holds, sorted, without the numbers of pipes and sockets."""
    return sorted(re.sub(r':\[\d+\]$', '', os.readlink(f'/proc/{pid}/fd/{name}')) for name in os.listdir(f'/proc/{pid}/fd'))


# As an ordinary user

@pytest.fixture
def look_unprivileged(look):
    return lambda phase, *options, **more: look(phase, *options, launcher=tls.Unprivileged, **more)


@phases
def test_without_root_the_gate_can_still_gain_no_right_and_make_few_calls(look_unprivileged, phase):
    with look_unprivileged(phase) as the:
        user = IDS if os.getuid() == 0 else str(os.getuid())
        assert the.status['Uid'].split() == [user] * 4
        assert (the.status['NoNewPrivs'], the.status['Seccomp']) == ('1', tls.seccomp_of(os.readlink(f'/proc/{the.monitor}/exe')))
        assert int(the.status['CapEff'], 16) == 0


@phases
def test_without_root_the_gate_may_still_start_no_process_and_write_no_file(look_unprivileged, phase):
    with look_unprivileged(phase) as the:
        limits = the.limits()
        for name in ('Max processes', 'Max file size', 'Max core file size'):
            assert limits[name] == ('0', '0'), name


@needs_root
@phases
def test_without_root_the_gate_is_not_dumpable(look_unprivileged, phase):
    with look_unprivileged(phase) as the:
        assert os.stat(f'/proc/{the.gate}/environ').st_uid == 0


def test_without_root_user_cannot_be_changed(serve):
    server = serve(['/bin/cat'], '--gate-user=65534:65534', launcher=tls.Unprivileged)
    with server.connect() as connection:
        assert tls.ended(connection) == b''
    end = server.wait()
    assert end.status == CONFIG
    assert '--gate-user=65534:65534: only root' in end.log


@pytest.mark.parametrize('version', ['1.2', '1.3'])
@pytest.mark.parametrize('pair', ['ecdsa', 'rsa', 'combined'])
def test_without_root_sessions_work(serve, pki, pair, version):
    server = serve(['/bin/cat'], pair=pair, launcher=tls.Unprivileged)
    with tls.Client(server, pki.ca, version) as client:
        client.send(bytes(100000))
        assert client.take(100000) == bytes(100000)
        client.close_notify()
        client.ends_in_order()
    assert server.wait().status == OK


# Without a jail

@pytest.mark.parametrize('launcher', [launch.Direct, tls.Unprivileged], ids=['as started', 'without root'])
def test_without_a_jail_sessions_work(look, launcher):
    with look('session', '--jail=off', launcher=launcher) as the:
        assert the.status['Seccomp'] == tls.status(os.getpid())['Seccomp']


# Where the jail must not be in the way

@pytest.mark.parametrize('version', ['1.2', '1.3'])
@pytest.mark.parametrize('pair', ['ecdsa', 'rsa', 'ed25519', 'chain'])
def test_nothing_that_a_session_needs_is_forbidden(serve, pki, pair, version):
    """Handshake, refusal, megabytes, half-close, an alert: seccomp would kill the gate, and the log would tell."""
    server = serve(['/bin/cat'], '--jail=strict' if os.getuid() == 0 else '--jail=on', pair=pair)
    with tls.Client(server, pki.ca, version) as client:
        got = bytearray()
        client.exchange([bytes(1000000)], got.extend)
        client.has_fin()
    assert len(got) == 1000000
    end = server.wait()
    assert end.status == OK
    assert 'jail' not in end.log
    with server.connect() as connection:
        connection.sendall(b'EHLO me\r\n')
        connection.shutdown(socket.SHUT_WR)
        tls.ended(connection)
    assert server.wait().summary['end'] == 'handshake-failed'
