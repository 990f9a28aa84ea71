# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the files in examples/. Changes only names, paths and ports, and each of these must occur."""

import os
import re
import subprocess
from pathlib import Path

from harness import clients, debian, launch, ports, processes, starttls

TOP = Path(__file__).resolve().parents[2] / 'examples'


def texts(names, changes):
    """Returns the examples by name, each key of `changes` replaced by its value. Each key must occur in one of them."""
    contents = {name: (TOP / name).read_text(encoding='utf-8') for name in names}
    for old, new in changes.items():
        assert any(old in content for content in contents.values()), f'{old!r} is not in {names}'
        contents = {name: content.replace(old, str(new)) for name, content in contents.items()}
    return contents


def text(name, changes):
    return texts([name], changes)[name]


def script(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(['#!/bin/sh', *lines, '']), encoding='utf-8')
    path.chmod(0o755)
    return path


def listens(port, of='self'):
    """True if a socket listens there, in the network of that process. Makes no connection."""
    lines = [line.split() for name in ('tcp', 'tcp6')
             for line in Path(f'/proc/{of}/net/{name}').read_text('ascii').splitlines()[1:]]
    return any(fields[3] == '0A' and fields[1].endswith(f':{port:04X}') for fields in lines)


class Port:
    """A port on 127.0.0.1, to which a test connects."""

    family = 'inet'
    host = url_host = '127.0.0.1'
    path = None
    connect = launch.Server.connect

    def __init__(self):
        self.port = ports.free_port()


class Running:
    """A launcher from the Debian tree, with other programs of it on its PATH, until it listens on all ports.

    At the end it is killed with all its family, as soon as nobody is served any more.
    """

    def __init__(self, command, folder, listening, tools=()):
        self.command = [str(word) for word in command]
        self.folder = Path(folder)
        self.listening = listening
        for tool in tools:
            script(self.folder / 'bin' / Path(tool).name, 'exec ' + launch.quoted(debian.outside(tool)) + ' "$@"')
        self.environment = launch.without_tls_leftovers({'PATH': f'{self.folder}/bin:{os.environ["PATH"]}'})

    def __enter__(self):
        with open(self.folder / 'said', 'ab') as said:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                                            env=self.environment, cwd=self.folder, start_new_session=True)
        try:
            processes.until(self.is_up, f'{self.command} listens')
        except BaseException:
            self.stop()
            raise
        return self

    def said(self):
        return (self.folder / 'said').read_text(encoding='utf-8', errors='replace')

    def is_up(self):
        assert self.process.poll() is None, f'{self.command} ended with {self.process.returncode}: {self.said()}'
        return all(one() if callable(one) else listens(one.port) for one in self.listening)

    def gates(self):
        """Returns the processes that serve a client: those whose parent is a postern, too."""
        family = processes.descendants(self.process.pid)
        names = {process.pid: process.name for process in family}
        return [process for process in family if process.name == 'postern' and names.get(process.parent) == 'postern'
                and process.state != 'Z']

    def __exit__(self, kind, *why):
        try:
            if kind is None:
                processes.until(lambda: not self.gates(), f'the end of all sessions of {self.command}')
        finally:
            self.stop()

    def stop(self):
        family = processes.descendants(self.process.pid)
        self.process.kill()
        self.process.wait()
        processes.reap(family)


def visit(protocol, server, how, ca, mail):
    """Holds a session with the daemon: logs in, counts messages, leaves."""
    client = starttls.by_python(protocol, server, how, clients.context(ca, '1.3'))
    if protocol == 'imap':
        client.login(mail.name, 'secret')
        assert client.select('INBOX') == ('OK', [b'2'])
        client.logout()
    elif protocol == 'pop3':
        client.user(mail.name)
        client.pass_('secret')
        assert client.stat()[0] == 2
        client.quit()
    elif protocol == 'smtp':
        client.ehlo_or_helo_if_needed()
        client.mail('ann@example.org')
        client.rcpt('bob@example.org')
        assert client.data('hello')[0] == 250
        client.quit()
    else:
        assert client.group('local.test')[1:4] == (3, 1, 3)
        client.quit()


# systemd's units, as far as the tests themselves must read them

class Unit:
    """The settings of a unit and its drop-ins in order. An empty value removes the earlier ones."""

    def __init__(self, *texts):
        self.settings = {}
        for content in texts:
            for line in content.replace('\\\n', ' ').splitlines():
                match = re.fullmatch(r'(\w+)=(.*)', line.strip())
                if match:
                    values = self.settings.setdefault(match[1], [])
                    values.append(match[2]) if match[2] else values.clear()

    def all(self, name):
        return self.settings.get(name, [])

    def command(self, credentials):
        """Returns ExecStart with %d replaced. Copies the files of LoadCredential to that folder."""
        credentials.mkdir()
        for one in self.all('LoadCredential'):
            name, source = one.split(':')
            (credentials / name).touch(mode=0o400)
            (credentials / name).write_bytes(Path(source).read_bytes())
        [command] = self.all('ExecStart')
        return command.lstrip('-').replace('%d', str(credentials)).split()

    def allowed_calls(self, sets):
        """Returns the system calls that SystemCallFilter allows, by the sets of this systemd."""
        allowed = set()
        for line in self.all('SystemCallFilter'):
            names = expanded(line.lstrip('~').split(), sets)
            allowed = allowed - names if line.startswith('~') else allowed | names
        return allowed | expanded(['@default'], sets)


def expanded(names, sets):
    found = set()
    for name in names:
        found |= expanded(sets[name], sets) if name.startswith('@') else {name}
    return found


def call_sets():
    """Returns the system calls of each set, by systemd-analyze syscall-filter."""
    command = debian.outside('usr/bin/systemd-analyze', '--no-pager', 'syscall-filter')
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    sets, name = {}, None
    for line in run.stdout.splitlines():
        if line.startswith('@'):
            name = line.strip()
            sets[name] = []
        elif line.startswith('    ') and not line.strip().startswith('#'):
            sets[name].append(line.strip())
        elif line.strip() and not line.startswith(' '):
            name = None
    return sets
