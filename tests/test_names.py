# SPDX-License-Identifier: GPL-2.0-or-later
"""Which certificate a client gets: by the name it asks for (--cert-dir, --sni), by what it can check."""

import os
import re
import shutil
import subprocess

import pytest

from harness.pki import Responder

HANDLER = ['/bin/sh', '-c', 'echo ready; cat >/dev/null']


def fill(folder, name, pair):
    """DIR/NAME/ as certbot makes it: links into an archive."""
    archive = folder.parent / 'archive' / name
    archive.mkdir(parents=True, exist_ok=True)
    shutil.copy(pair.cert, archive / 'fullchain1.pem')
    shutil.copy(pair.key, archive / 'privkey1.pem')
    (folder / name).mkdir(exist_ok=True)
    for link, target in [('fullchain.pem', 'fullchain1.pem'), ('privkey.pem', 'privkey1.pem')]:
        (folder / name / link).unlink(missing_ok=True)
        (folder / name / link).symlink_to(f'../../archive/{name}/{target}')


@pytest.fixture
def live(tmp_path, pki):
    folder = tmp_path / 'live'
    folder.mkdir()
    fill(folder, 'mail.example.org', pki.leaf('mail', 'ecdsa', names='DNS:mail.example.org', subject='/CN=mail'))
    fill(folder, '_.example.net', pki.leaf('star', 'rsa', names='DNS:*.example.net', subject='/CN=star'))
    fill(folder, 'xn--bcher-kva.example', pki.leaf('idn', 'ed25519', names='DNS:xn--bcher-kva.example',
                                                   subject='/CN=idn'))
    return folder


