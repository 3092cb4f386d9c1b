r"""Pair functions of an energy surface, of which a process may be an unknown sum before it is anything else.

.. math:: φ_{sb}(x) = Σ_{(i,j) ∈ s} e^{-(r_{ij} - c_b)^2 / 2w^2} f_c(r_{ij}),

s a pair of elements, c_b centres w apart, f_c a cosine that ends at the cutoff. What pushes a hopping ion is
mostly the repulsion and attraction of pairs: a sum of these functions, learned from the ends of a path, speaks for
its middle too, of which a process of the distances between configurations knows nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from ionscape.units import Array

#: Cutoff, and width and distance of the functions, Å.
CUTOFF, WIDTH = 4.2, 0.35
#: Distance at which the functions begin, Å.
NEAREST = 1.0
#: Pairs that come this much within the cutoff on the path are counted, Å.
MARGIN = 1.0


class PairTrend:
    """The pair functions of the free coordinates of one cell.

    Parameters
    ----------
    images
        Configurations about which the path lies; pairs that are near in any of them are counted.
    free
        Which coordinates are free, (atoms, 3).

    Attributes
    ----------
    size
        Number of functions.
    """

    def __init__(self, images: Sequence[Atoms], free: Array) -> None:
        self._free = free
        self._rest = images[0].positions.copy()
        found = [neighbor_list("ijS", image, CUTOFF + MARGIN) for image in images]
        rows = [np.column_stack([i, j, shifts]) for i, j, shifts in found]
        pairs = np.unique(np.concatenate(rows), axis=0)
        moves = np.isin(pairs[:, :2], np.flatnonzero(free.any(axis=1)))
        ordered = (pairs[:, 0] < pairs[:, 1]) | ((pairs[:, 0] == pairs[:, 1]) & _positive(pairs[:, 2:]))
        pairs = pairs[ordered & (moves[:, 0] | moves[:, 1])]
        self._one, self._other = pairs[:, 0], pairs[:, 1]
        self._shift = pairs[:, 2:] @ np.asarray(images[0].cell)
        numbers = images[0].numbers
        kinds = np.sort(np.column_stack([numbers[self._one], numbers[self._other]]), axis=1)
        _, self._kind = np.unique(kinds, axis=0, return_inverse=True)
        self._centres = np.arange(NEAREST, CUTOFF, WIDTH)
        self.size = (int(self._kind.max(initial=-1)) + 1) * len(self._centres)

    def values(self, points: Array) -> tuple[Array, Array]:
        """Return the functions (m, size) and their gradients (m, p, size) at free coordinates (m, p)."""
        found = [self._at(point) for point in points]
        return np.array([one[0] for one in found]), np.array([one[1] for one in found])

    def summed(self, points: Array, weights: Array) -> tuple[Array, Array]:
        """Return Σ w φ (m,) and its gradients (m, p), w (size,)."""
        energies, gradients = np.empty(len(points)), np.empty(points.shape)
        table = weights.reshape(-1, len(self._centres))[self._kind]
        for k, point in enumerate(points):
            unit, functions, slopes = self._pairs(point)
            energies[k] = np.vdot(table, functions)
            gradients[k] = self._spread(unit * (table * slopes).sum(axis=1)[:, None])
        return energies, gradients

    def _at(self, point: Array) -> tuple[Array, Array]:
        unit, functions, slopes = self._pairs(point)
        kinds, centres = self.size // len(self._centres), len(self._centres)
        values = np.zeros((kinds, centres))
        np.add.at(values, self._kind, functions)
        gradients = np.zeros((point.size, kinds, centres))
        for kind in range(kinds):
            chosen = self._kind == kind
            for b in range(centres):
                pull = np.where(chosen[:, None], unit * slopes[:, b, None], 0.0)
                gradients[:, kind, b] = self._spread(pull)
        return values.ravel(), gradients.reshape(point.size, -1)

    def _pairs(self, point: Array) -> tuple[Array, Array, Array]:
        """Return unit vectors (P, 3), functions (P, b) and their slopes (P, b) of all pairs."""
        positions = self._rest.copy()
        positions[self._free] = point
        apart = positions[self._other] - positions[self._one] + self._shift
        r = np.maximum(np.linalg.norm(apart, axis=1), 1e-6)
        from_centre = r[:, None] - self._centres
        gauss = np.exp(-0.5 * (from_centre / WIDTH) ** 2)
        inside = r < CUTOFF
        cut = np.where(inside, 0.5 + 0.5 * np.cos(np.pi * r / CUTOFF), 0.0)
        cut_slope = np.where(inside, -0.5 * np.pi / CUTOFF * np.sin(np.pi * r / CUTOFF), 0.0)
        slopes = gauss * (cut_slope[:, None] - cut[:, None] * from_centre / WIDTH**2)
        return apart / r[:, None], gauss * cut[:, None], slopes

    def _spread(self, pull: Array) -> Array:
        """Return the gradient (p,) of pair terms whose slopes along the pairs are `pull` (P, 3)."""
        n = len(self._rest)
        columns = [
            np.bincount(self._other, pull[:, k], n) - np.bincount(self._one, pull[:, k], n) for k in range(3)
        ]
        return np.column_stack(columns)[self._free]


def _positive(shifts: Array) -> Array:
    """Tell which shifts (P, 3) come after their opposites."""
    first = np.where(shifts[:, 0] != 0, shifts[:, 0], np.where(shifts[:, 1] != 0, shifts[:, 1], shifts[:, 2]))
    return np.asarray(first > 0)
