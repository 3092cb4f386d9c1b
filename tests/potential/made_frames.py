"""Small frames labelled by an effective-medium potential (Cu and Au), and models taught on them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from ionscape.potential import held_out
from ionscape.potential.frames import Frame, labelled_frames
from ionscape.potential.model import SparseModel
from ionscape.potential.settings import DescriptorSettings, TrainingSettings
from ionscape.potential.training import train

SMALL = DescriptorSettings(cutoff_A=4.5, n_max=2, l_max=2)
SHEAR = np.array([[1.0, 0.15, -0.05], [0.0, 1.0, 0.1], [0.02, 0.0, 0.98]])


def alloy(seed: int, rattle: float = 0.15) -> Atoms:
    """Return eight atoms of Cu and Au in a sheared, strained cell."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    fractional = np.concatenate([corners, corners + np.eye(3)[0]]) / [2, 1, 1]
    cell = 3.9 * np.diag([2.0, 1.0, 1.0]) @ SHEAR @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3)))
    symbols = ["Cu", "Cu", "Au", "Cu", "Au", "Cu", "Cu", "Au"]
    atoms = Atoms(symbols, scaled_positions=fractional, cell=cell, pbc=True)
    atoms.positions += rattle * rng.normal(size=(8, 3))
    return atoms


def labelled(atoms: Any, level: str = "emt") -> Any:
    """Return `atoms` with the results of the level."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
    atoms.calc = SinglePointCalculator(atoms, **results)
    atoms.info["level"] = level
    return atoms


def alloys(count: int, first: int = 0) -> list[Any]:
    return [labelled(alloy(first + seed)) for seed in range(count)]


def frames(count: int, first: int = 0) -> list[Frame]:
    return labelled_frames(alloys(count, first), "made frames")


@functools.cache
def model(powers: tuple[float, ...] = (0.3, 0.7), inducing: int = 40, taught: int = 12) -> SparseModel:
    """Return a small potential, tested and calibrated on four frames."""
    settings = TrainingSettings(descriptor=SMALL, powers=powers, inducing=inducing, rank=0, held_out=0.0)
    return held_out.tested(train(frames(taught), settings), frames(4, 100))[0]
