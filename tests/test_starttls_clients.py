# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole sessions that begin in plaintext: real client, protocol, policy, TLS version, real daemon."""

import base64
import imaplib
import os
import poplib
import re
import smtplib
from contextlib import ExitStack

import pytest

from harness import clients, daemons, debian, dialogues, starttls

POLICIES = ['required', 'auth', 'optional']
WITH_HANDLER = ['auth', 'optional']

# Over each version of TLS another daemon, where there are two.
DAEMONS = {
    'imap': {'1.2': 'courier-imap', '1.3': 'mailutils-imap4d'},
    'pop3': {'1.2': 'popa3d', '1.3': 'mailutils-pop3d'},
    'smtp': {'1.2': 'exim' if debian.lacks('mailfront') else 'smtpfront-echo', '1.3': 'exim'},
    'lmtp': {'1.2': 'dovecot-lmtp', '1.3': 'dovecot-lmtp'},
    'sieve': {'1.2': 'managesieve-with-login', '1.3': 'managesieve-with-login'},
    'nntp': {'1.2': 'leafnode', '1.3': 'leafnode'},
}

# Clients that can't do with one of these.
INSTEAD = {
    ('curl', 'imap'): {'1.2': 'courier-with-plain'},    # LOGINDISABLED holds for it after STARTTLS, too: it wants AUTH=
    ('gsasl', 'imap'): {'1.2': 'mailutils-imap4d'},     # courier offers no mechanism
    ('s-nail', 'imap'): {'1.3': 'courier-imap'},        # it leaves without a word, which is an error for mailutils
    ('s-nail', 'pop3'): {'1.3': 'popa3d'},
    ('fetchmail', 'pop3'): {'1.2': 'mailutils-pop3d'},  # after STLS it insists on CAPA, which popa3d doesn't know
}


def table():
    """Every client with each of its protocols under every policy, in TLS 1.2 and 1.3 by turns; with MATRIX=all in the
    environment both under `required`."""
    for turn, (client, protocol) in enumerate(starttls.CLIENTS):
        for number, policy in enumerate(POLICIES):
            both = policy == 'required' and os.environ.get('MATRIX') == 'all'
            versions = ['1.2', '1.3'] if both else [['1.2', '1.3'][(turn + number) % 2]]
            for version in ['1.3'] if client in starttls.UNPINNED else versions:
                name = {**DAEMONS[protocol], **INSTEAD.get((client, protocol), {})}[version]
                yield pytest.param(client, protocol, policy, version, name,
                                   id=f'{client}-{protocol}-{policy}-{version}-{name}')


@pytest.fixture
def session(serve, pki, tmp_path):
    """session(protocol, policy, version, name) gives a starttls.Session: a daemon, and a server in front of it."""
    with ExitStack() as stack:
        def start(protocol, policy, version, name, *options):
            daemon = stack.enter_context(starttls.start(name))
            server = serve(daemon.argv, f'--starttls={protocol}', f'--policy={policy}',
                           f'--stdio={starttls.stdio(name)}', *options)
            return starttls.Session(server, pki.ca, version, daemon, tmp_path)
        yield start


def ended(s, tls):
    """postern ended as it should, and said so."""
    end = s.server.wait()
    assert end.status == 0, end.log
    assert end.summary['start'] == ('starttls' if tls else 'plaintext')
    assert end.summary['dialect'] == s.daemon.protocol
    assert end.summary.get('tls') == tls, end.log
    assert end.summary['handler'] == '0'
    return end


@pytest.mark.big(2)
@pytest.mark.parametrize('client, protocol, policy, version, name', table())
def test_a_client_holds_a_whole_session_after_starttls(session, client, protocol, policy, version, name):
    s = session(protocol, policy, version, name)
    starttls.CLIENTS[client, protocol](s)
    end = ended(s, f'TLSv{version}')
    assert end.summary['sni'] == clients.NAME
    if protocol in ('smtp', 'lmtp'):
        starttls.arrived(s.daemon, s.sent, s.answer)


# Without TLS

PLAIN_DAEMONS = {'imap': ['courier-imap', 'mailutils-imap4d'], 'pop3': ['popa3d', 'mailutils-pop3d'],
                 'smtp': ['exim-with-logins'], 'lmtp': ['dovecot-lmtp'], 'sieve': ['managesieve-with-login'],
                 'nntp': ['leafnode']}


