# SPDX-License-Identifier: GPL-2.0-or-later
"""TROUBLESHOOTING in the manual: every line of the log, and every client's message, that it explains does occur.

Each entry is taken from the manual's source and has a reproduction here: a connection or command after which postern
has written that line, word for word but for what the manual marks as variable. Messages of command line programs come
from these programs themselves. Mail programs with windows can't be run here: their words are those of their makers,
and what they do to the connection is played.
"""

import errno
import os
import pty
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness import broken, clientpki, clients, faults, hellos, manual, processes, tls, wait
from harness.syslog import WithSyslog
from harness.privileges import needs_root

ENTRIES = manual.entries(manual.section('postern.8', 'TROUBLESHOOTING'))
LOG = {entry.key: entry for entry in ENTRIES if entry.subsection.startswith('The log')}
SAID = {entry.key: entry for entry in ENTRIES if entry.subsection == 'What clients say'}

ECHO = ['/bin/cat']
QUIT = ['/bin/sh', '-c', 'echo ready']
CHALLENGES = ['/bin/sh', '-c', r'printf "* OK ready\r\n"; read -r line; printf "+ \r\n"; read -r line']
IMAP_READY = r'printf "* OK [CAPABILITY IMAP4rev1] ready\r\n"; '
PROXY = ['--proxy-protocol', '--proxy-trusted=127.0.0.1']
NEEDS_ROOT = set()


def shell(script, *words):
    return ['/bin/sh', '-c', script, *map(str, words)]


def reject(connection, code):
    """Say hello, and answer the server's certificate with an alert."""
    connection.sendall(tls.client_hello())
    connection.recv(100)
    connection.sendall(tls.record(21, bytes([2, code]), tls.TLS12))
    tls.ended(connection)


@pytest.fixture(scope='session')
def certs(tmp_path_factory):
    return clientpki.ClientPki(tmp_path_factory.mktemp('trouble'))


class The:
    """What reproductions work with."""

    def __init__(self, serve, pki, certs, folder, postern):
        self.serve = serve
        self.pki = pki
        self.certs = certs
        self.folder = folder
        self.postern = postern

    def says(self, said, *options, handler=ECHO, **more):
        """The log of a connection in which the client says this, in plaintext, and listens to the end."""
        server = self.serve(handler, *options, **more)
        with server.connect() as connection:
            connection.sendall(said)
            tls.ended(connection)
        return server.wait().log

    def alert(self, code):
        """... in which it answers our hello with an alert, as rejected certificates are in TLS 1.2."""
        server = self.serve(ECHO)
        with server.connect() as connection:
            reject(connection, code)
        return server.wait().log

    def session(self, handler, *options, close=False):
        """... of a session in which the client reads to the end, and says before that nothing more will come."""
        server = self.serve(handler, *options)
        with tls.Client(server, self.pki.ca) as client:
            if close:
                client.close_notify()
            client.rest()
        return server.wait().log

    def openssl(self, *words, options=(), **more):
        """... of openssl s_client."""
        server = self.serve(ECHO, *options, **more)
        tls.openssl_client(server, *words)
        return server.wait().log

    def after_starttls(self, handler, *options, said=b''):
        """... of a client that sends STARTTLS, does the handshake and reads to the end."""
        server = self.serve(handler, '--starttls=imap', *options)
        connection = server.connect()
        talk = connection.makefile('rb')
        talk.readline()
        connection.sendall(b'a STARTTLS\r\n')
        talk.readline()
        if said:
            connection.sendall(said)
            tls.ended(connection)
        else:
            context = clients.context(self.pki.ca)
            with context.wrap_socket(connection, server_hostname=clients.NAME) as inside:
                inside.settimeout(tls.TIMEOUT)
                inside.sendall(b'b CAPABILITY\r\n')
                while inside.recv(1000):
                    pass
        talk.close()
        return server.wait().log

    def certificate(self, broken):
        """... of a server that has one of the unusable certificates of harness/broken.py."""
        options, _ = broken(self.pki, self.folder)
        return self.says(b'', *options, pair=None)

    def client_certificate(self, name, *options, **more):
        """... of a client with a certificate; the server asks for those of our root."""
        pair = self.certs.issue(name, f'/CN={name}', **more)
        server = self.serve(QUIT, f'--client-ca={self.certs.bundle}', *options)
        tls.openssl_client(server, '-cert', pair.cert, '-key', pair.key)
        return server.wait().log

    def waits(self, *options, handler=ECHO, **more):
        return self.serve(handler, *options, launcher=wait.Waiting, **more).is_ready()

    def talk(self, server):
        """A session with ECHO that is under way."""
        client = tls.Client(server, self.pki.ca)
        client.send(b'x')
        client.take(1)
        return client


@pytest.fixture
def the(serve, pki, certs, tmp_path, postern):
    return The(serve, pki, certs, tmp_path, postern)


REPRODUCED = {}


def logs(*keys, root=False):
    """The function reproduces each of these entries: it gives a log that has the line. {}: its second argument."""
    def register(function):
        for key in keys:
            assert key not in REPRODUCED, key
            REPRODUCED[key] = function
            if root:
                NEEDS_ROOT.add(key)
        return function
    return register


def reproduces(table):
    """A table: entry → a function of The."""
    for key, function in table.items():
        logs(key)(function)


# TLS does not begin

