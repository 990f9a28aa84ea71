# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts a postern for each connection, as inetd does: by ourselves (Direct) or by a real launcher.

Every launcher is a context manager. Inside, `host` and `port` (or `path`) say where it listens, `connect()` gives a
connected socket, `log()` what was written to stderr so far, and `summary()` the last summary line as a dictionary.
"""

import os
import pwd
import re
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from harness import debian, ports, processes

SUMMARY = re.compile(r'^postern\[(\d+)\]: (client=.* end=\S+.*)$', re.MULTILINE)


def summaries(text):
    """Returns the summary lines of a log as dictionaries; `pid` is the process id in brackets."""
    return [dict([word.partition('=')[::2] for word in line.split()], pid=pid) for pid, line in SUMMARY.findall(text)]


def without_tls_leftovers(environment=None):
    """Returns our environment without the variables of a launcher that started the tests."""
    words = {name: value for name, value in os.environ.items() if not name.startswith(('LISTEN_', 'TCP', 'SSL_'))}
    words.update(environment or {})
    return words


@dataclass
class Ended:
    """The end of one postern: its exit status (negative: a signal), its pid and its stderr."""
    status: int
    pid: int
    log: str

    @property
    def summary(self):
        found = summaries(self.log)
        assert found, f'no summary line in the log:\n{self.log}'
        return found[-1]


class Server:
    """The base class of all launchers."""

    def __init__(self, command, folder, family='inet', environment=None):
        self.command = [str(word) for word in command]
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.family = family
        self.environment = without_tls_leftovers(environment)
        self.host = ports.LOOPBACK.get(family)
        self.port = None
        self.path = self.folder / 'socket' if family == 'unix' else None
        self.log_file = self.folder / 'log'
        self.log_file.touch()

    @property
    def url_host(self):
        """Returns the host in the form for a URL."""
        return '[::1]' if self.family == 'inet6' else self.host

    def connect(self, timeout=20):
        """Makes a TCP connection to the server."""
        connection = socket.socket(ports.FAMILY[self.family], socket.SOCK_STREAM)
        connection.settimeout(timeout)
        connection.connect(str(self.path) if self.family == 'unix' else (self.host, self.port))
        return connection

    def log(self):
        return self.log_file.read_text(encoding='utf-8', errors='replace')

    def summary(self, number=1, timeout=20):
        """Waits until the log has `number` summary lines; returns the last one."""
        found = processes.until(lambda: len(found := summaries(self.log())) >= number and found,
                                'the summary line in the log', timeout)
        return found[-1]


class Direct(Server):
    """A listener of our own: full knowledge of each postern's pid, exit status and stderr.

    stderr='file' gives each postern a log file; 'socket' gives it the network socket, as inetd does.
    start='stdio' passes the connection on descriptors 0 and 1; 'systemd' as descriptor 3 with LISTEN_FDS and
    LISTEN_PID, /dev/null on 0 and 1; 'pair' as two duplicates, each opened by itself.
    """

    SHELL = {
        'systemd': 'LISTEN_PID=$$ LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@" 3<&0 0</dev/null 1>/dev/null',
    }

    def __init__(self, command, folder, family='inet', environment=None, stderr='file', start='stdio'):
        super().__init__(command, folder, family, environment)
        self.stderr = stderr
        self.start = start
        self.accepted = 0
        self.started = []
        self.news = threading.Condition()
        self.taken = 0
        self.listener = None
        self.thread = None

    def __enter__(self):
        self.listener = ports.listen(self.family, self.path)
        if self.family != 'unix':
            self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept_all, daemon=True)
        self.thread.start()
        return self

    def accept_all(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.news:
                self.accepted += 1
            with connection:
                self.spawn(connection)

    def spawn(self, connection):
        """Starts a postern on any connection, such as one of socket.socketpair()."""
        log = self.folder / f'log.{len(self.started)}'
        command = self.command
        if self.start in self.SHELL:
            command = ['/bin/sh', '-c', self.SHELL[self.start], 'sh', *command]
        other = connection.dup() if self.start == 'pair' else None
        with open(log, 'wb') as file:
            process = subprocess.Popen(
                command, stdin=connection, stdout=other or connection,
                stderr=connection if self.stderr == 'socket' else file,
                env=self.environment, start_new_session=True)
        if other:
            other.close()
        process.log_file = log
        with self.news:
            self.started.append(process)
            self.news.notify_all()
        return process

    def process(self, number=0, timeout=20):
        """Returns the postern of connection `number` (from 0) as a Popen; waits until it has started."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.started) > number, timeout), f'no connection {number} came'
        return self.started[number]

    def rest(self, timeout=30):
        """Wait for the end of every postern that was not waited for, and tell how each ended."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.started) >= self.accepted, timeout)
            number = len(self.started) - self.taken
        return [self.wait(timeout) for _ in range(number)]

    def wait(self, timeout=30):
        """Waits for the end of the first postern not yet waited for; returns how it ended."""
        process = self.process(self.taken)
        self.taken += 1
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            family = [process, *processes.descendants(process.pid)]
            raise AssertionError(f'postern still runs after {timeout} seconds: {family}\n'
                                 f'{self.log_of(process)}') from None
        return Ended(process.returncode, process.pid, self.log_of(process))

    @staticmethod
    def log_of(process):
        return process.log_file.read_text(encoding='utf-8', errors='replace')

    def log(self):
        return ''.join(self.log_of(process) for process in self.started)

    def __exit__(self, kind, error, trace):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)    # wakes accept()
        except OSError:
            pass
        self.listener.close()
        self.thread.join()
        late = []
        deadline = time.monotonic() + 15
        for process in self.started:
            try:
                process.wait(max(0, deadline - time.monotonic()) if kind is None else 0.2)
            except subprocess.TimeoutExpired:
                late.append([process, *processes.descendants(process.pid)])
                try:
                    os.killpg(process.pid, signal.SIGKILL)
                except ProcessLookupError:
                    process.kill()
                process.wait()
        if late and kind is None:
            raise AssertionError(f'still running when the test was over: {late}')


class Launcher(Server):
    """A real launcher. Subclasses give its command line."""

    families = ('inet', 'inet6')
    picks_port = True    # takes port 0 and lets the kernel pick one

    def arguments(self):
        raise NotImplementedError

    def __enter__(self):
        for _ in range(3):    # a port that was free may be taken
            if self.family != 'unix':
                self.port = 0 if self.picks_port else ports.free_port(self.family)
            self.start()
            try:
                processes.until(self.listens, f'{type(self).__name__} listens')
                return self
            except (AssertionError, ChildProcessError) as error:
                failure = error
                processes.stop(self.process)
        raise AssertionError(f'{failure}\n{self.process.args}\n{self.log()}')

    def start(self):
        with open(self.log_file, 'ab') as file:
            self.process = subprocess.Popen(
                self.arguments(), stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                env=self.environment, start_new_session=True)

    def listens(self):
        if self.process.poll() is not None:
            raise ChildProcessError(f'{type(self).__name__} ended with {self.process.returncode}')
        if self.family == 'unix':
            return ports.listens_at(self.path)
        port = ports.listening_port(self.process.pid)
        self.port = port or self.port
        return port

    def __exit__(self, kind, error, trace):
        if kind is None:
            processes.until(lambda: self.process.poll() is not None or not self.busy(), 'the end of all sessions', 30)
        processes.stop(self.process)

    def busy(self):
        """True while a session is open."""
        return processes.descendants(self.process.pid)


class Tcpserver(Launcher):
    """tcpserver of ucspi-tcp by D. J. Bernstein, with the patch for IPv6."""

    def arguments(self):
        return debian.outside('usr/bin/tcpserver', '-H', '-R', '-l', 'localhost', self.host, self.port, *self.command)


class Tcpsvd(Launcher):
    """tcpsvd of ipsvd by Gerrit Pape. It is also in busybox, but not in Debian's build."""

    families = ('inet',)

    def arguments(self):
        return debian.outside('usr/bin/tcpsvd', self.host, self.port, *self.command)


