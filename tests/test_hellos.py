# SPDX-License-Identifier: GPL-2.0-or-later
"""ClientHellos that are legal and unusual: tiny records, long ones, odd session ids, long lists, long tickets.

Where another form of the records cures it, a whole session is held; where the TLS library can't take a hello, the client
gets an alert that blames nobody but us, and the log names the reason. What is no legal hello gets the alert that
RFC 8446 has for it.
"""

import os
import select
import socket
import ssl

import pytest

from harness import clients, hellos, launch, tls
from harness.hellos import ALERT, Recut, ask, client_hello, cut, extension, handshake, numbers, vector

ECHO = ['/bin/cat']
PROTOCOL, TEMPFAIL = os.EX_PROTOCOL, os.EX_TEMPFAIL
UNEXPECTED_MESSAGE, RECORD_OVERFLOW, HANDSHAKE_FAILURE, DECODE_ERROR, INTERNAL_ERROR = 10, 22, 40, 50, 80
NOT_THEIR_FAULT = 'handshake failed: the client did nothing wrong, but '
V1 = b'PROXY TCP4 192.0.2.7 198.51.100.1 50122 993\r\n'

both_versions = pytest.mark.parametrize('version', ['1.2', '1.3'])


def echoes(client):
    client.send(b'hello')
    assert client.take(5) == b'hello'
    client.close_notify()
    client.ends_in_order()


def held(server):
    """The session is over, and was one."""
    end = server.wait()
    assert (end.summary['end'], end.status) == ('client-close', 0), end.log
    return end.summary


def refused(server, answer, alert, *words):
    """The client got this alert, and the log says why."""
    end = server.wait()
    for word in words:
        assert word in end.log
    assert (end.summary['end'], end.status) == ('handshake-failed', PROTOCOL), end.log
    assert answer.alert == alert, f'{answer}\n{end.log}'


def taken_or_explained(server, answer, *words):
    """Libraries differ in what they take: a ServerHello, or the alert and the reason. True: taken."""
    if answer.hello is not None:
        server.wait()
        return True
    refused(server, answer, INTERNAL_ERROR, NOT_THEIR_FAULT, *words)
    return False


# Records of another size

@both_versions
@pytest.mark.parametrize('size', [1, 2, 3, 4, 5, 100])
def test_a_hello_in_records_of_so_many_bytes_leads_to_a_session(serve, pki, size, version):
    server = serve(ECHO)
    with Recut(server, pki.ca, size, version=version) as client:
        assert len(client.hellos) == 1
        echoes(client)
    assert held(server)['tls'] == f'TLSv{version}'


@both_versions
def test_a_tiny_first_record_before_a_full_one_leads_to_a_session(serve, pki, version):
    class FirstTiny(Recut):
        def flush(self):
            whole = self.outgoing.read()
            if not self.hellos:
                self.hellos.append(whole)
                whole = tls.record(22, whole[5:7]) + tls.record(22, whole[7:])
            self.socket.sendall(whole)
    server = serve(ECHO)
    with FirstTiny(server, pki.ca, version=version) as client:
        echoes(client)
    held(server)


@both_versions
def test_a_hello_that_comes_byte_by_byte_leads_to_a_session(serve, pki, version):
    server = serve(ECHO)
    with Recut(server, pki.ca, 3, version=version, one_by_one=True) as client:
        echoes(client)
    held(server)


