# SPDX-License-Identifier: GPL-2.0-or-later
"""When there is no session: the log says why in an administrator's words, and the exit status says it in one number.

Nothing of the handler runs before the handshake is done.
"""

import os
import re
import shutil
import ssl

import pytest

from harness import clients, hellos, pki as pki_module, tls
from harness.broken import BROKEN

MARK = 'it ran'
LEFT, PROTOCOL, UNAVAILABLE, TEMPFAIL, CONFIG = 0, os.EX_PROTOCOL, os.EX_UNAVAILABLE, os.EX_TEMPFAIL, os.EX_CONFIG
CERTIFICATE_REJECTED = 'it rejected our certificate'


@pytest.fixture
def guarded(serve, tmp_path):
    """guarded(option...): a server whose handler leaves a mark; `check` proves that the handshake failed as it should."""
    class Guarded:
        def __init__(self, *options, **more):
            self.mark = tmp_path / 'mark'
            self.server = serve(['/bin/sh', '-c', f'echo {MARK} >"$0"', self.mark], *options, **more)

        def check(self, ending, status, *words):
            end = self.server.wait()
            for word in words:
                assert word in end.log
            assert (end.summary['end'], end.status) == (ending, status), end.log
            assert 'handler' not in end.summary
            assert not self.mark.exists(), 'the handler ran'
            assert_clean(end.log)
            return end

    return Guarded


def assert_clean(log):
    """A log is printable text, and each line of it postern's own."""
    for line in log.splitlines():
        assert re.fullmatch(r'postern\[\d+\]: [ -~]+', line), repr(line)


# Plaintext spoken to the TLS port

@pytest.mark.parametrize('said, protocol, dialect', [
    (b'a001 CAPABILITY\r\n', 'IMAP', 'imap'),
    (b'. LOGIN ann secret\r\n', 'IMAP', 'imap'),
    (b'A1 STARTTLS\r\n', 'IMAP', 'imap'),
    (b'1 id ("name" "client")\r\n', 'IMAP', 'imap'),
    (b'CAPA\r\n', 'POP3', 'pop3'),
    (b'USER ann\r\n', 'POP3', 'pop3'),
    (b'STLS\r\n', 'POP3', 'pop3'),
    (b'auth\r\n', 'POP3', 'pop3'),
    (b'EHLO client.example.org\r\n', 'SMTP', 'smtp'),
    (b'helo client\r\n', 'SMTP', 'smtp'),
    (b'LHLO client.example.org\r\n', 'LMTP', 'lmtp'),
    (b'CAPABILITY\r\n', 'ManageSieve', 'sieve'),
    (b'AUTHENTICATE "PLAIN"\r\n', 'ManageSieve', 'sieve'),
    (b'CAPABILITIES\r\n', 'NNTP', 'nntp'),
    (b'MODE READER\r\n', 'NNTP', 'nntp'),
])
def test_mail_protocol_in_plaintext_is_named_and_pointed_to_starttls(guarded, said, protocol, dialect):
    the = guarded()
    with the.server.connect() as connection:
        connection.sendall(said)
        tls.ended(connection)
    the.check('handshake-failed', PROTOCOL, f'client speaks {protocol} in plaintext', f'--starttls={dialect}')


