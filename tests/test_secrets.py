# SPDX-License-Identifier: GPL-2.0-or-later
"""The private key is nowhere in the gate, nor in the monitor once the handler runs; and the handler gets what is its own.

A key is looked for in every form in which a library may keep a number: big-endian, little-endian, and limbs of several
sizes in either order. The scan is proved on processes that do hold the key: the monitor before the handshake is done,
openssl s_server, and this very test program.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import pytest

from harness import clients, launch, pki as pki_module, processes, resume, tls, wait
from harness.lobby import WAYS, Client

KINDS = ['ecdsa', 'rsa', 'ed25519']
VERSIONS = ['1.2', '1.3']
PIECE = 16
PUBLIC = {'pub', 'modulus'}

pytestmark = [pytest.mark.skipif(os.getuid() != 0, reason='reading the memory of others needs root'),
              pytest.mark.not_sanitized('a sanitizer keeps copies of memory')]


# What to look for

def numbers_of(key):
    """The secret numbers in a key file, by name, as openssl prints them: lines of hexadecimal bytes."""
    text = pki_module.openssl('pkey', '-in', key, '-noout', '-text').stdout.decode()
    blocks = re.findall(r'^(\w+):\n((?:    .*\n)+)', text, re.MULTILINE)
    return {name: bytes.fromhex(re.sub(r'[^0-9a-f]', '', digits)).lstrip(b'\0') for name, digits in blocks
            if name not in PUBLIC}


def limbs(number, bits, width):
    """A number as limbs of so many bits, the lowest first, each in a little-endian word of so many bytes."""
    value, words = int.from_bytes(number, 'big'), []
    while value:
        words.append((value & ((1 << bits) - 1)).to_bytes(width, 'little'))
        value >>= bits
    return words


def forms(number):
    """Every form of a number in memory: as one string of bytes that may stand anywhere, or as limbs."""
    yield number
    yield number[::-1]
    for bits, width in ((64, 8), (32, 4)):
        words = limbs(number, bits, width)
        yield b''.join(reversed(words))                     # words in network order, bytes in the machine's
        yield b''.join(word[::-1] for word in words)        # the other way round
    for bits, width in ((61, 8), (60, 8), (57, 8), (56, 8), (52, 8), (51, 8), (28, 4), (26, 4)):
        yield b''.join(limbs(number, bits, width))


@dataclass
class Secret:
    """What betrays a secret: `parts` of it anywhere, or one of its `words` of 8 bytes at an address divisible by 8."""
    parts: set
    words: set


def parts_of(data):
    """Some parts of it that are long enough to be no accident."""
    step = max(PIECE, len(data) // 5)
    return {data[at:at + PIECE] for at in range(0, len(data) - PIECE + 1, step)}


def words_of(data):
    """Its words, wherever in it an address divisible by 8 may be, without those that may stand for a small number."""
    values = {int.from_bytes(data[at:at + 8], sys.byteorder) for at in range(0, len(data) - 7, 4)}
    return {value for value in values if value > 1 << 40 and value & ((1 << 40) - 1)}


def secrets_of(key):
    """Name → what would betray a key file's secret."""
    found = {}
    for name, number in numbers_of(key).items():
        assert len(number) >= 24, name
        every = list(forms(number))
        found[name] = Secret(parts_of(every[0]) | parts_of(every[1]), set().union(*map(words_of, every)))
    lines = re.search(r'-----BEGIN [A-Z ]*PRIVATE KEY-----\n(.*?)-----END', key.read_text(), re.DOTALL)[1].split()
    # The first bytes tell no more than the kind of key.
    found['PEM text'] = Secret(parts_of(''.join(lines)[32:].encode()), set())
    return found


# Where to look

def memory(pid):
    """All of a process's memory that can be read, mapping by mapping."""
    with open(f'/proc/{pid}/maps', encoding='utf-8') as maps, open(f'/proc/{pid}/mem', 'rb', buffering=0) as mem:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(number, 16) for number in span.split('-'))
            if 'r' not in rights or line.rstrip().endswith(('[vvar]', '[vsyscall]', '[vvar_vclock]')):
                continue
            mem.seek(start)
            try:
                yield line.rstrip(), mem.read(end - start)
            except OSError:
                pass    # the end of a file that is shorter than its mapping


def betrayed(content, secrets):
    """The names of the secrets that these bytes betray."""
    words = set(memoryview(content).cast('Q'))
    return {name for name, secret in secrets.items()
            if secret.words & words or any(part in content for part in secret.parts)}


