# SPDX-License-Identifier: GPL-2.0-or-later
"""Client certificates: who is let in and by which name, who is refused, by which alert and in which words."""

import hashlib
import imaplib
import re
import socket
import ssl
import subprocess
from dataclasses import dataclass, field
from typing import Callable

import pytest

from harness import clientpki, clients, tls
from harness.dialogues import Talk
from harness.clientpki import AUTHORITY, CLIENT, FUTURE, PAST, without

VERSIONS = ['1.2', '1.3']
NO_KEY_ID = [*without(CLIENT, 'authority'), 'authorityKeyIdentifier=none']
PRINT = ['/usr/bin/env', '-0']

HANDSHAKE_FAILURE, BAD, UNSUPPORTED, REVOKED, EXPIRED, UNKNOWN_CA, REQUIRED = 40, 42, 43, 44, 45, 48, 116


@pytest.fixture(scope='session')
def certs(tmp_path_factory):
    return clientpki.ClientPki(tmp_path_factory.mktemp('clients'))


@pytest.fixture
def gate(serve, certs):
    """gate(handler, option...) asks for certificates of our root."""
    def start(handler, *options, ca=None, **more):
        return serve(handler, f'--client-ca={ca or certs.bundle}', *options, **more)
    return start


def environment(text):
    """What env -0 has printed, as a dictionary of bytes."""
    return dict(entry.partition(b'=')[::2] for entry in text.split(b'\0') if entry)


def connect(server, ca, version, pair=None):
    """Python's client: everything that the handler writes."""
    context = clients.context(ca, version)
    context.set_ciphers('DEFAULT@SECLEVEL=0')
    if pair:
        context.load_cert_chain(pair.cert, pair.key)
    with tls.Client(server, ca, context=context) as client:
        return client.rest()


def told(gate, pki, pair, version='1.3', *options, **more):
    """What a handler is told of this client."""
    server = gate(PRINT, *options, **more)
    got = environment(connect(server, pki.ca, version, pair))
    ended = server.wait()
    assert ended.status == 0, ended.log
    return got, ended


def openssl(server, ca, version, pair=None, *words):
    """openssl s_client, at whatever security level: what it printed."""
    if pair:
        rest = pair.cert.with_suffix('.rest')
        blocks = re.findall(r'-----BEGIN.*?END CERTIFICATE-----\n', pair.cert.read_text(), re.DOTALL)
        rest.write_text(''.join(blocks[1:]))
        words = ['-cert', pair.cert, '-key', pair.key, *(['-cert_chain', rest] if blocks[1:] else []), *words]
    return tls.openssl_client(server, f'-tls{version.replace(".", "_")}', '-CAfile', ca, '-quiet', '-servername',
                              'localhost', '-cipher', 'DEFAULT@SECLEVEL=0', *words).stdout.decode(errors='replace')


def refused(server, output):
    """The alert that the client saw, and the line of the log."""
    ended = server.wait()
    assert ended.status == 76, ended.log
    assert ended.summary['end'] == 'handshake-failed' and 'handler' not in ended.summary
    alert = re.search(r'SSL alert number (\d+)', output)
    assert alert, output
    lines = [line for line in ended.log.splitlines() if 'handshake failed: ' in line]
    assert len(lines) == 1, ended.log
    return int(alert[1]), lines[0].partition('handshake failed: ')[2]


# Who is let in

GOOD = {
    'ecdsa': lambda c: c.issue('alice', '/O=Example/CN=alice'),
    'rsa': lambda c: c.issue('alice-rsa', '/CN=alice', kind='rsa'),
    'ed25519': lambda c: c.issue('alice-ed25519', '/CN=alice', kind='ed25519'),
    'without extendedKeyUsage': lambda c: c.issue('alice-plain', '/CN=alice', extensions=['basicConstraints=CA:FALSE']),
    'of an intermediate CA': lambda c: (
        c.authority('middle', '/CN=Middle', 'root'),
        c.issue('alice-middle', '/CN=alice', 'middle', chain=['middle']))[1],
    'with the root in its chain': lambda c: c.issue('alice-root', '/CN=alice', chain=['root']),
}


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('name', GOOD)
def test_a_good_certificate_is_accepted_and_names_its_user(gate, pki, certs, name, version):
    pair = GOOD[name](certs)
    got, ended = told(gate, pki, pair, version)
    assert got[b'SSL_CLIENT_VERIFY'] == b'SUCCESS'
    assert got[b'SSL_CLIENT_USER'] == got[b'SSL_CLIENT_S_DN_CN'] == b'alice'
    assert (ended.summary['client-cert'], ended.summary['user']) == ('ok', 'alice')


@pytest.mark.parametrize('version', VERSIONS)
def test_the_handler_is_told_what_openssl_reads_in_the_certificate(gate, pki, certs, version):
    pair = certs.issue('whole', '/C=DE/O=Example\\, Inc./OU=a+OU=b/CN=alice', chain=())
    got, _ = told(gate, pki, pair, version)

    def read(*words):
        run = subprocess.run(['openssl', 'x509', '-in', pair.cert, '-noout', '-nameopt', 'RFC2253,-esc_msb', *words],
                             capture_output=True, check=True)
        return run.stdout.strip().partition(b'=')[2]
    der = ssl.PEM_cert_to_DER_cert(pair.cert.read_text())
    assert got[b'SSL_CLIENT_S_DN'] == read('-subject')
    assert got[b'SSL_CLIENT_I_DN'] == read('-issuer') == b'CN=Client root'
    assert got[b'SSL_CLIENT_M_SERIAL'] == read('-serial')
    assert got[b'SSL_CLIENT_FINGERPRINT'].decode() == hashlib.sha256(der).hexdigest()
    assert got[b'SSL_PEER_CERT_HASH'] == b'SHA256:' + got[b'SSL_CLIENT_FINGERPRINT']
    assert got[b'SSL_PEER_CERT_SUBJECT'] == got[b'SSL_CLIENT_S_DN']


