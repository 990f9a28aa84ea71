# SPDX-License-Identifier: GPL-2.0-or-later
"""examples/logs: fail2ban, journalctl and jq, each on lines that postern has written of real connections.

Every client has an address of its own on loopback, so it can be seen who is meant by a line.
"""

import collections
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from harness import clients, debian, launch, wait
from harness.tls import ended
from harness.syslog import WithSyslog

LOGS = Path(__file__).resolve().parent.parent / 'examples/logs'
FORGED = 'postern[1]: client=192.0.2.66:1 handshake failed: client speaks HTTP, not TLS'
# A handler that says the client's words on its standard error.
REPEATING = ['/bin/sh', '-c', 'read line; printf "%s\\n" "$line" >&2; echo done']
IMAP = ['/bin/sh', '-c', r'''
printf "* OK ready\r\n"
while read -r tag verb rest; do
    case $verb in
        NOOP*) printf "$tag OK done\r\n" ;;
        CAPABILITY*) printf "* CAPABILITY IMAP4rev1\r\n$tag OK done\r\n" ;;
        LOGOUT*) printf "* BYE bye\r\n$tag OK done\r\n"; exit ;;
    esac
done''']


class Form:
    """One way to log: the options, how postern is started, and what `lines` have in front of them where they are kept."""

    def __init__(self, options, stamp='', **more):
        self.options = options
        self.stamp = stamp
        self.more = more

    def lines(self, server):
        return [self.stamp + line for line in server.log().splitlines()]


class Syslog(WithSyslog):
    """What a syslog daemon gets, with the priority."""

    def log(self):
        self.syslog.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                self.received.append(self.syslog.recv(65536).rstrip(b'\0\n').decode())
        return ''.join(f'{line}\n' for line in self.received)


def in_a_file(line):
    """As a syslog daemon writes it."""
    return re.sub(r'^<\d+>(.{15}) ', r'\1 mail ', line)


FORMS = {
    'syslog': Form(['--log=syslog'], launcher=Syslog, stderr='socket'),
    'multilog': Form(['--log=stderr'], '@400000006a14c9d80c5b3a2c '),
    'json': Form(['--log=json']),
}


def reach(server, host):
    """A connection from an address of our choice."""
    return socket.create_connection((server.host, server.port), 20, (host, 0))


def plainly(server, host, *said):
    """Say something, and wait for the end."""
    with reach(server, host) as connection:
        for text in said:
            connection.sendall(text)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            ended(connection)
    server.log()    # a syslog socket holds few messages: it must be read


def over_tls(server, host, context, said=b'hello\r\n'):
    with suppress(OSError):
        with context.wrap_socket(reach(server, host), server_hostname=clients.NAME) as connection:
            connection.sendall(said)
            while connection.recv(1000):
                pass
    server.log()


@pytest.fixture(scope='session')
def stranger(pki):
    """A certificate by nobody we know, whose owner would like to have another one banned."""
    return pki.request('stranger', ['-x509'], 'ecdsa', '/CN=\npostern[1]: client=192.0.2.66:1 refused: --max-per-client')


