"""ASE's .traj files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ionscape.dynamics.formats.source import Frame, Header, Types, different_atoms
from ionscape.dynamics.formats.text import opened
from ionscape.dynamics.trajectory import TrajectoryWarning
from ionscape.errors import InputError, unreadable


class AseTrajectory:
    """An ASE trajectory. It does not tell the time between frames, only the time step of the run."""

    fractional = False
    wrapped = True

    def __init__(self, path: Path, types: Types = None) -> None:  # noqa: ARG002  every format takes types
        self.path = path
        with self._opened() as reader:
            first = self._read(reader, 0)
            if isinstance(first, InputError):
                raise first
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
                    expected="a whole .traj file, or one cut behind its table of frames",
                    remedy="The table that says where frames begin is lost: copy the file again.",
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
        """Yield the complete frames in order; those behind a cut are left out with a warning."""
        with self._opened() as reader:
            for index in range(len(reader)):
                atoms = self._read(reader, index)
                if not isinstance(atoms, InputError):
                    yield self._frame(atoms, index)
                    continue
                if not isinstance(self._read(reader, len(reader) - 1), InputError):
                    raise atoms
                warnings.warn(
                    f"{self.path}: ends within frame {index}, which is left out with all behind it "
                    f"(of {len(reader)} frames: a file that was not copied whole)",
                    TrajectoryWarning,
                    stacklevel=2,
                )
                return

    def _read(self, reader: Any, index: int) -> Any:
        """Return the atoms of a frame, or the error if it cannot be read."""
        try:
            return reader[index]
        except Exception as error:  # noqa: BLE001  a damaged frame raises anything
            return unreadable(
                error,
                "a frame",
                where=f"{self.path}, frame {index}",
                expected="a whole .traj file",
                remedy="The file is damaged there: copy it again, or write it again.",
            )

    def _frame(self, atoms: Any, index: int) -> Frame:
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
