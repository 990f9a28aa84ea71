# SPDX-License-Identifier: GPL-2.0-or-later
"""A gate that has been taken over gets nowhere: not out of its jail, and not past the monitor.

The programs here are test builds that are never installed (tests/hook/attempt.c). Their gate, once it is jailed, tries what
the environment variable ATTEMPT names. One build has seccomp; the other shows that without it the rest of the jail still
holds, and what only seccomp forbids.
"""

import ctypes
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from harness import builds, launch, resume, tls

pytestmark = pytest.mark.not_sanitized("the sanitizers' own calls are not in the jail's list")

BUILDS = {'seccomp': ['hook', 'TEST_HOOK=1'], 'bare': ['hook-bare', 'TEST_HOOK=1', 'SECCOMP=0']}
GATE_DIED, LEFT = os.EX_SOFTWARE, 0
KILLED = 'the gate crashed, or tried a system call that its jail forbids, and was killed'
CREATED = Path('/created-by-the-gate')

# Attempts that must fail even without seccomp: why they do, and the version of Landlock that it takes as root and as an
# ordinary user. 0: other parts of the jail are enough.
FAILING = {
    'open': ('Permission denied', 1, 1),
    'create': ('Permission denied', 1, 1),
    'connect': ('Permission denied', 4, 4),
    'fork': ('Resource temporarily unavailable', 0, 0),
    'exec': ('Permission denied', 1, 1),
    'ptrace': ('Operation not permitted', 0, 1),
    'read-memory': ('Operation not permitted', 0, 1),
    'signal': ('Operation not permitted', 0, 6),
    'setuid': ('Operation not permitted', 0, 0),
    'mount': ('Operation not permitted', 0, 0),
}

# ... and those that nothing but seccomp forbids. A socket can still be connected to nothing; see above.
ONLY_SECCOMP = ['socket', 'mmap-exec', 'mmap-shared', 'mmap-growing', 'mmap-readable', 'mprotect-exec', 'mprotect-none', 'madvise',
                'sigreturn', 'send-descriptor', 'send-to-address']

# ... those that only the list of system calls forbids which is loaded when the relay begins,
LATE = ['late-recvmsg', 'late-list']

# ... and memory over the limit.
MEMORY = ['memory', 'heap']

# Lies to the monitor, and what the log says of each.
LIES = {
    'lie-garbage': 'unknown message that is malformed or out of turn: connection ended',
    'lie-length': 'the gate sent a malformed chain message: connection ended',
    'lie-huge': 'cannot receive a message from the gate: Message too long',
    'sign-twice': 'the gate asked for more signatures than one handshake needs: connection ended',
    'sign-unasked': 'the gate sent a sign message that is malformed or out of turn: connection ended',
    'sign-anything': 'the gate asked for a signature on what no handshake needs: connection ended',
    'facts-unasked': 'the gate sent a facts message that is malformed or out of turn: connection ended',
    'proxy-twice': 'the gate sent a proxy message that is malformed or out of turn: connection ended',
    'seal-unasked': 'the gate sent a seal message that is malformed or out of turn: connection ended',
    'seal-twice': 'the gate asked for more session tickets than one handshake needs: connection ended',
    'open-thrice': 'the gate asked for more session tickets than one handshake needs: connection ended',
    'resume-nothing': 'the gate sent a facts message that is malformed or out of turn: connection ended',
    'flood-notes': 'the gate sent a note message that is malformed or out of turn: connection ended',
    'left-unasked': 'the gate sent a left message that is malformed or out of turn: connection ended',
    'plaintext-unasked': 'the gate sent a plaintext message that is malformed or out of turn: connection ended',
    'stop-unasked': 'the gate sent a end-handler message that is malformed or out of turn: connection ended',
    'step-unasked': 'the gate sent a step message that is malformed or out of turn: connection ended',
}
NOTES_MAX = 40

LAUNCHERS = {'root': launch.Direct, 'user': tls.Unprivileged}
needs_root = pytest.mark.skipif(os.getuid() != 0, reason='only root can change ids and see the processes of others')
as_who = pytest.mark.parametrize('who', [pytest.param('root', marks=needs_root), 'user'])
both_builds = pytest.mark.parametrize('build', BUILDS)


