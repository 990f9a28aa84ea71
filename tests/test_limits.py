# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever a client sends, or does not send: the connection ends in time, and costs no more memory than others.

Time: a slow client keeps a place busy no longer than the time-out of the phase that it is in. Memory: a session under
attack is compared with an idle one that has carried a full record of 16 KiB each way. That one counts as the measure,
because from then on the relay's buffers and the library's are as large as an honest session makes them.
"""

import ctypes
import ctypes.util
import hashlib
import hmac
import os
import select
import socket
import struct
import threading
import time

import pytest

from harness import debian, faults, launch, processes, tls
from harness.tls import record

pytestmark = pytest.mark.not_sanitized("a sanitizer's memory and time are its own")

TEMPFAIL = os.EX_TEMPFAIL
RECORD = 16384
CROWD = 200
PACE = 0.1      # seconds between two bytes of a slow client
LATE = 4        # seconds after which a time-out of one second has not been kept, on however slow a machine

needs_root = pytest.mark.skipif(os.getuid() != 0, reason='only root may look at the memory of a process that is jailed')
versions = pytest.mark.parametrize('version', ['1.2', '1.3'])


# Time

def dribble(connection, data):
    """One byte at a time, until the other side ends the connection: how long that took, and what came until then."""
    begun = time.monotonic()
    got = bytearray()
    at = 0
    while True:
        if select.select([connection], [], [], PACE)[0]:
            try:
                some = connection.recv(RECORD)
            except ConnectionResetError:
                some = b''
            if not some:
                return time.monotonic() - begun, bytes(got)
            got += some
        elif at < len(data):
            try:
                connection.send(data[at:at + 1])
            except (BrokenPipeError, ConnectionResetError):
                pass    # it is read in the next round
            at += 1


def assert_timed_out(server, seconds, ending, status=TEMPFAIL):
    end = server.wait()
    assert (end.summary['end'], end.status) == (ending, status), end.log
    assert 0.5 < seconds < LATE
    return end


SLOW = pytest.mark.parametrize('slow', [False, True], ids=['silence', 'a byte from time to time'])


@SLOW
def test_lobby_ends_in_time_for_a_client_that_sends(serve, slow):
    server = serve(['/bin/cat'], '--starttls=imap', '--timeout-lobby=1', '--timeout-handshake=60')
    with server.connect() as connection:
        seconds, got = dribble(connection, b'a CAPABILITY' * 100 if slow else b'')
    assert b'* BYE' in got
    assert_timed_out(server, seconds, 'timeout-lobby')


@SLOW
def test_client_hello_is_waited_for_no_longer_than_the_handshakes_time_from_a_client_that_sends(serve, slow):
    server = serve(['/bin/cat'], '--timeout-handshake=1', '--timeout-idle=60')
    with server.connect() as connection:
        seconds, got = dribble(connection, tls.client_hello() if slow else b'')
    assert got == b''
    assert 'handler' not in assert_timed_out(server, seconds, 'timeout-handshake').summary


@SLOW
def test_after_starttls_the_handshakes_time_begins_for_a_client_that_sends(serve, slow):
    server = serve(['/bin/cat'], '--starttls=imap', '--timeout-lobby=60', '--timeout-handshake=1')
    with server.connect() as connection:
        connection.sendall(b'a STARTTLS\r\n')
        got = b''
        while b'\r\na OK' not in got:     # what comes before that would be an injection
            got += connection.recv(1000) or pytest.fail(f'closed after {got}')
        seconds, _ = dribble(connection, tls.client_hello() if slow else b'')
    assert 'handler' not in assert_timed_out(server, seconds, 'timeout-handshake').summary


@versions
@SLOW
def test_answer_to_our_hello_is_waited_for_no_longer_than_the_handshakes_time_from_a_client_that_sends(
        serve, pki, slow, version):
    server = serve(['/bin/cat'], '--timeout-handshake=1', '--timeout-idle=60')
    with tls.Client(server, pki.ca, version, handshake=False) as client:
        client.socket.sendall(client.hello())
        while client.step(client.tls.do_handshake) is None and not client.outgoing.pending:
            client.fill()
        answer = client.outgoing.read()
        assert len(answer) > 2 / PACE
        seconds, _ = dribble(client.socket, answer if slow else b'')
    assert 'handler' not in assert_timed_out(server, seconds, 'timeout-handshake').summary


@versions
@SLOW
def test_session_is_idle_for_a_client_that_sends(serve, pki, slow, version):
    """Bytes of a record that is not whole move nothing."""
    server = serve(['/bin/cat'], '--timeout-idle=1')
    with tls.Client(server, pki.ca, version) as client:
        client.tls.write(bytes(1000))
        seconds, _ = dribble(client.socket, client.outgoing.read() if slow else b'')
    assert_timed_out(server, seconds, 'timeout-idle', 0)


def test_session_is_idle_for_a_client_that_reads_nothing(serve, pki):
    server = serve(['/bin/cat', '/dev/zero'], '--timeout-idle=1', '--timeout-grace=1')
    with tls.Client(server, pki.ca, receive_buffer=4096):
        begun = time.monotonic()
        end = server.wait()
        assert time.monotonic() - begun < 2 * LATE
    assert end.summary['end'] == 'timeout-idle'


def test_session_is_idle_for_a_client_that_only_changes_its_keys(serve):
    server = serve(['/bin/cat'], '--timeout-idle=1')
    with tls.Updater(server) as client:
        begun = time.monotonic()
        while not select.select([client.socket], [], [], PACE)[0]:
            client.update(False)
        assert client.receive() == b''
        seconds = time.monotonic() - begun
    assert_timed_out(server, seconds, 'timeout-idle', 0)


class Crowded(launch.Tcpserver):
    """tcpserver, for more connections at once than the 40 that it takes by default."""

    def arguments(self):
        return debian.outside('usr/bin/tcpserver', f'-c{CROWD}', f'-b{CROWD}', '-H', '-R', '-l', 'localhost', self.host,
                              self.port, *self.command)


def flood(server, ca, seconds):
    """CROWD half-open handshakes, and a client that comes after them: were they all there at once?"""
    half = tls.client_hello()[:40]
    crowd = []
    deadline = time.monotonic() + seconds
    try:
        for _ in range(CROWD):
            crowd.append(server.connect(20 * seconds))
            crowd[-1].sendall(half)
        most = 0
        while most < 2 * CROWD and time.monotonic() < deadline:
            most = max(most, len(server.busy()))
            time.sleep(0.1)
        with tls.Client(server, ca, handshake=False) as client:
            client.socket.settimeout(20 * seconds)      # it has to wait for a place
            client.handshake()
            client.send(b'next')
            assert client.take(4) == b'next'
            client.close_notify()
            client.ends_in_order()
        for connection in crowd:
            assert tls.ended(connection, 20 * seconds) == b''
    finally:
        for connection in crowd:
            connection.close()
    server.summary(CROWD + 1, 20 * seconds)
    endings = [summary['end'] for summary in launch.summaries(server.log())]
    assert (endings.count('timeout-handshake'), endings.count('client-close')) == (CROWD, 1)
    return most == 2 * CROWD


def test_200_clients_that_stop_in_the_middle_of_their_hello_are_gone_after_the_handshakes_time(serve, pki):
    """A real launcher serves the next client, and has no process left: the harness looks at the end.

    A busy machine may need longer to start them than the first of them may stay: then once more, with more time.
    """
    for seconds in (10, 60):
        if flood(serve(['/bin/cat'], f'--timeout-handshake={seconds}', launcher=Crowded), pki.ca, seconds):
            return
    raise AssertionError(f'{CROWD} connections were never there at once')


# Memory

class Meter(threading.Thread):
    """The most memory that gate and monitor have for themselves, looked at some thousand times a second.

    Counted are pages that are in no file. Those that a fork has left in common belong to both by halves, so that the sum
    is what the session costs, and does not change when one of them ends.
    """

    def __init__(self, monitor, gate):
        super().__init__(daemon=True)
        self.pids = [monitor, gate]
        self.peak = 0
        self.over = threading.Event()

    def __enter__(self):
        self.look()
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()

    def run(self):
        while not self.over.wait(0.0005):
            self.look()

    def look(self):
        self.peak = max(self.peak, sum(map(self.anonymous, self.pids)))

    @staticmethod
    def anonymous(pid):
        try:
            with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as file:
                sizes = {line.split()[0]: int(line.split()[1]) for line in file.readlines()[1:]}
        except (FileNotFoundError, ProcessLookupError):
            return 0
        return sizes['Pss_Anon:'] + sizes['SwapPss:']


def gate_of(monitor):
    """The monitor's first child. Unlike the harness's own look at this it does not take seccomp for granted."""
    def first():
        with open(f'/proc/{monitor}/task/{monitor}/children', encoding='ascii') as file:
            return file.read().split()
    return int(processes.until(first, 'the gate')[0])


def at_rest(pid):
    """It waits, or has ended."""
    try:
        return processes.Process(pid).state == 'S' and tls.asleep(pid, 0.05)
    except (FileNotFoundError, ProcessLookupError):
        return True


HANDLER = ['/bin/sh', '-c', 'echo ready; read -r what; [ "$what" != flood ] || head -c 50000000 /dev/zero; exec cat']


class Measured:
    """A server whose first session is an idle one, which later ones are compared with."""

    def __init__(self, server, ca, version):
        self.server = server
        self.ca = ca
        self.version = version
        with tls.Client(server, ca, version, handshake=False) as client:
            with self.meter() as whole:
                client.handshake()
                assert client.take(6) == b'ready\n'
                client.send(b'echo\n')
                with self.meter() as meter:
                    client.send(bytes(RECORD))
                    client.take(RECORD)
                    processes.until(lambda: at_rest(meter.pids[1]), 'the gate to wait')
            client.close_notify()
            client.ends_in_order()
        assert server.wait().status == 0
        self.session, self.whole = meter.peak, max(whole.peak, self.honest(), self.honest())

    def honest(self):
        """The peak of one more honest connection: on a busy machine a meter may miss it."""
        with tls.Client(self.server, self.ca, self.version, handshake=False) as client:
            with self.meter() as meter:
                client.handshake()
                assert client.take(6) == b'ready\n'
            client.close_notify()
            client.ends_in_order()
        assert self.server.wait().status == 0
        return meter.peak

    def meter(self):
        """For the connection that was made last."""
        monitor = self.server.process(self.server.taken).pid
        gate = gate_of(monitor)
        processes.until(lambda: at_rest(gate), 'the gate to wait')
        return Meter(monitor, gate)

    def attacked(self, attack, **more):
        """A session in which attack(client) happens."""
        with tls.Client(self.server, self.ca, self.version, **more) as client:
            return self.hold(client, attack)

    def hold(self, client, attack):
        assert client.take(6) == b'ready\n'
        with self.meter() as meter:
            attack(client)
            processes.until(lambda: at_rest(meter.pids[1]), 'the gate to wait, or to end')
        reset(client.socket)
        assert meter.peak <= 1.5 * self.session, f'{meter.peak} kB, an idle session has {self.session} kB'
        return self.server.wait()

    def refused(self, connection, attack):
        """A connection that never becomes a session."""
        with self.meter() as meter:
            attack(connection)
            tls.ended(connection)
        assert meter.peak <= 1.5 * self.whole, f'{meter.peak} kB, an honest handshake takes {self.whole} kB'
        end = self.server.wait()
        assert end.summary['end'] in ('handshake-failed', 'timeout-handshake', 'left'), end.log
        assert 'handler' not in end.summary
        return end


def reset(connection):
    """Break the connection, so that nothing is waited for."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    connection.close()


