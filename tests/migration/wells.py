"""Energy surfaces whose barriers are known, as levels for tests (``wells:…``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class DoubleWell(Calculator):
    """One atom between two minima: E = B (u² − 1)² + T (u − u³/3) + K q²/2.

    u = (x − x0)/w, q the distance from a bent line. For T = 0 the barrier is B exactly. It gives no stress.
    """

    implemented_properties = ("energy", "forces")

    def __init__(self, barrier: float = 0.4, tilt: float = 0.0, bend: float = 0.6, diary: str = "") -> None:
        super().__init__()
        self.barrier, self.tilt, self.bend, self.diary = barrier, tilt, bend, diary

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        if self.diary:
            with open(self.diary, "a", encoding="utf-8") as diary:  # noqa: PTH123
                diary.write("call\n")
        width, stiff = 1.2, 4.0
        x, y, z = self.atoms.positions[0] - np.array([4.0, 4.0, 4.0])
        u = x / width
        line = self.bend * (1 - u * u)
        energy = (
            self.barrier * (u * u - 1) ** 2 + self.tilt * (u - u**3 / 3) + stiff / 2 * ((y - line) ** 2 + z * z)
        )
        slope = 4 * self.barrier * u * (u * u - 1) + self.tilt * (1 - u * u)
        slope += stiff * (y - line) * 2 * self.bend * u
        forces = np.zeros((len(self.atoms), 3))
        forces[0] = -np.array([slope / width, stiff * (y - line), stiff * z])
        self.results = {"energy": float(energy), "forces": forces}


class TwoHumps(Calculator):
    """One atom along x over two humps of different height with a hollow between them."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        x, y, z = self.atoms.positions[0] - np.array([1.0, 4.0, 4.0])
        humps = [(0.3, 1.6), (0.5, 3.9)]
        energy, slope = 1.5 * (y * y + z * z), 0.0
        for height, centre in humps:
            if abs(x - centre) < 1.0:
                t = np.pi * (x - centre)
                energy += height * np.cos(t / 2) ** 2
                slope -= height * np.pi / 2 * np.sin(t)
        forces = np.zeros((len(self.atoms), 3))
        forces[0] = -np.array([slope, 3 * y, 3 * z])
        self.results = {"energy": float(energy), "forces": forces}


class NotANumber(DoubleWell):
    """A surface without numbers."""

    def calculate(self, *arguments: Any, **options: Any) -> None:
        super().calculate(*arguments, **options)
        self.results["energy"] = float("nan")
