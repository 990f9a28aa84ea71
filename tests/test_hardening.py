# SPDX-License-Identifier: GPL-2.0-or-later
"""What TLS must not do any more, it does not; and where it says no, it says so in the right words."""

import os
import re
import ssl
import subprocess
from dataclasses import dataclass

import pytest

from harness import clients, tls
from harness.tls import TLS10, TLS11, TLS12, TLS13, X448, client_hello, extension, record

pytestmark = pytest.mark.not_sanitized("a sanitizer's libraries and descriptors are its own")

CONFIG, USAGE, PROTOCOL = os.EX_CONFIG, os.EX_USAGE, os.EX_PROTOCOL
SSL30 = 0x0300
FATAL = 2
HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, PROTOCOL_VERSION, INAPPROPRIATE_FALLBACK = 40, 47, 70, 86
FALLBACK_SCSV, RENEGOTIATION_SCSV = 0x5600, 0x00ff      # RFC 7507, RFC 5746
RENEGOTIATION_INFO, EXTENDED_MASTER_SECRET, SESSION_TICKET, HEARTBEAT, KEY_SHARE = 0xff01, 23, 35, 15, 51

# The only suites before TLS 1.3 that are for an ECDSA certificate, and for RSA.
SUITES = {
    'ecdsa': {0xc02b, 0xc02c, 0xcca9},
    'rsa': {0xc02f, 0xc030, 0xcca8},
}
SUITES_13 = {0x1301, 0x1302, 0x1303}
ECDSA_GCM, RSA_GCM, ECDSA_CBC, RSA_CBC = 0xc02b, 0xc02f, 0xc009, 0xc013
NO_EXTENDED_MASTER_SECRET = 1      # SSL_OP_NO_EXTENDED_MASTER_SECRET, which Python has no name for

versions = pytest.mark.parametrize('version', ['1.2', '1.3'])
kinds = pytest.mark.parametrize('kind', SUITES)


# A client that goes as far as the server's first flight

@dataclass
class Answer:
    """What a server says to a ClientHello: handshake messages, and an alert (level, code) or None."""
    messages: list
    alert: tuple = None

    def message(self, kind):
        found = [body for number, body in self.messages if number == kind]
        assert found, f'no such message; alert: {self.alert}'
        return found[0]

    @property
    def hello(self):
        return ServerHello(self.message(2))


class ServerHello:
    def __init__(self, body):
        self.version = int.from_bytes(body[:2], 'big')
        self.random = body[2:34]
        self.session_id = body[35:35 + body[34]]
        rest = body[35 + body[34]:]
        self.suite = int.from_bytes(rest[:2], 'big')
        self.compression = rest[2]
        self.extensions = {}
        rest = rest[5:]
        while rest:
            end = 4 + int.from_bytes(rest[2:4], 'big')
            self.extensions[int.from_bytes(rest[:2], 'big')] = rest[4:end]
            rest = rest[end:]


def ask(server, hello):
    """Send a ClientHello and read the answer, up to what ends the server's flight: an alert, ServerHelloDone, the end."""
    with server.connect() as connection:
        connection.sendall(hello)
        stream = connection.makefile('rb')
        handshake = b''
        messages = []
        while header := stream.read(5):
            body = stream.read(int.from_bytes(header[3:], 'big'))
            if header[0] == 21:
                return Answer(messages, (body[0], body[1]))
            if header[0] != 22:
                return Answer(messages)     # TLS 1.3: from here on it is encrypted
            handshake += body
            while len(handshake) >= 4 and len(handshake) >= 4 + int.from_bytes(handshake[1:4], 'big'):
                end = 4 + int.from_bytes(handshake[1:4], 'big')
                messages.append((handshake[0], handshake[4:end]))
                handshake = handshake[end:]
            if messages and messages[-1][0] == 14:
                return Answer(messages)
    return Answer(messages)


def key_exchange(answer):
    """Of a ServerKeyExchange with ECDHE in TLS 1.2: the public key, and the signature algorithm."""
    body = answer.message(12)
    assert body[0] == 3     # a named curve
    end = 4 + body[3]
    return body[4:end], int.from_bytes(body[end:end + 2], 'big')


@pytest.fixture
def server(serve):
    """For hellos that lead to no session. What becomes of each is in the log."""
    return lambda *options, **more: serve(['/bin/cat'], *options, **more)


