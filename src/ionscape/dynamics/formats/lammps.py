"""LAMMPS text dumps (`dump custom`, `dump atom`): any coordinate columns, any kind of cell."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ionscape.dynamics.formats.lammps_run import (
    FEMTOSECONDS,
    LammpsRun,
    element_of_mass,
    run_beside,
    steps_apart,
)
from ionscape.dynamics.formats.source import Frame, Header, Types, different_atoms, elements_of, malformed
from ionscape.dynamics.formats.text import (
    INCOMPLETE,
    Window,
    atoms_told,
    columns_of,
    empty_labels,
    frames_of,
    read_table,
)
from ionscape.units import Array, Indices

_HEADER = re.compile(
    rb"\s*(?:ITEM: UNITS\s*\n(?P<units>[^\n]*)\n)?(?:ITEM: TIME\s*\n(?P<time>[^\n]*)\n)?"
    rb"ITEM: TIMESTEP[^\n]*\n\s*(?P<step>-?\d+)\s*\n"
    rb"ITEM: NUMBER OF ATOMS[^\n]*\n\s*(?P<atoms>\d+)\s*\n"
    rb"ITEM: BOX BOUNDS(?P<kind>[^\n]*)\n(?P<box>(?:[^\n]*\n){3})"
    rb"ITEM: ATOMS(?P<columns>[^\n]*)\n"
)


class _Kind(NamedTuple):
    columns: tuple[str, str, str]
    scaled: bool
    unwrapped: bool


#: By preference: unwrapped coordinates first.
_KINDS = [
    _Kind(("xu", "yu", "zu"), scaled=False, unwrapped=True),
    _Kind(("xsu", "ysu", "zsu"), scaled=True, unwrapped=True),
    _Kind(("x", "y", "z"), scaled=False, unwrapped=False),
    _Kind(("xs", "ys", "zs"), scaled=True, unwrapped=False),
]
_IMAGES = ("ix", "iy", "iz")


class _Raw(NamedTuple):
    """A frame as read: step, time in the units of the run, cell, origin, the wanted columns, the header."""

    step: int
    time: float | None
    cell: Array
    origin: Array
    table: Array
    rows: bytes


class LammpsDump:
    """A LAMMPS dump; elements come from `types`, its columns, or the files beside it (`lammps_run`).

    Atoms are sorted by `id`. Steps must be equally spaced; a step written twice (restart) is taken once.
    """

    fractional = True

    def __init__(self, path: Path, types: Types = None) -> None:
        self.path = path
        self._names: list[str] = []
        self._units = ""
        self._atoms = 0
        self._wanted: list[str] = []
        self._columns = columns_of([], [])
        first = list(itertools.islice(frames_of(path, self._raw), 3))
        self._choose()
        steps = sorted({raw.step for raw in first})
        self._spacing = steps[1] - steps[0] if len(steps) > 1 else 0
        first[:] = itertools.islice(frames_of(path, self._raw), 3)
        self._order = self._ids_of(first[0].table).argsort(kind="stable")
        self._ids = self._ids_of(first[0].table)[self._order]
        self._types = self._types_of(first[0].table, self._order)
        run = run_beside(path)
        labels = self._labels(first[0].rows)
        of_types = not {"element", "mass"} & set(self._names)
        known = types if types or not of_types else run.elements
        symbols = elements_of([labels[i] for i in self._order], known, str(path))
        self.header = Header(symbols, self._interval(first, run), None, self._hint())

    def _choose(self) -> None:
        """Decide which columns are read."""
        kinds = [kind for kind in _KINDS if set(kind.columns) <= set(self._names)]
        if not kinds:
            raise malformed(
                str(self.path),
                f"no coordinates among the columns {' '.join(self._names)}",
                "x y z, xs ys zs or xu yu zu",
            )
        self._kind = kinds[0]
        self._with_images = not self._kind.unwrapped and set(_IMAGES) <= set(self._names)
        self.wrapped = not (self._kind.unwrapped or self._with_images)
        extra = [*(_IMAGES if self._with_images else ()), *(n for n in ("id", "type") if n in self._names)]
        self._wanted = [*self._kind.columns, *extra]
        self._columns = columns_of(self._wanted, self._names)

    def frames(self) -> Iterator[Frame]:
        """Yield the complete frames in order."""
        last: int | None = None
        for raw in frames_of(self.path, self._raw):
            if raw.step == last:
                continue
            if last is not None and raw.step - last != self._spacing:
                raise malformed(
                    str(self.path),
                    f"step {raw.step} follows step {last}, though frames are {self._spacing} steps apart before",
                    "equally spaced frames",
                )
            last = raw.step
            yield Frame(self._coordinates(raw), raw.cell, clock=float(raw.step))

    def _coordinates(self, raw: _Raw) -> Array:
        ids = self._ids_of(raw.table)
        if not np.array_equal(ids[self._order], self._ids):
            self._order = ids.argsort(kind="stable")
            if not np.array_equal(ids[self._order], self._ids):
                raise different_atoms(
                    f"{self.path}, step {raw.step}", "other ids than in the first frame", "by id"
                )
        if not np.array_equal(self._types_of(raw.table, self._order), self._types):
            raise different_atoms(
                f"{self.path}, step {raw.step}", "other types than in the first frame", "by type"
            )
        table = raw.table[self._order]
        place = table[:, :3] if self._kind.scaled else (table[:, :3] - raw.origin) @ np.linalg.inv(raw.cell)
        return place + table[:, 3:6] if self._with_images else place

    def _ids_of(self, table: Array) -> Array:
        return table[:, self._wanted.index("id")] if "id" in self._wanted else np.arange(len(table), dtype=float)

    def _types_of(self, table: Array, order: Indices) -> Array:
        return table[order, self._wanted.index("type")] if "type" in self._wanted else np.zeros(0)

    def _raw(self, window: Window, count: int) -> _Raw | None:
        head = _HEADER.match(window.data, window.position)
        if head is None:
            if count and not b"ITEM: TIMESTEP".startswith(window.rest()[:14]) and b"ITEM: ATOMS" in window.rest():
                raise malformed(
                    f"{self.path}, frame {count}", "no header where a frame should begin", "a LAMMPS dump"
                )
            return None
        where = f"{self.path}, step {int(head['step'])}"
        self._check_columns(head, where)
        table = np.empty((atoms_told([head["atoms"]], where), len(self._wanted)))
        if count and len(table) != self._atoms:
            raise different_atoms(where, f"{len(table)} atoms", f"{self._atoms}")
        self._atoms = len(table)
        end = read_table(window.array, head.end(), self._columns, table, empty_labels(0))
        if end == INCOMPLETE:
            return None
        if end < 0:
            raise malformed(where, f"line {-1 - end} of the atoms is no row of numbers", f"{len(table)} rows")
        rows = window.data[head.end() : end] if count == 0 else b""
        window.position = end
        cell, origin = _box(head, where)
        return _Raw(int(head["step"]), float(head["time"]) if head["time"] else None, cell, origin, table, rows)

    def _check_columns(self, head: re.Match[bytes], where: str) -> None:
        names = head["columns"].decode().split()
        if not self._names:
            self._names = names
            self._units = (head["units"] or b"").decode().strip()
            if self._units and self._units not in FEMTOSECONDS:
                raise malformed(where, f"units {self._units}", "units metal or real (lengths in Å)")
        if names != self._names:
            raise malformed(where, f"the columns change to {' '.join(names)}", f"{' '.join(self._names)}")

    def _labels(self, rows: bytes) -> list[str]:
        names = self._names
        words = [line.split() for line in rows.decode(errors="replace").splitlines()]
        if "element" in names:
            return [row[names.index("element")] for row in words]
        if "mass" in names:
            return _elements_by_mass([float(row[names.index("mass")]) for row in words])
        return [row[names.index("type")] for row in words] if "type" in names else ["?"] * len(words)

    def _interval(self, first: list[_Raw], run: LammpsRun) -> float | None:
        unit = FEMTOSECONDS.get(self._units or run.units)
        if len(first) > 1 and unit and first[0].time is not None and first[1].time is not None:
            return (first[1].time - first[0].time) * unit or None
        return steps_apart(self._spacing, run)

    def _hint(self) -> str:
        return (
            f"frames are {self._spacing} steps apart: the interval is {self._spacing} × timestep; no log.lammps "
            "beside the file tells it"
        )


def _box(head: re.Match[bytes], where: str) -> tuple[Array, Array]:
    """Return the lattice vectors and the origin from the three lines of BOX BOUNDS.

    For triclinic cells the lines hold the bounds of the box around the cell, which the tilts enlarge.
    """
    try:
        rows = [[float(word) for word in line.split()] for line in head["box"].splitlines()]
        kind = head["kind"].decode()
        if "abc" in kind:
            values = np.array(rows)
            return values[:, :3], values[:, 3]
        xy, xz, yz = (row[2] for row in rows) if "xy" in kind else (0.0, 0.0, 0.0)
        (xlo, xhi), (ylo, yhi), (zlo, zhi) = (row[:2] for row in rows)
    except (ValueError, IndexError):
        raise malformed(where, "the three lines of BOX BOUNDS cannot be read", "lo hi [tilt]") from None
    xlo, xhi = xlo - min(0.0, xy, xz, xy + xz), xhi - max(0.0, xy, xz, xy + xz)
    ylo, yhi = ylo - min(0.0, yz), yhi - max(0.0, yz)
    cell = np.array([[xhi - xlo, 0.0, 0.0], [xy, yhi - ylo, 0.0], [xz, yz, zhi - zlo]])
    return cell, np.array([xlo, ylo, zlo])


def _elements_by_mass(masses: list[float]) -> list[str]:
    """Return the elements of the nearest standard masses; else the mass itself."""
    names = {mass: element_of_mass(mass) or f"mass {mass:g}" for mass in set(masses)}
    return [names[mass] for mass in masses]
