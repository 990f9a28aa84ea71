# SPDX-License-Identifier: GPL-2.0-or-later
"""With -v the log explains each step of a connection, in the order of the steps, and how long it took."""

import json
import os
import re
import shutil

import pytest

from harness import clients, resume, tls, wait

SECRET = 'correct-horse'
HANDLER = ['/bin/sh', '-c', 'echo ready; read line; exit 3']
IMAP = ['/bin/sh', '-c', 'printf "* OK hello\\r\\n"; read line; echo ready; exit 3']
VERSIONS = ['1.2', '1.3']
both_versions = pytest.mark.parametrize('version', VERSIONS)

# The lines, ~ standing for the time.
CONNECTED = r'connected to 127\.0\.0\.1:\d+: given on standard input, as inetd and tcpserver do'
ACCEPTED = r'connected to 127\.0\.0\.1:\d+: given from a listening socket \(wait mode\)'
BEGUN = [r'certificates and keys are ready; the gate is process \d+ ~', 'the gate is jailed: .*limits.* ~']
STARTTLS = 'the lobby is left by STARTTLS ~'
HELLO = r'ClientHello: {tls}, server name {name}, ALPN {alpn}, \d+ cipher suites, \d+ groups{ticket} ~'
DEFAULT = r'certificate \S+/ecdsa\.pem \(ECDSA\): the default ~'
SIGNED = r'signed with the ECDSA key of \S+/ecdsa\.key ~'
SUITE = (r'cipher suite TLS_\w+: the first of ours that client and certificate can do; '
         r'(AES|ChaCha20) comes first, .*(processor|software).*')
# With X25519MLKEM768 where the library has it and, for its use, the client, too.
GROUP = 'key exchange group x25519(mlkem768)?: offered by the client, and one of (X25519MLKEM768:)?X25519:P-256:P-384'
DONE = r'handshake is done: TLSv{version}, {how} session{resumed}, ALPN {alpn} ~'
SERVED = [rf'handler /bin/sh is process \d+ of user {os.getuid()}, as postern was started ~',
          'first bytes from the handler ~', 'relay is over: handler-close ~']
ENDED = 'handler has ended with status 3 ~'


def hello(version, name='localhost', alpn='not offered', ticket=''):
    return HELLO.format(tls=f'TLS {version}', name=name, alpn=alpn, ticket=ticket)


def done(version, how='a new', resumed='', alpn='not used'):
    return DONE.format(version=version, how=how, resumed=resumed, alpn=alpn)


def messages(log):
    """What stands behind `client=...`; the summary and what this kernel's jail lacks left out."""
    found = re.findall(r'^postern\[\d+\]: client=\S+ (.*)$', log, re.MULTILINE)
    return [line for line in found if ' end=' not in line and 'the jail lacks' not in line]


def check(log, *wanted):
    """These lines are there, in this order and no others; but handler and relay may end in either order."""
    found = messages(log)
    ended = [line for line in found if re.fullmatch(ENDED.replace('~', r'\(\d+\.\d ms\)'), line)]
    assert len(ended) == 1, log
    found.remove(ended[0])
    assert len(found) == len(wanted), log
    for line, pattern in zip(found, wanted):
        assert re.fullmatch(pattern.replace('~', r'\(\d+\.\d ms\)'), line), f'{line}\nis not\n{pattern}'
    assert re.fullmatch(r'[\x20-\x7e\n]*', log) and SECRET not in log


def talk(server, ca, version=None, **more):
    """A session with HANDLER or IMAP, whose client says a password."""
    with clients.tls(server, ca, version, **more) as connection:
        speak(connection)


def speak(connection):
    connection.sendall(f'a LOGIN user {SECRET}\r\n'.encode())
    with connection.makefile('rb') as file:
        assert file.read().endswith(b'ready\n')


