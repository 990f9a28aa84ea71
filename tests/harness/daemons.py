# SPDX-License-Identifier: GPL-2.0-or-later
"""Real mail daemons from Debian, each with a mailbox and a configuration of its own.

    with daemons.start('popa3d') as daemon:
        ... run daemon.argv with --stdio=daemon.stdio[0] ...

They run chrooted in build/debian (see debian.py), so they need root.
"""

import fcntl
import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, List, Optional

from harness import debian, processes

USERS = range(64)
FIRST_ID = 31000
PASSWORD = 'secret'


def big_body():
    """Returns a body of a little more than 3 MB. No two lines are alike; some are hard cases for a protocol."""
    lines = []
    for number in range(45000):
        lines.append(b'%06d the quick brown fox jumps over the lazy dog, and back again.' % number)
        if number % 5000 == 0:
            lines += [b'.', b'..', b'.leading dot', b'STARTTLS', b'a LOGOUT', b'QUIT', b'', b')', b'x' * 900]
    return b'\r\n'.join(lines) + b'\r\n'


def message(subject, body):
    return (b'From: Ann <ann@example.org>\r\nTo: Bob <bob@example.org>\r\n'
            b'Subject: ' + subject + b'\r\nDate: Thu, 01 Jan 2026 12:00:00 +0000\r\n'
            b'Message-ID: <' + subject + b'@example.org>\r\n\r\n' + body)


# The messages as they are sent: lines end in CR LF.
MESSAGES = [
    message(b'first', b'Hello Bob.\r\n'),
    message(b'second', big_body()),
    message(b'third', b'Bye, Bob.\r\n'),
]


@dataclass
class Daemon:
    """A handler for postern, with what a test must know about it."""
    argv: List[str]
    user: Optional[str] = None          # None: there is no log-in
    password: Optional[str] = None
    messages: List[bytes] = field(default_factory=list)
    stored: Optional[Callable] = None   # what it has been given so far: a list of messages, headers of its own included
    name: str = ''
    protocol: str = ''
    stdio: tuple = ('pipe', 'socket')   # what it can live with, best first
    preauth: bool = False               # it takes its client for logged in
    greets: bool = True                 # it speaks first


@dataclass
class MailUser:
    """A user of the tree's /etc/passwd. His Maildir and his mbox hold the same messages."""
    name: str
    id: int
    home: str

    def maildir(self, *folders):
        """Returns the messages in the order of arrival, with CR LF. Dovecot 2.4.5 puts them into `cur` at once."""
        top = debian.ROOT / self.home[1:] / 'Maildir'
        files = sorted((file for folder in folders or ('new', 'cur') for file in (top / folder).iterdir()),
                       key=lambda file: file.name)
        return [crlf(file.read_bytes()) for file in files]


def lf(text):
    return text.replace(b'\r\n', b'\n')


def crlf(text):
    return lf(text).replace(b'\n', b'\r\n')


@contextmanager
def locked(name, wait=True):
    """Holds a lock, at most until this process ends. Returns False if it is taken and we don't wait."""
    with open(debian.ROOT / f'run/{name}.lock', 'wb') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def mail_user(messages=tuple(MESSAGES)):
    """Takes a user that no other test uses, and gives him three messages."""
    debian.program('/etc/passwd')
    for number in USERS:
        name = f'u{number}'
        with locked(name, wait=False) as ours:
            if not ours:
                continue
            user = MailUser(name, FIRST_ID + number, f'/home/{name}')
            home, mbox = debian.ROOT / f'home/{name}', debian.ROOT / f'var/mail/{name}'
            shutil.rmtree(home, ignore_errors=True)
            try:
                fill(user, home, mbox, messages)
                yield user
            finally:
                shutil.rmtree(home, ignore_errors=True)
                mbox.unlink(missing_ok=True)
            return
    raise AssertionError('all mail users are taken')


def fill(user, home, mbox, messages):
    for folder in ('cur', 'new', 'tmp'):
        (home / 'Maildir' / folder).mkdir(parents=True)
    for number, text in enumerate(messages):
        (home / f'Maildir/new/{1000 + number}.test.localhost').write_bytes(lf(text))
    with open(mbox, 'wb') as file:
        for text in messages:
            file.write(b'From ann@example.org Thu Jan  1 12:00:00 2026\n' + lf(text) + b'\n')
    mbox.chmod(0o600)
    os.chown(mbox, user.id, 8)
    for path in [home, *home.rglob('*')]:
        os.chown(path, user.id, user.id)


@contextmanager
def folder_inside(owner=0):
    """Makes a folder in the tree; returns it and its name as seen from inside."""
    with tempfile.TemporaryDirectory(dir=debian.ROOT / 'tmp') as name:
        os.chmod(name, 0o755)
        os.chown(name, owner, owner)
        yield Path(name), '/tmp/' + os.path.basename(name)


