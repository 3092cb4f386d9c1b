"""Crystals with known surfaces, and random ones."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Lattice, Structure


def made(group: str, lattice: Lattice, species: list[str], sites: list[list[float]]) -> Structure:
    """Return a crystal in its conventional cell."""
    return Structure.from_spacegroup(group, lattice, species, sites)


CRYSTALS = {
    "copper": made("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]]),
    "iron": made("Im-3m", Lattice.cubic(2.87), ["Fe"], [[0, 0, 0]]),
    "silicon": made("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0, 0, 0]]),
    "MgO": made("Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "CaF2": made("Fm-3m", Lattice.cubic(5.46), ["Ca", "F"], [[0, 0, 0], [0.25, 0.25, 0.25]]),
    "SrTiO3": made("Pm-3m", Lattice.cubic(3.9), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]),
    "ZnO": made("P6_3mc", Lattice.hexagonal(3.25, 5.2), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]),
    "LiCoO2": made(
        "R-3m", Lattice.hexagonal(2.816, 14.05), ["Li", "Co", "O"], [[0, 0, 0], [0, 0, 0.5], [0, 0, 0.24]]
    ),
    "rutile": made("P4_2/mnm", Lattice.tetragonal(4.59, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]),
}


def random_crystal(seed: int, atoms: int = 5) -> Structure:
    """Return a triclinic crystal without symmetry, its atoms not too near."""
    rng = np.random.default_rng(seed)
    while True:
        lattice = Lattice(np.diag(rng.uniform(4, 7, 3)) + rng.uniform(-2, 2, (3, 3)))
        positions = rng.uniform(size=(atoms, 3))
        species = rng.choice(["Li", "O", "Zr"], atoms).tolist()
        crystal = Structure(lattice, species, positions)
        gaps = crystal.distance_matrix[np.triu_indices(atoms, 1)]
        if gaps.min() > 1.2 and min(lattice.abc) > 2.5 and lattice.volume > 40:
            return crystal


def centred_crystal(seed: int, atoms: int = 3) -> Structure:
    """Return a triclinic crystal with an inversion centre, P-1."""
    while True:
        half = random_crystal(seed, atoms)
        both = Structure(
            half.lattice, [*half.species, *half.species], np.concatenate([half.frac_coords, -half.frac_coords])
        )
        if both.distance_matrix[np.triu_indices(len(both), 1)].min() > 0.9:
            return both
        seed += 1000
