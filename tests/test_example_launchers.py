# SPDX-License-Identifier: GPL-2.0-or-later
"""The files in examples/ that say how postern is launched: each is run by the real launcher and visited by a client.

Only names, paths and ports are changed, by tables below. Three launchers are not in Debian 12, and others that take the
same words stand in for them: Gerrit Pape's tcpsvd and openbsd-inetd for those of BusyBox, which Debian builds without,
and s6-ipcserver, on a Unix socket, for s6-tcpserver of s6-networking.

systemd's units are run by a real systemd in namespaces of its own, where these can be had; and everywhere by
systemd-socket-activate with what ExecStart, LoadCredential and ListenStream say. What locks a service in is not applied
there, but the system calls of a session are compared with what SystemCallFilter allows.
"""

import os
import re
import shutil
import subprocess
from types import SimpleNamespace

import pytest

from harness import boot, clients, daemons, debian, examples, launch, ports, processes
from harness.examples import Port, Running, Unit, script, text, texts, visit

pytestmark = pytest.mark.not_sanitized('the environment that a sanitizer needs does not get through')

CONF = 'cert = {cert}\nkey = {key}\n'
MAILUTILS = daemons.MAILUTILS_CONF.format()


@pytest.fixture(scope='module')
def mail():
    """A user with two messages, whom imap4d and popa3d know."""
    with daemons.mail_user(messages=(daemons.MESSAGES[0], daemons.MESSAGES[2])) as user:
        yield user


@pytest.fixture(scope='module')
def here(postern, pki, mail, tmp_path_factory):
    """What stands for the paths in all examples. Daemons are scripts, since theirs have to be run chrooted."""
    folder = tmp_path_factory.mktemp('here')
    pair = pki.ecdsa
    conf = folder / 'postern.conf'
    conf.write_text(CONF.format(cert=pair.cert, key=pair.key), encoding='utf-8')
    with daemons.folder_inside() as (outside, inside), daemons.start('exim') as exim:
        (outside / 'conf').write_text(MAILUTILS, 'ascii')
        commands = {
            '/usr/sbin/imap4d': debian.inside('/usr/sbin/imap4d', '--no-site-config', f'--config-file={inside}/conf'),
            '/usr/sbin/popa3d': debian.inside('/usr/sbin/popa3d'),
            '/usr/local/sbin/exim-client': exim.argv,
            '/usr/sbin/leafnode': debian.inside('/usr/sbin/leafnode', user='9:9'),
        }
        paths = {path: script(folder / path.rsplit('/', 1)[1], f'exec {launch.quoted(command)} "$@"')
                 for path, command in commands.items()}
        yield SimpleNamespace(pair=pair, ca=pair.ca, mail=mail, paths={
            '/usr/local/sbin/postern': postern, '/etc/postern.conf': conf, **paths})


def changed(here, name, more=()):
    """An example with our paths, as far as it has them, and with all that the table of its test changes."""
    own = (examples.TOP / name).read_text(encoding='utf-8')
    return text(name, {**dict(more), **{old: new for old, new in here.paths.items() if old in own}})


# inetd and xinetd

# The name of the service, the protocol, and how TLS begins.
INETD = [('imaps', 'imap', 'immediate'), ('pop3s', 'pop3', 'immediate'), ('submissions', 'smtp', 'immediate'),
         ('imap2', 'imap', 'starttls'), ('pop3', 'pop3', 'starttls'), ('submission', 'smtp', 'starttls'),
         ('nntps', 'nntp', 'immediate')]
BUSYBOX_INETD = [row for row in INETD if row[0] in ('pop3s', 'pop3')]