CLIENT_NAMES = ['SSL_CLIENT_S_DN', 'SSL_CLIENT_S_DN_CN', 'SSL_CLIENT_I_DN', 'SSL_CLIENT_M_SERIAL',
                'SSL_CLIENT_FINGERPRINT', 'SSL_CLIENT_USER', 'SSL_PEER_CERT_HASH', 'SSL_PEER_CERT_SUBJECT']


@pytest.mark.parametrize('version', VERSIONS)
def test_with_request_a_client_may_come_without_a_certificate(gate, pki, version):
    got, ended = told(gate, pki, None, version, '--client-cert=request',
                      environment={name: 'forged' for name in CLIENT_NAMES})
    assert got[b'SSL_CLIENT_VERIFY'] == b'NONE'
    assert not [name for name in CLIENT_NAMES if name.encode() in got]
    assert ended.summary['client-cert'] == 'none' and 'user' not in ended.summary


@pytest.mark.parametrize('version', VERSIONS)
def test_without_client_ca_no_certificate_is_asked_for(serve, pki, certs, version):
    server = serve(PRINT)
    got = environment(connect(server, pki.ca, version, GOOD['ecdsa'](certs)))
    assert got[b'SSL_CLIENT_VERIFY'] == b'NONE'
    assert 'client-cert' not in server.wait().summary


@pytest.mark.parametrize('version', VERSIONS)
def test_gnutls_cli_is_let_in(gate, pki, certs, version):
    pair = GOOD['rsa'](certs)
    server = gate(['/bin/sh', '-c', 'echo "user=$SSL_CLIENT_USER"; read line; echo "$line"'])
    with clients.gnutls_cli(server, pki.ca, version, f'--x509certfile={pair.cert}', f'--x509keyfile={pair.key}') as talk:
        talk.expect('user=alice')
        talk.ask('hello', 'hello')
    assert server.wait().summary['user'] == 'alice'


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('words', [[], ['--starttls=imap']], ids=['immediate', 'starttls'])
def test_openssl_s_client_is_let_in(gate, pki, certs, words, version):
    pair = GOOD['ecdsa'](certs)
    handler = ['/bin/sh', '-c', r'printf "* OK %s\r\n" "$SSL_CLIENT_USER"; read x; printf "x OK %s\r\n" "$SSL_CLIENT_USER"']
    server = gate(handler, *words)
    more = ['-cert', pair.cert, '-key', pair.key, *(['-starttls', 'imap'] if words else [])]
    with clients.s_client(server, pki.ca, version, *more) as talk:
        if not words:
            talk.expect(r'\* OK alice')
        talk.ask('x NOOP', 'x OK alice')
    ended = server.wait()
    assert (ended.summary['start'], ended.summary['user']) == ('starttls' if words else 'immediate', 'alice')


# A login without a password

LOGIN = '''case $SSL_CLIENT_USER in
    u[0-9]|u[0-9][0-9]) ;;
    *) printf '* BYE nobody here of that name\\r\\n'; exit 1 ;;
esac
exec %s'''


@pytest.fixture
def mailbox(daemon):
    """Dovecot's imap for whoever the certificate names; and the name of the user who has mail."""
    argv = daemon('dovecot-imap').argv
    user = next(word.partition('=')[2] for word in argv if word.startswith('USER='))
    words = [f'"{word}"'.replace(f'USER={user}', 'USER=$SSL_CLIENT_USER').replace(f'/home/{user}', '/home/$SSL_CLIENT_USER')
             for word in argv]
    return ['/bin/sh', '-c', LOGIN % ' '.join(words)], user


class Imap(imaplib.IMAP4_SSL):
    """imaplib with a certificate of its own."""

    def __init__(self, server, ca, version, pair):
        self.server = server
        context = clients.context(ca, version)
        context.load_cert_chain(pair.cert, pair.key)
        super().__init__(clients.NAME, server.port, ssl_context=context)

    def _create_socket(self, timeout):
        return self.ssl_context.wrap_socket(self.server.connect(20), server_hostname=clients.NAME)


@pytest.mark.parametrize('version', VERSIONS)
def test_a_certificate_logs_its_user_in_to_dovecots_imap(gate, pki, certs, mailbox, version):
    handler, user = mailbox
    server = gate(handler)
    imap = Imap(server, pki.ca, version, certs.issue(f'login-{user}', f'/CN={user}'))
    assert imap.state == 'AUTH'     # PREAUTH
    assert imap.select() == ('OK', [b'3'])
    imap.logout()
    assert server.wait().summary['user'] == user


def test_curl_fetches_mail_by_its_certificate_alone(gate, pki, certs, mailbox):
    handler, user = mailbox
    server = gate(handler)
    pair = certs.issue(f'login-{user}', f'/CN={user}')
    text = clients.curl(server, pki.ca, '1.3', 'imaps', 'INBOX;MAILINDEX=1', '--cert', str(pair.cert), '--key', str(pair.key))
    assert b'Subject:' in text
    assert server.wait().summary['user'] == user


