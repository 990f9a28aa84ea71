# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the ELF headers of a program, and runs programs for other processors."""

import os
import shlex
import shutil
import struct

ET_DYN = 3
PT_DYNAMIC, PT_INTERP, PT_GNU_STACK = 2, 3, 0x6474e551
DT_NEEDED = 1
SHT_SYMTAB = 2
EXECUTABLE = 1

# e_machine: (name for uname, name for qemu). Keys of big-endian ones begin with a capital letter.
MACHINES = {'3': ('i686', 'i386'), '8': ('mips', 'mipsel'), 'B8': ('mips', 'mips'), '40': ('armv7l', 'arm'),
            '62': ('x86_64', 'x86_64'), '183': ('aarch64', 'aarch64'), '243': ('riscv64', 'riscv64')}

# Bits: (where the places of the two tables stand, their form; where the sizes stand; a segment; a tag).
FORMS = {32: (28, 'II', 42, 'IIIIIIII', 'II'), 64: (32, 'QQ', 54, 'IIQQQQQQ', 'QQ')}


class Elf:
    """The ELF headers of a program."""

    def __init__(self, path):
        self.data = path.read_bytes()
        assert self.data[:4] == b'\x7fELF', f'{path} is no program'
        self.bits = 32 * self.data[4]
        self.order = {1: '<', 2: '>'}[self.data[5]]
        self.type, machine = self.read('HH', 16)
        self.machine, self.qemu = MACHINES[f'{"B" if self.order == ">" else ""}{machine}']
        places, place, sizes, segment, self.tag = FORMS[self.bits]
        segments, sections = self.read(place, places)
        size, count, section_size, section_count = self.read('HHHH', sizes)
        self.segments = [self.named(self.read(segment, segments + i * size)) for i in range(count)]
        self.section_types = [self.read('I', sections + i * section_size + 4)[0] for i in range(section_count)]

    def read(self, form, offset):
        return struct.unpack_from(self.order + form, self.data, offset)

    def named(self, words):
        """Reads a segment's header, whose flags have another place in 32 bits than in 64."""
        if self.bits == 32:
            kind, offset, _, _, size, _, flags, _ = words
        else:
            kind, flags, offset, _, _, size, _, _ = words
        return {'kind': kind, 'flags': flags, 'offset': offset, 'size': size}

    def segment(self, kind):
        return next((one for one in self.segments if one['kind'] == kind), None)

    def dynamic_tags(self):
        """Returns the tags of the dynamic segment; a program at a fixed address has none."""
        found = self.segment(PT_DYNAMIC)
        if found is None:
            return []
        return [tag for tag, _ in struct.iter_unpack(self.order + self.tag, self.data[found['offset']:found['offset'] + found['size']])]


def is_elf(path):
    return path.read_bytes()[:4] == b'\x7fELF'


def is_foreign(path):
    """True if the program is for another processor, so that qemu must run it. x86-64 runs i686 itself."""
    ours = os.uname().machine
    return is_elf(path) and Elf(path).machine not in (('x86_64', 'i686') if ours == 'x86_64' else (ours,))


def runnable(path, folder):
    """Returns the program, or a script in `folder` that runs it by qemu. Its handler is a program of this machine and
    runs without qemu. The script gives --jail=off, since qemu has no seccomp; a later option wins."""
    if not is_foreign(path):
        return path
    name = f'qemu-{Elf(path).qemu}'
    emulator = shutil.which(name) or shutil.which(f'{name}-static')
    assert emulator, f'{path} needs {name}: tests/packages cross'
    script = folder / 'postern'
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(emulator)} -0 postern {shlex.quote(str(path))} --jail=off "$@"\n', encoding='utf-8')
    script.chmod(0o755)
    return script
