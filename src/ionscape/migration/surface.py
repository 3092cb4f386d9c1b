"""The energy surface of a level in one cell, as a band explores it: every evaluation is counted and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from ionscape.errors import CalculationError
from ionscape.levels.recording import RecordingCalculator
from ionscape.units import Array, Energy, ForceArray, LengthArray

RECORD = "band.traj"


@dataclass(frozen=True)
class Sample:
    """One evaluation: positions (atoms, 3), energy, and forces on all atoms, held or not (atoms, 3)."""

    positions: LengthArray
    energy: Energy
    forces: ForceArray


class LevelSurface:
    """Energy and forces of a level for given positions of the atoms of one cell.

    Evaluations are appended to a record in `folder` and replayed from it after an interruption, so that what was
    paid for is never paid again. Positions that were evaluated before are answered from memory.

    Parameters
    ----------
    atoms
        The atoms and their cell.
    calculator
        ASE calculator of the level.
    folder
        Existing folder of the record.

    Attributes
    ----------
    samples
        All evaluations so far, in order.
    """

    def __init__(self, atoms: Atoms, calculator: Any, folder: Path) -> None:
        self._recording = RecordingCalculator(calculator, folder / RECORD)
        self._atoms = atoms.copy()
        self._atoms.set_constraint()
        self._atoms.calc = self._recording
        self._known: dict[bytes, Sample] = {}
        self.samples: list[Sample] = []

    @property
    def calls(self) -> int:
        """Number of evaluations of the level, replayed ones included."""
        return len(self.samples)

    def at(self, positions: Array) -> Sample:
        """Return energy and forces at `positions` (atoms, 3).

        Raises
        ------
        CalculationError
            If one of them is not finite.
        """
        key = np.ascontiguousarray(positions, dtype=float).tobytes()
        if key not in self._known:
            self._atoms.positions = positions
            energy = float(self._atoms.get_potential_energy())
            forces = np.array(self._atoms.get_forces(), dtype=float)
            if not (np.isfinite(energy) and np.isfinite(forces).all()):
                message = (
                    f"the energy or a force is not a finite number in evaluation {self.calls + 1} of the path"
                )
                raise CalculationError(message)
            self._known[key] = Sample(np.array(positions, dtype=float), energy, forces)
            self.samples.append(self._known[key])
        return self._known[key]

    def knows(self, positions: Array) -> bool:
        """Tell whether exactly these positions were evaluated."""
        return np.ascontiguousarray(positions, dtype=float).tobytes() in self._known

    def close(self) -> None:
        """Close the record."""
        self._recording.close()


class SurfaceCalculator(Calculator):
    """ASE calculator of anything that gives energy and forces at positions."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, surface: Any) -> None:
        super().__init__()
        self._surface = surface

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        """Fill ``results`` with energy (eV) and forces (eV/Å, (n, 3))."""
        super().calculate(atoms, properties, system_changes)
        sample = self._surface.at(self.atoms.positions)
        self.results = {"energy": sample.energy, "forces": np.array(sample.forces)}