@contextmanager
def running(argv, ready):
    """Runs a service that the daemon needs. It may outlive a test's processes, but no process of it outlives us."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               start_new_session=True)
    processes.expected.add(process.pid)
    try:
        processes.until(ready, f'{argv} to be ready')
        yield process
    finally:
        family = [process.pid, *(child.pid for child in processes.descendants(process.pid))]
        for pid in family:
            with suppress(ProcessLookupError):    # it may end by itself when its parent does
                os.kill(pid, signal.SIGKILL)
        process.wait()
        for pid in family[1:]:
            processes.forget(pid)
        processes.expected.discard(process.pid)


RECIPES = {}


def recipe(name, protocol, **more):
    def register(function):
        RECIPES[name] = (contextmanager(function), dict(more, name=name, protocol=protocol))
        return function
    return register


@contextmanager
def start(name):
    """Prepares the daemon `name`. The test may run it any number of times."""
    with RECIPES[name][0]() as daemon:
        for key, value in facts(name).items():
            setattr(daemon, key, value)
        yield daemon


def facts(name):
    """Returns the facts about a daemon that are known before it starts."""
    return {'stdio': ('pipe', 'socket'), 'preauth': False, 'greets': True, **RECIPES[name][1]}


# Dovecot: its mail processes treat a client on standard input as logged in.

DOVECOT_CONF = '''
base_dir = {base}
log_path = /dev/stderr
ssl = no
protocols =
mail_location = maildir:~/Maildir
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = passwd
}}
protocol lmtp {{
  mail_plugins = sieve
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
'''

# Version 2.4 has another syntax.
DOVECOT_24 = [
    (r'^', 'dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n'),
    (r'mail_location = maildir:(.*)', r'mail_driver = maildir\nmail_path = \1\nmail_home = /home/%{user}'),
    (r'(passdb|userdb) {\s*driver = (\w+)', r'\1 \2 {'),
    (r'args = password=(.*)', r'passdb_static_password = \1'),
    (r'mail_plugins = (\w+)', r'mail_plugins {\n \1 = yes\n}'),
    (r'disable_plaintext_auth = yes', 'auth_allow_cleartext = no'),
    (r'address = (.*)', r'listen = \1'),
]


@functools.cache
def dovecot_version():
    run = subprocess.run(debian.inside('/usr/sbin/dovecot', '--version'), capture_output=True, text=True, check=True)
    return tuple(map(int, re.match(r'(\d+)\.(\d+)', run.stdout).groups()))


def dovecot_words(conf):
    """Returns a configuration in the syntax of the Dovecot in the tree."""
    if dovecot_version() >= (2, 4):
        for old, new in DOVECOT_24:
            conf = re.sub(old, new, conf)
    return conf


@contextmanager
def dovecot_conf():
    with folder_inside() as (outside, inside):
        conf = DOVECOT_CONF.format(base=f'{inside}/run', password=PASSWORD)
        (outside / 'dovecot.conf').write_text(dovecot_words(conf), 'ascii')
        yield outside, f'{inside}/dovecot.conf'


@contextmanager
def dovecot_process(program):
    with mail_user() as user, dovecot_conf() as (_, conf):
        argv = debian.inside('/usr/bin/env', '--unset=MAIL', f'USER={user.name}', f'HOME={user.home}',
                             f'/usr/lib/dovecot/{program}', '-k', '-c', conf, user=f'{user.id}:{user.id}')
        yield user, argv


@recipe('dovecot-imap', 'imap', preauth=True)
def dovecot_imap():
    with dovecot_process('imap') as (_, argv):
        yield Daemon(argv, messages=MESSAGES)


@recipe('dovecot-pop3', 'pop3', preauth=True, greets=False)
def dovecot_pop3():
    with dovecot_process('pop3') as (_, argv):
        yield Daemon(argv, messages=MESSAGES)


@recipe('dovecot-managesieve', 'sieve', preauth=True, greets=False)
def dovecot_managesieve():
    with dovecot_process('managesieve') as (user, argv):
        scripts = debian.ROOT / user.home[1:] / 'sieve'
        yield Daemon(argv, stored=lambda: [file.read_bytes() for file in scripts.glob('*.sieve')])


@recipe('dovecot-lmtp', 'lmtp')
def dovecot_lmtp():
    """Dovecot's LMTP daemon. A private Dovecot gives it the database of recipients."""
    with mail_user(messages=()) as user, dovecot_conf() as (outside, conf):
        with running(debian.inside('/usr/sbin/dovecot', '-F', '-c', conf), (outside / 'run/auth-userdb').exists):
            yield Daemon(debian.inside('/usr/lib/dovecot/lmtp', '-c', conf), user=user.name, stored=user.maildir)


# GNU mailutils: its daemons need a socket; with pipes they hang or write without end.

MAILUTILS_CONF = '''
auth {{
  authentication "generic:system";
  authorization "system";
}};
logging {{
  syslog no;
}};
'''

# For SCRAM, DIGEST-MD5 and CRAM-MD5.
IMAP4D_CONF = '''
gsasl {{
  cram-passwd "{folder}/passwords";
}};
'''


