# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever fails, the client sees a working session or a closed connection, nothing stays behind, and the log says why.

Each system call of the monitor, of the gate and of what becomes the handler is made to fail, at its first and its last
occurrence; with FAULTS=all in the environment at every one, with more errnos, and in more kinds of sessions.
"""

import errno
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from harness import faults, launch, lobby, privileges, tls
from harness.faults import Fault

ALL = os.environ.get('FAULTS') == 'all'
KINDS = ['starttls'] + (['immediate', 'leaving', 'ucspi'] if ALL else [])
MEGABYTE = 1 << 20

# What each call may say when it fails. Calls that can't fail, or must fail already, are not here.
ERRORS = {
    'accept4': ['EMFILE'], 'access': ['EACCES'], 'brk': ['ENOMEM'], 'capset': ['EPERM'], 'chroot': ['EPERM'],
    'clock_gettime': ['EINVAL'], 'clone': ['EAGAIN', 'ENOMEM'], 'clone3': ['EAGAIN'], 'close': ['EIO', 'EINTR'],
    'close_range': ['ENOSYS'], 'connect': ['ECONNREFUSED', 'EACCES'], 'dup2': ['EMFILE', 'EBUSY'], 'dup3': ['EMFILE'],
    'execve': ['ENOENT', 'ENOMEM', 'EACCES', 'ENOEXEC', 'ETXTBSY'], 'faccessat2': ['EACCES'], 'fchdir': ['EACCES'],
    'fcntl': ['EMFILE', 'EINVAL'], 'fork': ['EAGAIN'], 'fstat': ['EIO'], 'futex': ['ENOMEM'],
    'getpeername': ['ENOTCONN', 'ENOBUFS'], 'getrandom': ['ENOSYS', 'EAGAIN'], 'getresgid': ['EFAULT'],
    'getresuid': ['EFAULT'], 'getsockname': ['ENOBUFS'], 'getsockopt': ['ENOPROTOOPT'], 'ioctl': ['ENOTTY', 'EIO'],
    'kill': ['EPERM', 'ESRCH'], 'landlock_create_ruleset': ['ENOSYS', 'EOPNOTSUPP'],
    'landlock_restrict_self': ['EPERM'], 'lseek': ['ESPIPE'], 'madvise': ['EINVAL', 'ENOMEM'],
    'mkdir': ['EACCES', 'ENOSPC', 'EROFS'], 'mlock2': ['ENOMEM', 'EPERM', 'ENOSYS'], 'mmap': ['ENOMEM'],
    'munmap': ['ENOMEM'], 'newfstatat': ['EACCES', 'EIO'], 'open': ['EMFILE', 'EACCES', 'ENFILE', 'ENOENT'],
    'openat': ['EMFILE', 'EACCES', 'EIO', 'ENFILE', 'ENOENT'],
    'pipe2': ['EMFILE', 'ENFILE'], 'poll': ['ENOMEM'], 'ppoll': ['ENOMEM'], 'prctl': ['EPERM', 'EINVAL'],
    'prlimit64': ['EPERM'], 'read': ['EIO'], 'recvfrom': ['ETIMEDOUT', 'ECONNRESET', 'EHOSTUNREACH'],
    'recvmsg': ['ENOMEM'], 'rmdir': ['EBUSY'], 'rt_sigaction': ['EINVAL'], 'rt_sigprocmask': ['EINVAL'],
    'seccomp': ['EINVAL', 'ENOSYS', 'EACCES'], 'sendmsg': ['ENOBUFS', 'ENOMEM'],
    'sendto': ['EPIPE', 'ECONNRESET', 'ETIMEDOUT', 'ENOBUFS'], 'set_robust_list': ['ENOSYS'],
    'setgroups': ['EPERM', 'ENOMEM'], 'setresgid': ['EPERM', 'EINVAL'], 'setresuid': ['EAGAIN', 'EINVAL'],
    'setrlimit': ['EPERM'], 'setsid': ['EPERM'], 'setsockopt': ['ENOPROTOOPT', 'ENOBUFS'], 'shutdown': ['ENOTCONN'],
    'signalfd4': ['EMFILE', 'ENFILE', 'ENOMEM'], 'socket': ['EMFILE', 'EACCES'], 'socketpair': ['EMFILE', 'ENOBUFS'],
    'stat': ['EACCES'], 'uname': ['EFAULT'], 'unlink': ['EACCES'], 'vfork': ['EAGAIN', 'ENOMEM'],
    'wait4': ['ECHILD'], 'write': ['EPIPE', 'EIO'],
}
CANT_FAIL = {'*', 'exit_group', 'getpid', 'getppid', 'getuid', 'geteuid', 'getgid', 'getegid', 'gettid', 'restart_syscall',
             'rt_sigreturn', 'setuid', 'setgid', 'setreuid', 'seteuid', 'vhangup'}

MEMORY = 'brk,mmap,mremap'
SANITIZER = {'brk', 'mmap', 'munmap', 'madvise', 'futex'}       # that AddressSanitizer makes, and can't do without

# Other words for what failed than the call's name or the errno's text: a regular expression over the whole log.
MEANING = {
    'getrandom': r'[Rr]andom',
    'read': r'[Rr]andom|end=(left|reset)\b',            # from the client in the lobby
    'recvfrom': r'client left|end=(left|reset|truncated)\b',
    'sendto': r'client left|end=(left|reset|truncated)\b',
    'write': r'end=(left|reset|handler-close)\b',       # to a client or a handler that is no more there
    'getresuid': r'the jail cannot be closed: changing', 'getresgid': r'the jail cannot be closed: changing',
    'newfstatat': r'is not a file|standard input is closed', 'fstat': r'is not a file|standard input is closed',
    'brk': r'memory', 'mmap': r'memory', MEMORY: r'memory',
    'execve': r'interpreter .* is not there',
}

# What errnos are called by a program with musl, unlike here.
MUSL = {errno.EMFILE: 'No file descriptors available', errno.ENOMEM: 'Out of memory', errno.EIO: 'I/O error',
        errno.ETIMEDOUT: 'Operation timed out', errno.EHOSTUNREACH: 'Host is unreachable', errno.ENOTTY: 'Not a tty',
        errno.ENOTCONN: 'Socket not connected', errno.ESPIPE: 'Invalid seek', errno.EOPNOTSUPP: 'Not supported',
        errno.ECHILD: 'No child process'}

# A gate that goes on without these would be a gate without its jail. EINVAL is for ids that a user namespace lacks, and
# the second setresuid is the proof that there is no way back.
MUST_END = {('setresuid', 1), ('setresgid', 1), ('getresuid', 1), ('getresgid', 1), ('prlimit64', 1), ('prctl', 2)}


@pytest.fixture(scope='session', name='injecting')
def program_that_injects_faults():
    made = faults.build()
    if made is None:
        pytest.skip('the injector knows nothing of this architecture')
    return made


@pytest.fixture
def injector(injecting, postern, pki, tmp_path):
    """injector(kind) runs sessions of that kind, each with a fault."""
    def make(kind, *options):
        return faults.Injector(injecting, postern, pki.ecdsa, tmp_path / kind, kind, options)
    return make


def assert_fine(complaints):
    assert not complaints, f'{len(complaints)} complaints:\n' + '\n'.join(complaints)


# System calls

def occurrences(count):
    return range(1, count + 1) if ALL else sorted({1, count})


def each_fault(counts, who, sanitized):
    """One fault for each call, occurrence and errno."""
    for call, count in sorted(counts.items()):
        if call in CANT_FAIL or sanitized and (call in SANITIZER or call not in ERRORS):
            continue
        assert call in ERRORS, f'{who} makes a new call, {call}: say in ERRORS how it may fail'
        for number in occurrences(count):
            errors = ERRORS[call] if ALL else ERRORS[call][:1]
            for name in errors:
                yield Fault(who, call, number, getattr(errno, name), after=call == 'close')


def judge(trial):
    """What is wrong with the way in which a session with a failing call went."""
    wrong = []
    if trial.report.hangs:
        wrong.append('hangs')
    for who, (how, number) in trial.report.ends.items():
        # The monitor may kill a gate that it can no longer talk to, and a handler that does not go.
        if how == 'signal' and (who == 'monitor' or number != signal.SIGKILL):
            wrong.append(f'{who} killed by {signal.Signals(number).name}')
    if not trial.outcome.fine:
        wrong.append(f'the client sees {trial.outcome.kind}')
    if trial.status not in faults.EXITS | faults.TOLD:
        wrong.append(f'exit status {trial.status} is in no table')
    wrong += judge_log(trial) + judge_descriptors(trial)
    must_end = trial.fault.who == 'gate' and (trial.fault.calls, trial.fault.when) in MUST_END
    if must_end and trial.outcome.kind == 'whole' and trial.fault.what != errno.EINVAL:
        wrong.append('goes on without its jail')
    if trial.status == os.EX_SOFTWARE and trial.report.hits:
        wrong.append('exit status 70 blames the gate, but the system refused something')
    return wrong


def judge_log(trial):
    call, log = trial.fault.calls, trial.log
    wrong = []
    for line in log.splitlines():
        if not re.fullmatch(r'postern\[\d+\]: [ -~]+', line):
            wrong.append('strange line in the log')
    if trial.outcome.kind != 'whole':
        number = trial.fault.what
        words = [os.strerror(number), MUSL.get(number, '.^'), rf'\b{call}\b', MEANING.get(call, '.^')]
        if not any(re.search(word, log) for word in words):
            wrong.append('no line in the log says what failed')
    if trial.report.hits and 'end=sigterm' in log:
        wrong.append('end=sigterm, but there was no signal')
    if trial.fault.who == 'gate' and 'end=configuration' in log:
        wrong.append('end=configuration, but the configuration is good')
    if 'ignores SIGTERM' in log and 'goes on without' not in log:
        wrong.append('a handler is said to ignore a SIGTERM that nobody sent')
    return wrong


def judge_descriptors(trial):
    wrong = []
    for who, held in trial.report.descriptors.items():
        if who.startswith('start') and len(held) != (6 if trial.kind == 'ucspi' else 3):
            wrong.append(f'the handler inherits {held}')
        if who == 'monitor' and 'gate' in trial.report.ends and not trial.report.hangs:
            pipes = [target for target in held if target.startswith('pipe:')]
            sockets = [target for target in held if target.startswith('socket:')]
            if pipes or sockets or held.count('syslog') > 1:
                wrong.append(f'the monitor still holds {pipes + sockets}')
    return wrong


@pytest.mark.parametrize('who', ['monitor', 'gate', 'start'])
@pytest.mark.parametrize('kind', KINDS)
def test_each_system_call_fails(injector, postern, kind, who):
    sessions = injector(kind)
    ordinary = sessions.run(Fault())
    assert ordinary.outcome.kind == 'whole' and ordinary.status == 0, ordinary
    complaints, outcomes = [], []
    for process, counts in ordinary.report.counts.items():
        if not process.startswith(who):
            continue
        for fault in each_fault(counts, process, faults.sanitized(postern)):
            trial = sessions.run(fault)
            complaints += [f'{why}: {trial}' for why in judge(trial)]
            outcomes.append(trial)
    assert len(outcomes) >= 5
    tell(kind, who, outcomes)
    assert_fine(complaints)


def tell(kind, who, trials):
    """FAULTS_TABLE=FILE: add what came of each call to this table."""
    if 'FAULTS_TABLE' in os.environ:
        with open(os.environ['FAULTS_TABLE'], 'a', encoding='utf-8') as file:
            for trial in trials:
                end = re.findall(r' end=(\S+)', trial.log)
                fault = trial.fault
                print(kind, who, fault.calls, fault.when, errno.errorcode[fault.what], trial.outcome.kind, trial.status,
                      end[-1] if end else '-', 'hang' if trial.report.hangs else '-', '; '.join(judge(trial)) or 'fine',
                      sep='\t', file=file)


INTERRUPTED = 'read,write,recvfrom,sendto,recvmsg,sendmsg,poll,ppoll,getrandom'
RARELY = 'wait4,openat,connect,close,dup2,fcntl,futex'


@pytest.mark.parametrize('who', ['monitor', 'gate', 'all'])
@pytest.mark.parametrize('kind', ['immediate', 'starttls', 'leaving'])
def test_each_second_call_is_interrupted(injector, kind, who):
    trial = injector(kind).run(Fault(who, INTERRUPTED, 'odd', errno.EINTR))
    assert len(trial.report.hits) > 3
    assert trial.outcome.kind == 'whole' and trial.status == 0, trial
    assert not judge(trial), trial


@pytest.mark.parametrize('kind', ['immediate', 'starttls'])
def test_calls_that_are_hardly_ever_interrupted_are_so_one_by_one(injector, kind):
    sessions = injector(kind)
    counts = sessions.run(Fault()).report.counts
    complaints = []
    for who in ('monitor', 'gate'):
        for call in RARELY.split(','):
            for number in occurrences(counts[who].get(call, 0)) if call in counts[who] else ():
                trial = sessions.run(Fault(who, call, number, errno.EINTR, after=call == 'close'))
                complaints += [f'{why}: {trial}' for why in judge(trial)]
    assert_fine(complaints)


@pytest.mark.parametrize('kind', KINDS)
def test_monitor_that_can_wait_for_nothing_any_more_ends_all(injector, kind):
    sessions = injector(kind)
    total = sessions.run(Fault()).report.counts['monitor']['*']
    complaints = []
    for number in range(total * 2 // 3, total, 3 if ALL else 12):
        trial = sessions.run(Fault('monitor', 'poll', f'{number}+', errno.ENOMEM))
        complaints += [f'{why}: {trial}' for why in judge(trial)]
    assert_fine(complaints)


@pytest.mark.parametrize('kind', KINDS)
def test_calls_that_say_try_again_are_tried_again(injector, kind):
    """Spurious wake-ups: whoever was told that a descriptor is ready finds it is not."""
    trial = injector(kind).run(Fault('gate', 'recvfrom,sendto', 'odd', errno.EAGAIN))
    assert len(trial.report.hits) > 2 or kind == 'leaving'
    assert trial.outcome.kind == 'whole' and trial.status == 0, trial
    assert not judge(trial), trial


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('who', ['monitor', 'gate'])
def test_memory_runs_out_in_the_middle(injector, postern, kind, who):
    if faults.sanitized(postern):
        pytest.skip('AddressSanitizer ends a program that has no memory')
    sessions = injector(kind)
    total = sessions.run(Fault()).report.counts[who]['*']
    complaints = []
    for number in range(1, total, 4 if ALL else 14):
        trial = sessions.run(Fault(who, MEMORY, f'{number}+', errno.ENOMEM))
        complaints += [f'{why}: {trial}' for why in judge(trial)]
    assert_fine(complaints)


# SIGKILL at each moment

@pytest.mark.parametrize('kind', ['immediate', 'starttls', 'leaving'])
@pytest.mark.parametrize('who', ['monitor', 'gate'])
def test_process_is_killed_at_each_moment(injector, kind, who):
    sessions = injector(kind)
    total = sessions.run(Fault()).report.counts[who]['*']
    complaints = []
    for number in range(1, total + 1, 2 if ALL else 10):
        trial = sessions.run(Fault(who, '*', number, 'kill'))
        complaints += [f'{why}: {trial}' for why in judge_killing(trial, who)]
    assert_fine(complaints)


def judge_killing(trial, who):
    wrong = []
    if trial.report.hangs:
        wrong.append('hangs')
    if not trial.outcome.fine:
        wrong.append(f'the client sees {trial.outcome.kind}')
    killed = {end for end in trial.report.ends.items() if end[1][0] == 'signal'}
    if killed - {(who, ('signal', signal.SIGKILL)), ('gate', ('signal', signal.SIGKILL))}:
        wrong.append(f'{killed} were killed')
    if who == 'gate' and trial.report.hits:
        if trial.status not in faults.EXITS | faults.TOLD:
            wrong.append(f'exit status {trial.status} is in no table')
        # By whom, if not by the monitor? The kernel's search for memory does so.
        if 'killed' not in trial.log and not re.search(r'end=(client|handler)-close', trial.log):
            wrong.append('no line in the log says that the gate was killed')
    return wrong


# Limits on resources

def start(command, folder, prefix=(), **more):
    return faults.Wrapped(command, folder, prefix, **more)


@pytest.fixture
def commands(postern, pki):
    """kind → the command line for sessions of that kind."""
    made = {}
    for kind, (_, handler, options) in faults.SESSIONS.items():
        made[kind] = [postern, *pki.ecdsa.options(), *faults.TIMEOUTS, *options, '--', *handler]
    return made


def limited(kind, command, folder, ca, prefix, whole=True):
    """What is wrong with a session under a limit."""
    with start(command, folder, prefix) as server:
        outcome = faults.watch(faults.SESSIONS[kind][0], server, ca)
        end = server.wait(faults.LIMIT)
    wrong = []
    loader = re.search('error while loading shared libraries|cannot allocate TLS data structures', end.log)
    handler = re.search('/bin/cat: memory exhausted', end.log)      # it needs more than a static postern
    if not outcome.fine:
        wrong.append(f'the client sees {outcome.kind}')
    if end.status not in faults.EXITS | ({127} if loader else set()) | ({1} if handler else set()):
        wrong.append(f'exit status {end.status} is in no table')
    if outcome.kind == 'whole' and not end.status == 0:
        wrong.append('a whole session ends badly')
    lines = [line for line in end.log.splitlines() if not launch.SUMMARY.match(line)]
    if outcome.kind != 'whole' and not lines:
        wrong.append('no line in the log says what failed')
    faults.no_child_is_left()
    about = f'{" ".join(prefix)}: {outcome}; status {end.status}\n    log: {end.log}'
    return outcome.kind, [f'{why}: {about}' for why in wrong]


@pytest.mark.parametrize('kind', ['immediate', 'starttls'])
def test_few_descriptors(commands, pki, tmp_path, kind):
    complaints, kinds = [], []
    for number in range(3, 23, 1 if ALL else 3):
        prefix = ['prlimit', f'--nofile={number}:{number}']
        outcome, wrong = limited(kind, commands[kind], tmp_path / str(number), pki.ca, prefix)
        complaints += wrong
        kinds.append(outcome)
    assert kinds[-1] == 'whole'
    assert kinds[0] != 'whole'
    assert kinds == sorted(kinds, key=lambda outcome: outcome == 'whole'), 'more descriptors make it worse'
    assert_fine(complaints)


def test_little_memory(commands, postern, pki, tmp_path):
    if faults.sanitized(postern):
        pytest.skip('AddressSanitizer needs a large address space')
    with start(commands['immediate'], tmp_path / 'peak') as server, tls.Client(server, pki.ca) as client:
        client.send(b'x')
        client.take(1)
        monitor = server.process()
        peaks = [tls.status(process.pid)['VmPeak'] for process in (monitor, *tls.children(monitor.pid))]
        client.close_notify()
    peak = max(int(text.split()[0]) for text in peaks) * 1024
    complaints, kinds = [], []
    for percent in range(40, 125, 2 if ALL else 6):
        limit = peak * percent // 100
        if limit < postern.stat().st_size + 256 * 1024:
            continue        # a static program for which there is no room is killed by the kernel before it has begun
        prefix = ['prlimit', f'--as={limit}']
        outcome, wrong = limited('immediate', commands['immediate'], tmp_path / str(percent), pki.ca, prefix)
        complaints += wrong
        kinds.append(outcome)
    assert kinds[-1] == 'whole' and kinds[0] == 'closed'
    assert_fine(complaints)


@pytest.mark.skipif(os.getuid() != 0, reason='needs a user of its own')
@pytest.mark.parametrize('number', [0, 1, 2])
@pytest.mark.parametrize('kind', ['immediate', 'starttls'])
def test_few_processes_for_an_ordinary_user(commands, pki, tmp_path, kind, number):
    user = 61000 + os.getpid() % 1000       # nobody else's processes count
    with tempfile.TemporaryDirectory() as public:
        os.chmod(public, 0o755)
        command = []
        for word in map(str, commands[kind]):
            name, equals, value = word.partition('=')
            if name in ('--cert', '--key') or word == str(commands[kind][0]):
                value = shutil.copy(value or word, public)
                os.chown(value, user, user)
            command.append(name + equals + value if equals else value or word)
        prefix = ['setpriv', f'--reuid={user}', f'--regid={user}', '--clear-groups', 'prlimit', f'--nproc={number}']
        outcome, wrong = limited(kind, command, tmp_path / 'one', pki.ca, prefix)
        if number < 2:
            assert outcome == 'closed' and 'cannot start the gate process' in (tmp_path / 'one/log.0').read_text()
        assert_fine(wrong)


# The log

def shell(script, *words):
    return ['/bin/sh', '-c', script, *map(str, words)]


NOBODY_READS = 'exec 9<>"$0" 2>"$0" 9<&-; exec "$@"'
FULL = 'exec "$@" 2>/dev/full'
CLOSED = 'exec "$@" 2>&-'


def lost_log(how, folder):
    """What starts postern with a log that can't be written."""
    if how == 'nobody reads':
        os.mkfifo(folder / 'fifo')
        return shell(NOBODY_READS, folder / 'fifo')
    return shell({'full': FULL, 'closed': CLOSED}[how], 'sh')


