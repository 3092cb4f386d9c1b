"""Cheap levels for tests, importable in workers as ``toy_levels:…`` through PYTHONPATH."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress


class SoftSpheres(Calculator):
    """Soft spheres in any crystal, E = Σ_pairs ε (1 − r/rc)³: a function of positions and cell alone.

    Takes `seconds` for each evaluation, appends a line about itself to `diary`, and breaks down, as a machine
    without memory does, while the file `switch` exists.
    """

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, seconds: float = 0.0, diary: str = "", switch: str = "") -> None:
        super().__init__()
        self._seconds = seconds
        self._diary = diary
        self._switch = switch

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        if self._switch and Path(self._switch).exists():
            raise MemoryError("no memory left")
        time.sleep(self._seconds)
        self.results = soft_spheres(self.atoms)
        if self._diary:
            with Path(self._diary).open("a") as diary:
                job = os.environ.get("SLURM_JOB_ID", "-")
                diary.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')} {job}\n")


def slow_down_as_asked() -> None:
    """Take the time TOY_SECONDS of the environment, which is no setting of the level, and note job and process."""
    time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
    if "TOY_DIARY" in os.environ:
        with Path(os.environ["TOY_DIARY"]).open("a") as diary:
            diary.write(f"{os.getpid()} {os.environ.get('SLURM_JOB_ID', '-')}\n")


def soft_spheres(atoms: Any, depth: float = 8.0, reach: float = 3.2) -> dict[str, Any]:
    """Return energy, forces and stress of `atoms` as soft spheres."""
    i, vectors, distances = neighbor_list("iDd", atoms, reach)
    overlap = 1 - distances / reach
    pull = (depth * 3 * overlap**2 / reach / distances)[:, None] * vectors
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, i, -pull)
    virial = -0.5 * np.einsum("ka,kb->ab", pull, vectors) / atoms.get_volume()
    return {
        "energy": 0.5 * float((depth * overlap**3).sum()),
        "forces": forces,
        "stress": full_3x3_to_voigt_6_stress(virial),
    }


class NotANumber(SoftSpheres):
    """A level that gives no number."""

    def calculate(self, *arguments: Any, **options: Any) -> None:
        super().calculate(*arguments, **options)
        self.results["energy"] = float("nan")


class Washboard(Calculator):
    """Ions that hop and a host that stays: every atom alone in a cosine of its fractional coordinates.

    E = Σ_atoms Σ_axes B/2 (1 ∓ cos 4π s), with its minima at s = ¼, ¾ for Li (barrier `barrier` eV), at s = 0, ½
    for all others (`host` eV): the sites of antifluorite. It does not depend on the cell: its stress is none.
    """

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, barrier: float = 0.15, host: float = 3.0, seconds: float = 0.0, diary: str = "") -> None:
        super().__init__()
        self._barriers, self._seconds, self._diary = (barrier, host), seconds, diary

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        if self._seconds:
            time.sleep(self._seconds)
        if self._diary:
            with Path(self._diary).open("a") as diary:
                diary.write(f"{os.getpid()}\n")
        slow_down_as_asked()
        cell = self.atoms.cell.array
        ion = self.atoms.numbers[:, None] == 3
        height, sign = np.where(ion, *self._barriers) / 2, np.where(ion, 1.0, -1.0)
        angle = 4 * np.pi * np.linalg.solve(cell.T, self.atoms.positions.T).T
        slope = -height * sign * 4 * np.pi * np.sin(angle)
        self.results = {
            "energy": float((height * (1 + sign * np.cos(angle))).sum()),
            "forces": -slope @ np.linalg.inv(cell).T,
            "stress": np.zeros(6),
        }
