# SPDX-License-Identifier: GPL-2.0-or-later
"""Every command in README and in the manual's examples works as it is printed.

Each block of the documents is looked up in a table here, which says how it is carried out, on a machine of its own
(harness/machine.py), in the order of the document; or why it is not. A block that is in no table fails the test. Ports
are the printed ones: the machine's network is empty.
"""

import os
import re
import shutil
import subprocess

import pytest

from harness import daemons, machine, manual, processes

README = manual.TOP / 'README'
ALL = os.environ.get('MATRIX') == 'all'
CA = '/etc/postern/cert.pem'
POP3_TALK = 'USER alice\nPASS secret\nRETR 1\nQUIT\n'
IMAP_TALK = 'a LOGIN alice secret\nb SELECT INBOX\nc FETCH 1 BODY[]\nd LOGOUT\n'
MAIL = 'From: ann@example.org\\n\\nhello\\n'


def readme_blocks():
    """What is printed apart: (the paragraph before it, the block), and so the lines of inetd.conf."""
    found, before = [], ''
    for paragraph in README.read_text(encoding='utf-8').split('\n\n'):
        lines = paragraph.strip('\n').splitlines()
        if all(line.startswith('    ') or not line for line in lines) and lines:
            block = '\n'.join(line[4:] for line in lines) + '\n'
            if re.search(r'\[Service\]|^mkdir|^cert =|^\[', block) and found and 'postern-imaps.socket' in found[-1][1] and \
                    '[Service]' not in found[-1][1]:
                found[-1] = (found[-1][0], found[-1][1] + '\n' + block)
            else:
                found.append((before, block))
        elif lines and re.match(r'\w+ stream tcp ', lines[0]):
            found.append((before, paragraph.strip('\n') + '\n'))
        before = paragraph
    return found


def commands(block):
    """The logical lines."""
    return block.replace('\\\n', ' ').splitlines()


def squeezed(command):
    return re.sub(r'\s+', ' ', command).strip()


def program():
    """What is tested, which may be another build than the one that `make install` takes."""
    return os.environ.get('POSTERN', manual.TOP / 'build/postern')


# How a block is carried out: each takes the machine, the block and the paragraph before it.

def run(the, block, _):
    for command in commands(block):
        the.run(squeezed(command))


def run_in_the_clone(the, block, _):
    for command in commands(block):
        words = command.split()
        if words[:2] == ['apt-get', 'install']:
            group = (manual.TOP / 'tests/packages').read_text()
            assert sorted(words[2:]) == sorted(re.search(r"^build='(.*)'", group, re.MULTILINE)[1].split())
        else:
            the.run(command, folder='/root/postern')
    shutil.copy(program(), the.path('/usr/local/sbin/postern'))
    assert the.path('/usr/local/share/man/man8/postern.8').is_file()


def write_conf(the, block, _):
    the.write('/etc/postern.conf', block)


def write_script(the, block, before):
    path = re.findall(r'/usr/local/sbin/[\w-]+', before)[-1]
    the.write(path, block, 0o755)


def check_is_well(the, block, _):
    for command in commands(block):
        assert the.run(command).splitlines()[-1] == 'all is well'


def reads_imap(the, command='openssl s_client -quiet -crlf -connect 127.0.0.1:993'):
    assert 'Subject: hello alice' in the.run(command, typed=IMAP_TALK, status=None), the.log()


def reads_pop3(the, command='openssl s_client -quiet -crlf -connect 127.0.0.1:995'):
    assert 'Subject: hello alice' in the.run(command, typed=POP3_TALK, status=None), the.log()


def submits(the, url, options=''):
    """A message to a user of the machine is accepted, one to elsewhere refused: it is no open relay."""
    send = f"printf '{MAIL}' | curl -sS --cacert {CA} {options} {url} --mail-from ann@example.org -T - --mail-rcpt"
    the.run(f'{send} alice@mail.example.org')
    assert '550' in the.run(f'{send} bob@example.net', status=55)


def lines_of_inetd(block):
    return re.sub(r'\n {3}', ' ', block)


