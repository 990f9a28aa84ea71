# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads sections, tagged lists and displays from the mdoc(7) source of the manual."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ANYTHING = '...'
NUMBERS = {'number'}


def plain(text):
    """Returns the text without escapes of roff."""
    return text.replace(r'\&', '').replace(r'\e', '\\').replace(r'\-', '-').replace(r'\(aq', "'")


def section(page, name):
    """Returns the lines of a section."""
    text = (TOP / 'man' / page).read_text(encoding='utf-8')
    found = re.search(rf'^\.Sh {re.escape(name)}\n(.*?)(?=^\.Sh |\Z)', text, re.MULTILINE | re.DOTALL)
    assert found, f'{page} has no section {name}'
    return found[1].splitlines()


def displays(lines):
    """Returns the text of each display, between .Bd and .Ed."""
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
    """Returns the words of a macro line as (macro, text, whether a space comes before it)."""
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
    """Returns a regular expression for these words: Ar matches any word, `...' anything."""
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
    """One .It of a list: its heads (several may share a text) and the lines below."""
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
        """Returns the client that shows this message."""
        return self.key.partition(': ')[0]

    @property
    def message(self):
        """Returns a regular expression for the client's message."""
        return pattern([('Li', self.key.partition(': ')[2], False)])

    @property
    def display(self):
        """Returns a regular expression for the line in .Dl."""
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
    # A head without a text shares the text of the next head.
    for here, following in reversed(list(zip(found, found[1:]))):
        if here and not here.text:
            here.text = following.text
    return [entry for entry in found if entry]
