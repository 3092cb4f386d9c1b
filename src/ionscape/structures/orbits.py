"""Symmetry-equivalent positions: orbits of points under the space group of a crystal.

Points of one orbit that lie closer together than a tolerance are one site on a special position; their
centroid is that position exactly, because the operations that permute them form its site-symmetry group.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import spglib
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ionscape.errors import InputError
from ionscape.units import Array, FractionalArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Lattice vectors as rows (3, 3), Å; fractional coordinates (n, 3); atomic numbers.
Cell = tuple[Array, Array, list[int]]


@dataclass(frozen=True)
class SpaceGroup:
    """The operations x → R x + t (fractional) that map a crystal onto itself, one of each coset of the lattice.

    Attributes
    ----------
    rotations, translations
        (n, 3, 3) and (n, 3), in the basis of the primitive cell.
    symbol
        International symbol, e.g. ``C2/c``.
    """

    rotations: NDArray[np.int64]
    translations: FractionalArray
    symbol: str

    def images(self, fractional: Array) -> Array:
        """Return the images (n, 3) of one point (3,), wrapped into the cell."""
        return np.mod(self.rotations @ fractional + self.translations, 1.0)


def primitive_crystal(structure: Structure, precision: float) -> tuple[Structure, SpaceGroup]:
    """Return a crystal in its LLL-reduced primitive cell, neither turned nor shifted, and its space group there.

    A supercell need not have the rotations of its crystal (a cubic crystal repeated along one axis has no cubic
    cell), so that symmetry is a matter of the primitive cell; in the reduced cell the nearest image of a point is
    found by rounding.

    Parameters
    ----------
    structure
        The crystal, in any cell.
    precision
        Distance in Å within which positions count as equivalent.

    Raises
    ------
    InputError
        If spglib cannot find the symmetry (overlapping atoms, a singular cell).
    """
    from pymatgen.core import Lattice
    from pymatgen.core import Structure as Crystal

    found = symmetry_dataset(_cell(structure), precision)
    lattice = Lattice(found.primitive_lattice).get_lll_reduced_lattice()
    chosen = np.unique(found.mapping_to_primitive, return_index=True)[1]
    species = [structure[int(k)].specie.symbol for k in chosen]
    positions = structure.cart_coords[chosen]
    primitive = Crystal(lattice, species, positions, coords_are_cartesian=True, to_unit_cell=True)
    operations = symmetry_dataset(_cell(primitive), precision)
    rotations = np.array(operations.rotations, dtype=np.int64)
    return primitive, SpaceGroup(rotations, np.array(operations.translations), str(found.international))


def _cell(structure: Structure) -> Cell:
    return structure.lattice.matrix, structure.frac_coords, [site.specie.Z for site in structure]


def symmetry_dataset(cell: Cell, precision: float) -> Any:
    """Return spglib's symmetry dataset of a cell: rotations, translations, mapping to the primitive cell, ….

    Parameters
    ----------
    cell
        Lattice vectors as rows (3, 3), Å; fractional coordinates (n, 3); atomic numbers (n,).
    precision
        Distance within which positions count as equivalent, Å.

    Raises
    ------
    InputError
        If spglib cannot find the symmetry (overlapping atoms, a singular cell).
    """
    with warnings.catch_warnings():
        # spglib announces that failures will raise one day; until then they return None
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            found = spglib.get_symmetry_dataset(cell, symprec=precision)
        except spglib.SpglibError:
            found = None
    if found is None:
        raise InputError(
            "the symmetry of the crystal cannot be determined",
            where=f"structure of {len(cell[2])} atoms",
            expected=f"a valid crystal whose atoms are farther apart than {precision} Å",
            remedy="Check the cell and the positions, or change the symmetry precision.",
        )
    return found


def separated_orbit(group: SpaceGroup, fractional: Array, matrix: Array, tolerance: float) -> Array:
    """Return the distinct positions equivalent to a point, those closer than `tolerance` merged into one.

    Parameters
    ----------
    group
        Space group in the basis `matrix`.
    fractional
        One point (3,).
    matrix
        Reduced lattice vectors as rows (3, 3), Å: half of every plane spacing must exceed `tolerance`.
    tolerance
        Distance in Å.

    Returns
    -------
    positions
        Fractional (m, 3); m is the multiplicity; the first is the point's own.
    """
    images = group.images(fractional)
    pairs = close_pairs(images, images, matrix, tolerance)
    size = len(images)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    count, label = connected_components(graph, directed=False)
    first = np.array([np.flatnonzero(label == k)[0] for k in range(count)])
    anchor = images[first[label]]
    offsets: Array = images - anchor
    offsets -= np.rint(offsets)
    sums = np.stack([np.bincount(label, offsets[:, k], count) for k in range(3)], axis=1)
    mean = sums / np.bincount(label, minlength=count)[:, None]
    positions = np.mod(images[first] + mean, 1.0)
    own = positions - np.mod(fractional, 1.0)
    own -= np.rint(own)
    order = np.argsort(np.linalg.norm(own @ matrix, axis=1), kind="stable")
    return np.mod(np.where(np.abs(positions - 1) < 1e-12, 0.0, positions), 1.0)[order]


def close_pairs(a: Array, b: Array, matrix: Array, tolerance: float) -> NDArray[np.int64]:
    """Return the index pairs (k, 2) of fractional points of `a` and `b` closer than `tolerance` Å.

    `matrix` must be reduced: half of every plane spacing must exceed `tolerance`.
    """
    # |Δfractional| ≤ tolerance · |row of the inverse|: a coarse periodic search, then the exact distance
    scale = np.linalg.norm(np.linalg.inv(matrix), axis=0).max() * tolerance
    trees = [cKDTree(_wrapped(points), boxsize=1.0) for points in (a, b)]
    found = trees[0].query_ball_tree(trees[1], min(scale, 0.4999), p=np.inf)
    pairs = np.array([(i, j) for i, row in enumerate(found) for j in row], dtype=np.int64).reshape(-1, 2)
    difference = a[pairs[:, 0]] - b[pairs[:, 1]]
    difference -= np.rint(difference)
    return pairs[np.linalg.norm(difference @ matrix, axis=1) < tolerance]


def _wrapped(fractional: Array) -> Array:
    wrapped = np.mod(fractional, 1.0)
    return np.where(wrapped >= 1.0, 0.0, wrapped)
