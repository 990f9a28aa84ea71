# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and dates just inside and just outside of what is allowed, and certificates that are half renewed."""

import ctypes
import os
import re
import select
import shutil
import signal
import ssl
import subprocess

import pytest

from harness import clientpki, clients, tls
from harness.pki import openssl

HOUR = 1 / 24       # in days
ZONES = ['UTC', 'Pacific/Kiritimati', 'Pacific/Pago_Pago']     # fourteen hours ahead, eleven behind
EXPIRED = 45      # an alert (RFC 8446 section 6)
UNRECOGNIZED = 'TLSV1_UNRECOGNIZED_NAME'


@pytest.fixture(scope='module')
def certs(tmp_path_factory):
    return clientpki.ClientPki(tmp_path_factory.mktemp('bounds'))


def moment(days):
    """A moment so many days from now, as openssl(1) takes it."""
    return clientpki.days_from_now(days)


# Names (RFC 6125 section 6.4)

# The certificate's names, its common name, and the names that a client may ask for: right and wrong ones.
NAMES = {
    'a wildcard': ('DNS:*.example.net', 'x', ['a.example.net', 'A.EXAMPLE.NET', 'x-1.example.net'],
                   ['example.net', 'b.a.example.net', 'aexample.net', 'a.example.net.org', 'a.example.ne']),
    'a wildcard below a name of its own': ('DNS:*.example.net,DNS:example.net', 'x', ['a.example.net', 'example.net'],
                                           ['b.a.example.net', 'net']),
    'a star that is no label, or not the first': ('DNS:a*.example.net,DNS:a.*.example.net', 'x', [],
                                                  ['a.example.net', 'ab.example.net', 'a.b.example.net']),
    'a star and nothing else': ('DNS:*', 'x', [], ['a', 'example.net', 'localhost']),
    'a common name beside other names': ('DNS:other.example.org', 'mail.example.org', ['other.example.org'],
                                         ['mail.example.org']),
    'a common name beside an address only': ('IP:192.0.2.1', 'mail.example.org', ['mail.example.org', 'MAIL.example.org'],
                                             ['other.example.org', 'a.mail.example.org']),
    'a common name beside a mail address only': ('email:ann@example.org', '*.example.org', ['mail.example.org'],
                                                 ['example.org', 'a.mail.example.org']),
    'a mail address that is like a name': ('email:ann@example.org,DNS:other.example.org', 'x', ['other.example.org'],
                                           ['ann@example.org', 'example.org']),
}


def refused(server, pki, name):
    """Why no session comes about for a client that asks for this name."""
    with tls.Client(server, pki.ca, name=name, handshake=False) as client:
        with pytest.raises(ssl.SSLError) as failed:
            client.handshake()
    return failed.value.reason


@pytest.mark.parametrize('kind', NAMES)
def test_strict_server_takes_just_the_names_of_a_certificate_with(serve, pki, kind):
    names, common, right, wrong = NAMES[kind]
    server = serve(['/bin/echo', 'hello'], '--sni=strict',
                   pair=pki.leaf(f'bounds {kind}', names=names, subject=f'/CN={common}'))
    context = clients.context(pki.ca)
    context.check_hostname = False
    for name in right:
        with tls.Client(server, pki.ca, name=name, context=context) as client:
            assert client.rest() == b'hello\n', name
        assert server.wait().summary['sni'].lower() == name.lower()
    for name in wrong:
        assert refused(server, pki, name) == UNRECOGNIZED, name
        assert server.wait().status == 76


def test_wildcard_folder_is_for_one_label_only(serve, pki, tmp_path):
    pair = pki.leaf('bounds folder', names='DNS:*.example.net,DNS:b.a.example.net')
    fill(tmp_path / 'live/_.example.net', pair)
    server = serve(['/bin/echo', 'hello'], f'--cert-dir={tmp_path}/live', '--sni=strict', pair=None)
    context = clients.context(pki.ca)
    with tls.Client(server, pki.ca, name='a.example.net', context=context) as client:
        assert client.rest() == b'hello\n'
    assert refused(server, pki, 'b.a.example.net') == UNRECOGNIZED
    assert [server.wait().status for _ in range(2)] == [0, 76]


# Dates

