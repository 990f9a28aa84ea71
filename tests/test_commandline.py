# SPDX-License-Identifier: GPL-2.0-or-later
"""Options, the configuration file, --check, and where the log goes. Bad input is one line that says what to do."""

import os
import pty
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from harness import launch, lobby, pki as pki_module, processes, syslog, tls
from harness.broken import BROKEN
from harness.privileges import needs_root

OK, USAGE, CONFIG = 0, os.EX_USAGE, os.EX_CONFIG
OPTIONS = ['cert', 'key', 'starttls', 'policy', 'name', 'trusted', 'ucspi-tls', 'gate-user', 'handler-user', 'chroot',
           'jail', 'stdio', 'tls-min', 'ciphers', 'groups', 'timeout-lobby', 'timeout-handshake', 'timeout-idle',
           'timeout-session', 'timeout-grace', 'max-connections', 'max-per-client', 'exit-idle', 'config', 'check',
           'log', 'verbose', 'quiet', 'help', 'version']


@pytest.fixture
def run(postern):
    """run(word...) runs postern outside of any connection, /dev/null as standard input."""
    def start(*words, stdin=subprocess.DEVNULL, **more):
        return subprocess.run([postern, *map(str, words)], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=tls.TIMEOUT, check=False, **more)
    return start


def assert_one_line(ended, status, *words):
    """One printable line on stderr, with these words, and this exit status."""
    assert ended.returncode == status, ended.stderr
    assert ended.stdout == ''
    assert re.fullmatch(r'postern\[\d+\]: [ -~]+\n', ended.stderr), ended.stderr
    for word in words:
        assert word in ended.stderr


# Help

@pytest.mark.parametrize('option', ['--help', '-h'])
def test_help_names_every_option_and_how_to_try_it(run, option):
    ended = run(option)
    assert (ended.returncode, ended.stderr) == (OK, '')
    for name in OPTIONS:
        assert re.search(rf'^ .*--{name}\b', ended.stdout, re.MULTILINE), name
    assert 'tcpserver' in ended.stdout


@pytest.mark.parametrize('option', ['--version', '-V'])
def test_version_names_wolfssl_and_what_is_compiled_in(run, option):
    ended = run(option)
    assert (ended.returncode, ended.stderr) == (OK, '')
    assert re.match(r'postern \d+\.\d+', ended.stdout)
    assert re.search(r'^wolfSSL \d+\.\d+\.\d+ .*TLS1\.3 TLS1\.2', ended.stdout, re.MULTILINE)
    assert re.search(r'^jail: ', ended.stdout, re.MULTILINE)


def test_help_wins_over_whatever_else_is_missing(run):
    assert run('--stdio=socket', '--help').returncode == OK


# Options

CERT = '--cert=/nowhere/cert.pem'


