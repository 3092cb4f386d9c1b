"""Shared fixtures: crystals from their crystallographic facts, and threads that leave the machine to others."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from pymatgen.core import Lattice, Structure  # noqa: E402

#: Li6Zr2O7, C2/c, conventional cell: lengths in Å, angle in degrees, fractional coordinates of the orbits.
LI6ZR2O7_CELL = (10.56179, 6.07647, 10.26046, 90.0, 100.08446, 90.0)
LI6ZR2O7_SITES = [
    ("Li", (0.06141865, 0.14585204, 0.08764859)),
    ("Li", (0.06523585, 0.39816297, 0.60484113)),
    ("Li", (0.20464352, 0.12941085, 0.89318828)),
    ("Zr", (0.18405904, 0.38015648, 0.36638546)),
    ("O", (0.12186055, 0.37724171, 0.97956080)),
    ("O", (0.13203807, 0.13146784, 0.50197536)),
    ("O", (0.24837860, 0.38479705, 0.74492999)),
    ("O", (0.0, 0.35309128, 0.25)),
]
SHEAR = np.array([[1.0, 0.12, -0.07], [0.0, 1.02, 0.09], [0.0, 0.0, 0.97]])


@pytest.fixture
def li6zr2o7() -> Structure:
    """Return the conventional cell of Li6Zr2O7 (60 atoms)."""
    species, coordinates = zip(*LI6ZR2O7_SITES, strict=True)
    return Structure.from_spacegroup("C2/c", Lattice.from_parameters(*LI6ZR2O7_CELL), species, coordinates)


@pytest.fixture
def copper() -> Structure:
    """Return eight Cu atoms, rattled, in a triclinic sheared cell: cheap to relax with EMT."""
    return sheared(Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.62), ["Cu"], [[0, 0, 0]]), (2, 1, 1))


@pytest.fixture
def lithia() -> Structure:
    """Return antifluorite Li2O (a = 4.62 Å), 12 atoms, rattled, in a triclinic sheared cell."""
    cubic = Lattice.cubic(4.62)
    oxide = Structure.from_spacegroup("Fm-3m", cubic, ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]])
    return sheared(oxide, (1, 1, 1))


def sheared(structure: Structure, supercell: tuple[int, int, int], rattle: float = 0.08) -> Structure:
    """Return a triclinic, rattled supercell of `structure`; the same in every run."""
    cell = structure.make_supercell(supercell, in_place=False)
    noise = np.random.default_rng(7).normal(0.0, rattle, (len(cell), 3))
    lattice = cell.lattice.matrix @ SHEAR
    return Structure(lattice, [s.specie for s in cell], cell.frac_coords + noise @ np.linalg.inv(lattice))
