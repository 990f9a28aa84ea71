# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves that a test leaves no process behind.

The test program makes itself a subreaper: a process that outlives its parent becomes our
child, and stays at least a zombie until we wait for it. So nothing can slip away between
the end of a session and the moment we look.
"""

import ctypes
import os
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36

# Processes that may outlive one test, such as a password daemon.
expected = set()


def become_subreaper():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), 'prctl(PR_SET_CHILD_SUBREAPER)')


class Process:
    """A process: its line of /proc/PID/stat, and its command line if it still has one."""

    def __init__(self, pid):
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as file:
            text = file.read()
        name, rest = text[text.index('(') + 1:].rsplit(')', 1)
        fields = rest.split()
        self.pid = pid
        self.name = name
        self.state = fields[0]
        self.parent = int(fields[1])
        self.session = int(fields[3])
        with open(f'/proc/{pid}/cmdline', 'rb') as file:
            self.command = file.read().replace(b'\0', b' ').decode(errors='replace').strip()

    def __repr__(self):
        zombie = ', a zombie' if self.state == 'Z' else ''
        return f'<{self.pid} {self.name}{zombie}: {self.command}>'


def everything():
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit():
            try:
                found.append(Process(int(entry)))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def descendants(ancestor=None):
    """Returns all descendants of `ancestor` (default: of us), zombies included."""
    ancestor = ancestor or os.getpid()
    children = {}
    for process in everything():
        children.setdefault(process.parent, []).append(process)
    found, todo = [], [ancestor]
    while todo:
        for process in children.get(todo.pop(), []):
            found.append(process)
            todo.append(process.pid)
    return found


def left_behind():
    """Returns our descendants, without the expected ones and their descendants."""
    fine = set(expected)
    for pid in expected:
        fine.update(process.pid for process in descendants(pid))
    return [process for process in descendants() if process.pid not in fine]


def reap(processes):
    """Kills the processes that a failed test left, and waits for them."""
    for process in processes:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for process in processes:
        forget(process.pid)


def forget(pid):
    """Waits for a killed process, unless its parent does."""
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def stop(process, timeout=10):
    """Ends a Popen that we started: by SIGTERM, then by SIGKILL."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return process.returncode


def until(condition, what, timeout=10):
    """Waits until `condition()` returns a true value; returns that."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f'{what}: not within {timeout} seconds')
        time.sleep(0.005)
