# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a syslog daemon that can stop reading, on /dev/log in its own mount namespace (needs root)."""

import re
import socket
import threading
import time

from harness import processes

LINE = re.compile(r'<(?P<priority>\d+)>\w{3} [ \d]\d \d\d:\d\d:\d\d postern\[(?P<pid>\d+)\]: (?P<text>[ -~]*)')
FILLING = b'filling'


class Syslog:
    """The daemon. `command(words)` returns a command that runs these words where /dev/log is ours."""

    def __init__(self, folder, kind=socket.SOCK_DGRAM):
        self.dev = folder / 'dev'
        self.dev.mkdir(parents=True)
        for name in ('null', 'urandom'):
            (self.dev / name).touch()
        self.kind = kind
        self.socket = self.filler = None
        self.connections = []
        self.begun = b''
        self.found = []
        self.lock = threading.Lock()
        self.reads = threading.Event()
        self.ended = False
        self.begin()
        self.reads.set()
        self.thread = threading.Thread(target=self.read_on, daemon=True)
        self.thread.start()

    def read_on(self):
        while not self.ended:
            self.reads.wait()
            with self.lock:
                if not self.reads.is_set():
                    continue
                self.found += self.receive()
            time.sleep(0.005)    # select would hold on to a socket that is closed meanwhile

    def close(self):
        self.ended = True
        self.reads.set()
        self.thread.join()
        if self.socket:
            self.end()

    def command(self, words):
        script = ('mount --bind /dev/null "$0/null" && mount --bind /dev/urandom "$0/urandom" && mount --rbind "$0" /dev && '
                  'exec "$@"')
        return ['unshare', '--mount', '/bin/sh', '-c', script, str(self.dev), *words]

    def begin(self):
        self.socket = socket.socket(socket.AF_UNIX, self.kind)
        self.socket.bind(str(self.dev / 'log'))
        self.socket.setblocking(False)
        if self.kind == socket.SOCK_STREAM:
            self.socket.listen()

    def end(self):
        """Ends the daemon: removes /dev/log, and with it all that was not read."""
        with self.lock:
            for each in (self.socket, self.filler, *self.connections):
                if each:
                    each.close()
            self.socket = self.filler = None
            self.connections = []
            (self.dev / 'log').unlink()

    def fill(self):
        """Stops reading until attend(), and fills the socket so that no more lines fit in."""
        with self.lock:
            self.reads.clear()
        self.filler = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.filler.connect(str(self.dev / 'log'))
        self.filler.setblocking(False)
        try:
            while True:
                self.filler.send(FILLING)
        except BlockingIOError:
            pass

    def attend(self):
        self.reads.set()

    def receive(self):
        """Returns what can be read now, unchanged."""
        found = []
        if not self.socket:
            return found
        try:
            while self.kind == socket.SOCK_DGRAM:
                found.append(self.socket.recv(65536))
            while True:
                self.connections.append(self.socket.accept()[0])
                self.connections[-1].setblocking(False)
        except BlockingIOError:
            pass
        for connection in self.connections:
            try:
                while data := connection.recv(65536):
                    self.begun += data
            except BlockingIOError:
                pass
        *whole, self.begun = self.begun.split(b'\0')
        return [data for data in [*found, *whole] if data != FILLING]

    def read(self):
        """Returns what has come since the last call, as matches of LINE."""
        with self.lock:
            found = self.found + self.receive()
            self.found = []
        return [LINE.fullmatch(data.decode()) for data in found]

    def read_until(self, words):
        """Reads until a line with these words has come; returns the texts of all lines."""
        texts = []

        def came():
            texts.extend(line['text'] for line in self.read())
            return any(words in text for text in texts)
        processes.until(came, f'{words!r} in the log')
        return texts