@pytest.mark.parametrize('how', ['full', 'closed', 'nobody reads'])
@pytest.mark.parametrize('kind', ['immediate', 'starttls', 'leaving'])
def test_log_that_cant_be_written_ends_no_session(commands, pki, tmp_path, kind, how):
    with start(commands[kind], tmp_path / 'one', lost_log(how, tmp_path)) as server:
        outcome = faults.watch(faults.SESSIONS[kind][0], server, pki.ca)
        end = server.wait()
    assert outcome.kind == 'whole', outcome
    assert end.status == 0


@pytest.mark.parametrize('how', ['full', 'closed', 'nobody reads'])
@pytest.mark.parametrize('what, status', [('--cert=/nonexistent', os.EX_CONFIG), ('--nonsense', os.EX_USAGE)])
def test_log_that_cant_be_written_does_not_change_the_exit_status_of_a_failure(
        postern, pki, tmp_path, how, what, status):
    certificate = [what] if what.startswith('--cert') else [*pki.ecdsa.options(), what]
    with start([postern, *certificate, '--', '/bin/cat'], tmp_path / 'one', lost_log(how, tmp_path)) as server:
        outcome = faults.watch(faults.immediate, server, pki.ca)
        end = server.wait()
    assert outcome.kind == 'closed', outcome
    assert end.status == status