def visit(serve, pki, form, stranger):
    """All kinds of clients, good and bad: the lines that postern writes of them."""
    good = clients.context(pki.ca)
    at_once = serve(REPEATING, *form.options, **form.more)
    starttls = serve(IMAP, *form.options, '--starttls=imap', '--policy=auth', **form.more)
    certified = serve(REPEATING, *form.options, f'--client-ca={pki.ca}', **form.more)

    plainly(at_once, '127.0.0.10', b'GET / HTTP/1.1\r\nHost: x\r\n\r\n', f'\n{FORGED}\r\n'.encode())
    plainly(starttls, '127.0.0.11', b'a STARTTLS\r\nb LOGIN x y\r\n')
    plainly(starttls, '127.0.0.12', b'a ' + b'x' * 2000 + b'\r\n')
    plainly(starttls, '127.0.0.13', b'a LOGIN ann secret\r\nb LOGIN ann secret\r\nc LOGOUT\r\n')
    plainly(starttls, '127.0.0.16', b''.join(b'%d NOOP\r\n' % number for number in range(30)))
    plainly(starttls, '127.0.0.17', b'a NO\0OP\r\n')
    plainly(at_once, '127.0.0.18', b'\x16\3\1\0\5\1\0\0\1x')
    plainly(at_once, '127.0.0.19', b'\x15\3\3\0\2\2\x28')
    over_tls(certified, '127.0.0.14', good)
    pretender = clients.context(pki.ca)
    pretender.load_cert_chain(*stranger)
    over_tls(certified, '127.0.0.15', pretender)

    plainly(at_once, '127.0.0.20')
    over_tls(at_once, '127.0.0.21', clients.context(pki.ca, alpn=['http/1.1']))

    over_tls(at_once, '127.0.0.30', good, f'{FORGED}\r\n'.encode())
    over_tls(at_once, '127.0.0.31', ssl.create_default_context())    # does not believe our CA
    plainly(starttls, '127.0.0.32', b'a CAPABILITY\r\nb LOGOUT\r\n')
    mine = clients.context(pki.ca)
    pair = pki.client('ann')
    mine.load_cert_chain(pair.cert, pair.key)
    over_tls(certified, '127.0.0.33', mine)

    servers = [at_once, starttls, certified]
    for server in servers:
        for _ in range(len(server.started)):
            server.wait()
    return [line for server in servers for line in form.lines(server)]


BAD = [f'127.0.0.{number}' for number in range(10, 20)]
CURIOUS = ['127.0.0.20', '127.0.0.21']
GOOD = [f'127.0.0.{number}' for number in (30, 31, 32, 33)]


def fail2ban(program, conf, *words):
    return subprocess.run(['/usr/bin/python3', debian.program(f'/usr/bin/{program}'), '-c', conf, *words],
                          env=dict(os.environ, PYTHONPATH=str(debian.program('/usr/lib/python3/dist-packages'))),
                          capture_output=True, text=True, timeout=60, check=False)


def banned(log, options=''):
    """Whom fail2ban's own tool finds in a log, and how often."""
    done = fail2ban('fail2ban-regex', debian.program('/etc/fail2ban'), '-o', 'ip', log, f'{LOGS}/fail2ban/filter.d/postern.conf{options}')
    assert done.stderr == '', done.stderr
    return collections.Counter(done.stdout.split())


def written(folder, lines):
    path = folder / 'LOG'
    path.write_text(''.join(f'{line}\n' for line in lines))
    return path


VISITS = {}


@pytest.fixture
def visited(serve, pki, stranger):
    """visited(form): the lines; the visit is made once."""
    def once(name):
        if name not in VISITS:
            lines = visit(serve, pki, FORMS[name], stranger)
            for host in (*BAD, *CURIOUS, *GOOD):
                assert [line for line in lines if f'{host}:' in line], host
            VISITS[name] = tuple(lines)
        return list(VISITS[name])
    return once


def test_fail2ban_finds_each_attacker_in_syslog_once_and_nobody_else(visited, tmp_path):
    lines = [in_a_file(line) for line in visited('syslog')]
    assert [line for line in lines if '127.0.0.30:' in line and f' handler: {FORGED}' in line]
    log = written(tmp_path, lines)
    assert banned(log) == collections.Counter(BAD), '\n'.join(lines)
    assert banned(log, '[mode=aggressive]') == collections.Counter(BAD + CURIOUS), '\n'.join(lines)


@pytest.mark.parametrize('form, options', [('multilog', ''), ('json', '[format=json]')])
def test_fail2ban_finds_each_attacker_on_standard_error_too(visited, serve, tmp_path, form, options):
    # What a handler writes itself to the same file is left out: it can look like anything, so the filter wants syslog.
    lines = [line for line in visited(form) if FORGED not in line]
    lines += over_the_limit(serve, FORMS[form])
    assert banned(written(tmp_path, lines), options) == collections.Counter([*BAD, '127.0.0.50']), '\n'.join(lines)


def over_the_limit(serve, form):
    """What the listening process says of 127.0.0.50, who comes too often, and of 127.0.0.52, for whom there is no place."""
    lines = []
    for option, first, second in (('--max-per-client=1', '127.0.0.50', '127.0.0.50'),
                                  ('--max-connections=1', '127.0.0.51', '127.0.0.52')):
        server = serve(['/bin/cat'], option, *form.options, launcher=wait.Waiting)
        with reach(server, first):
            server.has_monitors(1)
            plainly(server, second)
            server.says(f' refused: {option[:-2]}')
        server.has_monitors(0)
        lines += form.lines(server)
    assert [line for line in lines if 'client=127.0.0.52:' in line]
    return lines