def landlock_version():
    """As this kernel has it; 0: not at all."""
    return max(0, ctypes.CDLL(None).syscall(444, None, 0, 1))


@pytest.fixture(scope='session')
def built():
    """built(name): the program of a test build."""
    return lambda name: builds.make(*BUILDS[name])


class Hostile:
    """A server whose gate makes an attempt, and whose handler leaves a mark."""

    def __init__(self, program, pair, who, attempt, folder, options=()):
        self.mark = folder / 'handler-ran'
        command = [program, *pair.options(), *options, '--', '/bin/sh', '-c', 'echo it ran | tee "$0"', self.mark]
        self.launcher = LAUNCHERS[who](command, folder / 'server', environment={'ATTEMPT': attempt} if attempt else {})

    def connect(self):
        """One connection in which the client says nothing: what it got, and how postern ended."""
        with self.launcher as server:
            with server.connect() as connection:
                got = tls.ended(connection)
            end = server.wait()
        assert not CREATED.exists()
        return got, end


@pytest.fixture
def hostile(built, pki):
    """hostile(build, who, attempt): what came of it. No attempt may give the client a byte, or a handler to anybody."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)     # an ordinary user's handler must be able to leave its mark

    def attempt(build, who, name, pair='ecdsa', options=()):
        assert not CREATED.exists()
        the = Hostile(built(build), pki.pair(pair), who, name, folder, options)
        got, end = the.connect()
        assert got == b''
        assert not the.mark.exists(), 'the handler ran'
        assert 'handler' not in end.summary
        assert int(end.summary['pid']) == end.pid, 'the monitor did not outlive its gate'
        return end
    yield attempt
    shutil.rmtree(folder)


@pytest.fixture
def tickets(postern, tmp_path):
    return resume.new_key(postern, tmp_path / 'tickets')


def outcome(end, attempt):
    """What the gate itself says of its attempt, or None."""
    found = re.search(rf'attempt {attempt}: (.+)', end.log)
    return found and found[1]


# Attempts to break out

@as_who
@pytest.mark.parametrize('attempt', [*FAILING, *ONLY_SECCOMP])
def test_attempt_kills_the_gate_and_the_log_says_so(hostile, attempt, who):
    end = hostile('seccomp', who, attempt)
    assert end.log.count(KILLED) == 1, end.log
    assert outcome(end, attempt) is None, end.log
    assert (end.summary['end'], end.status) == ('gate-died', GATE_DIED)


@as_who
@pytest.mark.parametrize('attempt', FAILING)
def test_without_seccomp_the_rest_of_the_jail_makes_the_attempt_fail(hostile, attempt, who):
    why, as_root, as_user = FAILING[attempt]
    wanted = as_root if who == 'root' else as_user
    if landlock_version() < wanted:
        pytest.skip(f'without seccomp this takes version {wanted} of Landlock; this kernel has {landlock_version()}')
    end = hostile('bare', who, attempt)
    assert outcome(end, attempt) == f'failed ({why})', end.log
    assert (end.summary['end'], end.status) == ('left', LEFT)


@as_who
@pytest.mark.parametrize('attempt', ONLY_SECCOMP)
def test_only_seccomp_forbids(hostile, attempt, who):
    assert outcome(hostile('bare', who, attempt), attempt).startswith('SUCCEEDED')


@as_who
@both_builds
@pytest.mark.parametrize('attempt', MEMORY)
def test_there_is_no_more_memory_than_a_session_needs(hostile, attempt, build, who):
    end = hostile(build, who, attempt)
    assert outcome(end, attempt) == 'failed (Cannot allocate memory)', end.log
    assert (end.summary['end'], end.status) == ('left', LEFT)


def late(program, pki, who, attempt, tmp_path):
    """A session whose gate makes an attempt when the relay begins: how it ended."""
    command = [program, *pki.ecdsa.options(), '--', '/bin/echo', 'hello']
    with LAUNCHERS[who](command, tmp_path, environment={'ATTEMPT': attempt}) as server:
        with tls.Client(server, pki.ca) as client:
            try:
                client.rest()
            except (tls.Truncated, OSError):
                pass
        return server.wait()


@as_who
@pytest.mark.parametrize('attempt', LATE)
def test_when_the_relay_has_begun_less_is_allowed(built, pki, tmp_path, attempt, who):
    end = late(built('seccomp'), pki, who, attempt, tmp_path)
    assert end.log.count(KILLED) == 1, end.log
    assert outcome(end, attempt) is None, end.log
    assert (end.summary['end'], end.status) == ('gate-died', GATE_DIED)


@as_who
@pytest.mark.parametrize('attempt', LATE)
def test_only_the_second_list_forbids_it(built, pki, tmp_path, attempt, who):
    assert outcome(late(built('bare'), pki, who, attempt, tmp_path), attempt).startswith('SUCCEEDED')


@as_who
@both_builds
@pytest.mark.leaves('cat')         # whose parent is gone
def test_a_gate_dies_with_its_monitor_even_if_it_does_not_run(built, pki, tmp_path, build, who):
    """The socket alone would not tell a gate that is stopped, or one that does not look."""
    command = [built(build), *pki.ecdsa.options(), '--', '/bin/cat']
    with LAUNCHERS[who](command, tmp_path) as server:
        with tls.Client(server, pki.ca) as client:
            client.send(b'x')
            assert client.take(1) == b'x'
            monitor = server.process().pid
            gate = tls.gate_of(server.process())
            os.kill(gate, signal.SIGSTOP)
            os.kill(monitor, signal.SIGKILL)
            tls.all_end([gate])


@needs_root
@pytest.mark.leaves('postern')     # nobody waits for the child that this gate may have
@pytest.mark.parametrize('attempt, result', [
    ('open', 'SUCCEEDED (Success)'),
    ('fork', 'SUCCEEDED (Success)'),
    ('setuid', 'failed (Operation not permitted)'),         # even there it is not root any more,
    ('socket', 'SUCCEEDED (Success)'),
    ('mmap-exec', 'SUCCEEDED (Success)'),
    ('read-memory', 'failed (Operation not permitted)'),    # nor can it touch the monitor,
    ('connect', 'failed (Connection refused)'),             # but it gets as far as the network
])
def test_without_a_jail_the_same_attempt_is_not_forbidden(hostile, attempt, result):
    """So it is the jail that the tests above see at work."""
    assert outcome(hostile('bare', 'root', attempt, options=['--jail=off']), attempt) == result


# Lies to the monitor

@both_builds
@as_who
@pytest.mark.parametrize('lie', LIES)
def test_lie_ends_the_connection_and_the_log_says_so(hostile, tickets, lie, who, build):
    end = hostile(build, who, lie, options=[f'--tickets={tickets}'])
    assert end.log.count(LIES[lie]) == 1, end.log
    assert outcome(end, lie) in (None, 'failed (Broken pipe)', 'failed (Connection reset by peer)'), end.log
    assert (end.summary['end'], end.status) == ('gate-died', GATE_DIED)
    assert end.log.count('flood') == (0 if lie != 'flood-notes' else NOTES_MAX - (build == 'bare'))


@pytest.mark.parametrize('pair', ['rsa', 'ed25519'])
def test_key_of_another_kind_signs_no_hash_for_ecdsa(hostile, pair):
    end = hostile('seccomp', 'user', 'sign-anything', pair)
    assert LIES['sign-anything'] in end.log
    assert (end.summary['end'], end.status) == ('gate-died', GATE_DIED)


@pytest.mark.parametrize('lie, words', [
    ('proxy-twice', LIES['proxy-twice']),
    ('sign-twice', 'the gate sent a chain message that is malformed or out of turn: connection ended'),
    ('facts-unasked', LIES['facts-unasked']),
])
def test_with_a_proxy_the_header_comes_first_and_once(hostile, lie, words):
    end = hostile('seccomp', 'user', lie, options=['--proxy-protocol', '--proxy-trusted=127.0.0.1'])
    assert end.log.count(words) == 1, end.log
    assert (end.summary['end'], end.status) == ('gate-died', GATE_DIED)


# The same builds when they attempt nothing

@both_builds
@as_who
def test_test_build_that_attempts_nothing_serves(built, pki, tmp_path, who, build):
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    try:
        the = Hostile(built(build), pki.ecdsa, who, None, folder)
        with the.launcher as server:
            with tls.Client(server, pki.ca) as client:
                assert client.rest() == b'it ran\n'
            assert server.wait().summary['end'] == 'handler-close'
        assert the.mark.read_bytes() == b'it ran\n'
    finally:
        shutil.rmtree(folder)


# The processes around the gate

class Around:
    """Monitor and handler in the middle of a session."""

    def __init__(self, server):
        self.monitor = server.process().pid
        self.gate = tls.gate_of(server.process())
        self.handler = tls.handler_of(server.process())
        self.log = str(server.process().log_file)

    def descriptors(self):
        folder = f'/proc/{self.monitor}/fd'
        return {int(name): os.readlink(f'{folder}/{name}') for name in os.listdir(folder)}


def locked_in(pid):
    """Under seccomp? Without the chance to gain rights?"""
    status = tls.status(pid)
    return status['Seccomp'], status['NoNewPrivs']


def is_unix(descriptor):
    """Is this a Unix socket, not the network's?"""
    inode = re.fullmatch(r'socket:\[(\d+)\]', descriptor)
    with open('/proc/net/unix', encoding='utf-8', errors='replace') as file:
        return inode and any(line.split()[6:7] == [inode[1]] for line in file)


