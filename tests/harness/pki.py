# SPDX-License-Identifier: GPL-2.0-or-later
"""A certificate authority for one run of the tests, made with openssl(1)."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

KINDS = {
    'ecdsa': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    'rsa': ['-newkey', 'rsa:2048'],
    'ed25519': ['-newkey', 'ed25519'],
}

LOCAL_NAMES = 'DNS:localhost,IP:127.0.0.1,IP:::1'


@dataclass
class Pair:
    """A certificate file (leaf first) and its key file; key is None if it is in the same file."""
    cert: Path
    key: Optional[Path]
    ca: Path

    def options(self):
        """Returns the options that give this pair to postern."""
        words = [f'--cert={self.cert}']
        if self.key:
            words.append(f'--key={self.key}')
        return words


def openssl(*words, **more):
    return subprocess.run(['openssl', *map(str, words)], check=True, capture_output=True, **more)


class Pki:
    """The CA. Each attribute is made when it is first used, and kept."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.made = {}
        self.ca = self.folder / 'ca.pem'
        self.request('ca', ['-x509', '-days', '30', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
                     'ecdsa', '/CN=Throw-away CA')

    def request(self, name, words, kind, subject):
        cert, key = self.folder / f'{name}.pem', self.folder / f'{name}.key'
        old = os.umask(0o077)
        try:
            openssl('req', *KINDS[kind], '-nodes', '-subj', subject, '-keyout', key, '-out', cert, *words)
        finally:
            os.umask(old)
        cert.chmod(0o644)
        return cert, key

    def leaf(self, name, kind='ecdsa', names=LOCAL_NAMES, usage='serverAuth', subject='/CN=localhost', issuer='ca',
             days=30):
        """Makes a certificate for `names`, signed by our CA or by `issuer`."""
        if name not in self.made:
            cert, key = self.request(name, [
                '-x509', '-days', days, '-CA', self.folder / f'{issuer}.pem', '-CAkey', self.folder / f'{issuer}.key',
                '-addext', 'basicConstraints=critical,CA:FALSE',
                '-addext', f'subjectAltName={names}',
                '-addext', f'extendedKeyUsage={usage}'], kind, subject)
            self.made[name] = Pair(cert, key, self.ca)
        return self.made[name]

    def client(self, user, kind='ecdsa'):
        """Makes a client certificate with the common name `user`."""
        return self.leaf(f'client-{user}', kind, names=f'email:{user}@example.org', usage='clientAuth',
                         subject=f'/O=Throw-away/CN={user}')

    @property
    def ecdsa(self):
        return self.leaf('ecdsa', 'ecdsa')

    @property
    def rsa(self):
        return self.leaf('rsa', 'rsa')

    @property
    def ed25519(self):
        return self.leaf('ed25519', 'ed25519')

    @property
    def selfsigned(self):
        """A self-signed certificate, made with one command: openssl req -x509."""
        if 'selfsigned' not in self.made:
            cert, key = self.request('selfsigned', ['-x509', '-days', '30', '-addext', f'subjectAltName={LOCAL_NAMES}'],
                                     'rsa', '/CN=localhost')
            self.made['selfsigned'] = Pair(cert, key, cert)
        return self.made['selfsigned']

    @property
    def expired(self):
        """An expired certificate: it was valid for one day, two years ago."""
        if 'expired' not in self.made:
            words = ['-addext', f'subjectAltName={LOCAL_NAMES}']
            request, key = self.request('expired', words, 'ecdsa', '/CN=localhost')
            work = self.folder / 'expired.d'
            work.mkdir()
            (work / 'index').touch()
            (work / 'ca.cnf').write_text(
                '[ca]\ndefault_ca=ours\n[ours]\n'
                f'database={work}/index\nnew_certs_dir={work}\nserial={work}/serial\ndefault_md=sha256\n'
                f'certificate={self.ca}\nprivate_key={self.folder}/ca.key\npolicy=any\ncopy_extensions=copy\n'
                '[any]\ncommonName=supplied\n', encoding='ascii')
            openssl('ca', '-batch', '-config', work / 'ca.cnf', '-create_serial', '-notext', '-in', request,
                    '-startdate', '20220101000000Z', '-enddate', '20220102000000Z', '-out', work / 'cert.pem')
            request.write_bytes((work / 'cert.pem').read_bytes())
            self.made['expired'] = Pair(request, key, self.ca)
        return self.made['expired']

    @property
    def chain(self):
        """A leaf signed by an intermediate: two certificates in the file, leaf first."""
        if 'chain' not in self.made:
            self.request('intermediate', [
                '-x509', '-days', '30', '-CA', self.ca, '-CAkey', self.folder / 'ca.key',
                '-addext', 'basicConstraints=critical,CA:TRUE,pathlen:0',
                '-addext', 'keyUsage=critical,keyCertSign'], 'rsa', '/CN=Throw-away intermediate CA')
            pair = self.leaf('chain', 'ecdsa', issuer='intermediate')
            with open(pair.cert, 'ab') as file:
                file.write((self.folder / 'intermediate.pem').read_bytes())
        return self.made['chain']

    @property
    def with_issuer(self):
        """A leaf and the CA in one file, which is needed to verify an OCSP response."""
        if 'with_issuer' not in self.made:
            pair = self.leaf('stapled', 'ecdsa')
            both = self.folder / 'with-issuer.pem'
            both.write_bytes(pair.cert.read_bytes() + self.ca.read_bytes())
            self.made['with_issuer'] = Pair(both, pair.key, self.ca)
        return self.made['with_issuer']

    @property
    def combined(self):
        """Certificate and key in one file, mode 0600."""
        if 'combined' not in self.made:
            pair = self.leaf('to-combine', 'ecdsa')
            both = self.folder / 'combined.pem'
            both.touch(mode=0o600)
            both.write_bytes(pair.cert.read_bytes() + pair.key.read_bytes())
            self.made['combined'] = Pair(both, None, self.ca)
        return self.made['combined']

    def pair(self, name):
        """Returns the pair called `name`; for tables of tests."""
        return getattr(self, name)


class Responder:
    """Makes OCSP responses with openssl(1), for certificates of our CA."""

    def __init__(self, pki, folder):
        self.pki, self.folder = pki, folder
        self.index = folder / 'index'

    def respond(self, pair, state='V', faked=()):
        serial = subprocess.run(['openssl', 'x509', '-noout', '-serial', '-in', pair.cert], capture_output=True,
                                text=True, check=True).stdout.strip().split('=')[1]
        revoked = '240101000000Z' if state == 'R' else ''
        self.index.write_text(f'{state}\t491231235959Z\t{revoked}\t{serial}\tunknown\t/CN=localhost\n')
        out = self.folder / f'{serial}.{state}.ocsp'
        subprocess.run([*faked, 'openssl', 'ocsp', '-index', self.index, '-rsigner', self.pki.ca, '-rkey',
                        self.pki.folder / 'ca.key', '-CA', self.pki.ca, '-issuer', self.pki.ca, '-cert', pair.cert,
                        '-no_nonce', '-respout', out, '-ndays', '7'], check=True, capture_output=True)
        return out
