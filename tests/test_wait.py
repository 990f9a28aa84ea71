# SPDX-License-Identifier: GPL-2.0-or-later
"""Wait mode: one postern on listening sockets, which forks for each connection."""

import os
import re
import resource
import shutil
import signal
import socket
import ssl
from types import SimpleNamespace

import pytest

from harness import clients, launch, lobby, pki as pki_module, ports, processes, resume, tls, wait
from harness.lobby import DIALECTS, IMAP

HANDLER = ['/bin/sh', '-c', 'env; echo; while read -r line; do echo "got $line"; done']
ECHO = ['/bin/cat']

dialects = pytest.mark.parametrize('dialect', DIALECTS, ids=repr)


@pytest.fixture
def waits(serve):
    """waits(handler, option...) starts a server in wait mode, on a socket of ours if nothing else is said."""
    def start(handler, *options, **more):
        more.setdefault('launcher', wait.Waiting)
        return serve(handler, *options, **more)
    return start


def session(server, ca, version='1.3'):
    """A session with HANDLER, from start to end: the handler's environment."""
    with clients.tls(server, ca, version) as connection:
        lines = connection.makefile('rwb')
        words = iter(lambda: lines.readline().decode().rstrip('\n'), '')
        environment = dict(word.partition('=')[::2] for word in words)
        lines.write(b'hello\n')
        lines.flush()
        assert lines.readline() == b'got hello\n'
        connection.unwrap()
        return environment


class Talk(tls.Client):
    """A session with ECHO that stays open."""

    def goes_on(self):
        self.send(b'still here')
        assert self.take(10) == b'still here'
        return self

    def ends(self):
        self.close_notify()
        self.ends_in_order()
        self.socket.close()


def served(server, pki):
    """The common name of the certificate that the next connection is shown."""
    with clients.tls(server, pki.ca) as connection:
        subject = dict(part[0] for part in connection.getpeercert()['subject'])
    return subject['commonName']


def is_closed(connection):
    """Not one byte more comes."""
    return tls.ended(connection) == b''


# Who hands over the sockets

@pytest.mark.parametrize('launcher', [wait.SystemdWait, wait.InetdWait, wait.XinetdWait])
def test_launcher_hands_over_its_listening_sockets_and_one_process_serves_all_clients(waits, pki, launcher):
    idle = [] if launcher is wait.SystemdWait else ['--exit-idle=1']
    server = waits(HANDLER, *idle, launcher=launcher)
    for number, version in enumerate(['1.2', '1.3', '1.3'], 1):
        environment = session(server, pki.ca, version)
        assert environment['SSL_PROTOCOL'] == f'TLSv{version}'
        assert environment['TCPLOCALPORT'] == str(server.port)
        assert not [name for name in environment if name.startswith(('LISTEN_', 'NOTIFY_'))]
        summary = server.summary(number)
        assert summary['server'] == f'{server.host}:{server.port}'
        assert (summary['handler'], summary['end']) == ('0', 'client-close')
    if launcher is wait.SystemdWait:
        session(server.at(1), pki.ca)
        assert server.summary(4)['server'] == 'unix'
        assert '(imaps:local)' in server.log()
    assert len(re.findall('accepting connections', server.log())) == 1


def test_inetd_gets_its_socket_back_when_nobody_has_come_for_a_while(waits, pki):
    server = waits(HANDLER, '--exit-idle=1', launcher=wait.InetdWait)
    for number in (1, 2):
        session(server, pki.ca)
        processes.until(lambda: server.log().count('nobody has come in 1 seconds') == number, 'its end')
    assert server.log().count('accepting connections') == 2


@pytest.mark.parametrize('start, stderr', [('systemd', 'file'), ('inetd', 'file'), ('inetd', 'socket')])
def test_sockets_may_come_on_any_descriptors(waits, pki, start, stderr):
    server = waits(HANDLER, '-v', start=start, stderr=stderr)
    assert session(server, pki.ca)['SSL_PROTOCOL'] == 'TLSv1.3'
    if stderr == 'file':
        assert server.summary()['end'] == 'client-close'


