# SPDX-License-Identifier: GPL-2.0-or-later
"""examples/certificates: each script run, for real ACME clients from Debian, and what it leaves behind served.

The clients talk to an ACME server of our own (harness/acme.py), which believes every name.
"""

import os
import re
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness import acme as acme_module, clients, daemons, debian, dialogues, launch

TOP = Path(__file__).resolve().parent.parent
CERTIFICATES = TOP / 'examples/certificates'
MAIL, IMAP = 'mail.example.org', 'imap.example.org'


@pytest.fixture
def scripts(tmp_path, postern):
    """The scripts, with a folder of ours in the place of each of theirs; and postern beside them."""
    class Scripts:
        folder = tmp_path / 'sbin'
        certs = tmp_path / 'certs'

        def __init__(self, **words):
            self.folder.mkdir()
            self.certs.mkdir()
            for file in CERTIFICATES.iterdir():
                (self.folder / file.name).write_text(self.words(file.read_text()))
                (self.folder / file.name).chmod(file.stat().st_mode & 0o777)
            (self.folder / 'postern').symlink_to(postern)
            self.environment = dict(os.environ, PATH=f'{self.folder}:{os.environ["PATH"]}')

        def words(self, text):
            return text.replace('/usr/local/sbin/', f'{self.folder}/').replace('/etc/postern/certs', str(self.certs))

        def change(self, name, old, new):
            text = (self.folder / name).read_text()
            assert old in text
            (self.folder / name).write_text(text.replace(old, new))

        def run(self, *words, **more):
            words = [str(self.folder / words[0]), *map(str, words[1:])]
            return subprocess.run(words, env={**self.environment, 'no_proxy': '127.0.0.1', **more}, capture_output=True, text=True, timeout=60, check=False)

    return Scripts()


@pytest.fixture
def acme(pki, tmp_path):
    (tmp_path / 'acme').mkdir()
    with acme_module.Acme(pki, tmp_path / 'acme') as server:
        yield server


def run(*words, env=None, **more):
    words = list(map(str, words))
    done = subprocess.run(words, env=dict(env or os.environ, no_proxy='127.0.0.1', NO_PROXY='127.0.0.1'), capture_output=True, text=True, timeout=120, check=False, **more)
    assert done.returncode == 0, f'{words}\n{done.stdout}{done.stderr}'
    return done.stdout


def serial(cert):
    return run('openssl', 'x509', '-noout', '-serial', '-in', cert)


def ask(server, ca, name, *words):
    """openssl s_client asks for a name, and verifies the answer."""
    return subprocess.run(['openssl', 's_client', '-connect', f'{server.host}:{server.port}', '-servername', name,
                           '-verify_hostname', name, '-verify_return_error', '-CAfile', str(ca), *words],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)


def served(server, ca, name):
    """The serial number of the certificate that is served for a name."""
    answer = ask(server, ca, name)
    ended = server.wait()
    assert (answer.returncode, ended.status) == (0, 0), answer.stdout + answer.stderr + ended.log
    return run('openssl', 'x509', '-noout', '-serial', input=answer.stdout)


def is_unknown(server, ca, name):
    return 'unrecognized name' in ask(server, ca, name).stderr and 'end=handshake-failed' in server.wait().log


@pytest.fixture
def by_name(serve):
    """by_name(folder): a server whose certificates are in there."""
    return lambda folder, **more: serve(['/bin/cat'], f'--cert-dir={folder}', pair=None, **more)


# certbot

@pytest.fixture
def certbot(acme, tmp_path):
    """certbot, with /etc/letsencrypt in a folder of ours. The program of that name is these two words of Python."""
    home = tmp_path / 'letsencrypt'
    (tmp_path / 'web').mkdir()

    def call(*words, **more):
        run('/usr/bin/python3', '-c', 'from certbot.main import main; main()', '--config-dir', home,
            '--work-dir', tmp_path / 'work', '--logs-dir', tmp_path / 'logs', '--server', acme.url, '-n', *words, **more)
    call.home = home
    call.web = ['--webroot', '-w', tmp_path / 'web']
    return call


