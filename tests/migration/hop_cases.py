"""Ends of paths: an atom in a double well, a vacancy in copper, in cells of any shape."""

from __future__ import annotations

import numpy as np
from ase.build import bulk
from pymatgen.core import Lattice, Structure

from ionscape.structures.exchange import to_structure


def well_ends(cell: np.ndarray | None = None) -> tuple[Structure, Structure]:
    """Return one lithium atom near both minima of `wells.DoubleWell`."""
    lattice = Lattice(np.diag([8.0, 8.0, 8.0]) if cell is None else cell)
    return tuple(
        Structure(lattice, ["Li"], [[4.0 + sign * 1.1, 4.05, 3.97]], coords_are_cartesian=True) for sign in (-1, 1)
    )


def copper_hop(shape: np.ndarray | None = None, turn: int = 0) -> tuple[Structure, Structure]:
    """Return an atom of fcc copper before and after it hops into a vacancy, in a supercell of cubic cells.

    With `turn` the hop leads to another of the twelve neighbours.
    """
    crystal = to_structure(bulk("Cu", cubic=True))
    crystal.make_supercell(np.diag([2, 2, 2]) if shape is None else shape)
    vectors = sorted(crystal.get_neighbors(crystal[0], 2.7), key=lambda site: tuple(site.coords.round(3)))
    goal = vectors[turn]
    initial, final = crystal.copy(), crystal.copy()
    final.translate_sites([0], goal.coords - crystal[0].coords, frac_coords=False, to_unit_cell=True)
    for structure in (initial, final):
        structure.remove_sites([goal.index])
    return initial, final
