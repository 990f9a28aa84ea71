# SPDX-License-Identifier: GPL-2.0-or-later
"""postern is started by each launcher that people use, over IPv4, IPv6 and Unix sockets."""

import pytest

from harness import clients, launch

HANDLER = ['/bin/sh', '-c', 'env; echo; while read -r line; do echo "got $line"; done']

SLOW_TO_END = pytest.mark.not_sanitized('this launcher does not wait for what it started, which takes longer to end then')
ALL = [(launcher, family) for launcher in launch.REAL for family in launcher.families]
INTERNET = [(launcher, family) for launcher, family in ALL
            if family != 'unix' and not issubclass(launcher, launch.SocatPair)]
KNOWN = ('PROTO', 'TCP', 'REMOTE_', 'SSL_', 'TLS', 'LISTEN_', 'POSTERN_')


def table(rows):
    rows = [pytest.param(*row, marks=[SLOW_TO_END] if issubclass(row[0], launch.SocatPair) else []) for row in rows]
    return pytest.mark.parametrize('launcher, family', rows, ids=lambda value: getattr(value, '__name__', value))


class Session:
    """One session with HANDLER: what it said of its environment, and both ends' addresses as we see them."""

    def __init__(self, server, pki, version='1.3'):
        with clients.tls(server, pki.ca, version) as connection:
            lines = connection.makefile('rwb')
            words = iter(lambda: lines.readline().decode().rstrip('\n'), '')
            everything = dict(word.partition('=')[::2] for word in words)
            self.environment = {name: value for name, value in everything.items() if name.startswith(KNOWN)}
            lines.write(b'hello\n')
            lines.flush()
            assert lines.readline() == b'got hello\n'
            self.ours = connection.getsockname()
            connection.unwrap()    # close_notify goes both ways: the handler's EOF has come


def shown(host, port):
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


@table(ALL)
def test_launcher_starts_a_session_that_is_summed_up_in_the_log(serve, pki, launcher, family):
    # socat in the middle sends SIGTERM as soon as both directions have ended, which may be before postern has ended.
    endings = ['client-close', 'sigterm'] if issubclass(launcher, launch.SocatPair) else ['client-close']
    server = serve(HANDLER, launcher=launcher, family=family)
    for number, version in enumerate(['1.2', '1.3'], 1):
        session = Session(server, pki, version)
        assert session.environment['SSL_PROTOCOL'] == f'TLSv{version}'
        assert not [name for name in session.environment if name.startswith('LISTEN_')]
        summary = server.summary(number)
        assert (summary['start'], summary['tls'], summary['sni']) == ('immediate', f'TLSv{version}', 'localhost')
        assert summary['handler'] == '0'
        assert summary['end'] in endings
        assert int(summary['in']) == len('hello\n')


@table(INTERNET)
def test_launcher_leaves_the_addresses_for_handler_and_log(serve, pki, launcher, family):
    server = serve(HANDLER, launcher=launcher, family=family)
    session = Session(server, pki)
    host, port = session.ours[:2]
    expected = {'PROTO': 'TCP', 'TCPREMOTEIP': host, 'TCPREMOTEPORT': str(port), 'TCPLOCALIP': server.host,
                'TCPLOCALPORT': str(server.port), 'REMOTE_ADDR': host, 'REMOTE_PORT': str(port)}
    assert {name: session.environment.get(name) for name in expected} == expected
    summary = server.summary()
    assert summary['client'] == shown(host, port)
    assert summary['server'] == shown(server.host, server.port)


class InetdWithoutLog(launch.Inetd):
    """As people have it in inetd.conf: standard error is the network socket."""
    log_to_file = False


class XinetdWithoutLog(launch.Xinetd):
    log_to_file = False


@table([(InetdWithoutLog, 'inet'), (XinetdWithoutLog, 'inet6')])
def test_inetd_with_the_socket_as_stderr_sends_no_log_to_the_client(serve, pki, launcher, family):
    server = serve(HANDLER, '-v', launcher=launcher, family=family)
    assert Session(server, pki).environment['SSL_PROTOCOL'] == 'TLSv1.3'
    assert launch.summaries(server.log()) == []


@pytest.mark.parametrize('start', ['stdio', 'pair', 'systemd'])
@pytest.mark.parametrize('family', ['inet', 'inet6', 'unix'])
def test_connection_may_come_on_any_descriptors(serve, pki, family, start):
    server = serve(HANDLER, start=start, family=family)
    environment = Session(server, pki).environment
    assert not [name for name in environment if name.startswith('LISTEN_')]
    ended = server.wait()
    assert (ended.status, ended.summary['end']) == (0, 'client-close')


def test_nothing_but_tls_is_sent_when_stderr_is_the_socket(serve, pki):
    server = serve(['/bin/sh', '-c', 'echo to the log >&2; exit 3'], '-v', stderr='socket')
    with clients.tls(server, pki.ca) as connection:
        assert connection.recv(100) == b''
        connection = connection.unwrap()
        assert connection.recv(100) == b''
    assert server.wait().status == 3


FORGED = {name: 'forged' for name in [
    'PROTO', 'TCPREMOTEIP', 'TCPREMOTEINFO', 'TCPLOCALPORT', 'TCPSOMETHING', 'REMOTE_ADDR', 'SSL_PROTOCOL',
    'SSL_CLIENT_S_DN', 'SSL_CLIENT_VERIFY', 'SSL_SOMETHING', 'TLSSOMETHING', 'POSTERN_TLS_EXPORTER',
    'POSTERN_SOMETHING', 'LISTEN_FDNAMES']}


@pytest.mark.parametrize('family', ['inet', 'unix'])
def test_variables_of_the_caller_cannot_forge_facts(serve, pki, family):
    server = serve(HANDLER, environment=FORGED, family=family)
    environment = Session(server, pki).environment
    assert [name for name, value in environment.items() if value == 'forged'] == []
    assert server.wait().status == 0


def test_sessions_at_the_same_time_do_not_mix(serve, pki):
    server = serve(['/bin/cat'])
    connections = [clients.tls(server, pki.ca) for _ in range(8)]
    for number, connection in enumerate(connections):
        connection.sendall(b'session %d\n' % number)
    for number, connection in reversed(list(enumerate(connections))):
        assert connection.recv(100) == b'session %d\n' % number
        connection.unwrap().close()
    assert [server.wait().status for _ in connections] == [0] * 8