def both_certificates(pki):
    return [*pki.ecdsa.options(), *pki.rsa.options()]


def version_of(postern):
    """The words of --version: what its TLS library can do is among them."""
    return subprocess.run([postern, '--version'], capture_output=True, check=True, text=True).stdout.split()


# Renegotiation, compression, early data, resumption

def test_openssl_asks_for_renegotiation_in_vain(serve):
    server = serve(['/bin/cat'])
    run = tls.openssl_client(server, '-tls1_2', data=b'R\n')
    assert b'Secure Renegotiation IS supported' in run.stdout     # RFC 5746: so that nobody else can do it for the client
    assert b'RENEGOTIATING' in run.stdout
    end = server.wait()
    assert end.summary['end'] == 'tls-error'
    assert 'client sent a broken TLS record' in end.log


def test_renegotiation_info_is_sent_to_clients_that_signal_it_by_a_suite(server):
    assert RENEGOTIATION_INFO in ask(server(), client_hello(suites=[ECDSA_GCM, RENEGOTIATION_SCSV])).hello.extensions


def test_extended_master_secret_is_agreed_on(server):
    answer = ask(server(), client_hello(more=extension(EXTENDED_MASTER_SECRET, b'')))
    assert EXTENDED_MASTER_SECRET in answer.hello.extensions


def hello_with_compression(methods):
    """Like client_hello()'s, but for the list of compression methods."""
    whole = client_hello()[5:]
    at = 4 + 2 + 32 + 1 + 2 + 2
    assert whole[at:at + 2] == b'\1\0'
    body = whole[4:at] + tls.vector(1, methods) + whole[at + 2:]
    return record(22, b'\1' + tls.vector(3, body))


def test_compression_is_not_chosen_even_where_it_comes_first(server):
    assert ask(server(), hello_with_compression(b'\1\0')).hello.compression == 0


def test_client_that_insists_on_compression_is_refused(server):
    answer = ask(server(), hello_with_compression(b'\1'))
    assert (answer.messages, answer.alert) == ([], (FATAL, ILLEGAL_PARAMETER))


def test_openssl_that_would_compress_gets_no_compression(server):
    run = tls.openssl_client(server(), '-tls1_2', '-comp')
    assert b'Compression: NONE' in run.stdout
    assert b'Expansion: NONE' in run.stdout


@versions
def test_no_session_ticket_is_sent_and_no_session_can_be_resumed(serve, pki, version):
    """So there is no 0-RTT either: early data needs a ticket that allows it."""
    server = serve(['/bin/cat'])
    context = clients.context(pki.ca, version)
    session = None
    for _ in range(2):
        connection = server.connect()
        with context.wrap_socket(connection, server_hostname=clients.NAME, session=session) as client:
            assert client.session_reused is False
            client.sendall(b'x')
            assert client.recv(1) == b'x'       # a ticket of TLS 1.3 would have come before that
            session = client.session
            assert not session.has_ticket
            assert version == '1.3' or session.id == b''
        assert server.wait().summary['resumed'] == 'no'


def test_ticket_and_heartbeat_are_not_agreed_on(server):
    more = extension(SESSION_TICKET, b'') + extension(HEARTBEAT, b'\1')
    hello = ask(server(), client_hello(more=more)).hello
    assert not set(hello.extensions) & {SESSION_TICKET, HEARTBEAT}
    assert hello.session_id == b''


def test_openssl_gets_no_session_that_would_allow_early_data(serve, tmp_path):
    server = serve(['/bin/echo', 'hello'])
    saved = tmp_path / 'session'
    run = tls.openssl_client(server, '-tls1_3', '-ign_eof', '-sess_out', saved)
    assert b'hello' in run.stdout
    assert b'New Session Ticket arrived' not in run.stdout
    assert not saved.exists()


# Protocols by ALPN (RFC 7301)

@versions
@pytest.mark.parametrize('option, offered, chosen', [
    ('--alpn=imap', ['imap'], 'imap'),
    ('--alpn=imap', ['h2', 'imap'], 'imap'),
    ('--alpn=off', ['imap', 'h2'], None),
], ids=['ours alone', 'ours among others', 'anything, and it is off'])
def test_protocol_of_alpn_is_agreed_on_with_a_client_that_offers(serve, pki, version, option, offered, chosen):
    server = serve(['/bin/cat'], option)
    context = clients.context(pki.ca, version, offered)
    with context.wrap_socket(server.connect(), server_hostname=clients.NAME) as client:
        assert client.selected_alpn_protocol() == chosen
        client.sendall(b'x')
        assert client.recv(1) == b'x'