def test_sockets_of_all_families_are_served_at_once(waits, pki):
    families = ['inet', 'inet6', 'unix', 'inet'] if ports.has_ipv6() else ['inet', 'unix', 'inet']
    server = waits(HANDLER, families=families, names=':'.join(families))
    for number, family in enumerate(families):
        here = server.at(number)
        environment = session(here, pki.ca)
        summary = server.summary(number + 1)
        if family == 'unix':
            assert (environment['PROTO'], summary['client'], summary['server']) == ('UNIX', 'unix', 'unix')
        else:
            assert (environment['PROTO'], environment['TCPLOCALPORT']) == ('TCP', str(here.port))
            assert summary['server'] == f'{here.url_host}:{here.port}'
    assert f'({":".join(families)})' in server.says('accepting connections')


def test_a_connection_among_listening_sockets_is_refused(postern, pki):
    with ports.listen() as listener, socket.create_connection(listener.getsockname()) as connection:
        os.dup2(listener.fileno(), 103)
        os.dup2(connection.fileno(), 104)
        script = 'LISTEN_PID=$$ LISTEN_FDS=2; export LISTEN_PID LISTEN_FDS; exec "$@"'
        try:
            ended = pki_module.subprocess.run(
                ['/bin/sh', '-c', script, 'sh', postern, *pki.ecdsa.options(), '--', *ECHO], capture_output=True,
                text=True, check=False, close_fds=False, preexec_fn=lambda: (os.dup2(103, 3), os.dup2(104, 4)))
        finally:
            os.close(103)
            os.close(104)
    assert ended.returncode == os.EX_USAGE
    assert 'descriptor 4 is no listening one' in ended.stderr


# Sessions

@dialects
def test_starttls_works_as_for_one_connection(waits, pki, tmp_path, dialect):
    recorder = lobby.Recorder(tmp_path / 'records', dialect.service)
    server = waits(recorder.command, dialect.option, f'--name={lobby.HOST}')
    for _ in range(2):
        with lobby.Client(server, dialect.hello) as client:
            inside = client.start_tls(dialect, pki.ca)
            inside.send(dialect.quit)
            assert inside.rest().endswith(b'\r\n')
    summary = server.summary(2)
    assert (summary['start'], summary['dialect'], summary['tls']) == ('starttls', dialect.name, 'TLSv1.3')


def test_sessions_at_the_same_time_do_not_mix_and_leave_no_zombie(waits, pki):
    server = waits(ECHO, '--max-per-client=0')
    talks = [Talk(server, pki.ca) for _ in range(20)]
    for number, talk in enumerate(talks):
        talk.send(b'session %d' % number)
    for number, talk in reversed(list(enumerate(talks))):
        assert talk.receive() == b'session %d' % number
        talk.ends()
    assert server.has_monitors(0) == []
    assert len(launch.summaries(server.log())) == 20


def test_monitor_that_is_killed_takes_nobody_else_along(waits, pki):
    server = waits(ECHO)
    first = Talk(server, pki.ca).goes_on()
    [victim] = server.monitors()
    second = Talk(server, pki.ca).goes_on()
    family = [process.pid for process in processes.descendants(victim)]
    os.kill(victim, signal.SIGKILL)
    assert tls.ended(first.socket) is not None
    tls.all_end(family)
    second.goes_on()
    Talk(server, pki.ca).goes_on().ends()
    second.ends()
    assert f'monitor {victim} was killed by signal 9' in server.log()


def test_listener_that_is_killed_leaves_sessions_alive_and_no_gate_behind(waits, pki):
    server = waits(ECHO)
    talks = [Talk(server, pki.ca).goes_on() for _ in range(2)]
    everybody = [process.pid for process in processes.descendants(server.pid)]
    assert len(everybody) == 6
    server.tell(signal.SIGKILL)
    assert server.process.wait() == -signal.SIGKILL
    for talk in talks:
        talk.goes_on().ends()
    tls.all_end(everybody)
    assert [summary['end'] for summary in launch.summaries(server.log())] == ['client-close'] * 2