def found_in(pid, secrets):
    """The names of the secrets that are in a process's memory, with the mapping they are in."""
    found, places, size = {}, [], 0
    for place, content in memory(pid):
        size += len(content)
        places.append(place)
        found.update({name: place for name in betrayed(content, secrets)})
    # A static postern is all that there is, and is small.
    assert size > 500000 and any(place.endswith('[stack]') for place in places), 'the memory can be read'
    return found


@pytest.mark.parametrize('kind', KINDS)
def test_scan_knows_a_key_in_each_of_its_forms_and_even_a_part_of_it(pki, kind):
    key = pki.pair(kind).key
    secrets = secrets_of(key)
    for name, number in numbers_of(key).items():
        for form in forms(number):
            for content in (form, form[:16], form[16:32]):
                assert betrayed(bytes(800) + content + bytes(800 - len(content) % 8), secrets) == {name}
    assert betrayed(b'x' + key.read_bytes() + bytes(800 - 1 - len(key.read_bytes()) % 8), secrets) == {'PEM text'}
    assert betrayed(pki.pair(kind).cert.read_bytes()[:600], secrets) == set()


def test_scan_finds_a_key_in_a_process_that_holds_its_file(pki):
    key = pki.ecdsa.key
    script = 'import sys\nheld = open(sys.argv[1]).read()\nprint("ready", flush=True)\nsys.stdin.read()'
    holder = subprocess.Popen([sys.executable, '-I', '-S', '-c', script, key], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        holder.stdout.readline()
        assert set(found_in(holder.pid, secrets_of(key))) == {'PEM text'}


@pytest.mark.parametrize('kind', KINDS)
def test_scan_finds_the_key_in_openssl_s_server(pki, kind):
    pair = pki.pair(kind)
    server = subprocess.Popen(['openssl', 's_server', '-accept', '127.0.0.1:0', '-cert', pair.cert, '-key', pair.key],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        while not server.stdout.readline().startswith(b'ACCEPT'):
            pass
        names = set(found_in(server.pid, secrets_of(pair.key)))
        assert names - {'PEM text'} == set(numbers_of(pair.key))
    finally:
        processes.stop(server)
        server.stdout.close()


@pytest.mark.parametrize('kind', KINDS)
def test_scan_finds_the_key_in_the_monitor_before_the_handshake_is_done_but_not_in_the_gate(serve, pki, kind):
    server = serve(['/bin/cat'], pair=kind)
    secrets = secrets_of(pki.pair(kind).key)
    with tls.Client(server, pki.ca, handshake=False) as client:
        gate = tls.gate_of(server.process())
        assert set(found_in(server.process().pid, secrets)) >= set(numbers_of(pki.pair(kind).key))
        assert found_in(gate, secrets) == {}
        client.fin()
    server.wait()


# During a session

@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('kind, jail', [
    ('ecdsa', 'on'), ('ecdsa', 'off'), ('rsa', 'on'), ('ed25519', 'on'), ('combined', 'on')])
def test_during_a_session_the_key_is_neither_in_the_gate_nor_in_the_monitor(serve, pki, kind, version, jail):
    pair = pki.pair(kind)
    server = serve(['/bin/cat'], f'--jail={jail}', pair=kind)
    secrets = secrets_of(pair.key or pair.cert)
    with tls.Client(server, pki.ca, version) as client:
        client.send(b'hello')
        client.take(5)
        monitor = server.process().pid
        gate, = (child.pid for child in tls.children(monitor) if child.name == 'postern')
        assert found_in(gate, secrets) == {}
        assert found_in(monitor, secrets) == {}
        client.close_notify()
        client.ends_in_order()
    assert server.wait().status == 0


@pytest.mark.parametrize('version', VERSIONS)
def test_of_two_certificates_neither_key_is_left(serve, pki, version):
    server = serve(['/bin/cat'], *pki.rsa.options(), pair='ecdsa')
    with tls.Client(server, pki.ca, version) as client:
        client.send(b'hello')
        client.take(5)
        for pid in (server.process().pid, tls.gate_of(server.process())):
            for kind in ('rsa', 'ecdsa'):
                assert found_in(pid, secrets_of(pki.pair(kind).key)) == {}
        client.close_notify()
        client.ends_in_order()
    assert server.wait().status == 0


def ticket_secrets(file):
    """What would betray a file of ticket keys: the keys themselves, and the file's text. AES begins with the key's words."""
    found = {}
    for number, text in enumerate(re.findall(r'^\S+Z ([0-9a-f]{64})$', file.read_text(), re.MULTILINE)):
        every = list(forms(bytes.fromhex(text)))
        found[f'ticket key {number}'] = Secret(parts_of(every[0]) | parts_of(every[1]), set().union(*map(words_of, every)))
        found[f'text {number}'] = Secret(parts_of(text.encode()), set())
    return found


@pytest.fixture
def tickets(postern, tmp_path):
    for _ in range(2):
        resume.new_key(postern, tmp_path / 'tickets')
    return tmp_path / 'tickets'


def test_scan_finds_ticket_keys_in_the_monitor_before_the_handshake_is_done_but_not_in_the_gate(serve, pki, tickets):
    server = serve(['/bin/cat'], f'--tickets={tickets}')
    secrets = ticket_secrets(tickets)
    assert len(secrets) == 4
    with tls.Client(server, pki.ca, handshake=False) as client:
        gate = tls.gate_of(server.process())
        processes.until(lambda: set(found_in(server.process().pid, secrets)) == {'ticket key 0', 'ticket key 1'},
                        'the ticket keys, without the text that they were read from')
        assert found_in(gate, secrets) == {}
        client.fin()
    server.wait()


@pytest.mark.parametrize('version', VERSIONS)
def test_during_a_session_ticket_keys_are_neither_in_the_gate_nor_in_the_monitor(serve, pki, tickets, version):
    """One has been used to seal a ticket, and to open it again."""
    server = serve(['/bin/cat'], f'--tickets={tickets}')
    secrets = ticket_secrets(tickets)
    context, session = clients.context(pki.ca, version), None
    for number, resumed in enumerate((False, True)):
        with context.wrap_socket(server.connect(), server_hostname='localhost', session=session) as connection:
            connection.sendall(b'hello')
            assert connection.recv(5) == b'hello'
            session = connection.session
            assert connection.session_reused == resumed
            process = server.process(number)
            assert found_in(tls.gate_of(process), secrets) == {}
            assert found_in(process.pid, secrets) == {}
    for _ in range(2):
        server.wait()


def locked_in(pid):
    """Wait until a process has laid down all that it may."""
    processes.until(lambda: tls.jailed(pid), 'the filter of system calls')


@pytest.mark.parametrize('way, kind', [('by MAIL under auth', 'ecdsa'), ('by LOGIN of a trusted client', 'rsa')])
def test_when_a_session_goes_on_in_plaintext_the_keys_are_no_more_in_the_monitor(go_on, pki, tickets, way, kind):
    secrets = {**secrets_of(pki.pair(kind).key), **ticket_secrets(tickets)}
    held = {*numbers_of(pki.pair(kind).key), 'ticket key 0', 'ticket key 1'}

    def before(server):
        assert set(found_in(server.process().pid, secrets)) >= held
        assert mappings_with(server.process().pid, 'dc')
    server, client = go_on(way, 'exec cat', f'--tickets={tickets}', pair=kind, before=before)
    monitor = server.process().pid
    locked_in(monitor)
    assert found_in(monitor, secrets) == {}
    assert not mappings_with(monitor, 'dc')
    client.fin()
    assert client.rest() == b''
    assert server.wait().summary['start'] == 'plaintext'


def test_when_a_ucspi_handler_will_never_ask_for_tls_the_key_is_no_more_in_the_monitor_which_is_locked_in(serve, pki):
    """It has closed SSLCTLFD."""
    server = serve(['/bin/sh', '-c', 'read -r line; eval "exec $SSLCTLFD>&-"; echo closed; exec cat'], '--ucspi-tls',
                   '--timeout-session=1', '--timeout-grace=1')
    secrets = secrets_of(pki.ecdsa.key)
    with Client(server) as client:
        tls.handler_of(server.process())
        assert found_in(server.process().pid, secrets)
        client.send('hello')
        assert client.take(7) == b'closed\n'
        locked_in(server.process().pid)
        assert found_in(server.process().pid, secrets) == {}
        client.send('still here')
        client.hears(b'still here')
        client.fin()
        assert client.rest() == b''
    end = server.wait()
    assert (end.status, end.summary['start'], end.summary['end']) == (0, 'ucspi-tls', 'handler-close')


def test_in_wait_mode_the_key_is_in_no_monitor_of_a_session_that_goes_on_in_plaintext(serve, pki):
    way = WAYS['by LOGIN under optional']
    server = serve(way.handler('exec cat'), way.dialect.option, *way.options, launcher=wait.Waiting).is_ready()
    secrets = secrets_of(pki.ecdsa.key)
    with Client(server, re.escape(way.greeting)) as client:
        way.leave(client)
        [monitor] = server.has_monitors(1)
        locked_in(monitor)
        assert found_in(monitor, secrets) == {}
    server.has_monitors(0)


def test_the_mapping_with_the_keys_is_not_inherited_by_the_gate(serve):
    """It is left out of forks and core dumps, and locked if the limit allows."""
    server = serve(['/bin/cat'])
    with server.connect() as connection:
        monitor = server.process().pid
        gate = tls.gate_of(server.process())
        assert mappings_with(monitor, 'dc') and not mappings_with(gate, 'dc')
        assert mappings_with(monitor, 'dd') == mappings_with(monitor, 'dc')
        connection.shutdown(1)
        tls.ended(connection)
    server.wait()


def spans_with(pid, secrets):
    """Every mapping of a process that betrays one of the secrets, by its addresses."""
    return {place.split()[0] for place, content in memory(pid) if betrayed(content, secrets)}


def lendable(pid):
    """The listener's mappings that no core dump holds and that its monitors get a copy of."""
    return set(mappings_with(pid, 'dd')) - set(mappings_with(pid, 'dc'))


@pytest.mark.parametrize('kind', KINDS)
def test_in_wait_mode_the_key_is_in_no_gate_in_no_monitor_that_has_signed_and_once_in_the_listener(serve, pki, kind):
    """The listener decodes no key: it has the bytes of the file in the one mapping that gates are not given."""
    server = serve(['/bin/cat'], pair=kind, launcher=wait.Waiting).is_ready()
    secrets = secrets_of(pki.pair(kind).key)
    with tls.Client(server, pki.ca, handshake=False) as client:
        [monitor] = server.has_monitors(1)
        gate = tls.gate_of(Child(monitor))
        assert mappings_with(monitor, 'dc') and not set(mappings_with(gate, 'dc')) & set(mappings_with(monitor, 'dc'))
        client.handshake()
        client.send(b'hello')
        client.take(5)
        assert found_in(gate, secrets) == {}
        assert found_in(monitor, secrets) == {}
        client.close_notify()
        client.ends_in_order()
    server.has_monitors(0)
    vault = spans_with(server.pid, secrets)
    assert len(vault) == 1 and vault <= lendable(server.pid)


@pytest.mark.parametrize('version', VERSIONS)
def test_in_wait_mode_ticket_keys_are_in_no_gate_in_no_monitor_and_once_in_the_listener(serve, pki, tickets, version):
    server = serve(['/bin/cat'], f'--tickets={tickets}', launcher=wait.Waiting).is_ready()
    secrets = ticket_secrets(tickets)
    context, session = clients.context(pki.ca, version), None
    for resumed in (False, True):
        with context.wrap_socket(server.connect(), server_hostname='localhost', session=session) as connection:
            connection.sendall(b'hello')
            assert connection.recv(5) == b'hello'
            session = connection.session
            assert connection.session_reused == resumed
            [monitor] = server.has_monitors(1)
            assert found_in(tls.gate_of(Child(monitor)), secrets) == {}
            assert found_in(monitor, secrets) == {}
        server.has_monitors(0)
    vault = spans_with(server.pid, secrets)
    assert len(vault) == 1 and vault <= lendable(server.pid)


@dataclass
class Child:
    """A process by its number, as Popen has it."""
    pid: int


def mappings_with(pid, flag):
    """The start of each mapping that has this flag in VmFlags (proc(5)): dc is MADV_DONTFORK, dd MADV_DONTDUMP. One with
    dp is the C library's, from which the kernel makes random numbers."""
    found, span = [], None
    with open(f'/proc/{pid}/smaps', encoding='utf-8') as file:
        for line in file:
            if re.match(r'[0-9a-f]+-', line):
                span, name = line.split()[0], line.split()[5:]
            elif line.startswith('VmFlags:') and flag in line.split() and 'dp' not in line.split() and not name:
                found.append(span)
    return found


# What the handler gets

FORGED = {
    'SSL_PROTOCOL': 'TLSv9', 'SSL_CLIENT_VERIFY': 'SUCCESS', 'SSL_CLIENT_S_DN_CN': 'root', 'SSL_ANYTHING': 'forged',
    'SSL_CLIENT_CERT': 'forged', 'TLS_LEVEL': 'forged', 'TLSVERSION': 'forged', 'TCPREMOTEIP': '192.0.2.66',
    'TCPREMOTEINFO': 'forged', 'TCPANYTHING': 'forged', 'POSTERN_TLS_EXPORTER': 'Zm9yZ2Vk',
    'POSTERN_ANYTHING': 'forged', 'REMOTE_ADDR': '192.0.2.66', 'REMOTE_HOST': 'forged', 'REMOTE_USER': 'root',
    'PROTO': 'SSL', 'UCSPITLS': '1', 'SSLCTLFD': '5', 'SSLREADFD': '6', 'SSLWRITEFD': '7',
}
OWN = {'USER': 'mail', 'HOME': '/var/mail', 'SSLISH': 'kept', 'XSSL_PROTOCOL': 'kept', 'EMPTY': ''}


def settled(server, client):
    """The process id of a handler that echoes, once it has done all that it does at its start."""
    client.send(b'hello')
    assert client.take(5) == b'hello'
    return tls.handler_of(server.process())


def environment_of(pid):
    with open(f'/proc/{pid}/environ', 'rb') as file:
        words = file.read().decode().split('\0')[:-1]
    return words, dict(word.partition('=')[::2] for word in words)


def test_gate_keeps_nothing_of_the_handlers_environment(serve, pki):
    secret = os.urandom(20).hex()
    server = serve(['/bin/cat'], environment={'PASSWORD': secret})
    with tls.Client(server, pki.ca) as client:
        handler, monitor = settled(server, client), server.process()
        assert f'PASSWORD={secret}' in environment_of(handler)[0]
        found = {pid: [place for place, content in memory(pid) if secret.encode() in content]
                 for pid in (monitor.pid, tls.gate_of(monitor))}
        assert found[monitor.pid], 'the scan finds it where it is'
        assert found[tls.gate_of(monitor)] == []
        assert not any(environment_of(tls.gate_of(monitor))[0])
        client.close_notify()
        client.ends_in_order()


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('start', ['stdio', 'systemd'])
def test_handlers_environment_tells_of_this_connection_and_carries_nothing_forged(serve, pki, version, start):
    server = serve(['/bin/cat'], start=start, environment={**FORGED, **OWN})
    with tls.Client(server, pki.ca, version) as client:
        words, environment = environment_of(settled(server, client))
        host, port = client.socket.getsockname()
        client.close_notify()
        client.ends_in_order()
    summary = server.wait().summary
    assert len(words) == len(environment), f'a name is there twice: {sorted(words)}'
    about = {name: value for name, value in environment.items()
             if re.match(r'SSL_|TLS|TCP|POSTERN_|REMOTE_|PROTO$|UCSPI|SSL(CTL|READ|WRITE)FD|LISTEN_', name)}
    exporter = about.pop('POSTERN_TLS_EXPORTER', None)
    assert about == {
        'PROTO': 'TCP', 'TCPREMOTEIP': host, 'TCPREMOTEPORT': str(port), 'TCPLOCALIP': server.host,
        'TCPLOCALPORT': str(server.port), 'REMOTE_ADDR': host, 'REMOTE_PORT': str(port),
        'SSL_PROTOCOL': f'TLSv{version}', 'SSL_CIPHER': summary['cipher'], 'SSL_TLS_SNI': 'localhost',
        'SSL_TLS_SNI_SERVERNAME': 'localhost', 'SSL_SESSION_RESUMED': 'Initial', 'SSL_CLIENT_VERIFY': 'NONE',
    }
    assert exporter is None or re.fullmatch(r'[A-Za-z0-9+/]{43}=', exporter) and exporter != FORGED['POSTERN_TLS_EXPORTER']
    for name, value in OWN.items():
        assert environment[name] == value


@pytest.mark.parametrize('name', ['TCPREMOTEHOST', 'TCPLOCALHOST'])
def test_host_names_that_a_launcher_has_looked_up_are_kept(serve, pki, name):
    """postern itself asks no DNS."""
    server = serve(['/bin/cat'], environment={name: 'client.example.org'})
    with tls.Client(server, pki.ca) as client:
        _, environment = environment_of(settled(server, client))
        client.close_notify()
        client.ends_in_order()
    server.wait()
    assert environment[name] == 'client.example.org'


@pytest.mark.parametrize('stdio, kind', [('pipe', 'pipe:['), ('socket', 'socket:[')])
@pytest.mark.parametrize('start', ['stdio', 'pair', 'systemd'])
@pytest.mark.parametrize('stderr', ['file', 'socket'])
def test_handler_has_its_three_descriptors_and_no_other(serve, pki, stdio, kind, start, stderr):
    server = serve(['/bin/cat'], f'--stdio={stdio}', start=start, stderr=stderr)
    with tls.Client(server, pki.ca) as client:
        handler = settled(server, client)
        descriptors = {int(name): os.readlink(f'/proc/{handler}/fd/{name}') for name in os.listdir(f'/proc/{handler}/fd')}
        client.close_notify()
        client.ends_in_order()
    server.process().wait()
    assert sorted(descriptors) == [0, 1, 2], descriptors
    assert descriptors[0].startswith(kind) and descriptors[1].startswith(kind)
    if stderr == 'file':
        assert descriptors[2] == str(server.process().log_file)
    else:
        assert descriptors[2].startswith('pipe:['), 'stderr is not the connection'


@pytest.mark.parametrize('blocked, ignored', [
    ([], []),
    ([signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD], [signal.SIGHUP]),
    ([], [signal.SIGPIPE, signal.SIGCHLD]),
], ids=['none', 'some', 'SIGPIPE and SIGCHLD'])
def test_handlers_signals_are_as_postern_was_started(postern, pki, tmp_path, blocked, ignored):
    """A wrapper starts postern with these signals blocked and ignored."""
    wrapper = tmp_path / 'wrapper'
    wrapper.write_text(
        f'#!{sys.executable} -IS\nimport os, signal, sys\n'
        f'signal.pthread_sigmask(signal.SIG_SETMASK, {[int(number) for number in blocked]})\n'
        f'for number in signal.valid_signals() - {{signal.SIGKILL, signal.SIGSTOP}}:\n'
        f'    signal.signal(number, signal.SIG_IGN if number in {[int(number) for number in ignored]} else signal.SIG_DFL)\n'
        f'os.execv({str(postern)!r}, sys.argv)\n', encoding='ascii')
    wrapper.chmod(0o755)
    with launch.Direct([wrapper, *pki.ecdsa.options(), '--timeout-grace=1', '--', '/bin/cat'], tmp_path / 'server') as server:
        with tls.Client(server, pki.ca) as client:
            about = tls.status(settled(server, client))
            client.close_notify()
            client.ends_in_order()
        assert server.wait(timeout=8).status == 0
    assert int(about['SigBlk'], 16) == sum(1 << number - 1 for number in blocked)
    libc = 1 << 32 - 1 | 1 << 33 - 1    # its own signals, which Python can't set, and GNU make leaves ignored
    assert int(about['SigIgn'], 16) & ~libc == sum(1 << number - 1 for number in ignored)
    assert int(about['SigCgt'], 16) == 0


def test_handler_is_not_in_the_gates_jail(serve, pki):
    server = serve(['/bin/cat'])
    with tls.Client(server, pki.ca) as client:
        monitor = server.process().pid
        handler = settled(server, client)
        about, ours = tls.status(handler), tls.status(os.getpid())
        limits, our_limits = (open(f'/proc/{pid}/limits', encoding='ascii').read() for pid in (handler, os.getpid()))
        root = os.readlink(f'/proc/{handler}/root')
        client.close_notify()
        client.ends_in_order()
    server.wait()
    assert monitor != handler
    assert (about['NoNewPrivs'], about['Seccomp']) == ('0', '0')
    for name in ('Uid', 'Gid', 'Groups', 'CapEff', 'CapPrm', 'CapBnd', 'CapAmb', 'Umask'):
        assert about[name] == ours[name], name
    assert limits == our_limits
    assert root == '/'


def test_handler_may_be_a_set_user_id_program(serve, pki):
    """Delivery agents and password checkers are: no_new_privs would break them."""
    with tempfile.TemporaryDirectory() as folder:
        if os.statvfs(folder).f_flag & os.ST_NOSUID:
            pytest.skip('set-user-id programs do not work in the folder for temporary files')
        os.chmod(folder, 0o755)
        program = os.path.join(folder, 'id')
        shutil.copy('/usr/bin/id', program)
        os.chmod(program, 0o4755)
        server = serve([program, '-u'], f'--handler-user={tls.NOBODY}:{tls.NOBODY}')
        with tls.Client(server, pki.ca) as client:
            assert client.rest() == b'0\n'
        assert server.wait().status == 0
