# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS clients that can misbehave, and the processes of a session.

Client is Python's ssl module over two memory buffers and a socket, so a test decides when each byte is sent, when
it reads, and how the connection ends. Updater uses OpenSSL's library itself, for what Python's module can't do.
client_hello() makes the first message by hand. Unprivileged starts postern as an ordinary user.
"""

import ctypes
import ctypes.util
import functools
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time

from harness import clients, launch, processes

TIMEOUT = 20
CLOSE_NOTIFY = 'close_notify'
CHUNK = 65536
OUR_NAMES = {'postern', 'memcheck-amd64-'}     # the second one: under valgrind
STUCK = 0.3     # seconds after which a writer that writes nothing is taken to be stuck


class Truncated(Exception):
    """Raised when the connection ends without close_notify."""


class Client:
    """A TLS client, step by step. It is a context manager, which closes the socket at the end."""

    def __init__(self, server, ca, version=None, name=clients.NAME, receive_buffer=None, context=None, handshake=True):
        self.socket = connect(server, receive_buffer)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.held = bytearray()     # decrypted, not yet given to the test
        context = context or clients.context(ca, version)
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        if handshake:
            self.handshake()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def step(self, function, *arguments):
        """Does one step of the TLS library; returns its result, or None if it must read first. Sends nothing."""
        try:
            return function(*arguments)
        except ssl.SSLWantReadError:
            return None

    def flush(self):
        """Sends what the library has written."""
        self.socket.sendall(self.outgoing.read())

    def hello(self):
        """Returns the ClientHello and does not send it."""
        self.step(self.tls.do_handshake)
        return self.outgoing.read()

    def handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.flush()
                self.fill()
            except ssl.SSLError:
                self.flush()    # our alert
                raise
        self.flush()

    def fill(self):
        """Waits for bytes from the server and passes them to the library."""
        data = self.socket.recv(4 * CHUNK)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()
        return data

    def decrypted(self, length=CHUNK, held=True):
        """Reads without waiting; returns bytes, None for nothing yet, or CLOSE_NOTIFY at the end."""
        if held and self.held:
            data = bytes(self.held[:length])
            del self.held[:length]
            return data
        try:
            return self.tls.read(length) or CLOSE_NOTIFY
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            return CLOSE_NOTIFY
        except ssl.SSLEOFError:
            raise Truncated from None

    def send(self, data):
        self.tls.write(data)
        self.flush()

    def receive(self, length=CHUNK):
        """Returns some bytes; b'' after close_notify. Raises Truncated if the end comes without it."""
        while (data := self.decrypted(length)) is None:
            self.fill()
        return b'' if data == CLOSE_NOTIFY else data

    def take(self, length):
        """Returns exactly this number of bytes."""
        parts = []
        while length:
            parts.append(self.receive(length))
            assert parts[-1], f'the end came {length} bytes too early'
            length -= len(parts[-1])
        return b''.join(parts)

    def rest(self):
        """Returns all bytes up to close_notify."""
        parts = []
        while data := self.receive():
            parts.append(data)
        return b''.join(parts)

    def close_notify(self):
        """Sends close_notify; reading goes on."""
        self.end_output()
        self.flush()

    def end_output(self):
        """Makes close_notify. First puts unread data aside, since OpenSSL fails if there is any."""
        while (data := self.decrypted(held=False)) not in (None, CLOSE_NOTIFY):
            self.held += data
        self.step(self.tls.unwrap)

    def ends_in_order(self):
        """Checks that only close_notify and then FIN come."""
        assert self.rest() == b''
        self.has_fin()

    def has_fin(self):
        """Checks that FIN follows close_notify at once."""
        assert self.socket.recv(100) == b''

    def fin(self):
        """Ends our direction of the TCP connection without close_notify."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Breaks the connection: the server gets RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.socket.close()

    def exchange(self, source, sink, read_first=True, end=True):
        """Write the chunks of `source` and read into sink() at once, until the server's close_notify.

        read_first=False: begin to read only when nothing more can be written. end: say close_notify after the last
        chunk. Gives how many bytes had been written when reading began.
        """
        chunks = iter(source)
        pending = memoryview(b'')
        written, more, reading = 0, True, read_first
        begun_at = 0
        self.socket.setblocking(False)
        while True:
            if not pending and more:
                chunk = next(chunks, None)
                if chunk is not None:
                    self.tls.write(chunk)
                    written += len(chunk)
                else:
                    more = False
                    if end:
                        self.end_output()
                pending = memoryview(self.outgoing.read())
            readable, writable, _ = select.select([self.socket] if reading else [], [self.socket] if pending else [], [],
                                                  TIMEOUT if reading else STUCK)
            if not reading and not writable:
                reading, begun_at = True, written
                continue
            assert readable or writable, f'nothing moves; {written} bytes written so far'
            if writable:
                pending = pending[self.socket.send(pending):]
            if readable:
                self.fill()
                while (data := self.decrypted()) is not None:
                    if data == CLOSE_NOTIFY:
                        self.socket.settimeout(TIMEOUT)
                        return begun_at
                    sink(data)


