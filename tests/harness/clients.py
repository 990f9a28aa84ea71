# SPDX-License-Identifier: GPL-2.0-or-later
"""Real clients, each told to trust our CA only and to speak one TLS version only.

`server` is anything with `host` and `port` (see launch.py), `ca` a PEM file, `version` '1.2' or '1.3'.
The certificate is made for `localhost`, and that name is sent as SNI, whatever the address.
"""

import imaplib
import poplib
import smtplib
import ssl
import subprocess
import tempfile
from contextlib import contextmanager

from harness import processes
from harness.dialogues import Talk

NAME = 'localhost'
TIMEOUT = 20
VERSIONS = {'1.2': ssl.TLSVersion.TLSv1_2, '1.3': ssl.TLSVersion.TLSv1_3}


def context(ca, version=None, alpn=None):
    """Returns a TLS context of Python's ssl module."""
    made = ssl.create_default_context(cafile=str(ca))
    if version:
        made.minimum_version = made.maximum_version = VERSIONS[version]
    if alpn:
        made.set_alpn_protocols(alpn)
    return made


def tls(server, ca, version=None, alpn=None, name=NAME, certificate=None):
    """Returns a TLS socket of Python's ssl module. `certificate`: the client's Pair."""
    made = context(ca, version, alpn)
    if certificate:
        made.load_cert_chain(certificate.cert, certificate.key)
    return made.wrap_socket(server.connect(), server_hostname=name)


def curl(server, ca, version, scheme, path, *words, **more):
    """Runs curl; returns what it fetched or printed, as bytes."""
    run = subprocess.run(
        ['curl', '--disable', '--silent', '--show-error', '--max-time', str(TIMEOUT), '--cacert', str(ca),
         f'--tlsv{version}', '--tls-max', version, '--noproxy', '*',
         '--connect-to', f'{NAME}:{server.port}:{server.url_host}:{server.port}',
         *words, f'{scheme}://{NAME}:{server.port}/{path}'],
        capture_output=True, timeout=TIMEOUT + 5, check=False, **more)
    assert run.returncode == 0, f'curl: {run.returncode} {run.stderr.decode()}'
    return run.stdout


@contextmanager
def program(command):
    """A client program whose standard streams are the connection. Its messages go to stderr."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0)
        try:
            talk = Talk(process.stdout.fileno(), process.stdin.fileno())
            try:
                yield talk
            except (AssertionError, BrokenPipeError) as error:
                errors.seek(0)
                raise AssertionError(f'{error}\n{command}:\n{errors.read().decode(errors="replace")}') from error
            process.stdin.close()
            process.wait(TIMEOUT)
        finally:
            processes.stop(process, timeout=1)
            process.stdout.close()


def s_client(server, ca, version, *words):
    """Starts openssl s_client. It sends all bytes as they are, and ends when its input ends."""
    return program(['openssl', 's_client', '-quiet', '-nocommands', '-no_ign_eof', '-verify_return_error',
                    '-verify_quiet', '-CAfile', str(ca), '-verify_hostname', NAME,
                    '-servername', NAME, f'-tls{version.replace(".", "_")}',
                    '-connect', f'{server.url_host}:{server.port}', *words])


def gnutls_cli(server, ca, version, *words):
    """Starts gnutls-cli. Its messages go to stderr."""
    return program(['gnutls-cli', '--x509cafile', str(ca), f'--sni-hostname={NAME}', f'--verify-hostname={NAME}',
                    '--priority', f'NORMAL:-VERS-ALL:+VERS-TLS{version}', '--logfile=/dev/stderr',
                    '-p', str(server.port), *words, server.host])


def swaks(server, ca, version, message, *words):
    """Sends a message from a file; returns the dialogue that swaks prints."""
    run = subprocess.run(
        ['swaks', '--server', server.host, '--port', str(server.port), '--tls-on-connect',
         '--tls-protocol', f'tlsv{version.replace(".", "_")}', '--tls-verify', '--tls-ca-path', str(ca),
         '--tls-sni', NAME,
         '--timeout', f'{TIMEOUT}s', '--helo', 'client.example.org', '--suppress-data',
         '--from', 'ann@example.org', '--to', 'bob@example.org', '--data', f'@{message}', *words],
        capture_output=True, timeout=TIMEOUT + 5, check=False, text=True)
    assert run.returncode == 0, f'swaks: {run.returncode}\n{run.stdout}{run.stderr}'
    return run.stdout


# Python's mail modules: they connect to the server's address, but use our certificate's name.

def imap(server, ca, version):
    class Client(imaplib.IMAP4_SSL):
        def _create_socket(self, timeout):
            return self.ssl_context.wrap_socket(server.connect(TIMEOUT), server_hostname=NAME)
    return Client(NAME, server.port, ssl_context=context(ca, version))


def pop3(server, ca, version):
    class Client(poplib.POP3_SSL):
        def _create_socket(self, timeout):
            return self.context.wrap_socket(server.connect(TIMEOUT), server_hostname=NAME)
    return Client(NAME, server.port, context=context(ca, version))


def smtp(server, ca, version):
    class Client(smtplib.SMTP_SSL):
        def _get_socket(self, host, port, timeout):
            return self.context.wrap_socket(server.connect(TIMEOUT), server_hostname=NAME)
    return Client(NAME, server.port, 'client.example.org', context=context(ca, version))