@pytest.mark.parametrize('said, protocol', [
    (b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', 'HTTP'),
    (b'POST / HTTP/1.0\r\n\r\n', 'HTTP'),
    (b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'HTTP'),
    (b'SSH-2.0-OpenSSH_9.2\r\n', 'SSH'),
    (b'PROXY TCP4 192.0.2.1 192.0.2.2 50000 993\r\n', 'PROXY'),
    (b'hello?\r\n', 'a plaintext protocol'),
    (b'\r\n', 'a plaintext protocol'),
    (b'\0' * 100, 'a plaintext protocol'),
])
def test_other_protocol_in_plaintext_is_named_and_pointed_nowhere(guarded, said, protocol):
    the = guarded()
    with the.server.connect() as connection:
        connection.sendall(said)
        tls.ended(connection)
    end = the.check('handshake-failed', PROTOCOL, f'client speaks {protocol}')
    assert '--starttls=' not in end.log


# No ClientHello, or none that can be read

def test_client_that_says_nothing_until_the_time_out_may_wait_for_a_greeting(guarded):
    the = guarded('--timeout-handshake=1')
    with the.server.connect() as connection:
        assert tls.ended(connection) == b''
    the.check('timeout-handshake', TEMPFAIL, 'client sent nothing in 1 seconds', 'plaintext greeting', '--starttls')


def test_half_a_client_hello_until_the_time_out_is_told(guarded):
    the = guarded('--timeout-handshake=1')
    with the.server.connect() as connection:
        connection.sendall(tls.client_hello()[:40])
        tls.ended(connection)
    the.check('timeout-handshake', TEMPFAIL, 'no whole ClientHello in 1 seconds')


def test_client_hello_one_byte_a_segment_is_no_failure(serve, pki):
    server = serve(['/bin/cat'])
    with tls.Client(server, pki.ca, handshake=False) as client:
        for byte in client.hello():
            client.socket.send(bytes([byte]))
        client.handshake()
        client.close_notify()
        client.ends_in_order()
    assert server.wait().status == 0


def test_handshake_that_is_never_finished_ends_with_the_time_out(guarded, pki):
    the = guarded('--timeout-handshake=1')
    with tls.Client(the.server, pki.ca, handshake=False) as client:
        client.socket.sendall(client.hello())
        client.fill()
        tls.ended(client.socket)
    the.check('timeout-handshake', TEMPFAIL, 'not done in 1 seconds', '--timeout-handshake')


@pytest.mark.parametrize('how', ['fin', 'reset'])
@pytest.mark.parametrize('said, words', [
    ('nothing', 'client left without a word'),
    ('half', 'client left before it had sent a whole ClientHello'),
    ('hello', 'client left during the handshake'),
])
def test_scanner_that_leaves_early_is_no_error(guarded, pki, said, words, how):
    the = guarded()
    with tls.Client(the.server, pki.ca, handshake=False) as client:
        hello = client.hello()
        if said != 'nothing':
            client.socket.sendall(hello if said == 'hello' else hello[:50])
            tls.asleep(tls.gate_of(the.server.process()))
        if said == 'hello':
            client.fill()
        if how == 'fin':
            client.fin()
        else:
            client.reset()
    the.check('left', LEFT, words)


@pytest.mark.parametrize('said, words', [
    (os.urandom(3) + b'\xff' * 500, 'handshake failed: client speaks'),
    (b'\x16\x03\x01\x02\x00' + b'\xff' * 512, 'client sent something else than a ClientHello'),
    (b'\x16\x04\x00\x02\x00' + b'\1' * 512, 'client sent a malformed ClientHello'),
    (tls.record(22, b'\2' + tls.vector(3, bytes(100))), 'client sent something else than a ClientHello'),
    (tls.record(22, b'\1' + tls.vector(3, bytes(38))), 'client sent a malformed ClientHello'),
    (tls.record(22, b'\1' + tls.vector(3, b'')), 'client sent a malformed ClientHello'),
    (tls.record(22, b'\1\xff\xff\xff' + bytes(1000)), 'client sent a malformed ClientHello'),
    (tls.record(23, bytes(100)), 'client sent something else than a ClientHello'),
    (tls.record(20, b'\1'), 'client sent something else than a ClientHello'),
    (b'\x15\x03\x01\x00\x02\x02\x28', 'client began with a TLS alert'),
    (b'\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10' + bytes(37), 'client speaks SSL 2.0'),
    (b'\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10' + bytes(37), 'client speaks SSL 2.0'),
], ids=['noise', 'noise in a record', 'version 4', 'ServerHello', 'zeros', 'empty', 'endless', 'data first',
        'change_cipher_spec first', 'alert first', 'SSL 2.0', 'SSL 2.0 for TLS 1.0'])
def test_garbage_is_refused(guarded, said, words):
    the = guarded()
    with the.server.connect() as connection:
        connection.sendall(said)
        tls.ended(connection)
    the.check('handshake-failed', PROTOCOL, words)


def test_client_hello_longer_than_any_is_refused(guarded):
    the = guarded()
    message = hellos.client_hello('1.2', suites=[tls.ECDHE_ECDSA_AES128_GCM] * 5000,
                                  more=tls.extension(0x1234, bytes(60000)))
    with the.server.connect() as connection:
        try:
            for at in range(0, len(message), 16000):
                connection.sendall(tls.record(22, message[at:at + 16000]))
        except OSError:
            pass    # it may have had enough before we are done
        tls.ended(connection)
    the.check('handshake-failed', PROTOCOL, 'client sent a ClientHello of over 65,536 bytes')


# Nothing in common

@pytest.mark.parametrize('hello, option, words', [
    (tls.client_hello(tls.TLS10, [tls.RSA_AES128_CBC], signatures=None), '--tls-min=1.2',
     'client offers only TLS 1.0, --tls-min is 1.2'),
    (tls.client_hello(tls.TLS11, [tls.ECDHE_ECDSA_AES128_CBC]), '--tls-min=1.2',
     'client offers only TLS 1.1, --tls-min is 1.2'),
    (tls.client_hello(0x0300, [tls.RSA_AES128_CBC], signatures=None), '--tls-min=1.2',
     'client offers only SSL 3.0, --tls-min is 1.2'),
    (tls.client_hello(tls.TLS12), '--tls-min=1.3', 'client offers only TLS 1.2, --tls-min is 1.3'),
    (tls.client_hello(tls.TLS12, versions=[0x0302, 0x0301]), '--tls-min=1.2',
     'client offers only TLS 1.1, --tls-min is 1.2'),
    (tls.client_hello(tls.TLS12, [tls.ECDHE_ECDSA_AES128_CBC]), '--tls-min=1.2', 'no shared cipher suite'),
    (tls.client_hello(tls.TLS12, [tls.RSA_AES128_CBC, 0xc02f]), '--tls-min=1.2',
     'no certificate fits: client can use RSA; give a second --cert'),
    (tls.client_hello(tls.TLS12, signatures=[0x0201, 0x0203]), '--tls-min=1.2', 'signature'),
], ids=['TLS 1.0', 'TLS 1.1', 'SSL 3.0', 'TLS 1.2', 'TLS 1.1 in supported_versions', 'CBC suites only',
        'suites for RSA only', 'SHA-1 signatures only'])
def test_client_that_can_do_too_little_is_told_what_in_the_log(guarded, hello, option, words):
    the = guarded(option)
    with the.server.connect() as connection:
        connection.sendall(hello)
        answer = tls.ended(connection)
    the.check('handshake-failed', PROTOCOL, 'handshake failed: ', words)
    assert answer[:1] == b'\x15', 'the client gets an alert'


@pytest.mark.parametrize('pair, words, said', [
    ('ecdsa', '-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256', 'no certificate fits: client can use RSA'),
    ('rsa', '-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256', 'no certificate fits: client can use ECDSA'),
    ('ecdsa', '-tls1_2 -cipher AES128-SHA', 'no shared cipher suite: see --ciphers'),
    ('rsa', '-tls1_2 -cipher AES128-SHA', 'no shared cipher suite: see --ciphers'),
    ('rsa', '-tls1_2 -cipher ECDHE-RSA-AES128-SHA', 'no shared cipher suite: see --ciphers'),
    ('ecdsa', '-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256', 'no shared cipher suite: see --ciphers'),
    ('rsa', '-tls1_3 -sigalgs ECDSA+SHA256', 'no certificate fits: client can use ECDSA'),
    ('rsa', '-tls1_2 -groups X448', 'no shared key exchange group: see --groups'),
    ('rsa', '-tls1_3 -groups X448', 'no shared key exchange group: see --groups'),
    ('rsa', '-tls1_3 -groups P-521:X448', 'no shared key exchange group: see --groups'),
])
def test_openssl_with_nothing_in_common_gets_an_alert_and_the_log_says_what(guarded, pair, words, said):
    the = guarded(pair=pair)
    run = tls.openssl_client(the.server, *words.split())
    the.check('handshake-failed', PROTOCOL, f'handshake failed: {said}')
    assert b'SSL alert number' in run.stdout


@pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])
@pytest.mark.parametrize('ours, theirs, group', [
    ('X25519:P-256:P-384', 'P-521:P-256', 'secp256r1'),
    ('X25519:P-256:P-384', 'X448:P-384', 'secp384r1'),
    ('P-384', 'X25519:P-384', 'secp384r1'),
    ('P-384', 'P-256:P-384', 'secp384r1'),
    ('P-256', 'X25519:P-256', 'secp256r1'),
    ('P-384', 'X25519:P-256', None),
    ('X25519', 'P-256', None),
], ids=lambda value: value or 'none')
def test_key_exchange_uses_only_groups_that_both_sides_allow(serve, ours, theirs, group, version):
    server = serve(['/bin/echo', 'hello'], f'--groups={ours}', pair='rsa')
    tls.openssl_client(server, version, '-groups', theirs)
    end = server.wait()
    assert end.summary.get('group') == group
    if group is None:
        assert end.summary['end'] == 'handshake-failed'
        assert 'no shared key exchange group: see --groups' in end.log