def part_of_the_hello(the, length, then):
    server = the.serve(ECHO, '--timeout-handshake=1')
    with server.connect() as connection:
        connection.sendall(tls.client_hello()[:length])
        if length > 1000:
            connection.recv(100)
        if then == 'leave':
            tls.asleep(tls.gate_of(server.process()))
            connection.shutdown(socket.SHUT_WR)
        tls.ended(connection)
    return server.wait().log


reproduces({
    'handshake failed: client speaks protocol in plaintext, but TLS starts at once here; ...':
        lambda the: the.says(b'a CAPABILITY\r\n'),
    'handshake failed: client sent nothing in number seconds; ...':
        lambda the: the.says(b'', '--timeout-handshake=1'),
    'client begins TLS at once, but here it has to say STARTTLS first':
        lambda the: the.openssl(options=['--starttls=imap']),
    'client sent a NUL or a bare CR before TLS: connection closed':
        lambda the: the.says(b'a NOOP\rb NOOP\r\n', '--starttls=imap'),
    'handshake failed: client speaks protocol where TLS has to begin':
        lambda the: the.after_starttls(ECHO, said=b'b CAPABILITY\r\n'),
    'handshake failed: client speaks HTTP, not TLS': lambda the: the.says(b'GET / HTTP/1.1\r\n\r\n'),
    'handshake failed: client speaks a plaintext protocol, not TLS': lambda the: the.says(b'hello?\r\n'),
    'handshake failed: client speaks SSL 2.0, which must not be answered':
        lambda the: the.says(b'\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10' + bytes(37)),
    'handshake failed: client began with a TLS alert': lambda the: the.says(b'\x15\x03\x01\x00\x02\x02\x28'),
    'handshake failed: client sent a malformed ClientHello':
        lambda the: the.says(hellos.cut(hellos.handshake(1, bytes(38)))),
    'handshake failed: client sent something else than a ClientHello':
        lambda the: the.says(b'\x16\x03\x01\x02\x00' + b'\xff' * 512),
    'handshake failed: client sent a TLS record that is longer than any may be':
        lambda the: the.says(b'\x16\x03\x01\x50\x00' + bytes(512)),
    'handshake failed: client sent a ClientHello of over 65,536 bytes: no longer ones are taken here':
        lambda the: the.says(hellos.cut(b'\1\1\0\0' + bytes(65536))),
    'handshake failed: the TLS library refuses this ClientHello: reason':
        lambda the: the.says(hellos.cut(hellos.client_hello(share=hellos.key_share(hellos.P256, bytes(65))))),
    'handshake failed: client sent a key from which no secret can come':
        lambda the: the.says(hellos.cut(hellos.client_hello(share=hellos.key_share(key=bytes(32))))),
    'handshake failed: the client did nothing wrong, but reason':
        lambda the: the.says(hellos.cut(hellos.client_hello(more=hellos.extension(hellos.PADDING, bytes(50000))))),
    "handshake failed: no certificate fits: of the client's number signature algorithms the TLS library looks at the "
    'first number only, and those for kind come later':
        lambda the: the.says(hellos.cut(hellos.client_hello(schemes=hellos.UNKNOWN_SCHEMES + [0x0403]))),
    'handshake failed: after HelloRetryRequest, client sent something':
        lambda the: the.says(hellos.cut(hellos.client_hello()) + tls.record(23, bytes(40)), '--groups=P-256'),
    'client left without a word (a port scan or a health check?)': lambda the: part_of_the_hello(the, 0, 'leave'),
    'client left before it had sent a whole ClientHello (a port scan?)':
        lambda the: part_of_the_hello(the, 50, 'leave'),
    'handshake failed: no whole ClientHello in number seconds (--timeout-handshake)':
        lambda the: part_of_the_hello(the, 50, 'stay'),
})


@logs('client left during the handshake (a port scan?)')
def leaves_during_the_handshake(the, leave=True):
    server = the.serve(ECHO, '--timeout-handshake=1')
    with tls.Client(server, the.pki.ca, handshake=False) as client:
        client.socket.sendall(client.hello())
        client.fill()
        if leave:
            client.fin()
        tls.ended(client.socket)
    return server.wait().log


@logs('handshake failed: not done in number seconds (--timeout-handshake)')
def stays_in_the_handshake(the):
    return leaves_during_the_handshake(the, leave=False)


# Nothing in common

def named_only(the):
    """--cert-dir without --cert, and a client that names no server."""
    (the.folder / 'live').mkdir()
    return the.openssl('-noservername', options=[f'--cert-dir={the.folder}/live'], pair=None)


reproduces({
    'handshake failed: client offers only TLS 1.1, --tls-min is 1.2':
        lambda the: the.says(tls.client_hello(tls.TLS11, [tls.ECDHE_ECDSA_AES128_CBC])),
    'handshake failed: no shared cipher suite: see --ciphers':
        lambda the: the.openssl('-tls1_2', '-cipher', 'AES128-SHA'),
    'handshake failed: no certificate fits: client can use kind; give a second --cert of that kind':
        lambda the: the.openssl('-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'),
    'handshake failed: client can use no certificate whatever: ...':
        lambda the: the.says(tls.client_hello(signatures=[0x0201, 0x0203])),
    'handshake failed: no shared key exchange group: see --groups': lambda the: the.openssl('-groups', 'X448'),
    'handshake failed: by ALPN the client wants to speak name, which is not spoken here: see --alpn':
        lambda the: the.openssl('-alpn', 'h2'),
    'handshake failed: no certificate for name: see --cert-dir and --sni':
        lambda the: the.openssl('-servername', 'other.example.org', options=['--sni=strict']),
    'handshake failed: client names no server (no SNI), and there is no --cert for such clients': named_only,
    '--tls-min=1.number: TLS 1.0 and 1.1 are broken (RFC 8996); use 1.2 as soon as you can':
        lambda the: the.openssl(options=['--tls-min=1.1']),
})