def test_a_handler_can_turn_a_certificate_away_that_names_nobody_it_knows(gate, pki, certs, mailbox):
    handler, _ = mailbox
    server = gate(handler)
    with pytest.raises(imaplib.IMAP4.error, match='nobody here'):
        Imap(server, pki.ca, '1.3', GOOD['ecdsa'](certs))
    assert server.wait().status == 1


def test_ucspi_tls_hands_the_same_names_to_its_handler(gate, pki, certs, tmp_path):
    pair = GOOD['ecdsa'](certs)
    script = tmp_path / 'handler.py'
    script.write_text('import os\ncontrol, read, write = (int(os.environ[name]) for name in '
                      '("SSLCTLFD", "SSLREADFD", "SSLWRITEFD"))\nos.write(control, b"Y")\nblock = b""\n'
                      'while not block.endswith(b"\\0\\0"):\n    block += os.read(control, 4096)\nos.write(write, block)\n')
    server = gate(['/usr/bin/python3', str(script)], '--ucspi-tls')
    got = environment(connect(server, pki.ca, '1.3', pair))
    assert (got[b'SSL_CLIENT_VERIFY'], got[b'SSL_CLIENT_USER'], got[b'SSL_CLIENT_I_DN']) == (
        b'SUCCESS', b'alice', b'CN=Client root')
    assert server.wait().summary['client-cert'] == 'ok'


# Who is refused

@dataclass
class Bad:
    """A client that is refused: its certificate, the alerts that it gets, and what the log says."""
    make: Callable
    alerts: tuple
    says: str
    options: list = field(default_factory=list)