def plain_table():
    for (client, protocol) in starttls.PLAINTEXT:
        for name in PLAIN_DAEMONS[protocol]:
            yield pytest.param(client, protocol, name, id=f'{client}-{protocol}-{name}')


@pytest.mark.parametrize('client, protocol, name', plain_table())
def test_optional_lets_a_client_log_in_and_hold_its_session_without_tls(session, client, protocol, name):
    s = session(protocol, 'optional', None, name)
    starttls.PLAINTEXT[client, protocol](s)
    end = ended(s, None)
    if protocol in ('smtp', 'lmtp'):
        starttls.arrived(s.daemon, s.sent, s.answer)
    assert s.daemon.password is None or s.daemon.password not in end.log


@pytest.mark.parametrize('client, protocol', [pair for pair in starttls.PLAINTEXT if pair[1] in ('lmtp', 'nntp')])
def test_auth_lets_a_client_without_tls_do_what_takes_no_login(session, client, protocol):
    s = session(protocol, 'auth', None, DAEMONS[protocol]['1.3'])
    starttls.PLAINTEXT[client, protocol](s)
    ended(s, None)
    if protocol == 'lmtp':
        starttls.arrived(s.daemon, s.sent)


def plain_response(user, password):
    return base64.b64encode(f'\0{user}\0{password}'.encode()).decode()


def imaplib_is_refused(s):
    c = starttls.imap(s.server)
    assert 'LOGINDISABLED' in c.capabilities and 'STARTTLS' in c.capabilities
    assert not {'AUTH=PLAIN', 'AUTH=LOGIN'} & set(c.capabilities)
    with pytest.raises(imaplib.IMAP4.error, match='PRIVACYREQUIRED'):
        c.login(s.daemon.user, s.daemon.password)
    for mechanism in ('PLAIN', 'LOGIN'):
        with pytest.raises(imaplib.IMAP4.error, match='PRIVACYREQUIRED'):
            c.authenticate(mechanism, lambda _: plain_response(s.daemon.user, s.daemon.password))
    c.logout()
    return ['LOGIN', 'AUTHENTICATE']


def poplib_is_refused(s):
    c = starttls.pop3(s.server)
    assert '<' not in c.getwelcome().decode()    # no APOP either
    capabilities = c.capa()
    assert 'STLS' in capabilities and 'USER' not in capabilities
    assert 'PLAIN' not in capabilities.get('SASL', [])
    for command in (lambda: c.user(s.daemon.user), lambda: c.pass_(s.daemon.password),
                    lambda: c._shortcmd('AUTH PLAIN ' + plain_response(s.daemon.user, s.daemon.password))):
        with pytest.raises(poplib.error_proto, match=r'-ERR \[AUTH\]'):
            command()
    c.quit()
    return ['USER', 'PASS', 'AUTH']


def smtplib_is_refused(s):
    c = starttls.smtp(s.server)
    c.ehlo()
    assert c.has_extn('STARTTLS')
    assert c.esmtp_features['auth'].split() == ['CRAM-MD5']
    for words in (f'PLAIN {plain_response(s.daemon.user, s.daemon.password)}', 'PLAIN', 'LOGIN',
                  f'LOGIN {base64.b64encode(s.daemon.user.encode()).decode()}'):
        assert c.docmd('AUTH', words)[0] == 538
    c.quit()
    return ['AUTH']


def sieve_is_refused(s):
    with s.server.connect() as connection:
        talk = dialogues.Talk(connection.fileno(), connection.fileno())
        assert b'"SASL" ""' in talk.expect('OK')
        assert talk.ask('AUTHENTICATE "PLAIN" "AGJvYgBzZWNyZXQ="', 'NO').startswith(b'NO (ENCRYPT-NEEDED)')
        talk.ask('LOGOUT', 'OK')
    return ['AUTHENTICATE']


def curl_is_refused(s):
    more = {'imap': ['INBOX;MAILINDEX=2'], 'pop3': ['2'],
            'smtp': [starttls.HELLO, '--mail-from', starttls.SENDER, '--mail-rcpt', 'bob@example.org',
                     '--upload-file', '/dev/null']}
    with pytest.raises(AssertionError, match='curl: 67 '):
        starttls.curl(s, s.daemon.protocol, *more[s.daemon.protocol], '--login-options', 'AUTH=PLAIN')
    return []    # it sees that there is no point in trying


