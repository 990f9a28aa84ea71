# SPDX-License-Identifier: GPL-2.0-or-later
"""--check of certificates: by name, by what is wrong with them, and as JSON."""

import json
import os
import shutil
import subprocess

import pytest

from harness.pki import Pair, openssl

OK, CONFIG = 0, 78


@pytest.fixture
def check(postern):
    def run(*options):
        ended = subprocess.run([postern, '--check', *map(str, options), '/bin/cat'], stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, timeout=30, check=False)
        assert ended.stderr == ''
        return ended.returncode, ended.stdout
    return run


def folder(live, name, pair):
    (live / name).mkdir(parents=True)
    shutil.copy(pair.cert, live / name / 'fullchain.pem')
    shutil.copy(pair.key, live / name / 'privkey.pem')


def test_each_folder_is_checked(check, pki, tmp_path):
    live = tmp_path / 'live'
    folder(live, 'mail.example.org', pki.leaf('c-mail', names='DNS:mail.example.org'))
    folder(live, '_.example.net', pki.leaf('c-star', names='DNS:*.example.net'))
    (live / 'README').write_text('certbot puts one here')
    status, said = check(f'--cert-dir={live}')
    assert status == OK
    assert f'ok    {live}/mail.example.org/fullchain.pem: ECDSA certificate, 256 bits, for mail.example.org' in said
    assert f'ok    {live}/_.example.net/privkey.pem: key matches' in said
    assert 'README' not in said


@pytest.mark.parametrize('name, verdict, words', [
    ('other.example.org', 'warn', 'is not for other.example.org'),
    ('_.example.org', 'warn', 'is not for example.org'),
    ('Mail.example.org', 'warn', 'no client can ask for this'),
    ('mail_1.example.org', 'warn', 'no client can ask for this'),
])
def test_a_folder_whose_name_does_not_fit_is_warned_of(check, pki, tmp_path, name, verdict, words):
    folder(tmp_path / 'live', name, pki.leaf('c-mail', names='DNS:mail.example.org'))
    status, said = check(f'--cert-dir={tmp_path}/live')
    assert status == OK
    assert any(line.startswith(verdict) and words in line for line in said.splitlines()), said


def spoil(fault, live, pki):
    if fault == 'no key':
        (live / 'mail.example.org/privkey.pem').unlink()
    elif fault == 'no certificate':
        (live / 'mail.example.org/fullchain.pem').unlink()
    elif fault == 'key of another':
        shutil.copy(pki.rsa.key, live / 'mail.example.org/privkey.pem')
    elif fault == 'key for all to read':
        (live / 'mail.example.org/privkey.pem').chmod(0o604)
    elif fault == 'expired':
        shutil.copy(pki.expired.cert, live / 'mail.example.org/fullchain.pem')
        shutil.copy(pki.expired.key, live / 'mail.example.org/privkey.pem')
    else:
        shutil.rmtree(live / 'mail.example.org')


@pytest.mark.parametrize('fault, words', [
    ('no key', 'privkey.pem: cannot be opened'), ('no certificate', 'fullchain.pem: no such file'),
    ('key of another', 'key does not match'), ('key for all to read', 'others may read'),
    ('expired', 'expired on 2022-01-02'), ('empty', 'there is no folder'),
])
def test_what_is_wrong_with_a_folder_fails(check, pki, tmp_path, fault, words):
    live = tmp_path / 'live'
    folder(live, 'mail.example.org', pki.leaf('c-mail', names='DNS:mail.example.org'))
    spoil(fault, live, pki)
    status, said = check(f'--cert-dir={live}')
    assert status == CONFIG
    assert any(line.startswith('FAIL') and words in line for line in said.splitlines()), said


