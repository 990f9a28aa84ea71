# SPDX-License-Identifier: GPL-2.0-or-later
"""Who takes part: each build of postern that is there, and each rival that is found."""

import os
import shutil
import subprocess
from pathlib import Path

from clients import HANDLER, Tls, plain
from servers import Server

TOP = Path(__file__).resolve().parents[2]
TREE = TOP / 'build/debian'
LIBRARIES = {'LD_LIBRARY_PATH': ':'.join(str(TREE / f'{part}/x86_64-linux-gnu') for part in ('usr/lib', 'lib'))}
KINDS = {'ecdsa': ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'], 'rsa': ['-newkey', 'rsa:2048']}


class Pair:
    """A certificate and its key, made for this run."""

    def __init__(self, folder, kind):
        self.kind = kind
        self.cert, self.key, self.both = (f'{folder}/{kind}.{name}' for name in ('pem', 'key', 'both'))
        subprocess.run(['openssl', 'req', '-x509', *KINDS[kind], '-nodes', '-keyout', self.key, '-out', self.cert,
                        '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
                       check=True, stderr=subprocess.DEVNULL)
        Path(self.both).write_text(Path(self.key).read_text() + Path(self.cert).read_text())
        os.chmod(self.both, 0o600)

    def client(self, kind='full'):
        return Tls(self.cert, kind)


def find(name):
    """(path, environment) of a rival: installed, or unpacked by tests/packages bench; (None, {}) if it isn't there."""
    path = shutil.which(name)
    if path:
        return path, {}
    for folder in ('usr/bin', 'usr/sbin'):
        if os.access(TREE / folder / name, os.X_OK):
            return str(TREE / folder / name), LIBRARIES
    return None, {}


def builds(given):
    """(name, program) of each build of postern: the one that was given, and static ones where they are built."""
    static = TOP / 'build/static'
    for name, path in (('dynamic', given), *((f'static {kind}', static / kind / 'postern') for kind in ('fast', 'small'))):
        if os.access(path, os.X_OK):
            yield name, os.path.realpath(path)


def posterns(given, folder, handler, pair):
    # Immediate and after STARTTLS, with and without tickets: what a server gives that isn't asked for would cost the others.
    tickets = f'{folder}/tickets'
    subprocess.run([given, f'--new-ticket-key={tickets}'], check=True)
    for name, program in builds(given):
        base = [program, f'--cert={pair.cert}', f'--key={pair.key}']
        # Here all clients have one address.
        base.append('--max-per-client=0')
        for start, what in (('each', ''), ('socket', ', wait mode')):
            yield Server(f'postern {name}{what}', start, [*base, '--', *handler], pair.client())
            yield Server(f'postern {name}{what}', start, [*base, f'--tickets={tickets}', '--', *handler],
                         pair.client('resumed'), same_handler=False)
            if pair.kind == 'ecdsa':
                yield Server(f'postern {name}{what}', start, [*base, '--starttls=imap', '--', *handler],
                             pair.client('starttls'), same_handler=False)


def stunnels(folder, handler, pair):
    path, environment = find('stunnel4')
    if not path:
        return
    base = (f'foreground = quiet\ndebug = 0\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n'
            f'{{service}}cert = {pair.cert}\nkey = {pair.key}\nexec = {handler[0]}\nexecArgs = sh {handler[1]}\n')
    inetd, daemon = (f'{folder}/stunnel-{name}-{pair.kind}.conf' for name in ('inetd', 'daemon'))
    Path(inetd).write_text(base.format(service=''))

    def write(port):
        Path(daemon).write_text(base.format(service=f'pid =\n[imaps]\naccept = 127.0.0.1:{port}\n'))

    yield Server('stunnel, inetd', 'each', [path, inetd], pair.client(), environment=environment)
    for kind in ('full', 'resumed'):
        yield Server('stunnel, daemon', 'port', [path, daemon], pair.client(kind), environment=environment,
                     write=write, note='threads of one process, and exec')


def others(folder, handler, pair):
    path, environment = find('tlswrapper')
    if path:
        jail = f'{folder}/jail'
        os.makedirs(jail, exist_ok=True)
        yield Server('tlswrapper', 'each', [path, '-J', jail, '-f', pair.both, *handler], pair.client(),
                     environment=environment, note='no TLS 1.3')
    path, environment = find('couriertls')
    if path:
        yield Server('couriertls', 'each', [path, '-server', '-tcpd', *handler], pair.client(),
                     environment={**environment, 'TLS_CERTFILE': pair.both})
    path, environment = find('socat')
    if path:
        listen = f'OPENSSL-LISTEN:PORT,bind=127.0.0.1,fork,reuseaddr,backlog=200,cert={pair.both},verify=0'
        for kind in ('full', 'resumed'):
            yield Server('socat', 'port', [path, listen, f'EXEC:{" ".join(handler)}'], pair.client(kind),
                         environment=environment, note='forks from one process')


DOVECOT = """
protocols =
base_dir = {base}
log_path = /dev/null
state_dir = {base}
ssl = required
ssl_cert = <{cert}
ssl_key = <{key}
auth_mechanisms = plain
passdb {{
  driver = static
  args = password=x
}}
userdb {{
  driver = static
  args = uid=1000 gid=1000 home=/tmp
}}
protocols = imap
default_login_user = {login}
default_internal_user = {internal}
service imap-login {{
  service_count = {count}
  process_min_avail = {avail}
  client_limit = 1000
  process_limit = 300
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {port}
    ssl = yes
  }}
}}
"""


def dovecots(folder, pair):
    """Its login process answers LOGOUT by itself: no handler is started, and none of the rest of Dovecot."""
    if os.getuid() != 0 or not (TREE / 'usr/sbin/dovecot').exists():
        return
    place = Path(folder).name
    inside = TREE / 'tmp' / place
    inside.mkdir(exist_ok=True)
    for file in (pair.cert, pair.key):
        shutil.copy(file, inside)
    for count, name in ((1, 'a process each'), (0, 'one process')):
        for kind in ('full', 'resumed'):
            conf = f'{count}-{pair.kind}-{kind}.conf'

            def write(port, count=count, conf=conf):
                (inside / conf).write_text(DOVECOT.format(
                    base=f'/tmp/{place}/{conf}.run', cert=f'/tmp/{place}/{Path(pair.cert).name}',
                    key=f'/tmp/{place}/{Path(pair.key).name}', port=port, count=count, avail=1 - count,
                    login='dovenull', internal='dovecot'))

            yield Server(f'dovecot, {name}', 'port',
                         ['/usr/sbin/chroot', str(TREE), '/usr/sbin/dovecot', '-F', '-c', f'/tmp/{place}/{conf}'],
                         pair.client(kind), write=write, note='no handler', same_handler=False,
                         file=str(TREE / 'usr/lib/dovecot/imap-login'), environment=LIBRARIES)


def take_part(given, folder):
    """All servers, the bare handler first; those of one kind of key together."""
    script = f'{folder}/handler'
    Path(script).write_text(HANDLER)
    handler = ['/bin/sh', script]
    yield '', Server('handler alone', 'each', handler, plain, same_handler=False)
    for kind in KINDS:
        pair = Pair(folder, kind)
        for server in (*posterns(given, folder, handler, pair), *stunnels(folder, handler, pair),
                       *others(folder, handler, pair), *dovecots(folder, pair)):
            yield kind, server


def clean_up(folder):
    shutil.rmtree(TREE / 'tmp' / Path(folder).name, ignore_errors=True)
