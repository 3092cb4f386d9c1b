"""Coordinates in which the weights of a sparse GP are independent and of variance one before any data."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from ionscape.potential.labels import Rows
from ionscape.units import Array, Count, EnergyArray, Number, NumberArray

#: Added to the diagonal of the kernel matrix, in units of the kernel's variance: keeps it positive in 64 bits.
JITTER = 1e-9
#: Standard deviation of the energies of single atoms about their first guess, in units of the signal: nearly free.
OFFSET_SPREAD = 10.0


class WhitenedSpace:
    """Energies of single atoms and inducing environments, with the factor L of the kernel matrix of the latter.

    Parameters
    ----------
    guess
        First guess of the energies of single atoms, eV, (S,).
    kernels
        Kernel matrix of the inducing environments, (M, M).
    variance
        Kernel of an environment with itself.
    """

    def __init__(self, guess: EnergyArray, kernels: NumberArray, variance: Number) -> None:
        self.guess, self._variance = guess, variance
        self.factor: NumberArray = np.asarray(
            np.linalg.cholesky(kernels + JITTER * variance * np.eye(len(kernels))), dtype=float
        )

    @property
    def species(self) -> Count:
        """Number of offsets, the first columns."""
        return len(self.guess)

    @property
    def columns(self) -> Count:
        """Offsets and inducing environments."""
        return len(self.guess) + len(self.factor)

    def whitened(self, rows: Rows) -> NumberArray:
        """Return the columns of `rows`, (rows, columns), offsets first."""
        kernels = solve_triangular(self.factor, rows.kernels.T, lower=True, check_finite=False)
        return np.concatenate([OFFSET_SPREAD * rows.offsets, kernels.T], axis=1)

    def unwhitened(self, weights: Array) -> tuple[EnergyArray, EnergyArray]:
        """Return energies of single atoms, (S,), and weights of inducing environments, (M,), of whitened ones."""
        offsets = self.guess + OFFSET_SPREAD * weights[: self.species]
        return offsets, solve_triangular(self.factor, weights[self.species :], trans="T", lower=True)

    def add(self, kernels: NumberArray) -> tuple[Array, Number]:
        """Add an inducing environment with `kernels` to the others, (M,); return its row of L and the corner."""
        across = solve_triangular(self.factor, kernels, lower=True) if len(self.factor) else kernels
        own = float(np.sqrt(max(self._variance * (1 + JITTER) - across @ across, JITTER * self._variance)))
        self.factor = np.array(bordered(self.factor.T, across, own).T)
        return across, own


def bordered(triangle: Array, column: Array, corner: Number) -> Array:
    """Return an upper triangle with a column more."""
    size = len(triangle)
    larger = np.zeros((size + 1, size + 1))
    larger[:size, :size], larger[:size, size], larger[size, size] = triangle, column, corner
    return larger