@pytest.fixture
def measured(serve, pki, postern):
    if faults.sanitized(postern):
        pytest.skip('AddressSanitizer keeps what has been freed')

    def make(version='1.3', *options):
        return Measured(serve(HANDLER, '--timeout-grace=1', '--timeout-handshake=2', *options), pki.ca, version)
    return make


def pour(connection, data):
    """Send as much as is taken."""
    connection.settimeout(0.3)
    try:
        connection.sendall(data)
    except (TimeoutError, ConnectionResetError, BrokenPipeError):
        pass


@needs_root
@versions
def test_memory_is_bounded_for_a_client_that_asks_for_much_and_never_reads(measured, version):
    measured(version).attacked(lambda client: client.send(b'flood\n'), receive_buffer=4096)


@needs_root
def test_memory_is_bounded_for_a_client_that_asks_for_new_keys_for_ever_and_never_reads(measured):
    def attack(client):
        client.send(b'flood\n')
        gate = gate_of(the.server.process(the.server.taken).pid)
        processes.until(lambda: at_rest(gate), 'the connection to be jammed')
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('ll', 0, 300000))
        for _ in range(200000):
            if client.lib.SSL_key_update(client.tls, 1) != 1 or client.lib.SSL_do_handshake(client.tls) != 1:
                return
        raise AssertionError('our requests are taken though nobody takes the answers')
    the = measured()
    with tls.Updater(the.server, receive_buffer=4096) as client:
        the.hold(client, attack)


