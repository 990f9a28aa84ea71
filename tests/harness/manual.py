# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual as a test reads it: sections, lists with their tags, and displays, from the mdoc(7) source."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ANYTHING = '...'
NUMBERS = {'number'}


def plain(text):
    """Without the escapes of roff."""
    return text.replace(r'\&', '').replace(r'\e', '\\').replace(r'\-', '-').replace(r'\(aq', "'")


def section(page, name):
    """The lines of a section."""
    text = (TOP / 'man' / page).read_text(encoding='utf-8')
    found = re.search(rf'^\.Sh {re.escape(name)}\n(.*?)(?=^\.Sh |\Z)', text, re.MULTILINE | re.DOTALL)
    assert found, f'{page} has no section {name}'
    return found[1].splitlines()


def displays(lines):
    """What stands between .Bd and .Ed: each a string."""
    found, inside = [], None
    for line in lines:
        if line.startswith('.Bd '):
            inside = []
        elif line == '.Ed':
            found.append(plain('\n'.join(inside)) + '\n')
            inside = None
        elif inside is not None:
            inside.append(line)
    return found


def pieces(words):
    """The words of a macro line as (macro, text, a space before it)."""
    found, macro, space = [], None, False
    for word in shlex.split(words):
        if word in ('Li', 'Ar', 'Sy'):
            macro = word
        elif word == 'Ns':
            space = False
        else:
            found.append((macro, plain(word), space and bool(found)))
            space = True
    return found


def shown(parts):
    return ''.join(' ' * space + text for _, text, space in parts)


def pattern(parts):
    """A regular expression for what the words stand for: Ar is variable, `...' anything."""
    made = ''
    for macro, text, space in parts:
        made += ' ' * space
        if macro == 'Ar':
            made += r'\d+' if text in NUMBERS else '.+'
        else:
            made += '.*'.join(map(re.escape, text.split(ANYTHING)))
    return made


@dataclass
class Entry:
    """One .It of a list: its heads (several share a text), and the lines below them."""
    subsection: str
    parts: list
    text: list = field(default_factory=list)

    @property
    def key(self):
        return shown(self.parts)

    @property
    def pattern(self):
        return pattern(self.parts)

    @property
    def program(self):
        """Of a client's message: whose it is."""
        return self.key.partition(': ')[0]

    @property
    def message(self):
        """Of a client's message: a regular expression."""
        return pattern([('Li', self.key.partition(': ')[2], False)])

    @property
    def display(self):
        """The line in .Dl: a regular expression."""
        line = next(line for line in self.text if line.startswith('.Dl '))
        return pattern([('Li', plain(word), False) for word in shlex.split(line[4:])])


def entries(lines):
    found, subsection = [], ''
    for line in lines:
        if line.startswith('.Ss '):
            subsection = line[4:]
        elif line.startswith('.It '):
            found.append(Entry(subsection, pieces(line[4:])))
        elif line == '.El':
            found.append(None)
        elif found and found[-1]:
            found[-1].text.append(line)
    # A head without text has that of the next one.
    for here, following in reversed(list(zip(found, found[1:]))):
        if here and not here.text:
            here.text = following.text
    return [entry for entry in found if entry]
