# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that save a TLS session and use it again, and handlers that tell whether it was resumed.

Each client is called with a running server, and connects once (gnutls-cli and curl: twice). It returns what the handler
says of each connection, 'Initial' or 'Resumed', and checks that the client's library says the same.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from harness import clients

TIMEOUT = 20
GREETING = {'immediate': '* OK hello', 'imap': '* OK hello', 'smtp': '220 hello'}
STARTS = {'immediate': [], 'imap': ['--starttls=imap'], 'smtp': ['--starttls=smtp']}


def handler(start='immediate'):
    """A handler that greets, waits for a line, and answers with what it knows. After STARTTLS its greeting is
    discarded."""
    return ['/bin/sh', '-c', f'printf "{GREETING[start]}\\r\\n"; read line && printf "told %s\\r\\n" "$SSL_SESSION_RESUMED"']


HTTP = ['/bin/sh', '-c', 'read line && printf "HTTP/1.0 200 OK\\r\\n\\r\\ntold %s\\n" "$SSL_SESSION_RESUMED"']


def told(text):
    return re.findall(r'told (Initial|Resumed)', text)


class OpenSSL:
    """openssl s_client with a session in a file. Each connection uses `session` and saves its own in `last`."""

    def __init__(self, ca, folder):
        self.ca = ca
        self.folder = Path(folder)
        self.session = None
        self.count = 0
        self.last = None
        self.printed = ''

    def connect(self, server, version, *words, start='immediate', name=clients.NAME, environment=None):
        self.count += 1
        self.last = self.folder / f'session.{self.count}'
        command = ['openssl', 's_client', '-ign_eof', '-nocommands', '-CAfile', self.ca, '-verify_return_error',
                   '-connect', f'{server.url_host}:{server.port}', '-sess_out', self.last]
        command += ['-servername', name] if name else ['-noservername']
        if version:
            command.append(f'-tls{version.replace(".", "_")}')
        if self.session:
            command += ['-sess_in', self.session]
        if start != 'immediate':
            command += ['-starttls', start]
        run = subprocess.run([*command, *words], input=b'hello\n', capture_output=True, timeout=TIMEOUT, check=False,
                             env=dict(os.environ, **environment or {}))
        self.printed = run.stdout.decode(errors='replace') + run.stderr.decode(errors='replace')
        found = told(self.printed)
        assert len(found) == 1, self.printed
        assert re.search('^(New|Reused), TLS', self.printed, re.MULTILINE)[1] == \
            {'Initial': 'New', 'Resumed': 'Reused'}[found[0]], self.printed
        return found[0]

    def begin(self, server, version, **more):
        """Makes a first connection; the next ones use its session."""
        self.session = None
        assert self.connect(server, version, **more) == 'Initial'
        self.session = self.last

    def ticket(self):
        """Returns the ticket in the session, as bytes; None if there is none."""
        if not self.session.exists():
            return None
        text = subprocess.run(['openssl', 'sess_id', '-in', self.session, '-noout', '-text'], capture_output=True,
                              check=True, text=True).stdout
        lines = re.search(r'TLS session ticket:\n((?:    [0-9a-f]{4} - .*\n)+)', text)
        return lines and bytes.fromhex(re.sub(r'(?m)^    [0-9a-f]{4} - ((?:[0-9a-f]{2}[ -])+).*\n', r'\1', lines[1])
                                       .replace('-', ' '))

    def change(self, change):
        """Replaces the ticket in the session by change(ticket), which has the same length."""
        der = subprocess.run(['openssl', 'sess_id', '-in', self.session, '-outform', 'DER'], capture_output=True,
                             check=True).stdout
        ticket = self.ticket()
        changed = change(ticket)
        assert der.count(ticket) == 1 and len(ticket) == len(changed) and ticket != changed
        made = self.folder / 'changed'
        subprocess.run(['openssl', 'sess_id', '-inform', 'DER', '-out', made], input=der.replace(ticket, changed),
                       check=True, stdout=subprocess.DEVNULL)
        self.session = made


def openssl(server, ca, version, start, folder):
    client = OpenSSL(ca, folder)
    client.begin(server, version, start=start)
    return ['Initial', client.connect(server, version, start=start)]


def python(server, ca, version, start, folder):
    context = clients.context(ca, version)
    session, found = None, []
    for _ in range(2):
        connection = server.connect()
        lead_to_tls(connection, start)
        with context.wrap_socket(connection, server_hostname=clients.NAME, session=session) as tls:
            tls.sendall(b'hello\n')
            with tls.makefile('rb') as file:
                found += told(file.read().decode())
            assert tls.session_reused == (found[-1:] == ['Resumed'])
            session = tls.session
    return found


def lead_to_tls(connection, start):
    if start == 'immediate':
        return
    words, answer = {'imap': (b'a STARTTLS\r\n', b'a OK'), 'smtp': (b'STARTTLS\r\n', b'220 ')}[start]
    with connection.makefile('rb', buffering=0) as file:
        file.readline()
        connection.sendall(words)
        assert file.readline().startswith(answer)


def gnutls(server, ca, version, start, folder):
    """Sends nothing in its first connection, and ends it as soon as it has the ticket."""
    words = [] if start == 'immediate' else [f'--starttls-proto={start}']
    run = subprocess.run(
        ['gnutls-cli', '--resume', '--waitresumption', '--x509cafile', str(ca), f'--sni-hostname={clients.NAME}',
         f'--verify-hostname={clients.NAME}', '--priority', f'NORMAL:-VERS-ALL:+VERS-TLS{version}', '-p', str(server.port),
         *words, server.host], input=b'hello\n', capture_output=True, timeout=TIMEOUT, check=False)
    printed = run.stdout.decode(errors='replace') + run.stderr.decode(errors='replace')
    assert ('*** This is a resumed session' in printed) == (told(printed) == ['Resumed']), printed
    return ['Initial', *told(printed)]


def curl(server, ca):
    url = f'https://{clients.NAME}:{server.port}/'
    return told(clients.curl(server, ca, '1.3', 'https', '', '--http1.0', '--no-alpn', url).decode())


CLIENTS = {'openssl': openssl, 'python': python, 'gnutls-cli': gnutls}


def clock(seconds):
    """Returns an environment in which a program's clock is this many seconds ahead. Static programs ignore it."""
    library = next(Path('/usr/lib').glob('*/faketime/libfaketime.so.1'), None)
    assert library, 'no libfaketime: install faketime'
    return {'LD_PRELOAD': str(library), 'FAKETIME': f'{seconds:+}s', 'DONT_FAKE_MONOTONIC': '1'}


def new_key(postern, file):
    subprocess.run([postern, f'--new-ticket-key={file}'], check=True)
    return file


def copies(folder, *files):
    """Copies files to another folder, with the same modes."""
    folder.mkdir()
    return [Path(shutil.copy(file, folder)) for file in files]