def with_inetd(the, block, _):
    text = lines_of_inetd(block)
    the.write('/etc/inetd.conf', text)
    services = [line.split()[0] for line in text.splitlines()]
    known = dict(re.findall(r'^(\S+)\s+(\d+)/tcp', the.path('/etc/services').read_text(), re.MULTILINE))
    server = the.start('inetd -i', int(known[services[-1]]))
    if 'imaps' in services:
        reads_imap(the)
    if 'pop3s' in services:
        reads_pop3(the)
    if 'pop3' in services:
        reads_pop3(the, 'openssl s_client -quiet -crlf -starttls pop3 -connect 127.0.0.1:110')
    if 'submissions' in services:
        submits(the, 'smtps://localhost')
    processes.until(lambda: re.search(r'postern\[.*start=immediate', the.log()), 'the log goes to syslog')
    the.stop(server)


def with_xinetd(the, block, _):
    the.write('/etc/xinetd.conf', re.sub(r'\n {20,}', ' ', block))
    server = the.start('xinetd -dontfork', 993)
    reads_imap(the)
    the.stop(server)


def with_systemd(the, block, _):
    """There is no systemd that runs: it looks at the units, enables them, and starts the command by hand."""
    units = dict(re.findall(r'# (postern-\S+)\n(.*?)(?=\n# postern-|\Z)', block, re.DOTALL))
    assert len(units) == 2
    for name, text in units.items():
        the.write(f'/etc/systemd/system/{name}', text + '\n')
    folder = '/etc/systemd/system'
    said = the.run(f'systemd-analyze verify {folder}/postern-imaps.socket {folder}/postern-imaps@.service 2>&1')
    assert 'postern' not in said, said
    the.run('systemctl enable postern-imaps.socket')     # printed with --now, which takes a systemd that runs
    assert the.path(f'{folder}/sockets.target.wants/postern-imaps.socket').is_symlink()
    everything = ''.join(units.values())
    port = re.search(r'^ListenStream=(\d+)$', everything, re.MULTILINE)[1]
    command = re.search(r'^ExecStart=-(.*)$', everything.replace('\\\n', ' '), re.MULTILINE)[1]
    accept = {'Accept=yes': '--accept --inetd'}[re.search(r'^Accept=.*$', everything, re.MULTILINE)[0]]
    server = the.start(f'systemd-socket-activate {accept} --listen={port} {command}', int(port))
    reads_imap(the)
    the.stop(server)


def port_of(command):
    return int(re.search(r'tcpserver (?:-\S+ )+\S+ (\d+) |TCP-LISTEN:(\d+)', command).expand(r'\1\2'))


def serve(the, block, _):
    """Servers, the last word of which says what they speak; and clients of them, in the same block."""
    for command in commands(block):
        command = squeezed(re.sub(r'^(IMAP|POP3|submission) +', '', command))
        if command.startswith('openssl s_client'):
            talk = {'993': IMAP_TALK, '143': IMAP_TALK, '9950': POP3_TALK}[command.rsplit(':', 1)[1]]
            if '-cert' in command:
                talk = talk.partition('\n')[2]      # logged in already
            said = the.run(command, typed=talk, status=None)
            assert 'Subject: hello alice' in said, f'{said}\n{the.log()}'
        else:
            port = port_of(command)
            for old in [old for old, number in the.serving.items() if number == port]:
                the.stop(old)
                del the.serving[old]
            the.serving[the.start(command, port)] = port
            used(the, command, port)


def used(the, command, port):
    """Whoever connects gets what the command is said to serve."""
    starttls = f'-starttls {found[1]}' if (found := re.search(r'(?:-s |--starttls=)(\w+)', command)) else ''
    client = f'openssl s_client -quiet -crlf {starttls} -connect 127.0.0.1:{port}'
    if 'popa3d' in command:
        reads_pop3(the, client)
    elif 'exim' in command:
        submits(the, 'smtp://localhost:587', '--ssl-reqd')
    elif 'imap4d' in command:
        reads_imap(the, client)
    else:
        assert '--client-ca' in command, command
        assert 'certificate required' in the.run(client, status=None), 'without a certificate nobody is let in'
        said = the.run(f'{client} -cert alice.pem -key alice.key', typed=IMAP_TALK.partition('\n')[2], status=None)
        assert 'PREAUTH' in said and 'Subject: hello alice' in said, f'{said}\n{the.log()}'


