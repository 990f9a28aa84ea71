# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a real systemd as process 1 of its own namespaces. It starts units unchanged, with all their restrictions.

Its root is the tree in build/debian with a temporary layer above it. It has a network of its own, so services use
their real ports. It starts only the units that the test gives it.
"""

import ctypes
import os
import pty
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import debian, examples, launch, processes

ADDRESS = '192.0.2.1'    # no loopback address: what systemd says of localhost is not meant for it

# $1: the tree; $2: a folder whose content is put over it; $3: our console.
OUTER = '''
set -e
mount -t tmpfs none "$2.w"
mkdir "$2.w/cgroup"
mount -t cgroup2 none "$2.w/cgroup"
mkdir -p "$2.w/cgroup/postern.$$"
echo $$ >"$2.w/cgroup/postern.$$/cgroup.procs"
umount "$2.w/cgroup"
exec unshare --pid --net --uts --ipc --cgroup --fork --kill-child /bin/sh -c "$INNER" sh "$@"
'''

# systemd makes an empty /dev of its own if there is none. What it mounts for a service comes by shared mounts.
INNER = '''
set -e
cd "$2.w"
mkdir upper work root
mount -t overlay overlay -o "lowerdir=$1,upperdir=upper,workdir=work" root
cd root
mkdir -p sys dev etc/systemd/system old
cp -R "$2/." .
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs none run
mount -t tmpfs none dev
mkdir dev/shm dev/pts
for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0' 'ptmx 5 2'; do
    mknod -m 666 "dev/${node%% *}" c ${node#* }
done
: >dev/console
mount --bind "$3" dev/console
bin/busybox ip link set lo up
bin/busybox ip addr add ''' + ADDRESS + '''/32 dev lo
pivot_root . old
exec chroot . /bin/busybox sh -c '/bin/busybox umount -l /old; /bin/busybox mount --make-rshared /
exec /usr/bin/env -i container=test SYSTEMD_UNIT_PATH=/etc/systemd/system SYSTEMD_GENERATOR_PATH=/none \\
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --unit=test.target --log-target=console --log-level=notice --show-status=no'
'''

# Empty units in place of those of a whole system that sockets and services need by default.
TARGET = '[Unit]\nDefaultDependencies=no\n'
# A service in place of the journal.
LOG = '[Service]\nStandardError=append:/run/log\n'

CLEAN_UP = '''
mount -t cgroup2 none "$1"
find "$1/postern.$2" -depth -type d -exec rmdir {} +
'''


def possible():
    """True if this machine lets us make such namespaces."""
    words = ['--mount', '--pid', '--net', '--uts', '--ipc', '--cgroup', '--fork']
    # Units with PrivateUsers need a user namespace, which cannot be had in a chroot.
    script = 'mount -t tmpfs none /mnt && mkdir /mnt/c && mount -t cgroup2 none /mnt/c && mkdir /mnt/c/postern.$$ && ' \
             'rmdir /mnt/c/postern.$$ && unshare --user true'
    return subprocess.run(['unshare', *words, 'sh', '-c', script], check=False, capture_output=True).returncode == 0


class At:
    """One of its ports, to which a test connects."""

    host = url_host = ADDRESS
    family = 'inet'

    def __init__(self, system, port):
        self.system, self.port = system, port

    def connect(self, timeout=20):
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self.connect_inside, timeout).result()

    def connect_inside(self, timeout):
        """Runs in a thread of its own, which enters the other network and then ends."""
        network = os.open(f'/proc/{self.system.pid}/ns/net', os.O_RDONLY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(network, 0) != 0:
                raise OSError(ctypes.get_errno(), 'setns')
        finally:
            os.close(network)
        return socket.create_connection((self.host, self.port), timeout)


class System:
    """files: what is put over the tree, by path; programs: programs from outside, by path, with their libraries;
    sockets: units to start."""

    def __init__(self, folder, files, programs, sockets):
        self.folder = Path(folder)
        self.payload = self.folder / 'payload'
        self.pid = None
        for path, content in {
                **files, 'etc/systemd/system/service.d/log.conf': LOG,
                **{f'etc/systemd/system/{name}.target': TARGET for name in ('sysinit', 'basic', 'shutdown', 'network')},
                'etc/systemd/system/test.target': TARGET + f'Wants={" ".join(sockets)}\n'}.items():
            self.file(path).write_bytes(content if isinstance(content, bytes) else content.encode())
        for path, program in programs.items():
            self.copy(program, path)
            for library in self.libraries(program):
                self.copy(library, library)
        self.console = b''

    def file(self, path):
        path = str(path).lstrip('/')
        if (debian.ROOT / path.partition('/')[0]).is_symlink():     # /lib and its like are below /usr
            path = f'usr/{path}'
        whole = self.payload / path
        whole.parent.mkdir(parents=True, exist_ok=True)
        return whole

    def copy(self, source, path):
        self.file(path).write_bytes(Path(source).read_bytes())
        self.file(path).chmod(0o755)

    @staticmethod
    def libraries(program):
        """Returns the libraries that the tree lacks. A static program needs none."""
        said = subprocess.run(['ldd', program], capture_output=True, text=True, check=False).stdout
        found = [line.split()[2] for line in said.splitlines() if '=> /' in line]
        patterns = ('lib*', 'lib/*', 'usr/lib', 'usr/lib/*')
        places = [folder for pattern in patterns for folder in debian.ROOT.glob(pattern)]
        return [path for path in found if not any((folder / os.path.basename(path)).exists() for folder in places)]

    def __enter__(self):
        Path(f'{self.payload}.w').mkdir()
        self.terminal, slave = pty.openpty()
        self.reader = threading.Thread(target=self.read_console)
        environment = launch.without_tls_leftovers({'INNER': INNER})
        self.process = subprocess.Popen(
            ['unshare', '--mount', '--propagation=private', '/bin/sh', '-c', OUTER, 'sh', debian.ROOT, self.payload,
             os.ttyname(slave)], env=environment, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
            start_new_session=True)
        os.close(slave)
        self.reader.start()
        try:
            self.pid = processes.until(self.started, 'a systemd')
        except BaseException:
            self.__exit__()
            raise
        return self

    def started(self):
        assert self.process.poll() is None, f'no systemd: {self.says()}'
        return next((child.pid for child in processes.descendants(self.process.pid) if child.name == 'systemd'), None)

    def read_console(self):
        """Reads the console in a thread of its own: systemd waits until it is read."""
        try:
            while text := os.read(self.terminal, 1 << 16):
                self.console += text
        except OSError:     # the other end is closed
            pass
        os.close(self.terminal)

    def says(self):
        """Returns the text on the console so far."""
        return self.console.decode(errors='replace')

    def log(self):
        """Returns what services have written to standard error so far."""
        path = Path(f'/proc/{self.pid}/root/run/log')
        return path.read_text(encoding='utf-8', errors='replace') if path.exists() else ''

    def listens(self, port):
        """Waits until a service listens on a port; returns it as an At."""
        processes.until(lambda: examples.listens(port, self.pid), f'port {port}')
        return At(self, port)

    def __exit__(self, *why):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)    # all in its namespace end, and unshare(1) does
        else:
            self.process.kill()
        self.process.wait()
        processes.reap([left for left in processes.left_behind() if left.name in ('systemd', 'unshare')])
        self.reader.join()
        mount = self.folder / 'cgroup'
        mount.mkdir()
        subprocess.run(['unshare', '--mount', '--propagation=private', '/bin/sh', '-c', CLEAN_UP, 'sh', mount,
                        str(self.process.pid)], check=False, capture_output=True)
