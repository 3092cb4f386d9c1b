"""Vertices of the Voronoi tessellation of a crystal: the centres of the largest balls between its atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import Voronoi, cKDTree

from ionscape.structures.supercells import covering_radius_bound, images_within, plane_spacings
from ionscape.units import Array

if TYPE_CHECKING:
    from pymatgen.core import Structure


def voronoi_vertices(structure: Structure) -> tuple[Array, Array]:
    """Return the Voronoi vertices (n, 3) in one cell, Cartesian, and their distances (n,) from the atoms; Å.

    Every ball free of atoms is smaller than the covering radius of the lattice: with all images within that
    distance of the cell, the vertices inside the cell are those of the infinite crystal.
    """
    matrix = np.array(structure.lattice.matrix)
    atoms, _ = images_within(matrix, structure.frac_coords, 1.01 * covering_radius_bound(matrix) + 0.1)
    vertices = Voronoi(atoms, qhull_options="Qbb Qc Qz").vertices
    inside = vertices @ np.linalg.inv(matrix)
    margin = 0.05 / plane_spacings(matrix)
    vertices = vertices[np.all((inside >= -margin) & (inside < 1 + margin), axis=1)]
    return vertices, cKDTree(atoms).query(vertices)[0]