@pytest.mark.parametrize('words, said', [
    ([], ['no certificate', '--cert']),
    (['cat'], ['no certificate', '--cert']),
    ([CERT], ['no handler', '--help']),
    ([CERT, '--'], ['no handler', '--help']),
    (['--nonsense', CERT, 'cat'], ['--nonsense: no such option; see --help']),
    (['--certt=x', 'cat'], ['--certt=x: no such option; did you mean --cert?', '--help']),
    (['--tls_min=1.3', CERT, 'cat'], ['--tls_min=1.3: no such option; did you mean --tls-min?']),
    (['--timeout=1', CERT, 'cat'], ['--timeout=1: several options begin like this', '--help']),
    (['-x', CERT, 'cat'], ['-x', '--help']),
    ([CERT, '--key'], ['--key: its value is missing', '--help']),
    (['-c'], ['-c', '--help']),
    (['--verbose=yes', CERT, 'cat'], ['--verbose=yes: this option takes no value', '--help']),
    (['--cert=', 'cat'], ['--cert']),
    ([CERT, CERT, CERT, 'cat'], ['--cert', 'more than twice']),
    (['--key=/nowhere/key.pem', CERT, 'cat'], ['--key=/nowhere/key.pem', 'behind the --cert']),
    ([CERT, '--key=/a', '--key=/b', 'cat'], ['--key=/b', 'once']),
    ([CERT, '--stdio=tube', 'cat'], ['--stdio=tube', 'pipe or socket']),
    ([CERT, '--stdio=', 'cat'], ['--stdio=', 'pipe or socket']),
    ([CERT, '--tls-min=0.9', 'cat'], ['--tls-min=0.9', '1.2']),
    ([CERT, '--tls-min=1.4', 'cat'], ['--tls-min=1.4', '1.3']),
    ([CERT, '--tls-min=1.22', 'cat'], ['--tls-min=1.22', '1.2']),
    ([CERT, '--jail=maybe', 'cat'], ['--jail=maybe', 'on, strict or off']),
    ([CERT, '--log=file', 'cat'], ['--log=file', 'stderr, syslog, journal or json']),
    ([CERT, '--starttls=gopher', 'cat'], ['--starttls=gopher', 'imap']),
    ([CERT, '--starttls=imap', '--policy=none', 'cat'], ['--policy=none', 'required, auth or optional']),
    ([CERT, '--policy=auth', 'cat'], ['--policy', '--starttls']),
    ([CERT, '--ucspi-tls', '--starttls=imap', 'cat'], ['--ucspi-tls', '--starttls']),
    ([CERT, '--timeout-idle=-1', 'cat'], ['--timeout-idle=-1', 'seconds']),
    ([CERT, '--timeout-idle=1h', 'cat'], ['--timeout-idle=1h', 'seconds']),
    ([CERT, '--timeout-session= 1', 'cat'], ['--timeout-session=', 'seconds']),
    ([CERT, '--timeout-grace=', 'cat'], ['--timeout-grace=', 'seconds']),
    ([CERT, '--timeout-handshake=99999999999999999999', 'cat'], ['--timeout-handshake=9', 'seconds']),
    ([CERT, '--timeout-lobby=31536001', 'cat'], ['--timeout-lobby=31536001', 'seconds']),
    ([CERT, '--chroot=relative', 'cat'], ['--chroot=relative', 'absolute']),
    ([CERT, '--name=a b', 'cat'], ['--name=a', 'host name']),
    ([CERT, f'--name={"x" * 256}', 'cat'], ['--name=x', 'host name']),
    ([CERT, '--starttls=imap', '--trusted=192.0.2.0/33', 'cat'], ['--trusted', '192.0.2.0/33', '192.0.2.0/24']),
    ([CERT, '--starttls=imap', '--trusted=example.org', 'cat'], ['--trusted', 'example.org', '192.0.2.0/24']),
    ([CERT, '--gate-user=', 'cat'], ['--gate-user=', 'USER:GROUP']),
    ([CERT, '--user=mail', 'cat'], ['--user=mail: no such option; did you mean --gate-user?']),
    ([CERT, '-u', '', 'cat'], ['--handler-user=', 'USER:GROUP']),
    ([CERT, '--handler-user=:mail', 'cat'], ['--handler-user=:mail', 'USER:GROUP']),
    ([CERT, '--ciphers=', 'cat'], ['--ciphers=', 'colons']),
    ([CERT, '--groups=', 'cat'], ['--groups=', 'X25519']),
    ([CERT, '--trusted=local', 'cat'], ['--trusted', '--starttls']),
], ids=lambda value: ' '.join(word.replace(CERT, 'C') for word in value)[:40] if isinstance(value, list) else None)
def test_bad_option_is_one_line_and_status_64(run, words, said):
    assert_one_line(run(*words), USAGE, *said)


@pytest.mark.parametrize('value', ['a\nb', '\x1b[2J', 'x' * 10000, '\udcff', '%s%n', '"\\'],
                         ids=['newline', 'escape', 'long', 'no UTF-8', 'format', 'quotes'])
@pytest.mark.parametrize('option', ['--stdio=', '--nonsense='])
def test_odd_bytes_in_a_bad_option_are_escaped_in_the_line(run, option, value):
    ended = run(CERT, option + value, 'cat')
    assert_one_line(ended, USAGE, option)
    assert len(ended.stderr) < 500


@pytest.mark.parametrize('words', [['-f', '/etc/postern.conf', '/bin/cat'], [CERT, '/bin/cat'], ['-vc', '/nowhere/cert.pem', '/bin/cat']])
def test_a_line_of_inetd_conf_without_its_second_postern_is_recognised(postern, words):
    ended = subprocess.run(words, executable=postern, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           timeout=tls.TIMEOUT, check=False)
    assert_one_line(ended, USAGE, f"begins with `{words[0]}' instead of the program's name", 'inetd.conf', '/usr/local/sbin/postern postern')


