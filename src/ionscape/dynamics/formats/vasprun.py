"""VASP's vasprun.xml of a molecular dynamics run, plain or compressed, also while it is being written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ionscape.dynamics.formats.source import Frame, Header, Types, elements_of, from_settings, malformed
from ionscape.dynamics.formats.text import Window, columns_of, empty_labels, frames_of, read_table
from ionscape.errors import InputError
from ionscape.units import Array

_ATOMS = re.compile(rb'<array name="atoms"\s*>.*?<set>(.*?)</set>', re.DOTALL)
_FIRST_COLUMN = re.compile(rb"<rc>\s*<c>\s*([^<\s]+)\s*</c>")
_TAG = re.compile(rb'<i [^>]*name="\s*(\w+)"[^>]*>([^<]*)</i>')
_ROWS = {
    name: re.compile(rb'<varray name="%s"\s*>(.*?)</varray>' % name.encode(), re.DOTALL)
    for name in ("basis", "positions")
}
_ENERGY = re.compile(rb'<i name="e_0_energy">\s*([^\s<]+)')
_COLUMNS = columns_of(["x", "y", "z"], ["x", "y", "z"])
#: The structure of a step; those at the beginning and at the end have names.
_BEGIN, _ANY, _END = b"<structure>", b"<structure", b"</structure>"


class VaspRun:
    """A vasprun.xml file: structure and energy of every step.

    It is written at every step whatever NBLOCK is, and every ML_OUTBLOCK steps with a learned force field
    (https://vasp.at/wiki/Template:Table_-_Output_interval_options).
    """

    fractional = True
    wrapped = True

    def __init__(self, path: Path, types: Types = None) -> None:
        self.path = path
        with Window(path) as window:
            while window.more() and _ANY not in window.data:
                pass
            head = window.data.split(_ANY, maxsplit=1)[0]
        atoms = _ATOMS.search(head)
        if atoms is None:
            raise malformed(str(path), "no list of atoms (<atominfo>)", "a vasprun.xml file")
        labels = [label.decode() for label in _FIRST_COLUMN.findall(atoms[1])]
        tags = {name.decode(): value.decode().strip() for name, value in _TAG.findall(head)}
        if tags.get("IBRION", "0") != "0":
            raise InputError(
                f"not a run of molecular dynamics (IBRION = {tags['IBRION']})",
                where=str(path),
                expected="IBRION = 0",
                remedy="Give the vasprun.xml of the molecular dynamics.",
            )
        interval, temperature = from_settings(tags, ("ML_OUTBLOCK",))
        self.header = Header(elements_of(labels, types, str(path)), interval, temperature)

    def frames(self) -> Iterator[Frame]:
        """Yield the steps whose structure and energy are complete."""
        yield from frames_of(self.path, self._step, started=lambda rest: _BEGIN in rest)

    def _step(self, window: Window, count: int) -> Frame | None:
        data = window.data
        start = data.find(_BEGIN, window.position)
        if start < 0:  # nothing but the end of the file, or of what is in sight
            window.position = max(window.position, len(data) - len(_BEGIN))
            return None
        window.position = start
        end = data.find(_END, start)
        following = data.find(_ANY, end)
        energy = data.find(b"</energy>", end)
        if end < 0 or following < 0 > energy:
            return None
        tables = np.empty((3, 3)), np.empty((len(self.header.symbols), 3))
        for name, table in zip(_ROWS, tables, strict=True):
            if not _filled(table, _ROWS[name].search(data, start, end)):
                raise malformed(
                    f"{self.path}, step {count}", f"no {name} of {len(table)} rows", "one in every step"
                )
        told = energy if following < 0 else min(energy, following) if energy > 0 else end
        energies = _ENERGY.findall(data, end, told)
        window.position = max(end, told)
        return Frame(tables[1], tables[0], float(energies[-1]) if energies else None)


def _filled(table: Array, rows: re.Match[bytes] | None) -> bool:
    """Fill `table` from the rows ``<v> x y z </v>`` and return whether there are as many."""
    if rows is None or rows[1].count(b"</v>") != len(table):
        return False
    text = rows[1].replace(b"\n", b" ").replace(b"<v>", b" ").replace(b"</v>", b"\n")
    return int(read_table(np.frombuffer(text, dtype=np.uint8), 0, _COLUMNS, table, empty_labels(0))) > 0
