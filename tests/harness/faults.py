# SPDX-License-Identifier: GPL-2.0-or-later
"""Sessions in which something fails: a system call, memory, descriptors, the log, a process.

An Injector runs postern under tests/hook/faults.c, which makes one system call of one process fail, or kills that
process there. What the client sees of a session is an Outcome: it may be cut short, but it may never be garbage or
silence.
"""

import errno
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness import launch, lobby, processes, tls

TOP = Path(__file__).resolve().parent.parent.parent
SOURCE = TOP / 'tests' / 'hook' / 'faults.c'
HOOK = TOP / 'build' / 'hook'

# Time-outs longer than the time after which a session counts as hanging.
LIMIT = 40
TIMEOUTS = ['--timeout-lobby=90', '--timeout-handshake=90', '--timeout-idle=90', '--timeout-grace=1']
EXITS = {0, os.EX_USAGE, os.EX_DATAERR, os.EX_UNAVAILABLE, os.EX_SOFTWARE, os.EX_OSERR, os.EX_TEMPFAIL, os.EX_PROTOCOL,
         os.EX_CONFIG}
TOLD = {128 + signal.SIGTERM, 128 + signal.SIGKILL, 128 + signal.SIGPIPE}     # a handler that was told to end


def call_names():
    """Returns C source with the names of the system calls in the compiler's headers."""
    macros = subprocess.run(['cc', '-E', '-dM', '-include', 'sys/syscall.h', '-x', 'c', '/dev/null'],
                            capture_output=True, check=True, text=True).stdout
    names = re.findall(r'^#define SYS_(\w+) __NR_', macros, re.MULTILINE)
    return ('static const char *const call_names[] = {\n' +
            ''.join(f'    [SYS_{name}] = "{name}",\n' for name in sorted(names)) + '};\n')


def build():
    """Returns the injector's path; None if it can't be built."""
    HOOK.mkdir(parents=True, exist_ok=True)
    made = HOOK / 'faults'
    if made.exists() and made.stat().st_mtime > SOURCE.stat().st_mtime:
        return made
    with tempfile.TemporaryDirectory(dir=HOOK) as folder:
        new = Path(folder) / 'faults'
        (Path(folder) / 'calls.h').write_text(call_names())
        run = subprocess.run(['cc', '-std=gnu11', '-O1', '-Wall', '-Wextra', '-I', folder, '-o', new, SOURCE],
                             capture_output=True, check=False, text=True)
        if run.returncode:
            assert '#error' in run.stderr, run.stderr
            return None
        new.replace(made)
    return made


def sanitized(program):
    return b'__asan_init' in Path(program).read_bytes()


# Starting postern

class Wrapped(launch.Direct):
    """Starts postern by another program, such as prlimit(1)."""

    def __init__(self, command, folder, prefix=(), **more):
        super().__init__([*prefix, *command], folder, **more)
        # Where AddressSanitizer is built in: it can't look for leaks under a tracer or a limit.
        self.environment['ASAN_OPTIONS'] = 'detect_leaks=0'


@dataclass
class Fault:
    """The fault: `what` is an errno, 'kill', or 0 for none; see tests/hook/faults.c."""
    who: str = 'all'
    calls: str = '*'
    when: str = '0'
    what: object = 0
    after: bool = False

    def words(self):
        return [self.who, self.calls, str(self.when), ('+' if self.after else '') + str(self.what)]

    def __str__(self):
        what = errno.errorcode.get(self.what, self.what)
        return f'{self.who} {self.calls}#{self.when}={"+" if self.after else ""}{what}'


