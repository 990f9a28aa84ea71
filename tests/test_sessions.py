# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole sessions over immediate TLS: real client, TLS version, real daemon, pipes or a socketpair."""

import re

import pytest

from harness import clients, daemons, dialogues

VERSIONS = ['1.2', '1.3']
BIG = daemons.MESSAGES[1]
SMALL = [1, 3]    # the other two: gnutls-cli needs five seconds to print the big one
SMTP = ['exim', 'smtpfront-echo']


pytestmark = pytest.mark.big(3)


def table(names):
    """Every daemon with every kind of stdio that it can live with, over every TLS version."""
    return pytest.mark.parametrize('name, stdio, version', [
        (name, stdio, version) for name in names for stdio in daemons.facts(name)['stdio'] for version in VERSIONS])


@pytest.fixture
def session(serve, daemon, pki):
    """session(name, stdio, version): a daemon, a server in front of it, and `check` for the end."""
    class Session:
        def __init__(self, name, stdio, version, *options, **more):
            self.daemon = daemon(name)
            self.server = serve(self.daemon.argv, f'--stdio={stdio}', *options, **more)
            self.client = (self.server, pki.ca, version)
            self.version = version

        def check(self):
            """postern ended as it should, and said so."""
            ended = self.server.wait()
            assert ended.status == 0, ended.log
            assert ended.summary['tls'] == f'TLSv{self.version}'
            assert ended.summary['sni'] == 'localhost'
            assert ended.summary['start'] == 'immediate'
            assert ended.summary['handler'] == '0'
            return ended

    return Session


# IMAP

@table(['mailutils-imap4d', 'courier-imap', 'dovecot-imap'])
def test_imaplib_reads_all_mail_over_imaps(session, name, stdio, version):
    the = session(name, stdio, version)
    client = clients.imap(*the.client)
    if not the.daemon.preauth:
        client.login(the.daemon.user, the.daemon.password)
    assert client.select('INBOX') == ('OK', [b'3'])
    for number, message in enumerate(the.daemon.messages, 1):
        _, answer = client.fetch(str(number), '(BODY.PEEK[])')
        assert dialogues.without_own_headers(answer[0][1]) == message
    client.logout()
    the.check()


@table(['mailutils-imap4d', 'courier-imap'])
def test_curl_fetches_three_megabytes_over_imaps(session, name, stdio, version):
    the = session(name, stdio, version)
    login = ['--user', f'{the.daemon.user}:{the.daemon.password}']
    got = clients.curl(*the.client, 'imaps', 'INBOX;MAILINDEX=2', *login)
    assert dialogues.without_own_headers(got) == BIG
    the.check()


@table(['mailutils-imap4d', 'dovecot-imap'])
def test_openssl_s_client_reads_all_mail_over_imaps(session, name, stdio, version):
    the = session(name, stdio, version)
    with clients.s_client(*the.client) as talk:
        dialogues.imap(talk, the.daemon)
    the.check()


@table(['courier-imap', 'dovecot-imap'])
def test_gnutls_cli_reads_mail_over_imaps(session, name, stdio, version):
    the = session(name, stdio, version)
    with clients.gnutls_cli(*the.client) as talk:
        dialogues.imap(talk, the.daemon, SMALL)
    the.check()


# POP3

@table(['popa3d', 'mailutils-pop3d'])
def test_poplib_reads_all_mail_over_pop3s(session, name, stdio, version):
    the = session(name, stdio, version)
    client = clients.pop3(*the.client)
    client.user(the.daemon.user)
    client.pass_(the.daemon.password)
    assert len(client.list()[1]) == 3
    for number, message in enumerate(the.daemon.messages, 1):
        _, lines, _ = client.retr(number)
        assert dialogues.without_own_headers(b'\r\n'.join(lines) + b'\r\n') == message
    client.quit()
    the.check()


@table(['popa3d'])    # with mailutils-pop3d it insists on APOP, which takes a password database
def test_curl_fetches_three_megabytes_over_pop3s(session, name, stdio, version):
    the = session(name, stdio, version)
    got = clients.curl(*the.client, 'pop3s', '2', '--user', f'{the.daemon.user}:{the.daemon.password}')
    assert dialogues.without_own_headers(got) == BIG
    the.check()


@table(['mailutils-pop3d', 'dovecot-pop3'])
def test_openssl_s_client_reads_all_mail_over_pop3s(session, name, stdio, version):
    the = session(name, stdio, version)
    with clients.s_client(*the.client) as talk:
        dialogues.pop3(talk, the.daemon)
    the.check()


