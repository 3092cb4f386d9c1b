r"""Sparse Gaussian-process regression as a least-squares problem that grows by rows and by columns.

With inducing environments u (kernel matrix :math:`K_{MM} = L L^T`), labels y of noise Λ and kernel sums
:math:`K_{NM}`, the deterministic training conditional has the weights :math:`\mu = L^{-T} w`,

.. math::

    w = \arg\min_w |\Lambda^{-1/2}(y - K_{NM} L^{-T} w)|^2 + s^{-2} |w|^2 ,

solved by a QR factorisation of the augmented matrix, never by normal equations. Adding a frame rotates its rows
into the triangle; adding inducing environments appends columns. Both give what a fit from the beginning does.

Sources: Foster et al., J. Mach. Learn. Res. 10 (2009) 857; Quiñonero-Candela & Rasmussen, J. Mach. Learn. Res. 6
(2005) 1939.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dtpqrt

from ionscape.potential.evidence import Noise
from ionscape.potential.growing import GrowingMatrix
from ionscape.potential.labels import Rows
from ionscape.potential.whitening import WhitenedSpace
from ionscape.units import Array, EnergyArray, Indices, NumberArray

_BLOCK = 32


class SparseRegression:
    """A sparse GP fitted to rows of labels, with fixed noise.

    Columns are the energies of single atoms, then the inducing environments in the order in which they came.

    Parameters
    ----------
    space
        Offsets and inducing environments, from which the columns are made.
    noise
        Of the labels and of the model.
    grows
        Whether inducing environments may be added once there are rows; all rows are kept then.
    """

    def __init__(self, space: WhitenedSpace, noise: Noise, grows: bool = False) -> None:
        self.noise, self.space, self._grows = noise, space, grows
        self._matrix = GrowingMatrix(space.columns)
        self._labels, self._weights = np.zeros(0), np.zeros(0)
        self._triangle = np.eye(space.columns) / noise.signal
        self._projection = np.zeros(space.columns)

    @property
    def triangle(self) -> Array:
        """Upper triangular R of the augmented problem; the posterior covariance of w is (Rᵀ R)⁻¹."""
        return self._triangle

    def add_rows(self, rows: Rows) -> None:
        """Add labels, with their kernel sums over all inducing environments in order."""
        for block in rows.blocks():
            self.add_whitened(block.kinds, block.labels, self.space.whitened(block))

    def add_whitened(self, kinds: Indices, labels: Array, columns: NumberArray) -> None:
        """Add labels (rows,) of some kinds (rows,), with their whitened columns (rows, columns)."""
        weights = 1 / self.noise.of_rows(kinds)
        new = columns * weights[:, None]
        if self._grows:
            self._labels = np.concatenate([self._labels, labels * weights])
            self._weights = np.concatenate([self._weights, weights])
            self._matrix.add_rows(new)
        self._rotate(new, labels * weights)

    def _rotate(self, new: Array, labels: Array) -> None:
        size = len(self._triangle)
        top = np.zeros((size + 1, size + 1), order="F")
        top[:size, :size], top[:size, size] = self._triangle, self._projection
        below = np.asfortranarray(np.concatenate([new, labels[:, None]], axis=1))
        top, *_ = dtpqrt(0, min(_BLOCK, size + 1), top, below, overwrite_a=True, overwrite_b=True)
        self._triangle, self._projection = np.triu(top[:size, :size]), top[:size, size].copy()

    def add_inducing(self, kernels: NumberArray, sums: Array) -> None:
        """Add one inducing environment or several.

        Parameters
        ----------
        kernels
            Of one, its kernel with those that are there, (M,). Of several, (new, M + new): with those that are
            there, then with one another. Zero across species.
        sums
            Kernel sums in all rows that were added, (rows,) of one, (rows, new) of several.

        Raises
        ------
        ValueError
            If the regression was not made to grow.
        """
        if not self._grows:
            message = "the rows were not kept: make the regression with grows=True"
            raise ValueError(message)
        kernels, sums = np.atleast_2d(kernels), np.reshape(sums, (len(self._labels), -1))
        there, new = len(self.space.factor), len(kernels)
        across = np.zeros((there, new))
        among = np.zeros((new, new))
        for column in range(new):
            part, among[column, column] = self.space.add(kernels[column, : there + column])
            across[:, column], among[:column, column] = part[:there], part[there:]
        raw = sums * self._weights[:, None] - self._matrix.times(across, first=self.space.species)
        self._append(solve_triangular(among, raw.T, trans="T").T)

    def _append(self, columns: Array) -> None:
        projected, data, head = self._orthogonalised(columns)
        own = np.eye(columns.shape[1]) / self.noise.signal
        corner = np.linalg.qr(np.concatenate([data, head, own]), mode="r")
        old, new = projected.shape
        larger = np.zeros((old + new, old + new))
        larger[:old, :old], larger[:old, old:], larger[old:, old:] = self._triangle, projected, corner
        self._triangle = larger
        more = solve_triangular(corner, data.T @ self._labels, trans="T")
        self._projection = np.concatenate([self._projection, more])
        self._matrix.add_columns(columns)

    def _orthogonalised(self, columns: Array) -> tuple[Array, Array, Array]:
        """Return the new columns' parts along the old ones, and the rests: in the rows, and in the old weights.

        The rest is orthogonalised again and again: once loses the digits that the old columns share with the new.
        """
        data = columns.copy()
        projected = np.zeros((len(self._triangle), columns.shape[1]))
        head = np.zeros_like(projected)
        for _ in range(3):
            gradient = self._matrix.transposed_times(data) + head / self.noise.signal
            part = solve_triangular(self._triangle, gradient, trans="T")
            step = solve_triangular(self._triangle, part)
            data, head = data - self._matrix.times(step), head - step / self.noise.signal
            projected += part
        return projected, data, head

    def solution(self) -> tuple[EnergyArray, EnergyArray]:
        """Return the energies of single atoms, (S,), and the weights of the inducing environments, (M,), eV."""
        return self.space.unwhitened(solve_triangular(self._triangle, self._projection))
