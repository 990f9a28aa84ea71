# SPDX-License-Identifier: GPL-2.0-or-later
"""A small news client (RFC 3977, RFC 4642), for versions of Python without nntplib."""

from types import SimpleNamespace


class NNTP:
    """The client. A subclass defines _create_socket(timeout)."""

    def __init__(self, _host, _port):
        self.use(self._create_socket(20))
        self.welcome = self.answer('20')

    def use(self, connection):
        self.socket = connection
        self.file = connection.makefile('rb')

    def line(self):
        line = self.file.readline()
        assert line.endswith(b'\r\n'), f'the end within a line: {line!r}'
        return line[:-2]

    def answer(self, wanted):
        line = self.line().decode()
        assert line.startswith(wanted), f'{line!r} is not {wanted}'
        return line

    def ask(self, command, wanted):
        self.socket.sendall(command.encode() + b'\r\n')
        return self.answer(wanted)

    def starttls(self, context):
        self.ask('STARTTLS', '382')
        self.file.close()
        self.use(context.wrap_socket(self.socket, server_hostname='localhost'))

    def group(self, name):
        """Returns answer, count, first, last and name, as nntplib does."""
        answer = self.ask(f'GROUP {name}', '211')
        _, count, first, last, name = answer.split()[:5]
        return answer, int(count), int(first), int(last), name

    def article(self, number):
        answer = self.ask(f'ARTICLE {number}', '220')
        lines = []
        while (line := self.line()) != b'.':
            lines.append(line[1:] if line.startswith(b'.') else line)
        return answer, SimpleNamespace(lines=lines)

    def quit(self):
        self.ask('QUIT', '205')
        self.file.close()
        self.socket.close()