class Socat(Launcher):
    """socat with EXEC and nofork, which gives the program the connection itself."""

    families = ('inet', 'inet6', 'unix')

    def listening(self):
        if self.family == 'unix':
            return f'UNIX-LISTEN:{self.path},fork'
        kind = {'inet': 'TCP4-LISTEN', 'inet6': 'TCP6-LISTEN'}[self.family]
        return f'{kind}:{self.port},bind={self.url_host},reuseaddr,fork'

    def arguments(self):
        return ['socat', self.listening(), f'EXEC:{self.script()},nofork']

    def script(self):
        """Writes the command to a script: socat splits words at blanks and has no safe quoting."""
        script = self.folder / 'run'
        script.write_text('#!/bin/sh\nexec ' + quoted(self.command) + '\n', encoding='utf-8')
        script.chmod(0o755)
        return script


class SocatPair(Socat):
    """socat in the middle: postern gets a socketpair as 0 and 1."""

    # After one side's EOF socat gives the other one -t seconds, and then sends SIGTERM. With pipes it always takes
    # that time, and it ends without waiting for its children. So it is killed as soon as every postern has ended.

    def busy(self):
        return [process for process in super().busy() if process.name != 'socat' and process.state != 'Z']

    def __exit__(self, kind, error, trace):
        super().__exit__(kind, error, trace)
        ended = {int(summary['pid']) for summary in summaries(self.log())}
        processes.reap([left for left in processes.left_behind()
                        if left.name == 'socat' or left.state == 'Z' and left.pid in ended])

    def arguments(self):
        return ['socat', '-t20', self.listening(), f'EXEC:{self.script()}']