@pytest.mark.parametrize('zone', ZONES)
@pytest.mark.parametrize('begin, end, says, checked', [
    (-2, HOUR, None, r'warn  .*: expires on (\S+), in 0 days: renew it'),
    (-2, -HOUR, 'the certificate has expired; it is served all the same', r'FAIL  .*: expired on (\S+), 0 days ago: renew it'),
    (-HOUR, 40.5, None, r'ok    .*: valid until (\S+), 40 days left'),
    (HOUR, 40.5, 'the certificate is not valid yet; it is served all the same', r'FAIL  .*: not valid yet: see its notBefore date'),
], ids=['valid for an hour', 'expired an hour ago', 'valid since an hour', 'valid in an hour'])
def test_certificate_is_judged_to_the_hour_wherever_the_server_is(
        serve, postern, certs, begin, end, says, checked, zone):
    dates = moment(begin), moment(end)
    pair = certs.issue(f'server {begin:.2f} {end:.2f}', '/CN=localhost', 'root', ['subjectAltName=DNS:localhost'], dates=dates)
    server = serve(['/bin/echo', 'hello'], pair=pair, environment={'TZ': zone})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with tls.Client(server, None, context=context) as client:
        assert client.rest() == b'hello\n'
    log = server.wait().log.splitlines()
    assert len(log) == 1 + (says is not None)
    assert says is None or says in log[0]
    run = subprocess.run([postern, '--check', *pair.options(), '/bin/cat'], capture_output=True, text=True, check=False,
                         stdin=subprocess.DEVNULL, env={**os.environ, 'TZ': zone})
    found = [match for line in run.stdout.splitlines() if (match := re.match(checked, line))]
    assert len(found) == 1, run.stdout
    assert run.returncode == (78 if 'FAIL' in checked else 0)
    if found[0].groups():
        enddate = openssl('x509', '-in', pair.cert, '-noout', '-enddate', '-dateopt', 'iso_8601').stdout.decode()
        assert enddate.startswith(f'notAfter={found[0][1]} ')


@pytest.mark.parametrize('zone', ZONES)
@pytest.mark.parametrize('begin, end, says', [
    (-2, HOUR, None), (-2, -HOUR, 'expired on {end}'), (-HOUR, 2, None), (HOUR, 2, 'not valid before {begin}'),
], ids=['valid for an hour', 'expired an hour ago', 'valid since an hour', 'valid in an hour'])
def test_clients_certificate_is_judged_to_the_hour_wherever_the_server_is(serve, pki, certs, begin, end, says, zone):
    pair = certs.issue(f'client {begin:.2f} {end:.2f}', '/CN=ann', dates=(moment(begin), moment(end)))
    check_client(serve, pki, certs, pair, says and 'client certificate CN=ann: ' + says, EXPIRED, zone)


@pytest.mark.parametrize('zone', ZONES)
@pytest.mark.parametrize('begin, end, good', [(-2, HOUR, True), (-2, -HOUR, False), (-HOUR, 2, True)],
                         ids=['valid for an hour', 'expired an hour ago', 'valid since an hour'])
def test_revocation_list_is_judged_to_the_hour_wherever_the_server_is(serve, pki, certs, begin, end, good, zone):
    name = f'listed {begin:.2f} {end:.2f}'
    certs.authority(name, f'/CN={name}')
    crl = certs.crl(name, name, dates=(moment(begin), moment(end)))
    pair = certs.issue(f'of {name}', '/CN=ann', name)
    if good:
        check_client(serve, pki, certs, pair, None, None, zone, f'--crl={crl}', ca=certs.path(name))
        return
    server = serve(['/bin/echo', 'hello'], f'--client-ca={certs.path(name)}', f'--crl={crl}', environment={'TZ': zone})
    tls.openssl_client(server, '-cert', pair.cert, '-key', pair.key)
    ended = server.wait()
    line, _ = ended.log.splitlines()
    text = openssl('crl', '-in', crl, '-noout', '-nextupdate', '-dateopt', 'iso_8601').stdout.decode()
    assert (ended.status, ended.summary['end']) == (78, 'configuration')
    assert f'{crl}: the revocation list of CN={name} was to be renewed by {text.split("=")[1].split()[0]}: ' in line