def shake(server, *words):
    """What openssl s_client says of one handshake, and of the handler's environment."""
    run = subprocess.run(['openssl', 's_client', '-connect', f'{server.host}:{server.port}', '-no_ign_eof', *words],
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    return (run.stdout + run.stderr).decode(errors='replace')


def subject(said):
    found = re.search(r'^subject=CN ?= ?(\S+)', said, re.MULTILINE)
    return found and found[1]


@pytest.mark.parametrize('version', ['-tls1_3'] + (['-tls1_2'] if os.environ.get('MATRIX') == 'all' else []))
@pytest.mark.parametrize('name, wanted', [
    ('mail.example.org', 'mail'),
    ('MAIL.Example.ORG', 'mail'),
    ('a.example.net', 'star'),
    ('xn--bcher-kva.example', 'idn'),
    ('unknown.example.org', 'localhost'),
    ('example.net', 'localhost'),
    ('b.a.example.net', 'localhost'),
    (None, 'localhost'),
    ('../mail.example.org', 'localhost'),
    ('_.example.net', 'localhost'),
    ('a..example.net', 'localhost'),
    ('.example.net', 'localhost'),
    ('mail.example.org/../../etc', 'localhost'),
    ('x' * 250 + '.net', 'localhost'),
], ids=str)
def test_the_name_chooses_the_certificate(serve, live, version, name, wanted):
    server = serve(HANDLER, f'--cert-dir={live}')
    words = ['-servername', name] if name else ['-noservername']
    assert subject(shake(server, version, *words)) == wanted
    assert server.wait().status == 0


@pytest.mark.parametrize('pair', ['ecdsa', None], ids=['with a default pair', 'without'])
@pytest.mark.parametrize('name, wanted', [
    ('mail.example.org', 'mail'), ('a.example.net', 'star'), ('unknown.example.org', None), (None, None),
], ids=str)
def test_a_strict_server_refuses_names_it_has_no_certificate_for(serve, live, pair, name, wanted):
    server = serve(HANDLER, f'--cert-dir={live}', '--sni=strict', pair=pair)
    said = shake(server, *(['-servername', name] if name else ['-noservername']))
    ended = server.wait()
    if wanted:
        assert (subject(said), ended.status) == (wanted, 0)
        return
    assert 'unrecognized name' in said
    assert ended.status == 76
    assert f'no certificate for {name}' in ended.log if name else 'names no server' in ended.log


def test_a_strict_server_takes_a_name_that_its_default_certificate_is_for(serve, live):
    server = serve(HANDLER, f'--cert-dir={live}', '--sni=strict')
    assert subject(shake(server, '-servername', 'localhost')) == 'localhost'


def test_a_strict_server_needs_no_folder(serve):
    server = serve(HANDLER, '--sni=strict')
    assert subject(shake(server, '-servername', 'localhost')) == 'localhost'
    assert 'unrecognized name' in shake(server, '-servername', 'other')


def test_without_a_default_pair_unknown_names_are_refused(serve, live):
    server = serve(HANDLER, f'--cert-dir={live}', pair=None)
    assert subject(shake(server, '-servername', 'mail.example.org')) == 'mail'
    assert 'unrecognized name' in shake(server, '-servername', 'unknown.example.org')
    assert 'unrecognized name' in shake(server, '-noservername')


def test_a_renewed_certificate_is_used_by_the_next_connection(serve, live, pki):
    server = serve(HANDLER, f'--cert-dir={live}')
    assert subject(shake(server, '-servername', 'mail.example.org')) == 'mail'
    fill(live, 'mail.example.org', pki.leaf('renewed-mail', 'rsa', names='DNS:mail.example.org', subject='/CN=renewed'))
    assert subject(shake(server, '-servername', 'mail.example.org')) == 'renewed'


@pytest.mark.parametrize('fault, log', [
    ('no key', 'privkey.pem: cannot be opened'),
    ('key of another', 'key does not match'),
    ('key for all to read', 'others may read'),
    ('truncated', 'cut short'),
])
def test_a_broken_folder_ends_only_the_connections_that_ask_for_it(serve, live, pki, fault, log):
    key, cert = live / 'mail.example.org/privkey.pem', live / 'mail.example.org/fullchain.pem'
    if fault == 'no key':
        key.unlink()
    elif fault == 'key of another':
        shutil.copy(pki.rsa.key, key.resolve())
    elif fault == 'key for all to read':
        key.resolve().chmod(0o644)
    else:
        os.truncate(cert.resolve(), 200)
    server = serve(HANDLER, f'--cert-dir={live}')
    assert 'internal error' in shake(server, '-servername', 'mail.example.org')
    ended = server.wait()
    assert ended.status == 78
    assert log in ended.log
    assert ended.summary['end'] == 'configuration'
    assert subject(shake(server, '-servername', 'a.example.net')) == 'star'


def test_starttls_chooses_by_name_too(serve, live):
    server = serve(['/bin/sh', '-c', 'echo "* OK ready"; cat >/dev/null'], f'--cert-dir={live}', '--starttls=imap')
    assert subject(shake(server, '-starttls', 'imap', '-servername', 'a.example.net')) == 'star'


@pytest.mark.parametrize('words, wanted', [
    (['-sigalgs', 'rsa_pss_rsae_sha256'], 'RSA'),
    (['-sigalgs', 'ecdsa_secp256r1_sha256'], 'id-ecPublicKey'),
    ([], 'id-ecPublicKey'),
    (['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'], 'RSA'),
    (['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'], 'id-ecPublicKey'),
], ids=str)
def test_of_two_pairs_the_client_gets_the_one_it_can_check(serve, pki, words, wanted):
    server = serve(HANDLER, *pki.rsa.options())
    said = shake(server, *words)
    assert re.search(r'Peer signature type: (\S+)|PKEY: (\S+)', said)
    pem = re.search(r'-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----', said, re.DOTALL)[0]
    text = subprocess.run(['openssl', 'x509', '-noout', '-text'], input=pem.encode(), capture_output=True, check=True)
    assert wanted.encode() in re.search(rb'Public Key Algorithm: (.*)', text.stdout)[1].replace(b'rsaEncryption', b'RSA')


# ALPN: RFC 7301, and the names registered with IANA.

@pytest.mark.parametrize('options, offered, agreed', [
    ([], 'imap', 'imap'),
    ([], 'pop3', 'pop3'),
    ([], 'http/1.1', None),
    (['--starttls=imap'], 'imap', 'imap'),
    (['--starttls=imap'], 'http/1.1,imap', 'imap'),
    (['--starttls=imap'], 'pop3', None),
    (['--starttls=pop3'], 'pop3', 'pop3'),
    (['--starttls=sieve'], 'managesieve', 'managesieve'),
    (['--starttls=nntp'], 'nntp', 'nntp'),
    (['--starttls=smtp'], 'smtp', 'smtp'),
    (['--starttls=smtp'], 'http/1.1', None),
    (['--starttls=lmtp'], 'h2', None),
    (['--alpn=ftp,acme-tls/1'], 'acme-tls/1', 'acme-tls/1'),
    (['--alpn=ftp'], 'imap', None),
    (['--alpn=off'], 'http/1.1', ''),
    (['--starttls=imap'], '', ''),
], ids=str)
@pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])
def test_only_the_protocol_spoken_here_is_agreed_on(serve, tmp_path, version, options, offered, agreed):
    dialect = options[0].split('=')[1] if options and options[0].startswith('--starttls') else None
    greetings = {'imap': '* OK x', 'pop3': '+OK x', 'sieve': 'OK "x"', 'nntp': '200 x', 'smtp': '220 x', 'lmtp': '220 x'}
    greeting = greetings.get(dialect, 'ready')
    handler = ['/bin/sh', '-c', f"env >{tmp_path}/environment; echo '{greeting}'; cat >/dev/null"]
    server = serve(handler, *options)
    words = ['-alpn', offered] if offered else []
    said = shake(server, version, *words, *(['-starttls', dialect] if dialect else []))
    ended = server.wait()
    if agreed is None:
        assert 'no application protocol' in said
        assert ended.status == 76
        assert 'ALPN' in ended.log and offered in ended.log
    elif agreed:
        assert f'ALPN protocol: {agreed}' in said
        assert ended.summary['alpn'] == agreed
        assert f'POSTERN_TLS_ALPN={agreed}\n' in (tmp_path / 'environment').read_text()
    else:
        assert 'No ALPN negotiated' in said
        assert 'alpn' not in ended.summary