@dataclass
class Report:
    """What the injector has recorded."""
    hits: list = field(default_factory=list)        # (who, call, number)
    counts: dict = field(default_factory=dict)      # who → call → how often
    ends: dict = field(default_factory=dict)        # who → ('exit' or 'signal', number)
    descriptors: dict = field(default_factory=dict)     # who → what it held in the end
    hangs: list = field(default_factory=list)       # (who, call)
    execs: list = field(default_factory=list)       # which starts came as far as the handler's program

    @classmethod
    def read(cls, path):
        made = cls()
        for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
            kind, who, *rest = line.split(' ', 3)
            if kind == 'hit':
                made.hits.append((who, rest[0], int(rest[1])))
            elif kind == 'calls':
                made.counts.setdefault(who, {})[rest[0]] = int(rest[1])
            elif kind == 'end':
                made.ends[who] = (rest[0], int(rest[1]))
            elif kind == 'fd':
                made.descriptors.setdefault(who, []).append(rest[1])
            elif kind == 'hang':
                made.hangs.append((who, rest[0]))
            elif kind == 'exec':
                made.execs.append(who)
        return made


# Outcomes: what the client sees

@dataclass
class Outcome:
    """The outcome of a session. whole: all of it came; closed: its beginning came, then the connection ended; refused:
    the protocol's refusal came, then the end; silence and garbage must not happen."""
    kind: str
    got: str = ''       # what was seen last
    seconds: float = 0

    @property
    def fine(self):
        return self.kind in ('whole', 'closed', 'refused')


class Refused(Exception):
    """Raised when the server refuses in its protocol."""


def rest_after_goodbye(client):
    """Returns what comes after the client's own close_notify. Newer OpenSSL tells if the server's is missing: no loss."""
    try:
        return client.rest()
    except tls.Truncated:
        return b''


def watch(session, *arguments):
    """Returns the Outcome of session(arguments), which raises an exception if the session is not whole."""
    begun = time.monotonic()
    try:
        session(*arguments)
        kind, got = 'whole', ''
    except Refused as no:
        kind, got = 'refused', str(no)
    except TimeoutError as error:
        kind, got = 'silence', repr(error)
    except (ConnectionError, tls.Truncated, ssl.SSLEOFError, ssl.SSLZeroReturnError, EOFError) as error:
        kind, got = 'closed', repr(error)
    except ssl.SSLError as error:
        kind = 'closed' if 'ALERT' in str(error) or 'EOF' in str(error) else 'garbage'
        got = repr(error)
    return Outcome(kind, got, time.monotonic() - begun)


def take(client, wanted):
    """Checks that these bytes come inside TLS, or fewer and then the end."""
    got = b''
    while len(got) < len(wanted):
        data = client.receive()
        got += data
        if not wanted.startswith(got):
            raise ssl.SSLError(f'garbage inside TLS: {got[-80:]!r}')
        if not data:
            raise EOFError(f'{len(got)} of {len(wanted)} bytes')


SAID = b'hello\r\n'
BULK = bytes(range(256)) * 80


def immediate(server, ca):
    """Holds a session by immediate TLS with cat as handler."""
    with tls.Client(server, ca, handshake=False) as client:
        client.handshake()
        client.send(SAID)
        take(client, SAID)
        client.send(BULK)
        take(client, BULK)
        client.close_notify()
        if rest_after_goodbye(client) != b'':
            raise ssl.SSLError('garbage at the end')
        client.has_fin()


NO = re.compile(r'(\*|\w+) (BYE|NO|BAD) .+')


def hear(conversation, pattern):
    """Reads a line that matches; raises Refused for a refusal, EOFError at the end."""
    while b'\n' not in conversation.buffer:
        data = conversation.read()
        if not data:
            raise EOFError(f'the end after {conversation.buffer!r}')
        conversation.buffer += data
    line = conversation.line()
    if lobby.matches(pattern, line):
        return
    if lobby.matches(pattern.replace(' STARTTLS', ''), line):
        raise Refused(f'no STARTTLS in {line!r}')
    if not NO.fullmatch(line):
        raise ssl.SSLError(f'garbage: {line!r} is not {pattern!r}')
    rest = b''
    while line.startswith('* BYE') and (data := conversation.read()):
        rest += data
    if rest:
        raise ssl.SSLError(f'garbage after {line!r}: {rest!r}')
    raise Refused(line)


