# SPDX-License-Identifier: GPL-2.0-or-later
"""X25519 keys of clients that are points of low order: the secret would be zero, whatever our key is (RFC 7748 section 6.1).

RFC 8446 section 7.4.2 and RFC 8422 section 5.11 want the handshake to end.
"""

import os

import pytest

from harness import hellos, tls
from harness.hellos import HANDSHAKE, HEADER, X25519, P256, client_hello, cut, handshake, key_share, vector

P = 2 ** 255 - 19
ORDER_8 = ['e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
           '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157']
POINTS = {
    **{name: value.to_bytes(32, 'little') for name, value in
       {'0': 0, '1': 1, 'p-1': P - 1, 'p': P, 'p+1': P + 1}.items()},
    **{f'of order 8, {text[:4]}': bytes.fromhex(text) for text in ORDER_8},
}
POINTS.update({f'{name}, high bit': point[:31] + bytes([point[31] | 0x80]) for name, point in POINTS.items()})
BASE = b'\x09' + bytes(31)
SERVER_HELLO_DONE, CLIENT_KEY_EXCHANGE = 14, 16
WORDS = 'client sent a key from which no secret can come'
ILLEGAL_PARAMETER = 47

points = pytest.mark.parametrize('point', POINTS.values(), ids=POINTS)


def refused(server):
    end = server.wait()
    assert WORDS in end.log
    assert (end.summary['end'], end.status) == ('handshake-failed', os.EX_PROTOCOL), end.log


@points
def test_share_of_low_order_ends_the_handshake_of_tls_1_3(serve, point):
    server = serve(['/bin/cat'])
    answer = hellos.ask(server, cut(client_hello(share=key_share(key=point))))
    assert answer.alert == ILLEGAL_PARAMETER
    refused(server)


@points
def test_share_of_low_order_after_a_retry_ends_the_handshake(serve, point):
    server = serve(['/bin/cat'], '--groups=X25519')
    with server.connect() as connection:
        connection.sendall(cut(client_hello(share=key_share(group=P256, key=b'\4' + bytes(64)))))
        with connection.makefile('rb') as stream:
            assert hellos.read_answer(stream).retry
            connection.sendall(cut(client_hello(share=key_share(key=point))))
            answer = hellos.read_answer(stream)
    assert answer.alert == ILLEGAL_PARAMETER
    refused(server)


def until_done(stream):
    """Read records up to ServerHelloDone."""
    messages = b''
    while not messages.endswith(handshake(SERVER_HELLO_DONE, b'')):
        header = stream.read(HEADER)
        assert header[:1] == bytes([HANDSHAKE])
        messages += stream.read(int.from_bytes(header[3:], 'big'))


def exchange(server, point):
    """A handshake of TLS 1.2 up to the client's key: what is answered to it before anything else is sent."""
    with server.connect() as connection:
        connection.sendall(cut(client_hello(version='1.2', groups=(X25519,))))
        with connection.makefile('rb') as stream:
            until_done(stream)
            connection.sendall(tls.record(HANDSHAKE, handshake(CLIENT_KEY_EXCHANGE, vector(1, point)), tls.TLS12))
            return hellos.read_answer(stream)


@points
def test_key_of_low_order_ends_the_handshake_of_tls_1_2(serve, point):
    server = serve(['/bin/cat'])
    answer = exchange(server, point)    # libraries differ in the alert
    assert answer.hello is None
    refused(server)


def test_points_of_full_order_are_taken(serve):
    server = serve(['/bin/cat'], '--timeout-handshake=1')
    assert hellos.ask(server, cut(client_hello(share=key_share(key=BASE)))).hello
    server.wait()
    answer = exchange(server, BASE)
    assert answer.alert is None
    assert server.wait().summary['end'] == 'timeout-handshake'
