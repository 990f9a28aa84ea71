# SPDX-License-Identifier: GPL-2.0-or-later
"""Real clients that use STARTTLS, and the daemons for them.

Each client is a function that takes a Session, holds a whole session of its protocol, and compares all that it gets
with what the daemon has. arrived() checks what the client has sent.

    for hold_session in CLIENTS.values():
        hold_session(session)
"""

import imaplib
import os
import poplib
import re
import smtplib
import subprocess
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from harness import clients, daemons, debian, dialogues

with warnings.catch_warnings():
    warnings.simplefilter('ignore', DeprecationWarning)
    try:
        import nntplib
    except ImportError:     # gone since Python 3.13
        from harness import news as nntplib

NAME = clients.NAME
TIMEOUT = clients.TIMEOUT
SENDER = 'ann@example.org'
HELLO = 'client.example.org'
BIG = daemons.MESSAGES[1]
SCRIPT = b'require ["fileinto"];\r\nif header :contains "subject" "STARTTLS" {\r\n    fileinto "x";\r\n}\r\nkeep;\r\n'


@dataclass
class Session:
    server: object              # see launch.py
    ca: Path
    version: Optional[str]      # the only one that the client may speak; None: it can't be told
    daemon: daemons.Daemon
    folder: Path                # for the client's files
    sent: bytes = BIG           # the message that it is to send
    answer: Optional[str] = None    # what the daemon said of that, where the client tells

    @property
    def where(self):
        return self.server, self.ca, self.version

    @property
    def recipient(self):
        return self.daemon.user or 'bob@example.org'

    def file(self, name, content):
        """Writes a file that only we can read, as clients demand."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


def arrived(daemon, message, answer=None):
    """Checks that exim or dovecot stored the message, or that smtpfront-echo counted its bytes (a line end as one)."""
    if daemon.stored:
        [stored] = daemon.stored()
        assert stored.endswith(message)
    elif answer is not None:
        assert int(re.search(r'Received (\d+) bytes', answer)[1]) == len(daemons.lf(message))


# More daemons: logins by challenge and response, and a login before Dovecot's ManageSieve.

EXIM_LOGINS = '''
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and {{eq{$auth2}{bob}}{eq{$auth3}{secret}}}}
  server_set_id = $auth2
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${if eq{$auth1}{bob}{secret}fail}
  server_set_id = $auth1
'''


@contextmanager
def exim_with_logins():
    with daemons.start('exim') as daemon:
        conf = debian.ROOT / daemon.argv[daemon.argv.index('-C') + 1][1:]
        conf.write_text(conf.read_text('ascii') + EXIM_LOGINS, 'ascii')
        daemon.user, daemon.password = 'bob', 'secret'
        yield daemon


# Dovecot treats its client as logged in. This script does the login and then executes Dovecot.
SIEVE_LOGIN = r'''
capabilities() {
    printf '"IMPLEMENTATION" "a login"\r\n"SASL" "PLAIN"\r\n"SIEVE" "fileinto"\r\n"VERSION" "1.0"\r\nOK "%s"\r\n' "$1"
}
cr=$(printf '\r')
capabilities Ready
while IFS= read -r line; do
    line=${line%"$cr"}
    case $line in 'AUTHENTICATE "PLAIN" {'*'+}')
        IFS= read -r rest
        line="AUTHENTICATE \"PLAIN\" \"${rest%"$cr"}\""
    esac
    case $line in
        'AUTHENTICATE "PLAIN" "AGJvYgBzZWNyZXQ="') printf 'OK "Logged in"\r\n'; exec "$@" ;;
        AUTHENTICATE\ *) printf 'NO "Wrong"\r\n' ;;
        CAPABILITY) capabilities Done ;;
        NOOP\ *) printf 'OK (TAG %s) "Done"\r\n' "${line#NOOP }" ;;
        LOGOUT) printf 'OK "Bye"\r\n'; exit ;;
        *) printf 'NO "Log in first"\r\n' ;;
    esac
done
'''


@contextmanager
def managesieve_with_login():
    with daemons.start('dovecot-managesieve') as daemon:
        daemon.argv = ['/bin/sh', '-c', SIEVE_LOGIN, 'login', *daemon.argv]
        daemon.user, daemon.password = 'bob', 'secret'
        daemon.preauth, daemon.greets = False, True
        yield daemon


@contextmanager
def courier_with_plain():
    """A daemon that offers AUTH=PLAIN, as its configuration for TLS does."""
    with daemons.start('courier-imap') as daemon:
        daemon.argv[-1] = daemon.argv[-1].replace('exec ', 'IMAP_CAPABILITY="$IMAP_CAPABILITY AUTH=PLAIN"; exec ')
        yield daemon


OURS = {'exim-with-logins': exim_with_logins, 'managesieve-with-login': managesieve_with_login,
        'courier-with-plain': courier_with_plain}


@contextmanager
def start(name):
    with OURS[name]() if name in OURS else daemons.start(name) as daemon:
        age(daemon)
        yield daemon


def age(daemon):
    """Makes the mbox older: popa3d waits until the second in which it was last changed is over."""
    mbox = debian.ROOT / 'var/mail' / (daemon.user or '-')
    if mbox.exists():
        os.utime(mbox, (1e9, 1e9))


def stdio(name):
    return 'pipe' if name in OURS else daemons.facts(name)['stdio'][0]


CLIENTS = {}
UNPINNED = {'sieve-connect', 'imapfilter'}    # they can't be told which version of TLS to speak


def client(name, *protocols):
    def register(function):
        for protocol in protocols:
            CLIENTS[name, protocol] = function
        return function
    return register


# openssl s_client and gnutls-cli: they send STARTTLS, and we send the rest.

# The dialogues wait for a greeting, which these programs have read already.
GREETING = {'imap': b'* OK\r\n', 'pop3': b'+OK\r\n', 'smtp': b'220 \r\n', 'lmtp': b'220 \r\n', 'nntp': b'200 \r\n'}


def converse(talk, s, numbers):
    """Holds a session inside TLS. numbers: the messages to read."""
    protocol = s.daemon.protocol
    talk.buffer += GREETING.get(protocol, b'')
    if protocol in ('imap', 'pop3'):
        getattr(dialogues, protocol)(talk, s.daemon, numbers)
    elif protocol in ('smtp', 'lmtp'):
        s.answer = getattr(dialogues, protocol)(talk, s.daemon, s.sent).decode()
    elif protocol == 'nntp':
        dialogues.nntp(talk, s.daemon)
    else:
        # The capabilities come again, without STARTTLS.
        assert b'"SASL" "PLAIN"' in (again := talk.expect('OK')) and b'STARTTLS' not in again
        talk.ask('AUTHENTICATE "PLAIN" "AGJvYgBzZWNyZXQ="', 'OK')
        dialogues.sieve(talk, SCRIPT)


@client('s_client', 'imap', 'pop3', 'smtp', 'lmtp', 'sieve', 'nntp')
def s_client(s):
    with clients.s_client(*s.where, '-starttls', s.daemon.protocol) as talk:
        converse(talk, s, [1, 2, 3])


@client('gnutls-cli', 'imap', 'pop3', 'smtp', 'lmtp', 'sieve', 'nntp')
def gnutls_cli(s):
    if s.daemon.protocol == 'nntp':
        s.daemon.messages = s.daemon.messages[:1]
    with clients.gnutls_cli(*s.where, f'--starttls-proto={s.daemon.protocol}') as talk:
        converse(talk, s, [1, 3])     # it needs five seconds to print the big one


# curl

@client('curl', 'imap', 'pop3')
def curl_fetch(s):
    login = ['--ssl-reqd', '--user', f'{s.daemon.user}:{s.daemon.password}']
    if s.daemon.protocol == 'imap':
        got = clients.curl(*s.where, 'imap', 'INBOX;MAILINDEX=2', *login)
    else:
        got = clients.curl(*s.where, 'pop3', '2', *login)
    assert dialogues.without_own_headers(got) == BIG


@client('curl', 'smtp')
def curl_send(s):
    clients.curl(*s.where, 'smtp', HELLO, '--ssl-reqd', '--mail-from', SENDER, '--mail-rcpt', s.recipient,
                 '--upload-file', '-', input=s.sent)


# swaks

@client('swaks', 'smtp', 'lmtp')
def swaks(s):
    run_swaks(s, '--tls', '--tls-protocol', f'tlsv{s.version.replace(".", "_")}', '--tls-verify', '--tls-ca-path', s.ca,
              '--tls-sni', NAME)


def run_swaks(s, *words):
    message = s.file('message', s.sent[:-2])     # it adds a line end
    protocol = {'smtp': 'ESMTP', 'lmtp': 'LMTP'}[s.daemon.protocol]
    said = program(['swaks', '--server', s.server.host, '--port', s.server.port, '--protocol', protocol,
                    '--timeout', f'{TIMEOUT}s', '--helo', HELLO, '--suppress-data', '--from', SENDER,
                    '--to', s.recipient, '--data', f'@{message}', *words])
    s.answer = said.decode()


# Python's own modules

def on(server):
    """A mix-in for clients: connects to the server's address, not to its name."""
    class Connecting:
        def _create_socket(self, timeout=None):
            return server.connect(TIMEOUT)

        def _get_socket(self, host, port, timeout):
            return server.connect(TIMEOUT)
    return Connecting