@versions
@pytest.mark.parametrize('options', [[], ['--alpn=imap']], ids=['by default', 'by option'])
def test_client_that_wants_a_web_server_by_alpn_is_refused_with_no_application_protocol(serve, pki, version, options):
    server = serve(['/bin/cat'], *options)
    context = clients.context(pki.ca, version, ['h2', 'http/1.1'])
    with pytest.raises(ssl.SSLError, match='no application protocol'):
        context.wrap_socket(server.connect(), server_hostname=clients.NAME)
    end = server.wait()
    assert end.summary['end'] == 'handshake-failed'
    assert 'handler' not in end.summary


# Signatures with SHA-1

@kinds
def test_client_that_checks_nothing_but_sha_1_is_refused(serve, kind):
    server = serve(['/bin/cat'], pair=kind)
    answer = ask(server, client_hello(suites=SUITES[kind], signatures=[0x0201, 0x0203, 0x0202, 0x0101]))
    assert (answer.messages, answer.alert) == ([], (FATAL, HANDSHAKE_FAILURE))
    assert 'only signatures with SHA-1' in server.wait().log


@kinds
@pytest.mark.parametrize('signatures', [None, (0x0203, 0x0201, 0x0403, 0x0401), (0x0101, 0x0201, 0x0804, 0x0603)],
                         ids=['nothing', 'SHA-1 first', 'MD5 first'])
def test_nothing_is_signed_with_sha_1_or_md5_for_a_client_that_prefers(serve, kind, signatures):
    """Who says nothing meant SHA-1 once (RFC 5246 section 7.4.1.4.1)."""
    _, algorithm = key_exchange(ask(serve(['/bin/cat'], pair=kind), client_hello(suites=SUITES[kind], signatures=signatures)))
    assert algorithm in (0x0403, 0x0503, 0x0603, 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806), hex(algorithm)


# Versions

OLD_SUITES = [ECDSA_CBC, RSA_CBC, 0x002f, 0x000a]
TOO_OLD = [(SSL30, 'SSL 3.0'), (TLS10, 'TLS 1.0'), (TLS11, 'TLS 1.1')]


@pytest.mark.parametrize('version, name', TOO_OLD)
def test_older_than_tls_1_2_is_refused_with_protocol_version(server, version, name):
    the = server()
    answer = ask(the, client_hello(version, OLD_SUITES, signatures=None))
    assert (answer.messages, answer.alert) == ([], (FATAL, PROTOCOL_VERSION))
    end = the.wait()
    assert f'client offers only {name}, --tls-min is 1.2' in end.log
    assert end.status == PROTOCOL


@pytest.mark.parametrize('versions_offered, option', [
    ([TLS11, TLS10], '--tls-min=1.2'), ([SSL30], '--tls-min=1.2'), ([TLS12], '--tls-min=1.3'), ([0x0305, 0x7f1c], '--tls-min=1.2'),
], ids=['TLS 1.1', 'SSL 3.0', 'TLS 1.2', 'none that we know'])
def test_versions_in_the_extension_are_refused_with_protocol_version_where_none_will_do(server, versions_offered, option):
    hello = client_hello(suites=[0x1301, ECDSA_GCM], versions=versions_offered)
    answer = ask(server(option), hello)
    assert (answer.messages, answer.alert) == ([], (FATAL, PROTOCOL_VERSION))


def test_tls_1_2_is_refused_with_protocol_version_where_tls_min_is_1_3(server):
    answer = ask(server('--tls-min=1.3'), client_hello())
    assert (answer.messages, answer.alert) == ([], (FATAL, PROTOCOL_VERSION))


@pytest.fixture
def needs(postern):
    """needs(version): leaves a test out where the library, as Debian's 5.9.2, does not speak that version of TLS."""
    def check(version):
        if f'TLS{version}' not in version_of(postern):
            pytest.skip(f'this wolfSSL has no TLS {version}')
    return check


