r"""A crystal seen along the normal of one of its planes.

With the primitive vectors **p**ᵢ and the plane's Miller indices m with respect to them (coprime integers), the
height of a point with fractional coordinates x is

    h(x) = m · x,    in units of the spacing d = 1/|G|,   G = Σ mᵢ p*ᵢ

Integer vectors u, v with m·u = m·v = 0 span the plane's lattice, w with m·w = 1 leads to the next plane; u, v, w
are a basis of the whole lattice, so that everything here is exact in any cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ionscape.errors import InputError
from ionscape.interfaces.settings import Miller
from ionscape.results import frozen
from ionscape.structures.exchange import check_structure
from ionscape.structures.orbits import SpaceGroup, primitive_crystal
from ionscape.units import Area, Array, CellArray, FractionalArray, Indices, Length, Number, NumberArray

if TYPE_CHECKING:
    from pymatgen.core import Structure

#: Heights just below a whole number count as that number; units of d.
SAME_HEIGHT = 1e-3
#: Shifts of symmetry operations that differ by less than this are the same; real ones differ by a sixth or more.
SAME_SHIFT = 0.03


@dataclass(frozen=True)
class Orientation:
    """A crystal along the normal of a plane.

    Attributes
    ----------
    miller
        Coprime indices with respect to the cell that was given.
    symbols
        Elements of the atoms of the primitive cell, (n,).
    heights
        Heights of these atoms in units of `spacing`, in [0, 1), (n,).
    in_plane
        Their positions in the plane's frame, (n, 2), Å.
    vectors
        Gauss-reduced lattice of the plane, rows, (2, 2), Å: the first along x, the second with positive y.
    step
        In-plane shift from one plane to the next, (2,), Å.
    spacing
        Distance d of lattice planes.
    preserving, reversing
        Shifts t, in [0, 1), of the operations h → h + t and h → t − h that map the crystal onto itself.
    frame
        Rotation, rows are the plane's axes in the axes of the cell that was given, (3, 3).
    turns, moves
        All operations that keep the plane, y → y turns + moves on rows of coordinates in the plane's frame,
        (n, 3, 3) and (n, 3), Å.
    """

    miller: Miller
    symbols: tuple[str, ...]
    heights: NumberArray
    in_plane: CellArray
    vectors: CellArray
    step: CellArray
    spacing: Length
    preserving: NumberArray
    reversing: NumberArray
    frame: FractionalArray
    turns: NumberArray
    moves: CellArray

    @property
    def positions(self) -> CellArray:
        """Positions of the atoms in the plane's frame, (n, 3), Å."""
        return np.column_stack([self.in_plane, self.heights * self.spacing])

    @property
    def area(self) -> Area:
        """Area of the plane's primitive cell."""
        return float(abs(np.linalg.det(self.vectors)))


def orientation(bulk: Structure, miller: Miller, precision: Length = 0.02) -> Orientation:
    """Return `bulk` along the normal of the plane `miller` of the cell given.

    Parameters
    ----------
    bulk
        An ordered crystal in any cell.
    miller
        Indices of the plane with respect to the cell of `bulk`; a common factor is taken out.
    precision
        Distance within which positions count as symmetry-equivalent, Å.

    Raises
    ------
    InputError
        If the crystal is not ordered, or `miller` are not three integers, not all zero.
    """
    given = checked_miller(miller)
    check_structure(bulk, where=f"crystal to cut ({bulk.composition.reduced_formula})")
    primitive, group = primitive_crystal(bulk, precision)
    lattice = np.array(primitive.lattice.matrix)
    m = indices_in(np.array(bulk.lattice.matrix), lattice, given)
    reciprocal = np.asarray(m, dtype=np.float64) @ np.linalg.inv(lattice).T
    spacing = 1.0 / float(np.linalg.norm(reciprocal))
    basis = plane_basis(m, lattice)
    frame = _frame(basis.astype(np.float64) @ lattice, reciprocal)
    axes = lattice @ frame.T
    turned = basis @ axes
    fractional = np.array(primitive.frac_coords)
    heights = fractional @ m
    whole = np.floor(heights + SAME_HEIGHT)
    positions = (fractional - whole[:, None] * basis[2]) @ axes
    preserving, reversing, both = _shifts(group, m)
    return Orientation(
        miller=given,
        symbols=tuple(site.specie.symbol for site in primitive),
        heights=frozen(heights - whole),
        in_plane=frozen(positions[:, :2]),
        vectors=frozen(turned[:2, :2]),
        step=frozen(turned[2, :2]),
        spacing=spacing,
        preserving=frozen(preserving),
        reversing=frozen(reversing),
        frame=frozen(frame),
        turns=frozen(np.linalg.inv(axes) @ group.rotations[both].transpose(0, 2, 1) @ axes),
        moves=frozen(group.translations[both] @ axes),
    )