def test_neither_gate_nor_handler_has_a_descriptor_of_the_listener(waits, pki):
    server = waits(ECHO, families=['inet', 'unix'])
    with Talk(server, pki.ca).goes_on() as talk:
        [monitor] = server.monitors()
        listening = {str(os.fstat(one.fileno()).st_ino) for one in server.listeners}
        assert listening <= ports.sockets_of(server.pid)
        gate = tls.gate_of(SimpleNamespace(pid=monitor))
        handler = tls.handler_of(SimpleNamespace(pid=monitor))
        for pid in (monitor, gate, handler):
            assert not ports.sockets_of(pid) & listening
        assert len(os.listdir(f'/proc/{handler}/fd')) == 3
        talk.ends()


@pytest.mark.skipif(os.getuid() != 0, reason='without root there is no user of its own')
def test_each_gate_is_jailed_as_for_one_connection(waits, pki):
    server = waits(ECHO)
    talks = [Talk(server, pki.ca).goes_on() for _ in range(2)]
    gates = [tls.status(tls.gate_of(SimpleNamespace(pid=monitor))) for monitor in server.monitors()]
    for about in gates:
        assert about['CapEff'] == about['CapPrm'] == '0000000000000000'
        assert about['NoNewPrivs'] == '1'
        assert about['Groups'] == ''
        assert int(about['Uid'].split()[0]) == 1879048192 + int(about['Pid'])
    for talk in talks:
        talk.ends()


def test_listener_does_not_grow(waits, pki):
    server = waits(ECHO).is_ready()
    sizes = []
    for _ in range(2):
        for _ in range(30):
            Talk(server, pki.ca).ends()
        server.has_monitors(0)
        about = tls.status(server.pid)
        sizes.append((about['VmData'], about['VmStk'], len(os.listdir(f'/proc/{server.pid}/fd'))))
    assert sizes[0] == sizes[1]


# Randomness

def hello(version):
    """A ClientHello whose answer shows as much as can be seen of the server's random numbers."""
    if version == '1.2':
        return tls.client_hello(groups=(tls.P256,), signatures=(0x0403,))
    share = tls.numbers([tls.X25519]) + tls.vector(2, b'\t' + bytes(31))    # the curve's base point
    return tls.client_hello(suites=(tls.AES128_GCM_13,), versions=(tls.TLS13,),
                            more=tls.extension(51, tls.vector(2, share)))


def messages(data):
    """The handshake messages in plaintext records."""
    content = b''
    while len(data) >= 5:
        length = int.from_bytes(data[3:5], 'big')
        if data[0] == 22:
            content += data[5:5 + length]
        data = data[5 + length:]
    while len(content) >= 4:
        length = int.from_bytes(content[1:4], 'big')
        if len(content) >= 4 + length:
            yield content[0], content[4:4 + length]
        content = content[4 + length:]


def randomness(version, data):
    """Name → the server's random numbers in its first flight."""
    found = {}
    for kind, body in messages(data):
        if kind == 2:
            found['server random'] = body[2:34]
            session = body[35:35 + body[34]]
            rest = body[35 + body[34] + 3:]
            if version == '1.2' and session:    # none is drawn where none can be resumed
                found['session id'] = session
            if version == '1.3':
                extensions = rest[2:]
                while extensions:
                    length = int.from_bytes(extensions[2:4], 'big')
                    if extensions[:2] == b'\0\x33':
                        found['key share'] = extensions[8:4 + length]
                    extensions = extensions[4 + length:]
        if kind == 12:
            end = 4 + body[3]
            signature = body[end + 4:]
            found['key share'] = body[4:end]
            found['r of the signature'] = signature[4:4 + signature[3]]
    return found


@pytest.mark.parametrize('version, names', [
    ('1.2', {'server random', 'key share', 'r of the signature'}), ('1.3', {'server random', 'key share'})])
def test_no_two_children_of_one_listener_draw_the_same_random_numbers(waits, version, names):
    server = waits(ECHO, '--max-per-client=0')
    seen = {}
    for turn in range(4):
        connections = [server.connect() for _ in range(8)]
        for connection in connections:
            connection.sendall(hello(version))
        for connection in connections:
            data = b''
            last = 14 if version == '1.2' else 2
            while last not in dict(messages(data)):
                more = connection.recv(65536)
                assert more, server.log()
                data += more
            for name, value in randomness(version, data).items():
                seen.setdefault(name, []).append(value)
            connection.close()
        server.has_monitors(0)
    assert set(seen) - {'session id'} == names
    for name, values in seen.items():
        assert len(values) == 32
        assert len(set(values)) == 32, name
        assert all(len(value) >= 28 for value in values), name