def test_words_behind_the_handler_are_the_handlers_own(serve, pki):
    """Even if they look like options, and without `--`."""
    server = serve(['/bin/echo', '--version', '-x', '--', '--stdio=tube'])
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'--version -x -- --stdio=tube\n'
    assert server.wait().status == OK


def test_handler_is_found_in_path(serve, pki, tmp_path):
    (tmp_path / 'my-handler').write_text('#!/bin/sh\necho found\n', encoding='ascii')
    (tmp_path / 'my-handler').chmod(0o755)
    server = serve(['my-handler'], environment={'PATH': f'/nowhere:{tmp_path}:/bin:/usr/bin'})
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'found\n'
    assert server.wait().status == OK


@pytest.mark.parametrize('option, said', [
    ('--ciphers=NONSENSE', '--ciphers'),
    ('--groups=X25519:nonsense', '--groups'),
])
def test_suites_and_groups_that_the_library_does_not_know_are_told(serve, pki, option, said):
    server = serve(['/bin/cat'], option)
    with tls.Client(server, pki.ca, handshake=False) as client:
        client.socket.sendall(client.hello())
        tls.ended(client.socket)
    end = server.wait()
    assert end.status == CONFIG
    assert said in end.log.splitlines()[0]


# The configuration file

@pytest.mark.parametrize('text, number, said', [
    ('nonsense = 1\n', 1, ['nonsense', 'no such option']),
    ('cert = /a\n\n# a comment\nstdio = tube\n', 4, ['stdio', 'pipe or socket']),
    ('[server]\ncert = /a\n', 1, ['server', 'sections']),
    ('just words\n', 1, []),
    ('help = yes\n', 1, ['help']),
    ('version = yes\n', 1, ['version']),
    ('config = /b\n', 1, ['config']),
    ('verbose = maybe\n', 1, ['verbose', 'yes or no']),
    ('timeout-idle = soon\n', 1, ['timeout-idle', 'seconds']),
    ('cert = /a\nkey = /a\nkey = /b\n', 3, ['key', 'once']),
    ('cert = /a\nname = ' + 'x' * 5000 + '\n', 2, []),
    ('\x1b]2;title\x07 = 1\n', 1, ['no such option']),
    ('tls_min = 1.3\n', 1, ['tls_min', 'no such option', "did you mean `tls-min'?"]),
    ('--tls-min = 1.3\n', 1, ['no such option', "did you mean `tls-min'?"]),
    ('Cert = /a\n', 1, ['Cert', "did you mean `cert'?"]),
], ids=lambda value: value[:20] if isinstance(value, str) else None)
def test_bad_line_in_the_configuration_file_is_told_with_file_and_line_number(run, tmp_path, text, number, said):
    file = tmp_path / 'postern.conf'
    file.write_text(text, encoding='utf-8')
    assert_one_line(run(f'--config={file}', 'cat'), CONFIG, f'{file}:{number}: ', *said)


def test_all_mistakes_of_the_configuration_file_are_told_in_one_run(run, tmp_path):
    file = tmp_path / 'postern.conf'
    file.write_text('certt = /a\n# a comment\nkey = /b\n[imap]\nstdio = tube\npolcy = auth\njust words\ntls-min = 9', encoding='ascii')
    ended = run('-f', file, 'cat')
    assert (ended.returncode, ended.stdout) == (CONFIG, '')
    said = re.findall(r'postern\[\d+\]: (\S+?):(\d+): (.*)\n', ended.stderr)
    assert [(name, int(number)) for name, number, _ in said] == [(str(file), n) for n in (1, 3, 4, 5, 6, 7, 8)]
    for (_, _, why), words in zip(said, ["certt: no such option; did you mean `cert'?", 'key: belongs behind', 'imap: sections', 'stdio: wants',
                                         "polcy: no such option; did you mean `policy'?", "not an `option = value' line", 'tls-min: wants'],
                                  strict=True):
        assert words in why


@pytest.mark.skipif(os.getuid() != 0, reason='only root can become somebody else')
def test_configuration_file_that_others_may_not_read_is_told(postern, tmp_path):
    program = shutil.copy(postern, tmp_path)    # where others may run it
    file = tmp_path / 'postern.conf'
    file.write_text('cert = /a\n', encoding='ascii')
    file.chmod(0o600)
    with open(file, encoding='ascii') as opened:
        for folder in file.parents:
            folder.chmod(folder.stat().st_mode | 0o011)
        ended = subprocess.run([program, '-f', file, 'cat'], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               timeout=tls.TIMEOUT, check=False, user=65534, group=65534, extra_groups=[])
        assert_one_line(ended, CONFIG, f'--config={file}: cannot be opened: Permission denied')
        assert opened.read() == 'cert = /a\n'