def imap(server):
    return type('Client', (on(server), imaplib.IMAP4), {})(NAME, server.port)


def pop3(server):
    return type('Client', (on(server), poplib.POP3), {})(NAME, server.port)


def smtp(server):
    return type('Client', (on(server), smtplib.SMTP), {})(NAME, server.port, HELLO)


def lmtp(server):
    return type('Client', (on(server), smtplib.LMTP), {})(NAME, server.port, HELLO)


def nntp(server):
    return type('Client', (on(server), nntplib.NNTP), {})(NAME, server.port)


PYTHON = {'imap': imap, 'pop3': pop3, 'smtp': smtp, 'lmtp': lmtp, 'nntp': nntp}


class Wrapped:
    """A server whose connections begin with TLS, without STARTTLS."""

    def __init__(self, server, context):
        self.server, self.context, self.port = server, context, server.port

    def connect(self, timeout):
        return self.context.wrap_socket(self.server.connect(timeout), server_hostname=NAME)


def by_python(protocol, server, how, context):
    """A client with its server. `how` is plaintext, starttls or immediate, as in the log."""
    c = PYTHON[protocol](Wrapped(server, context) if how == 'immediate' else server)
    if how == 'starttls':
        begin = c.stls if protocol == 'pop3' else c.starttls
        if protocol in ('smtp', 'lmtp'):
            begin(context=context)
        else:
            begin(context)
    return c