@pytest.fixture
def session(built, pki, tmp_path):
    """session(who, look, option...): call look() with the processes of a session that goes on."""
    def hold(who, look, *options, starttls=False, **more):
        handler = ['/bin/sh', '-c', 'echo 220 hello; exec cat']
        command = [built('seccomp'), *pki.ecdsa.options(), *options, '--', *handler]
        with LAUNCHERS[who](command, tmp_path, **more) as server:
            with tls.Client(server, pki.ca, handshake=not starttls) as client:
                if starttls:
                    talk_until_tls(client.socket)
                    client.handshake()
                else:
                    assert client.take(10) == b'220 hello\n'
                client.send(b'x')
                assert client.take(1) == b'x'
                look(Around(server))
                client.close_notify()
                client.ends_in_order()
            assert server.wait().status == 0
    return hold


def talk_until_tls(connection):
    """By SMTP: the answer to STARTTLS is the second line that begins with 220."""
    connection.sendall(b'EHLO me\r\nSTARTTLS\r\n')
    got = b''
    while b'\n220 ' not in got or not got.endswith(b'\n'):
        got += connection.recv(1000)


@as_who
@pytest.mark.parametrize('starttls', [False, True], ids=['immediate', 'starttls'])
def test_after_the_handshake_the_monitor_is_locked_in_and_the_handler_is_free(session, who, starttls):
    def look(the):
        assert locked_in(the.gate) == ('2', '1')
        assert locked_in(the.monitor) == ('2', '1')
        assert locked_in(the.handler) == ('0', tls.status(os.getpid())['NoNewPrivs'])
    session(who, look, *(['--starttls=smtp'] if starttls else []), starttls=starttls)


@as_who
@pytest.mark.parametrize('stdio', ['pipe', 'socket'])
@pytest.mark.parametrize('start, stderr', [('stdio', 'file'), ('stdio', 'socket'), ('pair', 'file'), ('systemd', 'file')])
def test_after_the_handshake_the_monitor_holds_only_what_leads_to_its_children_and_the_log(session, who, stdio, start, stderr):
    def look(the):
        held = the.descriptors()
        standard = [held.pop(number) for number in (0, 1, 2)]
        assert standard == ['/dev/null', '/dev/null', the.log if stderr == 'file' else '/dev/null']
        errors = [target for target in held.values() if target.startswith('pipe:[')]
        sockets = [target for target in held.values() if target.startswith('socket:[')]
        assert errors == ([os.readlink(f'/proc/{the.handler}/fd/2')] if stderr == 'socket' else []), held
        assert len(sockets) == 1 and is_unix(sockets[0]), held
        assert len(held) == len(errors) + len(sockets) + 1 and 'anon_inode:[signalfd]' in held.values(), held
    session(who, look, f'--stdio={stdio}', start=start, stderr=stderr)
