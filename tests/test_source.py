# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources keep to the order that they are said to have."""

import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent

# A file includes only headers of lower layers, besides its own. Within a layer nobody knows anybody.
LAYERS = [
    ['alert', 'bytes', 'der', 'dialect', 'hello', 'io', 'jail_filter', 'memory', 'message', 'nearest', 'outlet', 'peer', 'pem', 'seed', 'suites', 'ticket', 'utf8'],
    ['census', 'decoy', 'delivery', 'dn', 'facts', 'reframe', 'resumption', 'ruling', 'staple', 'trust', 'wish', 'x509'],
    ['environment', 'identity', 'log'],
    ['activation', 'certs', 'chain', 'child', 'clientca', 'config', 'notify', 'report', 'trace', 'ucspi_ends'],
    ['choose', 'keys', 'options', 'ucspi'],
    ['client_ca', 'clientcert', 'jail', 'policy', 'proxy', 'reasons', 'tickets'],
    ['ask', 'check_clients', 'handler', 'opening', 'ticket_file', 'tls', 'vault'],
    ['check_certs', 'gate_trace', 'load', 'lobby', 'monitor_trace', 'provision', 'relay'],
    ['check', 'client', 'end', 'renewal', 'session'],
    ['answer', 'handshake', 'summary'],
    ['gate', 'monitor'],
    ['listener'],
    ['postern'],
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
SOURCES = sorted([*TOP.glob('src/*.[ch]'), *TOP.glob('src/dialect/*.[ch]')])


def module(path):
    return 'dialect' if path.parent.name == 'dialect' else path.stem


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: path.name)
def test_a_file_includes_only_headers_of_lower_layers(path):
    for name in re.findall(r'#include "(?:dialect/)?(\w+)\.h"', path.read_text()):
        if name != module(path):
            assert LAYER[name] < LAYER[module(path)], f'{path.name} includes {name}.h'


@pytest.mark.parametrize('header, users', [
    ('wolfssl/', {'tls', 'suites', 'staple', 'keys', 'chain', 'pem', 'clientca', 'clientcert', 'tickets', 'resumption'}),
    ('linux/seccomp.h', {'jail_filter'}),
])
def test_only_those_meant_to_include_a_library(header, users):
    found = {path.stem for path in SOURCES if f'#include <{header}' in path.read_text()}
    assert found == users


def tracked():
    names = subprocess.run(['git', '-C', TOP, 'ls-files', '-z'], capture_output=True, text=True, check=False).stdout
    return [TOP / name for name in names.split('\0') if name and (TOP / name).exists()]


def test_every_file_names_its_license():
    without = {'COPYING', '.gitignore'}
    for path in tracked():
        if path.name not in without and 'seeds' not in path.parts:
            assert 'SPDX-License-Identifier: GPL-2.0-or-later' in path.read_text(errors='replace')[:400], path


def test_the_top_level_holds_only_what_it_should():
    allowed = {'src', 'tests', 'examples', 'man', 'Makefile', 'README', 'COPYING', '.ci', '.gitignore', '.clang-format',
               '.clang-tidy'}
    assert {path.relative_to(TOP).parts[0] for path in tracked()} <= allowed


def test_the_manual_is_clean_and_knows_every_option(postern):
    page = TOP / 'man/postern.8'
    lint = subprocess.run(['mandoc', '-Tlint', '-W', 'warning', page], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, '')
    shown = subprocess.run(['mandoc', '-Tascii', page], capture_output=True, text=True, check=True).stdout
    shown = re.sub(r'.\x08', '', shown)
    usage = subprocess.run([postern, '--help'], capture_output=True, text=True, check=True).stdout
    options = re.findall(r'(--[a-z-]+)', usage.split('To try it')[0])
    assert len(options) > 20
    assert [option for option in options if option not in shown] == []


def test_the_program_knows_no_file_for_the_secrets_of_sessions(postern):
    assert b'KEYLOG' not in postern.read_bytes()