def read_imap(c, daemon):
    assert c.select('INBOX') == ('OK', [b'3'])
    for number, message in enumerate(daemon.messages, 1):
        _, answer = c.fetch(str(number), '(BODY.PEEK[])')
        assert dialogues.without_own_headers(answer[0][1]) == message
    c.logout()


@client('imaplib', 'imap')
def imap_by_python(s):
    c = imap(s.server)
    assert c.starttls(clients.context(s.ca, s.version))[0] == 'OK'
    c.login(s.daemon.user, s.daemon.password)
    read_imap(c, s.daemon)


def read_pop3(c, daemon):
    c.user(daemon.user)
    c.pass_(daemon.password)
    assert len(c.list()[1]) == 3
    for number, message in enumerate(daemon.messages, 1):
        _, lines, _ = c.retr(number)
        assert dialogues.without_own_headers(b'\r\n'.join(lines) + b'\r\n') == message
    c.quit()


@client('poplib', 'pop3')
def pop3_by_python(s):
    c = pop3(s.server)
    c.stls(clients.context(s.ca, s.version))
    read_pop3(c, s.daemon)


@client('smtplib', 'smtp', 'lmtp')
def smtp_by_python(s):
    c = {'smtp': smtp, 'lmtp': lmtp}[s.daemon.protocol](s.server)
    c.starttls(context=clients.context(s.ca, s.version))
    send_by_python(c, s)