def test_openssl_that_does_tls_1_2_only_is_refused_by_tls_min(guarded):
    the = guarded('--tls-min=1.3')
    run = tls.openssl_client(the.server, '-tls1_2')
    assert b'alert protocol version' in run.stdout
    the.check('handshake-failed', PROTOCOL, 'client offers only TLS 1.2, --tls-min is 1.3')


# The client rejects our certificate

versions = pytest.mark.parametrize('version', ['1.2', '1.3'])


@versions
def test_python_that_does_not_know_our_ca_sends_unknown_ca(guarded, pki, tmp_path, version):
    stranger = pki_module.Pki(tmp_path / 'stranger')
    the = guarded()
    with pytest.raises(ssl.SSLCertVerificationError):
        tls.Client(the.server, stranger.ca, version).handshake()
    the.check('handshake-failed', PROTOCOL, 'client sent alert unknown_ca: ' + CERTIFICATE_REJECTED)


@versions
def test_python_that_expects_another_name_rejects_our_certificate(guarded, pki, version):
    the = guarded()
    with pytest.raises(ssl.SSLCertVerificationError):
        tls.Client(the.server, pki.ca, version, name='mail.example.org').handshake()
    the.check('handshake-failed', PROTOCOL, 'client sent alert ', CERTIFICATE_REJECTED)