BRIM = '''
import os, socket, sys
way = sys.argv[1]
if os.path.exists(way + '.listens'):
    stderr = socket.socket(socket.AF_UNIX)
    stderr.connect(way)
    stderr.setblocking(False)
    fd = stderr.detach()
else:
    fd = os.open(way, os.O_RDWR | os.O_NONBLOCK)
try:
    while True:
        os.write(fd, b'x' * 64)
except BlockingIOError:
    pass
os.set_blocking(fd, True)
os.dup2(fd, 2)
os.closerange(3, 100)
os.execv(sys.argv[2], sys.argv[2:])
'''


@pytest.fixture(params=['pipe', 'socket'])
def brimful(request, tmp_path):
    """A log that is full to the brim, and a reader that does not read: what starts postern with it, and the reader."""
    way = tmp_path / 'way'
    prefix = lobby.python(BRIM, way)
    if request.param == 'pipe':
        os.mkfifo(way)
        with open(os.open(way, os.O_RDWR), 'rb', buffering=0) as reader:
            yield prefix, reader
    else:
        (tmp_path / 'way.listens').touch()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(way))
            listener.listen()
            yield prefix, listener


def read_log(reader, word):
    """Reads until this word comes."""
    stream = reader
    if isinstance(reader, socket.socket):
        connection, _ = reader.accept()
        connection.settimeout(tls.TIMEOUT)
        stream = connection.makefile('rb', buffering=0)
    got = b''
    while word not in got:
        data = stream.read(65536)
        assert data, got
        got += data.lstrip(b'x')
    return got