def send_by_python(c, s):
    c.ehlo_or_helo_if_needed()
    assert c.mail(SENDER)[0] == 250
    assert c.rcpt(s.recipient)[0] == 250
    code, answer = c.data(s.sent)
    assert code == 250, answer
    s.answer = answer.decode()
    c.quit()


@client('nntplib', 'nntp')
def nntp_by_python(s):
    c = nntp(s.server)
    c.starttls(clients.context(s.ca, s.version))
    read_nntp(c, s.daemon)


def read_nntp(c, daemon):
    assert c.group('local.test')[1:4] == (3, 1, 3)
    for number, message in enumerate(daemon.messages, 1):
        _, article = c.article(str(number))
        assert b'\r\n'.join(article.lines) + b'\r\n' == message
    c.quit()


# Sessions without TLS

PLAINTEXT = {}      # client, protocol: a function of a Session


def plaintext(name, protocol):
    def register(function):
        PLAINTEXT[name, protocol] = function
        return function
    return register


@plaintext('imaplib', 'imap')
def plain_imap(s):
    c = imap(s.server)
    c.login(s.daemon.user, s.daemon.password)
    read_imap(c, s.daemon)


@plaintext('poplib', 'pop3')
def plain_pop3(s):
    read_pop3(pop3(s.server), s.daemon)


@plaintext('smtplib', 'smtp')
def plain_smtp(s):
    c = smtp(s.server)
    c.ehlo()
    assert 'PLAIN' in c.esmtp_features['auth'].split()
    c.user, c.password = s.daemon.user, s.daemon.password
    assert c.auth('PLAIN', c.auth_plain)[0] == 235
    send_by_python(c, s)


@plaintext('smtplib', 'lmtp')
def plain_lmtp(s):
    send_by_python(lmtp(s.server), s)


@plaintext('nntplib', 'nntp')
def plain_nntp(s):
    read_nntp(nntp(s.server), s.daemon)


@plaintext('talk', 'sieve')
def plain_sieve(s):
    with s.server.connect() as connection:
        talk = dialogues.Talk(connection.fileno(), connection.fileno())
        assert b'"STARTTLS"' in talk.expect('OK')
        talk.ask('AUTHENTICATE "PLAIN" "AGJvYgBzZWNyZXQ="', 'OK')
        dialogues.sieve(talk, SCRIPT)


@plaintext('curl', 'imap')
def plain_curl_imap(s):
    assert dialogues.without_own_headers(curl(s, 'imap', 'INBOX;MAILINDEX=2')) == BIG


@plaintext('curl', 'pop3')
def plain_curl_pop3(s):
    assert dialogues.without_own_headers(curl(s, 'pop3', '2')) == BIG


@plaintext('curl', 'smtp')
def plain_curl_smtp(s):
    curl(s, 'smtp', HELLO, '--login-options', 'AUTH=PLAIN', '--mail-from', SENDER, '--mail-rcpt', s.recipient,
         '--upload-file', '-', input=s.sent)


def curl(s, scheme, path, *words, **more):
    """Runs curl, which logs in without TLS."""
    return clients.curl(s.server, s.ca, '1.3', scheme, path, '--user', f'{s.daemon.user}:{s.daemon.password}', *words,
                        **more)


# Programs that fetch mail into files of their own

def program(command, **more):
    """Runs a client to its end; returns its standard output."""
    run = subprocess.run([str(word) for word in command], capture_output=True, timeout=TIMEOUT + 5, check=False, **more)
    assert run.returncode == 0, f'{command}: {run.returncode}\n{run.stdout.decode()}{run.stderr.decode()}'
    return run.stdout


