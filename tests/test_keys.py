# SPDX-License-Identifier: GPL-2.0-or-later
"""Private keys in every form that openssl(1) writes, and what is said of keys and certificates that can't be used."""

import subprocess

import pytest

from harness.pki import Pair

HANDLER = ['/bin/sh', '-c', 'echo ready; cat >/dev/null']
PASSWORD = 'a pass phrase with spaces'

# How openssl turns our key into that form.
FORMS = {
    'PKCS#8': ['pkcs8', '-topk8', '-nocrypt'],
    'SEC1': ['ec'],
    'PKCS#1': ['rsa', '-traditional'],
}
ENCRYPTED = {
    'PKCS#8 with AES-256': ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-passout', f'pass:{PASSWORD}'],
    'PKCS#8 with AES-128 and SHA-256': ['pkcs8', '-topk8', '-v2', 'aes-128-cbc', '-v2prf', 'hmacWithSHA256',
                                        '-passout', f'pass:{PASSWORD}'],
    'SEC1 with AES-256': ['ec', '-aes256', '-passout', f'pass:{PASSWORD}'],
    'PKCS#1 with AES-128': ['rsa', '-traditional', '-aes128', '-passout', f'pass:{PASSWORD}'],
}
OLD_FORMS = {'SEC1': 'ecdsa', 'SEC1 with AES-256': 'ecdsa', 'PKCS#1': 'rsa', 'PKCS#1 with AES-128': 'rsa'}


def converted(pair, words, file):
    subprocess.run(['openssl', *words, '-in', pair.key, '-out', file], check=True, capture_output=True)
    file.chmod(0o600)
    return Pair(pair.cert, file, pair.ca)


def cases(forms):
    return [(form, kind) for form in forms for kind in ('ecdsa', 'rsa', 'ed25519') if OLD_FORMS.get(form, kind) == kind]


def shake(server, pair):
    run = subprocess.run(['openssl', 's_client', '-connect', f'{server.host}:{server.port}', '-no_ign_eof', '-CAfile',
                          pair.ca], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    return b'BEGIN CERTIFICATE' in run.stdout and b'Verification: OK' in run.stdout


@pytest.fixture
def password_file(tmp_path):
    def write(text):
        file = tmp_path / 'password'
        file.write_text(text)
        file.chmod(0o600)
        return f'--key-pass-file={file}'
    return write


@pytest.mark.parametrize('form, kind', cases(FORMS))
def test_a_plain_key_of_any_form_is_served(serve, pki, tmp_path, form, kind):
    pair = converted(pki.pair(kind), FORMS[form], tmp_path / 'key')
    assert shake(serve(HANDLER, pair=pair), pair)


@pytest.mark.parametrize('form, kind', cases(ENCRYPTED))
def test_an_encrypted_key_is_served_with_its_password(serve, pki, tmp_path, password_file, form, kind):
    pair = converted(pki.pair(kind), ENCRYPTED[form], tmp_path / 'key')
    server = serve(HANDLER, password_file(f'{PASSWORD}\nanother line\n'), pair=pair)
    assert shake(server, pair)
    assert server.wait().status == 0


@pytest.mark.parametrize('form, kind', cases(ENCRYPTED))
def test_a_wrong_password_is_told_of(serve, pki, tmp_path, password_file, form, kind):
    pair = converted(pki.pair(kind), ENCRYPTED[form], tmp_path / 'key')
    server = serve(HANDLER, password_file('wrong\n'), pair=pair)
    assert not shake(server, pair)
    ended = server.wait()
    assert ended.status == 78
    assert f'{tmp_path}/key' in ended.log and 'wrong password' in ended.log


@pytest.mark.parametrize('text, mode, log', [
    (None, 0o600, '--key-pass-file=FILE'),
    ('\n', 0o600, 'no password'),
    ('', 0o600, 'no password'),
    ('x' * 2000, 0o600, 'no password'),
    (f'{PASSWORD}\n', 0o644, 'others may read'),
])
def test_a_missing_or_unfit_password_is_told_of(serve, pki, tmp_path, password_file, text, mode, log):
    pair = converted(pki.ecdsa, ENCRYPTED['PKCS#8 with AES-256'], tmp_path / 'key')
    options = []
    if text is not None:
        options = [password_file(text)]
        (tmp_path / 'password').chmod(mode)
    server = serve(HANDLER, *options, pair=pair)
    assert not shake(server, pair)
    ended = server.wait()
    assert ended.status == 78
    assert log in ended.log


def test_the_password_may_end_with_cr_and_lf_or_nothing(serve, pki, tmp_path, password_file):
    pair = converted(pki.ecdsa, ENCRYPTED['PKCS#8 with AES-256'], tmp_path / 'key')
    for ending in ['\r\n', '']:
        assert shake(serve(HANDLER, password_file(PASSWORD + ending), pair=pair), pair)


def test_one_file_may_hold_certificate_and_encrypted_key(serve, pki, tmp_path, password_file):
    pair = converted(pki.ecdsa, ENCRYPTED['PKCS#8 with AES-256'], tmp_path / 'key')
    both = tmp_path / 'both.pem'
    both.touch(mode=0o600)
    both.write_bytes(pair.key.read_bytes() + pair.cert.read_bytes())
    assert shake(serve(HANDLER, password_file(PASSWORD), pair=Pair(both, None, pki.ca)), pair)
