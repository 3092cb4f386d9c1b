r"""A Gaussian process of an energy surface, from energies and forces at few points of a space of many dimensions.

    f(y) ~ m + GP(0, k),  k(y, y') = s² exp(−|y − y'|² / 2 l²),  y = x A,

x the free coordinates and A a metric (by default 1). Gradients are observed too: cov(∂_a f, ∂'_b f') =
k/l² (δ_ab − d_a d_b / l²), d = y − y'.

With n points in p dimensions (n ≪ p) the exact posterior costs no more than an n (r + 1) matrix, r < n the
number of dimensions that the points span: components of gradients across that span are independent of
everything else, and of one another but for equal ones, whose covariance is k/l². Nothing is neglected.

A sum of given functions with unknown coefficients may be part of f (`pair_trend`): f = Σ β_b φ_b + GP,
β ~ N(0, s²t²), so that the process is asked only for what the functions leave (Rasmussen and Williams 2006,
section 2.7). Whether they are used, and with which t, the evidence decides.

s² is the most likely one in closed form, l by a search of the marginal likelihood (Rasmussen and Williams 2006,
eq. 2.30); noise of energies and gradients are fixed parts of the signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ionscape.migration.pair_trend import PairTrend
from ionscape.units import Array

#: Sizes of the coefficients of the trend that are tried, as parts of s.
TREND_SIZES = (0.1, 1.0, 10.0)
#: A Cholesky factor, as SciPy gives it.
Factor = tuple[Array, bool]
#: Scatter of energies and gradients as parts of s and s/l: what keeps the matrices regular.
ENERGY_NOISE, GRADIENT_NOISE = 1e-5, 1e-4
#: Variance of a surface on which nothing has been seen to change, eV².
FLAT = 1e-12


@dataclass(frozen=True)
class _Fit:
    """All that predictions need for one length scale and one weight of the trend."""

    length: float
    variance: float
    evidence: float
    inner: Factor
    outer: Factor
    energy_weights: Array
    gradient_weights: Array
    trend_weights: Array
    trend: Factor | None = None
    solved: tuple[Array, Array] | None = None


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
    trend
        Functions of which the surface may hold an unknown sum.
    """

    def __init__(
        self, points: Array, energies: Array, gradients: Array, lengths: Array, trend: PairTrend | None = None
    ) -> None:
        self._points = points
        self._mean = float(energies.max())
        self._centre = points.mean(axis=0)
        self._basis = _span(points - self._centre)
        self._inner = (points - self._centre) @ self._basis
        self._data = self._split(energies - self._mean, gradients[..., None])
        self._squares = ((self._inner[:, None] - self._inner[None]) ** 2).sum(axis=-1)
        self._trend = trend
        self._functions: tuple[Array, Array] | None = None
        if trend is not None and trend.size:
            values, slopes = trend.values(points)
            self._functions = self._split(values, slopes)
        fits = [fit for length in lengths for fit in self._fits(float(length))]
        self._best = max(fits, key=lambda fit: fit.evidence)

    @property
    def length(self) -> float:
        """The most likely length scale, Å."""
        return self._best.length

    def _split(self, energies: Array, gradients: Array) -> tuple[Array, Array]:
        """Return data of energies (n[, b]) and gradients (n, p, b) inside the span, and gradients across it."""
        along = np.einsum("npb,pr->nrb", gradients, self._basis)
        across = gradients - np.einsum("nrb,pr->npb", along, self._basis)
        n, r, b = along.shape
        return np.concatenate([energies.reshape(n, b), along.reshape(n * r, b)]), across

    def _fits(self, length: float) -> list[_Fit]:
        n, r = self._inner.shape
        kernel = np.exp(-0.5 * self._squares / length**2)
        inner = _gradient_kernel(kernel, self._inner, length)
        inner[np.diag_indices(n)] += ENERGY_NOISE**2
        inner[np.arange(n, n + n * r), np.arange(n, n + n * r)] += (GRADIENT_NOISE / length) ** 2
        outer = (kernel + GRADIENT_NOISE**2 * np.eye(n)) / length**2
        try:
            factors = cho_factor(inner, lower=True), cho_factor(outer, lower=True)
        except LinAlgError:
            return []
        logs = _log_determinant(factors[0]) + (self._points.shape[1] - r) * _log_determinant(factors[1])
        weights = _solved(factors, self._data)
        misfit = float(np.vdot(self._data[0], weights[0]) + np.vdot(self._data[1], weights[1]))
        count = n * (1 + self._points.shape[1])
        variance = max(misfit / count, FLAT)
        evidence = -0.5 * (logs + count * np.log(variance))
        plain = _Fit(length, variance, evidence, *factors, *self._weights(weights), np.zeros(0))
        if self._functions is None:
            return [plain]
        return [plain, *self._with_trend(plain, weights, misfit, logs)]

    def _with_trend(self, plain: _Fit, weights: tuple[Array, Array], misfit: float, logs: float) -> list[_Fit]:
        """Return fits with an unknown sum of the trend's functions, for several sizes of their coefficients."""
        assert self._functions is not None  # noqa: S101
        functions = self._functions
        solved = _solved((plain.inner, plain.outer), functions)
        gram = functions[0].T @ solved[0] + np.einsum("npb,npc->bc", functions[1], solved[1])
        seen = functions[0].T @ weights[0][:, 0] + np.einsum("npb,np->b", functions[1], weights[1][..., 0])
        count = self._points.shape[0] * (1 + self._points.shape[1])
        fits = []
        for size in TREND_SIZES:
            factor = cho_factor(gram + np.eye(len(gram)) / size**2, lower=True)
            found = cho_solve(factor, seen)
            variance = max((misfit - float(seen @ found)) / count, FLAT)
            determinant = logs + _log_determinant(factor) + 2 * len(gram) * np.log(size)
            left = weights[0] - (solved[0] @ found)[:, None], weights[1] - (solved[1] @ found)[..., None]
            evidence = -0.5 * (determinant + count * np.log(variance))
            factors = plain.inner, plain.outer
            fits.append(
                _Fit(plain.length, variance, evidence, *factors, *self._weights(left), found, factor, solved)
            )
        return fits

    def _weights(self, solved: tuple[Array, Array]) -> tuple[Array, Array]:
        """Return the weights of observed energies (n,) and gradients (n, p)."""
        n = len(self._points)
        along = solved[0][n:, 0].reshape(n, -1)
        return solved[0][:n, 0], along @ self._basis.T + solved[1][..., 0]

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
        if self._trend is None or not fit.trend_weights.size:
            return energies, gradients
        more = self._trend.summed(places, fit.trend_weights)
        return energies + more[0], gradients + more[1]

    def deviation(self, point: Array) -> float:
        """Return the standard deviation of the energy at `point` (p,), eV."""
        fit = self._best
        apart = point - self._centre
        inner = apart @ self._basis
        outside = apart - self._basis @ inner
        d = inner - self._inner
        kernel = np.exp(-0.5 * ((d**2).sum(axis=1) + outside @ outside) / fit.length**2)
        mixed = np.concatenate([kernel, (kernel[:, None] * d / fit.length**2).ravel()])
        across = kernel[:, None] * outside / fit.length**2
        left = 1.0 - float(mixed @ cho_solve(fit.inner, mixed))
        left -= float(np.vdot(across, cho_solve(fit.outer, across)))
        if self._trend is not None and fit.trend is not None and fit.solved is not None:
            values, _ = self._trend.values(point[None])
            unexplained = values[0] - mixed @ fit.solved[0] - np.einsum("np,npb->b", across, fit.solved[1])
            left += float(unexplained @ cho_solve(fit.trend, unexplained))
        return float(np.sqrt(fit.variance * max(left, 0.0)))


def _solved(factors: tuple[Factor, Factor], data: tuple[Array, Array]) -> tuple[Array, Array]:
    """Return K⁻¹ of data inside and across the span."""
    n, p, b = data[1].shape
    return cho_solve(factors[0], data[0]), cho_solve(factors[1], data[1].reshape(n, p * b)).reshape(n, p, b)


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


def _log_determinant(factor: Factor) -> float:
    return 2 * float(np.log(np.diag(factor[0])).sum())
