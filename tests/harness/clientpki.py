# SPDX-License-Identifier: GPL-2.0-or-later
"""Client certificates of every kind, good and bad, made by openssl(1).

Names that openssl(1) refuses to write are patched into a certificate, which is then signed again.
"""

import functools
import ssl
import subprocess
import time
from pathlib import Path

from harness.pki import KINDS, Pair, openssl

CONFIG = '''
[ca]
default_ca = ours
[ours]
database = {work}/index
new_certs_dir = {work}
serial = {work}/serial
crlnumber = {work}/crlnumber
default_md = {digest}
default_crl_days = 30
policy = any
copy_extensions = none
unique_subject = no
preserve = yes
[any]
commonName = optional
countryName = optional
organizationName = optional
organizationalUnitName = optional
emailAddress = optional
serialNumber = optional
domainComponent = optional
userId = optional
[req]
distinguished_name = dn
prompt = no
string_mask = {mask}
utf8 = yes
[dn]
'''

CLIENT = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', 'extendedKeyUsage=clientAuth',
          'subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid']
AUTHORITY = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign', 'subjectKeyIdentifier=hash']
PAST = ('20240101000000Z', '20240102000000Z')
FUTURE = ('20900101000000Z', '20900102000000Z')


def without(extensions, *names):
    return [one for one in extensions if not one.startswith(names)]


class ClientPki:
    """A CA with client certificates. Each has a name and is made when it is first used."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.work = {}
        self.authority('root', '/CN=Client root')

    def path(self, name, ending='pem'):
        return self.folder / f'{name}.{ending}'

    def config(self, name, digest='sha256', mask='utf8only', subject=()):
        """Writes the files that openssl(1) wants for a CA: its database and configuration."""
        work = self.folder / f'{name}.d'
        if not work.exists():
            work.mkdir()
            (work / 'index').touch()
            (work / 'crlnumber').write_text('01\n')
        file = work / 'openssl.cnf'
        file.write_text(CONFIG.format(work=work, digest=digest, mask=mask) + ''.join(f'{one}\n' for one in subject),
                        encoding='utf-8')
        return file

    def request(self, name, subject, kind, config=None):
        key, request = self.path(name, 'key'), self.path(name, 'csr')
        words = [] if config else ['-subj', subject, '-utf8']
        openssl('req', '-new', *KINDS.get(kind, ['-newkey', kind]), '-nodes', '-keyout', key, '-out', request,
                '-config', config or self.config('self'), *words)
        key.chmod(0o600)
        return request

    def issue(self, name, subject, issuer='root', extensions=CLIENT, kind='ecdsa', dates=None, digest='sha256',
              mask='utf8only', fields=None, chain=()):
        """Makes a certificate with a key, signed by `issuer` (None: by itself). `chain`: more certificates in its file."""
        if not self.path(name).exists():
            config = self.config(issuer or name, digest, mask, fields or ())
            request = self.request(name, subject, kind, config if fields else None)
            extra = self.path(name, 'ext')
            extra.write_text('\n'.join(extensions) + '\n')
            signer = ['-cert', self.path(issuer), '-keyfile', self.path(issuer, 'key')] if issuer else \
                     ['-selfsign', '-keyfile', self.path(name, 'key')]
            begin, end = dates or (None, None)
            if extensions or ssl.OPENSSL_VERSION_INFO < (3, 4):
                openssl('ca', '-batch', '-config', config, '-rand_serial', '-notext', '-utf8', '-in', request, *signer,
                        '-md', digest, '-extfile', extra, '-out', self.path(name),
                        *(['-startdate', begin, '-enddate', end] if dates else ['-days', '30']))
            else:    # `ca` would make version 3 of it
                openssl('req', '-x509', '-x509v1', '-config', config, '-in', request, '-CA', self.path(issuer),
                        '-CAkey', self.path(issuer, 'key'), '-days', '30', '-out', self.path(name))
            for more in chain:
                with open(self.path(name), 'ab') as file:
                    file.write(self.path(more).read_bytes())
        return Pair(self.path(name), self.path(name, 'key'), self.path('root'))

    def authority(self, name, subject, issuer=None, extensions=AUTHORITY, **more):
        return self.issue(name, subject, issuer, extensions, **more)

    def revoke(self, name, issuer='root'):
        openssl('ca', '-config', self.config(issuer), '-cert', self.path(issuer), '-keyfile', self.path(issuer, 'key'),
                '-revoke', self.path(name))

    def crl(self, name, issuer='root', dates=None, extra=None):
        """Makes a revocation list with all certificates that are revoked so far."""
        words = ['-crl_lastupdate', dates[0], '-crl_nextupdate', dates[1]] if dates else ['-crldays', '30']
        config = self.config(issuer)
        if extra:
            with open(config, 'a', encoding='ascii') as file:
                file.write(f'[crl]\n{extra}\n')
            words += ['-crlexts', 'crl']
        openssl('ca', '-gencrl', '-config', config, '-cert', self.path(issuer),
                '-keyfile', self.path(issuer, 'key'), '-out', self.path(name, 'crl'), *words)
        return self.path(name, 'crl')

    def patched(self, name, subject, *changes, issuer='root', **more):
        """Makes a certificate in which bytes are replaced by as many others. Its signature is valid."""
        if not self.path(name).exists():
            self.issue(name, subject, issuer, **more)
            der = openssl('x509', '-in', self.path(name), '-outform', 'DER').stdout
            body, algorithm, _ = elements(elements(der)[0][1])
            text = body[2]
            for old, new in changes:
                assert text.count(old) >= 1 and len(old) == len(new)
                text = text.replace(old, new)
            signature = subprocess.run(['openssl', 'dgst', '-sha256', '-sign', self.path(issuer, 'key')], input=text,
                                       capture_output=True, check=True).stdout
            made = element(0x30, text + algorithm[2] + element(3, b'\0' + signature))
            self.path(name).write_text(ssl.DER_cert_to_PEM_cert(made))
        return Pair(self.path(name), self.path(name, 'key'), self.path('root'))

    @functools.cached_property
    def bundle(self):
        """Returns the file for --client-ca."""
        return self.path('root')


def element(tag, content):
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, 'big')
    return bytes([tag, 0x80 | len(length)]) + length + content


def elements(content):
    """Yields the elements of DER in turn, each as (tag, content, whole element)."""
    found = []
    while content:
        size, head = content[1], 2
        if size & 0x80:
            head += size & 0x7f
            size = int.from_bytes(content[2:head], 'big')
        found.append((content[0], content[head:head + size], content[:head + size]))
        content = content[head + size:]
    return found


def days_from_now(days):
    """Returns a time in the form that openssl(1) reads."""
    return time.strftime('%Y%m%d%H%M%SZ', time.gmtime(time.time() + days * 86400))
