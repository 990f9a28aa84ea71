# SPDX-License-Identifier: GPL-2.0-or-later
"""scale POSTERN [IDLE [ROW [SECONDS]]]: wait mode for long and with many clients.

IDLE sessions at once that do nothing (2000), ROW connections one after the other (20000), and SECONDS (600) of clients of
all kinds, of which some break off, say nothing or talk nonsense. In the end nothing of all that may be left, every honest
client must have been served, and the listener must not have grown.
"""

import os
import random
import resource
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import clients
from rows import Pair
from servers import Daemon, Server, descendants, handlers_left_out, private_dirty

FAILURES = Counter()


def fail(words):
    FAILURES[words] += 1


def state(running):
    """Private kB, descriptors and children of the listener."""
    pid = running.process.pid
    return private_dirty(pid), len(os.listdir(f'/proc/{pid}/fd')), len(list(descendants(pid)))


def say(words, running):
    memory, descriptors, children = state(running)
    print(f'{time.strftime("%H:%M:%S")} {words}; listener: {memory} kB private, {descriptors} descriptors, '
          f'{children} processes below it', flush=True)


def settle(running):
    """Until the last child is gone; what is left after a minute is a leak."""
    end = time.monotonic() + 60
    while state(running)[2] and time.monotonic() < end:
        time.sleep(0.1)


def idle(running, client, number):
    begin = time.monotonic()
    sessions = []
    for _ in range(number):
        try:
            sessions.append(clients.greeted(running, client))
        except (OSError, ConnectionError) as error:
            fail(f'idle session: {error}')
    total = sum(private_dirty(pid) for pid in handlers_left_out(list(descendants(running.process.pid))))
    say(f'{len(sessions)} idle sessions after {time.monotonic() - begin:.0f} s, '
        f'{total / max(len(sessions), 1):.0f} kB private each', running)
    for session in sessions:
        try:
            session.sendall(b'a LOGOUT\r\n')
            if b'a OK' not in clients.line(session):
                fail('idle session: no answer in the end')
            session.close()
        except (OSError, ConnectionError) as error:
            fail(f'idle session: {error}')
    settle(running)
    say('all of them ended', running)


def row(running, client, number):
    begin = time.monotonic()
    for n in range(number):
        try:
            clients.talk(running, client)
        except (OSError, ConnectionError) as error:
            fail(f'in a row: {error}')
        if (n + 1) % max(number // 4, 1) == 0:
            say(f'{n + 1} in a row after {time.monotonic() - begin:.0f} s', running)
    settle(running)
    say('done', running)


def nonsense(running, *_):
    with running.connect() as connection:
        connection.sendall(random.randbytes(random.randint(1, 2000)))


def silence(running, *_):
    with running.connect():
        time.sleep(random.random())


def breaking_off(running, full, _):
    """A reset in the middle of a session."""
    session = clients.greeted(running, full)
    session.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    session.close()


HONEST = {
    'full': lambda running, full, resumed: clients.talk(running, full),
    'resumed': lambda running, full, resumed: clients.talk(running, resumed),
    'down': lambda running, full, resumed: clients.down(running, full, random.randint(1, 3_000_000)),
    'up': lambda running, full, resumed: clients.up(running, full, random.randint(1, 3_000_000)),
}
HOSTILE = {'nonsense': nonsense, 'silence': silence, 'breaking off': breaking_off}


def mixed(running, certificate, seconds):
    done = Counter()
    end = time.monotonic() + seconds

    def one(seed):
        choose = random.Random(seed)
        full, resumed = clients.Tls(certificate, 'full'), clients.Tls(certificate, 'resumed')
        while time.monotonic() < end:
            kind = choose.choice([*HONEST, *HONEST, *HOSTILE])
            try:
                {**HONEST, **HOSTILE}[kind](running, full, resumed)
            except (OSError, ConnectionError, AssertionError, clients.NotResumed) as error:
                if kind in HONEST:
                    fail(f'{kind}: {error!r}')
            done[kind] += 1

    threads = [threading.Thread(target=one, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            thread.join(max(seconds / 5 / len(threads), 0.1))
        say(', '.join(f'{number} {kind}' for kind, number in sorted(done.items())), running)
    settle(running)
    say('done', running)


def main():
    program = os.path.realpath(sys.argv[1])
    number, in_a_row, seconds = (int(word) for word in (*sys.argv[2:5], *('2000', '20000', '600')[len(sys.argv) - 2:]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, number + 200)), hard))
    with tempfile.TemporaryDirectory() as folder:
        script, tickets = f'{folder}/handler', f'{folder}/tickets'
        Path(script).write_text(clients.HANDLER)
        os.spawnv(os.P_WAIT, program, [program, f'--new-ticket-key={tickets}'])
        pair = Pair(folder, 'ecdsa')
        running = Daemon(Server('', 'socket', [
            program, f'--cert={pair.cert}', f'--key={pair.key}', f'--tickets={tickets}', '--timeout-handshake=5',
            f'--max-connections={number + 100}', '--max-per-client=0', '--', '/bin/sh', script], pair.client()))
        try:
            full = pair.client()
            clients.talk(running, full)
            settle(running)
            say('ready', running)
            before = state(running)
            idle(running, full, number)
            row(running, full, in_a_row)
            mixed(running, pair.cert, seconds)
            after = state(running)
        finally:
            running.end()
    if after[1] != before[1] or after[2]:
        fail('descriptors or processes are left')
    if after[0] > before[0] + 200:
        fail(f'the listener has grown from {before[0]} to {after[0]} kB')
    print(f'{sum(FAILURES.values())} failures', dict(FAILURES) or '')
    sys.exit(bool(FAILURES))


main()
