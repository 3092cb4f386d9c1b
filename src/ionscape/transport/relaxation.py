r"""Shapes of displacement spectra: long-time diffusion, and what relaxes on the way to it.

    S(p) = A_0 + Σ_k c_k g_p / (g_p + h_k)          back-jumps, rattling, noise: S rises with the frequency
    S(p) = A_0 + c h / (g_p + h)                    persistent motion: S falls

======  ====================================================================================
S       power of the displacements per ion and direction, Å² (`spectrum`)
g_p     4 sin²(π p / 2(n+1)), p the mode, n the number of displacements
h_k     s_k², s_k the rate of relaxation per frame: the mean-square displacement approaches
        its line as exp(−s t); s → ∞ is noise independent from frame to frame
A_0     2 D δ, δ the time between frames; 2 D δ = A_0 + c in persistent motion
======  ====================================================================================

With one term this is exact for hops that remember the last hop and for harmonic rattling; c_k ≥ 0 holds whatever
the number of terms for every reversible overdamped motion, since its velocity autocorrelation is a sum of negative
exponentials.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numba as nb
import numpy as np

from ionscape.transport.spectrum import DisplacementSpectrum, noise_shape
from ionscape.units import AreaArray, Array, Count, NumberArray

#: Steps of Fisher scoring, halvings of one step, sweeps of the bounded least squares inside it.
SCORING_STEPS, HALVINGS, SWEEPS = 40, 6, 200


@dataclass(frozen=True)
class Motion:
    """A kind of motion: number of relaxations, whether it diffuses in the long run, whether it is persistent."""

    relaxations: Count
    diffuses: bool
    persistent: bool = False


WALK = Motion(0, diffuses=True)
KINDS = (
    WALK,
    Motion(1, diffuses=True),
    Motion(2, diffuses=True),
    Motion(1, diffuses=False),
    Motion(2, diffuses=False),
    Motion(1, diffuses=True, persistent=True),
)


@dataclass(frozen=True)
class Observed:
    """The lowest modes of a spectrum, in bins: mean power `power`, half the degrees of freedom `weight` of each.

    `widths` are the numbers of modes, `shape` is g_p of these modes, `modes` the number of all modes of the run.
    """

    power: AreaArray
    weight: NumberArray
    widths: NumberArray
    shape: NumberArray
    modes: Count

    @property
    def used(self) -> int:
        """Number of modes that are used."""
        return len(self.shape)


def observed(spectrum: DisplacementSpectrum, bins: int, dispersion: Array) -> Observed:
    """Return the first `bins` bins of `spectrum`; `dispersion` is the excess of the variance of their power."""
    widths = np.diff(spectrum.edges)[:bins]
    power = np.add.reduceat(spectrum.power, spectrum.edges[:-1])[:bins] / widths
    weight = widths * spectrum.ions * spectrum.dimensions / 2 / dispersion
    shape = noise_shape(spectrum.modes)[: spectrum.edges[bins]]
    return Observed(power, weight, widths.astype(float), shape, spectrum.modes)


def terms(seen: Observed, kind: Motion, log_rates: Array) -> Array:
    """Return the terms of S in every bin, largest value about 1, (len(log_rates), 3, bins); absent ones are 0.

    `log_rates` (sets, relaxations) are logarithms of relaxation rates in modes, π p_s / (n+1) = s.
    """
    found = np.zeros((len(log_rates), 3, len(seen.power)))
    if kind.diffuses:
        found[:, 0] = 1.0
    starts = np.concatenate([[0], np.cumsum(seen.widths)[:-1]]).astype(int)
    for k in range(kind.relaxations):
        h = squared_rates(log_rates[:, k], seen.modes)[:, None]
        relaxing = h / (seen.shape + h) if kind.persistent else seen.shape / (seen.shape + h)
        if not kind.persistent:
            relaxing = relaxing / relaxing[:, -1:]
        found[:, k + 1] = np.add.reduceat(relaxing, starts, axis=1) / seen.widths
    return found


def squared_rates(log_rates: Array, modes: int) -> Array:
    """Return h = s², s the rate per frame, of rates given as logarithms in modes."""
    return np.asarray((np.pi * np.exp(log_rates) / (modes + 1)) ** 2)


def offsets(kind: Motion, log_rates: Array, amplitudes: Array, seen: Observed) -> Array:
    """Return 2 c / √(h² + 4h) of every relaxation, per direction, Å².

    Their sum is the height of the line of the mean-square displacement at lag 0: twice the variance of the
    localised part of the motion.
    """
    if kind.persistent or kind.relaxations == 0:
        return np.zeros(kind.relaxations)
    h = squared_rates(log_rates, seen.modes)
    last = seen.shape[-1]
    c = amplitudes[1 : 1 + kind.relaxations] * (last + h) / last
    return np.asarray(2 * c / np.sqrt(h**2 + 4 * h))


def transient(rates: Array, heights: Array, slope: float, share: float) -> float:
    """Return the time, frames, after which relaxations add less than `share` to the slope of the displacement.

    Relaxations of `rates` per frame and `heights` add Σ heights · rates · exp(−rates t) to `slope` per frame.
    """
    if rates.size == 0 or slope <= 0:
        return 0.0
    times = np.concatenate([[0.0], np.geomspace(0.1, 100, 400) / rates.min()])
    added = (heights * rates) @ np.exp(-rates[:, None] * times)
    return float(times[np.argmax(added < share * slope)])


def rate_sets(kind: Motion, low: Array, high: Array, points: int) -> Array:
    """Return a grid of logarithms of rates, (sets, relaxations), s_1 < s_2, from `low` to `high`."""
    if kind.relaxations == 0:
        return np.zeros((1, 0))
    axes = [np.linspace(a, b, points) for a, b in zip(low, high, strict=True)]
    grid = np.array(list(itertools.product(*axes))).reshape(-1, kind.relaxations)
    if kind.relaxations == 2:
        grid = grid[grid[:, 0] < grid[:, 1] - 1e-9]
    return grid


@nb.njit(cache=True)
def fitted_amplitudes(parts: Array, power: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Return the most likely amplitudes ≥ 0 of every set of terms, the log-likelihood, the information.

    The power of a bin is gamma distributed about its mean μ: log L = −Σ_b w_b (log μ_b + S_b/μ_b). Fisher scoring;
    every step is a least-squares problem with non-negative unknowns.

    Parameters
    ----------
    parts
        Terms, (sets, 3, bins).
    power, weight
        S and w of the bins.
    """
    sets, number, _ = parts.shape
    found = np.zeros((sets, number))
    likelihood = np.full(sets, -np.inf)
    information = np.zeros((sets, number, number))
    mean = power.mean()
    for j in range(sets):
        theta = np.zeros(number)
        for p in range(number):
            theta[p] = mean if parts[j, p].max() > 0 else 0.0
        old = _log_likelihood(parts[j], power, weight, theta)
        for _ in range(SCORING_STEPS):
            target, matrix = _scoring(parts[j], power, weight, theta)
            new = _bounded(matrix, target, theta)
            step, value = 1.0, -np.inf
            for _ in range(HALVINGS):
                value = _log_likelihood(parts[j], power, weight, theta + step * (new - theta))
                if value >= old - 1e-9:
                    break
                step *= 0.5
            if value < old - 1e-9:
                break
            theta = theta + step * (new - theta)
            gained, old = value - old, value
            if gained < 1e-4:
                break
        found[j], likelihood[j] = theta, old
        information[j] = _scoring(parts[j], power, weight, theta)[1]
    return found, likelihood, information


