# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes go through unchanged, whatever the sizes of writes and records, and whoever waits for whom."""

import hashlib
import os
import time

import pytest

from harness import clients, processes, tls

VERSIONS = ['1.2', '1.3']
STDIO = ['pipe', 'socket']
MEGABYTE = 1 << 20
BULK = (64 if os.environ.get('MATRIX') == 'all' else 24) * MEGABYTE
CAT = ['/bin/cat']
SMALL = 16384       # a receive buffer that is full at once
TINY = 4096         # one that the sender has to wait for with every segment

versions = pytest.mark.parametrize('version', VERSIONS)
stdios = pytest.mark.parametrize('stdio', STDIO)


@pytest.fixture(scope='module')
def bulk(tmp_path_factory):
    """A file of BULK bytes that compress to nothing less."""
    file = tmp_path_factory.mktemp('bulk') / 'file'
    file.write_bytes(os.urandom(BULK))
    yield file
    file.unlink()


def pieces(data, size=tls.CHUNK):
    view = memoryview(data)
    return (view[at:at + size] for at in range(0, len(view), size))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def assert_good_end(server, bytes_in, bytes_out, ending='client-close'):
    end = server.wait()
    assert end.status == 0, end.log
    assert (end.summary['end'], int(end.summary['in']), int(end.summary['out'])) == (ending, bytes_in, bytes_out)


# Both sides at once