# The client rejects the certificate

ALERTS = {'unknown_ca: it rejected our certificate: ...': 48, 'bad_certificate: it rejected our certificate: ...': 42,
          'certificate_unknown: it rejected our certificate: ...': 46,
          'certificate_expired: it rejected our certificate: ...': 45, 'unsupported_certificate: ...': 43,
          'handshake_failure: ...': 40, 'protocol_version: ...': 70, 'insufficient_security: ...': 71,
          'bad_record_mac: ...': 20, 'decrypt_error: ...': 51, 'internal_error: ...': 80}
reproduces({f'handshake failed: client sent alert {words}': lambda the, code=code: the.alert(code)
            for words, code in ALERTS.items()})
reproduces({
    'file: the certificate has expired; it is served all the same, but clients will refuse it: renew it':
        lambda the: the.openssl(pair='expired'),
    'file: the certificate is not valid yet; it is served all the same, but clients will refuse it: ...':
        lambda the: the.openssl(pair=the.certs.issue('next', '/CN=localhost', dates=clientpki.FUTURE)),
})


# Client certificates

def revoked(the, listed=True):
    if listed:
        the.certs.issue('mallory', '/CN=mallory')
        the.certs.revoke('mallory')
        return the.client_certificate('mallory', f'--crl={the.certs.crl("root")}')
    the.certs.authority('other', '/CN=Other root')
    both = the.folder / 'both.pem'
    both.write_bytes(the.certs.bundle.read_bytes() + the.certs.path('other').read_bytes())
    return the.client_certificate('unlisted', f'--client-ca={both}', f'--crl={the.certs.crl("root")}', issuer='other')


def stranger(the):
    the.certs.authority('elsewhere', '/CN=Elsewhere')
    return the.client_certificate('eve', issuer='elsewhere')


CLIENT = 'handshake failed: client certificate name: '
SERVER_ONLY = [*clientpki.without(clientpki.CLIENT, 'extendedKeyUsage'), 'extendedKeyUsage=serverAuth']
reproduces({
    'handshake failed: client gave no certificate (--client-cert=require)':
        lambda the: the.openssl(options=[f'--client-ca={the.certs.bundle}']),
    CLIENT + 'its issuer issuer is not in --client-ca': stranger,
    CLIENT + 'self-signed: its issuer issuer is not in --client-ca':
        lambda the: the.client_certificate('own', issuer=None),
    CLIENT + 'expired on date': lambda the: the.client_certificate('late', dates=clientpki.PAST),
    CLIENT + 'not valid before date': lambda the: the.client_certificate('early', dates=clientpki.FUTURE),
    CLIENT + 'revoked by its issuer issuer': revoked,
    CLIENT + 'no current revocation list of its issuer issuer in --crl': lambda the: revoked(the, listed=False),
    CLIENT + 'not meant for clients (extendedKeyUsage without clientAuth)':
        lambda the: the.client_certificate('server', extensions=SERVER_ONLY),
    'client certificate name: no SSL_CLIENT_USER by --client-name=part: ...':
        lambda the: the.client_certificate('Alice Example'),
})

# Before STARTTLS

LOGIN = b'a LOGIN ann secret\r\n'
reproduces({
    'command before TLS refused by --policy=required; if a password was sent with it, it was sent in plaintext':
        lambda the: the.says(LOGIN + b'b LOGOUT\r\n', '--starttls=imap'),
    'number more commands before TLS refused':
        lambda the: the.says(LOGIN * 3 + b'b LOGOUT\r\n', '--starttls=imap'),
    'command before TLS refused by --policy=auth; if a password was sent with it, it was sent in plaintext':
        lambda the: the.says(LOGIN + b'b LOGOUT\r\n', '--starttls=imap', '--policy=auth',
                             handler=shell(IMAP_READY + 'read -r line')),
    'STARTTLS refused: certificate or key cannot be used, see above':
        lambda the: the.openssl('-starttls', 'imap', options=['--starttls=imap', '--cert=/nowhere/cert.pem'], pair=None),
    'plaintext behind STARTTLS: an injection attack (CVE-2011-0411): connection closed':
        lambda the: the.says(b'a STARTTLS\r\nb LOGIN ann secret\r\n', '--starttls=imap'),
    'client did nothing useful before --timeout-lobby was over':
        lambda the: the.says(b'', '--starttls=imap', '--timeout-lobby=1'),
    'client sent a line of more than 1000 bytes before TLS: connection closed':
        lambda the: the.says(b'x' * 1001, '--starttls=imap'),
    'client sent a SASL response of more than 12288 bytes before TLS: connection closed':
        lambda the: the.says(b'a AUTHENTICATE GSSAPI\r\n' + b'A' * 12292, '--starttls=imap', '--policy=auth',
                             handler=CHALLENGES),
    'client answered a SASL challenge with something else than base64: login cancelled':
        lambda the: the.says(b'a AUTHENTICATE GSSAPI\r\nb LOGIN ann secret\r\n', '--starttls=imap', '--policy=auth',
                             handler=CHALLENGES),
    'client sent more than 20 commands before TLS: connection closed':
        lambda the: the.says(b'a NOOP\r\n' * 21, '--starttls=imap'),
    'client sent data that nobody asked for before TLS: connection closed':
        lambda the: the.says(b'a LOGIN {3+}\r\n', '--starttls=imap'),
})