STARTTLS = ['--starttls=imap', '--policy=auth', f'--name={lobby.HOST}']
IMAP_HANDLER = lobby.tiny(lobby.IMAP)


def starttls(server, ca):
    """Holds a session with one handler before STARTTLS and another one after it."""
    with lobby.Client(server) as client:
        hear(client, lobby.IMAP.auth_hello)
        client.send('c NOOP')
        hear(client, 'c OK .+')
        client.send(lobby.IMAP.starttls)
        hear(client, lobby.IMAP.go)
        inside = client.handshake(ca)
        for tag in ('d', 'e'):
            inside.send(f'{tag} NOOP')
            hear(inside, f'{tag} OK .+')
        inside.tls.close_notify()
        if rest_after_goodbye(inside):
            raise ssl.SSLError('garbage at the end')
        inside.tls.has_fin()


def leaving(server, _ca):
    """Logs in where plaintext is allowed: the rest of the session is relayed without TLS."""
    with lobby.Client(server) as client:
        hear(client, lobby.IMAP.auth_hello)
        client.send('c AUTHENTICATE SCRAM-SHA-256')
        hear(client, 'c OK .+')
        for tag in ('d', 'e'):
            client.send(f'{tag} NOOP')
            hear(client, f'{tag} OK .+')
        client.fin()
        if client.rest():
            raise ssl.SSLError('garbage at the end')


# A handler that asks for TLS over UCSPI-TLS at once: for the client that is immediate TLS.
UCSPI_HANDLER = ['/bin/sh', '-c', 'printf y >&3; exec cat <&4 >&5 3>&- 4<&- 5>&-']

SESSIONS = {'immediate': (immediate, ['/bin/cat'], []),
            'starttls': (starttls, IMAP_HANDLER, STARTTLS),
            'leaving': (leaving, IMAP_HANDLER, STARTTLS),
            'ucspi': (immediate, UCSPI_HANDLER, ['--ucspi-tls'])}


# Sessions under the injector

@dataclass
class Trial:
    """Runs one session with one fault."""
    kind: str
    fault: Fault
    outcome: Outcome
    status: int
    log: str
    report: Report

    @property
    def words(self):
        """Returns the log without its summary lines."""
        return [line for line in self.log.splitlines() if not launch.SUMMARY.match(line)]

    def __str__(self):
        return (f'{self.fault}: client: {self.outcome.kind} {self.outcome.got} after {self.outcome.seconds:.1f} s; '
                f'status {self.status}; hits {self.report.hits}; ends {self.report.ends}; hangs {self.report.hangs}\n'
                f'    log: {self.log.strip()}')


class Injector:
    """Runs sessions of one kind, each with another fault."""

    def __init__(self, program, postern, pair, folder, kind, options=()):
        self.program = program
        self.kind = kind
        self.client, handler, more = SESSIONS[kind]
        self.folder = Path(folder)
        self.ca = pair.ca
        self.number = 0
        self.command = [postern, *pair.options(), *TIMEOUTS, *more, *options, '--', *handler]

    def run(self, fault):
        self.number += 1
        folder = self.folder / str(self.number)
        prefix = [self.program, folder / 'report', LIMIT, *fault.words()]
        with Wrapped(self.command, folder, prefix) as server:
            outcome = watch(self.client, server, self.ca)
            end = server.wait(LIMIT + 5)
        no_child_is_left()
        trial = Trial(self.kind, fault, outcome, end.status, end.log, Report.read(folder / 'report'))
        shutil.rmtree(folder)
        return trial


def gate_of(monitor):
    """Returns the gate's process id: the monitor's only child that is postern, too."""
    return next(child.pid for child in tls.children(monitor.pid) if child.name == 'postern')


def no_child_is_left(seconds=3):
    """Waits until all our descendants have ended."""
    def gone():
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            return not children_of_ours()
        except ChildProcessError:
            return True
    processes.until(gone, 'the end of all processes', seconds)


def children_of_ours():
    found = []
    for path in Path('/proc/self/task').glob('*/children'):
        found += path.read_text(encoding='ascii').split()
    return found