# Limits

@dialects
def test_full_house_is_told_in_the_protocols_words(waits, dialect):
    server = waits(ECHO, dialect.option, f'--name={lobby.HOST}', '--max-connections=1')
    with lobby.Client(server, dialect.hello):
        with lobby.Client(server) as second:
            second.closes_with(dialect.unavailable.replace('4\\.3', '4\\.7'))
    server.has_monitors(0)
    with lobby.Client(server, dialect.hello):
        pass
    assert re.search(r'client=127\.0\.0\.1:\d+ refused: --max-connections \(1 connections\)', server.log())


def test_full_house_is_closed_where_tls_begins_at_once(waits, pki):
    server = waits(ECHO, '--max-connections=2')
    talks = [Talk(server, pki.ca).goes_on() for _ in range(2)]
    assert is_closed(server.connect())
    talks[0].ends()
    server.has_monitors(1)
    Talk(server, pki.ca).goes_on().ends()
    talks[1].ends()


def test_one_address_can_not_keep_out_others(waits, pki):
    server = waits(ECHO, '--max-per-client=2', '--max-connections=4', families=['inet', 'unix'])
    talks = [Talk(server, pki.ca).goes_on() for _ in range(2)]
    assert is_closed(server.connect())
    talks += [Talk(lobby.From(server, '127.0.0.2'), pki.ca).goes_on(), Talk(server.at(1), pki.ca).goes_on()]
    assert is_closed(server.at(1).connect())
    for talk in talks:
        talk.ends()
    assert 'refused: --max-per-client' in server.log()


def test_refused_clients_do_not_flood_the_log(waits, pki):
    server = waits(ECHO, '--max-connections=1')
    talk = Talk(server, pki.ca).goes_on()
    for _ in range(100):
        assert is_closed(server.connect())
    assert 1 <= server.log().count('refused') <= 10
    talk.ends()


def test_listener_out_of_descriptors_says_so_once_and_goes_on_when_it_has_some(waits, pki):
    server = waits(ECHO).is_ready()
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    descriptors = [int(name) for name in os.listdir(f'/proc/{server.pid}/fd')]
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (max(descriptors) + 1, before[1]))
    with server.connect() as connection:
        assert re.search('Too many open files|No file descriptors available', server.says('cannot accept: '))   # glibc, musl
        assert tls.asleep(server.pid)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        with clients.context(pki.ca).wrap_socket(connection, server_hostname=clients.NAME) as inside:
            inside.sendall(b'hello')
            assert inside.recv(10) == b'hello'
    assert server.log().count('cannot accept') == 1


# New certificates

@pytest.fixture
def pair(pki, tmp_path):
    """A certificate and key of its own; pair.becomes(NAME) puts others in their place."""
    class Files(pki_module.Pair):
        def becomes(self, other):
            for name in ('cert', 'key'):
                fresh = tmp_path / f'fresh.{name}'
                shutil.copy(getattr(other, name), fresh)
                os.rename(fresh, getattr(self, name))
    files = Files(tmp_path / 'cert.pem', tmp_path / 'key.pem', pki.ca)
    files.becomes(pki.leaf('first', subject='/CN=first'))
    return files


def test_new_certificate_is_found_when_a_client_comes(waits, pki, pair):
    server = waits(ECHO, pair=pair)
    assert served(server, pki) == 'first'
    pair.becomes(pki.leaf('second', subject='/CN=second'))
    # The files are looked at once a second.
    processes.until(lambda: served(server, pki) == 'second', 'the new certificate', 20)
    assert 'the new ones are used from now on' in server.log()


def test_new_certificate_of_another_kind_is_served_to_the_next_client_after_sighup(waits, pki, pair):
    server = waits(ECHO, pair=pair)
    talk = Talk(server, pki.ca).goes_on()
    pair.becomes(pki.leaf('second-rsa', 'rsa', subject='/CN=second'))
    server.tell(signal.SIGHUP)
    server.says('the new ones are used from now on')
    assert served(server, pki) == 'second'
    talk.goes_on().ends()


