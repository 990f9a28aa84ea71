# SPDX-License-Identifier: GPL-2.0-or-later
"""make install, uninstall, dist and deb, each in a copy of the sources, with the objects that are there already."""

import fcntl
import hashlib
import os
import re
import shutil
import socket
import subprocess
import tarfile
from pathlib import Path

import pytest

from harness import processes, tls

pytestmark = pytest.mark.not_sanitized('has nothing to do with it')

TOP = Path(__file__).resolve().parent.parent
NOT_SOURCES = shutil.ignore_patterns('__pycache__', '.pytest_cache', '*.pyc')
INSTALLED_FROM = ['src', 'man', 'examples', 'README', 'COPYING', 'Makefile', 'tests/packages']
OBJECTS = ['obj', 'flags', 'emptydir']
ALL = ['src', 'man', 'examples', 'README', 'COPYING', 'Makefile', 'tests', '.ci', '.gitignore', '.clang-format', '.clang-tidy']
TIMEOUT = 120
AGE = 1600000000    # of the last commit: September 2020
FOLDER, FILE, PROGRAM = 0o755, 0o644, 0o755

# Two folders and both modes, a page of another section: whatever examples/ and man/ hold besides.
ADDED = {'examples/test/inetd.conf': FILE, 'examples/test/deep/run': PROGRAM, 'man/postern-test.7': FILE}
PAGES = sorted({path.name for path in TOP.glob('man/*.[1-9]')} | {'postern-test.7'})
EXAMPLES = {str(path.relative_to(TOP)): PROGRAM if path.stat().st_mode & 0o100 else FILE
            for path in TOP.glob('examples/**/*') if path.is_file() and '__pycache__' not in path.parts}
EXAMPLES.update({name: mode for name, mode in ADDED.items() if name.startswith('examples')})


def run(*words, where=None, umask=0o022, **environment):
    """Run it, and give what it has printed."""
    ended = subprocess.run(list(map(str, words)), cwd=where, umask=umask, env={**os.environ, **environment}, text=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT,
                           check=False)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def make(where, target, *variables, umask=0o022, **environment):
    return run('make', target, 'BUILD=build', *variables, where=where, umask=umask, **environment)


