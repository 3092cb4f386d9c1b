"""Crystals for the tests of the doping stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure


@dataclass(frozen=True)
class Host:
    """A crystal with empty sites, fractional, all symmetry copies."""

    crystal: Structure
    empty: np.ndarray


@pytest.fixture(scope="session")
def lzo() -> Host:
    """Li6Zr2O7 (C2/c), an anion-deficient NaCl structure; empty: the vacant anion site and one interstice."""
    crystal = Structure.from_spacegroup(
        "C2/c",
        Lattice.monoclinic(10.562, 6.076, 10.260, 100.08),
        ["Li", "Li", "Li", "Zr", "O", "O", "O", "O"],
        [
            [0.0614, 0.1459, 0.0876],
            [0.0652, 0.3982, 0.6048],
            [0.2046, 0.1294, 0.8932],
            [0.1841, 0.3802, 0.3664],
            [0.1219, 0.3772, 0.9796],
            [0.1320, 0.1315, 0.5020],
            [0.2484, 0.3848, 0.7450],
            [0.0, 0.3531, 0.25],
        ],
    )
    empty = Structure.from_spacegroup(
        "C2/c", crystal.lattice, ["H", "H"], [[0.0, 0.127, 0.75], [0.151, 0.353, 0.164]]
    ).frac_coords
    return Host(crystal, empty)


@pytest.fixture(scope="session")
def rocksalt() -> Host:
    """A small MgO-like cell of 8 atoms with its 8 tetrahedral holes."""
    crystal = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    grid = [0.25, 0.75]
    return Host(crystal, np.array([[x, y, z] for x in grid for y in grid for z in grid]))
