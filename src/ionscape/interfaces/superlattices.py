r"""Superlattices of a lattice in the plane: all of them up to an area, reduced.

Every superlattice of index n has exactly one basis in Hermite form (J. W. S. Cassels, An Introduction to the
Geometry of Numbers, 1959),

    ( i   j  )
    ( 0  n/i ),    i a divisor of n,    0 ≤ j < n/i

so that there are σ(n) of them, the sum of the divisors of n. Gauss's reduction then gives the two shortest
vectors, with |a| ≤ |b| and an angle between 60° and 90°, by which superlattices of different crystals are compared
(A. Zur and T. C. McGill, J. Appl. Phys. 55, 378 (1984), doi:10.1063/1.333084). It works on the products a·a, a·b,
b·b of all superlattices at once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from ionscape.results import frozen
from ionscape.units import Area, Array, Count, Indices, LengthArray, NumberArray, Unit

#: Relative difference below which products of vectors are equal.
EQUAL = 1e-10


@dataclass(frozen=True)
class Superlattices:
    """Superlattices of one lattice, reduced.

    Attributes
    ----------
    matrices
        Vectors a, b in those of the lattice, rows, (n, 2, 2), integer.
    products
        a·a, a·b, b·b, (n, 3).
    lengths
        |a| ≤ |b|, (n, 2).
    angles
        Angle between a and b, 60° to 90°, (n,).
    """

    matrices: Indices
    products: Annotated[NumberArray, Unit("Å²")]
    lengths: LengthArray
    angles: Annotated[Array, Unit("°")]


@functools.lru_cache(maxsize=8)
def hermite_forms(largest: Count) -> Indices:
    """Return the Hermite forms, (Σ σ(n), 2, 2), of all superlattices of index 1 to `largest`, by index."""
    numbers = np.arange(1, largest + 1)
    i, k = (grid.ravel() for grid in np.meshgrid(numbers, numbers, indexing="ij"))
    fits = i * k <= largest
    order = np.argsort((i * k)[fits], kind="stable")
    i, k = i[fits][order], k[fits][order]
    forms = np.zeros((int(k.sum()), 2, 2), dtype=np.int64)
    forms[:, 0, 0], forms[:, 1, 1] = np.repeat(i, k), np.repeat(k, k)
    forms[:, 0, 1] = np.arange(len(forms)) - np.repeat(np.cumsum(k) - k, k)
    forms.setflags(write=False)
    return forms


def superlattices(vectors: Array, max_area: Area) -> Superlattices:
    """Return all superlattices of the lattice `vectors` (rows, (2, 2), Å) with areas up to `max_area`, Å²."""
    area = abs(float(np.linalg.det(vectors)))
    largest = int(max_area / area * (1 + 1e-9))
    matrices = reduced(hermite_forms(largest), vectors)
    products = products_of(matrices, vectors)
    lengths = np.sqrt(products[:, ::2])
    return Superlattices(matrices, frozen(products), frozen(lengths), frozen(angles_of(products)))


def products_of(matrices: Indices, vectors: Array) -> Array:
    """Return a·a, a·b, b·b, (n, 3), of the bases `matrices` (n, 2, 2) of the lattice `vectors`."""
    (a1, a2), (b1, b2) = matrices[:, 0].T, matrices[:, 1].T
    uu, uv, vv = vectors[0] @ vectors[0], vectors[0] @ vectors[1], vectors[1] @ vectors[1]
    aa = a1 * a1 * uu + 2 * a1 * a2 * uv + a2 * a2 * vv
    ab = a1 * b1 * uu + (a1 * b2 + a2 * b1) * uv + a2 * b2 * vv
    bb = b1 * b1 * uu + 2 * b1 * b2 * uv + b2 * b2 * vv
    return np.column_stack([aa, ab, bb])


def angles_of(products: Array) -> Array:
    """Return the angle between a and b in degrees from a·a, a·b, b·b in the last axis."""
    aa, ab, bb = products[..., 0], products[..., 1], products[..., 2]
    return np.asarray(np.degrees(np.arctan2(np.sqrt(np.maximum(aa * bb - ab * ab, 0.0)), ab)))


def reduced(matrices: Indices, vectors: Array) -> Indices:
    """Return bases of the same superlattices, (n, 2, 2), whose vectors are shortest: |a| ≤ |b|, 60° to 90°."""
    aa, ab, bb = products_of(matrices, vectors).T
    a1, a2, b1, b2 = (np.array(column) for column in matrices.reshape(-1, 4).T)
    while True:
        swap = aa > bb * (1 + EQUAL)
        aa, bb = np.where(swap, bb, aa), np.where(swap, aa, bb)
        a1, b1 = np.where(swap, b1, a1), np.where(swap, a1, b1)
        a2, b2 = np.where(swap, b2, a2), np.where(swap, a2, b2)
        # a tie (a·b = a·a/2) stays as it is, or rounding would send it to and fro
        factor = np.sign(ab) * np.ceil(np.abs(ab) / aa * (1 - EQUAL) - 0.5 - EQUAL)
        if not factor.any():
            break
        whole = factor.astype(np.int64)
        bb = bb + factor * (factor * aa - 2 * ab)
        ab = ab - factor * aa
        b1, b2 = b1 - whole * a1, b2 - whole * a2
    obtuse = np.where(ab < -EQUAL * aa, -1, 1)
    return np.stack([a1, a2, b1 * obtuse, b2 * obtuse], axis=1).reshape(-1, 2, 2)


def forms_of_index(index: Count) -> Indices:
    """Return the Hermite forms, (σ(index), 2, 2), of the superlattices of one index."""
    forms = hermite_forms(index)
    return np.asarray(forms[forms[:, 0, 0] * forms[:, 1, 1] == index])
