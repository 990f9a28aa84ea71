# SPDX-License-Identifier: GPL-2.0-or-later
"""The PROXY protocol: headers taken from a proxy, real HAProxy among them, and headers given to a handler.

There is no daemon in Debian that reads such a header on its standard input; a handler that hands its connection on to
a TCP port can be socat(1), and then Dovecot reads it there. All else is read by a handler of our own, strictly.
"""

import json
import os
import socket
import struct
import subprocess
from contextlib import contextmanager

import pytest

from harness import daemons, debian, lobby, ports, processes, tls
from harness.lobby import IMAP, SMTP, Client, Given, OnPipes, Recorder

TRUSTED = ['--proxy-protocol', '--proxy-trusted=127.0.0.1']
LEFT, USAGE, PROTOCOL, TIMEOUT, REFUSED = 0, os.EX_USAGE, os.EX_DATAERR, os.EX_TEMPFAIL, os.EX_PROTOCOL
ENV = ['/usr/bin/env']


# Headers by hand

SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
INET, INET6, UNIX, UDP4, UNSPEC = 0x11, 0x21, 0x31, 0x12, 0


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def tlv(kind, value):
    return bytes([kind]) + struct.pack('>H', len(value)) + value


def v2(kind=INET, block=None, tlvs=b'', command=0x21):
    if block is None:
        family = socket.AF_INET6 if kind == INET6 else socket.AF_INET
        block = b''.join(socket.inet_pton(family, host) for host in FAR[kind]) + struct.pack('>HH', 50122, 993)
    return SIGNATURE + bytes([command, kind]) + struct.pack('>H', len(block + tlvs)) + block + tlvs


def with_checksum(header, wrong=0):
    """The header with a TLV of its own checksum behind it."""
    length = struct.unpack('>H', header[14:16])[0] + 7
    header = header[:14] + struct.pack('>H', length) + header[16:]
    return header + tlv(3, struct.pack('>I', crc32c(header + tlv(3, b'\0' * 4)) ^ wrong))


FAR = {kind: ('192.0.2.7', '198.51.100.1') for kind in (INET, UDP4)} | {INET6: ('2001:db8::7', '2001:db8::1')}
V1 = b'PROXY TCP4 192.0.2.7 198.51.100.1 50122 993\r\n'
SSL = tlv(0x20, b'\1\0\0\0\0' + tlv(0x21, b'TLSv1.3'))

# What proxies send, and whom postern then takes for client and server.
WITH_ADDRESSES = {
    'v1-tcp4': (V1, INET),
    'v1-tcp6': (b'PROXY TCP6 2001:db8::7 2001:db8::1 50122 993\r\n', INET6),
    'v1-mapped': (b'PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 50122 993\r\n', INET),
    'v2-tcp4': (v2(), INET),
    'v2-tcp6': (v2(INET6), INET6),
    'v2-tlvs': (with_checksum(v2(tlvs=tlv(2, b'mail.example.org') + SSL + tlv(4, b'\0' * 3000) + tlv(0xea, b'x'))), INET),
}
WITHOUT_ADDRESSES = {
    'v1-unknown': b'PROXY UNKNOWN\r\n',
    'v1-unknown-with-words': b'PROXY UNKNOWN 192.0.2.7 198.51.100.1 50122 993\r\n',
    'v2-local': v2(UNSPEC, b'', command=0x20),
    'v2-local-with-block': v2(command=0x20),
    'v2-unspec': v2(UNSPEC, b''),
    'v2-udp': v2(UDP4),
}


def shown(host, port):
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


def environment(text):
    return dict(line.split('=', 1) for line in text.decode().splitlines() if '=' in line)


def first_lines(log):
    """A log without its summary lines, and each line without its first word."""
    return [line.partition('client=')[2] for line in log.splitlines() if ' end=' not in line]


