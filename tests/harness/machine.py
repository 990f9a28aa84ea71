# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine in namespaces, on which tests run the commands of the documentation exactly as printed.

Its tree has this machine's files and the mail daemons of build/debian. It has its own processes. Its network has only a
loopback, so every port is free. All that is written there is removed at the end; nothing reaches this machine. The
project is in /root/postern, as if cloned. alice has the password `secret` and one message.
"""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from harness import debian, launch, privileges, processes, tls

TOP = Path(__file__).resolve().parents[2]
PASSWORD_HASH = '$5$postern$ht3IHHZYCMTh/RYRVXBwJywvR6FmgGZVfyouy8kBnKA'     # of `secret`
ALICE = 31070
MESSAGE = 'From: Bob <bob@example.org>\nTo: alice\nSubject: hello alice\n\nHello.\n'

# Puts each folder of the tree over this machine's one: a tree below the root can't be merged with the root.
SET_UP = r'''
set -eu
base=$1 top=$2 tree=$3
mount -t tmpfs -o mode=755 none "$base"
number=0
merge() {
    where=$1 lower=
    shift
    for folder; do [ ! -d "$folder" ] || [ -L "$folder" ] || lower="$lower${lower:+:}$folder"; done
    number=$((number + 1))
    mkdir -p "$where" "$base/$number/upper" "$base/$number/work"
    mount -t overlay -o "lowerdir=$lower,upperdir=$base/$number/upper,workdir=$base/$number/work" none "$where"
}
root=$base/root
mkdir "$root"
merge "$root" /
for name in bin sbin lib libexec; do merge "$root/usr/$name" "/usr/$name" "$tree/usr/$name" "$tree/$name"; done
for name in etc var; do merge "$root/$name" "/$name" "$tree/$name"; done
merge "$root/root/postern" "$top"
for name in null zero full random urandom tty; do
    : >"$4/$name"
    mount --bind "/dev/$name" "$4/$name"
done
mount --rbind "$4" "$root/dev"
mount -t proc none "$root/proc"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount -t tmpfs -o mode=755 none "$root/run"
/usr/bin/python3 -c '
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any:
    fcntl.ioctl(any, 0x8914, struct.pack("16sh14x", b"lo", 0x41))      # SIOCSIFFLAGS: up, running
'
mkdir "$root/run/ready"
exec sleep infinity
'''


class Machine:
    """The machine; a context manager."""

    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / 'dev').mkdir(parents=True)
        (self.folder / 'base').mkdir()
        self.started = []
        self.heard = b''

    def __enter__(self):
        privileges.need_mounts()
        self.syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.syslog.bind(str(self.folder / 'dev/log'))
        threading.Thread(target=self.hear, daemon=True).start()     # it has no room for many lines
        debian.program('/usr/sbin/popa3d')
        with open(self.folder / 'set-up', 'wb') as said:
            self.process = subprocess.Popen(
                ['unshare', '--mount', '--net', '--pid', '--fork', '--kill-child', '/bin/sh', '-c', SET_UP, 'set-up',
                 self.folder / 'base', TOP, debian.ROOT, self.folder / 'dev'], stdin=subprocess.DEVNULL, stdout=said,
                stderr=said)
        self.started.append(self.process)
        try:
            self.first = processes.until(self.ready, 'the machine', 30)
            self.furnish()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def ready(self):
        said = (self.folder / 'set-up').read_text()
        assert self.process.poll() is None, f'it needs mount, network and process namespaces, and overlayfs: {said}'
        # The mounts are seen through the first process's root.
        return next((child.pid for child in tls.children(self.process.pid)
                     if child.name == 'sleep' and Path(f'/proc/{child.pid}/root{self.base}/run/ready').is_dir()), None)

    @property
    def base(self):
        return self.folder / 'base/root'

    def __exit__(self, *_):
        for child in tls.children(self.process.pid):
            os.kill(child.pid, signal.SIGKILL)      # the first process of the namespace, and with it all others
        for process in reversed(self.started):
            if process is self.process and not hasattr(self, 'first'):
                process.kill()
            process.wait()
        self.syslog.shutdown(socket.SHUT_RDWR)      # wakes hear()
        self.syslog.close()

    def hear(self):
        try:
            while text := self.syslog.recv(65536):
                self.heard += text.rstrip(b'\0\n') + b'\n'
        except OSError:
            pass

    def path(self, name):
        """Returns the path of a file of the machine as seen from here."""
        return Path(f'/proc/{self.first}/root{self.base}{name}')

    def write(self, name, text, mode=0o644):
        file = self.path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def furnish(self):
        """Merges the users of both systems, and adds alice with her mail."""
        for name in ('passwd', 'group', 'shadow'):
            own = self.path(f'/etc/{name}').read_text()
            known = {line.partition(':')[0] for line in own.splitlines()}
            more = [line for line in (debian.ROOT / 'etc' / name).read_text().splitlines()
                    if line.partition(':')[0] not in known and not re.match(r'u\d', line)]
            more.append({'passwd': f'alice:x:{ALICE}:{ALICE}::/home/alice:/bin/sh', 'group': f'alice:x:{ALICE}:',
                         'shadow': f'alice:{PASSWORD_HASH}:19000::::::'}[name])
            self.write(f'/etc/{name}', own + '\n'.join(more) + '\n', 0o640 if name == 'shadow' else 0o644)
        self.write('/var/mail/alice', f'From bob@example.org Thu Jan  1 12:00:00 2026\n{MESSAGE}\n', 0o600)
        self.write('/home/alice/Maildir/new/1.example', MESSAGE)
        for name in ('cur', 'tmp'):
            self.path(f'/home/alice/Maildir/{name}').mkdir()
        for file in [self.path('/var/mail/alice'), self.path('/home/alice'), *self.path('/home/alice').rglob('*')]:
            os.chown(file, ALICE, ALICE)

    def enter(self, command, folder='/root', limit=()):
        """Returns the command that runs a shell command there."""
        # --root: where the tests run in a chroot, base is a path in there.
        return ['nsenter', f'--target={self.first}', '--mount', '--net', '--pid', '--root', *limit, 'chroot', self.base, '/bin/sh', '-c',
                f'cd {folder} && {command}']

    ENVIRONMENT = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/root', 'LC_ALL': 'C.UTF-8'}

    def run(self, command, status=0, typed='', folder='/root'):
        """Runs a command; returns what it prints. `typed` is its standard input."""
        done = subprocess.run(self.enter(command, folder, ['timeout', '60']), input=typed, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, env={**launch.without_tls_leftovers(), **self.ENVIRONMENT}, text=True,
                              errors='replace', check=False)
        assert status in (None, done.returncode), f'{command}\nstatus {done.returncode}\n{done.stdout}\n{self.log()}'
        return done.stdout

    def type(self, command, answer):
        """Runs a command at a terminal, and gives this answer to each question for a password."""
        pid, terminal = pty.fork()
        if pid == 0:
            words = [str(word) for word in self.enter(command)]
            os.execvpe(words[0], words, {**os.environ, **self.ENVIRONMENT})
        said, asked, deadline = '', 0, time.monotonic() + 60
        try:
            while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
                said += os.read(terminal, 4096).decode(errors='replace')
                questions = len(re.findall(r'(?:phrase|password|Password)[^\n]*:', said))
                if questions > asked:
                    os.write(terminal, answer.encode() + b'\n')
                    asked = questions
        except OSError:     # the other end is closed
            pass
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert status == 0, f'{command}\nstatus {status}\n{said}'
        return said

    def start(self, command, port=None, ready=None):
        """Starts a server; returns when it listens, or when ready() is true."""
        with open(self.folder / f'log.{len(self.started)}', 'wb') as log:
            process = subprocess.Popen(self.enter('exec ' + command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env={**launch.without_tls_leftovers(), **self.ENVIRONMENT}, start_new_session=True)
        process.log_file = Path(log.name)
        self.started.append(process)

        def listens():
            assert process.poll() is None, f'{command}\n{process.log_file.read_text()}'
            return ready() if ready else self.listens(port)
        processes.until(listens, f'port {port}: {command}', 30)
        return process

    def stop(self, process):
        """Ends a server and its children. The server is a child of nsenter, which forks for the process namespace."""
        for child in reversed(processes.descendants(process.pid)):
            try:
                os.kill(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait()
        self.started.remove(process)

    def listens(self, port):
        for table in ('tcp', 'tcp6'):
            with open(f'/proc/{self.first}/net/{table}', encoding='ascii') as file:
                fields = [line.split() for line in file.readlines()[1:]]
            if any(line[3] == '0A' and int(line[1].rsplit(':', 1)[1], 16) == port for line in fields):
                return True
        return False

    def log(self):
        """Returns what came to syslog, and what servers have printed."""
        printed = [process.log_file.read_text(errors='replace') for process in self.started if hasattr(process, 'log_file')]
        return self.heard.decode(errors='replace') + ''.join(printed)
