"""ASE's .traj files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.dynamics.formats.source import Frame, Header, Types, different_atoms
from ionscape.dynamics.formats.text import opened
from ionscape.errors import InputError, unreadable


class AseTrajectory:
    """An ASE trajectory. It does not tell the time between frames, only the time step of the run."""

    fractional = False
    wrapped = True

    def __init__(self, path: Path, types: Types = None) -> None:  # noqa: ARG002  every format takes types
        self.path = path
        with self._opened() as reader:
            first = reader[0]
            description = getattr(reader, "description", None) or {}
        self._count = len(first)
        self.header = Header(
            tuple(first.get_chemical_symbols()), None, _temperature(description), _spacing(description)
        )

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        from ase.io.trajectory import TrajectoryReader

        with opened(self.path) as file:
            try:
                reader = TrajectoryReader(file)
                empty = len(reader) == 0
            except Exception as error:  # noqa: BLE001  a damaged index raises anything
                raise unreadable(
                    error,
                    "an ASE trajectory",
                    where=str(self.path),
                    expected="a .traj file that was closed",
                    remedy="A file cut in the middle cannot be read: write it again, or use extended XYZ.",
                ) from None
            if empty:
                raise InputError(
                    "empty file",
                    where=str(self.path),
                    expected="at least two frames",
                    remedy="Check that the run wrote it.",
                )
            yield reader

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order."""
        with self._opened() as reader:
            for index in range(len(reader)):
                yield self._frame(reader, index)

    def _frame(self, reader: Any, index: int) -> Frame:
        try:
            atoms = reader[index]
        except Exception as error:  # noqa: BLE001
            raise unreadable(
                error,
                "a frame",
                where=f"{self.path}, frame {index}",
                expected="a whole .traj file",
                remedy="The file is damaged there: write it again.",
            ) from None
        if len(atoms) != self._count or tuple(atoms.get_chemical_symbols()) != self.header.symbols:
            where = f"{self.path}, frame {index}"
            raise different_atoms(where, atoms.get_chemical_formula("reduce"), f"{self._count} in the same order")
        energy = atoms.calc.results.get("energy") if atoms.calc is not None else None
        return Frame(atoms.positions, np.array(atoms.cell.array), energy)


def _spacing(description: Any) -> str:
    from ase.units import fs

    step = description.get("timestep")
    return f"the interval is {step / fs:g} fs × the interval of writing (loginterval)" if step else ""


def _temperature(description: Any) -> float | None:
    value = description.get("temperature_K")
    return float(value) if isinstance(value, int | float) else None
