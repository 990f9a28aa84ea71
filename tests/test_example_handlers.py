# SPDX-License-Identifier: GPL-2.0-or-later
"""examples/handlers: each script, as it is there, is the handler of a real session.

It runs inside the Debian tree, where the daemons have the paths that the scripts have for them. Replaced is only where
a daemon's configuration is, so that tests don't get into each other's way.
"""

import base64
import os
import re
import shutil
import smtplib
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness import clients, daemons, debian, dialogues, ports, processes, starttls

HANDLERS = Path(__file__).resolve().parent.parent / 'examples/handlers'
SMALL = [1, 3]    # messages that are not the big one
TEXT = daemons.MESSAGES[0]


@contextmanager
def script(name, user=None, beside=(), **places):
    """The command that runs the script in the tree. `places`: words of the script, and what the test has in their place."""
    with daemons.folder_inside() as (outside, inside):
        for file in [name, *beside]:
            text = (HANDLERS / file).read_text()
            for old, new in places.get('replace', {}).items():
                if file == name or old in text:
                    assert old in text
                    text = text.replace(old, new.format(folder=inside))
            (outside / file).write_text(text)
            (outside / file).chmod((HANDLERS / file).stat().st_mode & 0o777)
        yield debian.inside(f'{inside}/{name}', user=user)


@pytest.fixture
def stack():
    with ExitStack() as entered:
        yield entered


def ended(server, **facts):
    """postern ended as it should; its summary."""
    end = server.wait()
    assert end.status == 0, end.log
    for name, value in facts.items():
        assert end.summary[name] == value, end.log
    return end.summary


# POP3 and IMAP with passwords

@pytest.mark.parametrize('name, options', [
    ('popa3d', []),
    ('mailutils-pop3d', ['--stdio=socket']),
    ('dovecot-pop3', []),
])
def test_pop3_is_read(serve, stack, daemon, pki, name, options):
    the = stack.enter_context(mailbox(name, daemon))
    server = serve(the.argv, *options)
    with clients.s_client(server, pki.ca, '1.3') as talk:
        dialogues.pop3(talk, the, SMALL)
    ended(server)


@pytest.mark.parametrize('name, options', [
    ('mailutils-imap4d', ['--stdio=socket']),
    ('courier-imap', []),
    ('dovecot-imap', []),
])
def test_imap_is_read(serve, stack, daemon, pki, name, options):
    the = stack.enter_context(mailbox(name, daemon))
    server = serve(the.argv, *options)
    with clients.s_client(server, pki.ca, '1.3') as talk:
        dialogues.imap(talk, the, SMALL)
    ended(server, start='immediate')
    server = serve(the.argv, '--starttls=imap', *options)
    with clients.s_client(server, pki.ca, '1.3', '-starttls', 'imap') as talk:
        the.preauth = False
        talk.ask(f'a LOGIN {the.user} {the.password}', 'a OK')
        assert b'* 3 EXISTS' in talk.ask('b SELECT INBOX', 'b OK')
        talk.ask('c LOGOUT', 'c OK')
    ended(server, start='starttls')


def need_mailfront():
    for package in ('mailfront', 'cvm'):
        debian.need(package)


@contextmanager
def mailbox(name, daemon):
    """A daemon with mail, and the script in front of it."""
    if name.startswith('dovecot-'):
        need_mailfront()
        program = f'/usr/lib/dovecot/{name[8:]}'
        with daemons.mail_user() as user, daemons.dovecot_conf() as (_, conf), \
                script(name, replace={program: f'{program} -c {conf}'}) as argv:
            yield daemons.Daemon(argv, user.name, daemons.PASSWORD, daemons.MESSAGES)
    else:
        the = daemon(name)
        with script(name) as the.argv:
            yield the