def test_json_is_one_object_with_the_facts_of_each_certificate(check, pki, tmp_path):
    live = tmp_path / 'live "odd\\ name"'
    folder(live, 'mail.example.org', pki.leaf('c-two', names='DNS:mail.example.org,DNS:imap.example.org'))
    status, said = check('--check=json', *pki.rsa.options(), f'--cert-dir={live}')
    found = json.loads(said)
    assert status == OK and found['ok'] is True
    certificates = [entry for entry in found['checks'] if 'certificate' in entry]
    assert [entry['kind'] for entry in certificates] == ['RSA', 'ECDSA']
    assert certificates[1]['names'] == ['mail.example.org', 'imap.example.org']
    assert certificates[1]['certificate'] == f'{live}/mail.example.org/fullchain.pem'
    assert certificates[1]['days_left'] in (29, 30)
    assert certificates[0]['bits'] == 2048
    assert {entry['verdict'] for entry in found['checks']} <= {'ok', 'note', 'warn'}


def test_json_says_what_fails(check, pki):
    status, said = check('--check=json', *pki.expired.options())
    found = json.loads(said)
    assert status == CONFIG and found['ok'] is False
    assert any(entry['verdict'] == 'fail' and 'expired' in entry['text'] for entry in found['checks'])


def test_json_is_valid_even_if_nothing_can_be_loaded(check, tmp_path):
    status, said = check('--check=json', f'--cert={tmp_path}/nothing "here"')
    assert status == CONFIG and json.loads(said)['ok'] is False


def test_another_word_is_refused(check, postern):
    ended = subprocess.run([postern, '--check=xml', '/bin/cat'], capture_output=True, text=True, check=False)
    assert ended.returncode == 64 and 'wants json' in ended.stderr


# What openssl(1) can make of a certificate, and what is said of it.