# OCSP stapling.

@pytest.fixture
def responder(pki, tmp_path):
    return Responder(pki, tmp_path)


@pytest.fixture
def with_issuer(pki):
    """A pair whose file holds its issuer too: without it a response can't be judged."""
    return pki.with_issuer


@pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])
def test_a_client_that_asks_gets_the_ocsp_response(serve, responder, with_issuer, version):
    server = serve(HANDLER, f'--ocsp={responder.respond(with_issuer)}', pair=with_issuer)
    said = shake(server, version, '-status', '-CAfile', str(with_issuer.ca))
    assert 'OCSP Response Status: successful' in said
    assert 'Cert Status: good' in said
    assert 'Verify return code: 0' in said
    assert 'OCSP' not in server.wait().log
    assert 'OCSP' not in shake(server, version, '-CAfile', str(with_issuer.ca))


@pytest.mark.parametrize('version', ['-tls1_2', '-tls1_3'])
@pytest.mark.parametrize('fault, log', [
    ('revoked', 'revoked'), ('expired', 'out of date'), ('other', 'another certificate'), ('text', 'no OCSP response'),
    ('missing', 'cannot be opened'), ('lone', 'issuer is not in the same file'),
])
def test_an_unusable_ocsp_response_is_left_out_and_told_of(serve, pki, responder, with_issuer, tmp_path, version, fault,
                                                           log):
    pair = with_issuer
    if fault == 'revoked':
        file = responder.respond(pair, 'R')
    elif fault == 'expired':
        file = responder.respond(pair, faked=['faketime', '-f', '-20d'])
    elif fault == 'other':
        file = responder.respond(pki.rsa)
    elif fault == 'text':
        file = pki.ca
    elif fault == 'missing':
        file = tmp_path / 'nothing'
    else:
        pair = pki.ecdsa
        file = responder.respond(pair)
    server = serve(HANDLER, f'--ocsp={file}', pair=pair)
    said = shake(server, version, '-status', '-CAfile', str(pair.ca))
    assert 'OCSP response: no response sent' in said
    assert 'Verify return code: 0' in said
    ended = server.wait()
    assert ended.status == 0
    assert log in ended.log
