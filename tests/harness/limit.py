# SPDX-License-Identifier: GPL-2.0-or-later
"""No test waits for ever: pytest-timeout ends it, and the message says what was running then."""

import os
import signal
from contextlib import contextmanager

import pytest

from harness import processes

SECONDS = 120
AGAIN = 60


def set_default():
    """PYTEST_TIMEOUT, pytest-timeout's own variable, and its option are stronger."""
    os.environ.setdefault('PYTEST_TIMEOUT', str(SECONDS))


def running():
    """The processes below this one, a line each."""
    found = processes.descendants()
    return '\n'.join(f'  {process.state} {process!r}' for process in found) or '  nothing'


def arm(item, seconds):
    """Ends the test after so many seconds, and its cleaning up, should that hang, some time later."""
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
    """For what is done once, by whichever test comes first, such as compiling."""
    left = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)