# PROXY headers

reproduces({
    'no PROXY header: client speaks protocol at once; is the proxy set to send one (HAProxy: send-proxy-v2)?':
        lambda the: the.openssl(options=PROXY),
    'no PROXY header in number seconds (--timeout-handshake); ...':
        lambda the: the.says(b'', *PROXY, '--timeout-handshake=1'),
    'connection refused: PROXY headers are taken from --proxy-trusted=networks only; ...':
        lambda the: the.says(b'', '--proxy-protocol', '--proxy-trusted=192.0.2.1'),
    'malformed PROXY header: ...': lambda the: the.says(b'PROXY TCP4 nonsense\r\n', *PROXY),
    'handshake failed: client speaks PROXY, not TLS: ...':
        lambda the: the.says(b'PROXY TCP4 192.0.2.1 192.0.2.2 50000 993\r\n'),
})


# Certificates and keys

def unreadable_key(the):
    key = the.folder / 'key.pem'
    shutil.copy(the.pki.ecdsa.key, key)
    key.chmod(0)
    return the.says(b'', f'--cert={the.pki.ecdsa.cert}', f'--key={key}', pair=None, launcher=tls.Unprivileged)


def wrong_password(the):
    options, _ = broken.encrypted_key(the.pki, the.folder)
    (the.folder / 'password').touch(mode=0o600)
    (the.folder / 'password').write_text('wrong\n')
    return the.says(b'', *options, f'--key-pass-file={the.folder}/password', pair=None)


def cut_short(the):
    (the.folder / 'cert.pem').write_text(the.pki.ecdsa.cert.read_text()[:-30])
    return the.says(b'', f'--cert={the.folder}/cert.pem', f'--key={the.pki.ecdsa.key}', pair=None)


def expired_ca(the):
    the.certs.authority('old-root', '/CN=Old root', dates=clientpki.PAST)
    return the.openssl(options=[f'--client-ca={the.certs.path("old-root")}'])


def tickets(the, text, *options):
    file = the.folder / 'tickets'
    file.touch(mode=0o600)
    file.write_text(text)
    return the.session(QUIT, f'--tickets={file}', *options)


def with_tickets_and_client_ca(the):
    file = the.folder / 'tickets'
    subprocess.run([the.postern, f'--new-ticket-key={file}'], check=True, capture_output=True)
    return the.openssl(options=['-v', f'--tickets={file}', f'--client-ca={the.certs.bundle}'])


reproduces({key: lambda the, broken=broken: the.certificate(broken) for key, broken in {
    'file: cannot be opened: No such file or directory': broken.missing_certificate,
    'file: holds a private key and others may read or change it (mode mode): chmod o= file':
        broken.world_readable_key,
    'file: key does not match the first certificate of file; ...': broken.other_key,
    'file: not a private key of the kind that file needs (kind): key does not match': broken.key_of_another_kind,
    'file: no private key in it: ...': broken.certificate_for_a_key,
    'file: the private key is encrypted: ...': broken.encrypted_key,
    'file: no certificate in it: ...': broken.empty_certificate,
    'file: certificate number is not base64: the file is damaged': broken.damaged_certificate,
    'file: chain out of order: ...': broken.chain_upside_down,
    'file: certificate number (name) has an RSA key of number bits, which is too weak: ...': broken.rsa_1024,
    'file: certificate number (name) is signed with MD5 or SHA-1, which clients refuse: get a new one':
        broken.sha1_signature,
    'file and file: both are kind certificates: ...': broken.two_of_a_kind,
}.items()})
reproduces({
    'file: cannot be opened: Permission denied': unreadable_key,
    "file: the private key can't be decrypted: ...": wrong_password,
    'file: cut short: a -----BEGIN line without its -----END line': cut_short,
    'file: no CA in it is valid today: nobody can be let in': expired_ca,
    "file: certificate number (name) is no CA's (not CA:TRUE): ...":
        lambda the: the.openssl(options=[f'--client-ca={the.pki.ecdsa.cert}']),
    'file: no ticket key in it: ...': lambda the: tickets(the, '# empty\n'),
    'file: line number: no ticket key: ...': lambda the: tickets(the, 'secret\n'),
    '--tickets=file: not used, since clients are asked for certificates': with_tickets_and_client_ca,
})


# The handler

def with_syslog(the, script):
    server = the.serve(shell(script), launcher=WithSyslog, stderr='socket')
    with tls.Client(server, the.pki.ca) as client:
        client.rest()
    processes.until(lambda: server.texts() and server.process().poll() is not None, 'the end of postern')
    return ''.join(f'postern[1]: {text}\n' for text in server.texts())


def file_as_handler(the, text, mode):
    file = the.folder / 'handler'
    file.write_text(text)
    file.chmod(mode)
    return the.session([file])


def asks_wrongly(the, words):
    """A handler of UCSPI-TLS that writes words to its SSLCTLFD, and ends."""
    server = the.serve(shell(f'eval "printf {words} >&$SSLCTLFD"; exec sleep 0.1'), '--ucspi-tls')
    with server.connect() as connection:
        tls.ended(connection)
    return server.wait().log