@pytest.mark.parametrize('protocol, name, refused', [
    ('imap', 'courier-imap', imaplib_is_refused), ('imap', 'mailutils-imap4d', imaplib_is_refused),
    ('imap', 'courier-imap', curl_is_refused), ('imap', 'mailutils-imap4d', curl_is_refused),
    ('pop3', 'popa3d', poplib_is_refused), ('pop3', 'mailutils-pop3d', poplib_is_refused),
    ('pop3', 'popa3d', curl_is_refused), ('pop3', 'mailutils-pop3d', curl_is_refused),
    ('smtp', 'exim-with-logins', smtplib_is_refused), ('smtp', 'exim-with-logins', curl_is_refused),
    ('sieve', 'managesieve-with-login', sieve_is_refused)])
def test_auth_refuses_a_password_in_plaintext(session, protocol, name, refused):
    s = session(protocol, 'auth', None, name)
    commands = refused(s)
    log = s.server.wait().log
    for command in commands:
        assert f'{command} before TLS refused by --policy=auth' in log
    for secret in (s.daemon.password, plain_response(s.daemon.user, s.daemon.password)):
        assert secret not in log
    assert 'user `' not in log    # so mailutils says that somebody has logged in


@pytest.mark.parametrize('mechanism', ['CRAM-MD5', 'SCRAM-SHA-1', 'SCRAM-SHA-256'])
@pytest.mark.parametrize('policy', WITH_HANDLER)
def test_gsasl_logs_in_to_imap_by_challenge_and_response_without_tls(session, policy, mechanism):
    s = session('imap', policy, None, 'mailutils-imap4d')
    starttls.gsasl(s, mechanism, '--no-starttls')
    ended(s, None)


@pytest.mark.parametrize('policy', WITH_HANDLER)
def test_curl_logs_in_by_cram_md5_without_tls(session, policy):
    s = session('imap', policy, None, 'mailutils-imap4d')
    got = starttls.curl(s, 'imap', 'INBOX;MAILINDEX=2', '--login-options', 'AUTH=CRAM-MD5')
    assert dialogues.without_own_headers(got) == starttls.BIG
    ended(s, None)


@pytest.mark.parametrize('policy', WITH_HANDLER)
def test_smtplib_logs_in_by_cram_md5_without_tls(session, policy):
    s = session('smtp', policy, None, 'exim-with-logins')
    c = starttls.smtp(s.server)
    assert c.login(s.daemon.user, s.daemon.password)[0] == 235
    starttls.send_by_python(c, s)
    ended(s, None)
    starttls.arrived(s.daemon, s.sent)


@pytest.mark.parametrize('policy', WITH_HANDLER)
def test_swaks_logs_in_by_cram_md5_without_tls(session, policy):
    s = session('smtp', policy, None, 'exim-with-logins')
    starttls.run_swaks(s, '--auth', 'CRAM-MD5', '--auth-user', s.daemon.user, '--auth-password', s.daemon.password)
    ended(s, None)
    starttls.arrived(s.daemon, s.sent)


@pytest.mark.parametrize('policy', WITH_HANDLER)
def test_msmtp_logs_in_by_cram_md5_without_tls(session, policy):
    s = session('smtp', policy, None, 'exim-with-logins')
    starttls.msmtp(s, f'auth cram-md5\nuser {s.daemon.user}\npassword {s.daemon.password}\ntls off\n')
    ended(s, None)
    starttls.arrived(s.daemon, s.sent)


# Under `required` there is no handler before TLS.

def required_imap(s):
    c = starttls.imap(s.server)
    for command in (lambda: c.login('u', 'secret'), lambda: c.authenticate('PLAIN', lambda _: b'x')):
        with pytest.raises(imaplib.IMAP4.error, match='PRIVACYREQUIRED'):
            command()
    c.logout()


def required_pop3(s):
    c = starttls.pop3(s.server)
    for command in (lambda: c.user('u'), lambda: c.pass_('secret'), c.stat, lambda: c.apop('u', 'secret')):
        with pytest.raises(poplib.error_proto):
            command()
    c.quit()


