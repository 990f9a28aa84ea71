# SPDX-License-Identifier: GPL-2.0-or-later
"""Options that touch each other: what each one promises holds beside the other."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from harness import clientpki, clients, launch, lobby, processes, resume, tls, wait
from harness.lobby import IMAP, SMTP, Client, Recorder, counted
from harness.pki import Responder

UNKNOWN_CA, REVOKED = 48, 44    # alerts (RFC 8446 section 6)
NOTHING_STAPLED = 'OCSP response: no response sent'
TRUSTED = ['--proxy-protocol', '--proxy-trusted=127.0.0.1']
V1 = b'PROXY TCP4 192.0.2.7 198.51.100.1 50122 143\r\n'
UNKNOWN = b'PROXY UNKNOWN\r\n'
HERE = b'PROXY TCP4 192.0.2.7 192.0.2.7 50122 143\r\n'    # both ends have one address
versions = pytest.mark.parametrize('version', ['1.2', '1.3'])
modes = pytest.mark.parametrize('launcher', [launch.Direct, wait.Waiting], ids=['once per connection', 'wait mode'])


@pytest.fixture
def certs(tmp_path):
    return clientpki.ClientPki(tmp_path / 'clients')


def client(server, ca, version, pair=None, *words):
    """What openssl s_client prints of a session whose handler speaks and ends."""
    own = ['-cert', pair.cert, '-key', pair.key] if pair else []
    return tls.openssl_client(server, f'-tls{version.replace(".", "_")}', '-CAfile', ca, '-servername', 'localhost', '-ign_eof',
                              *own, *words).stdout.decode(errors='replace')


TELLS = ['/bin/sh', '-c', 'echo "user=${SSL_CLIENT_USER-none} resumed=$SSL_SESSION_RESUMED."']


def alert(said):
    found = re.search(r'SSL alert number (\d+)', said)
    return found and int(found[1])


# OCSP × client certificates

@pytest.mark.parametrize('mode', ['request', 'require'])
@pytest.mark.parametrize('from_file', [False, True], ids=['on the command line', 'in the configuration file'])
def test_ocsp_and_client_certificates_do_not_go_together(postern, pki, certs, tmp_path, mode, from_file):
    words = [*(word[2:] for word in pki.ecdsa.options()), f'ocsp={tmp_path}/response', f'client-ca={certs.bundle}',
             f'client-cert={mode}']
    (tmp_path / 'conf').write_text('\n'.join(word.replace('=', ' = ', 1) for word in words) + '\n')
    options = [f'--config={tmp_path}/conf'] if from_file else [f'--{word}' for word in words]
    for more in ([], ['--check']):
        run = subprocess.run([postern, *more, *options, '--', '/bin/cat'], stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, check=False)
        assert run.returncode == 64
        assert '--ocsp does not go together with --client-ca: ' in run.stdout + run.stderr


@versions
@modes
@pytest.mark.parametrize('mode', ['request', 'require'])
def test_issuer_in_our_own_chain_vouches_for_no_client(serve, pki, certs, mode, version, launcher):
    server = serve(TELLS, f'--client-ca={certs.bundle}', f'--client-cert={mode}', pair=pki.with_issuer, launcher=launcher)
    said = client(server, pki.ca, version, certs.issue('ann', '/CN=ann'), '-status')
    assert 'user=ann resumed=Initial.' in said and NOTHING_STAPLED in said
    said = client(server, pki.ca, version, pki.client('mallory'))
    assert alert(said) == UNKNOWN_CA and 'user=' not in said
    said = client(server, pki.ca, version)
    assert ('user=none resumed=Initial.' in said) == (mode == 'request')


@versions
def test_ocsp_response_is_read_for_each_client_in_wait_mode(serve, pki, tmp_path, version):
    responder, file = Responder(pki, tmp_path), tmp_path / 'response'
    server = serve(TELLS, f'--ocsp={file}', pair=pki.with_issuer, launcher=wait.Waiting).is_ready()
    assert NOTHING_STAPLED in client(server, pki.ca, version, None, '-status')
    shutil.copy(responder.respond(pki.with_issuer), file)
    assert 'Cert Status: good' in client(server, pki.ca, version, None, '-status')
    shutil.copy(responder.respond(pki.with_issuer, 'R'), file)
    assert NOTHING_STAPLED in client(server, pki.ca, version, None, '-status')


# Revocation × wait mode × renewal

def replace(file, source):
    shutil.copy(source, file.with_suffix('.new'))
    file.with_suffix('.new').rename(file)


@pytest.fixture
def listed(serve, certs, tmp_path):
    """A listener that lets ann in and keeps out mallory, who is revoked; and its list."""
    for name in ('ann', 'mallory'):
        certs.issue(name, f'/CN={name}')
    certs.revoke('mallory')
    file = tmp_path / 'list'
    shutil.copy(certs.crl('first'), file)
    return serve(TELLS, f'--client-ca={certs.bundle}', f'--crl={file}', launcher=wait.Waiting).is_ready(), file


def let_in(server, pki, certs, version='1.3'):
    """Of ann and mallory, those who are let in."""
    found = set()
    for name in ('ann', 'mallory'):
        said = client(server, pki.ca, version, certs.issue(name, ''))
        found |= {name} if f'user={name} ' in said else set()
        assert f'user={name} ' in said or alert(said) == REVOKED, said
    return found


@versions
def test_revocation_reaches_a_running_listener_by_sighup(listed, pki, certs, version):
    server, file = listed
    assert let_in(server, pki, certs, version) == {'ann'}
    certs.revoke('ann')
    replace(file, certs.crl('second'))
    server.tell(signal.SIGHUP)
    server.says('the new ones are used from now on')
    assert let_in(server, pki, certs, version) == set()


def test_revocation_reaches_a_running_listener_without_a_signal(listed, pki, certs):
    server, file = listed
    assert let_in(server, pki, certs) == {'ann'}
    certs.revoke('ann')
    replace(file, certs.crl('second'))
    processes.until(lambda: not let_in(server, pki, certs), 'the new list', 20)
    assert 'the new ones are used from now on' in server.log()


@pytest.mark.parametrize('damage', ['gone', 'cut', 'expired'])
def test_list_that_cannot_be_used_leaves_the_old_one_in_force(listed, pki, certs, damage):
    server, file = listed
    if damage == 'gone':
        file.unlink()
    elif damage == 'cut':
        os.truncate(file, 200)
    else:
        replace(file, certs.crl('old', dates=('20240101000000Z', '20240102000000Z')))
    server.tell(signal.SIGHUP)
    server.says('the old ones are kept')
    assert let_in(server, pki, certs) == {'ann'}
    certs.revoke('ann')
    replace(file, certs.crl('second'))
    server.tell(signal.SIGHUP)
    server.says('the new ones are used from now on')
    assert let_in(server, pki, certs) == set()


def test_client_ca_is_renewed_with_the_certificate_and_a_session_that_goes_on_stays(serve, pki, certs, tmp_path):
    certs.authority('new', '/CN=New root')
    old, new = certs.issue('ann', '/CN=ann'), certs.issue('bob', '/CN=bob', 'new')
    file = tmp_path / 'ca'
    shutil.copy(certs.bundle, file)
    server = serve(['/bin/sh', '-c', 'echo "user=$SSL_CLIENT_USER "; test $SSL_CLIENT_USER = bob || exec cat'], f'--client-ca={file}',
                   launcher=wait.Waiting).is_ready()
    context = clients.context(pki.ca)
    context.load_cert_chain(old.cert, old.key)
    with tls.Client(server, pki.ca, context=context) as session:
        assert session.take(10) == b'user=ann \n'
        replace(file, certs.path('new'))
        server.tell(signal.SIGHUP)
        server.says('the new ones are used from now on')
        assert alert(client(server, pki.ca, '1.3', old)) == UNKNOWN_CA
        assert 'user=bob ' in client(server, pki.ca, '1.3', new)
        session.send(b'still here')
        assert session.take(10) == b'still here'
        session.close_notify()
        session.ends_in_order()


# Tickets × client certificates

@versions
@modes
def test_client_with_a_certificate_is_looked_at_each_time_though_there_are_tickets(
        serve, pki, certs, postern, tmp_path, version, launcher):
    """A ticket from a server that asks for none leads nowhere here."""
    tickets = f'--tickets={resume.new_key(postern, tmp_path / "tickets")}'
    ann, session = certs.issue('ann', '/CN=ann'), tmp_path / 'session'
    careless = serve(TELLS, tickets, launcher=launcher)
    assert 'resumed=Initial.' in client(careless, pki.ca, version, ann, '-sess_out', session)
    assert 'resumed=Resumed.' in client(careless, pki.ca, version, ann, '-sess_in', session)
    careful = serve(TELLS, tickets, f'--client-ca={certs.bundle}', launcher=launcher)
    assert 'user=ann resumed=Initial.' in client(careful, pki.ca, version, ann, '-sess_in', session)
    said = client(careful, pki.ca, version, None, '-sess_in', session)
    assert 'user=' not in said and alert(said)


# PROXY × policies × limits

@pytest.fixture
def proxied(serve, tmp_path):
    """proxied(header, dialect, option...): a client in the lobby behind this header, and its server."""
    def start(header, dialect, *options):
        recorder = Recorder(tmp_path / 'records', dialect.service)
        server = serve(recorder.command, dialect.option, f'--name={lobby.HOST}', *TRUSTED, *options)
        server.recorder = recorder
        the_client = counted(Client(server))
        the_client.socket.sendall(header)
        return server, the_client
    return start


@pytest.mark.parametrize('policy', ['required', 'auth'])
@pytest.mark.parametrize('header, trusted, yes', [
    (V1, '192.0.2.0/24', True), (V1, '127.0.0.0/8', False), (V1, 'local', False), (HERE, 'local', False),
    (HERE, '192.0.2.7', True), (UNKNOWN, '127.0.0.1', False), (UNKNOWN, 'local', False), (UNKNOWN, '0.0.0.0/0', False),
])
def test_policy_is_that_for_the_client_of_the_header(proxied, policy, header, trusted, yes):
    """And `local' is nobody: the proxy's word about where its client has come to is no place on this machine."""
    server, the_client = proxied(header, IMAP, f'--policy={policy}', f'--trusted={trusted}')
    with the_client:
        the_client.up_to(lobby.WELCOME)
        the_client.ask(IMAP.leave, 'z OK handler did' if yes else r'z NO \[PRIVACYREQUIRED\] .+')
        the_client.fin()
        assert the_client.rest() == b''
    end = server.wait()
    assert (end.summary['start'], end.summary['end']) == (('plaintext', 'client-close') if yes else ('starttls', 'left'))
    assert (end.summary['in'], end.summary['out']) == (str(the_client.sent), str(the_client.came)), 'the header is not counted'
    assert (end.summary['client'] == '192.0.2.7:50122') == (header is not UNKNOWN)


@pytest.mark.parametrize('policy', ['required', 'auth', 'optional'])
def test_header_is_no_command_and_takes_none_of_the_lobbys_time(proxied, policy):
    server, the_client = proxied(V1, SMTP, f'--policy={policy}', '--timeout-lobby=1')
    with the_client:
        the_client.up_to(lobby.WELCOME)
        for _ in range(20):
            the_client.ask(SMTP.noop, SMTP.done)
        the_client.send(SMTP.noop)
        the_client.closes_with(SMTP.too_many)
    end = server.wait()
    assert end.summary['end'] == 'protocol-error'
    assert end.summary['client'] == '192.0.2.7:50122'


def test_lobby_behind_a_header_ends_in_time(proxied):
    server, the_client = proxied(V1, SMTP, '--policy=auth', '--timeout-lobby=1', '--timeout-handshake=60')
    with the_client:
        the_client.up_to(lobby.WELCOME)
        the_client.closes_with(SMTP.timeout)
    assert server.wait().summary['end'] == 'timeout-lobby'


# UCSPI-TLS × grace, idle and session time

UCSPI = '''
import os, signal, sys, time
if 'stubborn' in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(int(os.environ['SSLCTLFD']), b'y')
read, write = int(os.environ['SSLREADFD']), int(os.environ['SSLWRITEFD'])
while data := os.read(read, 1000):
    os.write(write, data)
if 'over' in sys.argv:
    try:
        os.write(write, b'over')
    finally:
        os._exit(7)
time.sleep(1000)
'''


@pytest.fixture
def asks(serve, pki):
    """asks(option..., does=...): a session inside TLS with a UCSPI-TLS handler that goes on when its client has left."""
    def start(*options, does=''):
        server = serve(lobby.python(UCSPI, does), '--ucspi-tls', *options)
        the_client = tls.Client(server, pki.ca)
        the_client.send(b'hello')
        assert the_client.take(5) == b'hello'
        return server, the_client
    return start


def test_ucspi_handler_that_goes_on_without_its_client_gets_sigterm_after_its_grace_and_then_sigkill(asks):
    server, the_client = asks('--timeout-grace=1')
    stubborn, other = asks('--timeout-grace=1', does='stubborn')
    for each in (the_client, other):
        each.close_notify()
    for each in (the_client, other):
        each.ends_in_order()
        each.socket.close()
    end = server.wait()
    assert (end.status, end.summary['end']) == (128 + signal.SIGTERM, 'client-close')
    assert 'goes on without its client: SIGTERM' in end.log and 'SIGKILL' not in end.log
    end = stubborn.wait()
    assert (end.status, end.summary['end']) == (128 + signal.SIGKILL, 'client-close')
    assert 'ignores SIGTERM: SIGKILL' in end.log


@pytest.mark.parametrize('option, ending', [('--timeout-idle=1', 'timeout-idle'), ('--timeout-session=1', 'timeout-session')])
def test_ucspi_session_ends_in_time_and_its_handler_can_still_end_well(asks, option, ending):
    server, the_client = asks(option, does='over')
    the_client.ends_in_order()
    the_client.socket.close()
    end = server.wait()
    assert (end.status, end.summary['end']) == (7, ending)
    assert (end.summary['in'], end.summary['out']) == ('5', '5')


def test_ucspi_session_that_is_stopped_delivers_what_its_handler_still_says(asks):
    server, the_client = asks(does='over')
    server.process().send_signal(signal.SIGTERM)
    the_client.rest()
    the_client.socket.close()
    assert server.wait().summary['end'] == 'sigterm'