@pytest.mark.parametrize('name, reason', [('missing', 'No such file'), ('folder', 'directory')])
def test_configuration_file_that_cannot_be_read_is_told(run, tmp_path, name, reason):
    (tmp_path / 'folder').mkdir()
    assert_one_line(run('-f', tmp_path / name, CERT, 'cat'), CONFIG, f'--config={tmp_path / name}', reason)


def test_configuration_file_gives_what_the_command_line_does_not(serve, pki, tmp_path):
    file = tmp_path / 'postern.conf'
    file.write_text(f'# for the test\n\n; too\ncert = {pki.rsa.cert}\nkey={pki.rsa.key}\n  stdio = socket\n'
                    'tls-min = 1.3\ntimeout-idle =  77 \nverbose = no\n', encoding='ascii')
    server = serve(['/bin/sh', '-c', 'test -S /proc/self/fd/0 && echo socket'], f'--config={file}', pair=None)
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'socket\n'
    assert server.wait().summary['tls'] == 'TLSv1.3'


def test_command_line_wins_over_the_configuration_file(serve, pki, tmp_path):
    """A pair on the command line replaces the file's pair, wherever --config stands."""
    file = tmp_path / 'postern.conf'
    file.write_text('cert = /nowhere/cert.pem\nkey = /nowhere/key.pem\nstdio = pipe\n', encoding='ascii')
    server = serve(['/bin/sh', '-c', 'test -S /proc/self/fd/0 && echo socket'], '--stdio=socket', '-f', file)
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'socket\n'
    assert server.wait().status == OK


# --check

def report(ended, status):
    """The lines of the report, each as (verdict, text)."""
    assert ended.stderr == ''
    assert ended.returncode == status, ended.stdout
    lines = ended.stdout.splitlines()
    assert lines[-1].startswith('all is well' if status == OK else 'FAIL')
    found = [re.fullmatch(r'(ok  |warn|note|FAIL)  (.+)', line).groups() for line in lines[:-1]]
    return [(verdict.strip(), text) for verdict, text in found]


def told(lines, verdict, *words):
    return any(found == verdict and all(word in text for word in words) for found, text in lines)


@pytest.mark.parametrize('name', ['ecdsa', 'rsa', 'ed25519', 'chain', 'combined'])
def test_check_finds_all_well(run, pki, name):
    pair = pki.pair(name)
    lines = report(run('--check', *pair.options(), '/bin/cat'), OK)
    assert not told(lines, 'FAIL')
    assert told(lines, 'ok', f'{pair.cert}: valid until ', 'days left')
    assert told(lines, 'ok', 'localhost')
    assert told(lines, 'ok', f'{pair.key or pair.cert}: key matches')
    assert told(lines, 'ok', 'in order')
    assert told(lines, 'ok', 'handler /bin/cat')
    assert told(lines, 'ok', 'jail') or told(lines, 'warn', 'jail')


@pytest.mark.parametrize('broken', BROKEN, ids=lambda function: function.__name__)
def test_check_finds_what_serving_would_find(run, pki, tmp_path, broken):
    options, words = broken(pki, tmp_path)
    assert told(report(run('--check', *options, '/bin/cat'), CONFIG), 'FAIL', *words[:-1])


def test_check_of_an_expired_certificate_fails(run, pki):
    lines = report(run('--check', *pki.expired.options(), '/bin/cat'), CONFIG)
    assert told(lines, 'FAIL', str(pki.expired.cert), 'expired on 2022-01-02')


def test_check_of_a_certificate_that_expires_soon_warns(run, pki):
    soon = pki.leaf('soon', days=5)
    lines = report(run('--check', *soon.options(), '/bin/cat'), OK)
    assert told(lines, 'warn', str(soon.cert), 'expires on ', 'days')


def test_check_of_a_self_signed_certificate_warns(run, pki):
    lines = report(run('--check', *pki.selfsigned.options(), '/bin/cat'), OK)
    assert told(lines, 'warn', str(pki.selfsigned.cert), 'self-signed')


