r"""Covariance of energies of shifted contacts: periodic in the lateral shift, with the symmetry of the contact.

The periodised squared exponential of the displacement lattice D,

.. math:: k(t, t') = \sum_{n ∈ D} e^{-|t - t' + n|²/2ℓ²} ∝ \sum_{G} e^{-ℓ²G²/2} \cos(G·(t - t')),

is a sum over reciprocal lattice vectors G (Poisson), which is what is computed: a covariance whatever the cell,
and isotropic in real space, unlike products of periodic covariances along the axes of a sheared cell. Averaging
every wave over the operations of the contact makes it invariant under them. The mean (G = 0) is left out: it has
a variance of its own.
"""

from __future__ import annotations

import numpy as np

from ionscape.interfaces.displacements import DisplacementCell
from ionscape.units import Array

#: Weight below which a wave is left out, relative to that of the mean.
SMALLEST_WEIGHT = 1e-5


class LateralWaves:
    """Symmetrised plane waves of a displacement cell at given points.

    Parameters
    ----------
    cell
        The cell of non-identical displacements.
    lateral
        The points, (n, 2), Å.
    shortest_length
        Smallest correlation length ℓ that will be asked for, Å; it bounds the number of waves.
    """

    def __init__(self, cell: DisplacementCell, lateral: Array, shortest_length: float) -> None:
        reciprocal = 2 * np.pi * np.linalg.inv(cell.vectors).T
        waves = half_of_lattice(
            np.asarray(reciprocal, dtype=float), float(np.sqrt(-2 * np.log(SMALLEST_WEIGHT))) / shortest_length
        )
        self._square = np.tile((waves**2).sum(axis=1), 2)
        phases = np.einsum("knj,gj->kng", cell.images(lateral), waves)
        mean = np.exp(1j * phases).mean(axis=0)
        self._parts = np.hstack([mean.real, mean.imag])

    def features(self, length: float) -> Array:
        """Return features (n, p) whose products are the covariance at the correlation length `length`, Å.

        The mean variance of the points is 1; if no wave is left (a cell much smaller than the length) all energies
        are the same, and it is 0.
        """
        scaled: Array = self._parts * np.exp(-0.25 * length**2 * self._square)
        variance = (scaled**2).sum() / max(len(scaled), 1)
        return scaled / np.sqrt(variance) if variance > 1e-12 else np.zeros_like(scaled)


def half_of_lattice(vectors: Array, radius: float) -> Array:
    """Return the vectors of a plane lattice within `radius`, without 0 and with one of each pair ±G, (m, 2)."""
    spacing = 1 / np.linalg.norm(np.linalg.inv(vectors), axis=0)
    reach = np.floor(radius / spacing).astype(int)
    sides = [np.arange(-n, n + 1) for n in reach]
    whole = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    whole = whole[len(whole) // 2 + 1 :]  # in this order the second half holds the negatives of the first
    points: Array = whole @ vectors
    return points[(points**2).sum(axis=1) <= radius**2]


def squared_exponential(one: Array, other: Array, length: float) -> Array:
    """Return exp(−|x − x'|²/2ℓ²) of points (n, d) and (m, d), (n, m)."""
    square = ((one[:, None] - other[None, :]) ** 2).sum(axis=-1)
    result: Array = np.exp(-0.5 * square / length**2)
    return result
