"""Extended XYZ, as ASE, GPUMD, QUIP and others write it: a cell and named columns in every frame."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ionscape.dynamics.formats.lammps_run import FEMTOSECONDS, run_beside
from ionscape.dynamics.formats.source import Frame, Header, Types, different_atoms, elements_of, malformed
from ionscape.dynamics.formats.text import (
    INCOMPLETE,
    LABEL,
    SKIP,
    Window,
    atoms_told,
    empty_labels,
    frames_of,
    read_table,
)
from ionscape.errors import InputError
from ionscape.units import Array, Indices

_HEADER = re.compile(rb"[ \t]*(\d+)[ \t\r]*\n([^\n]*)\n")
_KEY = re.compile(rb"([A-Za-z_][\w-]*)\s*=\s*(?:\"([^\"]*)\"|(\S+))")
#: Info keys that tell the time of a frame, and femtoseconds per unit.
_TIMES = {"time_fs": 1.0, "time": 1.0, "time_ps": 1000.0}


class ExtendedXyz:
    """An extended XYZ file; the time of a frame from its keys `time_fs`, `time` (fs) or `time_ps`.

    LAMMPS writes the keys Timestep and Time, the latter in the unit of the run, ps or fs (`_lammps_unit`).
    """

    fractional = False
    wrapped = True

    def __init__(self, path: Path, types: Types = None) -> None:
        self.path = path
        self._header = b""
        self._columns = np.zeros(0, dtype=np.int64)
        self._hashes: Indices | None = None
        self._labels: list[str] = []
        first = list(itertools.islice(frames_of(path, self._keyed), 2))
        symbols = elements_of(self._labels, types, str(path))
        times = [_time(keys) for _, keys in first]
        told = len(times) == 2 and times[0] is not None and times[1] is not None and times[1] > times[0]
        interval = times[1] - times[0] if told else None  # type: ignore[operator]
        if interval is not None and "timestep" in first[0][1]:
            interval *= _lammps_unit(path, *(keys for _, keys in first))
        self.header = Header(symbols, interval)

    def frames(self) -> Iterator[Frame]:
        """Yield the complete frames in order."""
        for frame, _ in frames_of(self.path, self._keyed):
            yield frame

    def _keyed(self, window: Window, count: int) -> tuple[Frame, dict[str, str]] | None:
        head = _HEADER.match(window.data, window.position)
        if head is None:
            rest = window.rest()
            if rest.count(b"\n") > 1:
                raise malformed(f"{self.path}, frame {count}", "no number of atoms", "an extended XYZ file")
            return None
        where, keys = f"{self.path}, frame {count}", _keys(head[2])
        table = np.empty((atoms_told([head[1]], where), 3))
        labels = empty_labels(len(table))
        if self._hashes is not None and len(labels) != len(self._hashes):
            raise different_atoms(where, f"{len(labels)} atoms", f"{len(self._hashes)}")
        end = read_table(window.array, head.end(), self._columns_of(keys, where), table, labels)
        if end == INCOMPLETE:
            return None
        if end < 0:
            raise malformed(where, f"atom {-2 - end} has no three coordinates", keys.get("properties", "x y z"))
        self._check(labels, window.data[head.end() : end] if self._hashes is None else b"", where)
        window.position = end
        energy, temperature = _value(keys, "energy"), _value(keys, "temperature")
        return Frame(table, self._cell(keys, where), energy, temperature, _time(keys)), keys

    def _columns_of(self, keys: dict[str, str], where: str) -> Indices:
        properties = keys.get("properties", "species:S:1:pos:R:3")
        if properties.encode() == self._header:
            return self._columns
        columns, self._symbol_column = [], 0
        fields = properties.split(":")
        for name, count in zip(fields[::3], fields[2::3], strict=False):
            if name == "pos":
                columns += [0, 1, 2]
            elif name == "species":
                self._symbol_column = len(columns)
                columns += [LABEL]
            else:
                columns += [SKIP] * int(count)
        if 0 not in columns or LABEL not in columns:
            raise malformed(where, f"columns {properties}", "the columns species and pos")
        self._header = properties.encode()
        last = max(i for i, column in enumerate(columns) if column != SKIP)
        self._columns = np.array(columns[: last + 1], dtype=np.int64)
        return self._columns

    def _check(self, hashes: Indices, rows: bytes, where: str) -> None:
        if self._hashes is None:
            self._hashes = hashes
            self._labels = [line.split()[self._symbol_column].decode() for line in rows.splitlines()]
        elif not np.array_equal(hashes, self._hashes):
            atom = int(np.flatnonzero(hashes != self._hashes)[0])
            raise different_atoms(where, f"atom {atom} is no longer {self._labels[atom]}", "in the same order")

    def _cell(self, keys: dict[str, str], where: str) -> Array:
        words = keys.get("lattice", "").split()
        try:
            return np.array([float(word) for word in words]).reshape(3, 3)
        except ValueError:
            raise InputError(
                f'no cell (Lattice="{" ".join(words)}")',
                where=where,
                expected='Lattice="ax ay az bx by bz cx cy cz" in every frame',
                remedy="Write extended XYZ with the cell (ASE: write(..., format='extxyz') of periodic atoms).",
            ) from None


def _lammps_unit(path: Path, first: dict[str, str], second: dict[str, str]) -> float:
    """Return femtoseconds per unit of the time that LAMMPS wrote: of the log beside, else as the time step tells.

    A step of less than 0.05 is one of picoseconds (units metal), as none of femtoseconds (real) is that short.
    """
    told = FEMTOSECONDS.get(run_beside(path).units)
    if told is not None:
        return told
    steps = (_value(second, "timestep") or 0.0) - (_value(first, "timestep") or 0.0)
    time = (_value(second, "time") or 0.0) - (_value(first, "time") or 0.0)
    return FEMTOSECONDS["metal" if steps > 0 and time / steps < 0.05 else "real"]


def _keys(line: bytes) -> dict[str, str]:
    return {m[1].decode().lower(): (m[2] if m[2] is not None else m[3]).decode() for m in _KEY.finditer(line)}


def _value(keys: dict[str, str], name: str) -> float | None:
    try:
        return float(keys[name]) if name in keys else None
    except ValueError:
        return None


def _time(keys: dict[str, str]) -> float | None:
    for name, unit in _TIMES.items():
        value = _value(keys, name)
        if value is not None:
            return value * unit
    return None