@contextmanager
def mailutils(program, conf):
    with mail_user() as user, folder_inside() as (outside, inside):
        (outside / 'conf').write_text(conf.format(folder=inside), 'ascii')
        (outside / 'passwords').write_text(f'{user.name}\t{PASSWORD}\n', 'ascii')
        yield Daemon(debian.inside(program, '--inetd', '--no-site-config', f'--config-file={inside}/conf'),
                     user=user.name, password=PASSWORD, messages=MESSAGES)


@recipe('mailutils-imap4d', 'imap', stdio=('socket',))
def mailutils_imap4d():
    with mailutils('/usr/sbin/imap4d', MAILUTILS_CONF + IMAP4D_CONF) as daemon:
        yield daemon


@recipe('mailutils-pop3d', 'pop3', stdio=('socket',))
def mailutils_pop3d():
    with mailutils('/usr/sbin/pop3d', MAILUTILS_CONF) as daemon:
        yield daemon


# Courier: its login program asks a password daemon at a path that is compiled in.

def authdaemond():
    """Returns the path of Courier's password daemon, which differs between releases."""
    places = ['/usr/lib/courier/courier-authlib/authdaemond', '/usr/libexec/courier-authlib/authdaemond']
    return next((place for place in places if (debian.ROOT / place[1:]).exists()), places[0])


@recipe('courier-imap', 'imap')
def courier_imap():
    with mail_user() as user, locked('courier'):
        folder = debian.ROOT / 'run/courier/authdaemon'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'socket').unlink(missing_ok=True)
        with running(debian.inside(authdaemond()), (folder / 'socket').exists):
            script = 'set -a; . /etc/courier/imapd; exec /usr/lib/courier/courier/imaplogin /usr/bin/imapd Maildir'
            try:
                yield Daemon(debian.inside('/bin/sh', '-c', script), user=user.name, password=PASSWORD,
                             messages=MESSAGES)
            finally:    # it starts this file watcher, which goes on for half a minute
                processes.reap([left for left in processes.left_behind() if left.name == 'gam_server'])


@recipe('popa3d', 'pop3')
def popa3d():
    with mail_user() as user:
        yield Daemon(debian.inside('/usr/sbin/popa3d'), user=user.name, password=PASSWORD, messages=MESSAGES)


# Exim delivers to a file before it answers, so no process of it remains.

EXIM_CONF = '''
primary_hostname = localhost
acl_smtp_rcpt = accept
acl_smtp_data = accept
spool_directory = {inside}/spool
log_file_path = {inside}/%slog
message_size_limit = 20M
keep_environment = TCPREMOTEIP
begin routers
all:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  directory = {inside}/stored
  directory_mode = 0755
  maildir_format
  user = Debian-exim
'''
EXIM_ID = 121


@recipe('exim', 'smtp')
def exim():
    with folder_inside(owner=EXIM_ID) as (outside, inside):
        (outside / 'conf').write_text(EXIM_CONF.format(inside=inside), 'ascii')

        def stored():
            files = sorted((outside / 'stored/new').glob('*'), key=lambda file: file.stat().st_mtime_ns)
            return [crlf(file.read_bytes()) for file in files]

        yield Daemon(debian.inside('/usr/sbin/exim4', '-C', f'{inside}/conf', '-odi', '-bs'), stored=stored)


@recipe('smtpfront-echo', 'smtp')
def smtpfront_echo():
    """smtpfront-echo: stores nothing and answers with the number of bytes."""
    yield Daemon(debian.inside('/usr/sbin/smtpfront-echo', 'accept'))


# Leafnode: the paths of its configuration and its spool are compiled in.

LEAFNODE_CONF = '''hostname = news.postern-test.net
server = news.invalid
expire = 20
allowstrangers = 42
'''
NEWS_ID = 9


@recipe('leafnode', 'nntp', stdio=('pipe',))
def leafnode():
    with locked('leafnode'):
        conf = debian.program('/etc/news/leafnode') / 'config'
        conf.write_text(LEAFNODE_CONF, 'ascii')
        spool = debian.program('/var/spool/news')
        shutil.rmtree(spool / 'local', ignore_errors=True)
        shutil.rmtree(spool / 'out.going', ignore_errors=True)
        for folder in ('local/test', 'out.going'):
            (spool / folder).mkdir(parents=True)
        for number, text in enumerate(MESSAGES, 1):
            (spool / f'local/test/{number}').write_bytes(lf(text))
        (spool / 'leaf.node/groupinfo').write_text('local.test 3 1 1700000000 A test\n', 'ascii')
        for path in [spool, *spool.glob('*'), *(spool / 'local').rglob('*'), spool / 'leaf.node/groupinfo']:
            os.chown(path, NEWS_ID, NEWS_ID)
        yield Daemon(debian.inside('/usr/sbin/leafnode', user=f'{NEWS_ID}:{NEWS_ID}'), messages=MESSAGES,
                     stored=lambda: [crlf(file.read_bytes()) for file in (spool / 'out.going').iterdir()])
