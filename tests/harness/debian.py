# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs from the private Debian tree in build/debian, which `tests/packages daemons` makes.

Nothing of it is installed on this machine. Mail daemons run inside the tree by chroot(8), with its own users and mail
spool; launchers run outside of it, since they start postern, with the tree's own loader and libraries.
"""

import os
from pathlib import Path

import pytest

from harness import privileges

ROOT = Path(os.environ.get('DEBIAN_ROOT', Path(__file__).resolve().parents[2] / 'build/debian'))

# Programs of packages that some releases lack; tests/packages notes which ones this release lacks.
NOT_EVERYWHERE = {'usr/sbin/smtpfront-': 'mailfront', 'usr/sbin/pop3front-': 'mailfront', 'usr/sbin/imapfront-': 'mailfront',
                  'usr/bin/cvm-': 'cvm'}


def lacks(package):
    """True if this release lacks the package."""
    return (ROOT / '.left-out' / package).exists()


def need(package):
    if lacks(package):
        pytest.skip(f'this release has no {package}')


def program(path):
    """Returns the path of a program in the tree. Skips the test if this release lacks it, fails if the tree does."""
    whole = ROOT / path.lstrip('/')
    for beginning, package in NOT_EVERYWHERE.items():
        if path.lstrip('/').startswith(beginning):
            need(package)
    assert whole.exists(), f'{whole} is missing: run tests/packages daemons'
    return whole


def inside(path, *words, user=None):
    """Returns the command that runs a program chrooted into the tree, as root or as `user`."""
    privileges.need_root('the mail daemons run by chroot(8)')
    program(path)
    command = ['/usr/sbin/chroot']
    if user:
        command.append(f'--userspec={user}')
    return [*command, str(ROOT), path, *map(str, words)]


def outside(path, *words):
    """Returns the command that runs a program of the tree in this machine's file system."""
    loader = next(iter(sorted(ROOT.glob('lib*/ld-linux*.so.*'))), None)
    assert loader, f'no loader in {ROOT}: run tests/packages daemons'
    folders = sorted({str(file.parent) for pattern in ('lib/*-linux-*/lib*.so*', 'usr/lib/*-linux-*/lib*.so*',
                                                      'usr/lib/*-linux-*/systemd/lib*.so*')
                      for file in ROOT.glob(pattern)})
    return [str(loader), '--library-path', ':'.join(folders), str(program(path)), *map(str, words)]