@pytest.mark.parametrize('name, rows', [('inetd.conf', INETD), ('busybox/inetd.conf', BUSYBOX_INETD)])
def test_every_line_for_inetd_leads_to_its_daemon(here, daemon, tmp_path, name, rows):
    if name == 'inetd.conf':
        daemon('leafnode')
    at = {service: Port() for service, _, _ in rows}
    content = changed(here, name)
    for service, port in at.items():
        content, count = re.subn(rf'^{service} +stream ', f'127.0.0.1:{port.port} stream ', content, flags=re.MULTILINE)
        assert count == 1
    assert len(re.findall(r'^[^#\n]', content, re.MULTILINE)) == len(rows)
    (tmp_path / 'inetd.conf').write_text(content)
    with Running(debian.outside('usr/sbin/inetd', '-d', tmp_path / 'inetd.conf'), tmp_path, at.values()):
        for service, protocol, how in rows:
            visit(protocol, at[service], how, here.ca, here.mail)


XINETD = [('imaps', 'imap', 'immediate'), ('pop3s', 'pop3', 'immediate'), ('imap2', 'imap', 'starttls'),
          ('pop3', 'pop3', 'starttls'), ('submission', 'smtp', 'starttls'), ('nntps-wait', 'nntp', 'immediate')]


def test_every_file_for_xinetd_leads_to_its_daemon(here, daemon, tmp_path):
    daemon('leafnode')
    assert {file.name for file in (examples.TOP / 'xinetd').iterdir()} == {name for name, _, _ in XINETD}
    at = {}
    (tmp_path / 'xinetd.d').mkdir()
    for name, _, _ in XINETD:
        at[name] = Port()
        begin = f'service {name.split("-")[0]}\n{{\n'
        content = changed(here, f'xinetd/{name}', {
            begin: begin + f'type = UNLISTED\nport = {at[name].port}\nbind = 127.0.0.1\n'})
        (tmp_path / 'xinetd.d' / name).write_text(content)
    (tmp_path / 'xinetd.conf').write_text(f'includedir {tmp_path}/xinetd.d\n')
    command = debian.outside('usr/sbin/xinetd', '-dontfork', '-stayalive', '-pidfile', tmp_path / 'pid',
                             '-f', tmp_path / 'xinetd.conf')
    with Running(command, tmp_path, at.values()):
        for name, protocol, how in XINETD:
            visit(protocol, at[name], how, here.ca, here.mail)


def test_names_of_services_are_those_of_etc_services():
    known = dict(re.findall(r'^(\S+)\s+(\d+)/tcp', debian.program('/etc/services').read_text(), re.MULTILINE))
    named = {service for name in ('inetd.conf', 'busybox/inetd.conf')
             for service in re.findall(r'^(\w+) +stream', (examples.TOP / name).read_text(), re.MULTILINE)}
    named |= {name.split('-')[0] for name, _, _ in XINETD}
    assert {service: known.get(service) for service in named} == {
        'imaps': '993', 'pop3s': '995', 'submissions': '465', 'imap2': '143', 'pop3': '110', 'submission': '587',
        'nntps': '563'}


# Scripts: what is changed, the programs of the tree that they call, and what a client does.

TCPSVD = 'usr/bin/tcpsvd'
SCRIPTS = {
    'tcpserver/imaps.sh': ({' 0 993 ': ' 127.0.0.1 {port} '}, ['usr/bin/tcpserver'], 'imap', 'immediate'),
    'tcpserver/pop3-starttls.sh': ({' 0 110 ': ' 127.0.0.1 {port} '}, ['usr/bin/tcpserver'], 'pop3', 'starttls'),
    'busybox/tcpsvd.sh': ({'busybox tcpsvd': 'tcpsvd', ' 0 995 ': ' 127.0.0.1 {port} '}, [TCPSVD], 'pop3', 'immediate'),
    'busybox/nc.sh': ({' 995 ': ' {port} '}, ['bin/busybox'], 'pop3', 'immediate'),
    'socat/try.sh': ({':9950,': ':{port},'}, ['usr/bin/socat'], 'pop3', 'immediate'),
}