BADS = {
    'none at all': Bad(lambda c: None, (HANDSHAKE_FAILURE, REQUIRED), r'client gave no certificate \(--client-cert=require\)'),
    'expired': Bad(lambda c: c.issue('old', '/CN=old', dates=PAST), (EXPIRED, EXPIRED),
                   'client certificate CN=old: expired on 2024-01-02'),
    'not yet valid': Bad(lambda c: c.issue('early', '/CN=early', dates=FUTURE), (EXPIRED, EXPIRED),
                         'client certificate CN=early: not valid before 2090-01-01'),
    'of an unknown CA': Bad(lambda c: (c.authority('other', '/CN=Other root'), c.issue('other-alice', '/CN=alice', 'other'))[1],
                            (UNKNOWN_CA, UNKNOWN_CA), 'client certificate CN=alice: its issuer CN=Other root is not in --client-ca'),
    'of an unknown CA, with its chain': Bad(
        lambda c: (c.authority('other', '/CN=Other root'), c.authority('other-middle', '/CN=Other middle', 'other'),
                   c.issue('other-mallory', '/CN=alice', 'other-middle', chain=['other-middle', 'other']))[2],
        (UNKNOWN_CA, UNKNOWN_CA), 'client certificate CN=alice: its issuer CN=Other middle is not in --client-ca'),
    'of a CA that only has the name of ours': Bad(
        lambda c: (c.authority('twin', '/CN=Client root'), c.issue('twin-alice', '/CN=alice', 'twin'))[1],
        (UNKNOWN_CA, UNKNOWN_CA), 'client certificate CN=alice: its issuer CN=Client root is not in --client-ca'),
    'with a forged signature': Bad(
        lambda c: (c.authority('twin', '/CN=Client root'),
                   c.issue('forged-alice', '/CN=alice', 'twin', extensions=NO_KEY_ID))[1],
        (BAD, BAD), 'client certificate CN=alice: its signature is not that of its issuer CN=Client root'),
    'self-signed': Bad(lambda c: c.issue('self', '/CN=self', None, without(CLIENT, 'authority')), (UNKNOWN_CA, BAD),
                       'client certificate CN=self: self-signed: its issuer CN=self is not in --client-ca'),
    'for servers': Bad(lambda c: c.issue('server', '/CN=server', extensions=['extendedKeyUsage=serverAuth']),
                       (UNSUPPORTED, BAD), r'client certificate CN=server: not meant for clients \(extendedKeyUsage'),
    'whose key must not sign': Bad(lambda c: c.issue('mute', '/CN=mute', extensions=['keyUsage=keyEncipherment']),
                                   (UNSUPPORTED, BAD), r'client certificate CN=mute: its key must not sign \(keyUsage'),
    "a CA's own": Bad(lambda c: c.authority('ca-leaf', '/CN=CA', 'root', [*AUTHORITY, 'extendedKeyUsage=clientAuth']),
                      (UNSUPPORTED, BAD), "client certificate CN=CA: "),
    'of a client that plays CA': Bad(
        lambda c: (c.issue('alice', '/O=Example/CN=alice'),
                   c.issue('by-alice', '/CN=root', 'alice', without(CLIENT, 'authority'), chain=['alice']))[1],
        (UNKNOWN_CA, UNKNOWN_CA), 'client certificate CN=root: its issuer .*CN=alice.* is no CA'),
    'of a CA that must not make certificates': Bad(
        lambda c: (c.authority('mute-ca', '/CN=Mute', 'root', ['basicConstraints=CA:TRUE', 'keyUsage=cRLSign']),
                   c.issue('by-mute', '/CN=alice', 'mute-ca', without(CLIENT, 'authority'), chain=['mute-ca']))[1],
        (BAD, BAD), 'client certificate CN=alice: its issuer CN=Mute is no CA'),
    'below a path that is too long': Bad(
        lambda c: (c.authority('short', '/CN=Short', 'root', ['basicConstraints=critical,CA:TRUE,pathlen:0', *AUTHORITY[1:]]),
                   c.authority('long', '/CN=Long', 'short'),
                   c.issue('deep', '/CN=deep', 'long', chain=['long', 'short']))[2],
        (BAD, BAD), 'client certificate CN=deep: in its chain, CN=Long: more CAs below one another'),
    'of an intermediate CA that has expired': Bad(
        lambda c: (c.authority('old-middle', '/CN=Old middle', 'root', dates=PAST),
                   c.issue('old-alice', '/CN=alice', 'old-middle', chain=['old-middle']))[1],
        (EXPIRED, EXPIRED), 'client certificate CN=alice: in its chain, CN=Old middle: expired on 2024-01-02'),
    'of an intermediate CA for servers': Bad(
        lambda c: (c.authority('web', '/CN=Web CA', 'root', [*AUTHORITY, 'extendedKeyUsage=serverAuth']),
                   c.issue('web-alice', '/CN=alice', 'web', chain=['web']))[1],
        (UNSUPPORTED, BAD), 'client certificate CN=alice: in its chain, CN=Web CA: not meant for clients'),
    'signed with SHA-1': Bad(lambda c: c.issue('sha1', '/CN=sha1', digest='sha1'), (BAD, BAD),
                             'client certificate CN=sha1: signed with SHA-1 or MD5'),
    'of an intermediate CA signed with SHA-1': Bad(
        lambda c: (c.authority('sha1-middle', '/CN=SHA-1 middle', 'root', digest='sha1'),
                   c.issue('sha1-alice', '/CN=alice', 'sha1-middle', chain=['sha1-middle']))[1],
        (BAD, BAD), 'client certificate CN=alice: in its chain, CN=SHA-1 middle: signed with SHA-1 or MD5'),
    'with RSA of 1024 bits': Bad(lambda c: c.issue('weak', '/CN=weak', kind='rsa:1024'), (BAD, BAD),
                                 'client certificate CN=weak: an RSA key of less than 2048 bits'),
    'with RSA of 2040 bits': Bad(lambda c: c.issue('weak-2040', '/CN=weak', kind='rsa:2040'), (BAD, BAD),
                                 'client certificate CN=weak: an RSA key of less than 2048 bits'),
    'without any extension': Bad(lambda c: c.issue('v1', '/CN=v1', extensions=[]), (UNSUPPORTED, BAD),
                                 'client certificate CN=v1: not of X.509 version 3'),
    'with more certificates than any chain has': Bad(
        lambda c: c.issue('many', '/CN=many', chain=['root'] * 6), (BAD, BAD),
        'client certificate CN=many: too many certificates in its chain'),
    'with far more certificates': Bad(
        lambda c: c.issue('flood', '/CN=flood', chain=['root'] * 30), (BAD, BAD),
        'client certificate CN=flood: too many certificates in its chain'),
}


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('name', BADS)
def test_a_bad_certificate_is_refused_with_the_right_alert_and_words(gate, pki, certs, name, version):
    bad = BADS[name]
    pair = bad.make(certs)
    server = gate(PRINT, *bad.options)
    alert, line = refused(server, openssl(server, pki.ca, version, pair))
    assert re.match(bad.says, line), line
    assert alert == bad.alerts[VERSIONS.index(version)], line


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('name', ['expired', 'of an unknown CA', 'self-signed', 'for servers', 'signed with SHA-1'])
def test_with_request_a_bad_certificate_is_refused_and_not_overlooked(gate, pki, certs, name, version):
    server = gate(PRINT, '--client-cert=request')
    alert, line = refused(server, openssl(server, pki.ca, version, BADS[name].make(certs)))
    assert re.match(BADS[name].says, line) and alert == BADS[name].alerts[VERSIONS.index(version)]


@pytest.mark.parametrize('version', VERSIONS)
def test_a_bad_certificate_is_refused_after_starttls(gate, pki, certs, version):
    server = gate(['/bin/sh', '-c', 'echo "* OK"; cat'], '--starttls=imap')
    alert, line = refused(server, openssl(server, pki.ca, version, BADS['expired'].make(certs), '-starttls', 'imap'))
    assert alert == EXPIRED and 'expired on 2024-01-02' in line


# The library sends no alert for what it cannot decode or does not understand.
UNREADABLE = {
    'with a critical extension that nobody knows': (
        lambda c: c.issue('strange', '/CN=strange', extensions=[*CLIENT, '1.2.3.4=critical,ASN1:NULL']),
        'client certificate: a critical extension that is not understood'),
    'with a name of very many parts': (
        lambda c: c.issue('parts', '/CN=alice' + ''.join(f'/OU={n}' for n in range(40))),
        'client certificate: the TLS library cannot decode it: ASN parsing error'),
}


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('name', UNREADABLE)
def test_a_certificate_that_is_not_understood_is_refused(gate, pki, certs, name, version):
    make, says = UNREADABLE[name]
    server = gate(PRINT, '--client-cert=request')
    openssl(server, pki.ca, version, make(certs))
    ended = server.wait()
    assert ended.status == 76 and f'handshake failed: {says}' in ended.log