def knows_options(the, block, _):
    known = the.run('postern --help')
    for option in re.findall(r'--[a-z-]+', block):
        assert f'{option}=' in known or f'{option} ' in known, option
    the.run('postern --new-ticket-key=/etc/postern/tickets')


def make_targets(_, block, __):
    """They are steps of .ci/run, or the caller of this test: here it is looked whether they exist."""
    makefile = ''.join(path.read_text() for path in [manual.TOP / 'Makefile', *manual.TOP.glob('src/**/*.mk'),
                                                     *manual.TOP.glob('tests/*.mk')])
    names = re.findall(r'^make ([a-z-]+)', block, re.MULTILINE)
    targets = re.search(r'^targets +(.*?)^variables', block, re.MULTILINE | re.DOTALL)
    if targets:
        names += re.findall(r'[a-z-]+', re.sub(r'\([^)]*\)|;|: see below', '', targets[1]))
        for variable in re.findall(r'\b[A-Z]{2,}\b', re.sub(r'AddressSanitizer', '', block.split('variables')[1])):
            assert re.search(rf'\b{variable}\b', makefile), variable
    assert names
    for name in names:
        assert re.search(rf'^{name}:', makefile, re.MULTILINE), f'make {name}'


def make_a_ca(the, block, _):
    """openssl asks for passwords."""
    for command in commands(block):
        the.type(squeezed(command), 'a password')
    the.run('cp ca.pem /etc/postern/ca.pem')
    assert the.run('openssl pkcs12 -in alice.p12 -passin "pass:a password" -nokeys').count('BEGIN CERTIFICATE') == 1


def look(the, block, _):
    """What a client sees of a certificate that it does not trust."""
    for words in ('993 postern', '143 postern -s imap'):
        serve(the, f'tcpserver -HR 0 {words} -f /etc/postern.conf --stdio=socket /usr/sbin/imap4d --inetd', '')
    for command in commands(block):
        assert 'verify error:num=18:self-signed certificate' in the.run(command, status=1)


NOT_RUN = 'not a command: '

README_TABLE = {
    r'make demo ': make_targets,
    r'inetd, systemd, tcpserver': NOT_RUN + 'a picture',
    r'apt-get install ': run_in_the_clone,
    r'targets ': make_targets,
    r'make static': make_targets,     # each by tests/static.py, too
    r'KB of PROFILE': NOT_RUN + 'a table',
    r'PROFILE  ': NOT_RUN + 'a table',
    r'cert = ': write_conf,
    r'mkdir -p /etc/postern': run,
    r'postern -f /etc/postern.conf --check': check_is_well,
    r'imaps stream tcp': with_inetd,
    r'# postern-imaps.socket': with_systemd,
    r'tcpserver -HR 127.0.0.1 9950 ': serve,
    r'IMAP +tcpserver ': serve,
    r'openssl s_client -quiet -crlf -starttls': serve,
    r'--policy +Dovecot': NOT_RUN + 'a table',
    r'--cert-dir=': knows_options,
    r'tcpserver -HR 0 993 .*\n.*--client-ca': serve,
    r'popa3d +POP3': NOT_RUN + 'notes on handlers; test_sessions.py runs them as they say',
    r'#!/bin/sh\nexec /usr/sbin/exim4': write_script,
    r'postern\[812\]: ': NOT_RUN + 'a log',
}

EXAMPLES_TABLE = {
    r'imaps stream tcp': with_inetd,
    r'service imaps': with_xinetd,
    r'# postern-imaps.socket': with_systemd,
    r'tcpserver -HR 0 993 .*\n.*imap4d': serve,
    r'socat TCP-LISTEN': serve,
    r'#!/bin/sh\nexec /usr/sbin/exim4': write_script,
    r'tcpserver -HR 0 587': serve,
    r'openssl req -x509': make_a_ca,
    r'#!/bin/sh\nuser=': write_script,
    r'tcpserver -HR 0 993 .*\n.*--client-ca': serve,
}