@both_versions
def test_immediate_tls_is_explained_step_by_step(serve, pki, version):
    server = serve(HANDLER, '-v')
    talk(server, pki.ca, version, alpn=['imap', 'x\x1b[2J\n(1 ms)'])
    check(server.wait().log, CONNECTED, *BEGUN, hello(version, alpn=r'imap,x\?\[2J\?\(1\?ms\)'), DEFAULT, SIGNED, SUITE, GROUP,
          done(version, alpn='imap'), *SERVED)


def test_starttls_is_explained_step_by_step(serve, pki):
    server = serve(IMAP, '-v', '--starttls=imap')
    with server.connect() as connection:
        resume.lead_to_tls(connection, 'imap')
        with clients.context(pki.ca).wrap_socket(connection, server_hostname=clients.NAME) as session:
            speak(session)
    check(server.wait().log, CONNECTED, *BEGUN, STARTTLS, hello(r'1\.\d to TLS 1.3'), DEFAULT, SIGNED, SUITE, GROUP,
          done('1.3'), *SERVED)


def test_a_connection_in_wait_mode_is_explained(serve, pki):
    server = serve(HANDLER, '-v', launcher=wait.Waiting)
    talk(server, pki.ca, '1.3')
    server.summary()
    check(server.log(), ACCEPTED, *BEGUN, hello('1.3'), DEFAULT, SIGNED, SUITE, GROUP, done('1.3'), *SERVED)


@both_versions
def test_what_becomes_of_a_ticket_is_explained(serve, postern, pki, tmp_path, version):
    """A first session, one that is resumed, one with a ticket of a key that is gone, and one where there are no keys."""
    file = resume.new_key(postern, tmp_path / 'tickets')
    server = serve(HANDLER, '-v', f'--tickets={file}')
    context = clients.context(pki.ca, version)
    session, logs = None, []
    for number in range(4):
        if number == 2:
            file.unlink()
            resume.new_key(postern, file)
        elif number == 3:
            server = serve(HANDLER, '-v')
        with context.wrap_socket(server.connect(), server_hostname=clients.NAME, session=session) as connection:
            speak(connection)
            session = session or connection.session
        logs.append(server.wait().log)
    made = ['a session ticket is made for the client ~']
    offered = hello(version, ticket=', a session ticket')
    check(logs[0], CONNECTED, *BEGUN, hello(version), DEFAULT, SIGNED, *made, SUITE, GROUP, done(version), *SERVED)
    group = {'1.2': 'no key exchange group: in TLS 1.2 a session is resumed without one', '1.3': GROUP}[version]
    check(logs[1], CONNECTED, *BEGUN, offered, DEFAULT, "the client's session ticket is good ~", *(made if version == '1.3' else []),
          r'cipher suite TLS_\w+: that of the session which is resumed', group, done(version, 'an old', ' is resumed'), *SERVED)
    check(logs[2], CONNECTED, *BEGUN, offered, DEFAULT, SIGNED, *(made if version == '1.3' else []),
          "the client's session ticket is not used: not sealed with a key that is in the file", SUITE, GROUP, done(version),
          *SERVED)
    check(logs[3], CONNECTED, *BEGUN, offered, DEFAULT, SIGNED,
          r"the client's session ticket is not used: there are no ticket keys here \(--tickets\)", SUITE, GROUP,
          done(version), *SERVED)


@pytest.mark.parametrize('certificate', [None, 'alice'])
def test_the_client_certificate_is_explained(serve, pki, certificate):
    server = serve(HANDLER, '-v', f'--client-ca={pki.ca}', '--client-cert=request')
    talk(server, pki.ca, '1.3', certificate=certificate and pki.client(certificate))
    told = 'client certificate: good, user alice, subject CN=alice,O=Throw-away' if certificate \
        else 'client certificate: asked for, none given'
    check(server.wait().log, CONNECTED, *BEGUN, hello('1.3'), DEFAULT, SIGNED, SUITE, GROUP, told, done('1.3'), *SERVED)