@nb.njit(cache=True)
def log_likelihoods(parts: Array, power: Array, weight: Array, amplitudes: Array) -> Array:
    """Return the logarithm of the likelihood of every row of `amplitudes` (draws, 3), −∞ where one is negative."""
    found = np.empty(len(amplitudes))
    for i in range(len(amplitudes)):
        if amplitudes[i].min() < 0:
            found[i] = -np.inf
        else:
            found[i] = _log_likelihood(parts, power, weight, amplitudes[i])
    return found


@nb.njit(cache=True)
def _log_likelihood(parts: Array, power: Array, weight: Array, theta: Array) -> float:
    total = 0.0
    for b in range(len(power)):
        mu = 0.0
        for p in range(len(theta)):
            mu += theta[p] * parts[p, b]
        if mu <= 0:
            return -np.inf
        total -= weight[b] * (np.log(mu) + power[b] / mu)
    return total


@nb.njit(cache=True)
def _scoring(parts: Array, power: Array, weight: Array, theta: Array) -> tuple[Array, Array]:
    """Return right-hand side and matrix of the weighted least squares of one step of Fisher scoring."""
    number = len(theta)
    target, matrix = np.zeros(number), np.zeros((number, number))
    for b in range(len(power)):
        mu = 0.0
        for p in range(number):
            mu += theta[p] * parts[p, b]
        w = weight[b] / max(mu, 1e-300) ** 2
        for p in range(number):
            target[p] += w * parts[p, b] * power[b]
            for q in range(number):
                matrix[p, q] += w * parts[p, b] * parts[q, b]
    return target, matrix


@nb.njit(cache=True)
def _bounded(matrix: Array, target: Array, start: Array) -> Array:
    """Return the minimiser x ≥ 0 of ½ xᵀ M x − yᵀ x, by sweeps over the unknowns."""
    x = start.copy()
    for _ in range(SWEEPS):
        change = 0.0
        for p in range(len(x)):
            if matrix[p, p] > 0:
                gradient = target[p]
                for q in range(len(x)):
                    gradient -= matrix[p, q] * x[q]
                value = max(x[p] + gradient / matrix[p, p], 0.0)
                change = max(change, abs(value - x[p]))
                x[p] = value
        if change < 1e-9 * x.max():
            break
    return x