INSIDE = 'if [ -n "$SSL_PROTOCOL" ]; then %s; fi; '
reproduces({
    'handler program cannot be started: No such file or directory': lambda the: the.session(['/nowhere/imapd']),
    'handler program cannot be started: Permission denied':
        lambda the: file_as_handler(the, '#!/bin/sh\n', 0o644),
    'handler program cannot be started: the interpreter that its first line (#!) names, or its dynamic linker, is not '
    'there': lambda the: file_as_handler(the, '#!/bin/sh\r\necho hello\r\n', 0o755),
    '... handler=127 ... end=handler-close': lambda the: the.session(shell('exec 2>/dev/null; /nowhere/imapd; exit')),
    '... handler=number in=0 out=0 ... end=handler-close': lambda the: the.session(shell('exit 1')),
    'handler program was killed by signal number (name)': lambda the: the.session(shell('kill -SEGV $$')),
    'handler program goes on without its client: SIGTERM':
        lambda the: the.session(['/bin/sleep', '1000'], '--timeout-grace=1', close=True),
    'handler program ignores SIGTERM: SIGKILL':
        lambda the: the.session(shell('trap "" TERM; exec sleep 1000'), '--timeout-grace=1', close=True),
    'handler greets with PREAUTH: ...':
        lambda the: the.says(b'', '--starttls=imap', '--policy=auth',
                             handler=shell(r'printf "* PREAUTH hello\r\n"; cat')),
    "the handler's greeting can't be used after STARTTLS (PREAUTH, or no greeting at all): ...":
        lambda the: the.after_starttls(shell(r'printf "* PREAUTH hello\r\n"; cat')),
    'handler did not answer before --timeout-lobby was over':
        lambda the: the.says(b'', '--starttls=imap', '--policy=auth', '--timeout-lobby=1'),
    'handler did not answer before --timeout-idle was over':
        lambda the: the.says(b'MAIL FROM:<>\r\nRCPT TO:<ann>\r\n', '--starttls=smtp', '--policy=auth', '--timeout-idle=1',
                             '--timeout-grace=1',
                             handler=shell(r'printf "220 ready\r\n"; read -r line; printf "250 OK\r\n"; exec sleep 100')),
    'handler ended before its answer was whole':
        lambda the: the.says(b'', '--starttls=imap', '--policy=auth', handler=['/bin/true']),
    'handler gave an answer that has no place before TLS':
        lambda the: the.says(b'', '--starttls=imap', '--policy=auth', handler=shell(r'printf "hello\r\n"; cat')),
    'the handler wrote something else than y or Y to SSLCTLFD': lambda the: asks_wrongly(the, 'n'),
})
logs('handler: words', root=True)(lambda the: with_syslog(the, 'echo no such mailbox >&2'))
logs('handler writes too much to its standard error: further lines are dropped', root=True)(
    lambda the: with_syslog(the, 'yes | head -n 300 >&2'))


@logs('handler ended before the handshake that it asked for was done')
def ends_while_the_handshake_goes_on(the):
    server = the.serve(shell('eval "printf y >&$SSLCTLFD"; exit 3'), '--ucspi-tls')
    with server.connect() as connection:
        tls.ended(connection)
    return server.wait().log


# In the middle of a session

def cut_off(the, how):
    server = the.serve(ECHO)
    with the.talk(server) as client:
        if how == 'reset':
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    return server.wait().log


def idle(the, option):
    server = the.serve(ECHO, option)
    with the.talk(server) as client:
        client.ends_in_order()
    return server.wait().log


def leaves_at_once(the, how):
    """As a mail program does whose user says no to a certificate."""
    server = the.serve(['/bin/cat'])
    with tls.Client(server, the.pki.ca) as client:
        if how == 'client-close':
            client.close_notify()
    return server.wait().log


def broken_record(the):
    server = the.serve(ECHO)
    with the.talk(server) as client:
        client.socket.sendall(tls.record(23, bytes(100), tls.TLS12))
        tls.ended(client.socket)
    return server.wait().log


def gate_is_sent(the, number):
    server = the.serve(ECHO, '--timeout-grace=1')
    with the.talk(server):
        monitor = server.process()
        os.kill(faults.gate_of(monitor), number)
        if number == signal.SIGSTOP:
            monitor.terminate()
        log = server.wait().log
    return log


reproduces({
    '... end=reset': lambda the: cut_off(the, 'reset'),
    '... end=truncated': lambda the: cut_off(the, 'fin'),
    '... end=timeout-idle': lambda the: idle(the, '--timeout-idle=1'),
    '... end=timeout-session': lambda the: idle(the, '--timeout-session=1'),
    '... in=0 ... end=truncated': lambda the: leaves_at_once(the, 'truncated'),
    '... in=0 ... end=client-close': lambda the: leaves_at_once(the, 'client-close'),
    'client sent a broken TLS record (damaged, forged, or not allowed here): session ended': broken_record,
    'the gate was killed by signal number (name)': lambda the: gate_is_sent(the, signal.SIGKILL),
    'the gate crashed, or tried a system call that its jail forbids, and was killed: ...':
        lambda the: gate_is_sent(the, signal.SIGSYS),
    'the gate does not end: SIGKILL': lambda the: gate_is_sent(the, signal.SIGSTOP),
})


# The system, and wait mode