def made(name, tmp_path, pki):
    """A pair with that fault, and the words that name it."""
    cert, key = tmp_path / 'cert.pem', tmp_path / 'key.pem'
    words = {'RSA of 1024 bits': ['-newkey', 'rsa:1024'], 'MD5 signature': ['-newkey', 'rsa:2048', '-md5'],
             'SHA-1 signature': ['-newkey', 'rsa:2048', '-sha1'],
             'CA as leaf': ['-newkey', 'rsa:2048', '-addext', 'basicConstraints=critical,CA:TRUE'],
             }.get(name, ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'])
    faked = ['faketime', '-f', '+20d'] if name == 'not valid yet' else []
    subprocess.run([*faked, 'openssl', 'req', '-x509', '-nodes', '-subj', '/CN=localhost', '-days', '60', '-addext',
                    'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert, *words], check=True, capture_output=True)
    key.chmod(0o600)
    if name == 'truncated':
        os.truncate(cert, cert.stat().st_size - 30)
    elif name == 'DER':
        openssl('x509', '-in', cert, '-outform', 'DER', '-out', tmp_path / 'cert.der')
        cert = tmp_path / 'cert.der'
    elif name == 'key in DER':
        openssl('pkey', '-in', key, '-outform', 'DER', '-out', tmp_path / 'key.der')
        key = tmp_path / 'key.der'
        key.chmod(0o600)
    elif name == 'wrong key':
        key = pki.ecdsa.key
    elif name == 'empty':
        cert.write_text('')
    elif name == 'root before leaf':
        cert.write_bytes(pki.ca.read_bytes() + pki.ecdsa.cert.read_bytes())
        key = pki.ecdsa.key
    elif name == 'long chain':
        cert.write_bytes(b''.join([cert.read_bytes()] * 20))
    elif name == 'garbage in base64':
        cert.write_text(cert.read_text().replace('MII', '!!!', 1))
    return Pair(cert, key, cert)


@pytest.mark.parametrize('name, words', [
    ('RSA of 1024 bits', 'RSA key of 1024 bits'), ('MD5 signature', 'MD5 or SHA-1'), ('SHA-1 signature', 'MD5 or SHA-1'),
    ('truncated', 'cut short'), ('DER', 'looks like DER'), ('key in DER', 'no private key in it'),
    ('wrong key', 'does not match'), ('empty', 'no certificate in it'), ('long chain', 'more than 16'),
    ('root before leaf', 'right order is 2 (/CN=localhost), 1 (/CN=Throw-away CA)'),
    ('garbage in base64', 'not base64'),
])
def test_a_broken_certificate_is_refused_by_check_and_when_serving(check, serve, pki, tmp_path, name, words):
    pair = made(name, tmp_path, pki)
    status, said = check(*pair.options())
    assert status == CONFIG
    assert any(line.startswith('FAIL') and words in line for line in said.splitlines()), said
    server = serve(['/bin/cat'], pair=pair)
    with server.connect() as connection:
        assert connection.recv(1) == b''
    ended = server.wait()
    assert ended.status == CONFIG and words in ended.log and ended.summary['end'] == 'configuration'


@pytest.mark.parametrize('name, status, words', [
    ('not valid yet', CONFIG, 'not valid yet'), ('CA as leaf', OK, 'self-signed'),
    ('CA as leaf', OK, "a CA's own certificate (CA:TRUE)"),
])
def test_what_is_served_all_the_same_is_told_of_by_check(check, serve, pki, tmp_path, name, status, words):
    pair = made(name, tmp_path, pki)
    found, said = check(*pair.options())
    assert found == status and words in said
    server = serve(['/bin/cat'], pair=pair)
    run = subprocess.run(['openssl', 's_client', '-connect', f'{server.host}:{server.port}', '-no_ign_eof'],
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert b'BEGIN CERTIFICATE' in run.stdout
    ended = server.wait()
    assert ended.status == 0
    assert (words in ended.log) == (name == 'not valid yet')


def test_only_a_certificate_that_can_make_others_is_warned_of_as_one(check, pki):
    status, said = check(*pki.ecdsa.options())
    assert status == OK and 'CA:TRUE' not in said
    assert json.loads(check('--check=json', *pki.ecdsa.options())[1])['checks'][0]['ca'] is False


def test_a_chain_of_16_kib_is_served_whole(serve, tmp_path):
    # wolfSSL from 5.7 on takes 128 names.
    long = '.a-long-name-to-fill-the-certificate' * 3 + '.example.org'
    names = ','.join(f'DNS:host{number}{long}' for number in range(120))
    cert, key = tmp_path / 'cert.pem', tmp_path / 'key.pem'
    openssl('req', '-x509', '-nodes', '-subj', '/CN=localhost', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
            '-addext', f'subjectAltName={names}', '-keyout', key, '-out', cert)
    assert cert.stat().st_size > 16384
    key.chmod(0o600)
    server = serve(['/bin/cat'], pair=Pair(cert, key, cert))
    run = subprocess.run(['openssl', 's_client', '-connect', f'{server.host}:{server.port}', '-no_ign_eof', '-CAfile',
                          cert, '-verify_hostname', f'host119{long}'],
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert b'BEGIN CERTIFICATE' in run.stdout and b'Verification: OK' in run.stdout


def test_a_name_with_a_nul_in_it_is_shown_and_matches_nothing(check, serve, pki, tmp_path):
    request = tmp_path / 'nul.cnf'
    request.write_text('[req]\ndistinguished_name=dn\nx509_extensions=v3\nprompt=no\n[dn]\nCN=localhost\n[v3]\n'
                       'subjectAltName=DER:30:1a:82:18:' + ':'.join(f'{byte:02x}' for byte in b'bank.example\0.evil.test')
                       + ':78\n')
    cert, key = tmp_path / 'cert.pem', tmp_path / 'key.pem'
    openssl('req', '-x509', '-nodes', '-config', request, '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
            '-keyout', key, '-out', cert)
    key.chmod(0o600)
    status, said = check(f'--cert={cert}', f'--key={key}')
    assert 'for bank.example\n' not in said
    assert status in (OK, CONFIG)
    server = serve(['/bin/cat'], '--sni=strict', pair=Pair(cert, key, cert))
    run = subprocess.run(['openssl', 's_client', '-connect', f'{server.host}:{server.port}', '-servername',
                          'bank.example'], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert b'BEGIN CERTIFICATE' not in run.stdout
