# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: programs that are started for each connection, and programs that listen by themselves."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

TICKS = os.sysconf('SC_CLK_TCK')
LIBC = ('linux-vdso', 'ld-linux', 'libc.so', 'libm.so', 'libpthread', 'libdl.so')


@dataclass
class Server:
    """One way to put TLS before the handler.

    start: `each`: one process for each connection, which is on 0 and 1; `socket`: gets a listening socket on 3, as from
    systemd; `port`: listens on PORT, which stands in the command or in a file that write(port) makes.
    """
    name: str
    start: str
    command: list
    client: object          # see clients.py
    note: str = ''          # what isn't like for like
    file: str = ''          # the program that does TLS, if it isn't the command's first word
    environment: dict = field(default_factory=dict)
    write: object = None
    same_handler: bool = True   # so that bulk can be measured

    def size(self):
        """Bytes of the program, and of the libraries that it loads besides those of the C library."""
        found = subprocess.run(['ldd', self.file or self.command[0]], capture_output=True, text=True, check=False,
                               env={**os.environ, **self.environment})
        libraries = re.findall(r'=> (/\S+)', found.stdout)
        return os.path.getsize(self.file or self.command[0]), sum(os.path.getsize(path) for path in libraries
                                                  if not os.path.basename(path).startswith(LIBC))


def children(pid):
    try:
        return [int(child) for task in Path(f'/proc/{pid}/task').iterdir()
                for child in (task / 'children').read_text().split()]
    except (FileNotFoundError, ProcessLookupError):    # it has just ended
        return []


def descendants(pid):
    for child in children(pid):
        yield child
        yield from descendants(child)


def private_dirty(pid):
    """kB that this process has alone and has written to: clean pages are the page cache's."""
    text = Path(f'/proc/{pid}/smaps_rollup').read_text()
    return int(re.search(r'Private_Dirty: +(\d+)', text)[1])


def handlers_left_out(pids):
    """Those of the processes that aren't the handler, which is a shell or head(1)."""
    return [pid for pid in pids if os.path.basename(os.readlink(f'/proc/{pid}/exe')) not in ('dash', 'bash', 'sh', 'head')]


class Each:
    """This program accepts and starts the server, with as little of itself in the child as possible."""

    def __init__(self, server):
        self.server = server
        self.listener = socket.create_server(('127.0.0.1', 0), backlog=16)
        self.environment = {**os.environ, **server.environment}
        self.null = os.open('/dev/null', os.O_RDWR | os.O_CLOEXEC)
        self.pid = 0

    def connect(self):
        """A client's connection, with a server behind it."""
        client = socket.create_connection(self.listener.getsockname())
        connection, _ = self.listener.accept()
        with connection:
            fd = connection.fileno()
            self.pid = os.posix_spawn(self.server.command[0], self.server.command, self.environment, file_actions=[
                (os.POSIX_SPAWN_DUP2, fd, 0), (os.POSIX_SPAWN_DUP2, fd, 1), (os.POSIX_SPAWN_DUP2, self.null, 2)])
        return client

    def finish(self):
        """Wait for the end of that server: CPU in ms and page faults of it and all its children."""
        _, _, usage = os.wait4(self.pid, 0)
        return (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_minflt

    def idle(self, session):
        """Private kB of what session(self) has begun and leaves alone: of the server's processes, not the handler's."""
        with session(self):
            total = sum(private_dirty(pid) for pid in handlers_left_out([self.pid, *descendants(self.pid)]))
        self.finish()
        return total

    @contextlib.contextmanager
    def listening(self):
        """The same behind tcpserver, for many clients at once. Gives the address."""
        port = free_port()
        tcpserver = [shutil.which('tcpserver'), '-DHRl0', '-c', '200', '-b', '200', '127.0.0.1', str(port)]
        with subprocess.Popen([*tcpserver, *self.server.command], env=self.environment, stdin=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, start_new_session=True) as process:
            try:
                yield answering(('127.0.0.1', port))
            finally:
                stop(process)

    def end(self):
        self.listener.close()
        os.close(self.null)


class Daemon:
    """A server that accepts by itself. What it uses is summed up over all connections."""

    def __init__(self, server):
        self.server = server
        environment = {**os.environ, **server.environment}
        more = {}
        if server.start == 'socket':
            self.listener = socket.create_server(('127.0.0.1', 0), backlog=200)
            self.address = self.listener.getsockname()
            start = 'LISTEN_PID=$$ LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec "$@"'
            command = ['/bin/sh', '-c', start, 'sh', *server.command]
            more = {'close_fds': False, 'preexec_fn': self.pass_listener}
        else:
            self.listener = None
            self.address = ('127.0.0.1', free_port())
            if server.write:
                server.write(self.address[1])
            command = [word.replace('PORT', str(self.address[1])) for word in server.command]
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True, **more)
        if self.listener is None:
            try:
                answering(self.address)
            except TimeoutError:
                stop(self.process)
                raise
            self.settle()

    def pass_listener(self):
        os.dup2(self.listener.fileno(), 3)
        os.set_inheritable(3, True)    # it may have been 3 before

    def connect(self):
        return socket.create_connection(self.address)

    def used(self):
        """CPU in ms and page faults so far, of the process and of all its children."""
        cpu = faults = 0
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
                cpu += sum(int(number) for number in fields[11:15])
                faults += int(fields[7]) + int(fields[8])
        return cpu * 1000 / TICKS, faults

    def settle(self):
        """Wait until what connections have left behind is gone: no more processes come or go."""
        seen, since = None, time.monotonic()
        while time.monotonic() < since + 0.1:
            now = list(descendants(self.process.pid))
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.01)

    def memory(self):
        return sum(private_dirty(pid) for pid in
                   handlers_left_out([self.process.pid, *descendants(self.process.pid)]))

    def idle(self, session):
        self.settle()
        before = self.memory()
        connections = [session(self) for _ in range(10)]
        total = self.memory() - before
        for connection in connections:
            connection.close()
        self.settle()
        return total / len(connections)

    @contextlib.contextmanager
    def listening(self):
        yield self.address

    def end(self):
        stop(self.process)
        if self.listener:
            self.listener.close()


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        return listener.getsockname()[1]


def answering(address):
    """Wait until somebody accepts there."""
    for _ in range(500):
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(address):
            return address
        time.sleep(0.01)
    raise TimeoutError(f'nobody answers at port {address[1]}')


def stop(process):
    """All of the process's own session: what it has started, too."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