def test_curl_reads_mailutils_pop3d_after_starttls(serve, stack, daemon, pki):
    the = stack.enter_context(mailbox('mailutils-pop3d', daemon))
    server = serve(the.argv, '--stdio=socket', '--starttls=pop3')
    got = clients.curl(server, pki.ca, '1.3', 'pop3', '1', '--ssl-reqd', '--user', f'{the.user}:{the.password}')
    assert dialogues.without_own_headers(got) == TEXT
    ended(server)


def test_curl_reads_courier_after_starttls(serve, stack, daemon, pki):
    the = stack.enter_context(mailbox('courier-imap', daemon))
    server = serve(the.argv, '--starttls=imap')
    got = clients.curl(server, pki.ca, '1.3', 'imap', 'INBOX;MAILINDEX=1', '--ssl-reqd',
                       '--user', f'{the.user}:{the.password}')
    assert dialogues.without_own_headers(got) == TEXT
    ended(server)


# Users who show a certificate

@pytest.fixture
def certified(pki):
    """certified(user): the options of postern and of openssl s_client."""
    def options(user='ann'):
        pair = pki.client(user)
        return [f'--client-ca={pki.ca}'], ['-cert', str(pair.cert), '-key', str(pair.key)], pair
    return options


def test_lmtp_is_delivered(serve, stack, daemon, pki, certified):
    the = daemon('dovecot-lmtp')
    words = {'/etc/dovecot/dovecot.conf': the.argv[-1]}
    argv = stack.enter_context(script('dovecot-lmtp', replace=words))
    options, mine, _ = certified()
    server = serve(argv, *options, '--starttls=lmtp')
    with clients.s_client(server, pki.ca, '1.3', *mine, '-starttls', 'lmtp', '-name', 'client.example.org') as talk:
        talk.ask('LHLO client.example.org', '250 ')
        talk.ask('MAIL FROM:<ann@example.org>', '250 ')
        talk.ask(f'RCPT TO:<{the.user}>', '250 ')
        talk.ask('DATA', '354 ')
        talk.ask(dialogues.dotted(TEXT), '250 ')
        talk.ask('QUIT', '221 ')
    ended(server)
    [stored] = the.stored()
    assert stored.endswith(TEXT)


@pytest.fixture
def sieve(stack):
    """ManageSieve, and the user whose scripts it keeps."""
    user = stack.enter_context(daemons.mail_user(messages=()))
    _, conf = stack.enter_context(daemons.dovecot_conf())
    argv = stack.enter_context(script('dovecot-managesieve', replace={
        'program=/usr/lib/dovecot/managesieve': f'program="/usr/lib/dovecot/managesieve -c {conf}"'}))
    return argv, user


def test_sieve_connect_stores_a_script_by_its_certificate(serve, sieve, tmp_path, certified, pki):
    argv, user = sieve
    options, _, pair = certified(user.name)
    (tmp_path / 'test').write_bytes(starttls.SCRIPT)
    (tmp_path / 'todo').write_text(f'upload {tmp_path}/test\nlist\n')
    server = serve(argv, *options, '--starttls=sieve')
    subprocess.run(['sieve-connect', '--server', 'localhost', '--port', str(server.port), '--nosrv', '--4',
                    '--tlscafile', pki.ca, '--user', user.name, '--clientcert', pair.cert, '--clientkey', pair.key, '--authmech', 'EXTERNAL',
                    '--exec', tmp_path / 'todo'], check=True, timeout=30, env=dict(os.environ, HOME=str(tmp_path)))
    assert ended(server, start='starttls')['user'] == user.name
    [stored] = (debian.ROOT / user.home[1:] / 'sieve').glob('*.sieve')
    assert stored.read_bytes() == starttls.SCRIPT