@pytest.mark.parametrize('damage, words', [
    ('no file', 'cannot be opened'), ('not PEM', 'no certificate in it'),
    ('a key of another certificate', 'key does not match')])
def test_broken_new_files_leave_the_old_ones_in_use_until_they_are_mended(waits, pki, pair, damage, words):
    server = waits(ECHO, pair=pair).is_ready()
    second = pki.leaf('second', subject='/CN=second')
    if damage == 'no file':
        pair.cert.unlink()
    elif damage == 'not PEM':
        pair.cert.write_bytes(b'nonsense')
    else:
        shutil.copy(second.key, pair.key)
    server.tell(signal.SIGHUP)
    server.says('the old ones are kept')
    assert served(server, pki) == 'first'
    assert served(server, pki) == 'first'
    assert words in server.log()
    assert server.log().count('the old ones are kept') == 1
    pair.becomes(second)
    server.tell(signal.SIGHUP)
    server.says('the new ones are used from now on')
    assert served(server, pki) == 'second'


def test_without_a_usable_certificate_it_does_not_begin(waits, pki, pair):
    pair.cert.write_bytes(b'nonsense')
    server = waits(ECHO, pair=pair)
    ended = server.wait()
    assert ended.status == os.EX_CONFIG
    assert 'no certificate in it' in ended.log
    server.process.returncode = 0    # as it should be


def test_with_starttls_it_begins_without_a_certificate_and_offers_tls_when_there_is_one(waits, pki, pair, tmp_path):
    pair.cert.write_bytes(b'nonsense')
    recorder = lobby.Recorder(tmp_path / 'records', IMAP.service)
    server = waits(recorder.command, IMAP.option, f'--name={lobby.HOST}', pair=pair)
    server.says('there is no STARTTLS until they have changed')
    with lobby.Client(server) as client:
        assert 'STARTTLS' not in client.line()
        client.ask(IMAP.starttls, IMAP.no_tls)
    pair.becomes(pki.leaf('second', subject='/CN=second'))
    server.tell(signal.SIGHUP)
    server.says('the new ones are used from now on')
    with lobby.Client(server, IMAP.hello) as client:
        inside = client.start_tls(IMAP, pki.ca)
        inside.send(IMAP.quit)
        inside.rest()


# Everything else that is read once, or for each connection

@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_ticket_of_one_child_resumes_in_another_until_its_key_has_been_replaced(waits, pki, postern, tmp_path, version):
    file = resume.new_key(postern, tmp_path / 'tickets')
    server = waits(resume.handler(), f'--tickets={file}')
    client = resume.OpenSSL(pki.ca, tmp_path)
    client.begin(server, version)
    assert client.connect(server, version) == 'Resumed'
    file.unlink()
    resume.new_key(postern, file)
    server.tell(signal.SIGHUP)
    server.says('the new ones are used from now on')
    assert client.connect(server, version) == 'Initial'


def test_encrypted_key_is_used_by_each_child_and_left_encrypted_by_the_listener(waits, pki, tmp_path):
    key, password = tmp_path / 'key.pem', tmp_path / 'password'
    password.touch(mode=0o600)
    password.write_text('secret\n')
    pki_module.openssl('pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', pki.ecdsa.key, '-out', key, '-passout',
                       'pass:secret')
    key.chmod(0o600)
    server = waits(ECHO, f'--key-pass-file={password}', pair=pki_module.Pair(pki.ecdsa.cert, key, pki.ca))
    for _ in range(2):
        Talk(server, pki.ca).goes_on().ends()


def test_certificate_of_a_name_is_read_when_a_client_asks_for_it(waits, pki, tmp_path):
    server = waits(ECHO, f'--cert-dir={tmp_path}')
    for name in ('a.example.org', 'b.example.org'):
        pair = pki.leaf(name, names=f'DNS:{name}', subject=f'/CN={name}')
        (tmp_path / name).mkdir()
        shutil.copy(pair.cert, tmp_path / name / 'fullchain.pem')
        shutil.copy(pair.key, tmp_path / name / 'privkey.pem')
        with clients.tls(server, pki.ca, name=name) as connection:
            assert connection.getpeercert()['subject'] == ((('commonName', name),),)