def test_check_of_a_leaf_without_its_intermediate_warns(run, pki, tmp_path):
    pki_module.openssl('x509', '-in', pki.chain.cert, '-out', tmp_path / 'leaf.pem')
    lines = report(run('--check', f'--cert={tmp_path}/leaf.pem', f'--key={pki.chain.key}', '/bin/cat'), OK)
    assert told(lines, 'warn', 'no intermediate certificate')


def test_check_of_a_world_readable_key_says_how_to_mend_it(run, pki, tmp_path):
    key = tmp_path / 'key.pem'
    shutil.copy(pki.ecdsa.key, key)
    key.chmod(0o644)
    lines = report(run('--check', f'--cert={pki.ecdsa.cert}', f'--key={key}', '/bin/cat'), CONFIG)
    assert told(lines, 'FAIL', str(key), 'chmod')


@pytest.mark.parametrize('handler, words', [
    ('/nowhere/handler', ['handler /nowhere/handler', 'not found']),
    ('no-such-handler', ['handler no-such-handler', 'not found']),
    ('/etc/passwd', ['handler /etc/passwd', 'not executable']),
    ('/usr', ['handler /usr', 'not executable']),
])
def test_check_of_a_handler_that_cannot_be_started_fails(run, pki, handler, words):
    assert told(report(run('--check', *pki.ecdsa.options(), handler), CONFIG), 'FAIL', *words)


def test_check_without_a_handler_warns(run, pki):
    assert told(report(run('--check', *pki.ecdsa.options()), OK), 'warn', 'no handler')


@pytest.mark.parametrize('option, verdict, status', [
    ('--ciphers=NONSENSE', 'FAIL', CONFIG),
    ('--groups=nonsense', 'FAIL', CONFIG),
    ('--handler-user=no-such-user', 'FAIL', CONFIG),
    ('--gate-user=no-such-user', 'FAIL', CONFIG),
    ('--chroot=/nowhere/empty', 'FAIL', CONFIG),
    ('--jail=off', 'warn', OK),
])
def test_check_judges_the_other_options_too(run, pki, option, verdict, status):
    lines = report(run('--check', *pki.ecdsa.options(), option, '/bin/cat'), status)
    assert told(lines, verdict, option.partition('=')[0])


def test_check_warns_of_old_versions_of_tls_or_says_that_the_library_has_none(run, pki):
    known = 'TLS1.1' in run('--version').stdout.split()
    lines = report(run('--check', *pki.ecdsa.options(), '--tls-min=1.1', '/bin/cat'), OK if known else CONFIG)
    assert told(lines, 'warn', '--tls-min', 'RFC 8996')
    assert told(lines, 'FAIL', '--tls-min=1.1', 'this TLS library does not have that version') != known


@pytest.mark.parametrize('options, verdict, words', [
    ([], 'ok', ['TLS 1.2 and higher']),
    (['--tls-min=1.3'], 'ok', ['TLS 1.3 only']),
    ([], 'note', ['cipher suites (default): ', 'TLS13-AES128-GCM-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305']),
    (['--ciphers=TLS13-AES128-GCM-SHA256'], 'note', ['cipher suites: TLS13-AES128-GCM-SHA256']),
    ([], 'note', ['groups (default): ', 'X25519:P-256:P-384']),
    (['--groups=P-384'], 'note', ['groups: P-384']),
    ([], 'note', ['post-quantum key exchange: ']),
    (['--groups=X25519'], 'note', ['post-quantum key exchange: no: ']),
    ([], 'note', ['no session tickets or resumption, no early data, no renegotiation, no compression']),
    ([], 'note', ['client certificates are not asked for']),
    ([], 'ok', ['TLS begins at once']),
    (['--starttls=imap'], 'ok', ['policy required: no handler and no login before TLS']),
    (['--starttls=imap', '--policy=auth'], 'ok', ['policy auth: no reusable passwords before TLS']),
    (['--starttls=imap', '--policy=optional'], 'warn', ['policy optional: all is allowed in plaintext']),
    ([], 'note', ['time-outs in seconds: lobby 60, handshake 30, idle 1900, session none, grace 10']),
    (['--timeout-session=7', '--timeout-lobby=8'], 'note', ['lobby 8, handshake 30, idle 1900, session 7,']),
    (['--timeout-handshake=0'], 'warn', ['--timeout-handshake=0']),
    (['--timeout-lobby=0', '--starttls=pop3'], 'warn', ['--timeout-lobby=0']),
    (['--timeout-idle=0'], 'warn', ['--timeout-idle=0']),
    (['--timeout-grace=0'], 'warn', ['--timeout-grace=0']),
    ([], 'note', ['the handler runs as who starts postern', f'user {os.getuid()}']),
], ids=' '.join)
def test_check_shows_what_security_depends_on(run, pki, options, verdict, words):
    assert told(report(run('--check', *pki.ecdsa.options(), *options, '/bin/cat'), OK), verdict, *words)


