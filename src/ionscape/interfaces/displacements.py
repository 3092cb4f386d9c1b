r"""Which rigid displacements of one slab over another are the same: the displacement lattice and its symmetry.

Let the film and the substrate have the in-plane lattices F and S, both of which contain the lattice of the common
cell. Shifting the film by one of its own translations does not change the film; shifting it by a translation of
the substrate changes nothing but where the whole is. So displacements t and t + f + s are the same contact, and
what is left to search is one cell of

.. math:: D = F + S = \{ f + s : f ∈ F, s ∈ S \}.

If the common cell is exactly F ∩ S and holds n_F cells of the film and n_S of the substrate, the cell of D is
n_F n_S times smaller. An operation that is a symmetry of both, x → x W + w_F and x → x W + w_S with the same W,
further makes t and t W + w_S − w_F the same: it maps the substrate onto itself and the displaced film onto the
film displaced so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ionscape.errors import InputError
from ionscape.interfaces.planar_symmetry import PlanarGroup
from ionscape.results import frozen
from ionscape.units import Array, Indices, LengthArray, NumberArray

#: Farthest that a translation may lie from the multiple of 1/n that it must be, in cells.
ROUNDING = 0.02


@dataclass(frozen=True)
class DisplacementCell:
    """The cell of all displacements that are not the same, and the operations that leave the contact as it is.

    Attributes
    ----------
    vectors
        Reduced lattice vectors as rows, (2, 2), Å, in the plane of the slabs.
    rotations, shifts
        Cartesian operations t → t·W + w, (k, 2, 2) and (k, 2), Å; the identity is the first.
    """

    vectors: LengthArray
    rotations: NumberArray = field(metadata={"internal": True})
    shifts: LengthArray = field(metadata={"internal": True})

    @property
    def area(self) -> float:
        """Area of the cell, Å²."""
        return float(abs(np.linalg.det(self.vectors)))

    def folded(self, lateral: Array) -> LengthArray:
        """Return displacements (n, 2), Å, moved into the cell."""
        fractional = np.atleast_2d(lateral) @ np.linalg.inv(self.vectors) % 1.0
        return np.where(fractional > 1 - 1e-9, 0.0, fractional) @ self.vectors

    def images(self, lateral: Array) -> LengthArray:
        """Return the equivalents (k, n, 2), Å, of displacements (n, 2) under the operations."""
        points = np.atleast_2d(lateral)
        return np.einsum("ni,kij->knj", points, self.rotations) + self.shifts[:, None]

    def distances(self, one: Array, other: Array) -> LengthArray:
        """Return the distances (n, m), Å, of displacements (n, 2) from others (m, 2) and their equivalents."""
        difference = np.atleast_2d(one)[None, :, None] - self.images(other)[:, None]
        fractional = difference @ np.linalg.inv(self.vectors)
        fractional -= np.rint(fractional)
        corners = np.array([[i, j] for i in (-1, 0, 1) for j in (-1, 0, 1)])  # enough in a reduced cell
        near = (fractional[..., None, :] + corners) @ self.vectors
        return np.linalg.norm(near, axis=-1).min(axis=(0, 3))


def displacement_cell(film: PlanarGroup, substrate: PlanarGroup) -> DisplacementCell:
    """Return the cell of non-identical displacements of a film over a substrate.

    Parameters
    ----------
    film, substrate
        Symmetry of the two slabs, strained into one common cell.

    Raises
    ------
    InputError
        If the two are not in the same cell, or their translations form no lattice.
    """
    if not np.allclose(film.cell, substrate.cell, atol=1e-3):
        raise InputError(
            f"cells {np.round(film.cell, 4).tolist()} and {np.round(substrate.cell, 4).tolist()} Å",
            where="film and substrate",
            expected="both slabs in the same in-plane cell",
            remedy="Strain them into their common cell first.",
        )
    cell = np.asarray(film.cell)
    basis = lattice_sum(film.translations, substrate.translations)
    vectors = reduced(basis @ cell)
    rotations, shifts = _common(film, substrate)
    inverse = np.linalg.inv(cell)
    return DisplacementCell(frozen(vectors), frozen(inverse @ rotations @ cell), frozen(shifts @ cell))


def _common(film: PlanarGroup, substrate: PlanarGroup) -> tuple[Array, Array]:
    """Return one operation (W, w_S − w_F) for every rotation that both slabs have, the identity first."""
    rotations, shifts = [np.eye(2)], [np.zeros(2)]
    for rotation in np.unique(film.rotations, axis=0):
        ours = np.flatnonzero((film.rotations == rotation).all(axis=(1, 2)))
        theirs = np.flatnonzero((substrate.rotations == rotation).all(axis=(1, 2)))
        if len(theirs) and not (rotation == np.eye(2)).all():
            rotations.append(rotation)
            shifts.append(substrate.shifts[theirs[0]] - film.shifts[ours[0]])
    return np.array(rotations), np.array(shifts)


def lattice_sum(*translations: Array) -> Array:
    """Return a basis (2, 2) of the lattice generated by whole numbers and groups of translations, fractional.

    Each group of n translations is closed, so that they are multiples of 1/n; they are taken as such exactly.

    Raises
    ------
    InputError
        If a translation is no multiple of 1/n.
    """
    denominator = math.lcm(*(len(group) for group in translations))
    rows = [np.array([[denominator, 0], [0, denominator]])]
    for group in translations:
        whole = np.rint(np.asarray(group) * len(group))
        if np.abs(whole - np.asarray(group) * len(group)).max() > ROUNDING * len(group):
            raise InputError(
                f"translations {np.round(group, 4).tolist()}",
                where="symmetry of a slab",
                expected=f"{len(group)} translations that form a lattice with that of the cell",
                remedy="Lower the symmetry precision: it joins atoms that differ.",
            )
        rows.append((whole * (denominator // len(group))).astype(np.int64))
    return hermite_basis(np.vstack(rows)) / denominator


def hermite_basis(generators: Indices) -> Indices:
    """Return a basis (2, 2), upper triangular, of the lattice that whole-number rows (m, 2) generate.

    Raises
    ------
    InputError
        If they do not span the plane.
    """
    rows = [[int(x) for x in row] for row in generators]
    basis = []
    for column in (0, 1):
        pivot = [0, 0]
        for k, row in enumerate(rows):
            while row[column]:  # Euclid's algorithm on whole rows
                quotient = pivot[column] // row[column]
                pivot, row = row, [p - quotient * r for p, r in zip(pivot, row, strict=True)]  # noqa: PLW2901
            rows[k] = row
        basis.append(pivot)
    if not basis[0][0] or not basis[1][1]:
        raise InputError(
            f"generators {generators.tolist()}",
            where="lattice of displacements",
            expected="translations in two directions",
            remedy="Check the in-plane lattices of the slabs.",
        )
    return np.array(basis)


def reduced(vectors: Array) -> Array:
    """Return the reduced basis (Lagrange, Gauss) of a plane lattice: the two shortest vectors, right-handed."""
    a, b = np.array(vectors, dtype=float)
    if a @ a > b @ b:
        a, b = b, a
    while True:
        b = b - np.rint(a @ b / (a @ a)) * a
        if b @ b >= a @ a - 1e-12:
            break
        a, b = b, a
    basis = np.array([a, b])
    return basis if np.linalg.det(basis) > 0 else np.array([a, -b])