def home(s):
    """Returns an environment without the configuration of this user."""
    return {**os.environ, 'HOME': str(s.folder), 'FETCHMAILHOME': str(s.folder), 'LC_ALL': 'C'}


def maildir(path):
    for folder in ('cur', 'new', 'tmp'):
        (path / folder).mkdir(parents=True)
    return path


def same_mail(files, daemon, added=rb'$^'):
    """Checks that these files hold the daemon's messages, but for header lines (`added`) of the client."""
    assert len(files) == len(daemon.messages)
    got = []
    for file in files:
        head, separator, body = dialogues.without_own_headers(daemons.crlf(file.read_bytes())).partition(b'\r\n\r\n')
        head = re.sub(rb'(?m)^(' + added + rb'):.*\r\n(?:[ \t].*\r\n)*', b'', head + b'\r\n')
        got.append(head + separator[2:] + body)
    assert sorted(got) == sorted(daemon.messages)


@client('fetchmail', 'imap', 'pop3')
def fetchmail(s):
    box = s.folder / 'box'
    box.mkdir()
    version = f'TLS{s.version}'
    conf = s.file('fetchmailrc', f'''
set invisible
set no syslog
poll localhost service {s.server.port} protocol {s.daemon.protocol} auth password timeout {TIMEOUT}
  user "{s.daemon.user}" password "{s.daemon.password}" sslproto "{version}" sslcertck sslcertfile "{s.ca}"
  keep fetchall no rewrite mda "cat >{box}/$$"
''')
    program(['fetchmail', '-f', conf, '--nodetach', '--pidfile', s.folder / 'pid', '-i', s.folder / 'ids'], env=home(s))
    same_mail(list(box.iterdir()), s.daemon, rb'Received|Delivered-To|Return-Path')


@client('mbsync', 'imap')
def mbsync(s):
    box = s.folder / 'box'
    box.mkdir()
    conf = s.file('mbsyncrc', f'''
IMAPAccount it
Host localhost
Port {s.server.port}
User {s.daemon.user}
Pass {s.daemon.password}
SSLType STARTTLS
SSLVersions TLSv{s.version}
SystemCertificates no
CertificateFile {s.ca}
Timeout {TIMEOUT}

IMAPStore far
Account it

MaildirStore near
Path {box}/
Inbox {box}/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
Sync Pull
SyncState *
''')
    program(['mbsync', '-c', conf, 'all'], env=home(s))
    same_mail([*(box / 'INBOX/new').iterdir(), *(box / 'INBOX/cur').iterdir()], s.daemon, rb'X-TUID')


@client('mpop', 'pop3')
def mpop(s):
    box = maildir(s.folder / 'box')
    conf = s.file('mpoprc', f'''
account default
host localhost
port {s.server.port}
user {s.daemon.user}
password {s.daemon.password}
auth user
tls on
tls_starttls on
tls_trust_file {s.ca}
tls_priorities NORMAL:-VERS-ALL:+VERS-TLS{s.version}
timeout {TIMEOUT}
received_header off
uidls_file {s.folder}/uidls
delivery maildir {box}
keep on
''')
    program(['mpop', '--quiet', '-C', conf], env=home(s))
    same_mail(list((box / 'new').iterdir()), s.daemon)


@client('imapfilter', 'imap')
def imapfilter(s):
    box = s.folder / 'box'
    box.mkdir()
    conf = s.file('config.lua', f'''
options.starttls = true
options.certificates = false
options.info = false
options.timeout = {TIMEOUT}
it = IMAP {{
    server = 'localhost', port = {s.server.port}, username = '{s.daemon.user}', password = '{s.daemon.password}'
}}
messages = it.INBOX:select_all()
for _, message in ipairs(messages) do
    local mailbox, number = table.unpack(message)
    local file = io.open('{box}/' .. number, 'w')
    file:write(mailbox[number]:fetch_message())
    file:close()
end
''')
    program(['imapfilter', '-c', conf, '-t', s.ca], env=home(s))
    same_mail(list(box.iterdir()), s.daemon)


