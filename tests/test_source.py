# SPDX-License-Identifier: GPL-2.0-or-later
"""The sources keep to the order that they are said to have."""

import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent

# The folder says in which process a file runs, and so whose headers it may include besides those of its own folder.
# src/postern.c may include all.
MAY_INCLUDE = {
    'common': set(),
    'dialect': set(),
    'x509': {'common'},
    'start': {'common', 'dialect'},
    'tls': {'x509', 'start', 'common'},
    'vault': {'x509', 'start', 'common'},
    'gate': {'tls', 'dialect', 'x509', 'start', 'common'},
    'monitor': {'vault', 'start', 'common', 'dialect'},
    'check': {'vault', 'monitor', 'tls', 'x509', 'start', 'common', 'dialect'},
}
SOURCES = sorted([*TOP.glob('src/*.[ch]'), *TOP.glob('src/*/*.[ch]')])
NAMES = {str(path.relative_to(TOP / 'src')) for path in SOURCES}
MODULES = sorted({name[:-2] for name in NAMES})


def included(module):
    """The modules whose headers this one includes, without itself."""
    files = [TOP / 'src' / f'{module}.{kind}' for kind in 'ch']
    text = ''.join(file.read_text() for file in files if file.exists())
    names = set(re.findall(r'#include "([^"]+)"', text))
    return {name[:-2] for name in names if not name.startswith('../../tests/')} - {module}


def test_every_folder_of_sources_has_a_rule():
    assert {path.parent.name for path in SOURCES} - {'src'} == set(MAY_INCLUDE)


@pytest.mark.parametrize('module', [module for module in MODULES if '/' in module])
def test_a_file_includes_only_what_its_folder_may(module):
    folder = module.split('/')[0]
    for other in included(module):
        assert f'{other}.h' in NAMES, f'{module} includes {other}.h, which has no folder or is not there'
        assert other.split('/')[0] in MAY_INCLUDE[folder] | {folder}, f'{module} includes {other}.h'


def test_no_two_files_include_each_other_by_whatever_way():
    state = {}

    def visit(module, way):
        assert module not in way, ' -> '.join([*way, module])
        if module not in state:
            for other in included(module):
                visit(other, [*way, module])
            state[module] = True
    for module in MODULES:
        visit(module, [])


@pytest.mark.parametrize('header, folders', [('wolfssl/', {'tls', 'vault'}), ('linux/seccomp.h', {'start'})])
def test_only_those_meant_to_include_a_library(header, folders):
    assert {path.parent.name for path in SOURCES if f'#include <{header}' in path.read_text()} == folders


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