def connect(server, receive_buffer=None):
    """Makes a TCP connection, perhaps with a receive buffer of this size in bytes."""
    if receive_buffer is None:
        return server.connect(TIMEOUT)
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(TIMEOUT)
    connection.connect((server.host, server.port))
    return connection


def ended(connection, timeout=TIMEOUT):
    """Reads a plain connection to its end and closes it; returns what came. A reset counts as the end."""
    connection.settimeout(timeout)
    parts = []
    try:
        while data := connection.recv(CHUNK):
            parts.append(data)
    except ConnectionResetError:
        pass
    connection.close()
    return b''.join(parts)


class Updater:
    """A TLS 1.3 client on OpenSSL's library, which can update keys. Verifies no certificate."""

    def __init__(self, server, receive_buffer=None):
        self.socket = connect(server, receive_buffer)
        self.socket.setblocking(True)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self.socket.setsockopt(socket.SOL_SOCKET, option, struct.pack('ll', TIMEOUT, 0))
        self.lib = libssl()
        self.context = self.lib.SSL_CTX_new(self.lib.TLS_client_method())
        self.tls = self.lib.SSL_new(self.context)
        self.lib.SSL_set_fd(self.tls, self.socket.fileno())
        assert self.lib.SSL_connect(self.tls) == 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lib.SSL_free(self.tls)
        self.lib.SSL_CTX_free(self.context)
        self.socket.close()

    def update(self, answered):
        """Updates our sending key; `answered`: asks the server to update its own, too."""
        assert self.lib.SSL_key_update(self.tls, int(answered)) == 1
        assert self.lib.SSL_do_handshake(self.tls) == 1

    def send(self, data):
        assert self.lib.SSL_write(self.tls, data, len(data)) == len(data)

    def receive(self, length=CHUNK):
        """Returns some bytes; b'' after close_notify."""
        buffer = ctypes.create_string_buffer(length)
        got = self.lib.SSL_read(self.tls, buffer, length)
        if got <= 0:
            reason = self.lib.SSL_get_error(self.tls, got)
            assert reason == 6, f'SSL_read: error {reason}'     # SSL_ERROR_ZERO_RETURN
            return b''
        return buffer.raw[:got]

    def take(self, length):
        parts = []
        while length:
            parts.append(self.receive(min(length, CHUNK)))
            assert parts[-1], f'the end came {length} bytes too early'
            length -= len(parts[-1])
        return b''.join(parts)

    def close_notify(self):
        self.lib.SSL_shutdown(self.tls)


def libssl():
    name = ctypes.util.find_library('ssl')
    assert name, 'no libssl: install openssl'
    lib = ctypes.CDLL(name)
    pointer, number = ctypes.c_void_p, ctypes.c_int
    for function, result, arguments in [
            ('TLS_client_method', pointer, []), ('SSL_CTX_new', pointer, [pointer]), ('SSL_CTX_free', None, [pointer]),
            ('SSL_new', pointer, [pointer]), ('SSL_free', None, [pointer]), ('SSL_set_fd', number, [pointer, number]),
            ('SSL_connect', number, [pointer]), ('SSL_key_update', number, [pointer, number]),
            ('SSL_do_handshake', number, [pointer]), ('SSL_shutdown', number, [pointer]),
            ('SSL_write', number, [pointer, ctypes.c_char_p, number]),
            ('SSL_read', number, [pointer, ctypes.c_char_p, number]),
            ('SSL_get_error', number, [pointer, number])]:
        getattr(lib, function).restype = result
        getattr(lib, function).argtypes = arguments
    return lib


# A ClientHello by hand (RFC 8446 section 4.1.2), for clients that no library will play.

TLS10, TLS11, TLS12, TLS13 = 0x0301, 0x0302, 0x0303, 0x0304
X25519, P256, X448 = 0x001d, 0x0017, 0x001e
ECDHE_ECDSA_AES128_GCM, ECDHE_ECDSA_AES128_CBC, RSA_AES128_CBC, AES128_GCM_13 = 0xc02b, 0xc009, 0x002f, 0x1301


def vector(length_bytes, body):
    return len(body).to_bytes(length_bytes, 'big') + body


def numbers(values):
    return b''.join(value.to_bytes(2, 'big') for value in values)


def extension(kind, body):
    return kind.to_bytes(2, 'big') + vector(2, body)


def record(kind, body, version=TLS10):
    return bytes([kind]) + version.to_bytes(2, 'big') + vector(2, body)