class SocatPipes(SocatPair):
    """socat in the middle: postern gets two pipes."""

    def arguments(self):
        return ['socat', '-t20', self.listening(), f'EXEC:{self.script()},pipes']


class SystemdInetd(Launcher):
    """Starts postern like a systemd socket unit with Accept=yes and a service with StandardInput=socket."""

    families = ('inet', 'inet6', 'unix')
    picks_port = False
    mode = ['--accept', '--inetd']

    def arguments(self):
        where = str(self.path) if self.family == 'unix' else f'{self.url_host}:{self.port}'
        return debian.outside('usr/bin/systemd-socket-activate', *self.mode, f'--listen={where}', *self.command)


class SystemdFd(SystemdInetd):
    """Starts postern like a systemd socket unit with Accept=yes; the connection is descriptor 3."""

    mode = ['--accept']


def quoted(words):
    """Quotes words for a shell."""
    return ' '.join("'" + word.replace("'", "'\\''") + "'" for word in words)


class Inetd(Launcher):
    """OpenBSD's inetd, `nowait`. Its programs have the network socket as stderr, so a shell gives postern a log."""

    picks_port = False
    log_to_file = True
    family_word = {'inet': 'tcp4', 'inet6': 'tcp6'}

    def script(self):
        script = self.folder / 'run'
        redirect = f' 2>>{quoted([str(self.log_file)])}' if self.log_to_file else ''
        script.write_text('#!/bin/sh\nexec ' + quoted(self.command) + redirect + '\n', encoding='utf-8')
        script.chmod(0o755)
        return script

    def arguments(self):
        config = self.folder / 'inetd.conf'
        config.write_text(f'{self.url_host}:{self.port} stream {self.family_word[self.family]} nowait '
                          f'{user()} {self.script()} run\n', encoding='utf-8')
        return debian.outside('usr/sbin/inetd', '-d', str(config))


class Xinetd(Inetd):
    """xinetd, `wait = no`."""

    def arguments(self):
        config = self.folder / 'xinetd.conf'
        flags = 'IPv6' if self.family == 'inet6' else 'IPv4'
        config.write_text('service postern\n{\n'
                          f'type = UNLISTED\nsocket_type = stream\nprotocol = tcp\nwait = no\nflags = {flags}\n'
                          f'user = {user()}\nbind = {self.host}\nport = {self.port}\nserver = {self.script()}\n'
                          '}\n', encoding='utf-8')
        return debian.outside('usr/sbin/xinetd', '-dontfork', '-stayalive',
                              '-pidfile', str(self.folder / 'xinetd.pid'), '-f', str(config))


def user():
    return pwd.getpwuid(os.getuid()).pw_name


REAL = [Tcpserver, Tcpsvd, Socat, SocatPair, SocatPipes, SystemdInetd, SystemdFd, Inetd, Xinetd]
