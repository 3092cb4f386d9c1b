r"""A Gaussian process of an energy surface, from energies and forces at few points of a space of many dimensions.

    f(y) ~ m + GP(0, k),  k(y, y') = s² exp(−|y − y'|² / 2 l²),  y = x A,

x the free coordinates and A a metric (by default 1). Gradients are observed too: cov(∂_a f, ∂'_b f') =
k/l² (δ_ab − d_a d_b / l²), d = y − y'.

With n points in p dimensions (n ≪ p) the exact posterior costs no more than an n (r + 1) matrix, r < n the
number of dimensions that the points span: components of gradients across that span are independent of
everything else, and of one another but for equal ones, whose covariance is k/l². Nothing is neglected.

s² is the most likely one in closed form, l by a search of the marginal likelihood (Rasmussen and Williams 2006,
eq. 2.30); noise of energies and gradients are fixed parts of the signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ionscape.units import Array

#: Scatter of energies and gradients as parts of s and s/l: what keeps the matrices regular.
ENERGY_NOISE, GRADIENT_NOISE = 1e-5, 1e-4
#: Variance of a surface on which nothing has been seen to change, eV².
FLAT = 1e-12


@dataclass(frozen=True)
class _Fit:
    """All that predictions need for one length scale."""

    length: float
    variance: float
    evidence: float
    inner: tuple[Array, bool]
    outer: tuple[Array, bool]
    energy_weights: Array
    gradient_weights: Array


class SurfaceProcess:
    """The posterior of a surface given energies and gradients.

    Parameters
    ----------
    points
        Free coordinates, (n, p), Å.
    energies
        eV, (n,).
    gradients
        eV/Å, (n, p).
    lengths
        Length scales among which the most likely is taken, Å.
    """

    def __init__(self, points: Array, energies: Array, gradients: Array, lengths: Array) -> None:
        self._points = points
        self._mean = float(energies.max())
        self._centre = points.mean(axis=0)
        self._basis = _span(points - self._centre)
        self._inner = (points - self._centre) @ self._basis
        self._energies = energies - self._mean
        self._along = gradients @ self._basis
        self._across = gradients - self._along @ self._basis.T
        self._squares = ((self._inner[:, None] - self._inner[None]) ** 2).sum(axis=-1)
        fits = [fit for length in lengths if (fit := self._fit(float(length))) is not None]
        self._best = max(fits, key=lambda fit: fit.evidence)

    @property
    def length(self) -> float:
        """The most likely length scale, Å."""
        return self._best.length

    def _fit(self, length: float) -> _Fit | None:
        n, r = self._inner.shape
        kernel = np.exp(-0.5 * self._squares / length**2)
        inner = _gradient_kernel(kernel, self._inner, length)
        inner[np.diag_indices(n)] += ENERGY_NOISE**2
        inner[np.arange(n, n + n * r), np.arange(n, n + n * r)] += (GRADIENT_NOISE / length) ** 2
        outer = (kernel + GRADIENT_NOISE**2 * np.eye(n)) / length**2
        data = np.concatenate([self._energies, self._along.ravel()])
        try:
            factors = cho_factor(inner, lower=True), cho_factor(outer, lower=True)
        except LinAlgError:
            return None
        weights, across = cho_solve(factors[0], data), cho_solve(factors[1], self._across)
        misfit = float(data @ weights + np.vdot(self._across, across))
        count, free = n * (1 + self._points.shape[1]), self._points.shape[1] - r
        variance = max(misfit / count, FLAT)
        logs = _log_determinant(factors[0]) + free * _log_determinant(factors[1])
        evidence = -0.5 * (logs + count * np.log(variance))
        gradient_weights = weights[n:].reshape(n, r) @ self._basis.T + across
        return _Fit(length, variance, evidence, *factors, weights[:n], gradient_weights)

    def predict(self, places: Array) -> tuple[Array, Array]:
        """Return energies (m,) (eV) and gradients (m, p) at `places` (m, p)."""
        fit = self._best
        squares = ((places[:, None] - self._points[None]) ** 2).sum(axis=-1)
        kernel = np.exp(-0.5 * squares / fit.length**2)
        # Σ_i over observations: w_i k_i, with w_i = α_i + B_i·d_i/l², d_i = y − y_i
        slope = places @ fit.gradient_weights.T - np.einsum("ip,ip->i", self._points, fit.gradient_weights)
        weights = kernel * (fit.energy_weights + slope / fit.length**2)
        energies = self._mean + weights.sum(axis=1)
        pull = places * weights.sum(axis=1)[:, None] - weights @ self._points
        gradients = (kernel @ fit.gradient_weights - pull) / fit.length**2
        return energies, gradients

    def deviation(self, point: Array) -> float:
        """Return the standard deviation of the energy at `point` (p,), eV."""
        fit = self._best
        apart = point - self._centre
        inner = apart @ self._basis
        outside = max(float(apart @ apart - inner @ inner), 0.0)
        d = inner - self._inner
        kernel = np.exp(-0.5 * ((d**2).sum(axis=1) + outside) / fit.length**2)
        mixed = np.concatenate([kernel, (kernel[:, None] * d / fit.length**2).ravel()])
        known = float(mixed @ cho_solve(fit.inner, mixed))
        known += outside / fit.length**4 * float(kernel @ cho_solve(fit.outer, kernel))
        return float(np.sqrt(fit.variance * max(1.0 - known, 0.0)))


def _span(points: Array) -> Array:
    """Return an orthonormal basis (p, r) of the space that centred points (n, p) span."""
    _, singular, rows = np.linalg.svd(points, full_matrices=False)
    rank = int((singular > 1e-7 * max(float(singular[0]), 1e-12)).sum())
    basis: Array = rows[:rank].T
    return basis


def _gradient_kernel(kernel: Array, points: Array, length: float) -> Array:
    """Return the covariance (n (1 + r))² of energies, then gradients, of points (n, r) for s = 1."""
    n, r = points.shape
    apart = points[:, None] - points[None]
    full = np.empty((n * (1 + r), n * (1 + r)))
    full[:n, :n] = kernel
    mixed = kernel[:, :, None] * apart / length**2  # cov(f(y), ∂'f(y')) = k d / l²
    full[:n, n:] = mixed.reshape(n, n * r)
    full[n:, :n] = full[:n, n:].T
    block = (np.eye(r) / length**2 - apart[:, :, :, None] * apart[:, :, None, :] / length**4) * kernel[
        :, :, None, None
    ]
    full[n:, n:] = block.transpose(0, 2, 1, 3).reshape(n * r, n * r)
    return full


def _log_determinant(factor: tuple[Array, bool]) -> float:
    return 2 * float(np.log(np.diag(factor[0])).sum())