OTHERS_TABLE = {
    r'openssl req -x509': run,
    r'openssl s_client -connect': look,
}


def row(table, block):
    found = [pattern for pattern in table if re.match(pattern, block)]
    assert len(found) == 1, f'{len(found)} rows of the table are for this, and there has to be one:\n{block}'
    return found[0]


def carry_out(the, blocks, table):
    """Scripts first, since the commands that need them come before or after."""
    missing = set(table) - {row(table, block) for _, block in blocks}
    assert not missing, f'no longer in the document: {missing}'
    for scripts in (True, False):
        for before, block in blocks:
            how = table[row(table, block)]
            if not isinstance(how, str) and (how is write_script) == scripts:
                how(the, block, before)


def manual_blocks(name, page='postern.8'):
    """The displays of a section, each with the text before it."""
    lines = manual.section(page, name)
    starts = [number for number, line in enumerate(lines) if line.startswith('.Bd ')]
    return list(zip(['\n'.join(lines[max(0, start - 12):start]) for start in starts], manual.displays(lines)))


EXIM = r'''
primary_hostname = mail.example.org
domainlist local_domains = mail.example.org
acl_smtp_rcpt = rcpt
tls_advertise_hosts =
spool_directory = /var/spool/exim4
log_file_path = syslog
begin acl
rcpt:
  accept hosts = :
  deny message = relay not permitted
       !domains = +local_domains
  accept
begin routers
local:
  driver = accept
  check_local_user
  transport = spool
begin transports
spool:
  driver = appendfile
  file = /var/mail/$local_part_data
  user = $local_part_data
'''


@pytest.fixture
def the(tmp_path):
    """A machine on which mail was set up, but no TLS."""
    with machine.Machine(tmp_path / 'machine') as made:
        made.serving = {}
        made.write('/etc/exim4/exim4.conf', EXIM)
        made.write('/etc/dovecot/dovecot.conf', daemons.dovecot_words('mail_location = maildir:~/Maildir\nssl = no\n'))
        made.run('mkdir -p /var/spool/exim4 /var/mail && chown -R Debian-exim /var/spool/exim4 && chmod 1777 /var/mail')
        yield made


@pytest.fixture
def installed(the):
    """... and where README was followed up to the configuration."""
    shutil.copy(program(), the.path('/usr/local/sbin/postern'))
    for before, block in readme_blocks():
        if README_TABLE[row(README_TABLE, block)] in (write_conf, run):
            README_TABLE[row(README_TABLE, block)](the, block, before)
    return the


def test_every_command_of_the_readme_works_as_printed(the):
    """From the clone to IMAP over TLS, and all the rest. Client certificates are made as in the manual."""
    blocks = readme_blocks()
    script_of_the_manual(the)
    the.run('mkdir -p /etc/postern')
    ca_of_the_manual(the)
    carry_out(the, blocks, README_TABLE)


def test_every_example_of_the_manual_works_as_printed(installed):
    """What is in README word for word was carried out there; with MATRIX=all it is once more."""
    installed.run('cp /etc/postern/*.pem .')
    known = {squeezed(' '.join(commands(block))) for _, block in readme_blocks()}
    table = EXAMPLES_TABLE
    if not ALL:
        table = {pattern: how if how is write_script else NOT_RUN + 'see README' if known & {
            squeezed(' '.join(commands(block))) for _, block in manual_blocks('EXAMPLES') if re.match(pattern, block)} else how
                 for pattern, how in table.items()}
    carry_out(installed, manual_blocks('EXAMPLES'), table)
    carry_out(installed, [*manual_blocks('CERTIFICATES')[:1], *manual_blocks('TROUBLESHOOTING')], OTHERS_TABLE)


# postern-migrate(7): in each section the first display is the set-up before, and all others that after.

OTHERS = ['STUNNEL', 'COURIERTLS', 'TLSWRAPPER', 'UCSPI-SSL', 'S6-NETWORKING', 'DOVECOT']
DOVECOT = 'protocols = imap\nmail_location = maildir:~/Maildir\npassdb {\n driver = pam\n}\nuserdb {\n driver = passwd\n}\n'