@pytest.mark.parametrize('minimum', ['1.1', '1.2', '1.3'])
def test_ssl_3_is_impossible_with_any_tls_min(server, needs, minimum):
    needs(minimum)
    answer = ask(server(f'--tls-min={minimum}'), client_hello(SSL30, OLD_SUITES, signatures=None))
    assert (answer.messages, answer.alert) == ([], (FATAL, PROTOCOL_VERSION))


@pytest.mark.parametrize('word', ['3.0', 'ssl3', 'SSLv3', '0.9', ''])
def test_tls_min_knows_no_ssl(serve, word):
    server = serve(['/bin/cat'], f'--tls-min={word}')
    with server.connect() as connection:
        assert tls.ended(connection) == b''
    assert server.wait().status == USAGE


BROKEN = 'TLS 1.0 and 1.1 are broken (RFC 8996)'


@pytest.mark.parametrize('version, minimum', [(TLS10, '1.0'), (TLS11, '1.0'), (TLS11, '1.1')])
def test_older_than_tls_1_2_is_spoken_only_with_tls_min_and_a_warning_in_the_log(server, postern, version, minimum):
    the = server(f'--tls-min={minimum}')
    answer = ask(the, client_hello(version, OLD_SUITES, signatures=None))
    end = the.wait()
    assert f'--tls-min={minimum}: {BROKEN}' in end.log
    if f'TLS{minimum}' in version_of(postern):
        assert (answer.hello.version, answer.hello.suite) == (version, ECDSA_CBC)
    else:
        assert (answer.messages, end.status) == ([], CONFIG)
        assert f'--tls-min={minimum}: this TLS library does not have that version' in end.log


def test_without_tls_min_there_is_no_warning(server):
    the = server('-v')
    ask(the, client_hello())
    assert BROKEN not in the.wait().log


def test_tls_1_0_is_refused_with_protocol_version_where_tls_min_is_1_1(server, needs):
    needs('1.1')
    answer = ask(server('--tls-min=1.1'), client_hello(TLS10, OLD_SUITES, signatures=None))
    assert (answer.messages, answer.alert) == ([], (FATAL, PROTOCOL_VERSION))


# Downgrades (RFC 8446 section 4.1.3)

@pytest.mark.parametrize('version, option, sentinel', [
    (TLS12, '--tls-min=1.2', b'DOWNGRD\1'),
    (TLS12, '--tls-min=1.1', b'DOWNGRD\1'),
    (TLS11, '--tls-min=1.1', b'DOWNGRD\0'),
])
def test_server_random_tells_a_client_of_tls_1_3_that_it_was_downgraded(server, needs, version, option, sentinel):
    needs(option.partition('=')[2])
    hello = ask(server(option), client_hello(version, [ECDSA_GCM, ECDSA_CBC], signatures=None)).hello
    assert (hello.version, hello.random[-8:]) == (version, sentinel)


def test_random_has_no_sentinel_in_tls_1_3(server, pki):
    the = server()
    with tls.Client(the, pki.ca, '1.3', handshake=False) as client:
        answer = ask(the, client.hello())
    assert 43 in answer.hello.extensions
    assert answer.hello.random[-8:-1] != b'DOWNGRD'


def test_client_that_has_fallen_back_without_need_is_told(server):
    answer = ask(server(), client_hello(suites=[ECDSA_GCM, FALLBACK_SCSV]))
    assert (answer.messages, answer.alert) == ([], (FATAL, INAPPROPRIATE_FALLBACK))


# Cipher suites

WEAK = {
    'no encryption': [0x0000, 0x0001, 0x0002, 0x003b, 0x00b0, 0xc001, 0xc006, 0xc00b, 0xc010, 0xc015],
    'no authentication': [0x0017, 0x0018, 0x001b, 0x0034, 0x003a, 0x006c, 0x00a6, 0xc016, 0xc017, 0xc018, 0xc019],
    'export keys': [0x0003, 0x0006, 0x0008, 0x000b, 0x000e, 0x0011, 0x0014, 0x0062, 0x0064],
    'RC4': [0x0004, 0x0005, 0x008a, 0xc002, 0xc007, 0xc00c, 0xc011, 0xc033],
    'DES or 3DES': [0x0009, 0x000a, 0x0013, 0x0015, 0x0016, 0xc003, 0xc008, 0xc00d, 0xc012, 0xc034],
    'other old ciphers': [0x0007, 0x0041, 0x0084, 0x0096, 0x009a, 0xc072, 0xc076],
    'CBC with SHA-1': [0x002f, 0x0033, 0x0035, 0x0039, 0xc004, 0xc005, 0xc009, 0xc00a, 0xc00e, 0xc013, 0xc014],
    'CBC with SHA-2': [0x003c, 0x003d, 0x0067, 0x006b, 0xc023, 0xc024, 0xc025, 0xc027, 0xc028, 0xc029],
    'a key exchange without forward secrecy': [0x009c, 0x009d, 0xc02d, 0xc02e, 0xc031, 0xc032, 0xc09c, 0xc09d],
    'finite-field Diffie-Hellman': [0x009e, 0x009f, 0x00a2, 0xccaa, 0xc09e, 0xc09f],
    'a shared secret': [0x008c, 0x00a8, 0x00aa, 0x00ac, 0xc035, 0xccab, 0xccac, 0xccad, 0xd001],
    'a draft': [0xcc13, 0xcc14, 0xcc15],
}


