# SPDX-License-Identifier: GPL-2.0-or-later
"""SSLKEYLOGFILE: a debug build, which is never installed, writes the secrets of its sessions; any other build does not.

The debug build is looked at with MATRIX=all only, since it takes a while to make.
"""

import os
import subprocess

import pytest

from harness import builds, clients, launch, resume

DEBUG = ['CPPFLAGS=-DPOSTERN_DEBUG', 'CFLAGS=-O0']
BUILDS = ['usual', *(['debug'] if os.environ.get('MATRIX') == 'all' else [])]
HANDLER = ['/bin/sh', '-c', 'echo ready; read line']


def secrets(file):
    """What a file in that form says, in its order."""
    return [line for line in file.read_text(encoding='ascii').splitlines() if not line.startswith('#')]


def connect_twice(server, pki, version, keylog):
    """A session and one that is resumed from it, of which the client writes down the secrets as well: the two logs."""
    context = clients.context(pki.ca, version)
    context.keylog_filename = str(keylog)
    session, logs = None, []
    for resumed in (False, True):
        with context.wrap_socket(server.connect(), server_hostname=clients.NAME, session=session) as connection:
            connection.sendall(b'bye\n')
            with connection.makefile('rb') as file:
                assert file.read() == b'ready\n'
            assert connection.session_reused == resumed
            session = connection.session
        logs.append(server.wait().log.splitlines())
    return logs


@pytest.mark.parametrize('build', BUILDS)
def test_secrets_are_written_by_a_debug_build_only_and_are_those_of_the_client(postern, pki, tmp_path, build):
    program = builds.make('debug', *DEBUG) if build == 'debug' else postern
    ours = tmp_path / 'ours'
    tickets = resume.new_key(postern, tmp_path / 'tickets')
    command = [program, *pki.ecdsa.options(), f'--tickets={tickets}', '--', *HANDLER]
    with launch.Direct(command, tmp_path / 'server', environment={'SSLKEYLOGFILE': str(ours)}) as server:
        for version in ('1.2', '1.3') if build == 'debug' else ('1.2',):
            theirs = tmp_path / f'theirs.{version}'
            for log in connect_twice(server, pki, version, theirs):
                if build == 'usual':
                    assert len(log) == 1 and not ours.exists()
                    continue
                assert len(log) == 2 and 'this build of postern is for debugging: it writes the secrets of sessions' in log[0]
                tells_tls13 = 'not of 1.3' not in log[0]
            if build == 'debug':
                assert len(secrets(theirs)) == {'1.2': 2, '1.3': 10}[version]
                wanted = secrets(theirs) if version == '1.2' or tells_tls13 else []
                assert sorted(secrets(ours)) == sorted(wanted)
                assert ours.stat().st_mode & 0o777 == 0o600
                ours.unlink()


def test_the_program_does_not_know_the_variable(postern):
    assert b'KEYLOG' not in postern.read_bytes()


def test_a_debug_build_is_not_installed(tmp_path):
    run = subprocess.run(['make', '-n', 'install', 'CPPFLAGS=-DPOSTERN_DEBUG', f'DESTDIR={tmp_path}'], cwd=builds.TOP,
                         capture_output=True, text=True, check=False)
    assert run.returncode != 0 and 'a debug build, which writes the secrets of sessions, is not installed' in run.stderr
