# SPDX-License-Identifier: GPL-2.0-or-later
"""`make check-static`: what is true of a static binary only. POSTERN is the one to look at, below build/static."""

import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
from pathlib import Path

import pytest

SMALL_MAX = 700_000    # bytes, of the one for routers

ET_DYN = 3
PT_DYNAMIC, PT_INTERP, PT_GNU_STACK = 2, 3, 0x6474e551
DT_NEEDED = 1
SHT_SYMTAB = 2
EXECUTABLE = 1


class Elf:
    """The headers of a program of 64 bits, in this machine's byte order."""

    def __init__(self, path):
        self.data = path.read_bytes()
        assert self.data[:5] == b'\x7fELF\2'
        self.type, = struct.unpack_from('H', self.data, 16)
        segments, sections = struct.unpack_from('QQ', self.data, 32)
        size, count, section_size, section_count = struct.unpack_from('HHHH', self.data, 54)
        self.segments = [struct.unpack_from('IIQQQQQQ', self.data, segments + i * size) for i in range(count)]
        self.section_types = [struct.unpack_from('I', self.data, sections + i * section_size + 4)[0]
                              for i in range(section_count)]

    def segment(self, kind):
        return next((one for one in self.segments if one[0] == kind), None)

    def dynamic_tags(self):
        _, _, at, _, _, size, _, _ = self.segment(PT_DYNAMIC)
        return [tag for tag, _ in struct.iter_unpack('QQ', self.data[at:at + size])]


@pytest.fixture(name='elf')
def of_the_program(postern):
    return Elf(postern)


@pytest.fixture(name='version')
def what_it_says_of_itself(postern):
    return subprocess.run([postern, '--version'], capture_output=True, text=True, check=True).stdout


def test_it_needs_no_library_and_no_loader(elf):
    assert elf.segment(PT_INTERP) is None
    assert DT_NEEDED not in elf.dynamic_tags()


def test_it_is_loaded_at_another_address_each_time(elf):
    assert elf.type == ET_DYN


def test_its_stack_is_not_executable(elf):
    assert not elf.segment(PT_GNU_STACK)[1] & EXECUTABLE


def test_it_is_stripped(elf):
    assert SHT_SYMTAB not in elf.section_types


def test_the_small_one_is_small(postern):
    if 'small' in postern.parts:
        assert postern.stat().st_size <= SMALL_MAX


def test_it_has_all_that_is_used_of_the_library(version):
    features = re.search(r'^wolfSSL \S+ \(built against \S+\): (.*)$', version, re.MULTILINE)[1].split()
    assert {'TLS1.3', 'TLS1.2', 'TLS1.1', 'TLS1.0', 'SNI', 'X25519', 'Ed25519', 'tickets', 'exporter', 'client-certificates',
            'CRL'} <= set(features)
    assert re.search(r'^jail: .*\bLandlock, seccomp$', version, re.MULTILINE)


def cpu_has_aes():
    flags = re.search(r'^(?:flags|Features)\s*:(.*)$', Path('/proc/cpuinfo').read_text(encoding='ascii'), re.MULTILINE)
    return flags is not None and 'aes' in flags[1].split()


def test_it_knows_whether_this_processor_has_aes(version):
    assert ('AES-hardware' in version) == (cpu_has_aes() and os.uname().machine == 'x86_64')


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
def test_it_serves_where_there_is_nothing_but_itself_and_its_certificate(postern, pki, tmp_path):
    """A root folder with no library, no /etc and nothing in /dev but null; the handler is the program's --version."""
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
