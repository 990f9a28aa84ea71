# SPDX-License-Identifier: GPL-2.0-or-later
"""Ends tests that hang, by pytest-timeout. The message lists the processes that were running."""

import os
import signal
from contextlib import contextmanager

import pytest

from harness import processes

SECONDS = 120
AGAIN = 60


def set_default():
    """Sets the default time-out; pytest-timeout's PYTEST_TIMEOUT and its option win over it."""
    os.environ.setdefault('PYTEST_TIMEOUT', str(SECONDS))


def running():
    """Returns our descendants, a line for each."""
    found = processes.descendants()
    return '\n'.join(f'  {process.state} {process!r}' for process in found) or '  nothing'


def arm(item, seconds):
    """Ends the test after this number of seconds, and later its clean-up, if that hangs, too."""
    def ring(_signal, _frame):
        pytest.fail(f'not done after {seconds:g} seconds, by which time these were running:\n{running()}')

    def cancel():
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel    # pytest-timeout calls it
    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)


@contextmanager
def suspended():
    """Suspends the time-out during work that only the first test does, such as compiling."""
    left = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)