def test_session_does_not_wait_for_whoever_should_read_its_full_log(commands, pki, tmp_path, brimful):
    prefix, _ = brimful
    with start(commands['immediate'], tmp_path / 'one', prefix) as server:
        outcome = faults.watch(faults.immediate, server, pki.ca)
        end = server.wait(faults.LIMIT)
    assert (outcome.kind, end.status) == ('whole', 0), outcome


def test_full_log_that_is_read_again_in_time_loses_no_line(commands, pki, tmp_path, brimful):
    prefix, reader = brimful
    with start(commands['immediate'], tmp_path / 'one', prefix) as server:
        outcome = faults.watch(faults.immediate, server, pki.ca)
        got = read_log(reader, b'end=')
        end = server.wait(faults.LIMIT)
    assert re.fullmatch(rb'postern\[\d+\]: client=\S+ server=[ -~]+ end=client-close\n', got)
    assert (outcome.kind, end.status) == ('whole', 0)


def test_mistake_in_the_options_ends_postern_though_the_log_is_full(postern, pki, tmp_path, brimful):
    prefix, _ = brimful
    with start([postern, '--nonsense', '--', '/bin/cat'], tmp_path / 'one', prefix) as server:
        outcome = faults.watch(faults.immediate, server, pki.ca)
        end = server.wait(faults.LIMIT)
    assert (outcome.kind, end.status) == ('closed', os.EX_USAGE)