def test_check_shows_no_default_suite_without_forward_secrecy_or_aead(run, pki):
    lines = report(run('--check', *pki.ecdsa.options(), '/bin/cat'), OK)
    suites = next(text for _, text in lines if text.startswith('cipher suites')).partition(': ')[2].split(':')
    for suite in suites:
        assert re.fullmatch(r'(TLS13|ECDHE-(ECDSA|RSA))-(AES\d+-GCM-SHA\d+|CHACHA20-POLY1305(-SHA256)?)', suite), suite


def jail_of(lines):
    """The parts that the jail has, and those that it lacks."""
    has = next(text for _, text in lines if text.startswith('jail: has ')).removeprefix('jail: has ')
    lacks = next((text.partition(' lacks ')[2] for _, text in lines if ' lacks ' in text), '')
    return set(has.split(', ')), lacks


def test_check_names_each_part_of_the_jail_as_there_or_missing(run, pki):
    has, lacks = jail_of(report(run('--check', *pki.ecdsa.options(), '/bin/cat'), OK))
    for part in ['no_new_privs', 'Landlock', 'seccomp']:
        assert (part in has) != (part in lacks), part
    assert {'no capabilities', 'not dumpable', 'limits'} <= has


@pytest.mark.skipif(os.getuid() != 0, reason='only root changes users')
def test_check_names_the_users_of_gate_and_handler(run, pki):
    lines = report(run('--check', *pki.ecdsa.options(), '/bin/cat'), OK)
    assert told(lines, 'ok', 'the gate runs as a user of its own')
    assert {'empty root folder', 'unprivileged user', 'no groups'} <= jail_of(lines)[0]
    lines = report(run('--check', *pki.ecdsa.options(), '--gate-user=nobody', '-u', 'mail', '/bin/cat'), OK)
    assert told(lines, 'ok', 'the gate runs as user 65534', '(nobody)')
    assert told(lines, 'ok', 'the handler runs as user 8', '(mail)')


@pytest.mark.skipif(os.getuid() != 0, reason='only root changes users')
def test_check_without_root_says_who_gate_and_handler_are_and_what_the_jail_cannot_have(postern):
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(postern, folder)
        ended = subprocess.run([*tls.SETPRIV, program, '--check', CERT, '/bin/cat'], stdin=subprocess.DEVNULL, check=False,
                               capture_output=True, text=True, timeout=tls.TIMEOUT)
    lines = report(ended, CONFIG)       # for want of a certificate
    assert told(lines, 'note', f'the gate runs as who starts postern (here user {tls.NOBODY})')
    assert told(lines, 'note', f'the handler runs as who starts postern (here user {tls.NOBODY})')
    assert not jail_of(lines)[0] & {'empty root folder', 'unprivileged user', 'no groups'}


def test_check_reports_everything_at_once(run, pki):
    lines = report(run('--check', *pki.expired.options(), '--groups=nonsense', '/nowhere/handler'), CONFIG)
    assert len([line for line in lines if line[0] == 'FAIL']) == 3


def test_check_prints_no_secret(run, pki):
    text = run('--check', '-v', *pki.combined.options(), '/bin/cat').stdout
    for line in pki.combined.cert.read_text().split('-----BEGIN PRIVATE KEY-----')[1].splitlines()[1:3]:
        assert line not in text


# Started by hand

@pytest.fixture
def serving(pki):
    return [*pki.ecdsa.options(), '/bin/cat']


def test_terminal_on_standard_input_gets_a_hint_how_to_run_it(run, serving):
    ours, theirs = pty.openpty()
    try:
        assert_one_line(run(*serving, stdin=theirs), USAGE, 'a terminal', 'inetd', 'tcpserver')
    finally:
        os.close(ours)
        os.close(theirs)