# The queries

def queries(file, program):
    """The commands in a file, each with the comment above it: {comment: command}."""
    text = (LOGS / file).read_text()
    found = dict(re.findall(rf'^# (.*)\n({program} .*)$', text, re.MULTILINE))
    assert len(found) == text.count(f'\n{program} ')
    return found


def shell(command, folder, **environment):
    done = subprocess.run(['/bin/sh', '-c', command], cwd=folder, env=dict(os.environ, **environment), capture_output=True,
                          text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, ''), f'{command}\n{done.stderr}'
    return done.stdout


def counted(text):
    """What uniq -c says."""
    return {line.split(None, 1)[1]: int(line.split()[0]) for line in text.splitlines()}


# A slow session, as postern would have written it.
SLOW = {'time': '2026-11-24T10:00:00.000Z', 'pid': 4711, 'level': 'note', 'client': '127.0.0.40:50122', 'start': 'immediate',
        'tls': 'TLSv1.2', 'cipher': 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'sni': 'mail.example.org', 'resumed': 'yes',
        'handler': 0, 'in': 1000, 'out': 2000, 'seconds': 75.5, 'end': 'timeout-idle'}
IN_TLS = ['127.0.0.30', '127.0.0.33']
FAILED = ['127.0.0.10', '127.0.0.11', '127.0.0.12', '127.0.0.14', '127.0.0.15', '127.0.0.16', '127.0.0.17', '127.0.0.18', '127.0.0.19', '127.0.0.21', '127.0.0.31']


def test_jq_answers(visited, tmp_path):
    written(tmp_path, [line for line in visited('json') if line.startswith('{')] + [json.dumps(SLOW)])
    ask = {title: shell(command, tmp_path) for title, command in queries('jq', 'jq').items()}
    rows = [line.split('\t') for line in ask.pop('Who failed, and why').splitlines()]
    assert {client.rpartition(':')[0] for _, client, _ in rows} >= set(FAILED)
    assert [why for _, client, why in rows if client.startswith('127.0.0.10:')] == ['handshake failed: client speaks HTTP, not TLS']
    assert counted(ask.pop('Why handshakes failed, most frequent first'))['client speaks HTTP, not TLS'] == 1
    assert json.loads(ask.pop('TLS versions in use')) == {'TLSv1.3': len(IN_TLS), 'TLSv1.2': 1}
    assert counted(ask.pop('Clients, by sessions, most first')).items() <= {
        host: 1 for host in [*BAD, *CURIOUS, *GOOD, '127.0.0.40']}.items()
    assert counted(ask.pop('Clients whose connections failed, most first')) == dict.fromkeys(FAILED, 1)
    [user] = ask.pop('Users of client certificates, and when each was last here').splitlines()
    assert user.startswith('ann\t20') and '\t127.0.0.33:' in user
    assert [json.loads(line) for line in ask.pop('Slow sessions: more than a minute, the slowest first').splitlines()] == [
        {name: SLOW[name] for name in ('client', 'seconds', 'in', 'out', 'end')}]
    bytes_of = json.loads('[' + ask.pop('Bytes in and out, by server name').replace('}\n{', '},\n{') + ']')
    assert {'sni': 'mail.example.org', 'in': 1000, 'out': 2000} in bytes_of
    assert {json.loads(line)['client'].rpartition(':')[0]
            for line in ask.pop('Sessions that did not end as they should').splitlines()} == {*FAILED, '127.0.0.40'}
    assert json.loads(ask.pop('How many of the sessions in TLS were resumed')) == {'sessions': 3, 'resumed': 1}
    assert not ask