def test_certbots_live_folder_is_served_as_it_is_and_so_is_a_renewal(certbot, by_name, scripts, pki):
    certbot('certonly', '--agree-tos', '--register-unsafely-without-email', *certbot.web, '-d', MAIL, '-d', IMAP)
    live = certbot.home / 'live'
    assert live.stat().st_mode & 0o777 == 0o700 and (live / MAIL / 'privkey.pem').is_symlink()
    server = by_name(live)
    first = serial(live / MAIL / 'fullchain.pem')
    assert served(server, pki.ca, MAIL) == first
    # There is no folder for the second name, until somebody makes one.
    assert is_unknown(server, pki.ca, IMAP)
    (live / IMAP).symlink_to(MAIL)
    assert served(server, pki.ca, IMAP) == first

    hook = certbot.home / 'renewal-hooks/deploy/postern'
    shutil.copy(scripts.folder / 'certbot-hook', hook)
    certbot('renew', '--force-renewal', '--no-random-sleep-on-renew', env=scripts.environment)
    second = serial(live / MAIL / 'fullchain.pem')
    assert second != first
    assert served(server, pki.ca, MAIL) == served(by_name(scripts.certs), pki.ca, IMAP) == second
    assert {folder.name for folder in scripts.certs.iterdir()} == {MAIL, IMAP}


