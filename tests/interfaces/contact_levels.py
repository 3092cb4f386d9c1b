"""Levels for tests of contacts, importable as ``contact_levels:…``."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from ionscape.errors import CalculationError

#: Energy of a nitrogen atom per Å of its distance from the middle of the cell's atoms, eV/Å.
SLOPE = -0.3


class FailsNowAndThen(EMT):
    """EMT that gives up on about every third contact of two metals, always on the same ones."""

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        mixed = len(set(atoms.numbers.tolist())) > 1
        if mixed and zlib.crc32((atoms.positions.round(3) + 0.0).tobytes()) % 3 == 0:
            message = "the level gave up"
            raise CalculationError(message)
        super().calculate(atoms, properties, system_changes)


class Sloped(Calculator):
    """E = SLOPE Σ_N |z − z_middle|, z_middle between the two halves of the sites that are not nitrogen or last."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        heights = np.sort(self.atoms.positions[:, 2])
        gaps = np.diff(heights)
        inner = slice(len(gaps) // 4, 3 * len(gaps) // 4)
        k = int(np.argmax(gaps[inner])) + len(gaps) // 4
        middle = 0.5 * (heights[k] + heights[k + 1])
        nitrogen = self.atoms.numbers == 7
        depth = self.atoms.positions[:, 2] - middle
        forces = np.zeros((len(self.atoms), 3))
        forces[nitrogen, 2] = -SLOPE * np.sign(depth[nitrogen])
        self.results = {
            "energy": SLOPE * float(np.abs(depth[nitrogen]).sum()),
            "forces": forces,
            "stress": np.zeros(6),
        }