# s-nail, which reads and sends

def s_nail_command(s, *words):
    pin = f'TLSv{s.version}'
    settings = ['v15-compat', 'ttycharset=utf-8', 'smtp-use-starttls', 'pop3-use-starttls', 'imap-use-starttls',
                'smtp-auth=none', 'pop3-auth=plain', 'imap-auth=login', f'tls-ca-file={s.ca}', 'tls-ca-no-defaults',
                'tls-verify=strict', f'tls-config-pairs=MinProtocol={pin},MaxProtocol={pin}', f'from={SENDER}']
    return ['s-nail', '-n', *(word for setting in settings for word in ('-S', setting)), *words]


@client('s-nail', 'imap', 'pop3')
def s_nail(s):
    url = f'{s.daemon.protocol}://{s.daemon.user}:{s.daemon.password}@localhost:{s.server.port}'
    files = [s.folder / str(number) for number in (1, 2, 3)]
    todo = [f'File {url}', *(f'copy {file.name} {file}' for file in files), 'quit']
    program(s_nail_command(s, *(word for line in todo for word in ('-X', line))), env=home(s), input=b'')
    for file in files:    # one message, as it stands in an mbox
        file.write_bytes(file.read_bytes().split(b'\n', 1)[1][:-1])
    same_mail(files, s.daemon)


@client('s-nail', 'smtp')
def s_nail_send(s):
    s.sent = daemons.MESSAGES[2]    # with the big one it takes a second to look for words that need encoding
    program(s_nail_command(s, '-S', f'mta=smtp://localhost:{s.server.port}', '-t'), env=home(s),
            input=daemons.lf(s.sent))
    s.sent = s.sent.partition(b'\r\n\r\n')[2]    # it makes a header of its own


# gsasl, which logs in by challenge and response

@client('gsasl', 'imap')
def gsasl(s, mechanism='SCRAM-SHA-256', tls='--starttls'):
    pin = [] if tls == '--no-starttls' else [f'--priority=NORMAL:-VERS-ALL:+VERS-TLS{s.version}']
    with clients.program(['gsasl', '--imap', f'--connect={NAME}:{s.server.port}', f'--hostname={NAME}',
                          f'--x509-ca-file={s.ca}', f'--mechanism={mechanism}', '-a', s.daemon.user, '-z', '',
                          '-p', s.daemon.password, tls, '--no-cb', *pin]) as talk:
        talk.expect(r'\. OK AUTHENTICATE')
        assert b'3 EXISTS' in talk.ask('b SELECT INBOX', 'b OK')


# Programs that send mail

@client('msmtp', 'smtp', 'lmtp')
def msmtp(s, login=None):
    conf = s.file('msmtprc', f'''
account default
protocol {s.daemon.protocol}
host localhost
port {s.server.port}
domain {HELLO}
from {SENDER}
timeout {TIMEOUT}
''' + (login or f'''
auth off
tls on
tls_starttls on
tls_trust_file {s.ca}
tls_priorities NORMAL:-VERS-ALL:+VERS-TLS{s.version}
'''))
    program(['msmtp', '-C', conf, s.recipient], input=daemons.lf(s.sent), env=home(s))


# A ManageSieve client

@client('sieve-connect', 'sieve')
def sieve_connect(s):
    script = s.file('test', SCRIPT)
    common = ['sieve-connect', '--server', 'localhost', '--port', s.server.port, '--nosrv', '--4', '--tlscafile', s.ca,
              '--user', s.daemon.user, '--passwordfd', '0', '--authmech', 'PLAIN']
    todo = s.file('todo', f'upload {script}\nlist\ndownload test {s.folder}/back\n')
    program([*common, '--exec', todo], input=s.daemon.password.encode() + b'\n', env=home(s), cwd=s.folder)
    assert (s.folder / 'back').read_bytes() == SCRIPT