@pytest.mark.parametrize('version', VERSIONS)
def test_a_certificate_with_bytes_that_are_not_signed_is_refused(gate, pki, certs, version):
    """It would be as good, with another fingerprint."""
    pair = certs.issue(f'unsigned-{version}', '/CN=alice')
    outer = clientpki.elements(ssl.PEM_cert_to_DER_cert(pair.cert.read_text()))[0][1]
    body, algorithm, signature = clientpki.elements(outer)
    other = clientpki.element(0x30, body[2] + clientpki.element(0x30, algorithm[1] + b'\5\0') + signature[2])
    pair.cert.write_text(ssl.DER_cert_to_PEM_cert(other))
    server = gate(PRINT)
    openssl(server, pki.ca, version, pair)
    ended = server.wait()
    assert ended.status == 76 and 'handler' not in ended.summary
    assert 'handshake failed: client certificate' in ended.log


# Revocation

def listed(certs, name, *revoked, **more):
    """A CA of its own with clients alice and mallory, of whom `revoked` are; its certificate and its list."""
    root = f'crl-{name}'
    certs.authority(root, f'/CN=Root {name}')
    for user in ('alice', 'mallory'):
        certs.issue(f'{root}-{user}', f'/CN={user}', root)
    for user in revoked:
        certs.revoke(f'{root}-{user}', root)
    crl = certs.crl(root, root, **more)
    return certs.path(root), crl, lambda user: certs.issue(f'{root}-{user}', '')


@pytest.mark.parametrize('version', VERSIONS)
def test_who_is_revoked_is_refused_and_others_are_not(gate, pki, certs, version):
    ca, crl, of = listed(certs, 'plain' + version, 'mallory')
    assert told(gate, pki, of('alice'), version, f'--crl={crl}', ca=ca)[0][b'SSL_CLIENT_USER'] == b'alice'
    server = gate(PRINT, f'--crl={crl}', ca=ca)
    alert, line = refused(server, openssl(server, pki.ca, version, of('mallory')))
    assert alert == REVOKED
    assert line == f'client certificate CN=mallory: revoked by its issuer CN=Root plain{version}'


def test_an_intermediate_ca_can_be_revoked(gate, pki, certs):
    certs.authority('r', '/CN=R')
    certs.authority('r-middle', '/CN=R middle', 'r')
    pair = certs.issue('r-alice', '/CN=alice', 'r-middle', chain=['r-middle'])
    certs.revoke('r-middle', 'r')
    server = gate(PRINT, f'--crl={certs.crl("r", "r")}', ca=certs.path('r'))
    alert, line = refused(server, openssl(server, pki.ca, '1.3', pair))
    assert alert == REVOKED
    assert line == 'client certificate CN=alice: in its chain, CN=R middle: revoked by its issuer CN=R'


def test_with_lists_for_a_whole_chain_its_client_is_let_in(gate, pki, certs):
    certs.authority('s', '/CN=S')
    certs.authority('s-middle', '/CN=S middle', 's')
    pair = certs.issue('s-alice', '/CN=alice', 's-middle', chain=['s-middle'])
    both = certs.path('s-both', 'crl')
    both.write_bytes(certs.crl('s', 's').read_bytes() + certs.crl('s-middle', 's-middle').read_bytes())
    cas = damaged(certs, 's', certs.path('s').read_bytes() + certs.path('s-middle').read_bytes())
    got, _ = told(gate, pki, pair, '1.3', f'--crl={both}', ca=cas)
    assert got[b'SSL_CLIENT_USER'] == b'alice'


def test_a_ca_without_a_list_is_refused_and_no_list_is_fetched(gate, pki, certs):
    with socket.create_server(('127.0.0.1', 0)) as web:
        web.settimeout(0.2)
        where = f'crlDistributionPoints=URI:http://127.0.0.1:{web.getsockname()[1]}/list.crl'
        pair = certs.issue('fetch', '/CN=fetch', extensions=[*CLIENT, where])
        _, crl, _ = listed(certs, 'elsewhere')
        server = gate(PRINT, f'--crl={crl}')
        alert, line = refused(server, openssl(server, pki.ca, '1.3', pair))
        assert line == 'client certificate CN=fetch: no current revocation list of its issuer CN=Client root in --crl'
        assert alert == BAD
        with pytest.raises(TimeoutError):
            web.accept()


# Names, as handlers get them. "X" is replaced in the certificate itself.

def name_of(certs, name, subject, *changes, **more):
    return certs.patched(f'name-{name}', subject, *changes, **more) if changes else certs.issue(f'name-{name}', subject, **more)


@dataclass
class Named:
    make: Callable
    dn: str
    cn: str
    user: str = None