def required_smtp(s, make=starttls.smtp):
    c = make(s.server)
    with pytest.raises(smtplib.SMTPSenderRefused, match='530'):
        c.sendmail(starttls.SENDER, ['bob@example.org'], starttls.BIG)
    with pytest.raises(smtplib.SMTPNotSupportedError):
        c.login('u', 'secret')
    assert c.docmd('AUTH', 'PLAIN AHUAc2VjcmV0')[0] == 530
    c.quit()


def required_lmtp(s):
    required_smtp(s, starttls.lmtp)


def required_nntp(s):
    with s.server.connect() as connection:
        talk = dialogues.Talk(connection.fileno(), connection.fileno())
        talk.expect('200 ')
        assert b'\r\nSTARTTLS\r\n' in talk.ask('CAPABILITIES', r'\.\r')
        for command in ('GROUP local.test', 'AUTHINFO USER u', 'AUTHINFO PASS secret', 'POST', 'LIST'):
            talk.ask(command, '483 ')
        talk.ask('QUIT', '205 ')


def required_sieve(s):
    with s.server.connect() as connection:
        talk = dialogues.Talk(connection.fileno(), connection.fileno())
        assert b'"STARTTLS"' in talk.expect('OK')
        for command in ('AUTHENTICATE "PLAIN" "AGJvYgBzZWNyZXQ="', 'LISTSCRIPTS'):
            assert talk.ask(command, 'NO').startswith(b'NO (ENCRYPT-NEEDED)')
        talk.ask('LOGOUT', 'OK')


REQUIRED = {'imap': required_imap, 'pop3': required_pop3, 'smtp': required_smtp, 'lmtp': required_lmtp,
            'nntp': required_nntp, 'sieve': required_sieve}


@pytest.mark.parametrize('protocol', REQUIRED)
def test_required_refuses_all_but_starttls_and_starts_no_handler(serve, pki, tmp_path, protocol):
    mark = tmp_path / 'started'
    server = serve(['/usr/bin/touch', mark], f'--starttls={protocol}', '--policy=required')
    REQUIRED[protocol](starttls.Session(server, pki.ca, None, daemons.Daemon([]), tmp_path))
    end = server.wait()
    assert end.status == 0, end.log
    assert not mark.exists()
    assert not re.search('secret|AHUAc2VjcmV0|AGJvYgBzZWNyZXQ=', end.log)


@pytest.mark.parametrize('protocol, path', [('imap', 'INBOX;MAILINDEX=1'), ('pop3', '1')])
def test_required_gives_curl_without_tls_nothing(serve, pki, tmp_path, protocol, path):
    mark = tmp_path / 'started'
    server = serve(['/usr/bin/touch', mark], f'--starttls={protocol}', '--policy=required')
    with pytest.raises(AssertionError, match='curl: 67 '):
        clients.curl(server, pki.ca, '1.3', protocol, path, '--user', 'u:secret')
    assert 'secret' not in server.wait().log
    assert not mark.exists()


# Daemons that take their client for logged in

PREAUTH = 'greet.*PREAUTH.* use immediate TLS, or a login program'


@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_required_refuses_a_handler_that_greets_with_preauth_and_logs_why(session, version):
    s = session('imap', 'required', version, 'dovecot-imap')
    c = starttls.imap(s.server)
    with pytest.raises((imaplib.IMAP4.error, OSError)):
        c.starttls(clients.context(s.ca, version))
        c.select('INBOX')
    c.shutdown()
    assert re.search(PREAUTH, s.server.wait().log)


@pytest.mark.parametrize('policy', WITH_HANDLER)
def test_a_handler_that_greets_with_preauth_is_refused_before_tls_and_the_log_says_why(session, policy):
    s = session('imap', policy, None, 'dovecot-imap')
    with pytest.raises(imaplib.IMAP4.error, match='BYE'):
        starttls.imap(s.server)
    assert re.search(PREAUTH, s.server.wait().log)


@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_s_client_stores_a_script_where_managesieve_says_nothing_first(session, version):
    s = session('sieve', 'required', version, 'dovecot-managesieve')
    with clients.s_client(*s.where, '-starttls', 'sieve') as talk:
        dialogues.sieve(talk, starttls.SCRIPT)
    ended(s, f'TLSv{version}')
    assert s.daemon.stored() == [starttls.SCRIPT]