def check_client(serve, pki, certs, pair, says, alert, zone, *options, ca=None):
    """It is let in, or refused with these words and this alert."""
    server = serve(['/bin/echo', 'hello'], f'--client-ca={ca or certs.bundle}', *options, environment={'TZ': zone})
    run = tls.openssl_client(server, '-CAfile', pki.ca, '-quiet', '-cert', pair.cert, '-key', pair.key).stdout.decode()
    end = server.wait()
    if says is None:
        assert run.endswith('hello\n'), end.log
        assert (end.summary['client-cert'], end.summary['user'], end.status) == ('ok', 'ann', 0)
        return
    dates = re.findall(r'=(\S+) ', openssl('x509', '-in', pair.cert, '-noout', '-dates', '-dateopt', 'iso_8601').stdout.decode())
    line, _ = end.log.splitlines()
    assert line.partition(' handshake failed: ')[2] == says.format(begin=dates[0], end=dates[1])
    assert f'SSL alert number {alert}\n' in run
    assert end.status == 76


# When a certificate ends, as it stands there, and the day that this is.
ENDS = {
    'the last second of a leap day': (b'240229235959Z', '2024-02-29'),
    'the first second after a leap day': (b'240301000000Z', '2024-03-01'),
    'the second before a leap second': (b'161231235959Z', '2016-12-31'),
    'a leap second': (b'161231235960Z', '2017-01-01'),
    'the second after a leap second': (b'170101000000Z', '2017-01-01'),
    'the last second of a century': (b'991231235959Z', '1999-12-31'),
}


@pytest.mark.parametrize('name', ENDS)
def test_clients_certificate_ends_with(serve, pki, certs, name):
    text, day = ENDS[name]
    pair = certs.patched(f'ends {name}', '/CN=ann', (b'201231235958Z', text), dates=('19900101000000Z', '20201231235958Z'))
    check_client(serve, pki, certs, pair, f'client certificate CN=ann: expired on {day}', EXPIRED, 'Pacific/Kiritimati')


# Folders that are half renewed

IN_CLOSE_NOWRITE = 0x10


class Reads:
    """Tells when a file has been read by somebody."""

    def __init__(self, file):
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self.libc.inotify_init1(os.O_CLOEXEC)
        assert self.fd >= 0 and self.libc.inotify_add_watch(self.fd, os.fsencode(file), IN_CLOSE_NOWRITE) >= 0

    def wait(self):
        assert select.select([self.fd], [], [], tls.TIMEOUT)[0], 'nobody has read it'
        os.read(self.fd, 4096)

    def close(self):
        os.close(self.fd)


def fill(folder, pair, key=None):
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in (('fullchain.pem', pair.cert), ('privkey.pem', key or pair.key)):
        shutil.copy(source, folder / 'new')
        (folder / 'new').rename(folder / name)


@pytest.fixture
def halves(serve, pki, tmp_path):
    """A folder with a new certificate and an old key, the server, and what makes the folder whole."""
    folder = tmp_path / 'live/mail.example.org'
    pair = pki.leaf('bounds-mail', names='DNS:mail.example.org')
    fill(folder, pair, pki.ecdsa.key)
    return serve(['/bin/echo', 'hello'], f'--cert-dir={tmp_path}/live'), folder, lambda: fill(folder, pair)


def greeted(server, pki):
    with tls.Client(server, pki.ca, name='mail.example.org') as client:
        return client.rest()


def test_folder_that_becomes_whole_in_time_is_served(halves, pki):
    """The monitor is stopped where it waits for the other half. That may come too late on a busy machine: then once more."""
    server, folder, complete = halves
    for attempt in range(5):
        half = folder / 'privkey.pem'
        shutil.copy(pki.ecdsa.key, half)
        reads = Reads(half)
        with tls.Client(server, pki.ca, name='mail.example.org', handshake=False) as client:
            monitor = server.process(attempt)
            client.socket.sendall(client.hello())
            reads.wait()
            monitor.send_signal(signal.SIGSTOP)
            complete()
            monitor.send_signal(signal.SIGCONT)
            reads.close()
            try:
                client.handshake()
                assert client.rest() == b'hello\n'
            except ssl.SSLError:
                pass
        end = server.wait()
        if end.status == 0:
            assert len(end.log.splitlines()) == 1, 'what was mended in time is no line in the log'
            return
    raise AssertionError(end.log)


def test_folder_that_becomes_whole_too_late_ends_one_connection_and_serves_the_next(halves, pki):
    server, folder, complete = halves
    assert refused(server, pki, 'mail.example.org') == 'TLSV1_ALERT_INTERNAL_ERROR'
    end = server.wait()
    assert (end.status, end.summary['end']) == (78, 'configuration')
    [line] = [line for line in end.log.splitlines() if 'end=' not in line]
    assert f'{folder}/privkey.pem: key does not match' in line
    complete()
    assert greeted(server, pki) == b'hello\n'
    assert server.wait().status == 0
