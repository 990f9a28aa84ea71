# SPDX-License-Identifier: GPL-2.0-or-later
"""What every test may ask for."""

import os
import signal
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from harness import daemons, elf, launch, limit, lobby, pki as pki_module, ports, processes

BUILD = Path(__file__).resolve().parent.parent / 'build'
GROUPS = [4, 24, 4711]

# Programs speak the language of who runs the tests; we understand one.
os.environ['LC_ALL'] = 'C.UTF-8'
os.environ.pop('LANGUAGE', None)
limit.set_default()


def pytest_configure(config):
    config.addinivalue_line('markers', 'big(n): a table of which every n-th row will do, unless MATRIX=all')
    config.addinivalue_line('markers', 'not_sanitized(why): a sanitizer gets in the way of this test (make asan)')
    config.addinivalue_line('markers', 'leaves(name): this test may leave processes of that name behind')
    processes.become_subreaper()
    remove_faketimes_leavings()
    if os.getuid() == 0:
        os.setgroups(GROUPS)    # some init systems leave root its groups, and then all that it starts has them
    signal.signal(signal.SIGHUP, signal.SIG_DFL)    # nohup ignores it, and so would all that we start


def remove_faketimes_leavings():
    """faketime leaves shared memory named by its process id, and fails if a process of that number left some before."""
    for file in [*Path('/dev/shm').glob('faketime_shm_*'), *Path('/dev/shm').glob('sem.faketime_sem_*')]:
        if not Path(f'/proc/{file.name.rpartition("_")[2]}').exists():
            with suppress(OSError):
                file.unlink()


def rows_left_out(items):
    """Of big tables a part is run, always the same, so that make check stays short; with MATRIX=all they are whole."""
    if os.environ.get('MATRIX') == 'all':
        return
    rows = Counter()
    for item in items:
        marker = item.get_closest_marker('big')
        if marker:
            rows[item.originalname, item.fspath] += 1
            if rows[item.originalname, item.fspath] % marker.args[0] != 1:
                yield item


def pytest_collection_modifyitems(config, items):
    left_out = [*rows_left_out(items)]
    if os.environ.get('SANITIZED'):
        left_out += [item for item in items if item.get_closest_marker('not_sanitized')]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def pytest_unconfigure():
    remove_faketimes_leavings()


@pytest.hookimpl(optionalhook=True)
def pytest_timeout_set_timer(item, settings):
    limit.arm(item, settings.timeout)
    return True


@pytest.fixture(autouse=True)
def nothing_left_behind(request):
    """At the end of each test no process is left: no orphan, no zombie, no handler that goes on."""
    yield
    left = processes.left_behind()
    processes.reap(left)
    allowed = {name for marker in request.node.iter_markers('leaves') for name in marker.args}
    left = [process for process in left if process.name not in allowed]
    assert not left, f'left behind: {left}'


@pytest.fixture(scope='session')
def program():
    """The path of the file under test."""
    path = Path(os.environ.get('POSTERN', BUILD / 'postern')).resolve()
    assert os.access(path, os.X_OK), f'{path} is not there: run make first, or set POSTERN'
    return path


@pytest.fixture(scope='session')
def postern(program, tmp_path_factory):
    """What runs the program under test: its path, or a script if it is made for another processor."""
    return elf.runnable(program, tmp_path_factory.mktemp('foreign'))


@pytest.fixture(scope='session')
def pki(tmp_path_factory):
    return pki_module.Pki(tmp_path_factory.mktemp('pki'))


@pytest.fixture
def serve(postern, pki, tmp_path):
    """serve(handler, option...) starts a server: postern with a certificate in front of `handler`.

    pair=NAME chooses the certificate (a name in pki.py, or a Pair; None: no --cert at all), launcher=CLASS who starts
    postern. What else is given by name goes to the launcher: family, environment, stderr, start.
    """
    with ExitStack() as stack:
        def start(handler, *options, pair='ecdsa', launcher=launch.Direct, **more):
            if more.get('family') == 'inet6' and not ports.has_ipv6():
                pytest.skip('this machine has no IPv6')
            if isinstance(pair, str):
                pair = pki.pair(pair)
            certificate = pair.options() if pair else []
            command = [postern, *certificate, *options, '--', *handler]
            start.number += 1
            return stack.enter_context(launcher(command, tmp_path / f'server.{start.number}', **more))
        start.number = 0
        yield start


@pytest.fixture
def go_on(serve):
    """go_on(way, script, option...) gives a server, and a client whose session goes on in plaintext (lobby.WAYS).

    Then the handler is the script, whose $1, $2 ... are in `words`. before: look at the server before the lobby is left.
    What else is given by name goes to the launcher.
    """
    with ExitStack() as stack:
        def start(name, script, *options, words=(), before=None, receive_buffer=None, **more):
            way = {**lobby.WAYS, **lobby.HALF_WAYS}[name]
            server = serve(way.handler(script, *words), way.dialect.option, *way.options, *options, **more)
            client = stack.enter_context(lobby.counted(lobby.Client(server, receive_buffer=receive_buffer)))
            client.hears(way.greeting.encode())
            if before:
                before(server)
            way.leave(client)
            return server, client
        yield start


@pytest.fixture
def daemon():
    """daemon(name) gives a real daemon with a mailbox of its own: see harness/daemons.py."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(daemons.start(name))
