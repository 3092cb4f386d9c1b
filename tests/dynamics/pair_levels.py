"""A pair potential that offers compiled forces (a Python function behind the C interface) and ASE's alike."""

from __future__ import annotations

import ctypes
import time
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from ionscape.potential.compiled_dynamics import FORCES, CompiledForces
from ionscape.potential.library import load
from ionscape.potential.neighbours import NeighbourList
from ionscape.units import Array, Indices

SIGMA, DEPTH, CUTOFF = 2.3, 0.4, 4.2


def pair_sums(positions: Array, cell: Array, i: Indices, j: Indices, image: Indices) -> tuple[float, Array, Array]:
    """Return energy (eV), forces (eV/Å) and virial (eV) of smoothly cut Lennard-Jones pairs, each listed twice."""
    vectors = positions[j] - positions[i] + image @ cell
    squares = (vectors**2).sum(axis=1)
    x = np.minimum(squares / CUTOFF**2, 1)
    power = (SIGMA**2 / squares) ** 3
    bare, smooth = 4 * DEPTH * (power**2 - power), (1 - x) ** 3
    slope = -12 * DEPTH * (2 * power**2 - power) / squares * smooth - 3 * bare * (1 - x) ** 2 / CUTOFF**2
    pull = slope[:, None] * vectors  # of a half counted pair: dE/dr² · 2 r · 1/2
    forces = np.stack([2 * np.bincount(i, pull[:, c], len(positions)) for c in range(3)], axis=1)
    return 0.5 * float(bare @ smooth), forces, -pull.T @ vectors


class PairLevel(Calculator):
    """Lennard-Jones; `seconds` more an evaluation. At call number `explosion`, the energy is no number."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, seconds: float = 0.0, explosion: int = 0) -> None:
        super().__init__()
        self._seconds, self._explosion, self.asked, self.lists = seconds, explosion, 0, 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        x, h = self.atoms.positions, self.atoms.cell.array
        found = NeighbourList(np.zeros(len(x), int), 1, CUTOFF, 0.0)
        found.build(x, h)
        owners = np.repeat(np.arange(len(x)), np.diff(found.start))
        energy, forces, virial = pair_sums(x, h, owners, found.index, found.image)
        stress = full_3x3_to_voigt_6_stress(-virial / abs(np.linalg.det(h)))
        self.results = {"energy": energy, "forces": forces, "stress": stress}

    def compiled_forces(self, symbols: tuple[str, ...]) -> CompiledForces:
        count, library = len(symbols), load()

        @FORCES
        def function(_: Any, listed: Any, positions: Any, cell: Any, forces: Any, virial: Any) -> float:
            self.asked += 1
            if self._seconds:
                time.sleep(self._seconds)
            start = np.ctypeslib.as_array(library.ionscape_neighbours_start(listed), (count + 1,))
            pairs = int(start[-1])
            index = np.ctypeslib.as_array(library.ionscape_neighbours_index(listed), (pairs,))
            image = np.ctypeslib.as_array(library.ionscape_neighbours_image(listed), (pairs, 3))
            x, h = np.ctypeslib.as_array(positions, (count, 3)), np.ctypeslib.as_array(cell, (3, 3))
            energy, force, pull = pair_sums(x, h, np.repeat(np.arange(count), np.diff(start)), index, image)
            np.ctypeslib.as_array(forces, (count, 3))[...] = force
            np.ctypeslib.as_array(virial, (3, 3))[...] = pull
            return float("nan") if self.asked == self._explosion else energy

        NeighbourList(np.zeros(1, int), 1, CUTOFF)  # declares the functions used above
        address = ctypes.cast(function, ctypes.c_void_p).value
        return CompiledForces(address or 0, 0, np.zeros(count, dtype=np.int64), 1, CUTOFF, owner=function)
