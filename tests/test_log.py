# SPDX-License-Identifier: GPL-2.0-or-later
"""The log as JSON, every line an object with the same facts as the text has; and for the journal, with priorities."""

import json
import re
import socket
import subprocess
from contextlib import suppress

import pytest

from harness import clients, launch

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
    assert ended.returncode == 64 and 'stderr, syslog, journal or json' in ended.stderr


# The journal

IN_THE_JOURNAL = 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"'
OF_ANOTHER = 'JOURNAL_STREAM=$(stat -L -c %d:%i /) exec "$@"'


def beside_the_journal(script):
    return lambda command, folder, **more: launch.Direct(['/bin/sh', '-c', script, 'sh', *command], folder, **more)


@pytest.mark.parametrize('script, options, begin', [
    (IN_THE_JOURNAL, [], r'<\d>'),
    (IN_THE_JOURNAL, ['--log=journal'], r'<\d>'),
    (IN_THE_JOURNAL, ['--log=stderr'], r'postern\[\d+\]: '),
    (IN_THE_JOURNAL, ['--log=json'], r'{"time": '),
    (OF_ANOTHER, [], r'postern\[\d+\]: '),
    (OF_ANOTHER, ['--log=journal'], r'<\d>'),
    ('exec "$@"', ['--log=journal'], r'<\d>'),
], ids=['by itself', 'as told', 'stderr', 'json', 'another stream', 'another stream as told', 'no stream'])
def test_lines_for_the_journal_have_a_priority_and_neither_name_nor_process(serve, script, options, begin):
    server = serve(HANDLER, '-v', *options, launcher=beside_the_journal(script))
    server.connect().close()
    lines_there = server.wait().log.splitlines()
    assert len(lines_there) > 1
    assert all(re.match(begin + r'[^<]', line) for line in lines_there)


@pytest.mark.parametrize('said, options, priorities', [
    (None, [], ['6']),
    (None, ['--quiet'], []),
    (b'', [], ['5', '6']),
    (b'', ['--quiet'], []),
    (b'GET / HTTP/1.0\r\n\r\n', [], ['5', '6']),
    (b'GET / HTTP/1.0\r\n\r\n', ['--quiet'], ['5']),
    (b'', ['--cert=/nowhere/cert.pem'], ['3', '6']),
    (b'', ['--nonsense'], ['3']),
], ids=['a session', 'a session, quietly', 'a port scan', 'a port scan, quietly', 'HTTP', 'HTTP, quietly', 'no certificate', 'no such option'])
def test_our_own_errors_a_session_and_scanners_have_priorities_of_their_own(serve, pki, said, options, priorities):
    server = serve(['/bin/cat'], *options, launcher=beside_the_journal(IN_THE_JOURNAL))
    if said is None:
        with clients.tls(server, pki.ca) as connection:
            connection.unwrap()
    else:
        with server.connect() as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                while connection.recv(1000):
                    pass
    assert [line[1] for line in server.wait().log.splitlines()] == priorities