NAMES = {
    'UTF-8': Named(lambda c: name_of(c, 'utf8', '/CN=Jürgen Groß'), 'CN=Jürgen Groß', 'Jürgen Groß'),
    'NUL': Named(lambda c: name_of(c, 'nul', '/CN=bank.comX.evil.com', (b'bank.comX', b'bank.com\0')),
                 r'CN=bank.com\00.evil.com', r'bank.com\00.evil.com'),
    'control bytes': Named(lambda c: name_of(c, 'control', '/CN=aliceX\u0100Y', (b'aliceX', b'alice\n'), ('\u0100Y'.encode(), b'\xc2\x85\x7f')),
                           r'CN=alice\0A\C2\85\7F', r'alice\0A\C2\85\7F'),
    'escape codes': Named(lambda c: name_of(c, 'escape', '/CN=Xc alice', (b'Xc alice', b'\x1bc alice')),
                          r'CN=\1Bc alice', r'\1Bc alice'),
    'no UTF-8': Named(lambda c: c.patched('name-bytes', '', (b'aliceXY', b'alice\xff\xc4'), mask='MASK:0x2', fields=['CN = aliceXY']),
                      r'CN=alice\FF\C4', r'alice\FF\C4'),
    'what has a meaning': Named(lambda c: name_of(c, 'meaning', '/CN=alice\\,CN=root'), r'CN=alice\,CN=root', 'alice,CN=root'),
    'a backslash': Named(lambda c: name_of(c, 'backslash', r'/CN=a\\0A'), r'CN=a\\0A', r'a\\0A'),
    'spaces around': Named(lambda c: name_of(c, 'spaces', '/CN=X alice X', (b'X alice X', b'  alice  ')),
                           r'CN=\  alice \ ', '  alice  '),
    'BMPString': Named(lambda c: c.issue('bmp', '', mask='MASK:0x800', fields=['CN = Jürgen']), 'CN=Jürgen', 'Jürgen'),
    'BMPString, plain': Named(lambda c: c.issue('bmp2', '', mask='MASK:0x800', fields=['CN = alice']), 'CN=alice', 'alice', 'alice'),
    'T61String': Named(lambda c: c.issue('t61', '', mask='MASK:0x4', fields=['CN = Jürgen']), 'CN=Jürgen', 'Jürgen'),
    'UniversalString': Named(lambda c: c.issue('universal', '', mask='MASK:0x100', fields=['CN = Jürgen']), 'CN=Jürgen', 'Jürgen'),
    'two common names': Named(lambda c: name_of(c, 'two', '/CN=alice/OU=x/CN=root'), 'OU=x,CN=root,CN=alice', 'alice'),
    'none': Named(lambda c: name_of(c, 'none', '/O=Example'), 'O=Example', None),
    'a way up': Named(lambda c: name_of(c, 'up', '/CN=..\\/root'), 'CN=../root', '../root'),
    'an option': Named(lambda c: name_of(c, 'option', '/CN=-rf'), 'CN=-rf', '-rf'),
    'a command': Named(lambda c: name_of(c, 'command', '/CN=$(reboot)'), 'CN=$(reboot)', '$(reboot)'),
    'a mail address': Named(lambda c: name_of(c, 'mail', '/CN=alice\\+tag@example.org'),
                            r'CN=alice\+tag@example.org', 'alice+tag@example.org', 'alice+tag@example.org'),
    'more than fits': Named(lambda c: c.issue('long-name', '/CN=alice' + ''.join(f'/OU={"ü" * 64}' for _ in range(9))), None, 'alice', 'alice'),
}


@pytest.mark.parametrize('name', NAMES)
def test_a_name_reaches_the_handler_whole_and_clean(gate, pki, certs, name):
    case = NAMES[name]
    got, ended = told(gate, pki, case.make(certs))
    dn = got.get(b'SSL_CLIENT_S_DN')
    if case.dn and not case.dn.startswith('CN='):
        assert dn.decode() == case.dn
    else:
        assert (dn and dn.decode()) == case.dn
    cn, user = got.get(b'SSL_CLIENT_S_DN_CN'), got.get(b'SSL_CLIENT_USER')
    assert (cn and cn.decode()) == case.cn
    assert (user and user.decode()) == case.user
    assert got[b'SSL_CLIENT_VERIFY'] == b'SUCCESS'
    assert ended.log.isascii() and ended.summary.get('user') == case.user
    assert ('no SSL_CLIENT_USER by --client-name=cn' in ended.log) == (case.user is None)


@pytest.mark.parametrize('name', ['NUL', 'control bytes', 'escape codes', 'UTF-8'])
def test_a_refused_name_is_escaped_in_the_log(gate, pki, certs, name):
    pair = NAMES[name].make(certs)
    certs.authority('other', '/CN=Other root')
    server = gate(PRINT, ca=certs.path('other'))
    _, line = refused(server, openssl(server, pki.ca, '1.3', pair))
    assert line.isascii() and line.isprintable() and line.startswith('client certificate CN=')


SAN = 'subjectAltName='
MS_UPN = 'otherName:1.3.6.1.4.1.311.20.2.3;UTF8:'
PARTS = {
    ('email', SAN + 'email:alice@example.org'): 'alice@example.org',
    ('email', SAN + 'DNS:host.example.org,email:alice@example.org,URI:urn:x'): 'alice@example.org',
    ('email', SAN + 'email:alice@example.org,email:root@example.org'): None,
    ('email', SAN + 'DNS:host.example.org'): 'subject@example.org',
    ('email', ''): 'subject@example.org',
    ('email', SAN + 'email:alice'): None,
    ('san', SAN + 'email:alice@example.org'): 'alice@example.org',
    ('san', SAN + 'DNS:host.example.org'): 'host.example.org',
    ('san', SAN + MS_UPN + 'alice@corp.example'): 'alice@corp.example',
    ('san', SAN + 'email:alice@example.org,email:root@example.org'): None,
    ('san', SAN + 'email:alice@example.org,DNS:host.example.org'): None,
    ('san', SAN + 'URI:urn:alice'): None,
    ('san', SAN + 'IP:192.0.2.1'): None,
    ('san', ''): None,
    ('cn', SAN + 'email:alice@example.org'): 'subject',
}


