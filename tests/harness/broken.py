# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates and keys that cannot be used: each function gives the options, and what the log has to say of them."""

import re
import shutil

from harness import pki as pki_module


def missing_certificate(pki, folder):
    return [f'--cert={folder}/cert.pem', f'--key={pki.ecdsa.key}'], [f'{folder}/cert.pem', 'No such file or directory']


def missing_key(pki, folder):
    return [f'--cert={pki.ecdsa.cert}', f'--key={folder}/key.pem'], [f'{folder}/key.pem', 'No such file or directory']


def key_left_out(pki, _):
    return [f'--cert={pki.ecdsa.cert}'], [str(pki.ecdsa.cert)]


def other_key(pki, _):
    other = pki.leaf('other')
    return ([f'--cert={pki.ecdsa.cert}', f'--key={other.key}'],
            [f'{other.key}: key does not match', str(pki.ecdsa.cert), '--check'])


def key_of_another_kind(pki, _):
    return [f'--cert={pki.rsa.cert}', f'--key={pki.ecdsa.key}'], [str(pki.ecdsa.key), 'does not match', 'RSA']


def other_rsa_key(pki, _):
    other = pki.leaf('other-rsa', 'rsa')
    return [f'--cert={pki.rsa.cert}', f'--key={other.key}'], [f'{other.key}: key does not match']


def other_ed25519_key(pki, _):
    other = pki.leaf('other-ed25519', 'ed25519')
    return [f'--cert={pki.ed25519.cert}', f'--key={other.key}'], [f'{other.key}: key does not match']


def world_readable_key(pki, folder):
    key = folder / 'key.pem'
    shutil.copy(pki.ecdsa.key, key)
    key.chmod(0o644)
    return [f'--cert={pki.ecdsa.cert}', f'--key={key}'], [str(key), 'others', '0644', 'chmod']


def world_readable_combined_file(pki, folder):
    both = folder / 'both.pem'
    shutil.copy(pki.combined.cert, both)
    both.chmod(0o604)
    return [f'--cert={both}'], [str(both), 'others', '0604']


def folder_for_a_certificate(pki, folder):
    return [f'--cert={folder}', f'--key={pki.ecdsa.key}'], [f'{folder}: is not a file']


def empty_certificate(pki, folder):
    (folder / 'cert.pem').touch()
    return [f'--cert={folder}/cert.pem', f'--key={pki.ecdsa.key}'], [f'{folder}/cert.pem: no certificate in it']


def certificate_that_is_no_pem(pki, folder):
    pki_module.openssl('x509', '-in', pki.ecdsa.cert, '-outform', 'DER', '-out', folder / 'cert.der')
    return [f'--cert={folder}/cert.der', f'--key={pki.ecdsa.key}'], [f'{folder}/cert.der: no certificate in it', 'PEM']


def damaged_certificate(pki, folder):
    lines = pki.ecdsa.cert.read_text().splitlines()
    lines[3] = '!' * len(lines[3])
    (folder / 'cert.pem').write_text('\n'.join(lines) + '\n')
    return [f'--cert={folder}/cert.pem', f'--key={pki.ecdsa.key}'], [f'{folder}/cert.pem', 'certificate 1', 'damaged']


def certificate_with_a_flipped_byte(pki, folder):
    lines = pki.ecdsa.cert.read_text().splitlines()
    lines[1] = lines[1][:8] + 'AAAA' + lines[1][12:]
    (folder / 'cert.pem').write_text('\n'.join(lines) + '\n')
    return [f'--cert={folder}/cert.pem', f'--key={pki.ecdsa.key}'], [f'{folder}/cert.pem', 'certificate 1']


def encrypted_key(pki, folder):
    key = folder / 'key.pem'
    pki_module.openssl('pkey', '-in', pki.ecdsa.key, '-aes256', '-passout', 'pass:secret', '-out', key)
    key.chmod(0o600)
    return [f'--cert={pki.ecdsa.cert}', f'--key={key}'], [f'{key}: the private key is encrypted', 'openssl pkey']


def certificate_for_a_key(pki, folder):
    key = folder / 'key.pem'
    shutil.copy(pki.ecdsa.cert, key)
    key.chmod(0o600)
    return [f'--cert={pki.ecdsa.cert}', f'--key={key}'], [f'{key}: no private key in it']


def chain_out_of_order(pki, folder):
    leaf, intermediate = certificates(pki.chain.cert)
    (folder / 'cert.pem').write_text(leaf + certificates(pki.ca)[0] + intermediate)
    return [f'--cert={folder}/cert.pem', f'--key={pki.chain.key}'], [f'{folder}/cert.pem: chain out of order', 'the right order is']


def chain_upside_down(pki, folder):
    leaf, intermediate = certificates(pki.chain.cert)
    (folder / 'cert.pem').write_text(intermediate + leaf)
    return [f'--cert={folder}/cert.pem', f'--key={pki.chain.key}'], [f'{folder}/cert.pem: chain out of order', 'the right order is']


def rsa_1024(pki, folder):
    key = folder / 'key.pem'
    key.touch(mode=0o600)
    pki_module.openssl('req', '-x509', '-newkey', 'rsa:1024', '-nodes', '-subj', '/CN=localhost', '-keyout', key, '-out',
                       folder / 'cert.pem')
    return [f'--cert={folder}/cert.pem', f'--key={key}'], [f'{folder}/cert.pem', '1024 bits', '2048']


def sha1_signature(pki, folder):
    key = folder / 'key.pem'
    key.touch(mode=0o600)
    pki_module.openssl('req', '-x509', '-newkey', 'rsa:2048', '-sha1', '-nodes', '-subj', '/CN=localhost', '-keyout', key,
                       '-out', folder / 'cert.pem')
    return [f'--cert={folder}/cert.pem', f'--key={key}'], [f'{folder}/cert.pem', 'SHA-1']


def two_of_a_kind(pki, _):
    return [*pki.ecdsa.options(), *pki.leaf('other').options()], ['both are ECDSA certificates']


def certificates(file):
    return re.findall(r'-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n', file.read_text(), re.DOTALL)


BROKEN = [missing_certificate, missing_key, key_left_out, other_key, key_of_another_kind, other_rsa_key, other_ed25519_key,
          world_readable_key, world_readable_combined_file, folder_for_a_certificate, empty_certificate,
          certificate_that_is_no_pem, damaged_certificate, certificate_with_a_flipped_byte, encrypted_key,
          certificate_for_a_key, chain_out_of_order, chain_upside_down, rsa_1024, sha1_signature, two_of_a_kind]