def test_proxy_tells_of_many_clients_and_is_not_bounded_as_one(waits, pki):
    server = waits(ECHO, '--proxy-protocol', '--proxy-trusted=127.0.0.1', '--max-per-client=1')
    connections = []
    for number in range(3):
        connection = server.connect()
        connection.sendall(b'PROXY TCP4 192.0.2.%d 192.0.2.99 4000 993\r\n' % number)
        connections.append(clients.context(pki.ca).wrap_socket(connection, server_hostname=clients.NAME))
    for connection in connections:
        connection.sendall(b'hello')
        assert connection.recv(10) == b'hello'
        connection.unwrap().close()
    server.has_monitors(0)
    found = {summary['client'] for summary in launch.summaries(server.log())}
    assert found == {f'192.0.2.{number}:4000' for number in range(3)}


# The end

def test_sigterm_lets_sessions_finish_and_takes_no_new_client(waits, pki):
    server = waits(ECHO)
    talks = [Talk(server, pki.ca).goes_on() for _ in range(2)]
    for listener in server.listeners:
        listener.close()    # now postern alone has the socket
    server.tell(signal.SIGTERM)
    server.says('no more clients; 2 connections go on')
    with pytest.raises(ConnectionRefusedError):
        server.connect()
    for talk in talks:
        assert server.process.poll() is None
        talk.goes_on().ends()
    assert server.wait().status == 0


def test_second_sigterm_ends_the_sessions_in_order(waits, pki):
    server = waits(ECHO)
    talk = Talk(server, pki.ca).goes_on()
    server.tell(signal.SIGTERM)
    server.says('no more clients')
    talk.goes_on()
    server.tell(signal.SIGTERM)
    assert talk.rest() == b''
    talk.close_notify()
    talk.socket.close()
    assert server.wait().status == 0
    assert launch.summaries(server.log())[-1]['end'] == 'sigterm'


def test_exit_idle_waits_for_sessions_and_then_for_its_time(waits, pki):
    server = waits(ECHO, '--exit-idle=1')
    talk = Talk(server, pki.ca).goes_on()
    with pytest.raises(pki_module.subprocess.TimeoutExpired):
        server.process.wait(1.5)
    talk.goes_on().ends()
    ended = server.wait()
    assert ended.status == 0
    assert 'nobody has come in 1 seconds (--exit-idle)' in ended.log


@pytest.mark.parametrize('kind', ['path', 'abstract'])
def test_service_manager_is_told_what_happens(waits, pki, pair, tmp_path, kind):
    manager = wait.Manager(tmp_path / 'notify' if kind == 'path' else f'@postern-test-{os.getpid()}')
    server = waits(HANDLER, pair=pair, environment={'NOTIFY_SOCKET': manager.name})
    assert manager.hears() == {'READY': '1'}
    with clients.tls(server, pki.ca) as connection:
        assert b'NOTIFY_SOCKET' not in connection.recv(65536)
        assert manager.hears() == {'STATUS': '1 connections'}
    assert manager.hears_of('STATUS') == '0 connections'
    server.tell(signal.SIGHUP)
    assert int(manager.hears_of('MONOTONIC_USEC')) > 0
    assert manager.hears_of('READY') == '1'
    server.tell(signal.SIGTERM)
    assert manager.hears() == {'STOPPING': '1'}
    assert server.wait().status == 0
    manager.socket.close()


def test_client_that_can_not_be_served_is_no_concern_of_the_next(waits, pki):
    """Resets, silence, nonsense: each has a process of its own."""
    server = waits(ECHO, '--timeout-handshake=1')
    silent = server.connect()
    with server.connect() as connection:
        connection.sendall(b'GET / HTTP/1.0\r\n\r\n')
        Talk(server, pki.ca).goes_on().ends()
    with pytest.raises((ssl.SSLError, OSError)):
        clients.tls(server, pki.leaf('stranger-ca', names='DNS:other').cert)
    assert is_closed(silent)
    Talk(server, pki.ca).goes_on().ends()