def sections(page):
    return re.findall(r'^\.Sh (.*)$', (manual.TOP / 'man' / page).read_text(), re.MULTILINE)


def script_of_the_manual(the):
    for before, block in manual_blocks('EXAMPLES'):
        if re.match(r'#!/bin/sh\nuser=', block):
            write_script(the, block, before)


def ca_of_the_manual(the):
    for before, block in manual_blocks('EXAMPLES'):
        if re.match('openssl req -x509', block):
            make_a_ca(the, block, before)


def courier_passwords(the):
    the.run('mkdir -p /run/courier/authdaemon && chmod 755 /run/courier /run/courier/authdaemon')
    the.start(daemons.authdaemond(), ready=the.path('/run/courier/authdaemon/socket').exists)


def dovecot(the, block):
    the.write('/etc/dovecot/dovecot.conf', daemons.dovecot_words(DOVECOT + block))
    the.start('dovecot -F', 10143)


def works(the, name, command, others):
    """The command serves alice's mail. `others`: what else there is to be done before."""
    if name == 'COURIERTLS':
        courier_passwords(the)
    elif name == 'DOVECOT':
        dovecot(the, others[0])
    server = the.start(command, port_of(command))
    if 'popa3d' in command:
        reads_pop3(the)
    elif '--client-ca' in command:
        used(the, command, 993)
    else:   # courier's login program loses commands that do not wait for its answer
        fetch = f"curl -sS --cacert {CA} --user alice:secret 'imaps://localhost/INBOX;MAILINDEX=1'"
        assert 'Subject: hello alice' in the.run(fetch), the.log()
    the.stop(server)


def carry_out_after(the, name):
    before, (_, first), *others = manual_blocks(name, 'postern-migrate.7')
    assert 'postern' not in before[1]
    for text, block in others:
        if block.startswith('#!'):
            write_script(the, block, text)
    command = squeezed(lines_of_inetd(first.replace('\\\n', ' ')))
    assert check_with(the, command).splitlines()[-1] == 'all is well'
    if ALL and command.startswith('imaps stream'):
        with_inetd(the, first, '')
    elif ALL:
        works(the, name, command, [block for _, block in others])


def check_with(the, command):
    """--check with the options of a launcher's command."""
    return the.run('postern --check ' + command.rpartition('postern ')[2])


def test_every_set_up_that_comes_from_elsewhere_passes_check_and_works(installed):
    """It is tried out with MATRIX=all only."""
    the = installed
    script_of_the_manual(the)
    assert [name for name in sections('postern-migrate.7') if name not in ('NAME', 'DESCRIPTION', 'SEE ALSO')] == OTHERS
    ca_of_the_manual(the)
    the.run('mkdir -p /etc/ssl/mail /etc/ssl/private /etc/stunnel /etc/courier && '
            'cp /etc/postern/*.pem /etc/ssl/mail && umask 077 && for file in /etc/stunnel/mail.pem /etc/courier/imapd.pem /etc/ssl/private/mail.pem; do '
            'cat /etc/postern/cert.pem /etc/postern/key.pem >$file; done')
    for name in OTHERS:
        carry_out_after(the, name)


def test_every_option_that_postern_migrate_names_exists(postern):
    page = manual.TOP / 'man/postern-migrate.7'
    lint = subprocess.run(['mandoc', '-Tlint', '-W', 'warning', page], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, '')
    usage = subprocess.run([postern, '--help'], capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r'--([a-z-]+)', usage))
    text = page.read_text()
    named = set(re.findall(r'--([a-z-]+)(?![^\n]*imap4d --inetd)', text))
    for line in re.findall(r'^\.It .* Ta (Fl .*?) Ta ', text, re.MULTILINE) + re.findall(r'^\.Fl -.*$', text, re.MULTILINE):
        named |= {word.removeprefix('-') for word in line.split() if re.fullmatch(r'-[a-z-]+', word)}
    assert len(named) > 25
    assert named - {'inetd'} <= known