@logs('standard input is something, not a connection: ...')
def by_hand(the):
    return subprocess.run([the.postern, *the.pki.ecdsa.options(), '/bin/cat'], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=tls.TIMEOUT, check=False).stderr


@logs("the command line begins with option instead of the program's name: ...")
def without_the_second_postern(the):
    return subprocess.run([*the.pki.ecdsa.options(), '/bin/cat'], executable=the.postern, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=tls.TIMEOUT, check=False).stderr


@logs('cannot start the gate process: Resource temporarily unavailable')
def no_process_left(the):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        words = [the.postern, the.pki.ecdsa.cert, the.pki.ecdsa.key]
        user = []
        if os.getuid() == 0:
            number = 61000 + os.getpid() % 1000     # nobody else's processes count
            user = ['setpriv', f'--reuid={number}', f'--regid={number}', '--clear-groups']
            words = [shutil.copy(word, folder) for word in words]
            for word in words:
                os.chown(word, number, number)
        program, cert, key = words
        with faults.Wrapped([program, f'--cert={cert}', f'--key={key}', '--', *ECHO], the.folder / 'few',
                            [*user, 'prlimit', '--nproc=0']) as server, server.connect() as connection:
            tls.ended(connection)
            return server.wait().log


@logs('number lines of the log are lost: its reader was too slow, or gone')
def without_a_reader(the):
    """Standard error is a full pipe until the handler has said more than is kept."""
    fifo = the.folder / 'full'
    os.mkfifo(fifo)
    with open(os.open(fifo, os.O_RDWR | os.O_NONBLOCK), 'r+b', buffering=0) as pipe:
        while pipe.write(b'\n' * 4096):
            pass
        server = the.serve(ECHO, '-v', launcher=lambda command, folder, **more: wait.Waiting(
            ['/bin/sh', '-c', 'exec "$@" 2>"$0"', str(fifo), *command], folder, **more))
        for _ in range(60):
            with server.connect() as connection:
                connection.sendall(b'EHLO me\r\n')
                tls.ended(connection)
        server.has_monitors(0)
        text = b''

        def told():
            nonlocal text
            text += pipe.read(1 << 20) or b''
            return b'are lost' in text
        processes.until(told, 'a line about lost ones')
        return text.decode()


def full(the, option):
    server = the.waits(option)
    with the.talk(server) as client:
        tls.ended(server.connect())
        client.close_notify()
    return server.log()


reproduces({
    'client=address refused: --max-connections (number connections)': lambda the: full(the, '--max-connections=1'),
    'client=address refused: --max-per-client (number connections)...': lambda the: full(the, '--max-per-client=1'),
})


@logs('cannot accept: Too many open files: clients wait until there is more')
def no_descriptor_left(the):
    server = the.waits()
    before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    taken = {int(name) for name in os.listdir(f'/proc/{server.pid}/fd')}
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (min(set(range(1000)) - taken), before[1]))
    with server.connect():
        server.says('cannot accept')
        log = server.log()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
    return log


@logs("certificates and keys have changed, but can't be used: the old ones are kept")
def spoilt_renewal(the):
    cert = Path(shutil.copy(the.pki.ecdsa.cert, the.folder))
    server = the.waits(f'--cert={cert}', f'--key={the.pki.ecdsa.key}', pair=None)
    cert.write_text('nonsense')
    server.tell(signal.SIGHUP)
    server.says('the old ones are kept')
    return server.log()


@logs('monitor number was killed by signal number (name)')
def monitor_is_killed(the):
    server = the.waits()
    with the.talk(server) as client:
        monitor, = server.monitors()
        children = [child.pid for child in tls.children(monitor)]
        os.kill(monitor, signal.SIGKILL)
        tls.ended(client.socket)
        tls.all_end(children)
    server.says('was killed')
    return server.log()


def without_landlock(the, *options):
    """A kernel that has no Landlock."""
    injector = faults.build()
    assert injector, 'the injector can not be built here'
    fault = faults.Fault('gate', 'landlock_create_ruleset', '1', errno.ENOSYS)
    server = the.serve(QUIT, *options, launcher=faults.Wrapped,
                       prefix=[injector, the.folder / 'report', 30, *fault.words()])
    with server.connect() as connection:
        connection.sendall(b'hello?\r\n')
        tls.ended(connection)
    log = server.wait().log
    faults.no_child_is_left()
    return log


reproduces({
    'the jail lacks: parts': lambda the: without_landlock(the, '-v'),
    'the jail cannot be closed: parts missing (--jail=strict)': lambda the: without_landlock(the, '--jail=strict'),
})


# What clients say

OTHER_NAME = {'names': 'DNS:mail.example.org'}


