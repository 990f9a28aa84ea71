# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts postern in wait mode, one process on listening sockets: by ourselves or by a real launcher.

Every class is a context manager like those in launch.py. `at(number)` is the server as it is on one of its sockets.
"""

import os
import signal
import socket
import subprocess

from harness import debian, launch, ports, processes, tls


class At:
    """One socket of a server."""

    def __init__(self, server, family, host, port, path):
        self.server = server
        self.family = family
        self.host = host
        self.port = port
        self.path = path

    url_host = launch.Server.url_host
    connect = launch.Server.connect


class Waiting(launch.Server):
    """Listening sockets of our own, handed to one postern: as systemd does (on 3 and above), or inetd (on 0 and 1).

    families: one socket for each. stderr='socket': the first one is its standard error as well, as under inetd.
    """

    SYSTEMD = 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"'

    def __init__(self, command, folder, family='inet', environment=None, families=None, start='systemd', stderr='file',
                 names=None):
        super().__init__(command, folder, family, environment)
        self.families = families or [family]
        self.start = start
        self.stderr = stderr
        if start == 'systemd':
            self.environment['LISTEN_FDS'] = str(len(self.families))
            self.command = ['/bin/sh', '-c', self.SYSTEMD, 'sh', *self.command]
        if names:
            self.environment['LISTEN_FDNAMES'] = names
        self.listeners = []
        self.process = None

    def __enter__(self):
        for number, family in enumerate(self.families):
            self.listeners.append(ports.listen(family, self.folder / f'socket.{number}'))
        first = self.at(0)
        self.host, self.port, self.path = first.host, first.port, first.path
        with open(self.log_file, 'wb') as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, start_new_session=True, close_fds=False, preexec_fn=self.hand_over,
                stdin=subprocess.DEVNULL if self.start == 'systemd' else self.listeners[0],
                stdout=subprocess.DEVNULL if self.start == 'systemd' else self.listeners[0],
                stderr=log if self.stderr == 'file' else self.listeners[0])
        return self

    def hand_over(self):
        """Runs before exec(2): moves the sockets to descriptors 3 and above."""
        if self.start == 'systemd':
            copies = [os.dup2(listener.fileno(), 100 + number) for number, listener in enumerate(self.listeners)]
            for number, copy in enumerate(copies):
                os.dup2(copy, 3 + number)
                os.close(copy)

    def at(self, number):
        family = self.families[number]
        path = self.folder / f'socket.{number}' if family == 'unix' else None
        port = self.listeners[number].getsockname()[1] if family != 'unix' else None
        return At(self, family, ports.LOOPBACK.get(family), port, path)

    @property
    def pid(self):
        return self.process.pid

    def says(self, words, timeout=20):
        """Waits for words in the log; returns the line."""
        def found():
            return next((line for line in self.log().splitlines() if words in line), None)
        return processes.until(found, f'{words!r} in the log', timeout)

    def is_ready(self):
        self.says('accepting connections')
        return self

    def monitors(self):
        """Returns the process ids of the children that serve a client now."""
        return [child.pid for child in tls.children(self.pid) if child.state != 'Z']

    def has_monitors(self, count, timeout=20):
        """Waits until there are this many; zombies count, too."""
        processes.until(lambda: len(tls.children(self.pid)) == count, f'{count} monitors', timeout)
        return self.monitors()

    def tell(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=20):
        """Waits for its end; returns how it ended."""
        self.process.wait(timeout)
        return launch.Ended(self.process.returncode, self.pid, self.log())

    def __exit__(self, kind, error, trace):
        for listener in self.listeners:
            listener.close()
        left = [self.process.pid, *(process.pid for process in processes.descendants(self.process.pid))]
        try:
            if self.process.poll() is None:
                self.process.terminate()
                self.process.wait(15 if kind is None else 0.2)
            elif kind is None:
                return
            assert self.process.returncode == 0 or kind, f'it ended with {self.process.returncode}\n{self.log()}'
        except subprocess.TimeoutExpired:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.process.wait()
            if kind is None:
                raise


class SystemdWait(launch.SystemdInetd):
    """Starts postern like a systemd socket unit with Accept=no: two sockets, the second one on a path."""

    mode = ['--fdname=imaps:local']
    families = ('inet',)

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.second = self.folder / 'second'

    def arguments(self):
        return debian.outside('usr/bin/systemd-socket-activate', *self.mode, f'--listen={self.url_host}:{self.port}',
                              f'--listen={self.second}', *self.command)

    def at(self, number):
        return self if number == 0 else At(self, 'unix', None, None, self.second)


class InetdWait(launch.Inetd):
    """OpenBSD's inetd with `wait`. It listens again when postern has ended, which needs --exit-idle."""

    def arguments(self):
        command = super().arguments()
        config = self.folder / 'inetd.conf'
        config.write_text(config.read_text(encoding='utf-8').replace(' nowait ', ' wait '), encoding='utf-8')
        return command


class XinetdWait(launch.Xinetd):
    """xinetd with `wait = yes`."""

    def arguments(self):
        command = super().arguments()
        config = self.folder / 'xinetd.conf'
        config.write_text(config.read_text(encoding='utf-8').replace('wait = no', 'wait = yes'), encoding='utf-8')
        return command


class Manager:
    """The service manager's end of sd_notify(3). `name` is the value of NOTIFY_SOCKET."""

    def __init__(self, name):
        self.name = str(name)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(20)
        self.socket.bind('\0' + self.name[1:] if self.name.startswith('@') else self.name)

    def hears(self):
        """Returns the next message as a dictionary."""
        return dict(line.partition('=')[::2] for line in self.socket.recv(4096).decode().splitlines())

    def hears_of(self, word):
        """Waits for a message that has this word."""
        while word not in (message := self.hears()):
            pass
        return message[word]