@pytest.mark.parametrize('length', [16000, 16384 - 250, 17000, 18000])
@both_versions
def test_a_hello_of_about_one_record_and_more_leads_to_a_session(serve, pki, length, version):
    context = clients.context(pki.ca, version)
    has_ml_kem = version == '1.3' and ssl.OPENSSL_VERSION_INFO >= (3, 5)
    names = length - (1200 if has_ml_kem else 0)    # its share is that long
    context.set_alpn_protocols(['imap', *(f'{number:09}' for number in range(names // 10))])
    server = serve(ECHO, '--alpn=imap')
    with Recut(server, pki.ca, 1000, context=context) as client:
        assert len(client.hellos[0]) > length
        echoes(client)
    assert held(server)['alpn'] == 'imap'


@both_versions
@pytest.mark.parametrize('size', [1, 16384])
@pytest.mark.parametrize('length', [20000, 40000, 64000])
def test_a_hello_of_several_records_is_taken_or_explained(serve, length, size, version):
    server = serve(ECHO)
    message = client_hello(version, more=extension(hellos.PADDING, bytes(length)))
    taken_or_explained(server, ask(server, cut(message, size)), f'its ClientHello has {len(message)} bytes')


def test_a_hello_of_over_64_kib_is_refused(serve):
    server = serve(ECHO)
    message = client_hello('1.2', suites=[hellos.ECDSA_GCM] * 4000, more=extension(hellos.PADDING, bytes(60000)))
    assert len(message) > 65536
    refused(server, ask(server, cut(message)), DECODE_ERROR, 'a ClientHello of over 65,536 bytes')


def test_starttls_is_followed_by_a_hello_in_tiny_records(serve, pki):
    class AfterStarttls(Recut):
        def handshake(self):
            with self.socket.makefile('rb', buffering=0) as talk:
                talk.readline()
                self.socket.sendall(b'a STARTTLS\r\n')
                talk.readline()
            super().handshake()
    handler = ['/bin/sh', '-c', r'printf "* OK ready\r\n"; exec cat']
    server = serve(handler, '--starttls=imap')
    with AfterStarttls(server, pki.ca, 2) as client:
        echoes(client)
    assert held(server)['start'] == 'starttls'


@pytest.mark.parametrize('one_by_one', [False, True], ids=['at once', 'byte by byte'])
def test_a_proxy_header_is_followed_by_a_hello_in_tiny_records(serve, pki, one_by_one):
    server = serve(ECHO, '--proxy-protocol', '--proxy-trusted=127.0.0.1')
    with Recut(server, pki.ca, 2, first=V1, one_by_one=one_by_one) as client:
        echoes(client)
    assert held(server)['client'] == '192.0.2.7:50122'


def test_two_pipes_bring_a_hello_in_tiny_records(serve, pki):
    server = serve(ECHO, launcher=launch.SocatPipes)
    with Recut(server, pki.ca, 1) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        client.close_notify()
        assert client.rest() == b''
    assert server.summary()['tls'] == 'TLSv1.3'


# The second hello, after HelloRetryRequest

@pytest.mark.parametrize('size', [1, 3, 100, 16384])
@pytest.mark.parametrize('version', [tls.TLS10, tls.TLS12], ids=['version 3.1', 'version 3.3'])
def test_a_second_hello_in_other_records_leads_to_a_session(serve, pki, size, version):
    server = serve(ECHO, '--groups=P-384')
    with Recut(server, pki.ca, size, version) as client:
        assert len(client.hellos) == 2, 'this client had to be asked again'
        echoes(client)
    assert held(server)['tls'] == 'TLSv1.3'


def test_a_second_hello_that_comes_byte_by_byte_leads_to_a_session(serve, pki):
    server = serve(ECHO, '--groups=P-384')
    with Recut(server, pki.ca, 2, one_by_one=True) as client:
        assert len(client.hellos) == 2
        echoes(client)
    held(server)


@pytest.mark.parametrize('at_once', [False, True], ids=['when asked', 'at once'])
@pytest.mark.parametrize('second, alert, words', [
    (tls.record(23, bytes(40)), UNEXPECTED_MESSAGE, 'client sent something else than a ClientHello'),
    (b'a CAPABILITY\r\n', UNEXPECTED_MESSAGE, 'client sent something else than a ClientHello'),
    (cut(handshake(20, bytes(32)), version=tls.TLS12), UNEXPECTED_MESSAGE, 'something else than a ClientHello'),
    (tls.record(20, b'\1') + tls.record(22, b''), UNEXPECTED_MESSAGE, 'something else than a ClientHello'),
    (cut(handshake(1, bytes(38)), 1), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (b'\x16\x03\x03\x40\x01' + b'\1', RECORD_OVERFLOW, 'client sent a TLS record that is longer than any may be'),
], ids=['data', 'plaintext', 'Finished', 'an empty record', 'malformed', 'record too long'])
def test_what_is_no_second_hello_gets_its_alert(serve, second, alert, words, at_once):
    server = serve(ECHO, '--groups=P-256')
    with server.connect() as connection:
        connection.sendall(cut(client_hello()) + (second if at_once else b''))
        with connection.makefile('rb') as stream:
            assert hellos.read_answer(stream).retry
            connection.sendall(b'' if at_once else second)
            answer = hellos.read_answer(stream)
    refused(server, answer, alert, 'after HelloRetryRequest, ', words)


def test_an_alert_instead_of_a_second_hello_is_named(serve):
    server = serve(ECHO, '--groups=P-256')
    with server.connect() as connection:
        connection.sendall(cut(client_hello()))
        with connection.makefile('rb') as stream:
            assert hellos.read_answer(stream).retry
            connection.sendall(tls.record(20, b'\1', tls.TLS12) + tls.record(ALERT, b'\2\x2f', tls.TLS12))
            tls.ended(connection)
    assert 'client sent alert illegal_parameter' in server.wait().log


# Time

@pytest.mark.parametrize('again', [False, True], ids=['first hello', 'second hello'])
def test_a_hello_that_comes_too_slowly_ends_with_the_time_out(serve, again):
    server = serve(ECHO, '--timeout-handshake=1', '--groups=P-256')
    dripping = cut(client_hello(more=extension(hellos.PADDING, bytes(60000))), 1)
    with server.connect() as connection:
        if again:
            connection.sendall(cut(client_hello()))
            connection.recv(1000)
        for at in range(len(dripping)):
            connection.sendall(dripping[at:at + 1])
            if select.select([connection], [], [], 0.02)[0]:
                break
        else:
            pytest.fail('the server listened to the end')
    end = server.wait()
    assert (end.summary['end'], end.status) == ('timeout-handshake', TEMPFAIL), end.log


# What the TLS library has limits for

@both_versions
@pytest.mark.parametrize('length', [1, 16, 31])
def test_a_session_id_of_an_odd_length_is_taken_or_explained(serve, length, version):
    server = serve(ECHO)
    session_id = os.urandom(length)
    answer = ask(server, cut(client_hello(version, session_id)))
    if taken_or_explained(server, answer, f'its session id has {length} bytes') and version == '1.3':
        assert answer.session_id == session_id


@both_versions
@pytest.mark.parametrize('length', [0, 32])
def test_a_session_id_of_a_usual_length_is_taken(serve, length, version):
    assert ask(serve(ECHO), cut(client_hello(version, os.urandom(length)))).hello is not None


def test_a_session_id_of_more_than_32_bytes_is_malformed(serve):
    server = serve(ECHO)
    refused(server, ask(server, cut(client_hello(session_id=bytes(33)))), DECODE_ERROR, 'malformed ClientHello')


@both_versions
def test_150_cipher_suites_are_taken(serve, version):
    own = [hellos.AES_13, hellos.ECDSA_GCM]
    message = client_hello(version, suites=hellos.UNKNOWN_SUITES[:148] + own)
    assert ask(serve(ECHO), cut(message)).hello is not None


@both_versions
@pytest.mark.parametrize('count', [151, 2000])
def test_more_cipher_suites_are_taken_or_explained(serve, count, version):
    server = serve(ECHO)
    suites = hellos.UNKNOWN_SUITES[:count - 2] + [hellos.AES_13, hellos.ECDSA_GCM]
    taken_or_explained(server, ask(server, cut(client_hello(version, suites=suites))), f'it offers {count} cipher suites')


@both_versions
def test_19_signature_algorithms_are_looked_at(serve, version):
    schemes = hellos.UNKNOWN_SCHEMES[:18] + [0x0403]
    assert ask(serve(ECHO), cut(client_hello(version, schemes=schemes))).hello is not None


@both_versions
@pytest.mark.parametrize('count', [20, 65])
def test_signature_algorithms_that_come_too_late_are_used_or_named(serve, count, version):
    server = serve(ECHO)
    schemes = hellos.UNKNOWN_SCHEMES[:count - 1] + [0x0403]
    answer = ask(server, cut(client_hello(version, schemes=schemes)))
    if answer.hello is None:
        refused(server, answer, HANDSHAKE_FAILURE, f"of the client's {count} signature algorithms the TLS library looks at",
                'those for ECDSA come later')


@both_versions
def test_the_certificate_is_one_whose_signature_algorithms_come_early(serve, pki, version):
    server = serve(ECHO, *pki.rsa.options(), '-v')
    schemes = [0x0804, 0x0401, *hellos.UNKNOWN_SCHEMES[:70], 0x0403]
    suites = [hellos.AES_13] if version == '1.3' else [hellos.ECDSA_GCM, hellos.RSA_GCM]
    assert ask(server, cut(client_hello(version, suites=suites, schemes=schemes))).hello is not None
    assert '(RSA)' in server.wait().log


@pytest.fixture(params=[False, True], ids=['tickets off', 'tickets on'])
def tickets(request, tmp_path, postern):
    """Options for a server that gives tickets, or none."""
    if not request.param:
        return []
    file = tmp_path / 'tickets'
    launch.subprocess.run([postern, f'--new-ticket-key={file}'], check=True, capture_output=True)
    return [f'--tickets={file}']


@pytest.mark.parametrize('length', [1500, 1537, 4000, 16000])
def test_a_ticket_of_another_server_is_passed_over_in_tls_1_2(serve, tickets, length):
    message = client_hello('1.2', more=extension(hellos.TICKET, os.urandom(length)))
    assert ask(serve(ECHO, *tickets), cut(message)).hello is not None


@pytest.mark.parametrize('length', [200, 1537, 4000, 16000])
def test_a_ticket_of_another_server_is_passed_over_or_explained_in_tls_1_3(serve, tickets, length):
    server = serve(ECHO, *tickets)
    answer = ask(server, cut(client_hello(more=hellos.pre_shared_key(length))))
    taken = taken_or_explained(server, answer, f"a session ticket of another server's with {length} bytes")
    assert taken or length > 200


# What is no legal hello

def with_extension(kind, body):
    return cut(client_hello('1.2', more=extension(kind, body)))


@pytest.mark.parametrize('said, alert, words', [
    (cut(handshake(2, bytes(100))), UNEXPECTED_MESSAGE, 'client sent something else than a ClientHello'),
    (cut(handshake(16, bytes(100)), 1), UNEXPECTED_MESSAGE, 'client sent something else than a ClientHello'),
    (tls.record(20, b'\1'), UNEXPECTED_MESSAGE, 'client sent something else than a ClientHello'),
    (tls.record(23, bytes(100)), UNEXPECTED_MESSAGE, 'client sent something else than a ClientHello'),
    (tls.record(22, b''), UNEXPECTED_MESSAGE, 'client sent something else than a ClientHello'),
    (tls.record(22, b'\1\0') + tls.record(23, b'x'), UNEXPECTED_MESSAGE, 'client sent something else than a ClientHello'),
    (b'\x16\x03\x01\x40\x01\1', RECORD_OVERFLOW, 'client sent a TLS record that is longer than any may be'),
    (cut(b'\1\xff\xff\xff' + bytes(100)), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (cut(handshake(1, b'')), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (cut(handshake(1, bytes(30)), 1), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (cut(handshake(1, client_hello('1.2')[4:] + b'\0')), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (cut(client_hello('1.2', suites=[])), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (cut(client_hello('1.2', compression=b'')), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (cut(client_hello('1.2', groups=[])), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (cut(client_hello('1.2', schemes=[])), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (with_extension(43, b''), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (with_extension(16, vector(2, vector(1, b''))), DECODE_ERROR, 'client sent a malformed ClientHello'),
    (with_extension(43, vector(1, numbers([0x0304])) + b'x'), DECODE_ERROR, 'client sent a malformed ClientHello'),
], ids=['ServerHello', 'ClientKeyExchange, cut', 'change_cipher_spec', 'data', 'empty record', 'data in between',
        'record too long', 'message too long', 'no body', 'half a body', 'a byte too many', 'no suites', 'no compression',
        'no groups', 'no signatures', 'no versions', 'empty protocol', 'a byte behind the versions'])
def test_what_is_no_hello_gets_its_alert(serve, said, alert, words):
    server = serve(ECHO)
    refused(server, ask(server, said), alert, words)


def test_half_a_hello_and_the_end_is_no_error(serve):
    server = serve(ECHO)
    with server.connect() as connection:
        connection.sendall(cut(client_hello(), 1)[:99])
        connection.shutdown(socket.SHUT_WR)
        assert tls.ended(connection) == b''
    end = server.wait()
    assert (end.summary['end'], end.status) == ('left', 0), end.log
