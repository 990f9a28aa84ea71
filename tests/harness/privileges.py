# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds out what this machine allows. Tests that need more are skipped, with the reason."""

import functools
import os
import subprocess

import pytest


needs_root = pytest.mark.skipif(os.getuid() != 0, reason='mount namespaces need root')


def need_root(what):
    if os.geteuid() != 0:
        pytest.skip(f'needs root: {what}')


@functools.cache
def has_mount_namespaces():
    """True if mounts in a new namespace stay invisible outside. In a plain chroot they do not."""
    command = ['unshare', '--mount', '--propagation=private', 'true']
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def need_mounts():
    need_root('a mount namespace')
    if not has_mount_namespaces():
        pytest.skip('no mount namespace here: / is no mount point, or they are forbidden')
