r"""Superlattices of a lattice in the plane: all of them up to an area, reduced.

Every superlattice of index n has exactly one basis in Hermite form (J. W. S. Cassels, An Introduction to the Geometry
of Numbers, 1959),

    ( i  j )
    ( 0  n/i ),    i a divisor of n,    0 ≤ j < n/i

so that there are σ(n) of them, the sum of the divisors of n. Gauss's reduction then gives the two shortest vectors,
with |a| ≤ |b| and an angle between 60° and 90°, by which superlattices of different crystals are compared
(A. Zur and T. C. McGill, J. Appl. Phys. 55, 378 (1984), doi:10.1063/1.333084).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from ionscape.results import frozen
from ionscape.units import Area, Array, CellArray, Indices, LengthArray, Unit

#: Relative difference of squared lengths below which vectors are equally long.
EQUAL = 1e-10


@dataclass(frozen=True)
class Superlattices:
    """Superlattices of one lattice, reduced.

    Attributes
    ----------
    matrices
        Vectors in those of the lattice, rows, (n, 2, 2), integer.
    vectors
        The same, Cartesian, (n, 2, 2).
    lengths
        |a| ≤ |b|, (n, 2).
    angles
        Angle between a and b, 60° to 90°, (n,).
    """

    matrices: Indices
    vectors: CellArray
    lengths: LengthArray
    angles: Annotated[Array, Unit("°")]


def hermite_forms(index: int) -> Indices:
    """Return the Hermite forms, (σ(index), 2, 2), of all superlattices of `index`."""
    forms = [
        np.array([[i, j], [0, index // i]])
        for i in range(1, index + 1)
        if index % i == 0
        for j in range(index // i)
    ]
    return np.array(forms, dtype=np.int64)


def superlattices(vectors: Array, max_area: Area) -> Superlattices:
    """Return all superlattices of the lattice `vectors` (rows, (2, 2), Å) with areas up to `max_area`, Å²."""
    area = abs(float(np.linalg.det(vectors)))
    largest = int(max_area / area * (1 + 1e-9))
    forms = np.concatenate([np.empty((0, 2, 2), np.int64), *(hermite_forms(n) for n in range(1, largest + 1))])
    matrices = reduced(forms, vectors)
    cartesian = matrices @ vectors
    lengths = np.linalg.norm(cartesian, axis=2)
    return Superlattices(matrices, frozen(cartesian), frozen(lengths), frozen(angles_between(cartesian)))


def angles_between(vectors: Array) -> Array:
    """Return the angles in degrees between the two rows of each matrix, (…, 2, 2)."""
    inner = np.einsum("...i,...i->...", vectors[..., 0, :], vectors[..., 1, :])
    return np.asarray(np.degrees(np.arctan2(np.abs(np.linalg.det(vectors)), inner)))


def reduced(matrices: Indices, vectors: Array) -> Indices:
    """Return bases of the same superlattices, (n, 2, 2), whose vectors are shortest: |a| ≤ |b|, 60° to 90°."""
    current = np.array(matrices)
    metric = vectors @ vectors.T
    active = np.arange(len(current))
    while len(active):
        a, b = current[active, 0], current[active, 1]
        aa, bb = _norms(a, metric), _norms(b, metric)
        swap = aa > bb * (1 + EQUAL)
        a, b = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
        factor = np.rint(np.einsum("ni,ij,nj->n", a, metric, b) / np.minimum(aa, bb)).astype(np.int64)
        shorter = b - factor[:, None] * a
        better = _norms(shorter, metric) < np.maximum(aa, bb) * (1 - EQUAL)
        current[active, 0], current[active, 1] = a, np.where(better[:, None], shorter, b)
        active = active[better]
    acute = np.einsum("ni,ij,nj->n", current[:, 0], metric, current[:, 1])
    current[:, 1] *= np.where(acute < -EQUAL * abs(np.linalg.det(vectors)), -1, 1)[:, None]
    return current


def _norms(rows: Indices, metric: Array) -> Array:
    return np.asarray(np.einsum("ni,ij,nj->n", rows, metric, rows))