def test_certbots_hook_knows_postern_s_folder_of_a_wildcard(scripts, by_name, pki, tmp_path):
    pair = pki.leaf('example-wildcard', names='DNS:*.example.org', subject='/CN=example-wildcard')
    shutil.copy(pair.cert, tmp_path / 'fullchain.pem')
    shutil.copy(pair.key, tmp_path / 'privkey.pem')
    done = scripts.run('certbot-hook', RENEWED_DOMAINS='*.example.org', RENEWED_LINEAGE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert [folder.name for folder in scripts.certs.iterdir()] == ['_.example.org']
    assert served(by_name(scripts.certs), pki.ca, 'any.example.org') == serial(pair.cert)


# install-pair

@pytest.fixture
def pair(pki):
    return pki.leaf('example-mail', names=f'DNS:{MAIL}', subject=f'/CN={MAIL}')


def test_install_pair_leaves_the_old_ones_where_the_new_ones_do_not_fit(scripts, pair, pki):
    assert scripts.run('install-pair', MAIL, pair.cert, pair.key).returncode == 0
    before = (scripts.certs / MAIL / 'fullchain.pem').read_bytes()
    done = scripts.run('install-pair', MAIL, pki.ecdsa.cert, pair.key)
    assert done.returncode == 78 and f'{MAIL} is left as it was' in done.stderr and 'key does not match' in done.stderr
    assert scripts.run('install-pair', MAIL, pair.cert, pair.cert.with_suffix('.missing')).returncode != 0
    assert (scripts.certs / MAIL / 'fullchain.pem').read_bytes() == before
    assert [folder.name for folder in scripts.certs.iterdir()] == [MAIL]


@pytest.mark.parametrize('name', ['', '..', '../up', 'a/b', '.hidden'])
def test_install_pair_stays_in_its_folder(scripts, pair, name):
    assert scripts.run('install-pair', name, pair.cert, pair.key).returncode == 64
    assert list(scripts.certs.iterdir()) == []


class AsNobody(launch.Direct):
    """Started by somebody who is in one group only."""

    def __init__(self, command, folder, **more):
        super().__init__(['setpriv', '--reuid=65534', '--regid=31000', '--clear-groups', *command], folder, **more)


def test_a_postern_without_root_reads_what_install_pair_leaves_and_not_certbots_own(scripts, pair, serve, pki, postern):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copy(postern, folder / 'postern')
        certs, live = folder / 'certs', folder / 'live'
        certs.mkdir()
        os.chown(certs, 0, 31000)
        certs.chmod(0o750)
        scripts.change('install-pair', str(scripts.certs), str(certs))
        assert scripts.run('install-pair', MAIL, pair.cert, pair.key).returncode == 0
        assert (certs / MAIL / 'privkey.pem').stat().st_mode & 0o777 == 0o640
        shutil.copytree(certs, live)
        live.chmod(0o700)

        class Copied(AsNobody):
            def __init__(self, command, *arguments, **more):
                super().__init__([folder / 'postern', *command[1:]], *arguments, **more)
        server = serve(['/bin/cat'], f'--cert-dir={certs}', pair=None, launcher=Copied)
        assert served(server, pki.ca, MAIL) == serial(pair.cert)
        server = serve(['/bin/cat'], f'--cert-dir={live}', pair=None, launcher=Copied)
        assert ask(server, pki.ca, MAIL).returncode != 0
        assert 'Permission denied' in server.wait().log


# dehydrated

OFFLINE = '''
DEHYDRATED_NOOP=NOOP
. /usr/bin/dehydrated
CONFIG=$1 NAME=$2
shift 2
load_config
API=2 CA_NEW_ORDER=none
# It is given the request, or from version 0.7.2 on its file.
sign_csr() { case $1 in -*) printf '%s\n' "$1" ;; *) cat "$1" ;; esac | openssl x509 -req -CA "$CA_CERT" -CAkey "$CA_KEY" -days 30 -copy_extensions copy; cat "$CA_CERT"; } >&3
mkdir -p "$CERTDIR/$NAME"
sign_domain "$CERTDIR/$NAME" "$(date +%s%N)" "$@"
'''


@pytest.fixture
def dehydrated(pki, tmp_path, scripts):
    """dehydrated(folder, name...): its own code makes or renews a certificate, but for the way to the CA: on that it
    starts hundreds of programs."""
    conf = tmp_path / 'dehydrated.conf'
    (tmp_path / 'dehydrated').mkdir()
    conf.write_text(f'BASEDIR={tmp_path}/dehydrated\nWELLKNOWN={tmp_path}\nKEY_ALGO=prime256v1\nHOOK={scripts.folder}/dehydrated-hook\n')
    environment = dict(scripts.environment, CA_CERT=str(pki.ca), CA_KEY=str(pki.folder / 'ca.key'))

    def call(*names):
        run('/bin/bash', '-c', OFFLINE, 'dehydrated', conf, *names, env=environment)
    call.certs = tmp_path / 'dehydrated/certs'
    return call


def test_dehydrateds_folder_is_served_as_it_is_and_what_its_hook_copies_too(dehydrated, scripts, by_name, pki):
    alias, names = '_.example.org', ['*.example.org', 'mail.example.com']    # as they are in domains.txt
    server, copies = by_name(dehydrated.certs), by_name(scripts.certs)
    dehydrated(alias, *names)
    first = serial(dehydrated.certs / alias / 'fullchain.pem')
    assert served(server, pki.ca, MAIL) == first
    dehydrated(alias, *names)
    second = serial(dehydrated.certs / alias / 'fullchain.pem')
    assert second != first
    assert served(server, pki.ca, MAIL) == served(copies, pki.ca, MAIL) == served(copies, pki.ca, names[1]) == second


@pytest.mark.parametrize('hook', ['deploy_challenge', 'startup_hook', 'this_hookscript_is_broken__dehydrated_is_working_fine'])
def test_dehydrateds_hook_leaves_all_else_alone(scripts, hook):
    assert scripts.run('dehydrated-hook', hook, MAIL, 'token').returncode == 0
    assert list(scripts.certs.iterdir()) == []


# lego and uacme

def test_lego_s_hook_puts_its_certificates_where_they_are_served(acme, scripts, by_name, pki, tmp_path):
    lego = ['lego', '--path', tmp_path / 'lego', '--server', acme.url, '--accept-tos', '--email', 'ann@example.org',
            '--http', '--domains', MAIL]
    hook = scripts.folder / 'lego-hook'
    server = by_name(scripts.certs)
    for words in (['run', '--run-hook'], ['renew', '--no-random-sleep', '--days', '90', '--renew-hook']):
        run(*lego, *words, hook, env=scripts.environment)
        assert served(server, pki.ca, MAIL) == serial(tmp_path / f'lego/certificates/{MAIL}.crt')


def test_uacme_renew_gets_a_certificate_and_renews_it_when_it_is_due(acme, scripts, by_name, pki, tmp_path):
    conf = tmp_path / 'uacme'
    scripts.change('uacme-renew', '/etc/ssl/uacme', str(conf))
    scripts.change('uacme-renew', 'uacme -c "$conf"', f'uacme -a {acme.url} -c "$conf" $force')
    run('uacme', '-a', acme.url, '-c', conf, '-y', '-t', 'EC', 'new', 'ann@example.org')
    server = by_name(scripts.certs)
    numbers = []
    for force in ('', '-f', '-d 1'):    # the last one: it is not due yet
        done = scripts.run('uacme-renew', MAIL, force=force)
        assert done.returncode == 0, done.stderr
        numbers.append(serial(conf / MAIL / 'cert.pem'))
        assert served(server, pki.ca, MAIL) == numbers[-1]
    assert numbers[0] != numbers[1] == numbers[2]


# A CA of one's own

@pytest.fixture(scope='module')
def ca(tmp_path_factory):
    """ca(word...) runs make-ca.sh in a folder of its own."""
    folder = tmp_path_factory.mktemp('ca') / 'ca'

    def call(*words):
        return run(CERTIFICATES / 'make-ca.sh', folder, *words, env=dict(os.environ, P12_PASSWORD='secret'))
    call('ca', 'Example mail CA')
    call('server', 'localhost', MAIL)
    call.folder, call.pem, call.crl = folder, folder / 'ca.pem', folder / 'crl.pem'
    call.client = lambda name: ['-cert', str(folder / f'clients/{name}.pem'), '-key', str(folder / f'clients/{name}.key')]
    return call


def test_make_ca_makes_a_server_that_clients_believe(ca, by_name):
    ca('server', IMAP)
    server = by_name(ca.folder / 'servers')
    assert served(server, ca.pem, IMAP) == serial(ca.folder / f'servers/{IMAP}/fullchain.pem')
    assert served(server, ca.pem, 'localhost') != served(server, ca.pem, IMAP)


def test_make_ca_makes_clients_and_takes_one_back(ca, serve, tmp_path, postern):
    ca('client', 'alice')
    ca('client', 'bob')
    options = [f'--cert-dir={ca.folder}/servers', f'--client-ca={ca.pem}', f'--crl={ca.crl}']
    server = serve(['/bin/cat'], *options, pair=None)

    def user(name):
        answer = ask(server, ca.pem, 'localhost', *ca.client(name))
        return answer, server.wait()
    for name in ('alice', 'bob'):
        answer, ended = user(name)
        assert (answer.returncode, ended.summary['user']) == (0, name), answer.stderr
    ca('revoke', 'bob')
    _, ended = user('bob')
    assert ended.status == 76 and 'client certificate CN=bob: revoked' in ended.log
    assert user('alice')[1].summary['user'] == 'alice'
    report = run(postern, '--check', *options, '--', '/bin/cat')
    assert 'CA CN=Example mail CA' in report and 'holds until' in report

    p12 = run('openssl', 'pkcs12', '-in', ca.folder / 'clients/alice.p12', '-passin', 'pass:secret', '-nokeys')
    assert ssl.PEM_cert_to_DER_cert(p12[p12.index('-----BEGIN'):].strip()) == \
        ssl.PEM_cert_to_DER_cert((ca.folder / 'clients/alice.pem').read_text())


def test_make_ca_keeps_keys_to_itself_and_makes_no_second_ca(ca):
    for key in [*ca.folder.rglob('*.key'), *ca.folder.rglob('privkey.pem')]:
        assert key.stat().st_mode & 0o077 == 0, key
    before = ca.pem.read_bytes()
    done = subprocess.run([CERTIFICATES / 'make-ca.sh', ca.folder, 'ca', 'Another'], capture_output=True, text=True, check=False)
    assert done.returncode == 73 and ca.pem.read_bytes() == before


# A login by certificate

def code(text):
    """A script without its comments."""
    return [line for line in text.splitlines() if line and not line.startswith('#')]


def test_imap_login_is_the_one_in_the_manual():
    manual = (TOP / 'man/postern.8').read_text()
    [shown] = re.findall(r'^#!/bin/sh\nuser=.*?(?=^\.Ed)', manual, re.MULTILINE | re.DOTALL)
    assert code(shown.replace(r'\e', '\\')) == code((CERTIFICATES / 'imap-login').read_text())


@pytest.fixture
def imap(serve, ca):
    """Dovecot's imap behind imap-login, inside the Debian tree; and the user who has mail there."""
    with daemons.mail_user() as user, daemons.dovecot_conf() as (_, conf), daemons.folder_inside() as (outside, inside):
        text = (CERTIFICATES / 'imap-login').read_text()
        script = outside / 'imap-login'
        script.write_text(text.replace('/usr/lib/dovecot/imap', f'/usr/lib/dovecot/imap -c {conf}'))
        script.chmod(0o755)
        server = serve(debian.inside(f'{inside}/imap-login'), f'--cert-dir={ca.folder}/servers', f'--client-ca={ca.pem}', pair=None)
        yield server, user.name


def test_curl_reads_mail_by_its_certificate(imap, ca):
    server, user = imap
    ca('client', user)
    got = clients.curl(server, ca.pem, '1.3', 'imaps', 'INBOX;MAILINDEX=1', *[f'-{word}' if word.startswith('-') else word for word in ca.client(user)])
    assert dialogues.without_own_headers(got) == daemons.MESSAGES[0]
    ended = server.wait()
    assert (ended.status, ended.summary['user']) == (0, user)


@pytest.mark.parametrize('name', ['mail', '31000'])
def test_imap_login_turns_away_who_is_no_user(imap, ca, name):
    server, _ = imap
    ca('client', name)
    with clients.s_client(server, ca.pem, '1.3', *ca.client(name)) as talk:
        talk.expect(r'\* BYE no such user')
    assert server.wait().status == 1


def test_every_script_can_be_run():
    for path in CERTIFICATES.iterdir():
        assert path.stat().st_mode & 0o777 == 0o755, path
        assert path.read_text().startswith('#!/bin/sh\n# SPDX-License-Identifier: GPL-2.0-or-later\n'), path
