"""Symmetry of a slab in its plane: the translations and rotations that map it onto itself and keep its normal.

The plane is that of x and y: lattice vectors are the rows of a 2 × 2 matrix, and the height of an atom is its z.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.structures.orbits import symmetry_dataset
from ionscape.units import FractionalArray, LengthArray, NumberArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Empty space above a slab while its symmetry is looked for, Å; only that it is empty matters.
CLEARANCE = 15.0


@dataclass(frozen=True)
class PlanarGroup:
    """Operations x → x·W + w (rows, fractional in the cell) that map a slab onto itself without turning it over.

    Attributes
    ----------
    cell
        In-plane lattice vectors as rows, (2, 2), Å.
    rotations
        Whole numbers, (k, 2, 2): each acts on fractional row vectors from the right.
    shifts
        Fractional, (k, 2), in [0, 1).
    """

    cell: LengthArray
    rotations: NumberArray = field(metadata={"internal": True})
    shifts: FractionalArray = field(metadata={"internal": True})

    @property
    def translations(self) -> FractionalArray:
        """The pure translations, fractional in the cell, (n, 2), the identity among them."""
        return self.shifts[(self.rotations == np.eye(2)).all(axis=(1, 2))]


def planar_group(structure: Structure, precision: float = 0.02) -> PlanarGroup:
    """Return the symmetry of a slab in its plane.

    Parameters
    ----------
    structure
        A slab in the plane of x and y, which its first two lattice vectors span; images along the third take no
        part.
    precision
        Distance within which positions count as equivalent, Å.

    Raises
    ------
    InputError
        If spglib cannot find the symmetry.
    """
    cell, plane = np.array(structure.lattice.matrix[:2, :2]), structure.cart_coords[:, :2]
    heights = structure.cart_coords[:, 2]
    depth = float(np.ptp(heights)) + CLEARANCE
    lattice = np.zeros((3, 3))
    lattice[:2, :2], lattice[2, 2] = cell, depth
    points = np.column_stack([plane @ np.linalg.inv(cell), (heights - heights.min()) / depth])
    found = symmetry_dataset((lattice, points, [site.specie.Z for site in structure]), precision)
    rotations = np.transpose(np.array(found.rotations, dtype=float), (0, 2, 1))
    shifts = np.array(found.translations)
    upright = (
        (rotations[:, 2, 2] == 1)
        & (rotations[:, :2, 2] == 0).all(axis=1)
        & (rotations[:, 2, :2] == 0).all(axis=1)
        & (np.abs(shifts[:, 2] - np.rint(shifts[:, 2])) * depth < 2 * precision)
    )
    if not upright.any():
        raise InputError(
            "not even the identity among its symmetry operations",
            where=f"slab of {len(structure)} atoms",
            expected="a slab whose atoms do not overlap",
            remedy="Check the slab, or change the symmetry precision.",
        )
    return PlanarGroup(frozen(cell), frozen(rotations[upright][:, :2, :2]), frozen(shifts[upright][:, :2] % 1.0))
