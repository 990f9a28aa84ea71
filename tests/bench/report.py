# SPDX-License-Identifier: GPL-2.0-or-later
"""The table as text, and a chart of it by gnuplot."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from clients import percentile

HEAD = """{count} connections of each kind; {machine}
CPU and page faults of all the server's processes per connection, the handler's among them; `x alone' compares with the
handler without TLS. Milliseconds from connect to the first answer, with 1, 16 and 64 clients at once. Clients and servers
share the machine. The suite is what the server takes of all that Python's ssl offers.
"""
FOOT = """
Not like for like: {notes}.
In a server's own words `inetd' is a process for each connection; `wait mode', daemons and socat listen by themselves.
With more than one client at once, tcpserver starts those of the first kind.
"""


def machine():
    cpu = re.search(r'model name\s*: (.*)', Path('/proc/cpuinfo').read_text())
    return f'{cpu[1].strip() if cpu else platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}'


def connections(table):
    floor = table[0].cpu
    yield (f'{"":32}{"":6}{"":9}{"":17}{"CPU":>7}{"x":>7}{"page":>8}' +
           ''.join(f'{f"{n} client" + "s" * (n > 1):>17}' for n in (1, 16, 64)))
    yield (f'{"":32}{"key":6}{"":9}{"suite":17}{"ms":>7}{"alone":>7}{"faults":>8}' + f'{"p50":>9}{"p99":>8}' * 3)
    for row in table:
        begin = f'{row.server.name:32}{row.key:6}{row.kind:9}'
        if row.failure:
            yield f'{begin}{row.failure}'
            continue
        latencies = [row.latency, *row.crowds.values()]
        yield (f'{begin}{getattr(row.client, "suite", ""):17}{row.cpu:7.2f}{row.cpu / floor:7.1f}{row.faults:8.0f}' +
               ''.join(f'{percentile(values, 50):9.2f}{percentile(values, 99):8.2f}' for values in latencies))


def programs(table, sizes):
    yield f'{"":32}{"idle session":>13}{"MB/s":>8}{"":>7}{"CPU s/GB":>10}{"":>7}{"program":>10}{"libraries":>11}'
    yield f'{"":32}{"private kB":>13}{"down":>8}{"up":>7}{"down":>10}{"up":>7}{"kB":>10}{"kB":>11}'
    for row in table:
        if row.idle is None:
            continue
        bulk = f'{"-":>8}{"-":>7}{"-":>10}{"-":>7}'
        if row.bulks:
            (down, down_cpu), (up, up_cpu) = row.bulks['down'], row.bulks['up']
            bulk = f'{down:8.0f}{up:7.0f}{down_cpu:10.2f}{up_cpu:7.2f}'
        program, libraries = sizes[row.server.name]
        yield f'{row.server.name:32}{row.idle:13.0f}{bulk}{program / 1024:10.0f}{libraries / 1024:11.0f}'


CHART = """
set terminal svg size 1400,{height} font 'sans-serif,13' background 'white'
set output '{output}'
set multiplot title 'TLS before a mail daemon: {machine}'
set style fill solid 0.85 border -1
set yrange [{rows} - 0.4:-0.6]
set xrange [0:*]
set grid x
unset key
set tmargin at screen 1 - 70.0 / {height}
set bmargin at screen 40.0 / {height}
set lmargin at screen 0.25
set rmargin at screen 0.49
set title 'CPU, x the bare handler (less is better)'
plot '{data}' using ($3/2):0:($3/2):(0.35):ytic(1) with boxxyerror linecolor rgb '#31688e'
set format y ''
set lmargin at screen 0.52
set rmargin at screen 0.74
set title 'ms to an answer, 16 clients at once'
plot '{data}' using ($4/2):0:($4/2):(0.35) with boxxyerror linecolor rgb '#35b779'
set lmargin at screen 0.77
set rmargin at screen 0.98
set xtics 100
set title 'MB/s to the client (more is better)'
plot '{data}' using ($5/2):0:($5/2):(0.35) with boxxyerror linecolor rgb '#fde725'
"""


def chart(folder, table):
    """ECDSA only: full handshakes and resumed ones."""
    chosen = [row for row in table if row.key == 'ecdsa' and not row.failure and row.kind in ('full', 'resumed')]
    data, output = f'{folder}/bench.dat', f'{folder}/bench.svg'
    with open(data, 'w', encoding='utf-8') as file:
        for row in chosen:
            bulk = f'{row.bulks["down"][0]:.0f}' if row.bulks else 'NaN'
            file.write(f'"{row.server.name}, {row.kind}" - {row.cpu / table[0].cpu:.2f} '
                       f'{percentile(row.crowds[16], 50):.2f} {bulk}\n')
    subprocess.run(['gnuplot'], check=True, text=True, input=CHART.format(
        height=120 + 24 * len(chosen), rows=len(chosen), output=output, data=data, machine=machine()))
    return output


def write(folder, table, sizes, count):
    os.makedirs(folder, exist_ok=True)
    notes = sorted({f'{row.server.name}: {row.server.note}' for row in table if row.server.note})
    text = '\n'.join([HEAD.format(count=count, machine=machine()), *connections(table), '', *programs(table, sizes),
                      FOOT.format(notes='; '.join(notes) or 'nothing')])
    print(text)
    Path(f'{folder}/bench.txt').write_text(text, encoding='utf-8')
    if shutil.which('gnuplot'):
        print(f'as text {folder}/bench.txt, as a chart {chart(folder, table)}')
    else:
        print(f'as text {folder}/bench.txt; a chart needs gnuplot: make bench-deps')