@pytest.mark.parametrize('weakness', WEAK)
def test_suite_is_refused_that_has(serve, pki, weakness):
    """One by one, by a server that has a certificate of each kind: with handshake_failure."""
    server = serve(['/bin/cat'], *both_certificates(pki), pair=None)
    for suite in WEAK[weakness]:
        answer = ask(server, client_hello(suites=[suite], groups=(tls.X25519, tls.P256, 0x0100)))
        assert (answer.messages, answer.alert) == ([], (FATAL, HANDSHAKE_FAILURE)), hex(suite)
        assert server.wait().summary['end'] == 'handshake-failed'


def openssl_suites():
    """The numbers of all suites before TLS 1.3 that openssl(1) has at all, with its names."""
    text = subprocess.run(['openssl', 'ciphers', '-V', 'ALL:COMPLEMENTOFALL:@SECLEVEL=0'], capture_output=True, check=True,
                          text=True).stdout
    found = re.findall(r'0x(..),0x(..) - (\S+)', text)
    return {int(high + low, 16): name for high, low, name in found if high != '13'}


@kinds
def test_of_all_that_openssl_can_do_only_forward_secrecy_with_aead_is_negotiated(serve, kind):
    known = openssl_suites()
    assert SUITES[kind] <= set(known)
    assert negotiated(serve, kind, sorted(known)) == SUITES[kind]


@kinds
def test_of_all_numbers_that_a_suite_can_have_only_these_are_negotiated(serve, kind):
    """All in the ranges in which any suite was ever given a number."""
    numbers = [*range(0x0000, 0x0100), *range(0x1300, 0x1310), *range(0xc000, 0xc100), *range(0xcc00, 0xccb0),
               *range(0xd000, 0xd010), *range(0xfee0, 0xff00)]
    numbers.remove(RENEGOTIATION_SCSV)
    assert negotiated(serve, kind, numbers) == SUITES[kind]


def negotiated(serve, kind, numbers):
    """What of these a server picks, when it is offered what it has not picked yet, again and again."""
    server = serve(['/bin/cat'], pair=kind)
    picked = set()
    for at in range(0, len(numbers), 128):
        left = numbers[at:at + 128]
        while True:
            answer = ask(server, client_hello(suites=left))
            server.wait()
            if answer.alert:
                assert answer.alert == (FATAL, HANDSHAKE_FAILURE)
                break
            picked.add(answer.hello.suite)
            left.remove(answer.hello.suite)
    return picked


@pytest.mark.parametrize('kind', ['ecdsa', 'rsa', 'ed25519'])
def test_in_tls_1_3_only_these_suites_are_negotiated(serve, kind):
    """Not those with CCM; openssl can do all five."""
    server = serve(['/bin/cat'], pair=kind)
    picked = set()
    left = {'TLS_AES_128_GCM_SHA256': 0x1301, 'TLS_AES_256_GCM_SHA384': 0x1302, 'TLS_CHACHA20_POLY1305_SHA256': 0x1303,
            'TLS_AES_128_CCM_SHA256': 0x1304, 'TLS_AES_128_CCM_8_SHA256': 0x1305}
    while left:
        run = tls.openssl_client(server, '-tls1_3', '-ciphersuites', ':'.join(left))
        server.wait()
        found = re.search(rb'New, TLSv1.3, Cipher is (\S+)', run.stdout)
        if not found:
            assert b'alert handshake failure' in run.stdout
            break
        picked.add(left.pop(found[1].decode()))
    assert picked == SUITES_13