def test_log_that_has_reached_its_limit_ends_no_session(commands, pki, tmp_path):
    with start([*commands['immediate'][:1], '-v', *commands['immediate'][1:]], tmp_path / 'one',
               ['prlimit', '--fsize=0']) as server:
        outcome = faults.watch(faults.immediate, server, pki.ca)
        end = server.wait()
    assert (outcome.kind, end.status, end.log) == ('whole', 0, '')


class Syslog:
    """A syslogd of our own at a path, and what starts postern where that is /dev/log."""

    SCRIPT = '''set -e
        mount -t tmpfs none "$0/dev"
        for name in null zero full random urandom tty; do
            [ -e /dev/$name ] && touch "$0/dev/$name" && mount --bind /dev/$name "$0/dev/$name"
        done
        ln -s "$0/log" "$0/dev/log"
        mount --rbind "$0/dev" /dev
        exec "$@"'''

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp())      # a short name: sockets allow no other
        (self.folder / 'dev').mkdir()
        self.prefix = ['unshare', '--mount', '--propagation=private', *shell(self.SCRIPT, self.folder)]
        self.socket = None

    def open(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(tls.TIMEOUT)
        self.socket.bind(str(self.folder / 'log'))

    def close(self):
        if self.socket:
            self.socket.close()
            (self.folder / 'log').unlink()
        self.socket = None

    def lines(self, word):
        """Lines up to the one with this word."""
        found = []
        while word not in ''.join(found):
            found.append(self.socket.recv(10000).decode())
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        shutil.rmtree(self.folder)


@pytest.fixture
def syslog():
    privileges.need_mounts()
    with Syslog() as made:
        yield made


def with_syslog(command):
    return [command[0], '--log=syslog', *command[1:]]


@pytest.mark.parametrize('kind', ['immediate', 'starttls', 'leaving'])
def test_no_syslogd_is_no_reason_to_fail(commands, pki, tmp_path, syslog, kind):
    with start(with_syslog(commands[kind]), tmp_path / 'one', syslog.prefix) as server:
        outcome = faults.watch(faults.SESSIONS[kind][0], server, pki.ca)
        end = server.wait()
    assert (outcome.kind, end.status) == ('whole', 0), outcome
    assert end.log == ''


@pytest.mark.parametrize('comes_back', [False, True], ids=['for ever', 'and comes back'])
def test_syslogd_ends_in_the_middle_of_a_session(commands, pki, tmp_path, syslog, comes_back):
    syslog.open()
    with start(with_syslog(commands['immediate']), tmp_path / 'one', syslog.prefix) as server:
        with tls.Client(server, pki.ca) as client:
            client.send(b'one')
            assert client.take(3) == b'one'
            syslog.close()
            if comes_back:
                syslog.open()
            client.send(b'two')
            assert client.take(3) == b'two'
            client.close_notify()
            client.ends_in_order()
        assert server.wait().status == 0
    if comes_back:
        assert 'in=6 out=6' in syslog.lines('end=client-close')[-1]


def test_syslogd_that_reads_nothing_does_not_keep_the_client_waiting(commands, pki, tmp_path, syslog):
    """Its socket takes no more: whoever writes to it waits, but this is the monitor, when all else is done."""
    syslog.open()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        filler.connect(str(syslog.folder / 'log'))
        with pytest.raises(BlockingIOError):
            while True:
                filler.send(b'x')
    with start(with_syslog(commands['immediate']), tmp_path / 'one', syslog.prefix) as server:
        outcome = faults.watch(faults.immediate, server, pki.ca)
        assert outcome.kind == 'whole', outcome
        syslog.lines('end=client-close')
        assert server.wait().status == 0


# Signals that interrupt and mean nothing

class Noise:
    """Sends signals to some processes, again and again, until it is told to stop."""

    def __init__(self, pids, numbers):
        self.pids = pids
        self.numbers = numbers
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.sent = 0

    def run(self):
        while not self.over.wait(0.001):
            for pid in self.pids:
                for number in self.numbers:
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        continue
                    self.sent += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass


@pytest.mark.parametrize('numbers', [
    [signal.SIGCHLD], [signal.SIGCONT], [signal.SIGPIPE, signal.SIGWINCH, signal.SIGURG],
    [signal.SIGSTOP, signal.SIGCONT, signal.SIGCHLD]], ids=lambda numbers: '+'.join(n.name for n in numbers))
def test_signals_that_mean_nothing_change_nothing(serve, pki, numbers):
    data = os.urandom(4 * MEGABYTE)
    server = serve(['/bin/cat'])
    with tls.Client(server, pki.ca) as client:
        monitor = server.process()
        pids = [monitor.pid, faults.gate_of(monitor)]
        got = bytearray()
        with Noise(pids, numbers) as noise:
            client.exchange((data[at:at + tls.CHUNK] for at in range(0, len(data), tls.CHUNK)), got.extend)
            client.has_fin()
        assert noise.sent > 10
    assert got == data
    end = server.wait()
    assert end.status == 0
    assert end.summary['end'] == 'client-close'


def test_sigchld_of_a_handler_that_ends_at_once_is_never_missed(serve, pki):
    for stdio in ('pipe', 'socket'):
        server = serve(['/bin/true'], f'--stdio={stdio}')
        for _ in range(8):
            with tls.Client(server, pki.ca) as client:
                client.ends_in_order()
            end = server.wait(faults.LIMIT)
            assert (end.status, end.summary['handler'], end.summary['end']) == (0, '0', 'handler-close'), end.log


# The handler is killed

KILL = 'kill -9 $$'
GREET = "printf '* OK [CAPABILITY IMAP4rev1] ready\\r\\n'"


@pytest.mark.parametrize('script, hears', [
    (KILL, [r'\* BYE .+']),
    (f"printf '* OK half a gree'; {KILL}", [r'\* BYE .+']),
    (f'{GREET}; {KILL}', [r'\* OK .+', r'(\* BYE .+)?']),
    (f'{GREET}; read -r line; {KILL}', [r'\* OK .+', r'\* BYE .+']),
    (f"{GREET}; read -r line; printf '* half'; {KILL}", [r'\* OK .+', r'\* BYE .+']),
], ids=['before its greeting', 'in its greeting', 'after its greeting', 'before its answer', 'in its answer'])
def test_handler_is_killed_before_tls(serve, script, hears):
    server = serve(shell(script), *faults.STARTTLS, *faults.TIMEOUTS)
    with lobby.Client(server) as client:
        try:
            client.send('a NOOP')
        except ConnectionError:
            pass
        got = client.rest().decode().split('\r\n')
    for pattern, line in zip(hears, got):
        assert re.fullmatch(pattern, line), got
    assert got[len(hears):] in ([], ['']), got
    end = server.wait(faults.LIMIT)
    assert end.status == 128 + signal.SIGKILL, end.log
    assert 'handler /bin/sh was killed by signal 9' in end.log


@pytest.mark.parametrize('stdio', ['pipe', 'socket'])
@pytest.mark.parametrize('script, comes', [
    (KILL, b''),
    (f'head -c 1000000 /dev/zero; {KILL}', bytes(1000000)),
    (f'head -c 7 >/dev/null; head -c 1000000 /dev/zero; {KILL}', bytes(1000000)),
    (f'cat; echo over; {KILL}', b'message' + b'over\n'),
], ids=['before it reads', 'after it has written', 'after it has read and written', 'while it ends'])
def test_what_a_handler_wrote_before_it_was_killed_reaches_the_client(serve, pki, script, comes, stdio):
    server = serve(shell(script), f'--stdio={stdio}', *faults.TIMEOUTS)
    with tls.Client(server, pki.ca, receive_buffer=16384) as client:
        client.send(b'message')
        client.close_notify()
        assert client.rest() == comes
        client.has_fin()
    end = server.wait(faults.LIMIT)
    assert end.status == 128 + signal.SIGKILL, end.log
    assert 'handler /bin/sh was killed by signal 9' in end.log


@pytest.mark.parametrize('handler', [['/bin/cat', '/dev/zero'], ['/bin/cat'], ['/bin/sleep', '1000']],
                         ids=['while it writes', 'while it echoes', 'while it reads nothing'])
def test_handler_is_killed_in_the_middle_of_a_transfer(serve, pki, handler):
    server = serve(handler, *faults.TIMEOUTS)
    with tls.Client(server, pki.ca) as client:
        if handler == ['/bin/cat', '/dev/zero']:
            client.take(100000)
        else:
            client.send(bytes(100000))
        os.kill(tls.handler_of(server.process()), signal.SIGKILL)
        assert client.rest().strip(b'\0') == b''
        client.has_fin()
    end = server.wait(faults.LIMIT)
    assert end.status == 128 + signal.SIGKILL, end.log
    assert f'handler {handler[0]} was killed by signal 9' in end.log
    assert end.summary['end'] == 'handler-close'


# Nothing that was acknowledged is lost

SLOW_READER = '''
import os, sys, time
total = 0
with open(sys.argv[1] + '.new', 'wb') as file:
    while data := os.read(0, 40000):
        file.write(data)
        time.sleep(0.005)
os.rename(sys.argv[1] + '.new', sys.argv[1])
'''


@pytest.mark.parametrize('stdio', ['pipe', 'socket'])
@pytest.mark.parametrize('farewell', [True, False], ids=['close_notify', 'FIN alone'])
def test_all_that_a_client_sent_before_it_closed_reaches_a_slow_handler(serve, pki, tmp_path, stdio, farewell):
    data = os.urandom(3 * MEGABYTE)
    server = serve(lobby.python(SLOW_READER, tmp_path / 'input'), f'--stdio={stdio}')
    with tls.Client(server, pki.ca) as client:
        client.send(data)
        if farewell:
            client.close_notify()
    end = server.wait()
    assert (tmp_path / 'input').read_bytes() == data
    assert end.status == 0
    assert int(end.summary['in']) == len(data)


def test_all_that_a_client_sent_in_plaintext_before_it_closed_reaches_a_slow_handler(serve, tmp_path):
    data = os.urandom(3 * MEGABYTE)
    script = 'import os\nos.write(1, b"* OK [CAPABILITY IMAP4rev1] ready\\r\\n")\nos.read(0, 1000)\n' \
             'os.write(1, b"c OK in\\r\\n")\n' + SLOW_READER
    server = serve(lobby.python(script, tmp_path / 'input'), *faults.STARTTLS)
    with lobby.Client(server) as client:
        client.line()
        client.ask('c AUTHENTICATE SCRAM-SHA-256', 'c OK in')
        client.write(data)
    assert server.wait().status == 0
    assert (tmp_path / 'input').read_bytes() == data


@pytest.mark.parametrize('stdio', ['pipe', 'socket'])
def test_all_that_a_handler_wrote_before_it_exited_reaches_a_slow_client(serve, pki, stdio):
    length = 3 * MEGABYTE
    server = serve(shell('head -c $0 /dev/zero; printf over; exit 5', length), f'--stdio={stdio}')
    with tls.Client(server, pki.ca, receive_buffer=16384) as client:
        monitor = server.process()
        gate = faults.gate_of(monitor)
        with Noise([monitor.pid, gate], [signal.SIGSTOP, signal.SIGCONT]):
            total, last = 0, b''
            while data := client.receive(100000):
                total += len(data)
                last = data
                time.sleep(0.001)
            client.has_fin()
    assert (total, last[-4:]) == (length + 4, b'over')
    end = server.wait()
    assert end.status == 5
    assert end.summary['end'] == 'handler-close'