@versions
def test_openssl_that_verifies_without_a_ca_rejects_our_certificate(guarded, tmp_path, version):
    the = guarded()
    (tmp_path / 'empty').mkdir()
    run = tls.openssl_client(the.server, f'-tls{version.replace(".", "_")}', '-verify_return_error', '-no-CAfile',
                             '-no-CAstore', '-CApath', tmp_path / 'empty')
    assert run.returncode != 0
    the.check('handshake-failed', PROTOCOL, 'client sent alert unknown_ca: ' + CERTIFICATE_REJECTED)


@versions
def test_expired_certificate_is_served_with_a_line_in_the_log_and_rejected_by_the_client(guarded, pki, version):
    the = guarded(pair='expired')
    with pytest.raises(ssl.SSLCertVerificationError):
        tls.Client(the.server, pki.ca, version).handshake()
    the.check('handshake-failed', PROTOCOL, 'the certificate has expired', str(pki.expired.cert),
              'client sent alert certificate_expired: ' + CERTIFICATE_REJECTED)


@versions
def test_expired_certificate_works_for_clients_that_do_not_mind(serve, pki, version):
    server = serve(['/bin/echo', 'hello'], pair='expired')
    context = clients.context(pki.ca, version)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with tls.Client(server, None, context=context) as client:
        assert client.rest() == b'hello\n'
    end = server.wait()
    assert end.status == 0
    assert 'the certificate has expired' in end.log


# What clients say about themselves

@pytest.mark.parametrize('name', [
    b'mail\r\npostern[1]: forged line', b'\x1b[2Jmail', b'a b', b'"\\', b'\xc3\xa4.example.org', b'\x00', b'', b'%s%n%x',
    b'x' * 255, b'x' * 300,
], ids=['CR LF', 'escape', 'blank', 'quotes', 'UTF-8', 'NUL', 'empty', 'format', 'long', 'too long'])
def test_server_name_with_odd_bytes_forges_no_line_in_the_log(guarded, name):
    the = guarded()
    with the.server.connect() as connection:
        connection.sendall(tls.client_hello(name=name, versions=[tls.TLS12]))
        connection.settimeout(0.3)
        try:
            connection.recv(100)    # our ServerHello or alert; then we leave
        except TimeoutError:
            pass
    end = the.server.wait()
    assert_clean(end.log)
    assert 'forged line' not in end.log
    assert end.summary['end'] in ('left', 'handshake-failed')


