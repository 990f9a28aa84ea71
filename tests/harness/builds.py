# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds of postern that are for tests only, each in a folder of its own below build."""

import fcntl
import functools
import os
import subprocess
from pathlib import Path

from harness import limit

TOP = Path(__file__).resolve().parent.parent.parent


@functools.cache
def make(name, *words):
    """The program that `make BUILD=build/NAME WORD...` makes; made once, by whoever needs it first."""
    # Whoever has started us may have told make(1) other things.
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