def test_file_on_standard_input_gets_a_hint_how_to_run_it(run, serving, tmp_path):
    (tmp_path / 'file').write_text('a LOGIN\n', encoding='ascii')
    with open(tmp_path / 'file', encoding='ascii') as file:
        assert_one_line(run(*serving, stdin=file), USAGE, 'a file', 'inetd', 'tcpserver')


def test_device_on_standard_input_gets_a_hint_how_to_run_it(run, serving):
    assert_one_line(run(*serving), USAGE, 'a device', 'inetd', 'tcpserver')


def test_closed_standard_descriptors_are_no_danger(postern, serving):
    """Files that are opened later must not become standard input or output."""
    ended = subprocess.run(['/bin/sh', '-c', 'exec "$@" <&- >&-', 'sh', postern, *map(str, serving)], check=False,
                           stderr=subprocess.PIPE, text=True, timeout=tls.TIMEOUT)
    assert ended.returncode == USAGE
    assert len(ended.stderr.splitlines()) == 1


def test_pipe_on_standard_input_with_a_file_on_standard_output_is_no_connection(postern, serving, tmp_path):
    with open(tmp_path / 'out', 'wb') as out:
        ended = subprocess.run([postern, *map(str, serving)], input=b'', stdout=out, stderr=subprocess.PIPE, check=False,
                               timeout=tls.TIMEOUT)
    assert ended.returncode == USAGE
    assert b'a pipe' in ended.stderr
    assert (tmp_path / 'out').read_bytes() == b''


# Where the log goes

SUMMARY = (r'client=127\.0\.0\.1:\d+ server=127\.0\.0\.1:\d+ start=immediate tls=TLSv1\.[23] cipher=TLS_[A-Z0-9_]+ '
           r'group=x25519(?:mlkem768)? sni=localhost resumed=no handler=0 in={bytes_in} out={out} seconds=\d+\.\d end={ending}')
MAIL_ERROR, MAIL_INFO = '19', '22'


@pytest.fixture
def logged(serve):
    """A server whose syslog is ours and whose stderr is the connection itself, as under inetd."""
    return lambda handler, *options, **more: serve(
        handler, *options, launcher=syslog.WithSyslog, **{'stderr': 'socket', **more})


@needs_root
@pytest.mark.parametrize('said, ending', [(b'', 'left'), (b'EHLO me\r\n', 'handshake-failed'), (b'\x16\x03\x01\0\4abcd', None)],
                         ids=['nothing', 'plaintext', 'garbage'])
def test_nothing_but_tls_is_ever_written_to_a_client_that_is_stderr_too(logged, said, ending):
    server = logged(['/bin/cat'], '--verbose')
    with server.connect() as connection:
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        got = tls.ended(connection)
    server.wait()
    assert only_records(got)
    assert f'end={ending or "handshake-failed"}' in server.texts()[-1]
    assert server.lines()[-1][0] == MAIL_INFO


def only_records(data):
    """Whether all of it is whole TLS records."""
    while data:
        kind, major, length = data[0], data[1], int.from_bytes(data[3:5], 'big')
        if kind not in (20, 21, 22, 23) or major != 3 or len(data) < 5 + length:
            return False
        data = data[5 + length:]
    return True


@needs_root
@pytest.mark.parametrize('version', ['1.2', '1.3'])
def test_the_handlers_stderr_goes_to_the_log_when_stderr_is_the_connection(logged, pki, version):
    server = logged(['/bin/sh', '-c', r'echo one >&2; printf "t\033wo\r\n%0600d\nlast" 7 >&2; echo hello'])
    with tls.Client(server, pki.ca, version) as client:
        assert client.rest() == b'hello\n'
        client.has_fin()
    server.wait()
    told_lines = [text.partition('handler: ')[2] for text in server.texts() if 'handler: ' in text]
    assert told_lines[:2] == ['one', r't\x1bwo\x0d']
    assert told_lines[-1] == 'last'
    assert ''.join(told_lines[2:-1]) == '0' * 599 + '7'
    assert re.fullmatch(SUMMARY.format(bytes_in=0, out=6, ending='handler-close'), server.lines()[-1][1])