def client_hello(version=TLS12, suites=(ECDHE_ECDSA_AES128_GCM,), name=b'localhost', groups=(X25519, P256),
                 signatures=(0x0403, 0x0804, 0x0401), versions=None, more=b''):
    """Returns the record with a ClientHello. `name`, `signatures`, `versions`: None leaves that extension out."""
    extensions = b''
    if name is not None:
        extensions += extension(0, vector(2, b'\0' + vector(2, name)))
    extensions += extension(10, vector(2, numbers(groups))) + extension(11, b'\1\0')
    if signatures is not None:
        extensions += extension(13, vector(2, numbers(signatures)))
    if versions is not None:
        extensions += extension(43, vector(1, numbers(versions)))
    body = (version.to_bytes(2, 'big') + os.urandom(32) + b'\0' + vector(2, numbers(suites)) + b'\1\0'
            + vector(2, extensions + more))
    return record(22, b'\1' + vector(3, body))


def openssl_client(server, *words, data=b'', timeout=TIMEOUT):
    """Runs openssl s_client with `words`; returns how it ended and what it printed."""
    return subprocess.run(['openssl', 's_client', '-connect', f'{server.url_host}:{server.port}', *map(str, words)],
                          input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False)


# The processes of one session. The postern that the harness starts is the monitor.

def children(pid):
    return [process for process in processes.everything() if process.parent == pid]


def gate_of(monitor):
    """Returns the gate's process id; waits until it waits for its client."""
    def waiting():
        for child in children(monitor.pid):
            if child.name == 'postern' and child.state == 'S' and jailed(child.pid):
                return child.pid
        return None
    return processes.until(waiting, 'the gate to wait')


@functools.lru_cache(None)
def seccomp_of(program):
    """Returns Seccomp of /proc/PID/status for the jail of this build: 2, or 0 if it was built without it."""
    version = subprocess.run([program, '--version'], stdout=subprocess.PIPE, text=True, check=True).stdout
    return '0' if 'without seccomp' in version else '2'


def jailed(pid):
    try:
        about = status(pid)
        return about['NoNewPrivs'] == '1' and about['Seccomp'] == seccomp_of(os.readlink(f'/proc/{pid}/exe'))
    except (FileNotFoundError, ProcessLookupError):
        return False


def handler_of(monitor):
    """Returns the handler's process id; waits until it has started."""
    def started():
        return next((child.pid for child in children(monitor.pid) if child.name not in OUR_NAMES), None)
    return processes.until(started, 'the handler to start')


def status(pid):
    """Returns /proc/PID/status as a dictionary of words."""
    with open(f'/proc/{pid}/status', encoding='utf-8', errors='replace') as file:
        return {name: value.strip() for name, _, value in (line.partition(':') for line in file)}


def all_end(pids, timeout=TIMEOUT):
    """Waits until processes whose parent was killed have ended. The harness inherits and reaps them."""
    def gone():
        for pid in list(left):
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    left.remove(pid)
            except ChildProcessError:
                # Not our child: it has another parent still, or that parent has reaped it.
                if not os.path.exists(f'/proc/{pid}'):
                    left.remove(pid)
        return not left
    left = list(pids)
    processes.until(gone, f'the end of processes {left}', timeout)


def wait_for_file(path, timeout=TIMEOUT):
    """Returns what a handler has written to a file; waits until there is something."""
    return processes.until(lambda: path.exists() and path.read_bytes(), f'{path.name} to be written', timeout)


def asleep(pid, seconds=0.1):
    """True if a process has used no CPU for a moment, so it waits for something."""
    def used():
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as file:
            return file.read().rsplit(')', 1)[1].split()[11:13]
    before = used()
    time.sleep(seconds)
    return used() == before


# An ordinary user

NOBODY = 65534
SETPRIV = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups']


class Unprivileged(launch.Direct):
    """Starts postern as an ordinary user, with copies of the files that the user must read."""

    def __init__(self, command, folder, **more):
        super().__init__(command, folder, **more)
        self.public = None

    def __enter__(self):
        if os.getuid() == 0:
            self.public = tempfile.TemporaryDirectory()
            os.chmod(self.public.name, 0o755)
            end = self.command.index('--')
            self.command[:end] = [*SETPRIV, self.copy(self.command[0], 0o755),
                                  *(self.copy_value(word) for word in self.command[1:end])]
        return super().__enter__()

    def copy_value(self, word):
        name, equals, value = word.partition('=')
        if name in ('--cert', '--key', '--tickets'):
            return name + equals + self.copy(value)
        return word

    def copy(self, path, mode=None):
        """Copies a file for the user, with the same mode."""
        made = os.path.join(self.public.name, os.path.basename(path))
        shutil.copy(path, made)
        os.chown(made, NOBODY, NOBODY)
        if mode:
            os.chmod(made, mode)
        return made

    def __exit__(self, *why):
        try:
            super().__exit__(*why)
        finally:
            if self.public:
                self.public.cleanup()