@pytest.mark.parametrize('part, names', PARTS, ids=lambda value: value or 'no subjectAltName')
def test_client_name_chooses_what_names_the_user(gate, pki, certs, part, names):
    key = hashlib.sha256(names.encode()).hexdigest()[:12]
    pair = certs.issue(f'part-{key}', '/CN=subject/emailAddress=subject@example.org',
                       extensions=[*CLIENT, *([names] if names else [])])
    got, _ = told(gate, pki, pair, '1.3', f'--client-name={part}')
    user = got.get(b'SSL_CLIENT_USER')
    assert (user and user.decode()) == PARTS[part, names]


def test_a_nul_in_a_mail_address_makes_it_no_users(gate, pki, certs):
    pair = certs.patched('nul-mail', '/CN=x', (b'root@example.orgX', b'root@example.org\0'),
                         extensions=[*CLIENT, SAN + 'email:root@example.orgX.evil.example'])
    server = gate(PRINT, '--client-name=email')
    try:
        got = environment(connect(server, pki.ca, '1.3', pair))
    except tls.Truncated:
        assert 'the TLS library cannot decode it' in server.wait().log      # wolfSSL 5.9
    else:
        assert b'SSL_CLIENT_USER' not in got


def test_a_ca_that_the_library_refuses_shuts_out_no_other_cas_clients(gate, postern, pki, certs):
    """wolfSSL 5.7.2 takes no certificate whose serial number is 0; others do."""
    odd = certs.path('odd-ca')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
                    f'{odd}.key', '-out', odd, '-subj', '/CN=Odd root', '-set_serial', '0', '-days', '99', '-addext',
                    'keyUsage=keyCertSign'], check=True, capture_output=True)
    both = certs.path('odd-and-good')
    both.write_text(odd.read_text() + certs.bundle.read_text())
    server = gate(PRINT, ca=both)
    assert environment(connect(server, pki.ca, '1.3', GOOD['ecdsa'](certs)))[b'SSL_CLIENT_USER'] == b'alice'
    assert server.wait().status == 0
    report = check(postern, pki, f'--client-ca={both}')
    assert report.returncode == 0, report.stdout
    version = subprocess.run([postern, '--version'], capture_output=True, text=True, check=True).stdout
    assert (re.search('warn  .*CA CN=Odd root: the TLS library refuses it.*: its clients are refused', report.stdout)
            is not None) == ('wolfSSL 5.7.2' in version)


# Files: a broken one must not open a service to all

def damaged(certs, name, text):
    path = certs.path(f'damaged-{name}')
    path.write_bytes(text)
    return path


FILES = {
    'no CA file': (lambda c: [c.path('missing')], 'cannot be opened'),
    'an empty CA file': (lambda c: [damaged(c, 'empty', b'')], 'nothing in it: wants PEM, with a line -----BEGIN CERTIFICATE-----'),
    'a CA file that is cut short': (lambda c: [damaged(c, 'cut', c.bundle.read_bytes()[:-60])], 'damaged: a block'),
    'a CA file that is cut in its DER': (
        lambda c: [damaged(c, 'der', b'-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n')], 'damaged: a block'),
    "a client's certificate as CA": (lambda c: [GOOD['ecdsa'](c).cert], r"is no CA's \(not CA:TRUE\)"),
    'only an expired CA': (lambda c: [c.authority('old-root', '/CN=Old root', dates=PAST).cert],
                           'CA CN=Old root expired on 2024-01-02'),
    'a CA with RSA of 1024 bits': (lambda c: [c.authority('weak-root', '/CN=Weak root', kind='rsa:1024').cert], 'RSA key of 1024 bits'),
    'no CRL file': (lambda c: [c.bundle, c.path('missing')], 'cannot be opened'),
    'a CRL file without a list': (lambda c: [c.bundle, c.bundle], 'wants PEM, with a line -----BEGIN X509 CRL-----'),
    'an overdue CRL': (lambda c: [c.bundle, c.crl('overdue', dates=PAST)],
                       'the revocation list of CN=Client root was to be renewed by 2024-01-02'),
    'a delta CRL': (lambda c: [c.bundle, c.crl('delta', extra='2.5.29.27=critical,ASN1:INT:1')], 'is a part only'),
}


@pytest.mark.parametrize('name', FILES)
def test_a_broken_file_closes_the_service_and_fails_the_check(serve, pki, certs, postern, name):
    make, says = FILES[name]
    paths = make(certs)
    options = [f'--client-ca={paths[0]}', *(f'--crl={path}' for path in paths[1:]), '--client-cert=request']
    server = serve(PRINT, *options)
    with server.connect() as connection:
        assert tls.ended(connection) == b''
    ended = server.wait()
    assert (ended.status, ended.summary['end']) == (78, 'configuration')
    assert re.search(f'{re.escape(str(paths[-1]))}: .*{says}', ended.log), ended.log
    report = check(postern, pki, *options)
    assert report.returncode == 78 and re.search(f'FAIL.*{says}', report.stdout), report.stdout


