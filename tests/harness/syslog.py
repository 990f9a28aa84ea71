# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs postern where a syslog daemon or the journal listens."""

import re
import socket
import sys

from harness import launch, privileges, tls

SYSLOG_LINE = re.compile(r'<(\d+)>\w{3} [ \d]\d \d\d:\d\d:\d\d postern\[\d+\]: ([ -~]*)')


class WithSyslog(launch.Direct):
    """postern in its own mount namespace, where /dev/log is ours. lines() returns what came."""

    def __init__(self, command, folder, **more):
        privileges.need_mounts()
        super().__init__(command, folder, **more)
        dev = self.folder / 'dev'
        dev.mkdir()
        for name in ('null', 'urandom'):
            (dev / name).touch()
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(str(dev / 'log'))
        self.syslog.settimeout(tls.TIMEOUT)
        self.received = []
        script = ('mount --bind /dev/null "$0/null" && mount --bind /dev/urandom "$0/urandom" && '
                  'mount --rbind "$0" /dev && exec "$@"')
        self.command = ['unshare', '--mount', '/bin/sh', '-c', script, str(dev), *self.command]

    def lines(self):
        """Returns all lines that have come, each as (priority, text)."""
        self.syslog.setblocking(False)
        try:
            while True:
                text = self.syslog.recv(65536).rstrip(b'\0\n').decode()
                self.received.append(SYSLOG_LINE.fullmatch(text).groups())
        except BlockingIOError:
            return self.received

    def texts(self):
        return [text for _, text in self.lines()]

    def __exit__(self, *why):
        super().__exit__(*why)
        self.syslog.close()


# Runs a command with the journal's socket as standard output, as systemd does. The journal's text goes to a file.
JOURNAL = r'''
import os, socket, subprocess, sys
told, errors = sys.argv[1:3]
subprocess.run(['mount', '-t', 'tmpfs', 'none', '/run'], check=True)
os.makedirs('/run/systemd/journal')
with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as end:
    listener.bind('/run/systemd/journal/stdout')
    listener.listen()
    end.connect('/run/systemd/journal/stdout')
    journal, _ = listener.accept()
    process = subprocess.Popen(sys.argv[3:], stdout=end, stderr=end if errors == 'journal' else None)
os.close(0)
os.close(1)
with open(told, 'wb') as file:
    while data := journal.recv(65536):
        file.write(data)
sys.exit(process.wait())
'''


class WithJournal(launch.Direct):
    """The client on standard input, the journal on standard output, and on standard error if errors='journal'."""

    def __init__(self, command, folder, errors, **more):
        super().__init__(command, folder, **more)
        self.told = self.folder / 'told'
        self.command = ['unshare', '--mount', '--propagation=private', sys.executable, '-I', '-S', '-c', JOURNAL, str(self.told),
                        errors, *self.command]