@pytest.mark.parametrize('name', SCRIPTS)
def test_script_starts_a_listener_that_leads_to_its_daemon(here, tmp_path, name):
    changes, tools, protocol, how = SCRIPTS[name]
    server = Port()
    content = changed(here, name, {old: new.format(port=server.port) for old, new in changes.items()})
    command = script(tmp_path / 'run', *content.splitlines()[1:])
    assert content.startswith('#!/bin/sh\n')
    with Running([command], tmp_path, [server], tools):
        for _ in range(2):
            visit(protocol, server, how, here.ca, here.mail)


# Supervised services, with their log

def service(here, name, tmp_path, changes):
    """A copy of the service's folder."""
    made = tmp_path / 'service' / 'postern-imaps'
    shutil.copytree(examples.TOP / name / 'postern-imaps', made)
    (made / 'run').write_text(changed(here, f'{name}/postern-imaps/run', changes))
    log = made / 'log/run'
    if log.exists():
        (tmp_path / 'log').mkdir()
        # nobody could not get at our programs and folders.
        log.write_text(text(f'{name}/postern-imaps/log/run', {' nobody ': ' root ',
                                                              '/var/log/postern-imaps': tmp_path / 'log'}))
    return made


SUPERVISED = {
    'daemontools': ({' 0 993 ': ' 127.0.0.1 {port} '}, lambda made: debian.outside('usr/bin/svscan', made.parent),
                    ['usr/bin/supervise', 'usr/bin/tcpserver', 'usr/bin/multilog', 'usr/bin/setuidgid']),
    'runit': ({' 0 993 ': ' 127.0.0.1 {port} '}, lambda made: debian.outside('usr/bin/runsv', made),
              [TCPSVD, 'usr/bin/chpst', 'usr/bin/svlogd']),
}


@pytest.mark.parametrize('name', SUPERVISED)
def test_supervised_service_leads_to_its_daemon_and_its_log_has_the_session(here, tmp_path, name):
    changes, command, tools = SUPERVISED[name]
    server = Port()
    made = service(here, name, tmp_path, {old: new.format(port=server.port) for old, new in changes.items()})
    with Running(command(made), tmp_path, [server], tools):
        visit('imap', server, 'immediate', here.ca, here.mail)
        current = tmp_path / 'log/current'
        line = processes.until(lambda: current.exists() and re.search(r'client=127\S+ .* end=\S+', current.read_text()),
                               'the summary in the log')
        assert 'handler=0' in line[0]


def test_s6_service_is_ready_and_leads_to_its_daemon(here, tmp_path):
    server = Port()
    server.family, server.path = 'unix', tmp_path / 'socket'
    # What s6-ipcserver would do, but at places that are compiled in.
    ipcserver = f's6-ipcserver-socketbinder {server.path} s6-ipcserverd'
    made = service(here, 's6', tmp_path, {'s6-tcpserver ': f'{ipcserver} ', ' 0.0.0.0 993 ': ' '})
    tools = ['usr/bin/s6-ipcserver-socketbinder', 'usr/bin/s6-ipcserverd']
    ready = debian.outside('usr/bin/s6-svstat', '-o', 'ready', made)

    def is_ready():
        return subprocess.run(ready, capture_output=True, check=False).stdout == b'true\n'
    with Running(debian.outside('usr/bin/s6-supervise', made), tmp_path, [is_ready], tools):
        visit('imap', server, 'immediate', here.ca, here.mail)


# systemd

SYSTEMD = examples.TOP / 'systemd'
LOGIN = 'postern-imaps@.service.d/login-daemon.conf'
IMAPS = ['postern-imaps.socket', 'postern-imaps@.service']
NNTPS = ['postern-nntps.socket', 'postern-nntps.service']
# The units of each case, and systemd's measure of what is not locked in, tenfold: a login daemon has to be root.
EXPOSURE = {'imaps': (IMAPS, 20, ['/usr/bin/socat']), 'imaps-login': ([*IMAPS, LOGIN], 30, ['/usr/sbin/imap4d']),
            'nntps': (NNTPS, 20, ['/usr/sbin/leafnode'])}