# Which certificate, and why: the name that the client asks for, what else it can do.
CHOICES = {
    'the name has a folder': ('localhost', [], r'\S+/live/localhost/fullchain\.pem \(ECDSA\): the folder of --cert-dir for localhost'),
    'it has none': ('example.org', [], r'\S+/ecdsa\.pem \(ECDSA\): the default, since --cert-dir has no folder for example\.org'),
    'no name': (None, [], r'\S+/ecdsa\.pem \(ECDSA\): the default, since the client names no server'),
    'both would do': ('example.org', ['rsa'], r'\S+/ecdsa\.pem .*; the client could use the other one, too, but RSA is slower'),
    'RSA only': (None, ['rsa'], r"\S+/rsa\.pem \(RSA\): .*; the client can't use the other one"),
}


@pytest.mark.parametrize('case', CHOICES)
def test_the_choice_of_a_certificate_is_explained(serve, pki, tmp_path, case):
    name, others, wanted = CHOICES[case]
    folder = tmp_path / 'live/localhost'
    folder.mkdir(parents=True)
    shutil.copy(pki.ecdsa.cert, folder / 'fullchain.pem')
    shutil.copy(pki.ecdsa.key, folder / 'privkey.pem')
    options = [word for other in others for word in pki.pair(other).options()]
    server = serve(HANDLER, '-v', f'--cert-dir={folder.parent}', *options)
    signatures = [0x0804, 0x0401] if case == 'RSA only' else [0x0403, 0x0804]
    suites = [0xc02f] if case == 'RSA only' else [0xc02b, 0xc02f]
    with server.connect() as connection:
        connection.sendall(tls.client_hello(suites=suites, name=name and name.encode(), signatures=signatures))
        assert connection.recv(1)
    assert re.search(rf'^postern\[\d+\]: client=\S+ certificate {wanted} \(\d+\.\d ms\)$', server.wait().log, re.MULTILINE)


def test_the_order_of_the_suites_is_ours_or_that_of_ciphers(serve, pki):
    """Whatever the client's order is."""
    server = serve(HANDLER, '-v', '--tls-min=1.2', '--ciphers=ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256')
    context = clients.context(pki.ca, '1.2')
    context.set_ciphers('ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384')
    with context.wrap_socket(server.connect(), server_hostname=clients.NAME) as connection:
        speak(connection)
    assert ('cipher suite TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: the first of ours that client and certificate can do; '
            'their order is that of --ciphers\n') in server.wait().log


def test_a_handler_that_is_run_as_somebody_and_a_proxy_are_named(serve, pki):
    if os.getuid() != 0:
        pytest.skip('only root can change users')
    server = serve(HANDLER, '-v', '--handler-user=nobody', '--proxy-protocol', '--proxy-trusted=127.0.0.1')
    with server.connect() as connection:
        connection.sendall(b'PROXY TCP4 192.0.2.7 192.0.2.1 50122 993\r\n')
        with clients.context(pki.ca).wrap_socket(connection, server_hostname=clients.NAME) as session:
            speak(session)
    log = server.wait().log
    assert re.search(r'PROXY header: client 192\.0\.2\.7:50122, server 192\.0\.2\.1:993 \(\d+\.\d ms\)\n', log)
    assert re.search(r'client=192\.0\.2\.7:50122 handler /bin/sh is process \d+ of user \d+, nobody \(\d+\.\d ms\)\n', log)


def test_in_json_the_time_is_a_number(serve, pki):
    server = serve(HANDLER, '-v', '--log=json')
    talk(server, pki.ca, '1.3')
    found = [json.loads(line) for line in server.wait().log.splitlines()]
    timed = [line for line in found if 'ms' in line]
    assert len(timed) >= 9
    for line in timed:
        assert line['level'] == 'detail' and isinstance(line['ms'], float) and 0 <= line['ms'] < 60000
        assert 'ms)' not in line['message']
    assert [line['message'] for line in timed if line['message'].startswith('handshake is done')] == \
        ['handshake is done: TLSv1.3, a new session, ALPN not used']


def test_without_it_there_is_the_summary_only(serve, pki):
    server = serve(HANDLER)
    talk(server, pki.ca, '1.3')
    assert len(server.wait().log.splitlines()) == 1
