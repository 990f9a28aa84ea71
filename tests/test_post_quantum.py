# SPDX-License-Identifier: GPL-2.0-or-later
"""Key exchange that a quantum computer can't undo: X25519MLKEM768, where the TLS library has it.

What needs it is left out where library or OpenSSL (from 3.5 on) lack it; what must hold without it is tested there.
"""

import re
import subprocess

import pytest

from harness import resume, tls

HYBRID = 'X25519MLKEM768'
GROUP = HYBRID.lower()
HELLO = ['/bin/echo', 'hello']


@pytest.fixture(scope='session')
def has_it(postern):
    return HYBRID in subprocess.run([postern, '--version'], capture_output=True, text=True, check=True).stdout.split()


@pytest.fixture
def both_have_it(has_it):
    if not has_it:
        pytest.skip(f'this wolfSSL has no {HYBRID}')
    version = subprocess.run(['openssl', 'version'], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, re.match(r'OpenSSL (\d+)\.(\d+)', version).groups())) < (3, 5):
        pytest.skip(f'this OpenSSL has no {HYBRID}')


@pytest.fixture
def without_it(has_it):
    if has_it:
        pytest.skip(f'this wolfSSL has {HYBRID}')


def hellos(run):
    """How many ClientHellos s_client -msg has shown: two mean that it was asked for another key share."""
    return run.stdout.count(b', ClientHello\n')


@pytest.mark.parametrize('ours, theirs, group, sent', [
    (None, [], GROUP, 1),
    (None, ['-tls1_3'], GROUP, 1),
    (None, ['-groups', 'X25519'], 'x25519', 1),
    (None, ['-groups', 'P-384'], 'secp384r1', 1),
    (None, ['-groups', f'X25519:{HYBRID}'], GROUP, 2),
    (None, ['-groups', f'P-521:{HYBRID}:X25519'], GROUP, 2),
    (None, ['-tls1_2'], 'x25519', 1),
    (HYBRID, [], GROUP, 1),
    (GROUP, ['-groups', f'P-384:{HYBRID}'], GROUP, 2),
    (f'P-256:{HYBRID}', ['-groups', f'{HYBRID}:P-384'], GROUP, 1),
    (f'P-256:{HYBRID}', ['-groups', f'P-256:{HYBRID}'], 'secp256r1', 1),
    (f'{HYBRID}:P-256', ['-tls1_2', '-groups', 'X25519:P-256'], 'secp256r1', 1),
])
def test_openssl_uses_it_wherever_both_sides_can(serve, both_have_it, ours, theirs, group, sent):
    server = serve(HELLO, *([f'--groups={ours}'] if ours else []))
    run = tls.openssl_client(server, '-msg', *theirs)
    assert (server.wait().summary.get('group'), hellos(run)) == (group, sent), run.stdout.decode(errors='replace')


@pytest.mark.parametrize('theirs', [['-tls1_3', '-groups', 'X25519'], ['-tls1_2']])
def test_where_nothing_else_is_allowed_who_cannot_is_refused(serve, both_have_it, theirs):
    server = serve(HELLO, f'--groups={HYBRID}')
    run = tls.openssl_client(server, *theirs)
    end = server.wait()
    assert 'handshake failed: no shared key exchange group: see --groups' in end.log
    assert end.summary['end'] == 'handshake-failed' and b'SSL alert number 40' in run.stdout


@pytest.mark.parametrize('words', [[], ['-groups', f'X25519:{HYBRID}']], ids=['at once', 'after a retry'])
def test_a_session_is_resumed_with_it(postern, serve, pki, both_have_it, tmp_path, words):
    tickets = tmp_path / 'tickets'
    subprocess.run([postern, f'--new-ticket-key={tickets}'], check=True)
    client = resume.OpenSSL(pki.ca, tmp_path)
    for number, told in enumerate(['Initial', 'Resumed', 'Resumed']):
        server = serve(resume.handler(), f'--tickets={tickets}')
        assert client.connect(server, '1.3', *words) == told
        client.session = client.last
        end = server.wait()
        assert (end.summary['group'], end.summary['resumed']) == (GROUP, 'yes' if number else 'no')


def test_the_log_tells_of_it_with_v(serve, both_have_it):
    server = serve(HELLO, '-v')
    tls.openssl_client(server)
    assert (f'key exchange group {GROUP}: offered by the client, and one of {HYBRID}:X25519:P-256:P-384'
            in server.wait().log)


def test_the_handler_is_served_after_starttls(serve, both_have_it):
    server = serve(['/bin/echo', '* OK hello'], '--starttls=imap')
    tls.openssl_client(server, '-starttls', 'imap')
    assert server.wait().summary['group'] == GROUP


def share(group, size):
    return tls.numbers([group]) + tls.vector(2, bytes([9]) + bytes(size - 1))


def test_who_offers_it_and_another_group_is_served_by_any_library(serve):
    """A ClientHello of over 1 KB, as browsers send it."""
    shares = share(0x11ec, 1184 + 32) + share(tls.X25519, 32)
    hello = tls.client_hello(suites=[0x1303, 0x1301], groups=[0x11ec, tls.X25519], versions=[tls.TLS13],
                             more=tls.extension(51, tls.vector(2, shares)))
    assert len(hello) > 1280
    server = serve(HELLO, '-v')
    with server.connect() as client:
        client.sendall(hello)
        answer = client.recv(65536)
    end = server.wait()
    # Zeros are no key for ML-KEM: a library that has it may say so.
    assert answer[0] in (21, 22) and 'malformed' not in end.log, end.log


def check(postern, pki, *options):
    run = subprocess.run([postern, '--check', *pki.ecdsa.options(), *options, '/bin/cat'], capture_output=True, text=True,
                         check=False)
    return run.returncode, run.stdout.splitlines()


@pytest.mark.parametrize('options, wanted', [
    ([], ('yes', 'no: this TLS library has none')),
    ([f'--groups=P-256:{GROUP}'], ('yes', 'no: this TLS library has none')),
    (['--groups=X25519:P-256'], (f'no: --groups leaves {HYBRID} out', 'no: this TLS library has none')),
], ids=['default', 'named', 'left out'])
def test_check_says_whether_it_is_used(postern, pki, has_it, options, wanted):
    _, lines = check(postern, pki, *options)
    assert f'note  post-quantum key exchange: {wanted[0 if has_it else 1]}' in lines, lines


def test_without_it_in_the_library_its_name_is_refused_in_one_line(postern, pki, serve, without_it):
    said = re.compile(rf'--groups: this TLS library \(wolfSSL \S+\) does not have {HYBRID}: leave it out')
    status, lines = check(postern, pki, f'--groups={HYBRID}:X25519')
    assert status != 0 and sum(1 for line in lines if line.startswith('FAIL') and said.search(line)) == 1, lines
    server = serve(HELLO, f'--groups={HYBRID}:X25519')
    tls.openssl_client(server)
    end = server.wait()
    assert len(said.findall(end.log)) == 1 and end.summary['end'] == 'configuration', end.log