class Clients:
    """Real programs. Each gives what it has printed."""

    def __init__(self, the, server, ca):
        self.the = the
        self.server = server
        self.ca = ca

    def run(self, *words, **more):
        return subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors='replace', timeout=tls.TIMEOUT, check=False,
                              **more).stdout

    def curl(self, scheme, *words):
        return self.run('curl', '--disable', '-sS', '--ipv4', '--max-time', '10', '--noproxy', '*', '--cacert', self.ca, *words,
                        f'{scheme}://localhost:{self.server.port}/')

    def openssl(self, *words):
        return self.run('openssl', 's_client', '-connect', f'127.0.0.1:{self.server.port}', *words)

    def gnutls(self, *words):
        return self.run('gnutls-cli', '--x509cafile', self.ca, '-p', self.server.port, *words, 'localhost')

    def fetchmail(self, protocol, options):
        control = self.the.folder / 'fetchmailrc'
        control.touch(mode=0o600)
        control.write_text(f'poll localhost service {self.server.port} protocol {protocol} user ann password secret '
                           f'{options} sslcertfile {self.ca} mda cat\n')
        environment = {**os.environ, 'LC_ALL': 'C', 'HOME': str(self.the.folder)}
        return self.run('fetchmail', '-f', control, '--pidfile', self.the.folder / 'pid', '-i', self.the.folder / 'ids',
                        env=environment)

    def mutt(self, until, *settings):
        """It needs a terminal, and never ends by itself."""
        control = self.the.folder / 'muttrc'
        control.write_text(f'set folder={self.the.folder}\nset sleep_time=0\n'
                           f'set ssl_ca_certificates_file={self.ca}\n' + '\n'.join(settings) + '\n')
        ours, theirs = pty.openpty()
        with subprocess.Popen(
                ['/bin/sh', '-c', 'stty cols 200 rows 30; exec mutt -n -F "$0" -R -f "$1"', control,
                 f'imaps://ann@localhost:{self.server.port}/'], stdin=theirs, stdout=theirs, stderr=theirs,
                env={**os.environ, 'TERM': 'vt100', 'LC_ALL': 'C', 'HOME': str(self.the.folder)},
                start_new_session=True) as process:
            os.close(theirs)
            said, deadline = '', time.monotonic() + tls.TIMEOUT
            while not re.search(until, said) and time.monotonic() < deadline:
                if select.select([ours], [], [], 1)[0]:
                    said += re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', os.read(ours, 4096).decode(errors='replace'))
            process.kill()
        os.close(ours)
        return said


class Case:
    """A server as `options` and `pair` say, and what is done to it: gives the client's words, or None if they are played."""

    def __init__(self, act, *options, pair='ecdsa', handler=ECHO, knows_ca=True):
        self.act = act
        self.options = options
        self.pair = pair
        self.handler = handler
        self.knows_ca = knows_ca

    def run(self, the, entry):
        pair = the.pki.leaf('trouble-other-name', **OTHER_NAME) if self.pair == 'other name' else self.pair
        options = [option.replace('CLIENT_CA', str(the.certs.bundle)) for option in self.options]
        server = the.serve(self.handler, *options, pair=pair)
        ca = the.pki.ca if self.knows_ca else the.certs.bundle
        said = self.act(Clients(the, server, ca), entry)
        return said, server.wait().log


def act(name, *words):
    return lambda clients, _: getattr(clients, name)(*words)


def mutt(*settings):
    return lambda clients, entry: clients.mutt(entry.message, *settings)


def alert(code):
    """A client that rejects our certificate by this alert, as programs with windows do."""
    def play(clients, _):
        with clients.server.connect() as connection:
            reject(connection, code)
    return play


def sends(data):
    def play(clients, _):
        with clients.server.connect() as connection:
            connection.sendall(data)
            tls.ended(connection)
    return play


def asks_its_user(clients, _):
    """It does the handshake whatever the certificate is, and leaves when its user says no."""
    context = tls.clients.context(clients.the.pki.ca)
    context.check_hostname = False
    context.verify_mode = tls.ssl.CERT_NONE
    with tls.Client(clients.server, None, context=context):
        pass


STARTTLS = '--starttls=imap'
SOON = '--timeout-handshake=1'
OLD = sends(tls.client_hello(tls.TLS11, [tls.ECDHE_ECDSA_AES128_CBC]))
NO_CAPA = shell(r'printf "+OK hello\r\n"; while read -r line; do printf -- "-ERR what\r\n"; done')
PINNED = 'NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC'
TO_TLS = tls.client_hello(tls.TLS12)