def send_slowly(connection, data):
    """Each byte in a segment of its own."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in data:
        connection.send(bytes([byte]))


def start_proxied(server, ca, header, how='alone'):
    """A TLS client behind a proxy that has sent this header."""
    connection = server.connect()
    client = tls.Client(Given(connection), ca, handshake=False)
    hello = client.hello()
    if how == 'slowly':
        send_slowly(connection, header + hello)
    elif how == 'with the ClientHello':
        connection.sendall(header + hello)
    else:
        connection.sendall(header)
        connection.sendall(hello)
    client.handshake()
    return client


# Immediate TLS

@pytest.mark.parametrize('how', ['alone', 'with the ClientHello', 'slowly'])
@pytest.mark.parametrize('name', WITH_ADDRESSES)
def test_client_of_the_header_is_the_client_in_environment_and_log(serve, pki, name, how):
    header, kind = WITH_ADDRESSES[name]
    client_host, server_host = FAR[kind]
    server = serve(ENV, *TRUSTED, environment={'TCPREMOTEHOST': 'proxy.example.org', 'TCPLOCALHOST': 'here'})
    with start_proxied(server, pki.ca, header, how) as client:
        own = client.socket.getsockname()
        words = environment(client.rest())
    end = server.wait()
    assert words['PROTO'] == 'TCP'
    assert (words['TCPREMOTEIP'], words['TCPREMOTEPORT']) == (client_host, '50122')
    assert (words['REMOTE_ADDR'], words['REMOTE_PORT']) == (client_host, '50122')
    assert (words['TCPLOCALIP'], words['TCPLOCALPORT']) == (server_host, '993')
    # The launcher's names are those of other hosts.
    assert 'TCPREMOTEHOST' not in words and 'TCPLOCALHOST' not in words
    assert end.status == 0
    assert end.summary['client'] == shown(client_host, 50122)
    assert end.summary['server'] == shown(server_host, 993)
    assert end.summary['proxy'] == shown(*own)


@pytest.mark.parametrize('name', WITHOUT_ADDRESSES)
def test_header_without_addresses_leaves_the_connections_own(serve, pki, name):
    server = serve(ENV, *TRUSTED, environment={'TCPREMOTEHOST': 'proxy.example.org'})
    with start_proxied(server, pki.ca, WITHOUT_ADDRESSES[name], 'with the ClientHello') as client:
        own = client.socket.getsockname()
        words = environment(client.rest())
    end = server.wait()
    assert (words['TCPREMOTEIP'], words['TCPREMOTEPORT']) == (own[0], str(own[1]))
    assert words['TCPREMOTEHOST'] == 'proxy.example.org'
    assert end.status == 0
    assert end.summary['client'] == shown(*own)
    assert 'proxy' not in end.summary


def test_client_of_a_proxy_on_a_unix_socket_has_no_address(serve, pki):
    server = serve(ENV, *TRUSTED)
    with start_proxied(server, pki.ca, v2(UNIX, b'/run/client\nforged=1'.ljust(216, b'\0'))) as client:
        words = environment(client.rest())
    assert words['PROTO'] == 'UNIX'
    assert not [word for word in words if word.startswith(('TCP', 'REMOTE'))]
    end = server.wait()
    assert (end.status, end.summary['client'], end.summary['server']) == (0, 'unix', 'unix')
    assert 'forged' not in end.log


# STARTTLS

@pytest.mark.parametrize('policy', ['required', 'auth'])
@pytest.mark.parametrize('slowly', [False, True], ids=['at once', 'slowly'])
def test_plaintext_behind_the_header_is_the_lobbys(serve, pki, tmp_path, policy, slowly):
    """Commands stand in the same segment as the header, and not a byte of them is lost or read too early."""
    recorder = Recorder(tmp_path / 'records', SMTP.service)
    server = serve(recorder.command, SMTP.option, f'--policy={policy}', f'--name={lobby.HOST}', *TRUSTED)
    with Client(server) as client:
        said = V1 + b'NOOP\r\nNOOP\r\nSTARTTLS\r\n'
        if slowly:
            send_slowly(client.socket, said)
        else:
            client.send(said)
        client.expect(SMTP.greets(policy))
        client.expect(SMTP.done)
        client.expect(SMTP.done)
        client.expect(SMTP.go)
        inside = client.handshake(pki.ca)
        inside.ask(SMTP.quit, SMTP.bye)
    end = server.wait()
    assert (end.status, end.summary['client'], end.summary['start']) == (0, '192.0.2.7:50122', 'starttls')
    for run in recorder.runs():
        assert run.environment['TCPREMOTEIP'] == '192.0.2.7'
    assert len(recorder.runs()) == (1 if policy == 'required' else 2)


def test_bytes_behind_starttls_are_an_attack_behind_a_header_too(serve):
    server = serve(['/bin/cat'], SMTP.option, *TRUSTED)
    with Client(server) as client:
        client.send(V1 + b'STARTTLS\r\nMAIL FROM:<x>\r\n')
        client.rest()
    end = server.wait()
    assert 'client=192.0.2.7:50122 plaintext behind STARTTLS' in end.log
    assert end.status == PROTOCOL


# Whom --trusted and the header make of a client

# The value of --trusted, the header, and whether its client may then log in in plaintext.
TRUST = {
    'a client in the network by version 1': ('192.0.2.0/24', V1, True),
    'a client in the network by version 2': ('192.0.2.0/24', v2(), True),
    'a client in the network over IPv6': ('2001:db8::/32', v2(INET6), True),
    'a client elsewhere': ('203.0.113.0/24', V1, False),
    "the proxy's network": ('127.0.0.0/8', V1, False),
    "the server's network": ('198.51.100.0/24', V1, False),
    'both ends the same by the header': ('local', b'PROXY TCP4 192.0.2.7 192.0.2.7 1 2\r\n', False),
    'both ends loopback by the header': ('local', b'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n', False),
    'anybody by UNKNOWN': ('127.0.0.0/8,local', b'PROXY UNKNOWN\r\n', False),
    'the proxy itself by LOCAL': ('127.0.0.0/8,local', v2(UNSPEC, b'', command=0x20), False),
    'a client on a Unix socket': ('0.0.0.0/0,::/0,local', v2(UNIX, b'\0' * 216), False),
}


@pytest.mark.parametrize('name', TRUST)
def test_trusted_networks_are_compared_with_the_headers_client(serve, tmp_path, name):
    trusted, header, may = TRUST[name]
    recorder = Recorder(tmp_path / 'records', IMAP.service)
    server = serve(recorder.command, IMAP.option, f'--name={lobby.HOST}', f'--trusted={trusted}', *TRUSTED)
    with Client(server) as client:
        client.send(header)
        client.up_to(lobby.WELCOME)
        client.ask(f'a LOGIN bob {lobby.PASSWORD}', 'a OK handler did' if may else IMAP.need_tls)
        client.fin()
        client.rest()
    server.wait()
    assert len(recorder.runs()) == may


# What is no header

def guarded(serve, tmp_path, *options, **more):
    """A server whose handler leaves a mark."""
    server = serve(['/bin/sh', '-c', 'echo it ran >"$0"', tmp_path / 'mark'], *options, **more)
    server.mark = tmp_path / 'mark'
    return server


def check_refused(server, ending, status, *words):
    end = server.wait()
    for word in words:
        assert word in end.log, end.log
    assert (end.summary['end'], end.status) == (ending, status), end.log
    assert 'handler' not in end.summary and 'proxy' not in end.summary
    assert not server.mark.exists(), 'the handler ran'
    assert len(first_lines(end.log)) == 1, end.log
    return end


NO_HEADER = {
    'TLS': tls.client_hello(),
    'SMTP': b'EHLO client.example.org\r\n',
    'IMAP': b'a CAPABILITY\r\n',
    'HTTP': b'GET / HTTP/1.1\r\n\r\n',
    'a plaintext protocol': b'hello?\r\n',
}


@pytest.mark.parametrize('starttls', [[], [SMTP.option, '--policy=optional']], ids=['immediate', 'starttls'])
@pytest.mark.parametrize('speaks', NO_HEADER)
def test_client_that_comes_without_a_header_gets_nothing(serve, tmp_path, speaks, starttls):
    server = guarded(serve, tmp_path, *starttls, *TRUSTED)
    with server.connect() as connection:
        connection.sendall(NO_HEADER[speaks])
        assert tls.ended(connection) == b''
    check_refused(server, 'protocol-error', PROTOCOL, f'no PROXY header: client speaks {speaks} at once', 'send-proxy')


# By what the log says of each.
MALFORMED = {
    'a LF without CR': b'PROXY TCP4 192.0.2.7 198.51.100.1 50122 993\n',
    'an address that is not IPv4': b'PROXY TCP4 192.0.2.07 198.51.100.1 50122 993\r\n',
    'a port that is no number': b'PROXY TCP4 192.0.2.7 198.51.100.1 50122 65536\r\n',
    'something behind the ports': b'PROXY TCP4 192.0.2.7 198.51.100.1 50122 993 more\r\n',
    'neither TCP4, TCP6 nor UNKNOWN': b'PROXY TCP9 \x1b[2J\r\n',
    'no CR LF within 107 bytes': b'PROXY ' + b'x' * 200,
    'neither version 1 nor 2': v2(command=0x31),
    'neither LOCAL nor PROXY': v2(command=0x22),
    'does not exist': v2(0x41, b''),
    'too short for its addresses': v2(INET, b'\0' * 11),
    'a TLV that reaches beyond': v2(tlvs=b'\4\0\5abc'),
    'longer than 4096 bytes': v2(tlvs=tlv(4, b'\0' * 5000)),
    'its checksum is wrong': with_checksum(v2(), wrong=1),
}


@pytest.mark.parametrize('why', MALFORMED)
def test_malformed_header_ends_the_connection_with_the_reason(serve, tmp_path, why):
    server = guarded(serve, tmp_path, *TRUSTED)
    with server.connect() as connection:
        connection.sendall(MALFORMED[why] + tls.client_hello())
        assert tls.ended(connection) == b''
    end = check_refused(server, 'protocol-error', PROTOCOL, 'malformed PROXY header: ', why)
    assert '\x1b' not in end.log


@pytest.mark.parametrize('how', ['fin', 'reset'])
@pytest.mark.parametrize('said, words', [
    (b'', 'client left without a word (a port scan or a health check?)'),
    (V1[:20], 'client left in the middle of its PROXY header'),
    (v2()[:20], 'client left in the middle of its PROXY header'),
], ids=['nothing', 'half of version 1', 'half of version 2'])
def test_peer_that_leaves_early_is_no_error(serve, tmp_path, said, words, how):
    server = guarded(serve, tmp_path, *TRUSTED)
    with Client(server) as client:
        client.send(said)
        tls.gate_of(server.process())
        client.is_taken(server)
        if how == 'fin':
            client.fin()
            client.rest()
        else:
            client.reset()
    check_refused(server, 'left', LEFT, words)


def test_peer_that_leaves_early_is_no_error_for_the_quiet(serve, tmp_path):
    server = guarded(serve, tmp_path, '-q', *TRUSTED)
    with Client(server) as client:
        client.fin()
        client.rest()
    end = server.wait()
    assert (end.status, end.log) == (LEFT, '')


@pytest.mark.parametrize('said, words', [(b'', 'no PROXY header in 1 seconds'), (V1[:-1], 'no whole PROXY header in 1'),
                                         (v2()[:-1], 'no whole PROXY header in 1')],
                         ids=['nothing', 'most of version 1', 'most of version 2'])
def test_header_that_does_not_come_ends_with_the_time_out(serve, tmp_path, said, words):
    server = guarded(serve, tmp_path, '--timeout-handshake=1', *TRUSTED)
    with server.connect() as connection:
        connection.sendall(said)
        assert tls.ended(connection) == b''
    check_refused(server, 'timeout-handshake', TIMEOUT, words, '--timeout-handshake')


def test_sigterm_ends_the_wait_for_a_header(serve, tmp_path):
    server = guarded(serve, tmp_path, *TRUSTED)
    with server.connect() as connection:
        tls.gate_of(server.process())
        server.process().terminate()
        assert tls.ended(connection) == b''
    end = server.wait()
    assert (end.summary['end'], end.status) == ('sigterm', TIMEOUT)


@pytest.mark.parametrize('options, words', [([], '--proxy-protocol and --proxy-trusted'),
                                            (TRUSTED, 'a second PROXY header')])
@pytest.mark.parametrize('header', [V1, v2()], ids=['v1', 'v2'])
def test_header_that_nobody_waits_for_is_told(serve, tmp_path, header, options, words):
    server = guarded(serve, tmp_path, *options)
    with server.connect() as connection:
        connection.sendall(header * (2 if options else 1))
        tls.ended(connection)
    end = server.wait()
    assert f'client speaks PROXY, not TLS: {words}' in end.log or f'not TLS: if it is a proxy of yours, give {words}' in end.log
    assert (end.summary['end'], end.status) == ('handshake-failed', REFUSED)


# Who may send one

@pytest.mark.parametrize('trusted', ['192.0.2.0/24', '127.0.0.2', '::/0', 'unix', '192.0.2.7,2001:db8::/32'])
def test_header_of_a_stranger_is_not_even_read(serve, tmp_path, trusted):
    server = guarded(serve, tmp_path, '--proxy-protocol', f'--proxy-trusted={trusted}')
    with server.connect() as connection:
        connection.sendall(V1 + tls.client_hello())
        own = connection.getsockname()
        assert tls.ended(connection) == b''
    end = check_refused(server, 'protocol-error', PROTOCOL, f'PROXY headers are taken from --proxy-trusted={trusted} only')
    assert end.summary['client'] == shown(*own)


@pytest.mark.parametrize('trusted', ['127.0.0.0/8', 'local', '192.0.2.1,127.0.0.1/32', '0.0.0.0/0'])
def test_header_of_a_listed_proxy_is_taken(serve, pki, trusted):
    server = serve(ENV, '--proxy-protocol', f'--proxy-trusted={trusted}')
    with start_proxied(server, pki.ca, V1) as client:
        assert environment(client.rest())['TCPREMOTEIP'] == '192.0.2.7'
    assert server.wait().status == 0


@pytest.mark.parametrize('kind', ['unix', 'pipe'])
@pytest.mark.parametrize('trusted, may', [('unix', True), ('127.0.0.1,unix', True), ('0.0.0.0/0,::/0,local', False)])
def test_proxy_without_an_address_needs_the_word_unix(serve, pki, tmp_path, kind, trusted, may):
    how = {'unix': {'family': 'unix'}, 'pipe': {'launcher': OnPipes}}[kind]
    server = serve(ENV, '--proxy-protocol', f'--proxy-trusted={trusted}', **how)
    if may:
        with start_proxied(server, pki.ca, V1, 'with the ClientHello') as client:
            assert environment(client.rest())['TCPREMOTEIP'] == '192.0.2.7'
        end = server.wait()
        assert (end.status, end.summary['client'], end.summary['proxy']) == (0, '192.0.2.7:50122', kind)
        return
    connection = server.connect()
    assert connection.recv(1) == b''
    connection.close()
    end = server.wait()
    assert (end.status, end.summary['client']) == (PROTOCOL, kind)


@pytest.mark.parametrize('options, words', [
    (['--proxy-protocol'], '--proxy-protocol: say by --proxy-trusted=CIDR,... who your proxies are'),
    (['--proxy-trusted=127.0.0.1'], '--proxy-trusted says who may send a PROXY header: it goes with --proxy-protocol'),
    (['--proxy-protocol', '--proxy-trusted=haproxy'], '--proxy-trusted: haproxy: wants networks such as'),
    (['--proxy-protocol', '--proxy-trusted='], '--proxy-trusted=: wants networks such as'),
    (['--trusted=unix', '--starttls=imap'], '--trusted: unix: wants networks such as'),
    (['--proxy-out=v3'], '--proxy-out=v3: wants v1, v2 or off'),
    (['--ucspi-tls', *TRUSTED], 'leave --proxy-protocol out'),
    (['--ucspi-tls', '--proxy-out=v1'], 'leave --proxy-out out'),
])
def test_options_that_do_not_go_together_are_told(postern, pki, options, words):
    run = subprocess.run([postern, *pki.ecdsa.options(), *options, '--', 'cat'], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, check=False)
    assert (run.returncode, words in run.stderr, run.stderr.count('\n')) == (USAGE, True, 1), run.stderr


def test_check_tells_who_may_send_a_header(postern, pki):
    run = subprocess.run([postern, '--check', *pki.ecdsa.options(), *TRUSTED, '--proxy-out=v2', '--', '/bin/cat'],
                         capture_output=True, text=True, check=False)
    assert 'a PROXY header comes first; connections from 127.0.0.1 only' in run.stdout
    assert "the handler's input begins with a PROXY header, version 2" in run.stdout


# Headers for the handler

# It takes a header from its input, strictly, puts what it has learnt into a file, and then is a small server.
READER = r'''
import json, os, socket, struct, sys
def take(length):
    data = b''
    while len(data) < length:
        more = os.read(0, length - len(data))
        assert more, 'the end came within the header'
        data += more
    return data
start = take(6)
if start == b'PROXY ':
    line = start
    while not line.endswith(b'\r\n'):
        assert len(line) < 107
        line += take(1)
    words = line[:-2].decode('ascii').split(' ')
    if words[1:] == ['UNKNOWN']:
        known = {'version': 1}
    else:
        family = {'TCP4': socket.AF_INET, 'TCP6': socket.AF_INET6}[words[1]]
        for host in words[2:4]:
            assert socket.inet_ntop(family, socket.inet_pton(family, host)) == host
        assert len(words) == 6 and all(str(int(port)) == port for port in words[4:])
        known = {'version': 1, 'client': [words[2], int(words[4])], 'server': [words[3], int(words[5])]}
else:
    head = start + take(10)
    assert head[:13] == b'\r\n\r\n\0\r\nQUIT\n\x21', head
    block = take(struct.unpack('>H', head[14:])[0])
    known = {'version': 2}
    size = {0: 0, 0x11: 4, 0x21: 16}[head[13]]
    if size:
        family = socket.AF_INET if size == 4 else socket.AF_INET6
        client, server = struct.unpack('>HH', block[2 * size:2 * size + 4])
        known['client'] = [socket.inet_ntop(family, block[:size]), client]
        known['server'] = [socket.inet_ntop(family, block[size:2 * size]), server]
        size = 2 * size + 4
    rest = block[size:]
    while rest:
        kind, length = rest[0], struct.unpack('>H', rest[1:3])[0]
        value, rest = rest[3:3 + length], rest[3 + length:]
        assert len(value) == length
        if kind == 2:
            known['authority'] = value.decode()
        if kind == 0x20:
            assert struct.unpack('>BI', value[:5]) == (1, 1) and value[5] == 0x21
            assert len(value) == 8 + struct.unpack('>H', value[6:8])[0]
            known['tls'] = value[8:].decode()
name = '%s/%s' % (sys.argv[1], 'tls' if 'SSL_PROTOCOL' in os.environ else 'plain')
with open(name + '.new', 'w') as file:
    json.dump(known, file)
os.rename(name + '.new', name)
os.write(1, b'* OK ready\r\n')
line = b''
while byte := os.read(0, 1):
    line += byte
    if byte == b'\n':
        os.write(1, line.split()[0] + b' OK did\r\n')
        line = b''
'''


@pytest.fixture
def reader(tmp_path):
    folder = tmp_path / 'read'
    folder.mkdir()
    return lobby.python(READER, folder), lambda name: json.loads((folder / name).read_text())


@pytest.mark.parametrize('stdio', ['pipe', 'socket'])
@pytest.mark.parametrize('version', [1, 2])
def test_handler_gets_a_header_before_the_clients_first_byte(serve, pki, reader, version, stdio):
    command, learnt = reader
    server = serve(command, f'--proxy-out=v{version}', f'--stdio={stdio}')
    with tls.Client(server, pki.ca) as client:
        own = client.socket.getsockname()
        client.send(b'a NOOP\r\n')
        assert client.take(22) == b'* OK ready\r\na OK did\r\n'
        client.close_notify()
        client.ends_in_order()
    end = server.wait()
    wanted = {'version': version, 'client': [*own], 'server': [server.host, server.port]}
    assert learnt('tls') == (wanted if version == 1 else wanted | {'authority': 'localhost', 'tls': 'TLSv1.3'})
    # The header is not the client's.
    assert (end.status, end.summary['in'], end.summary['out']) == (0, '8', '22')


@pytest.mark.parametrize('policy', ['required', 'auth', 'optional'])
def test_each_handler_of_starttls_gets_a_header_of_its_own(serve, pki, reader, policy):
    command, learnt = reader
    server = serve(command, '--proxy-out=v2', IMAP.option, f'--policy={policy}', *TRUSTED)
    with Client(server) as client:
        client.send(v2(INET6))
        client.up_to(lobby.WELCOME)
        inside = client.start_tls(IMAP, pki.ca)
        inside.ask('b NOOP', 'b OK did')
        inside.tls.close_notify()
        inside.rest()
    assert server.wait().status == 0
    wanted = {'version': 2, 'client': ['2001:db8::7', 50122], 'server': ['2001:db8::1', 993]}
    assert learnt('tls') == wanted | {'authority': 'localhost', 'tls': 'TLSv1.3'}
    if policy != 'required':
        assert learnt('plain') == wanted


def test_handler_in_plaintext_for_good_keeps_its_header(serve, reader):
    command, learnt = reader
    server = serve(command, '--proxy-out=v1', IMAP.option, '--policy=optional', *TRUSTED)
    with Client(server) as client:
        client.send(V1)
        client.up_to(lobby.WELCOME)
        client.ask(f'a LOGIN bob {lobby.PASSWORD}', 'a OK did')
        client.fin()
        client.rest()
    assert server.wait().status == 0
    assert learnt('plain') == {'version': 1, 'client': ['192.0.2.7', 50122], 'server': ['198.51.100.1', 993]}


def test_handler_that_reads_nothing_is_served_all_the_same(serve, pki):
    server = serve(['/bin/sh', '-c', 'exec <&-; echo hello'], '--proxy-out=v2')
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'hello\n'
    end = server.wait()
    assert (end.status, len(first_lines(end.log))) == (0, 0), end.log


@pytest.mark.parametrize('version', [1, 2])
def test_handler_behind_a_unix_socket_is_told_of_no_address(serve, pki, reader, version):
    command, learnt = reader
    server = serve(command, f'--proxy-out=v{version}', family='unix')
    with tls.Client(server, pki.ca) as client:
        assert client.take(12) == b'* OK ready\r\n'
        client.close_notify()
    assert server.wait().status == 0
    known = learnt('tls')
    assert known['version'] == version and 'client' not in known


# Real HAProxy

HAPROXY = '''
global
    nbthread 1
    ca-base {folder}
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
    timeout check 5s
frontend in
    bind fd@{fd} {bind}
    default_backend out
backend out
    server postern {host}:{port} {words}
'''


class Haproxy:
    """HAProxy in front of a server: connect() gives a connection to it from another address than its own."""

    ADDRESS = '127.0.0.9'

    def __init__(self, server, folder, words, bind=''):
        self.server = server
        self.folder = folder
        self.words = words
        self.bind = bind

    def __enter__(self):
        with ports.listen() as listener:
            self.host, self.port = listener.getsockname()
            conf = self.folder / 'haproxy.conf'
            conf.write_text(HAPROXY.format(fd=listener.fileno(), host=self.server.host, port=self.server.port,
                                           bind=self.bind, words=self.words, folder=self.folder), 'ascii')
            self.log = self.folder / 'haproxy.log'
            with open(self.log, 'wb') as log:
                self.process = subprocess.Popen(
                    debian.outside('usr/sbin/haproxy', '-db', '-f', conf), pass_fds=[listener.fileno()],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        processes.stop(self.process)

    def connect(self, timeout=lobby.TIMEOUT):
        assert self.process.poll() is None, self.log.read_text()
        return socket.create_connection((self.host, self.port), timeout, (self.ADDRESS, 0))


def check_proxied(end, client, proxy):
    """This connection came through HAProxy."""
    host, port = client
    assert end.summary['client'] == shown(host, port)
    assert end.summary['server'] == shown(proxy.host, proxy.port)
    assert end.summary['proxy'].startswith('127.0.0.1:')


SENDS = {
    'send-proxy': 'send-proxy',
    'send-proxy-v2': 'send-proxy-v2',
    'v2-with-checksum': 'send-proxy-v2 proxy-v2-options crc32c,authority',
}


@pytest.mark.parametrize('how', SENDS)
def test_haproxy_hands_on_immediate_tls(serve, pki, tmp_path, how):
    server = serve(ENV, *TRUSTED)
    with Haproxy(server, tmp_path, SENDS[how]) as proxy:
        with tls.Client(proxy, pki.ca) as client:
            own = client.socket.getsockname()
            words = environment(client.rest())
    end = server.wait()
    assert (words['TCPREMOTEIP'], words['TCPREMOTEPORT']) == (own[0], str(own[1]))
    assert end.status == 0
    check_proxied(end, own, proxy)


@pytest.mark.parametrize('how', SENDS)
def test_haproxy_hands_on_starttls(serve, pki, tmp_path, how):
    recorder = Recorder(tmp_path / 'records', SMTP.service)
    server = serve(recorder.command, SMTP.option, '--policy=auth', *TRUSTED)
    with Haproxy(server, tmp_path, SENDS[how]) as proxy:
        with Client(proxy, SMTP.auth_hello) as client:
            own = client.socket.getsockname()
            client.ask('EHLO me', r'250-.+\r\n250-.+\r\n250-.+\r\n250 STARTTLS')
            inside = client.start_tls(SMTP, pki.ca)
            inside.ask(SMTP.quit, SMTP.bye)
    end = server.wait()
    assert end.status == 0
    check_proxied(end, own, proxy)
    assert [run.environment['TCPREMOTEIP'] for run in recorder.runs()] == [own[0]] * 2


@pytest.mark.parametrize('how', ['send-proxy-v2-ssl', 'send-proxy-v2-ssl-cn',
                                 'send-proxy-v2 proxy-v2-options ssl,ssl-cipher,cert-cn,cert-sig,cert-key,authority,crc32c'])
def test_haproxy_that_ends_tls_and_begins_it_anew_tells_in_tlvs_of_the_first(serve, pki, tmp_path, how):
    server = serve(ENV, *TRUSTED)
    both = tmp_path / 'both.pem'
    both.write_bytes(pki.ecdsa.cert.read_bytes() + pki.ecdsa.key.read_bytes())
    words = f'ssl verify required ca-file {pki.ca} sni str(localhost) {how}'
    with Haproxy(server, tmp_path, words, f'ssl crt {both}') as proxy:
        with tls.Client(proxy, pki.ca) as client:
            own = client.socket.getsockname()
            assert environment(client.rest())['TCPREMOTEIP'] == own[0]
    end = server.wait()
    assert end.status == 0
    check_proxied(end, own, proxy)


@pytest.mark.parametrize('dialect', [[], [SMTP.option]], ids=['immediate', 'starttls'])
@pytest.mark.parametrize('how', ['send-proxy', 'send-proxy-v2'])
def test_health_checks_of_haproxy_are_no_errors(serve, tmp_path, how, dialect):
    server = guarded(serve, tmp_path, *dialect, *TRUSTED)
    with Haproxy(server, tmp_path, f'check inter 100ms check-send-proxy {how}') as proxy:
        server.summary(3)
        assert 'DOWN' not in proxy.log.read_text()
    number = len(server.started)
    for _ in range(number):
        end = server.wait()
        assert (end.summary['end'], end.status) == ('left', LEFT), end.log
        assert all('client left' in line for line in first_lines(end.log)), end.log
    assert number >= 3 and not server.mark.exists()


def test_haproxy_that_sends_no_header_is_told_what_to_do(serve, pki, tmp_path):
    server = guarded(serve, tmp_path, *TRUSTED)
    with Haproxy(server, tmp_path, '') as proxy:
        with proxy.connect() as connection:
            connection.sendall(tls.client_hello())
            assert tls.ended(connection) == b''
    check_refused(server, 'protocol-error', PROTOCOL, 'no PROXY header: client speaks TLS at once', 'send-proxy-v2')


# Real Dovecot, which reads the header on a TCP port

DOVECOT = '''
base_dir = {inside}/run
log_path = {inside}/log
protocols = imap
ssl = no
disable_plaintext_auth = yes
haproxy_trusted_networks = 127.0.0.0/8
mail_location = maildir:~/Maildir
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
    haproxy = yes
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = passwd
}}
'''


@contextmanager
def dovecot(pair):
    """An IMAP server on a port of its own: the port, a user, and what it has logged."""
    with daemons.mail_user() as user, daemons.folder_inside() as (outside, inside):
        port = ports.free_port()
        conf = DOVECOT.format(inside=inside, port=port, password=daemons.PASSWORD)
        if daemons.dovecot_version() >= (2, 4):     # with `ssl = no` it takes all for secure
            conf = conf.replace('ssl = no', f'ssl = required\nssl_server_cert_file = {inside}/cert\nssl_server_key_file = {inside}/key')
        for name, source in (('cert', pair.cert), ('key', pair.key)):
            (outside / name).write_bytes(source.read_bytes())
        (outside / 'conf').write_text(daemons.dovecot_words(conf), 'ascii')

        def listens():
            with socket.socket() as trial:
                return trial.connect_ex(('127.0.0.1', port)) == 0
        with daemons.running(debian.inside('/usr/sbin/dovecot', '-F', '-c', f'{inside}/conf'), listens):
            yield port, user, lambda: (outside / 'log').read_text('utf-8', 'replace')


@pytest.mark.parametrize('version', ['v1', 'v2'])
def test_dovecot_knows_the_client_and_in_version_2_its_tls(serve, pki, version):
    """Dovecot takes passwords inside TLS only, and believes what a trusted proxy says of that."""
    with dovecot(pki.ecdsa) as (port, user, log):
        # From another address than Dovecot's own.
        server = serve(['socat', 'STDIO', f'TCP4:127.0.0.1:{port},bind=127.0.0.2'], f'--proxy-out={version}', *TRUSTED)
        with server.connect() as connection:
            connection.sendall(V1)
            inside = lobby.Inside(connection, pki.ca)
            inside.up_to(lobby.WELCOME)
            if version == 'v1':
                inside.send(f'a LOGIN {user.name} {daemons.PASSWORD}')
                inside.up_to('a NO .+')
            else:
                inside.send(f'a LOGIN {user.name} {daemons.PASSWORD}')
                inside.up_to('a OK .+')
            inside.send('b LOGOUT')
            inside.up_to('b OK .+')
            inside.tls.close_notify()
            inside.rest()
        assert server.wait().status == 0
        said = processes.until(lambda: 'rip=192.0.2.7' in log() and log(), 'the line in the log of Dovecot')
    assert 'rip=192.0.2.7, lip=198.51.100.1' in said