@pytest.mark.parametrize('name, shown', [('mail.example.org', 'mail.example.org'), ('MAIL.Example.ORG', 'mail.example.org')])
def test_server_name_is_in_the_summary(serve, name, shown):
    server = serve(['/bin/echo', 'hello'])
    run = tls.openssl_client(server, '-ign_eof', '-servername', name)
    assert b'hello' in run.stdout
    assert server.wait().summary['sni'] == shown


# The handler cannot be started

@pytest.mark.parametrize('version', ['1.2', '1.3'])
@pytest.mark.parametrize('handler, reason', [
    ('/nowhere/handler', 'No such file or directory'),
    ('no-such-handler', 'No such file or directory'),
    ('/etc/passwd', 'Permission denied'),
    ('/usr', 'Permission denied'),
    ('bad', 'Exec format error'),
    ('orphan', 'the interpreter that its first line (#!) names, or its dynamic linker, is not there'),
], ids=['missing', 'not in PATH', 'no program', 'folder', 'no format', 'no interpreter'])
def test_handler_that_cannot_be_started_gives_the_client_a_clean_close_and_the_log_the_reason(
        serve, pki, tmp_path, handler, reason, version):
    if handler in ('bad', 'orphan'):
        file = tmp_path / handler
        file.write_bytes(b'\x7fELF nonsense' if handler == 'bad' else b'#!/nowhere/interpreter\n')
        file.chmod(0o755)
        handler = str(file)
    server = serve([handler])
    with tls.Client(server, pki.ca, version) as client:
        client.ends_in_order()
    end = server.wait()
    assert end.status == UNAVAILABLE
    assert end.summary['end'] == 'no-handler'
    assert f'handler {handler} cannot be started: {reason}' in end.log


# Certificates and keys that cannot be used


@pytest.mark.parametrize('broken', BROKEN, ids=lambda function: function.__name__)
def test_certificate_or_key_that_cannot_be_used_is_one_line_with_the_file_and_a_way_out(serve, pki, tmp_path, broken):
    options, words = broken(pki, tmp_path)
    server = serve(['/bin/cat'], *options, pair=None)
    with server.connect() as connection:
        assert tls.ended(connection) == b''
    end = server.wait()
    assert end.status == CONFIG, end.log
    assert_clean(end.log)
    faults = [line for line in end.log.splitlines() if ' end=' not in line]
    assert len(faults) == 1, end.log
    for word in words:
        assert word in faults[0]
    assert 'PRIVATE KEY-----\n' not in end.log


def test_key_that_cannot_be_read_is_told(serve, pki, tmp_path):
    key = tmp_path / 'key.pem'
    shutil.copy(pki.ecdsa.key, key)
    key.chmod(0)
    server = serve(['/bin/cat'], f'--cert={pki.ecdsa.cert}', f'--key={key}', pair=None, launcher=tls.Unprivileged)
    with server.connect() as connection:
        assert tls.ended(connection) == b''
    end = server.wait()
    assert end.status == CONFIG
    assert '/key.pem: cannot be opened: Permission denied' in end.log


def test_certificate_and_key_that_are_being_renewed_are_read_once_more(serve, pki, tmp_path):
    """Between the two renames of a renewal, certificate and key don't match for a moment."""
    old, new = pki.ecdsa, pki.leaf('renewed')
    key = tmp_path / 'key.pem'
    shutil.copy(old.key, key)
    key.chmod(0o600)
    server = serve(['/bin/echo', 'hello'], f'--cert={new.cert}', f'--key={key}', pair=None)
    with tls.Client(server, pki.ca, handshake=False) as client:
        server.process()
        shutil.copy(new.key, tmp_path / 'new')
        (tmp_path / 'new').chmod(0o600)
        (tmp_path / 'new').rename(key)
        client.handshake()
        assert client.rest() == b'hello\n'
    assert server.wait().status == 0