def test_with_two_certificates_the_one_is_used_for_which_there_is_a_good_suite(serve, pki):
    """A client may have only outworn suites for ECDSA, but good ones for RSA."""
    server = serve(['/bin/cat'], *both_certificates(pki), pair=None)
    assert ask(server, client_hello(suites=[ECDSA_CBC, RSA_GCM])).hello.suite == RSA_GCM


# Alerts for what is not shared

SHARE = extension(KEY_SHARE, tls.vector(2, tls.numbers([tls.X25519]) + tls.vector(2, b'\7' * 32)))


@pytest.mark.parametrize('hello', [
    client_hello(suites=[ECDSA_CBC, RSA_CBC]),
    client_hello(groups=[X448]),
    client_hello(suites=[RSA_GCM]),
    client_hello(signatures=[0x0401]),
    client_hello(suites=[0x1304], versions=[TLS13], more=SHARE),
], ids=['suite', 'group', 'certificate for the suite', 'certificate for the signature', 'suite of TLS 1.3'])
def test_handshake_failure_is_the_alert_where_there_is_no_shared(server, hello):
    the = server()
    answer = ask(the, hello)
    assert (answer.messages, answer.alert) == ([], (FATAL, HANDSHAKE_FAILURE))
    assert the.wait().status == PROTOCOL


@pytest.mark.parametrize('words, alert', [
    (['-tls1_3', '-groups', 'X448'], b'alert handshake failure'),
    (['-tls1_3', '-ciphersuites', 'TLS_AES_128_CCM_SHA256'], b'alert handshake failure'),
    (['-tls1_3', '-sigalgs', 'RSA-PSS+SHA256'], b'alert handshake failure'),
    (['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'], b'alert handshake failure'),
    (['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'], b'alert protocol version'),
    (['-tls1', '-cipher', 'ALL:@SECLEVEL=0'], b'alert protocol version'),
])
def test_openssl_understands_the_alert(server, words, alert):
    assert alert in tls.openssl_client(server(), *words).stdout


# Nothing is used twice

@kinds
def test_server_random_and_key_share_differ_from_connection_to_connection(serve, kind):
    server = serve(['/bin/cat'], pair=kind)
    answers = [ask(server, client_hello(suites=SUITES[kind])) for _ in range(10)]
    assert len({answer.hello.random[:24] for answer in answers}) == len(answers)
    assert len({key_exchange(answer)[0] for answer in answers}) == len(answers)


def test_random_of_tls_1_3_differs_even_for_one_and_the_same_client_hello(server, pki):
    the = server()
    with tls.Client(the, pki.ca, '1.3', handshake=False) as client:
        hello = client.hello()
    hellos = [ask(the, hello).hello for _ in range(10)]
    assert len({hello.random for hello in hellos}) == len(hellos)
    assert len({hello.extensions[KEY_SHARE] for hello in hellos}) == len(hellos)


def test_exported_secrets_differ_from_connection_to_connection(serve, postern, pki):
    if 'exporter' not in version_of(postern):
        pytest.skip('this TLS library exports no secrets')
    server = serve(['/bin/sh', '-c', 'echo "$POSTERN_TLS_EXPORTER"'])
    seen = set()
    for _ in range(3):
        with tls.Client(server, pki.ca) as client:
            seen.add(client.rest())
    assert len(seen) == 3 and b'\n' not in seen


@pytest.mark.parametrize('version, extended_master, exported', [
    ('1.3', True, True), ('1.3', False, True), ('1.2', True, True), ('1.2', False, False)])
def test_a_channel_binding_is_told_only_where_it_belongs_to_one_connection(
        serve, postern, pki, version, extended_master, exported):
    """RFC 9266 section 4.2: without the extended master secret somebody in the middle can make two sessions with one."""
    if 'exporter' not in version_of(postern):
        pytest.skip('this TLS library exports no secrets')
    server = serve(['/bin/sh', '-c', 'echo "${POSTERN_TLS_EXPORTER-none}"'])
    context = clients.context(pki.ca, version)
    if not extended_master:
        context.options |= NO_EXTENDED_MASTER_SECRET
    with context.wrap_socket(server.connect(), server_hostname=clients.NAME) as connection:
        assert (connection.makefile('rb').readline() != b'none\n') == exported