CASES = {
    'curl: (60) SSL certificate problem: unable to get local issuer certificate':
        Case(act('curl', 'imaps'), knows_ca=False),
    'curl: (60) SSL certificate problem: certificate has expired': Case(act('curl', 'imaps'), pair='expired'),
    'curl: (60) SSL: no alternative certificate subject name matches target host...':
        Case(act('curl', 'imaps'), pair='other name'),
    'curl: (35) ...wrong version number': Case(act('curl', 'imaps'), STARTTLS),
    'curl: (56) response reading failed': Case(act('curl', 'imap'), SOON),
    'curl: (35) ...tlsv1 alert protocol version':
        Case(act('curl', 'imaps', '--tls-max', '1.1', '--ciphers', 'ALL:@SECLEVEL=0')),
    'curl: (35) ...tlsv1 unrecognized name': Case(act('curl', 'imaps'), '--sni=strict', pair='other name'),
    'curl: (56) ...tlsv13 alert certificate required': Case(act('curl', 'imaps'), '--client-ca=CLIENT_CA'),
    'openssl s_client: verify error:num=20:unable to get local issuer certificate': Case(act('openssl')),
    'openssl s_client: wrong version number': Case(act('openssl'), STARTTLS),
    "openssl s_client: Didn't find STARTTLS in server response, trying anyway...":
        Case(act('openssl', '-starttls', 'imap'), SOON),
    'openssl s_client: ...alert handshake failure': Case(act('openssl', '-tls1_2', '-cipher', 'AES128-SHA')),
    'openssl s_client: tlsv1 alert no application protocol': Case(act('openssl', '-alpn', 'h2')),
    'gnutls-cli: The certificate is NOT trusted. The certificate issuer is unknown.':
        Case(act('gnutls'), knows_ca=False),
    'gnutls-cli: The certificate is NOT trusted. The name in the certificate does not match the expected.':
        Case(act('gnutls'), pair='other name'),
    'gnutls-cli: The certificate is NOT trusted. The certificate chain uses expired certificate.':
        Case(act('gnutls'), pair='expired'),
    'gnutls-cli: Fatal error: An unexpected TLS packet was received.': Case(act('gnutls'), STARTTLS),
    'gnutls-cli: Received alert [40]: Handshake failed': Case(act('gnutls', '--priority', PINNED)),
    'fetchmail: Server certificate verification error: unable to get local issuer certificate':
        Case(act('fetchmail', 'IMAP', 'ssl'), knows_ca=False),
    'fetchmail: Server certificate verification error: hostname mismatch':
        Case(act('fetchmail', 'IMAP', 'ssl'), pair='other name'),
    'fetchmail: wrong version number': Case(act('fetchmail', 'IMAP', 'ssl'), STARTTLS),
    'fetchmail: socket error while fetching from': Case(act('fetchmail', 'IMAP', 'sslproto tls1.2+'), SOON),
    'fetchmail: Authorization failure':
        Case(act('fetchmail', 'POP3', 'sslproto tls1.2+'), '--starttls=pop3', handler=NO_CAPA),
    'mutt: WARNING: Server hostname does not match certificate': Case(mutt(), pair='other name'),
    'mutt: WARNING: Server certificate has expired': Case(mutt(), pair='expired'),
    'mutt: gnutls_handshake: An unexpected TLS packet was received.': Case(mutt(), STARTTLS),
    'mutt: gnutls_handshake: A TLS fatal alert has been received.(Error in protocol version':
        Case(mutt('set ssl_use_tlsv1_3=no'), '--tls-min=1.3'),
    # Programs with windows can't run here: these alerts are what NSS is known to send for each, played to postern.
    'Thunderbird: SEC_ERROR_UNKNOWN_ISSUER': Case(alert(48)),
    'Thunderbird: MOZILLA_PKIX_ERROR_SELF_SIGNED_CERT': Case(alert(42)),
    'Thunderbird: SSL_ERROR_BAD_CERT_DOMAIN': Case(alert(42)),
    'Thunderbird: SEC_ERROR_EXPIRED_CERTIFICATE': Case(alert(45), pair='expired'),
    'Thunderbird: SSL_ERROR_UNSUPPORTED_VERSION': Case(OLD),
    'Thunderbird: SSL_ERROR_PROTOCOL_VERSION_ALERT': Case(OLD),
    'Thunderbird: SSL_ERROR_NO_CYPHER_OVERLAP': Case(sends(tls.client_hello(suites=[tls.ECDHE_ECDSA_AES128_CBC]))),
    'Thunderbird: SSL_ERROR_RX_RECORD_TOO_LONG': Case(sends(TO_TLS), STARTTLS),
    'Outlook: The target principal name is incorrect.': Case(asks_its_user, pair='other name'),
    'Outlook: The server you are connected to is using a security certificate that cannot be verified.':
        Case(asks_its_user, pair='expired'),
    'Outlook: Your server does not support the connection encryption type you have specified.':
        Case(sends(b''), SOON),
    'Apple Mail: Cannot Verify Server Identity': Case(asks_its_user),
    'K-9 Mail, FairEmail: java.security.cert.CertPathValidatorException: Trust anchor for certification path not found.':
        Case(alert(46)),
}
PLAYED = {'Thunderbird', 'Outlook', 'Apple Mail', 'K-9 Mail, FairEmail'}


# The tests

def test_every_entry_has_a_reproduction_and_every_reproduction_an_entry():
    assert len(LOG) + len(SAID) == len(ENTRIES), 'an entry stands there twice, or in another subsection'
    assert set(LOG) == set(REPRODUCED)
    assert set(SAID) == set(CASES)


def test_every_entry_has_cause_and_cure():
    assert [entry.key for entry in ENTRIES if not any(line[:1].isalpha() for line in entry.text)] == []


# What takes long, and other tests prove.
RARE = {'file: certificate number (name) has an RSA key of number bits, which is too weak: ...',
        'file: certificate number (name) is signed with MD5 or SHA-1, which clients refuse: get a new one',
        'handler program ignores SIGTERM: SIGKILL', 'the gate does not end: SIGKILL'}
ALL = os.environ.get('MATRIX') == 'all'
ROWS = [pytest.param(key, marks=needs_root if key in NEEDS_ROOT else ()) for key in LOG if ALL or key not in RARE]


@pytest.mark.parametrize('key', ROWS)
def test_the_log_has_the_line(the, key):
    log = REPRODUCED[key](the)
    line = rf'postern\[\d+\]: (client=\S+ )?{LOG[key].pattern}'
    assert any(re.fullmatch(line, one) for one in log.splitlines()), log


@pytest.mark.parametrize('key', SAID)
def test_the_client_says_so_and_the_log_has_its_line(the, key):
    entry = SAID[key]
    said, log = CASES[key].run(the, entry)
    assert (said is None) == (entry.program in PLAYED)
    assert said is None or re.search(entry.message, said), said
    line = rf'postern\[\d+\]: (client=\S+ )?{entry.display}'
    assert any(re.fullmatch(line, one) for one in log.splitlines()), log
