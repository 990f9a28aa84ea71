# SPDX-License-Identifier: GPL-2.0-or-later
"""Each real daemon of harness/daemons.py holds a session in plaintext, without postern.

When one of these fails, look at the daemon or its recipe; what fails only elsewhere is about postern.
"""

import socket
import subprocess

import pytest

from harness import daemons, processes
from harness.dialogues import Talk, imap, lmtp, nntp, pop3, sieve, smtp

CASES = [(name, stdio) for name in daemons.RECIPES for stdio in daemons.facts(name)['stdio']]


def run_on_pipes(daemon, conversation):
    process = subprocess.Popen(daemon.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               bufsize=0)
    try:
        conversation(Talk(process.stdout.fileno(), process.stdin.fileno()))
        process.stdin.close()
        process.wait(20)
    finally:
        processes.stop(process, timeout=1)
        process.stdout.close()


def run_on_a_socketpair(daemon, conversation):
    ours, theirs = socket.socketpair()
    with ours:
        process = subprocess.Popen(daemon.argv, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL)
        theirs.close()
        try:
            conversation(Talk(ours.fileno(), ours.fileno()))
            ours.shutdown(socket.SHUT_RDWR)
            process.wait(20)
        finally:
            processes.stop(process, timeout=1)


def converse(talk, daemon):
    message = daemons.MESSAGES[1]
    if daemon.protocol == 'imap':
        imap(talk, daemon)
    elif daemon.protocol == 'pop3':
        pop3(talk, daemon)
    elif daemon.protocol == 'nntp':
        nntp(talk, daemon)
    elif daemon.protocol == 'sieve':
        sieve(talk, b'keep;\r\n')
        assert daemon.stored() == [b'keep;\r\n']
    elif daemon.protocol == 'smtp':
        smtp(talk, daemon, message)
    elif daemon.protocol == 'lmtp':
        lmtp(talk, daemon, message)
    if daemon.protocol in ('smtp', 'lmtp') and daemon.stored:
        [stored] = daemon.stored()
        assert stored.endswith(message)


@pytest.mark.parametrize('name, stdio', CASES)
def test_daemon_holds_a_session_in_plaintext(daemon, name, stdio):
    run = {'pipe': run_on_pipes, 'socket': run_on_a_socketpair}[stdio]
    handler = daemon(name)
    run(handler, lambda talk: converse(talk, handler))