@versions
@stdios
def test_many_megabytes_go_each_way_at_once_through_a_handler_that_echoes(serve, pki, bulk, version, stdio):
    data = bulk.read_bytes()
    echo = hashlib.sha256()
    server = serve(CAT, f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        client.exchange(pieces(data), echo.update)
        client.has_fin()
    assert echo.hexdigest() == sha256(data)
    assert_good_end(server, BULK, BULK)


@versions
@stdios
def test_handler_that_sends_many_megabytes_before_it_reads_as_many_from_a_client_that_does_the_same(
        serve, pki, bulk, version, stdio):
    """Neither reads before it has written what it can: nobody waits for ever, and no buffer grows without end."""
    data = bulk.read_bytes()
    got = bytearray()
    server = serve(['/bin/sh', '-c', 'cat "$0"; exec sha256sum', bulk], f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        begun_at = client.exchange(pieces(data), got.extend, read_first=False)
        client.has_fin()
    assert 0 < begun_at < BULK, 'all was taken without a byte being read: the buffers have no bound'
    assert sha256(memoryview(got)[:BULK]) == sha256(data)
    assert got[BULK:].decode().split()[0] == sha256(data)
    assert_good_end(server, BULK, len(got))


@versions
def test_client_that_reads_nothing_until_it_is_stuck_gets_its_whole_echo(serve, pki, bulk, version):
    data = bulk.read_bytes()
    echo = hashlib.sha256()
    server = serve(CAT)
    with tls.Client(server, pki.ca, version) as client:
        begun_at = client.exchange(pieces(data), echo.update, read_first=False)
    assert 0 < begun_at < BULK, 'all was taken without a byte being read: the buffers have no bound'
    assert echo.hexdigest() == sha256(data)
    assert_good_end(server, BULK, BULK)


# Sizes

@versions
@stdios
@pytest.mark.parametrize('size', [1, 2, 15, 16, 17, 255, 16383, 16384])
def test_records_of_every_size_come_back_unchanged(serve, pki, size, version, stdio):
    server = serve(CAT, f'--stdio={stdio}')
    total = 0
    with tls.Client(server, pki.ca, version) as client:
        for _ in range(5):
            data = os.urandom(size)
            client.send(data)
            assert client.take(size) == data
            total += size
        client.close_notify()
        client.ends_in_order()
    assert_good_end(server, total, total)


@versions
@stdios
def test_one_byte_records_sent_one_byte_at_a_time_to_a_handler_that_writes_one_byte_at_a_time(
        serve, pki, version, stdio):
    data = os.urandom(300)
    server = serve(['/bin/dd', 'bs=1', 'status=none'], f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        for byte in data:
            client.tls.write(bytes([byte]))
            for part in client.outgoing.read():
                client.socket.send(bytes([part]))
        client.close_notify()
        assert client.rest() == data
    assert_good_end(server, len(data), len(data))


@versions
def test_a_thousand_one_byte_records_in_one_segment_arrive_in_order(serve, pki, version):
    data = os.urandom(1000)
    server = serve(CAT)
    with tls.Client(server, pki.ca, version) as client:
        for byte in data:
            client.tls.write(bytes([byte]))
        client.flush()
        assert client.take(len(data)) == data
        client.close_notify()
        client.ends_in_order()
    assert_good_end(server, len(data), len(data))


@versions
def test_first_bytes_sent_in_one_segment_with_the_end_of_the_handshake_arrive(serve, pki, version):
    server = serve(CAT)
    with tls.Client(server, pki.ca, version, handshake=False) as client:
        client.step(client.tls.do_handshake)
        client.flush()
        while client.step(client.tls.do_handshake) is None and not client.outgoing.pending:
            client.fill()
        if version == '1.3':
            client.tls.write(b'at once')    # behind Finished, in the same segment
        client.handshake()
        if version == '1.2':
            client.send(b'at once')
        assert client.take(7) == b'at once'
        client.close_notify()
        client.ends_in_order()
    assert_good_end(server, 7, 7)


@pytest.mark.parametrize('words', [
    ['-tls1_3', '-record_padding', '4096'],
    ['-tls1_3', '-max_send_frag', '512'],
    ['-tls1_2', '-max_send_frag', '512'],
    ['-tls1_3', '-maxfraglen', '512'],
    ['-tls1_2', '-maxfraglen', '512'],
    ['-tls1_2', '-maxfraglen', '4096'],
], ids=' '.join)
def test_records_that_openssl_pads_or_limits_carry_a_megabyte_unchanged(serve, pki, words):
    data = os.urandom(MEGABYTE)
    server = serve(CAT)
    with clients.program(['openssl', 's_client', '-quiet', '-nocommands', '-no_ign_eof', '-CAfile', str(pki.ca),
                          '-connect', f'{server.host}:{server.port}', *words]) as talk:
        for piece in pieces(data, 8192):
            os.write(talk.write_fd, piece)
            assert talk.take(len(piece)) == piece
    assert_good_end(server, MEGABYTE, MEGABYTE)


# New keys

@pytest.mark.parametrize('answered', [True, False], ids=['answered', 'one-sided'])
@stdios
def test_client_changes_its_keys_in_mid_transfer(serve, answered, stdio):
    server = serve(CAT, f'--stdio={stdio}')
    with tls.Updater(server) as client:
        for _ in range(100):
            data = os.urandom(20000)
            client.send(data[:7000])
            client.update(answered)
            client.send(data[7000:])
            assert client.take(len(data)) == data
        client.close_notify()
        assert client.receive() == b''
    assert_good_end(server, 2000000, 2000000)


@pytest.mark.parametrize('letter, answers', [('k', 0), ('K', 3)], ids=['one-sided', 'answered'])
def test_openssl_s_client_changes_its_keys_by_command(serve, pki, tmp_path, letter, answers):
    """Its command K asks the server to do the same, k does not."""
    server = serve(CAT)
    messages = tmp_path / 'messages'
    with clients.program(['openssl', 's_client', '-tls1_3', '-msg', '-msgfile', messages, '-CAfile', pki.ca,
                          '-connect', f'{server.host}:{server.port}']) as talk:
        for number in range(1, 4):
            talk.ask(f'line {number}', f'line {number}')
            talk.say(letter)
            processes.until(lambda: messages.read_text().count('>>> TLS 1.3, Handshake [length 0005], KeyUpdate') == number,
                            'new keys')
        talk.ask('line 4', 'line 4')
        talk.say('Q')
    assert messages.read_text().count('<<< TLS 1.3, Handshake [length 0005], KeyUpdate') == answers
    assert_good_end(server, 32, 32)


@pytest.mark.parametrize('count', [300, 900, 5000])
def test_client_asks_for_new_keys_hundreds_of_times_without_reading(serve, count):
    """While the handler's output jams the connection, so that the answers have to wait."""
    length = 8 * MEGABYTE
    server = serve(['/bin/sh', '-c', f'head -c {length} /dev/zero; exec cat'])
    with tls.Updater(server, receive_buffer=SMALL) as client:
        gate = tls.gate_of(server.process())
        processes.until(lambda: tls.asleep(gate), 'the connection to be jammed')
        for _ in range(count):
            client.update(True)
        client.send(b'after all')
        assert client.take(length) == bytes(length)
        assert client.take(9) == b'after all'
        client.close_notify()
        assert client.receive() == b''
    assert_good_end(server, 9, length + 9)


# The slow

@versions
@stdios
def test_client_with_a_tiny_receive_buffer_gets_everything(serve, pki, bulk, version, stdio):
    length = 4 * MEGABYTE
    server = serve(['/usr/bin/head', '-c', str(length), bulk], f'--stdio={stdio}')
    got = bytearray()
    with tls.Client(server, pki.ca, version, receive_buffer=TINY) as client:
        client.exchange([], got.extend, end=False)
        client.has_fin()
    with open(bulk, 'rb') as file:
        assert sha256(got) == sha256(file.read(length))
    assert_good_end(server, 0, length, 'handler-close')


@versions
def test_client_that_reads_slowly_gets_everything(serve, pki, bulk, version):
    length = MEGABYTE
    server = serve(['/usr/bin/head', '-c', str(length), bulk])
    got = bytearray()
    with tls.Client(server, pki.ca, version, receive_buffer=SMALL) as client:
        for number in range(400):
            client.incoming.write(client.socket.recv(200 + number))
            while (data := client.decrypted()) not in (None, tls.CLOSE_NOTIFY):
                got += data
            time.sleep(0.001)   # what makes it slow
        got += client.rest()
    with open(bulk, 'rb') as file:
        assert sha256(got) == sha256(file.read(length))
    assert_good_end(server, 0, length, 'handler-close')


@versions
@stdios
def test_handler_that_reads_slowly_gets_everything(serve, pki, bulk, tmp_path, version, stdio):
    """It begins only when told so; up to then the client is held back."""
    os.mkfifo(tmp_path / 'start')
    with open(bulk, 'rb') as file:
        data = file.read(16 * MEGABYTE)
    got = bytearray()
    script = 'read line <"$0"; dd bs=900 count=2000 iflag=fullblock status=none | sha256sum; exec sha256sum'
    server = serve(['/bin/sh', '-c', script, tmp_path / 'start'], f'--stdio={stdio}')
    with tls.Client(server, pki.ca, version) as client:
        def source():
            sent = 0
            for piece in pieces(data):
                yield piece
                sent += len(piece)
                if sent == 2 * MEGABYTE:
                    (tmp_path / 'start').write_text('now\n', encoding='ascii')
        client.exchange(source(), got.extend)
    assert [line.split()[0] for line in got.decode().splitlines()] == [sha256(data[:1800000]), sha256(data[1800000:])]
    assert_good_end(server, len(data), len(got))


# Clients that are slower than the grace, which is for handlers

class Clock:
    """Rings when so many seconds are over: a session that ends by then."""

    def __init__(self, serve, pki, seconds):
        server = serve(CAT, f'--timeout-session={seconds}', '--timeout-grace=1')
        self.client = tls.Client(server, pki.ca)
        self.process = server.process()

    def rings(self):
        return self.process.poll() is not None

    def wait(self):
        self.process.wait(tls.TIMEOUT)
        self.client.socket.close()


@pytest.mark.parametrize('way', ['inside TLS', 'in plaintext'])
def test_client_that_has_said_close_notify_and_reads_for_longer_than_the_grace_gets_everything(serve, go_on, pki, bulk, way):
    length = 2 * BULK
    got = hashlib.sha256()
    if way == 'inside TLS':
        server = serve(['/bin/sh', '-c', 'cat; exec cat "$0" "$0"', bulk], '--timeout-grace=2')
        client = tls.Client(server, pki.ca, receive_buffer=SMALL)
        client.close_notify()
        connection = client.socket
    else:
        server, client = go_on('by DATA under auth', 'cat; exec cat "$1" "$1"', '--timeout-grace=2', words=[bulk],
                               receive_buffer=SMALL)
        assert client.buffer == b''
        client.fin()
        connection = client.socket
    count = 0
    clock = Clock(serve, pki, 3)
    while (data := connection.recv(SMALL // 2 if not clock.rings() else tls.CHUNK)):
        if way == 'inside TLS':
            client.incoming.write(data)
            data = b''
            while (some := client.decrypted()) not in (None, tls.CLOSE_NOTIFY):
                data += some
        got.update(data)
        count += len(data)
        if not clock.rings():
            assert count < length
            time.sleep(0.002)   # what makes it slow
    connection.close()
    clock.wait()
    both = hashlib.sha256()
    for _ in range(2):
        both.update(bulk.read_bytes())
    assert (count, got.hexdigest()) == (length, both.hexdigest())
    end = server.wait()
    assert (end.status, end.summary['end']) == (0, 'client-close')
    assert int(end.summary['out']) == length + getattr(client, 'came', 0)