@needs_root
@versions
@pytest.mark.parametrize('size', [1, RECORD], ids=['tiny', 'full'])
def test_memory_is_bounded_for_records_that_are(measured, size, version):
    def attack(client):
        client.send(b'echo\n')
        for _ in range(RECORD // size if size == 1 else 8):
            client.tls.write(b'x' * size)
        for _ in range(100):
            client.tls.write(b'x' * RECORD)
        pour(client.socket, client.outgoing.read())
    measured(version).attacked(attack, receive_buffer=4096)


# What a client sends before there is a session. HELLO is answered by a ServerHello of TLS 1.2.

HELLO = tls.client_hello()
BIG_HELLO = tls.client_hello(more=tls.extension(0x1234, bytes(60000)))[5:]


def message(kind, length, sent=RECORD - 4):
    """A handshake message that says how long it is, and the part of it that fits into one record."""
    return record(22, bytes([kind]) + length.to_bytes(3, 'big') + bytes(sent), tls.TLS12)


MORE = record(22, bytes(RECORD), tls.TLS12)


@needs_root
@pytest.mark.parametrize('first, then', [
    (tls.client_hello(more=tls.extension(0x1234, bytes(RECORD - 4 - 100))), b''),
    (b''.join(record(22, BIG_HELLO[at:at + RECORD]) for at in range(0, len(BIG_HELLO), RECORD)), b''),
    (b''.join(record(22, BIG_HELLO[at:at + 1]) for at in range(5000)), b''),
    (record(22, b'') * 10000, b''),
    (record(22, bytes(RECORD)) * 60, b''),
    (HELLO, message(16, 0xffffff) + MORE * 60),
    (HELLO, message(11, 0xffffff) + MORE * 60),
    (HELLO, message(16, 0xff00) + MORE * 60),
    (HELLO, message(16, 0x4000, 0) + record(22, b'\0', tls.TLS12) * 10000),
    (HELLO, message(0, 0, 0) * 10000),
    (HELLO, record(21, b'\1\x5a', tls.TLS12) * 10000),
    (HELLO, b'\x16\3\3\xff\xff' + bytes(65535) * 10),
    (HELLO, HELLO * 1000),
], ids=['ClientHello of 16 KiB', 'ClientHello of 60 KB', 'ClientHello byte by byte', 'empty records',
        'HelloRequests at first', 'ClientKeyExchange of 16 MB', 'Certificate of 16 MB', 'ClientKeyExchange of 64 KB',
        'ClientKeyExchange byte by byte', 'HelloRequests', 'warnings', 'record of 64 KB', 'ClientHellos'])
def test_memory_is_bounded_in_the_handshake_for(measured, first, then):
    def attack(connection):
        pour(connection, first)
        if then:
            assert connection.recv(65536)[:1] == b'\x16'
            pour(connection, then)
    the = measured('1.2')
    the.refused(the.server.connect(), attack)


# What a client sends before STARTTLS

def peak_in_lobby(server, data, answer):
    """The most memory that a lobby takes for a client that sends this, and how its connection ended."""
    with server.connect() as connection:
        assert connection.recv(1000).startswith(b'* OK')
        monitor = server.process(server.taken).pid
        gate = gate_of(monitor)
        processes.until(lambda: at_rest(gate), 'the gate to wait')
        with Meter(monitor, gate) as meter:
            pour(connection, data)
            got = b''
            while answer not in got and (more := connection.recv(RECORD)):
                got += more
        assert answer in got
        reset(connection)
    return meter.peak, server.wait()


@needs_root
@pytest.mark.parametrize('data', [
    b'x' * 5000000, b'a NOOP\r\n' * 100000, b'a ' + b'x' * 900 + b'\r\n' * 100000,
    b'a LOGIN {10000000+}\r\n' + b'x' * 5000000, bytes(5000000),
], ids=['one long line', 'many commands', 'a long line and empty ones', 'a literal', 'NULs'])
@pytest.mark.parametrize('policy', ['required', 'auth'])
def test_memory_is_bounded_in_the_lobby_for(serve, policy, data):
    handler = ['/bin/sh', '-c', 'echo "* OK [CAPABILITY IMAP4rev1] ready"; while read -r tag _; do echo "$tag OK done"; done']
    server = serve(handler, '--starttls=imap', f'--policy={policy}', '--timeout-grace=1')
    idle, _ = peak_in_lobby(server, b'a NOOP\r\n', b'a OK')
    peak, end = peak_in_lobby(server, data, b'* BYE')
    assert peak <= 1.5 * idle, f'{peak} kB, an idle client in the lobby takes {idle} kB'
    assert 'tls' not in end.summary, end.log


# Messages of TLS 1.3 that no library sends: sealed by hand, with the secrets that Python's module logs.

class Sealer:
    """One direction of TLS 1.3 with TLS_CHACHA20_POLY1305_SHA256 (RFC 8446 section 5.2)."""

    def __init__(self, secret):
        self.key, self.iv = self.expand(secret, b'key', 32), self.expand(secret, b'iv', 12)
        self.number = 0
        self.lib = ctypes.CDLL(ctypes.util.find_library('crypto'))
        for name in ('EVP_CIPHER_CTX_new', 'EVP_chacha20_poly1305'):
            getattr(self.lib, name).restype = ctypes.c_void_p

    @staticmethod
    def expand(secret, label, length):
        info = length.to_bytes(2, 'big') + tls.vector(1, b'tls13 ' + label) + b'\0'
        return hmac.new(secret, info + b'\1', hashlib.sha256).digest()[:length]

    def seal(self, kind, content):
        """The record that holds it."""
        inner = content + bytes([kind])
        header = b'\x17\3\3' + (len(inner) + 16).to_bytes(2, 'big')
        nonce = (int.from_bytes(self.iv, 'big') ^ self.number).to_bytes(12, 'big')
        self.number += 1
        context = ctypes.c_void_p(self.lib.EVP_CIPHER_CTX_new())
        sealed, tag, length = ctypes.create_string_buffer(len(inner)), ctypes.create_string_buffer(16), ctypes.c_int()
        out = ctypes.byref(length)
        method = ctypes.c_void_p(self.lib.EVP_chacha20_poly1305())
        assert self.lib.EVP_EncryptInit_ex(context, method, None, self.key, nonce) == 1
        assert self.lib.EVP_EncryptUpdate(context, None, out, header, len(header)) == 1
        assert self.lib.EVP_EncryptUpdate(context, sealed, out, inner, len(inner)) == 1
        assert self.lib.EVP_EncryptFinal_ex(context, tag, out) == 1
        assert self.lib.EVP_CIPHER_CTX_ctrl(context, 0x10, 16, tag) == 1     # get the tag
        self.lib.EVP_CIPHER_CTX_free(context)
        return header + sealed.raw + tag.raw


CHACHA = '--ciphers=TLS13-CHACHA20-POLY1305-SHA256'
HANDSHAKE, DATA = 22, 23


class ByHand(tls.Client):
    """A client that logs its secrets, and goes on by hand."""

    def __init__(self, server, ca, log, **more):
        context = tls.clients.context(ca, '1.3')
        context.keylog_filename = str(log)
        self.log = log
        super().__init__(server, ca, context=context, **more)

    def sealer(self, name):
        for line in self.log.read_text(encoding='ascii').splitlines():
            if line.startswith(f'{name} '):
                secret = line
        return Sealer(bytes.fromhex(secret.split()[2]))

    def half_handshake(self):
        """Up to where the server waits for our Finished."""
        self.socket.sendall(self.hello())
        while self.step(self.tls.do_handshake) is None and not self.outgoing.pending:
            self.fill()
        return self.sealer('CLIENT_HANDSHAKE_TRAFFIC_SECRET')


def sealed(sealer, pieces):
    return b''.join(sealer.seal(kind, content) for kind, content in pieces)


@needs_root
@pytest.mark.parametrize('pieces', [
    [(HANDSHAKE, b'\x14\xff\xff\xff' + bytes(RECORD - 4))] + [(HANDSHAKE, bytes(RECORD))] * 60,
    [(HANDSHAKE, b'\x0b\xff\xff\xff' + bytes(RECORD - 4))] + [(HANDSHAKE, bytes(RECORD))] * 60,
    [(HANDSHAKE, b'\x14\0\x40\0')] + [(HANDSHAKE, b'\0')] * 2000,
    [(HANDSHAKE, b'\x18\0\0\1\1' * 3000)],
    [(DATA, bytes(RECORD))] * 60,
    [(DATA, b'')] * 2000,
], ids=['Finished of 16 MB', 'Certificate of 16 MB', 'Finished byte by byte', 'KeyUpdates', 'data', 'empty records'])
def test_memory_is_bounded_in_the_handshake_of_tls_1_3_for(measured, pki, tmp_path, pieces):
    the = measured('1.3', CHACHA)
    with ByHand(the.server, pki.ca, tmp_path / 'secrets', handshake=False) as client:
        attack = sealed(client.half_handshake(), pieces)
        the.refused(client.socket, lambda connection: pour(connection, attack))


@needs_root
@pytest.mark.parametrize('pieces, ending', [
    ([(HANDSHAKE, b'\x18\xff\xff\xff' + bytes(RECORD - 4))] + [(HANDSHAKE, bytes(RECORD))] * 60, 'tls-error'),
    ([(HANDSHAKE, b'\x0b\xff\xff\xff' + bytes(RECORD - 4))] + [(HANDSHAKE, bytes(RECORD))] * 60, 'tls-error'),
    ([(HANDSHAKE, b'\x18\0\0\1')] + [(HANDSHAKE, b'\0')] * 2000, 'tls-error'),
    ([(HANDSHAKE, b'\x18\0\0\1\1' * 3000)], 'reset'),
    ([(DATA, b'')] * 2000, 'reset'),
    ([(21, b'\1\x5a')] * 2000, 'tls-error'),
    ([(99, bytes(1000))], 'tls-error'),
    ([(HANDSHAKE, b'\4' + tls.vector(3, bytes(1000)))] * 500, 'tls-error'),
    ([(HANDSHAKE, b'\x0b' + tls.vector(3, bytes(1000)))] * 500, 'tls-error'),
    ([(HANDSHAKE, b'\1' + tls.vector(3, bytes(1000)))] * 500, 'tls-error'),
], ids=['KeyUpdate of 16 MB', 'Certificate of 16 MB', 'KeyUpdate in pieces', 'KeyUpdates in one record', 'empty records',
        'warnings', 'records of no kind', 'tickets', 'certificates', 'ClientHellos'])
def test_memory_is_bounded_in_a_session_of_tls_1_3_for(measured, pki, tmp_path, pieces, ending):
    """Some of it is no fault: then the session goes on, until we break the connection."""
    the = measured('1.3', CHACHA)
    with ByHand(the.server, pki.ca, tmp_path / 'secrets') as client:
        data = sealed(client.sealer('CLIENT_TRAFFIC_SECRET_0'), pieces)
        end = the.hold(client, lambda client: pour(client.socket, data))
    assert end.summary['end'] == ending, end.log