def test_a_crl_with_a_wrong_signature_closes_the_service_and_fails_the_check(serve, pki, certs, postern):
    certs.authority('twin', '/CN=Client root')
    crl = certs.crl('wrong-key', 'twin')
    options = [f'--client-ca={certs.bundle}', f'--crl={crl}']
    server = serve(PRINT, *options)
    openssl(server, pki.ca, '1.3', GOOD['ecdsa'](certs))
    ended = server.wait()
    assert ended.status == 78 and '--crl: the revocation list of CN=Client root: the TLS library refuses it' in ended.log
    report = check(postern, pki, *options)
    assert report.returncode == 78 and 'FAIL  --crl: the revocation list of CN=Client root' in report.stdout


def test_with_starttls_a_broken_ca_file_takes_starttls_away(serve, certs):
    server = serve(PRINT, '--starttls=imap', f'--client-ca={certs.path("missing")}')
    with server.connect() as connection:
        talk = Talk(connection.fileno(), connection.fileno())
        assert b'STARTTLS' not in talk.expect(r'\* OK')
        talk.ask('a STARTTLS', 'a NO')
        talk.ask('b LOGOUT', 'b OK')
    assert 'cannot be opened' in server.wait().log


def test_an_expired_ca_among_others_vouches_for_nobody_and_leaves_the_others_alone(gate, pki, certs):
    certs.authority('old-root', '/CN=Old root', dates=PAST)
    both = damaged(certs, 'both', certs.path('old-root').read_bytes() + certs.bundle.read_bytes())
    got, ended = told(gate, pki, GOOD['ecdsa'](certs), ca=both)
    assert got[b'SSL_CLIENT_USER'] == b'alice'
    assert f'{both}: CA CN=Old root expired on 2024-01-02: its clients are refused' in ended.log
    server = gate(PRINT, ca=both)
    alert, _ = refused(server, openssl(server, pki.ca, '1.3', certs.issue('of-old-root', '/CN=alice', 'old-root')))
    assert alert == UNKNOWN_CA


def check(postern, pki, *options):
    return subprocess.run([postern, '--check', *pki.pair('ecdsa').options(), *options, '--', '/usr/bin/env'],
                          capture_output=True, text=True, check=False)


def test_check_reports_cas_and_lists(postern, pki, certs):
    ca, crl, _ = listed(certs, 'checked')
    bundle = damaged(certs, 'bundle', ca.read_bytes() + certs.bundle.read_bytes())
    report = check(postern, pki, f'--client-ca={bundle}', f'--crl={crl}')
    assert report.returncode == 0, report.stdout
    lines = report.stdout.splitlines()
    for wanted in (rf'ok    {bundle}: CA CN=Root checked, valid until 20\d\d-\d\d-\d\d',
                   rf'ok    {bundle}: CA CN=Client root, valid until ',
                   rf'ok    {bundle}: 2 CAs for client certificates, which are required',
                   rf'ok    {crl}: revocation list of CN=Root checked, made on .*, holds until ',
                   rf'warn  {crl}: no revocation list of CA CN=Client root: its clients are refused'):
        assert [line for line in lines if re.match(wanted, line)], f'{wanted}\n{report.stdout}'


def test_check_warns_of_what_expires_soon(postern, pki, certs):
    certs.authority('soon', '/CN=Soon', dates=('20240101000000Z', clientpki.days_from_now(4.5)))
    crl = certs.crl('soon', 'soon', dates=('20240101000000Z', clientpki.days_from_now(1)))
    report = check(postern, pki, f'--client-ca={certs.path("soon")}', f'--crl={crl}')
    assert report.returncode == 0
    assert re.search('warn  .*: CA CN=Soon expires on .*, in 4 days', report.stdout), report.stdout
    assert re.search('warn  .*: revocation list of CN=Soon', report.stdout), report.stdout


# What is not possible any more once the session runs

def test_a_client_cannot_authenticate_later(gate, pki, certs):
    """A client certificate that comes unasked ends the session; Python's ssl offers post-handshake authentication."""
    pair = GOOD['ecdsa'](certs)
    context = clients.context(pki.ca, '1.3')
    context.post_handshake_auth = True
    context.load_cert_chain(pair.cert, pair.key)
    server = gate(['/bin/cat'], '--client-cert=request')
    with tls.Client(server, pki.ca, context=context) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        client.close_notify()
        client.ends_in_order()
    assert server.wait().summary['user'] == 'alice'


def dirty_kilobytes(pid):
    with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as file:
        return sum(int(line.split()[1]) for line in file if line.startswith('Private_Dirty'))


@pytest.mark.not_sanitized("a sanitizer's memory is its own")
def test_many_cas_cost_a_session_no_memory(gate, pki, certs):
    """What 150 CAs take while the handshake lasts is given back."""
    pair = GOOD['ecdsa'](certs)
    root = certs.bundle.read_text()
    with open('/etc/ssl/certs/ca-certificates.crt', encoding='utf-8') as file:
        blocks = re.findall(r'-----BEGIN.*?END CERTIFICATE-----\n', file.read(), re.DOTALL)
    many = certs.path('many-cas')
    many.write_text(root + ''.join(blocks))
    sizes = []
    for bundle in (certs.bundle, many):
        server = gate(['/bin/cat'], ca=bundle)
        context = clients.context(pki.ca, '1.3')
        context.load_cert_chain(pair.cert, pair.key)
        with tls.Client(server, pki.ca, context=context) as client:
            client.send(b'hello')
            assert client.take(5) == b'hello'
            sizes.append(dirty_kilobytes(tls.gate_of(server.process())))
            client.close_notify()
            client.ends_in_order()
        server.wait()
    assert sizes[1] < sizes[0] + 600, sizes    # 3,000 if nothing were given back