def journal(lines, folder):
    """A journal with these lines of syslog, as journald would keep them; and a program journalctl that reads it."""
    entries = ''
    for number, line in enumerate(lines):
        priority, ident, pid, text = re.fullmatch(r'<(\d+)>.{15} (\w+)\[(\d+)\]: (.*)', line).groups()
        fields = {'__REALTIME_TIMESTAMP': int(time.time() * 1e6) + number, '__MONOTONIC_TIMESTAMP': number + 1,
                  '_BOOT_ID': '0123456789abcdef0123456789abcdef', '_TRANSPORT': 'syslog', '_UID': 0, '_PID': pid,
                  'PRIORITY': int(priority) & 7, 'SYSLOG_FACILITY': int(priority) >> 3, 'SYSLOG_IDENTIFIER': ident,
                  'SYSLOG_PID': pid, 'MESSAGE': text}
        entries += ''.join(f'{name}={value}\n' for name, value in fields.items()) + '\n'
    file = folder / 'test.journal'
    subprocess.run(debian.outside('lib/systemd/systemd-journal-remote', '-o', file, '-'), input=entries, text=True,
                   capture_output=True, check=True, timeout=30)
    program = folder / 'journalctl'
    program.write_text('#!/bin/sh\nexec ' + launch.quoted(debian.outside('bin/journalctl', f'--file={file}')) + ' "$@"\n')
    program.chmod(0o755)


def test_journalctl_answers(visited, tmp_path):
    fields = ' '.join(f'{name}={value}' for name, value in SLOW.items() if name not in ('time', 'pid', 'level'))
    journal([*visited('syslog'), f'<22>Nov 24 10:00:00 postern[4711]: {fields}'], tmp_path)
    ask = {title: shell(command, tmp_path, PATH=f'{tmp_path}:{os.environ["PATH"]}', LC_ALL='C.UTF-8')
           for title, command in queries('journalctl', 'journalctl').items()}
    here = ask.pop('What went wrong here: files, handlers, the system')
    assert not [host for host in FAILED if f'client={host}:' in here]
    wrong = ask.pop('What went wrong in the last hour, here and at clients; port scans are among it')
    assert all(f'client={host}:' in wrong for host in FAILED) and 'end=' not in wrong
    failed = counted(ask.pop('Handshakes that failed, and why, most frequent first'))
    assert failed['client speaks HTTP, not TLS'] == 1 and not [why for why in failed if '\\x0d' in why]
    ends = counted(ask.pop('How sessions ended'))
    assert (ends['end=protocol-error'], ends['end=timeout-idle']) == (4, 1)
    versions = ask.pop('TLS versions and ciphers in use')
    assert sum(counted(versions).values()) == 3 and 'tls=TLSv1.2 cipher=TLS_ECDHE_' in versions
    assert ask.pop('All about one client').count('client=127.0.0.10:') == 2
    assert ask.pop('Passwords that were sent in plaintext: change them').count('client=127.0.0.13:') == 1
    assert ask.pop('Sessions of more than a minute, the longest first').startswith('75 client=127.0.0.40:50122 ')
    assert f' handler: {FORGED}' in ask.pop('What the handlers said, under inetd')
    assert not ask


# The jail, and the list

def test_fail2ban_accepts_the_jail(tmp_path):
    conf = tmp_path / 'fail2ban'
    shutil.copytree(debian.program('/etc/fail2ban'), conf)
    shutil.copytree(LOGS / 'fail2ban', conf, dirs_exist_ok=True)
    (conf / 'jail.d/defaults-debian.conf').unlink(missing_ok=True)
    (tmp_path / 'mail.log').touch()
    jail = conf / 'jail.d/postern.conf'
    jail.write_text(jail.read_text().replace('/var/log/mail.log', str(tmp_path / 'mail.log')))
    done = fail2ban('fail2ban-client', conf, '-d')
    assert done.returncode == 0 and 'ERROR' not in done.stderr, done.stdout + done.stderr
    assert "['add', 'postern'" in done.stdout and 'injection attack' in done.stdout


def test_every_example_is_in_the_list():
    """Others may be in it, too."""
    examples = LOGS.parent
    listed = set(re.findall(r'^    ((?:handlers|certificates|logs)/\S+)  ', (examples / 'README').read_text(), re.MULTILINE))
    there = {str(path.relative_to(examples)) for folder in ('handlers', 'certificates', 'logs')
             for path in (examples / folder).rglob('*') if path.is_file()}
    assert listed == there