ANALYZE = ['usr/bin/systemd-analyze', '--no-pager', '--man=no']


def units(names, changes):
    """The contents of units, by name."""
    found = texts([f'systemd/{name}' for name in names], changes)
    return {name.split('/', 1)[1]: content for name, content in found.items()}


def written(contents, folder):
    """The units in a folder: their paths, without drop-ins."""
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return [folder / name for name in contents if '.d/' not in name]


def test_all_of_systemds_files_are_tested():
    assert {str(file.relative_to(SYSTEMD)) for file in SYSTEMD.rglob('*') if file.is_file()} == {LOGIN, *IMAPS, *NNTPS}


@pytest.mark.parametrize('case', EXPOSURE)
def test_units_are_clean_and_locked_in_for_systemd_analyze(tmp_path, case):
    names, limit, handlers = EXPOSURE[case]
    files = written(units(names, dict.fromkeys(['/usr/local/sbin/postern', *handlers], '/bin/true')), tmp_path)
    environment = launch.without_tls_leftovers({
        'SYSTEMD_UNIT_PATH': f'{tmp_path}:{debian.program("/lib/systemd/system")}', 'SYSTEMD_LOG_TARGET': 'console'})
    for words in (['verify', *files], ['security', '--offline=true', f'--threshold={limit}', files[1]]):
        run = subprocess.run(debian.outside(*ANALYZE, *words), env=environment, capture_output=True, text=True,
                             check=False)
        assert (run.returncode, run.stderr) == (0, ''), run.stdout + run.stderr


def test_sandbox_allows_all_system_calls_of_a_session_of_root(here, tmp_path, postern):
    """With the drop-in, as root: the gate changes its root and its user then, and closes the whole jail."""
    unit = Unit(*units(['postern-imaps@.service', LOGIN], {}).values())
    server = Port()
    command = ['strace', '-f', '-qq', '-o', tmp_path / 'trace', postern, *here.pair.options(), '--jail=strict',
               '--stdio=socket', here.paths['/usr/sbin/imap4d'], '--inetd']
    with Running(debian.outside('usr/bin/tcpserver', '-HRl', 'localhost', '127.0.0.1', server.port, *command), tmp_path,
                 [server]):
        visit('imap', server, 'immediate', here.ca, here.mail)
    calls = set(re.findall(r'^\d+ +(\w+)\(', (tmp_path / 'trace').read_text(errors='replace'), re.MULTILINE))
    assert {'chroot', 'capset', 'seccomp'} <= calls
    assert calls - unit.allowed_calls(examples.call_sets()) == set()


@pytest.mark.parametrize('case', ['imaps', 'nntps'])
def test_units_command_works_with_their_credentials_and_sockets(here, daemon, tmp_path, case):
    """By systemd-socket-activate, which locks nothing in."""
    names, _, handlers = EXPOSURE[case]
    backend = Port()
    changes = {'/usr/local/sbin/postern': here.paths['/usr/local/sbin/postern'],
               '/etc/postern/cert.pem': here.pair.cert, '/etc/postern/key.pem': here.pair.key}
    if case == 'nntps':
        changes.update({path: here.paths[path] for path in handlers})
    else:
        changes['127.0.0.1:143'] = f'127.0.0.1:{backend.port}'
    listening, service = (Unit(content) for content in units(names, changes).values())
    servers = [Port() for _ in listening.all('ListenStream')]
    assert len(servers) == (1 if case == 'imaps' else 2)
    accept = ['--accept', '--inetd'] if listening.all('Accept') == ['yes'] else []
    command = debian.outside('usr/bin/systemd-socket-activate', *accept,
                             *(f'--listen=127.0.0.1:{server.port}' for server in servers),
                             *service.command(tmp_path / 'credentials'))
    if case == 'nntps':
        daemon('leafnode')
        with Running(command, tmp_path, servers):
            for server in servers:
                visit('nntp', server, 'immediate', here.ca, here.mail)
        return
    imap4d = debian.outside('usr/bin/tcpserver', '-HRl', 'localhost', '127.0.0.1', backend.port,
                            here.paths['/usr/sbin/imap4d'], '--inetd')
    with Running(imap4d, tmp_path, [backend]), Running(command, tmp_path, servers):
        visit('imap', servers[0], 'immediate', here.ca, here.mail)


