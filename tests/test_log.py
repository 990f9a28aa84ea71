# SPDX-License-Identifier: GPL-2.0-or-later
"""The log as JSON: every line an object, with the same facts as the text has."""

import json
import subprocess

import pytest

from harness import clients

HANDLER = ['/bin/sh', '-c', 'echo ready; read line; exit 3']


def lines(server):
    return [json.loads(line) for line in server.wait().log.splitlines()]


def test_a_session_is_summed_up_with_its_fields(serve, pki):
    server = serve(HANDLER, '--log=json')
    with clients.tls(server, pki.ca, '1.3', alpn=['imap']) as connection:
        assert connection.recv(100) == b'ready\n'
        connection.sendall(b'bye\r\n')
        while connection.recv(100):
            pass
    found = lines(server)[-1]
    assert found['client'].startswith('127.0.0.1:') and found['server'] == f'127.0.0.1:{server.port}'
    assert (found['tls'], found['sni'], found['alpn'], found['resumed']) == ('TLSv1.3', 'localhost', 'imap', 'no')
    assert (found['handler'], found['in'], found['out'], found['end']) == (3, 5, 6, 'handler-close')
    assert isinstance(found['seconds'], float) and found['level'] == 'note'
    assert isinstance(found['pid'], int) and found['time'].endswith('Z')


def test_what_goes_wrong_is_a_message(serve):
    server = serve(HANDLER, '--log=json')
    with server.connect() as connection:
        connection.sendall(b'GET / HTTP/1.0\r\n"\\\r\n')
        while connection.recv(100):
            pass
    error, summary = lines(server)
    assert error['level'] == 'error' and 'HTTP' in error['message'] and 'end' not in error
    assert summary['end'] == 'handshake-failed'


@pytest.mark.parametrize('stderr', ['socket'])
def test_not_one_byte_of_it_goes_to_the_client(serve, pki, stderr):
    server = serve(HANDLER, '--log=json', stderr=stderr)
    with clients.tls(server, pki.ca) as connection:
        assert connection.recv(1000) == b'ready\n'
        connection.sendall(b'\r\n')
        assert connection.recv(1000) == b''


def test_options_are_judged_before_and_told_in_plain_words(postern):
    ended = subprocess.run([postern, '--log=xml', '/bin/cat'], capture_output=True, text=True, check=False)
    assert ended.returncode == 64 and 'stderr, syslog or json' in ended.stderr