def _shifts(group: SpaceGroup, m: Indices) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return the shifts of operations that keep and that reverse the normal, and which operations do either."""
    images = group.rotations.transpose(0, 2, 1) @ m
    kept, reversed_ = np.all(images == m, axis=1), np.all(images == -m, axis=1)
    shifts = group.translations @ m
    # the shifts are a group modulo 1, so multiples of one fraction, which frees them of the noise of positions
    count = len(distinct_shifts(shifts[kept]))
    preserving = np.arange(count) / count
    return preserving, np.sort(np.mod(shifts[reversed_][:1, None] + preserving, 1.0).ravel()), kept | reversed_


def checked_miller(miller: Miller) -> Miller:
    """Return `miller` without a common factor.

    Raises
    ------
    InputError
        Unless they are three integers, not all zero.
    """
    whole = len(miller) == 3 and all(float(index).is_integer() for index in miller)
    if not whole or not any(miller):
        raise InputError(
            f"Miller indices {','.join(f'{index}' for index in miller)}",
            where="surface",
            expected="three integers, not all zero",
            remedy="Give e.g. 1,0,4; they refer to the cell of the structure file.",
        )
    h, k, l = (int(index) for index in miller)  # noqa: E741  the field's letters
    common = math.gcd(h, k, l)
    return h // common, k // common, l // common


def indices_in(given: Array, other: Array, miller: Miller) -> Indices:
    """Return `miller` of the cell `given` as coprime indices of the cell `other`; rows are vectors, (3, 3).

    The lattice of `other` must contain that of `given`.
    """
    cells = round(abs(np.linalg.det(given) / np.linalg.det(other)))
    scaled = np.rint(cells * (other @ np.linalg.inv(given)) @ np.array(miller, dtype=float)).astype(np.int64)
    indices: Indices = scaled // math.gcd(*(int(index) for index in scaled))
    return indices


def plane_basis(m: Indices, lattice: Array) -> Indices:
    """Return integer vectors u, v, w (rows, (3, 3)) with m·u = m·v = 0 and m·w = 1; u, v reduced.

    By Euclid's algorithm on the entries of m, the same steps taken on a unit matrix; then Gauss's on u, v.
    """
    rest, basis = [int(index) for index in m], np.eye(3, dtype=np.int64)
    while np.count_nonzero(rest) > 1:
        small = min((i for i in range(3) if rest[i]), key=lambda i: abs(rest[i]))
        for i in range(3):
            if i != small and rest[i]:
                factor = rest[i] // rest[small]
                rest[i] -= factor * rest[small]
                basis[i] -= factor * basis[small]
    lead = int(np.flatnonzero(rest)[0])
    w = basis[lead] * rest[lead]
    u, v = (basis[i] for i in range(3) if i != lead)
    u, v = _gauss(u, v, lattice)
    if np.linalg.det(np.array([u, v, w]) @ lattice) < 0:
        v = -v
    return np.array([u, v, _nearest_step(u, v, w, lattice)])


def _gauss(u: Indices, v: Indices, lattice: Array) -> tuple[Indices, Indices]:
    metric = lattice @ lattice.T
    while True:
        if u @ metric @ u > (v @ metric @ v) * (1 + 1e-12):
            u, v = v, u
        factor = int(np.rint((u @ metric @ v) / (u @ metric @ u)))
        shorter = v - factor * u
        if factor == 0 or shorter @ metric @ shorter > (v @ metric @ v) * (1 - 1e-12):
            return u, v
        v = shorter


def _nearest_step(u: Indices, v: Indices, w: Indices, lattice: Array) -> Indices:
    """Return w less what its in-plane part has in whole u and v."""
    plane = np.array([u, v]) @ lattice
    share = (w @ lattice) @ np.linalg.pinv(plane)
    step: Indices = w - np.rint(share).astype(np.int64) @ np.array([u, v])
    return step


def _frame(basis: Array, reciprocal: Array) -> Array:
    """Return the right-handed axes: along u, across it in the plane, along the normal."""
    z = reciprocal / np.linalg.norm(reciprocal)
    x = basis[0] / np.linalg.norm(basis[0])
    return np.array([x, np.cross(z, x), z])


def distinct_shifts(shifts: Array) -> Array:
    """Return the distinct shifts of height among `shifts`, in [0, 1), ascending."""
    folded = np.sort(np.mod(np.asarray(shifts, dtype=float) + SAME_SHIFT, 1.0) - SAME_SHIFT)
    return folded[np.diff(folded, prepend=-1.0) > SAME_SHIFT]


def fold(height: Number) -> Number:
    """Return `height` modulo 1, in [0, 1) up to the tolerance."""
    return float(np.mod(height + SAME_HEIGHT, 1.0) - SAME_HEIGHT)