@table(['popa3d', 'dovecot-pop3'])
def test_gnutls_cli_reads_mail_over_pop3s(session, name, stdio, version):
    the = session(name, stdio, version)
    with clients.gnutls_cli(*the.client) as talk:
        dialogues.pop3(talk, the.daemon, SMALL)
    the.check()


# SMTP

def assert_arrived(daemon, answer=None):
    """exim has stored the message byte for byte; smtpfront-echo has counted its bytes (a line end as one)."""
    if daemon.stored:
        [stored] = daemon.stored()
        assert stored.endswith(BIG)
    elif answer is not None:
        count = int(re.search(r'Received (\d+) bytes', answer)[1])
        assert count == len(daemons.lf(BIG))


@table(SMTP)
def test_smtplib_sends_three_megabytes_over_smtps(session, name, stdio, version):
    the = session(name, stdio, version)
    client = clients.smtp(*the.client)
    client.ehlo()
    client.mail('ann@example.org')
    client.rcpt('bob@example.org')
    _, answer = client.data(BIG)
    client.quit()
    the.check()
    assert_arrived(the.daemon, answer.decode())


@table(SMTP)
def test_curl_sends_three_megabytes_over_smtps(session, name, stdio, version):
    the = session(name, stdio, version)
    clients.curl(*the.client, 'smtps', 'client.example.org', '--mail-from', 'ann@example.org',
                 '--mail-rcpt', 'bob@example.org', '--upload-file', '-', input=BIG)
    the.check()
    assert_arrived(the.daemon)


@table(SMTP)
def test_openssl_s_client_sends_three_megabytes_over_smtps(session, name, stdio, version):
    the = session(name, stdio, version)
    with clients.s_client(*the.client) as talk:
        answer = dialogues.smtp(talk, the.daemon, BIG)
    the.check()
    assert_arrived(the.daemon, answer.decode())


@table(SMTP)
def test_gnutls_cli_sends_three_megabytes_over_smtps(session, name, stdio, version):
    the = session(name, stdio, version)
    with clients.gnutls_cli(*the.client) as talk:
        answer = dialogues.smtp(talk, the.daemon, BIG)
    the.check()
    assert_arrived(the.daemon, answer.decode())


@table(SMTP)
def test_swaks_sends_three_megabytes_over_smtps(session, tmp_path, name, stdio, version):
    the = session(name, stdio, version)
    (tmp_path / 'message').write_bytes(BIG[:-2])    # swaks adds a line end
    answer = clients.swaks(*the.client, tmp_path / 'message')
    the.check()
    assert_arrived(the.daemon, answer)


# The other protocols that have a daemon in Debian, and the kinds of certificates

@table(['dovecot-lmtp'])
def test_openssl_s_client_delivers_three_megabytes_by_lmtp(session, name, stdio, version):
    the = session(name, stdio, version)
    with clients.s_client(*the.client) as talk:
        dialogues.lmtp(talk, the.daemon, BIG)
    the.check()
    assert_arrived(the.daemon)


@table(['dovecot-managesieve'])
def test_gnutls_cli_stores_a_script_by_managesieve(session, name, stdio, version):
    the = session(name, stdio, version)
    with clients.gnutls_cli(*the.client) as talk:
        dialogues.sieve(talk, b'keep;\r\n')
    the.check()
    assert the.daemon.stored() == [b'keep;\r\n']


@table(['leafnode'])
def test_openssl_s_client_reads_all_news_over_nntps(session, name, stdio, version):
    the = session(name, stdio, version)
    with clients.s_client(*the.client) as talk:
        dialogues.nntp(talk, the.daemon)
    the.check()


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('client', ['s_client', 'gnutls_cli', 'python'])
@pytest.mark.parametrize('pair', ['ecdsa', 'rsa', 'ed25519', 'selfsigned', 'chain', 'combined'])
def test_certificate_of_every_kind_is_served_and_verified(serve, pki, pair, client, version):
    server = serve(['/bin/cat'], pair=pair)
    ca = pki.pair(pair).ca
    if client == 'python':
        with clients.tls(server, ca, version) as connection:
            connection.sendall(b'hello\r\n')
            assert connection.recv(100) == b'hello\r\n'
    else:
        with getattr(clients, client)(server, ca, version) as talk:
            assert talk.ask('hello', 'hello')
    assert server.wait().summary['tls'] == f'TLSv{version}'
