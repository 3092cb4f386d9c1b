"""Periodic images of atoms and sites: supercells, and what surrounds a point of the crystal.

Everything here holds in any cell, however sheared: images are counted by the spacing of lattice planes, never by
"the 27 neighbouring cells".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ionscape.errors import InputError
from ionscape.units import Array

if TYPE_CHECKING:
    from pymatgen.core import Structure


def plane_spacings(matrix: Array) -> Array:
    """Return the distances (3,) in Å between the lattice planes spanned by two rows of `matrix` each."""
    return 1 / np.linalg.norm(np.linalg.inv(matrix), axis=0)


def covering_radius_bound(matrix: Array) -> float:
    """Return an upper bound in Å on the distance of any point from the nearest lattice point.

    With the Gram–Schmidt vectors b*ᵢ of the basis (Babai's nearest plane), R² ≤ ¼ Σ |b*ᵢ|². Since each kind of
    atom contains a full lattice, no point of a crystal is farther than this from an atom of any kind.
    """
    return float(0.5 * np.linalg.norm(np.diag(np.linalg.qr(matrix.T)[1])))


def images_within(matrix: Array, fractional: Array, padding: float) -> tuple[Array, NDArray[np.int64]]:
    """Return all periodic images that lie in the cell or within `padding` of it.

    Parameters
    ----------
    matrix
        Lattice vectors as rows, (3, 3), Å.
    fractional
        Points (n, 3).
    padding
        Distance from the cell, Å.

    Returns
    -------
    positions, index
        Cartesian positions (m, 3) in Å, and the point (0…n−1) of which each is an image, (m,).
    """
    margin = padding / plane_spacings(matrix)
    wrapped = np.mod(fractional, 1.0)
    ranges = [np.arange(-int(np.ceil(m)) - 1, int(np.ceil(m)) + 2) for m in margin]
    shifts = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    images = (wrapped[None, :, :] + shifts[:, None, :]).reshape(-1, 3)
    index = np.tile(np.arange(len(wrapped)), len(shifts))
    near = np.all((images >= -margin - 1e-9) & (images <= 1 + margin + 1e-9), axis=1)
    return images[near] @ matrix, index[near]


class Surroundings:
    """What surrounds points of a crystal: exact nearest distances and numbers of neighbours per element.

    Parameters
    ----------
    structure
        The crystal.
    reach
        Longest distance in Å that `count` is asked for; nearest distances are always exact.
    """

    def __init__(self, structure: Structure, reach: float = 0.0) -> None:
        lattice = structure.lattice.get_lll_reduced_lattice()
        self._matrix = np.array(lattice.matrix)
        self.reach = max(reach, covering_radius_bound(self._matrix))
        symbols = np.array([site.specie.symbol for site in structure])
        fractional = structure.cart_coords @ np.linalg.inv(self._matrix)
        self._trees: dict[str, cKDTree] = {
            str(symbol): cKDTree(images_within(self._matrix, fractional[symbols == symbol], self.reach)[0])
            for symbol in dict.fromkeys(symbols.tolist())
        }

    def nearest(self, positions: Array) -> Mapping[str, Array]:
        """Return the distances (n,) in Å from Cartesian `positions` (n, 3) to the nearest atom of each element."""
        home = self._home(positions)
        return {symbol: tree.query(home)[0] for symbol, tree in self._trees.items()}

    def count(self, positions: Array, radius: Array) -> Mapping[str, NDArray[np.int64]]:
        """Return the number (n,) of atoms of each element within `radius` (n,) Å of `positions` (n, 3)."""
        home = self._home(positions)
        return {
            symbol: np.asarray(tree.query_ball_point(home, np.minimum(radius, self.reach), return_length=True))
            for symbol, tree in self._trees.items()
        }

    def _home(self, positions: Array) -> Array:
        return np.mod(np.atleast_2d(positions) @ np.linalg.inv(self._matrix), 1.0) @ self._matrix


def supercell_positions(fractional: Array, matrix: Array) -> Array:
    """Return all copies of sites in a supercell, as fractional coordinates of the supercell.

    Parameters
    ----------
    fractional
        Sites (n, 3) in the original cell.
    matrix
        Integer matrix (3, 3); rows give the vectors of the supercell in those of the cell, as in
        `pymatgen.core.Structure.make_supercell`.

    Returns
    -------
    positions
        (n |det matrix|, 3), all copies of the first site, then of the second, …

    Raises
    ------
    InputError
        If the matrix is singular or not integer.
    """
    integer = np.rint(np.asarray(matrix, dtype=float)).astype(int)
    cells = round(abs(np.linalg.det(integer)))
    if integer.shape != (3, 3) or cells == 0 or not np.allclose(integer, matrix):
        raise InputError(
            f"supercell matrix {np.asarray(matrix).tolist()}",
            where="supercell",
            expected="a non-singular 3×3 matrix of integers",
            remedy="Give e.g. [[1, 0, 0], [0, 2, 0], [0, 0, 1]].",
        )
    corners = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), axis=-1).reshape(-1, 3) @ integer
    ranges = [np.arange(corners[:, k].min(), corners[:, k].max() + 1) for k in range(3)]
    shifts = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = shifts @ np.linalg.inv(integer)
    inside = shifts[np.all((inside > -1e-8) & (inside < 1 - 1e-8), axis=1)]
    copies = (np.asarray(fractional)[:, None, :] + inside[None, :, :]).reshape(-1, 3)
    return np.mod(copies @ np.linalg.inv(integer), 1.0)