def lend(folder, *names):
    """Objects need not be compiled once more for every copy of the sources."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (TOP / 'build' / name).exists():
            run('cp', '-a', TOP / 'build' / name, folder)


def git(where, *words, **environment):
    return run('git', '-c', 'safe.directory=*', '-c', 'maintenance.auto=false', '-c', 'user.name=nobody', '-c', 'user.email=nobody@localhost', *words,
               where=where, **environment)


def copy_sources(folder, parts):
    for part in parts:
        if (TOP / part).is_dir():
            shutil.copytree(TOP / part, folder / part, ignore=NOT_SOURCES)
        elif (TOP / part).exists():
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / part, folder / part)
    for name, mode in ADDED.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('/usr/local/sbin/postern\n', encoding='ascii')
        (folder / name).chmod(mode)
    return folder


@pytest.fixture(scope='module', name='sources')
def copy_of_what_is_installed(tmp_path_factory):
    folder = copy_sources(tmp_path_factory.mktemp('install'), INSTALLED_FROM)
    lend(folder / 'build', *OBJECTS, 'postern')
    return folder


@pytest.fixture(scope='session', name='version')
def version_of_the_program(postern):
    return re.match(r'postern (\S+)', run(postern, '--version'))[1]


def below(folder):
    """Path → mode of all that is below this folder; folders end with a slash."""
    return {str(path.relative_to(folder)) + '/' * path.is_dir(): path.lstat().st_mode & 0o7777
            for path in folder.glob('**/*')}


def files_in(found):
    return {name: mode for name, mode in found.items() if not name.endswith('/')}


def expected(prefix, examples):
    fish = 'etc/fish/completions' if prefix == 'usr/local' else f'{prefix}/share/fish/vendor_completions.d'
    files = {'sbin/postern': PROGRAM, 'share/doc/postern/README': FILE, 'share/doc/postern/COPYING': FILE,
             'share/bash-completion/completions/postern': FILE, 'share/zsh/site-functions/_postern': FILE}
    files.update({f'share/man/man{page[-1]}/{page}': FILE for page in PAGES})
    files.update({f'share/doc/postern/{name}': mode for name, mode in examples.items()})
    return {f'{fish}/postern.fish': FILE, **{f'{prefix}/{name}': mode for name, mode in files.items()}}


# make install, make uninstall

def test_uninstall_leaves_what_others_have_put_there(sources, tmp_path):
    make(sources, 'install', f'DESTDIR={tmp_path}')
    others = ['share/doc/postern/examples/test/deep/mine', 'share/zsh/site-functions/_other', 'lib/postern/other']
    for name in others:
        (tmp_path / 'usr/local' / name).write_text('mine')
    make(sources, 'uninstall', f'DESTDIR={tmp_path}')
    assert sorted(files_in(below(tmp_path / 'usr/local'))) == sorted(others)


@pytest.mark.parametrize('prefix', ['/usr/local', '/usr', '~/.local'])
def test_fish_finds_its_completion_by_itself(sources, tmp_path, prefix):
    """Where no desktop has set XDG_DATA_DIRS."""
    home = tmp_path / 'home'
    make(sources, 'install', f'DESTDIR={tmp_path}/root', f'PREFIX={prefix.replace("~", str(home))}')
    installed = next((tmp_path / 'root').glob('**/postern.fish'))
    path = subprocess.run(['fish', '-c', r'string join \n $fish_complete_path'], env={'HOME': str(home), 'PATH': os.environ['PATH']},
                          stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True).stdout.splitlines()
    assert f'/{installed.parent.relative_to(tmp_path / "root")}' in path


def test_uninstall_leaves_fishs_own_folder(sources, tmp_path):
    (tmp_path / 'etc/fish/completions').mkdir(parents=True)
    make(sources, 'install', f'DESTDIR={tmp_path}')
    make(sources, 'uninstall', f'DESTDIR={tmp_path}')
    assert [*below(tmp_path / 'etc')] == ['fish/', 'fish/completions/']


def test_help_names_the_targets_and_variables(sources):
    lines = make(sources, 'help').splitlines()
    targets = {line.split()[1] for line in lines if line.startswith('make ')}
    assert {'demo', 'install', 'deb', 'static', 'help'} <= targets
    tests = run('make', 'help', where=TOP)
    assert {'check', 'unit', 'asan', 'fuzz'} <= {line.split()[1] for line in tests.splitlines() if line.startswith('make ')}
    assert all(len(line) <= 132 and not line.startswith('#') for line in lines)
    assert any(line.startswith('Variables: CC') for line in lines)


def test_uninstall_leaves_an_empty_folder_of_the_system(sources, tmp_path):
    (tmp_path / 'var/empty').mkdir(parents=True)
    make(sources, 'uninstall', f'DESTDIR={tmp_path}', 'EMPTYDIR=/var/empty')
    assert (tmp_path / 'var/empty').is_dir()


def test_install_needs_no_examples(sources, tmp_path):
    shutil.move(sources / 'examples', tmp_path / 'examples')
    try:
        make(sources, 'install', f'DESTDIR={tmp_path}/missing')
        (sources / 'examples').mkdir()
        make(sources, 'install', f'DESTDIR={tmp_path}/empty')
    finally:
        shutil.rmtree(sources / 'examples', ignore_errors=True)
        shutil.move(tmp_path / 'examples', sources / 'examples')
    for examples in ('missing', 'empty'):
        assert files_in(below(tmp_path / examples)) == expected('usr/local', {})


@pytest.mark.parametrize('prefix, variables', [
    ('usr/local', []),
    ('opt/postern', ['PREFIX=/opt/postern']),
])
def test_install_puts_each_file_in_its_place_for_all_to_read_and_uninstall_removes_it(sources, tmp_path, prefix, variables):
    make(sources, 'install', f'DESTDIR={tmp_path}/root', *variables, umask=0o077)
    found = below(tmp_path / 'root')
    assert files_in(found) == expected(prefix, EXAMPLES)
    assert f'{prefix}/lib/postern/empty/' in found
    assert {mode for name, mode in found.items() if name.endswith('/')} == {FOLDER}
    program = tmp_path / 'root' / prefix / 'sbin/postern'
    assert f'\0/{prefix}/lib/postern/empty\0'.encode() in program.read_bytes()
    for name in ('man/man8/postern.8', 'doc/postern/README', 'doc/postern/examples/test/deep/run'):
        text = (tmp_path / 'root' / prefix / 'share' / name).read_text()
        assert set(re.findall(r'(/[\w/]+?)/(?:sbin/postern|lib/postern/empty)\b', text)) == {f'/{prefix}'}, name
    make(sources, 'uninstall', f'DESTDIR={tmp_path}/root', *variables)
    assert sorted(below(tmp_path / 'root' / prefix)) == ['lib/', 'sbin/', 'share/', 'share/doc/', 'share/man/'] + \
        [f'share/man/man{section}/' for section in sorted({page[-1] for page in PAGES})]


@pytest.mark.parametrize('target', ['install', 'deb'])
@pytest.mark.parametrize('way', ['on the command line', 'in the environment', 'by its macro'])
def test_a_build_whose_gate_can_be_told_to_break_out_is_never_installed(tmp_path, target, way):
    folder = copy_sources(tmp_path / 'sources', [*INSTALLED_FROM, 'tests/tests.mk', 'tests/hook'])
    words = {'on the command line': ['TEST_HOOK=1'], 'by its macro': ['CPPFLAGS=-DPOSTERN_TEST']}.get(way, [])
    environment = {**os.environ, **({'TEST_HOOK': '1'} if way == 'in the environment' else {})}
    ended = subprocess.run(['make', target, 'BUILD=build', f'DESTDIR={tmp_path}/root', *words], cwd=folder, env=environment,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode != 0
    assert 'a build with TEST_HOOK is for tests alone' in ended.stderr
    assert not below(tmp_path / 'root')
    assert not list(folder.glob('build/*.deb'))


# make dist

def commit(folder):
    """A repository with one commit, whatever is committed in the one that we are in."""
    git(folder, 'init', '--quiet')
    git(folder, 'add', '.')
    git(folder, 'commit', '--quiet', '--message=All', GIT_COMMITTER_DATE=f'@{AGE} +0000')
    return folder


def test_the_tarball_is_the_same_from_every_clone_and_from_itself_and_makes_the_program(version, tmp_path):
    repository = commit(copy_sources(tmp_path / 'repository', ALL))
    name = f'postern-{version}'
    tarballs = []
    run('git', '-c', 'safe.directory=*', 'clone', '--quiet', repository, tmp_path / 'clone', umask=0o077)
    for clone, umask, zone in ((repository, 0o022, 'UTC'), (tmp_path / 'clone', 0o077, 'Asia/Kathmandu')):
        (clone / 'not-tracked').write_text('left out')
        make(clone, 'dist', umask=umask, TZ=zone)
        tarballs.append(clone / f'build/dist/{name}.tar.gz')
    first = tarballs[0].read_bytes()
    assert tarballs[1].read_bytes() == first

    with tarfile.open(tarballs[0]) as tar:
        members = tar.getmembers()
        tar.extractall(tmp_path / 'unpacked')
    tracked = git(repository, 'ls-files', '-z').split('\0')[:-1]
    assert sorted(member.name for member in members if not member.isdir()) == sorted(f'{name}/{path}' for path in tracked)
    assert {(member.uid, member.gid, member.mtime) for member in members} == {(0, 0, AGE)}
    assert {member.mode for member in members} == {FILE, PROGRAM}

    unpacked = tmp_path / 'unpacked' / name
    lend(unpacked / 'build', *OBJECTS)
    make(unpacked, 'all')
    assert run(unpacked / 'build/postern', '--version').startswith(f'postern {version}\n')
    (unpacked / 'not-ours').write_text('left out')
    make(unpacked, 'dist', umask=0o077)
    assert (unpacked / f'build/dist/{name}.tar.gz').read_bytes() == first


# make deb

def make_package(sources, version, umask=0o022):
    lend(sources / 'build/deb', *OBJECTS)
    make(sources, 'deb', umask=umask, SOURCE_DATE_EPOCH=str(AGE))
    architecture = run('dpkg', '--print-architecture').strip()
    return sources / f'build/postern_{version}_{architecture}.deb'


@pytest.fixture(scope='session', name='package')
def the_debian_package(version, tmp_path_factory):
    """Made once, by the first of pytest's workers that wants it."""
    shared = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        shared = shared.parent
    package = shared / 'postern.deb'
    with open(shared / 'postern.deb.lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not package.exists():
            shutil.copy(make_package(copy_sources(shared / 'deb', INSTALLED_FROM), version), package)
    return package


if os.environ.get('MATRIX') == 'all':
    def test_the_debian_package_is_the_same_made_elsewhere(package, version, tmp_path):
        again = make_package(copy_sources(tmp_path, INSTALLED_FROM), version, umask=0o077)
        assert again.read_bytes() == package.read_bytes()


def test_the_debian_package_holds_what_is_installed_nothing_in_etc_and_no_script(package, tmp_path):
    run('dpkg-deb', '--raw-extract', package, tmp_path / 'root', umask=0o077)
    found = below(tmp_path / 'root')
    assert {name for name in found if name.startswith('DEBIAN/')} == {'DEBIAN/', 'DEBIAN/control', 'DEBIAN/md5sums'}
    files = {re.sub(r'(/man\d/.*)', r'\1.gz', name): mode for name, mode in expected('usr', EXAMPLES).items()}
    files['usr/share/zsh/vendor-completions/_postern'] = files.pop('usr/share/zsh/site-functions/_postern')
    del files['usr/share/doc/postern/COPYING']
    files.update({f'usr/share/doc/postern/{name}': FILE for name in ('copyright', 'changelog.gz')})
    assert {name: mode for name, mode in files_in(found).items() if not name.startswith('DEBIAN/')} == files
    assert 'usr/lib/postern/empty/' in found
    sums = {name: hashlib.md5((tmp_path / 'root' / name).read_bytes()).hexdigest() for name in files}
    lines = (tmp_path / 'root/DEBIAN/md5sums').read_text().splitlines()
    assert dict(line.split('  ')[::-1] for line in lines) == sums

    run('sh', '-c', 'dpkg-deb --fsys-tarfile "$1" >"$2"', 'sh', package, tmp_path / 'tar')
    with tarfile.open(tmp_path / 'tar') as tar:
        assert {(member.uname, member.gname, member.mtime) for member in tar.getmembers()} == {('root', 'root', AGE)}


def test_the_debian_package_says_what_it_is_and_needs(package, version):
    fields = dict(line.split(': ', 1) for line in run('dpkg-deb', '--field', package).splitlines() if line[0] != ' ')
    assert (fields['Package'], fields['Version'], fields['Section']) == ('postern', version, 'mail')
    for library in (r'libc6', r'libwolfssl\d+(?:t64)?'):
        assert re.search(rf'\b{library}\b', fields['Depends'])


@pytest.fixture(name='root')
def root_folder_with_the_package_installed(package, tmp_path):
    """With nothing else in it but the libraries, and what stands for devices."""
    root = tmp_path / 'root'
    for name in ('var/lib/dpkg/info', 'var/lib/dpkg/updates', 'dev', 'tmp'):
        (root / name).mkdir(parents=True)
    for name in ('var/lib/dpkg/status', 'dev/null'):
        (root / name).touch()
    (root / 'dev/urandom').write_bytes(os.urandom(65536))    # a device can't be made everywhere
    dpkg = ['dpkg', f'--root={root}', '--force-depends', f'--log={tmp_path}/log']
    run(*dpkg, '--install', package)
    for library in re.findall(r'(/\S+) \(0x', run('ldd', root / 'usr/sbin/postern')):
        (root / library[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, root / library[1:])
    yield root
    run(*dpkg, '--purge', 'postern')
    assert [path for path in root.glob('usr/**/*postern*')] == []


@pytest.mark.skipif(os.getuid() != 0, reason='only root may change the root folder')
def test_the_installed_debian_package_has_the_empty_folder_that_the_program_looks_for(root, pki, version):
    in_root = ['chroot', root, '/usr/sbin/postern']
    assert run(*in_root, '--version').startswith(f'postern {version}\n')
    for path in (pki.ecdsa.cert, pki.ecdsa.key):
        shutil.copy(path, root / path.name)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        monitor = subprocess.Popen([*in_root, '--log=stderr', f'--cert=/{pki.ecdsa.cert.name}', f'--key=/{pki.ecdsa.key.name}',
                                    '/usr/sbin/postern'], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True)
        try:
            theirs.close()
            gate = tls.gate_of(monitor)
            assert os.readlink(f'/proc/{gate}/root') == f'{root}/usr/lib/postern/empty'
            ours.close()
            log = monitor.communicate(timeout=tls.TIMEOUT)[1]
            assert monitor.returncode == 0, log
        finally:
            processes.stop(monitor)