# A plaintext IMAP server on port 143 of the system.
BACKEND = {
    'backend.socket': '[Socket]\nListenStream=127.0.0.1:143\nAccept=yes\n',
    'backend@.service': '[Service]\nExecStart=-/usr/sbin/imap4d --inetd\nStandardInput=socket\n',
}
POSTERN = '/usr/local/sbin/postern '
# A complete jail or none: so a sandbox that hampers it is found out.
STRICT = POSTERN + '--jail=strict '
# The pair for IMAP three times: as it is, with STARTTLS as the comment in it says, and with the drop-in.
SYSTEM = [('', [*IMAPS, *NNTPS], {POSTERN: STRICT}),
          ('starttls-', IMAPS, {POSTERN: STRICT + '--starttls=imap ', 'ListenStream=993': 'ListenStream=144'}),
          ('login-', [*IMAPS, LOGIN], {POSTERN: STRICT, 'ListenStream=993': 'ListenStream=994'})]


@pytest.fixture
def system(here, postern, daemon, tmp_path):
    """A systemd with all of our units."""
    if not boot.possible():
        pytest.skip('a systemd needs namespaces of all kinds, which are forbidden here, or this is a chroot')
    daemon('leafnode')    # it writes the configuration and articles into the tree
    files = {prefix + name: content for prefix, names, changes in SYSTEM
             for name, content in units(names, changes).items()}
    files = {f'etc/systemd/system/{name}': content for name, content in {**BACKEND, **files}.items()}
    files.update({'etc/postern/cert.pem': here.pair.cert.read_text(), 'etc/postern/key.pem': here.pair.key.read_text(),
                  'etc/mailutils.conf': MAILUTILS})
    sockets = [name.rsplit('/', 1)[1] for name in files if name.endswith('.socket')]
    with boot.System(tmp_path, files, {'usr/local/sbin/postern': postern}, sockets) as made:
        yield made


@pytest.fixture
def explained(system):
    """What systemd and the services had to say, if something fails."""
    try:
        yield
    finally:
        print(system.says(), system.log(), sep='\n')


@pytest.mark.usefixtures('explained')
def test_units_work_under_a_real_systemd_with_all_that_locks_them_in(system, here):
    for port, protocol, how in [(993, 'imap', 'immediate'), (144, 'imap', 'starttls'), (994, 'imap', 'immediate'),
                                (563, 'nntp', 'immediate'), (5563, 'nntp', 'immediate')]:
        visit(protocol, system.listens(port), how, here.ca, here.mail)
    ended = processes.until(lambda: len(found := launch.summaries(system.log())) == 5 and found, 'five summaries')
    assert [one['handler'] for one in ended] == ['0'] * 5
    assert {one['client'].rsplit(':', 1)[0] for one in ended} == {boot.ADDRESS}
    # What a systemd that is not given a whole machine says of itself, by version.
    missed = 'Failed to (connect stdout to the journal|initialize kmod context|copy os-release for propagation)'
    assert 'Failed' not in re.sub(missed, '', system.says())
    with clients.tls(system.listens(993), here.ca) as connection:
        assert connection.recv(4) == b'* OK'
        owners = {os.stat(f'/proc/{process.pid}').st_uid for process in processes.descendants(system.pid)
                  if process.command.startswith('/usr/local/sbin/postern') and '/socat' in process.command}
    assert owners and owners <= set(range(61184, 65520))    # those of DynamicUser
