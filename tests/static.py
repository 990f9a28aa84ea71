# SPDX-License-Identifier: GPL-2.0-or-later
"""`make check-static`, `make check-cross`: what is true of a static binary only. POSTERN is the one to look at, in the
folder that it was built in."""

import os
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from harness import elf as elf_module, manual
from harness.elf import DT_NEEDED, ET_DYN, EXECUTABLE, PT_GNU_STACK, PT_INTERP, SHT_SYMTAB

SMALL_MAX = 700_000          # bytes, of the one for routers
POST_QUANTUM_MAX = 800_000    # and with post-quantum key exchange in it


@pytest.fixture(name='elf')
def of_the_program(program):
    return elf_module.Elf(program)


@pytest.fixture(name='version')
def what_it_says_of_itself(postern):
    return subprocess.run([postern, '--version'], capture_output=True, text=True, check=True).stdout


def test_it_needs_no_library_and_no_loader(elf):
    assert elf.segment(PT_INTERP) is None
    assert DT_NEEDED not in elf.dynamic_tags()


def test_it_is_loaded_at_another_address_each_time(elf):
    assert elf.type == ET_DYN


def test_its_stack_is_not_executable(elf):
    assert not elf.segment(PT_GNU_STACK)['flags'] & EXECUTABLE


def test_it_is_stripped(elf):
    assert SHT_SYMTAB not in elf.section_types


def test_the_small_one_is_small(program, version):
    if program.parent.name.endswith('small'):
        assert program.stat().st_size <= (POST_QUANTUM_MAX if 'X25519MLKEM768' in version else SMALL_MAX)


def test_no_header_of_this_machine_went_into_it_but_the_kernels(program):
    """What the compiler has read is in the files that make rebuilds by."""
    lists = [file.read_text(encoding='utf-8') for file in program.parent.rglob('*.d')]
    assert len(lists) > 50, 'not the folder that it was built in'
    headers = {word for text in lists for word in text.replace('\\\n', ' ').split() if word.endswith('.h')}
    assert any(header.endswith('/wolfssl/ssl.h') for header in headers)
    ours = re.compile(r'/usr/(local/)?include/(?!linux/|asm-generic/|[^/]+/asm/)')
    assert not [header for header in headers if ours.match(header)]


FOLDERS = [
    ([], 'build/static/fast'),
    (['PROFILE=small'], 'build/static/small'),
    (['CC=gcc'], 'build/static/fast'),
    (['CC=gcc-12'], 'build/static/fast'),
    (['CC=clang', 'PROFILE=small'], 'build/static/small'),
    (['CC=arm-linux-gnueabihf-gcc', 'PROFILE=small'], 'build/static/arm-linux-gnueabihf-small'),
    (['CC=mipsel-linux-gnu-gcc-12'], 'build/static/mipsel-linux-gnu-fast'),
    (['CC=/opt/sdk/bin/mipsel-openwrt-linux-musl-gcc'], 'build/static/mipsel-openwrt-linux-musl-fast'),
    (['CC=ccache riscv64-linux-gnu-gcc -O3'], 'build/static/riscv64-linux-gnu-fast'),
    (['CC=arm-linux-gnueabihf-gcc', 'BUILD=elsewhere'], 'elsewhere'),
]


@pytest.mark.parametrize('words, folder', FOLDERS, ids=lambda value: ' '.join(value) if isinstance(value, list) else value)
def test_each_processor_and_profile_has_a_folder_of_its_own_unless_told_otherwise(words, folder):
    run = subprocess.run(['make', '-s', '--eval=where: ; @echo $(STATIC_BUILD)', 'where', *words], cwd=manual.TOP,
                         capture_output=True, text=True, check=True)
    assert run.stdout.strip() == folder


def test_it_has_all_that_is_used_of_the_library(version):
    features = re.search(r'^wolfSSL \S+ \(built against \S+\): (.*)$', version, re.MULTILINE)[1].split()
    assert {'TLS1.3', 'TLS1.2', 'TLS1.1', 'TLS1.0', 'SNI', 'X25519', 'Ed25519', 'tickets', 'exporter', 'client-certificates',
            'CRL'} <= set(features)
    assert re.search(r'^jail: .*\bLandlock, seccomp$', version, re.MULTILINE)


def cpu_has_aes():
    flags = re.search(r'^(?:flags|Features)\s*:(.*)$', Path('/proc/cpuinfo').read_text(encoding='ascii'), re.MULTILINE)
    return flags is not None and 'aes' in flags[1].split()


def test_it_knows_whether_this_processor_has_aes(version, elf):
    assert ('AES-hardware' in version) == (cpu_has_aes() and elf.machine == 'x86_64')


@pytest.mark.parametrize('maximum', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_aes_is_preferred_only_where_the_processor_has_it(serve, pki, version, maximum):
    server = serve(['/bin/cat'])
    context = ssl.create_default_context(cafile=pki.ca)
    context.maximum_version = maximum
    with context.wrap_socket(server.connect(), server_hostname='localhost') as client:
        cipher = client.cipher()[0]
    assert ('CHACHA20' in cipher) == ('AES-hardware' not in version), cipher
    server.wait()


@pytest.mark.skipif(os.getuid() != 0, reason='only root may change the root folder')
def test_it_serves_where_there_is_nothing_but_itself_and_its_certificate(program, postern, pki, tmp_path):
    """A root folder with no library, no /etc and nothing in /dev but null; the handler is the program's --version."""
    if postern != program:
        pytest.skip('a program for another processor is run by qemu, which is not in that folder')
    root = tmp_path / 'root'
    (root / 'tmp').mkdir(parents=True)    # for the gate's own root folder
    (root / 'dev').mkdir()
    (root / 'dev/null').touch()
    for source, name in [(postern, 'postern'), (pki.ecdsa.cert, 'cert'), (pki.ecdsa.key, 'key')]:
        shutil.copy(source, root / name)
    ours, theirs = socket.socketpair()
    with theirs:
        command = ['/postern', '--log=stderr', '--jail=strict', '--cert=/cert', '--key=/key', '/postern', '--version']
        server = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True,
                                  preexec_fn=lambda: os.chroot(root))
    context = ssl.create_default_context(cafile=pki.ca)
    try:
        with context.wrap_socket(ours, server_hostname='localhost') as client:
            answer = b''.join(iter(lambda: client.recv(1000), b''))
    finally:
        log = server.communicate(timeout=20)[1]
    assert (server.returncode, answer[:8]) == (0, b'postern '), log