def test_managesieve_lets_nobody_in_by_another_name(serve, sieve, certified, pki):
    argv, user = sieve
    options, mine, _ = certified(user.name)
    server = serve(argv, *options)
    with clients.s_client(server, pki.ca, '1.3', *mine) as talk:
        assert b'"SIEVE" "fileinto ' in talk.expect('OK')
        other = base64.b64encode(b'root').decode()
        talk.ask(f'AUTHENTICATE "EXTERNAL" "{other}"', 'NO')
        talk.ask('LISTSCRIPTS', 'NO')
        myself = base64.b64encode(user.name.encode()).decode()
        talk.ask(f'AUTHENTICATE "EXTERNAL" {{{len(myself)}+}}\r\n{myself}', 'OK')
        talk.ask('LISTSCRIPTS', 'OK')
        talk.ask('LOGOUT', 'OK')
    ended(server)


@pytest.mark.parametrize('user', ['root', 'nobody-here', r'\+31000'])
def test_managesieve_turns_away_who_is_no_user(serve, sieve, certified, pki, user):
    argv, _ = sieve
    options, mine, _ = certified(user)
    server = serve(argv, *options)
    with clients.s_client(server, pki.ca, '1.3', *mine) as talk:
        talk.expect('BYE "no such user"')
    assert server.wait().status == 1


# SMTP: nobody may send to anywhere who should not

# As in Debian's configuration: who comes without TCP/IP is taken for a user of this machine.
EXIM_CONF = daemons.EXIM_CONF.replace('acl_smtp_rcpt = accept', 'acl_smtp_rcpt = rcpt').replace('begin routers', '''
begin acl
rcpt:
  accept hosts = :
  accept domains = example.org
  deny message = relay not permitted
begin routers''')


@pytest.fixture
def exim(stack):
    """exim(name): a script with a configuration of its own; and what it stores."""
    outside, inside = stack.enter_context(daemons.folder_inside(owner=daemons.EXIM_ID))
    (outside / 'conf').write_text(EXIM_CONF.format(inside=inside), 'ascii')
    words = {'/usr/sbin/exim4': f'/usr/sbin/exim4 -C {inside}/conf -odi'}
    return stack.enter_context(script('exim', replace=words)), outside / 'stored/new'


def recipients(talk, *addresses):
    """The answers to them, their numbers only."""
    talk.ask('EHLO client.example.org', '250 ')
    talk.ask('MAIL FROM:<ann@example.org>', '250 ')
    return [talk.ask(f'RCPT TO:<{address}>', r'\d+ ')[:3] for address in addresses]


def test_exim_takes_mail_for_its_own_and_is_no_open_relay(serve, exim, pki):
    argv, stored = exim
    server = serve(argv)
    with clients.s_client(server, pki.ca, '1.3') as talk:
        talk.expect('220 ')
        assert recipients(talk, 'bob@foreign.example', 'bob@example.org') == [b'550', b'250']
        talk.ask('DATA', '354 ')
        talk.ask(dialogues.dotted(TEXT), '250 ')
        talk.ask('QUIT', '221 ')
    ended(server)
    [message] = [file.read_bytes() for file in stored.iterdir()]
    assert daemons.crlf(message).endswith(TEXT) and b'127.0.0.1' in message


def test_without_oMa_exim_is_an_open_relay(serve, exim, pki):
    """So the test above would notice."""
    argv, _ = exim
    path = debian.ROOT / argv[-1][1:]
    path.write_text(path.read_text().replace(' -oMa "[$TCPREMOTEIP]:$TCPREMOTEPORT"', ''))
    server = serve(argv)
    with clients.s_client(server, pki.ca, '1.3') as talk:
        talk.expect('220 ')
        assert recipients(talk, 'bob@foreign.example') == [b'250']
        talk.ask('QUIT', '221 ')
    server.wait()


def test_exim_is_not_started_for_a_client_without_address(serve, exim, pki):
    argv, _ = exim
    server = serve(argv, family='unix')
    with clients.tls(server, pki.ca) as connection:
        assert connection.recv(100).startswith(b'421 ')
    assert server.wait().status == 1