@needs_root
def test_last_words_of_the_handler_that_starttls_ends_reach_the_log(logged, pki):
    script = """
import os, sys
os.write(1, b'* OK [CAPABILITY IMAP4rev1] ready\\r\\n')
if 'SSL_PROTOCOL' in os.environ:
    os.write(2, b'inside\\n')
while os.read(0, 1000):
    pass
os.write(2, b'no longer needed')
"""
    server = logged(lobby.python(script), '--starttls=imap', '--policy=auth')
    with lobby.Client(server, r'\* OK .+') as client:
        inside = client.start_tls(lobby.IMAP, pki.ca)
        inside.tls.close_notify()
        inside.rest()
    server.wait()
    words = [text.partition('handler: ')[2] for text in server.texts() if 'handler: ' in text]
    assert sorted(words) == ['inside', 'no longer needed', 'no longer needed']


@needs_root
def test_what_a_handler_says_on_stderr_without_end_stops_nobody(logged, pki):
    server = logged(['/bin/sh', '-c', 'yes >&2 & cat; kill $!; wait'], '--quiet')
    with tls.Client(server, pki.ca) as client:
        client.send(b'hello')
        assert client.take(5) == b'hello'
        client.close_notify()
        client.ends_in_order()
    assert server.wait().status == OK


@needs_root
@pytest.mark.parametrize('words, status, said', [
    (['--nonsense', 'cat'], USAGE, '--nonsense'),
    (['--cert=/nowhere/cert.pem', 'cat'], CONFIG, '/nowhere/cert.pem'),
    (['cat'], USAGE, 'no certificate'),
])
def test_bad_options_are_never_told_to_the_client(postern, tmp_path, words, status, said):
    with syslog.WithSyslog([postern, *words], tmp_path / 'server', stderr='socket') as server:
        with server.connect() as connection:
            assert tls.ended(connection) == b''
        assert server.wait().status == status
        priority, text = server.lines()[0]
        assert said in text
        assert priority == MAIL_ERROR


@needs_root
def test_log_to_stderr_makes_no_sense_where_that_is_the_connection(logged, pki):
    server = logged(['/bin/echo', 'hello'], '--log=stderr')
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'hello\n'
    server.wait()
    assert '--log=stderr' in server.texts()[0]


@needs_root
def test_log_to_syslog_leaves_stderr_alone(logged, pki):
    server = logged(['/bin/echo', 'hello'], '--log=syslog', stderr='file')
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'hello\n'
    assert server.wait().log == ''
    [summary] = server.lines()
    assert summary[0] == MAIL_INFO
    assert re.fullmatch(SUMMARY.format(bytes_in=0, out=6, ending='handler-close'), summary[1]), summary


@needs_root
def test_log_to_stderr_leaves_syslog_alone(logged, pki):
    server = logged(['/bin/echo', 'hello'], stderr='file')
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'hello\n'
    assert server.wait().summary['end'] == 'handler-close'
    assert server.texts() == []


@needs_root
def test_bad_options_go_to_syslog_as_well_when_stderr_may_be_read_by_nobody(postern, tmp_path):
    with syslog.WithSyslog([postern, '--nonsense', 'cat'], tmp_path / 'server') as server:
        with server.connect() as connection:
            tls.ended(connection)
        assert '--nonsense' in server.wait().log
        assert '--nonsense' in server.texts()[0]


def test_quiet_leaves_only_what_goes_wrong(serve, pki):
    server = serve(['/bin/echo', 'hello'], '--quiet')
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'hello\n'
    assert server.wait().log == ''


def test_the_handlers_stderr_is_posterns_own_when_that_is_not_the_connection(serve, pki):
    server = serve(['/bin/sh', '-c', 'echo remark >&2; echo hello'])
    with tls.Client(server, pki.ca) as client:
        assert client.rest() == b'hello\n'
    remark, line = server.wait().log.splitlines()
    assert remark == 'remark'
    assert re.fullmatch(r'postern\[\d+\]: ' + SUMMARY.format(bytes_in=0, out=6, ending='handler-close'), line)


def test_summary_has_all_its_fields_in_order(serve, pki):
    server = serve(['/bin/cat'])
    with tls.Client(server, pki.ca, '1.3') as client:
        client.send(b'hello')
        client.take(5)
        client.close_notify()
        client.ends_in_order()
    end = server.wait()
    assert re.fullmatch(r'postern\[\d+\]: ' + SUMMARY.format(bytes_in=5, out=5, ending='client-close') + '\n', end.log), end.log
    assert processes.left_behind() == []
