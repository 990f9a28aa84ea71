# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes builds of postern for tests only, each in its own folder below build."""

import fcntl
import functools
import os
import subprocess
from pathlib import Path

from harness import limit

TOP = Path(__file__).resolve().parent.parent.parent


@functools.cache
def make(name, *words):
    """Returns the program that `make BUILD=build/NAME WORD...` makes. The first test that needs it makes it."""
    # Drops the flags of a make(1) that has started the tests.
    mine = ('MAKE', 'MFLAGS', 'BUILD', 'SECCOMP', 'TEST_HOOK', 'CFLAGS', 'CPPFLAGS', 'LDFLAGS', 'LDLIBS', 'V')
    environment = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    folder = TOP / 'build' / name
    folder.mkdir(parents=True, exist_ok=True)
    with limit.suspended(), open(folder / 'lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = subprocess.run(['make', '-j2', f'BUILD=build/{name}', *words], cwd=TOP, env=environment,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert run.returncode == 0, run.stdout
    return folder / 'postern'
