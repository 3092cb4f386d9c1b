"""Cheap levels for molecular dynamics, importable as ``spring_levels:…``."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import ase.build
import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress
from pymatgen.core import Structure

from ionscape.structures.exchange import to_structure

STIFFNESS, LENGTH, ANHARMONICITY = 2.0, 2.6, 2.5


def crystal(repeats: tuple[int, int, int] = (2, 2, 2), shear: float = 0.0) -> Structure:
    """Return face-centred copper; `shear` turns the cell into another, triclinic one of the same lattice."""
    atoms = ase.build.bulk("Cu", "fcc", a=LENGTH * np.sqrt(2), cubic=True) * repeats
    if shear:
        atoms.set_cell(
            atoms.cell.array + shear * np.array([[0, 0, 0], [1.0, 0, 0], [0.5, 1.0, 0]]), scale_atoms=True
        )
    return to_structure(atoms)


class Springs(Calculator):
    """Anharmonic springs between the nearest neighbours of a crystal, for positions never wrapped.

    E = Σ k/2 x² (1 − a x + 7/12 a² x²) with x = r − r0: the Morse curve to fourth order, so that modes mix.

    The bonds are those of `structure` (default: `crystal()`), whatever the atoms do later. Takes `seconds` more
    for each evaluation. With `habit` the forces depend on how often they were asked for, as those of a calculator
    with a memory.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, structure: Structure | None = None, seconds: float = 0.0, habit: float = 0.0) -> None:
        super().__init__()
        atoms = (structure or crystal()).to_ase_atoms()
        self._i, self._j, self._image = neighbor_list("ijS", atoms, 1.2 * LENGTH)
        half = np.array(
            [(i, *image) < (j, *-image) for i, j, image in zip(self._i, self._j, self._image, strict=True)]
        )
        self._i, self._j, self._image = self._i[half], self._j[half], self._image[half].astype(float)
        self._seconds, self._habit, self._asked = seconds, habit, 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        if self._seconds:
            time.sleep(self._seconds)
        self._asked += 1
        positions, cell = self.atoms.positions, self.atoms.cell.array
        bonds = positions[self._j] - positions[self._i] + self._image @ cell
        lengths = np.sqrt((bonds * bonds).sum(axis=1))
        stretch = lengths - LENGTH
        a = ANHARMONICITY * stretch
        pull = (STIFFNESS * stretch * (1 - 1.5 * a + 7 / 6 * a * a) / lengths)[:, None] * bonds
        forces = np.stack(
            [
                np.bincount(self._i, pull[:, c], len(positions)) - np.bincount(self._j, pull[:, c], len(positions))
                for c in range(3)
            ],
            axis=1,
        )
        stress = pull.T @ bonds / abs(np.linalg.det(cell))
        self.results = {
            "energy": 0.5 * STIFFNESS * float(stretch**2 @ (1 - a + 7 / 12 * a * a)),
            "forces": forces * (1 + self._habit * self._asked),
            "stress": full_3x3_to_voigt_6_stress((stress + stress.T) / 2),
        }
