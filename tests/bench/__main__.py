# SPDX-License-Identifier: GPL-2.0-or-later
"""bench POSTERN FOLDER [CONNECTIONS [NAMES]]: what a TLS connection costs with postern and with others of its kind.

One launcher, one handler, one client, one certificate of each kind. The servers take turns, so that a slow moment of the
machine hits all of them. CPU and page faults are those of all the server's processes and of the handler, per connection:
the median where there is a process for each (wait4(2)), the mean where one serves all (/proc/PID/stat). Latency is from
connect() to the first byte of the answer to the client's first command. FOLDER gets the table and a chart of it. NAMES, a regular expression, chooses
servers.
"""

import os
import re
import signal
import statistics
import sys
import tempfile

import clients
import report
import rows
import servers

CROWDS = (16, 64)
BULK = 200_000_000


class Row:
    """What was measured of one server and one kind of connection."""

    def __init__(self, key, server):
        self.key, self.server, self.client = key, server, server.client
        self.kind = getattr(server.client, 'kind', '')
        self.samples, self.crowds, self.failure = [], {}, ''
        self.running = self.bulks = self.idle = None

    def start(self):
        try:
            self.running = (servers.Each if self.server.start == 'each' else servers.Daemon)(self.server)
        except OSError as error:
            self.failure = f'failed: {error}'

    def each(self):
        """One connection after the other."""
        if self.failure:
            return
        try:
            latency = clients.talk(self.running, self.client)
            used = self.running.finish() if self.server.start == 'each' else (0, 0)
            self.samples.append((*used, latency))
        except clients.NotResumed:
            self.failure = 'does not resume'
        except (OSError, ValueError, AssertionError) as error:
            self.failure = f'failed: {error}'
        if self.failure and self.server.start == 'each':
            self.running.finish()

    def begin(self):
        """What came before were only to warm the caches."""
        self.samples.clear()
        if not self.failure and self.server.start != 'each':
            self.running.settle()
            self.before = self.running.used()

    def finish(self):
        if self.failure:
            return
        cpu, faults, latency = zip(*self.samples)
        self.cpu, self.faults, self.latency = statistics.median(cpu), statistics.median(faults), sorted(latency)
        if self.server.start != 'each':
            self.running.settle()
            self.cpu, self.faults = ((after - before) / len(self.samples)
                                     for after, before in zip(self.running.used(), self.before))

    def crowd(self):
        with self.running.listening() as address:
            for level in CROWDS:
                latencies, errors = clients.crowd(address, self.client, level, max(2 * level, 64))
                if errors:
                    self.failure = f'{len(errors)} of {level} clients at once failed: {errors[0]}'
                    return
                self.crowds[level] = latencies

    def bulk(self):
        """MB/s and seconds of the server's CPU per GB, down and up."""
        for name, way in (('down', clients.down), ('up', clients.up)):
            before = self.running.used()[0] if self.server.start != 'each' else 0
            speed = way(self.running, self.client, BULK)
            if self.server.start == 'each':
                cpu = self.running.finish()[0]
            else:
                self.running.settle()
                cpu = self.running.used()[0] - before
            yield name, speed, cpu / (BULK / 1e6)


def progress(words):
    if sys.stderr.isatty() or 'BENCH_PROGRESS' in os.environ:
        print(f'bench: {words}', file=sys.stderr)


def measure(table, count):
    """Starts all, lets them take turns, ends all."""
    for row in table:
        row.start()
    try:
        progress(f'{len(table)} kinds of connections in turns')
        for number in range(count + 5):
            if number == 5:
                for row in table:
                    row.begin()
            for row in table:
                row.each()
        for row in table:
            row.finish()
        for row in table:
            progress(f'{row.server.name} {row.key} {row.kind}: many clients at once')
            if not row.failure:
                row.crowd()
        for row in table:
            if row.kind == 'full' and row.key == 'ecdsa' and not row.failure:
                row.idle = row.running.idle(lambda running, row=row: clients.greeted(running, row.client))
                if row.server.same_handler:
                    row.bulks = {name: (speed, cpu) for name, speed, cpu in row.bulk()}
    finally:
        for row in table:
            if row.running:
                row.running.end()


def main():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))    # what was started is ended
    program, folder = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    names = re.compile(sys.argv[4] if len(sys.argv) > 4 else '')
    with tempfile.TemporaryDirectory() as work:
        try:
            table = [Row(key, server) for key, server in rows.take_part(program, work)
                     if not key or names.search(server.name)]
            measure(table, count)
            sizes = {row.server.name: row.server.size() for row in table if row.key}
        finally:
            rows.clean_up(work)
    report.write(folder, table, sizes, count)


main()