# What Postfix's installation makes. Where it runs, its proxymap knows the local users.
MAIN_CF = '''compatibility_level = 3.6
myhostname = mail.example.org
mydestination = example.org
daemon_directory = /usr/lib/postfix/sbin
local_recipient_maps =
'''
POSTFIX_ID, POSTDROP_ID = 125, 126
QUEUES = ['active', 'bounce', 'corrupt', 'defer', 'deferred', 'flush', 'hold', 'incoming', 'private', 'saved', 'trace']


@pytest.fixture
def postfix(stack):
    """Its queue of mail that waits for it to run."""
    stack.enter_context(daemons.locked('postfix'))
    folder = debian.program('/etc/postfix')
    (folder / 'main.cf').write_text(MAIN_CF)
    (folder / 'master.cf').touch()
    shutil.copy(debian.program('/usr/share/postfix/dynamicmaps.cf'), folder)
    for name in QUEUES:
        shutil.rmtree(debian.ROOT / 'var/spool/postfix' / name, ignore_errors=True)
    queue = debian.program('/var/spool/postfix') / 'maildrop'
    shutil.rmtree(queue, ignore_errors=True)
    queue.mkdir()
    os.chown(queue, POSTFIX_ID, POSTDROP_ID)
    queue.chmod(0o1730)
    (queue.parent / 'public').mkdir(exist_ok=True)

    def stored():
        return [subprocess.run(debian.inside('/usr/sbin/postcat', f'/var/spool/postfix/maildrop/{file.name}'),
                               capture_output=True, text=True, check=True).stdout for file in queue.iterdir()]
    return stored


def test_postfix_takes_mail_of_who_has_a_certificate(serve, stack, postfix, pki, certified):
    argv = stack.enter_context(script('postfix'))
    options, mine, _ = certified()
    server = serve(argv, *options)
    with clients.s_client(server, pki.ca, '1.3', *mine) as talk:
        talk.expect('220 ')
        assert recipients(talk, 'bob@foreign.example') == [b'250']
        talk.ask('DATA', '354 ')
        talk.ask(dialogues.dotted(TEXT), '250 ')
        talk.ask('QUIT', '221 ')
    ended(server)
    [message] = postfix()
    assert re.search(r'^recipient: bob@foreign\.example$', message, re.MULTILINE) and 'Hello Bob.' in message


@pytest.mark.parametrize('request_only', [False, True])
def test_postfix_is_not_started_for_anybody_else(serve, stack, postfix, pki, certified, request_only):
    argv = stack.enter_context(script('postfix'))
    options = [*certified()[0], '--client-cert=request'] if request_only else []
    server = serve(argv, *options)
    with clients.tls(server, pki.ca) as connection:
        assert connection.recv(100) == b'421 a client certificate is needed\r\n'
    assert server.wait().status == 1


# The way that the comment in handlers/postfix has for passwords and public servers.
SMTPD = '''127.0.0.1:{port} inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy -o smtpd_tls_security_level=none
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
local unix - n n - - local
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
'''


@pytest.fixture
def smtpd(stack, postfix):
    """Postfix as a whole, on a port that wants a PROXY header."""
    port = ports.free_port()
    (debian.ROOT / 'etc/postfix/master.cf').write_text(SMTPD.format(port=port))
    with open(debian.ROOT / 'etc/postfix/main.cf', 'a', encoding='ascii') as conf:
        conf.write('mynetworks = 127.0.0.1/32\nalias_maps =\nmaillog_file = /var/log/postfix.log\n')
    spool = debian.ROOT / 'var/spool/postfix'
    for folder in [*(spool / name for name in [*QUEUES, 'pid', 'public']), debian.ROOT / 'var/lib/postfix', debian.ROOT / 'var/log']:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.name not in ('pid', 'log'):
            os.chown(folder, POSTFIX_ID, POSTDROP_ID if folder.name == 'public' else 0)
            folder.chmod(0o710 if folder.name == 'public' else 0o700)
    argv = debian.inside('/usr/lib/postfix/sbin/master', '-c', '/etc/postfix', '-d')
    master = stack.enter_context(daemons.running(argv, (spool / 'public/qmgr').exists))
    processes.until(lambda: ports.listening_port(master.pid), 'postfix to listen')
    return port


def test_postfix_s_own_smtpd_is_told_who_the_client_is(serve, stack, smtpd, pki):
    user = stack.enter_context(daemons.mail_user(messages=()))
    server = serve(['socat', 'STDIO', f'TCP:127.0.0.1:{smtpd}'], '--proxy-out=v2', '--starttls=smtp')
    client = smtplib.SMTP(timeout=20, source_address=('127.0.0.2', 0))
    client.connect(server.host, server.port)
    client._host = clients.NAME
    client.starttls(context=clients.context(pki.ca))
    refused = client.sendmail('ann@example.org', ['bob@foreign.example', f'{user.name}@example.org'], TEXT)
    client.quit()
    assert list(refused) == ['bob@foreign.example'] and b'Relay access denied' in refused['bob@foreign.example'][1]
    server.wait()
    mbox = debian.ROOT / f'var/mail/{user.name}'
    processes.until(lambda: b'Hello Bob.' in mbox.read_bytes(), 'delivery')
    assert b'[127.0.0.2]' in mbox.read_bytes()


@pytest.fixture
def smtpfront(stack):
    need_mailfront()
    user = stack.enter_context(daemons.mail_user(messages=()))
    argv = stack.enter_context(script('smtpfront', beside=['smtpfront-queue'],
                                      replace={'/usr/local/sbin/smtpfront-queue': '{folder}/smtpfront-queue'}))
    return argv, user


def test_smtpfront_takes_mail_of_who_has_logged_in(serve, smtpfront, postfix, pki):
    argv, user = smtpfront
    server = serve(argv)
    client = clients.smtp(server, pki.ca, '1.3')
    client.login(user.name, daemons.PASSWORD)
    client.sendmail('ann@example.org', ['bob@foreign.example', '-oQ/tmp@example.org'], TEXT)
    client.quit()
    ended(server)
    [message] = postfix()
    assert re.findall('^(?:sender|recipient): (.*)$', message, re.MULTILINE) == [
        'ann@example.org', 'bob@foreign.example', '-oQ/tmp@example.org']
    assert 'Hello Bob.' in message and '127.0.0.1' in message


def test_smtpfront_takes_mail_of_nobody_else(serve, smtpfront, postfix, pki):
    argv, user = smtpfront
    server = serve(argv)
    client = clients.smtp(server, pki.ca, '1.3')
    with pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(user.name, 'wrong')
    with pytest.raises(smtplib.SMTPSenderRefused):
        client.sendmail('ann@example.org', ['bob@example.org'], TEXT)
    client.quit()
    ended(server)
    assert postfix() == []


# News

def test_news_is_read(serve, stack, daemon, pki):
    the = daemon('leafnode')
    argv = stack.enter_context(script('leafnode', user=f'{daemons.NEWS_ID}:{daemons.NEWS_ID}'))
    server = serve(argv, '--starttls=nntp')
    with clients.s_client(server, pki.ca, '1.3', '-starttls', 'nntp') as talk:
        talk.ask('GROUP local.test', '211 3 1 3 ')
        answer = talk.ask('ARTICLE 1', r'\.\r')
        assert dialogues.undotted(answer) == the.messages[0]
        talk.ask('QUIT', '205 ')
    ended(server)


# All of them

def test_every_script_can_be_run_and_says_how():
    for path in HANDLERS.iterdir():
        assert path.stat().st_mode & 0o777 == 0o755, path
        assert path.read_text().startswith('#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-or-later\n'), path
        words = re.findall(r'/usr/local/sbin/([\w-]+)', path.read_text())
        assert path.name in words or path.name == 'smtpfront-queue', path
        assert set(words) <= {other.name for other in HANDLERS.iterdir()}, path
