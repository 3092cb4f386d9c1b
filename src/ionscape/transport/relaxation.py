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

from ionscape.transport.spectrum import noise_shape
from ionscape.units import AreaArray, Array, Count, Indices, Number, NumberArray

#: Modes of a wide bin at which terms are evaluated.
POINTS = 8
#: Steps of Fisher scoring, and halvings of one step.
SCORING_STEPS, HALVINGS = 40, 6


@dataclass(frozen=True)
class Motion:
    """A kind of motion.

    Attributes
    ----------
    relaxations
        Number of relaxations.
    diffuses
        Whether it diffuses in the long run.
    persistent
        Whether its relaxation is that of persistent motion.
    fast
        Whether its relaxation is faster than all modes in sight, which see but the tail c g/h of it.
    """

    relaxations: Count
    diffuses: bool
    persistent: bool = False
    fast: bool = False


WALK = Motion(0, diffuses=True)
TAIL = Motion(1, diffuses=True, fast=True)
PERSISTENT = Motion(1, diffuses=True, persistent=True)
KINDS = (
    WALK,
    Motion(1, diffuses=True),
    Motion(2, diffuses=True),
    Motion(1, diffuses=False),
    Motion(2, diffuses=False),
    PERSISTENT,
)
#: The same below modes that were dropped: a walk has the tail of what was dropped.
KINDS_BELOW = (TAIL, *KINDS[1:])


@dataclass(frozen=True)
class Observed:
    """The lowest modes of a spectrum, in bins: mean power `power`, half the degrees of freedom `weight` of each.

    `widths` are the numbers of modes in the bins. `shape`, (bins, points), is g_p of modes in the bins,
    `shares` how much each counts in its bin; `last` is g_p of the highest mode, `used` the number of modes in
    the bins, `modes` that of all modes of the run.
    """

    power: AreaArray
    weight: NumberArray
    widths: Indices
    shape: NumberArray
    shares: NumberArray
    last: Number
    used: Count
    modes: Count


def observed(power: Array, edges: Indices, freedom: Array) -> Observed:
    """Return the bins between `edges` of a spectrum.

    Parameters
    ----------
    power
        Power of all modes of the run, (modes,).
    edges
        First mode of every bin and, last, the end of the last one, (bins + 1,).
    freedom
        Degrees of freedom of the power of one mode, by bin, (bins,).
    """
    widths = np.diff(edges)
    mean = np.add.reduceat(power[: edges[-1]], edges[:-1]) / widths
    few = np.minimum(widths, POINTS)[:, None]
    place = np.arange(POINTS)[None] + 0.5
    modes = edges[:-1, None] + 0.5 + np.minimum(place, few - 0.5) * widths[:, None] / few
    shares = np.where(place < few, 1 / few, 0.0)
    shape = 4 * np.sin(np.pi * modes / (2 * (len(power) + 1))) ** 2
    last = float(noise_shape(len(power))[edges[-1] - 1])
    return Observed(mean, widths * freedom / 2, widths, shape, shares, last, int(edges[-1]), len(power))


def terms(seen: Observed, kind: Motion, log_rates: Array) -> Array:
    """Return the terms of S in every bin, largest value about 1, (len(log_rates), 3, bins); absent ones are 0.

    `log_rates` (sets, relaxations) are logarithms of relaxation rates in modes, π p_s / (n+1) = s.
    """
    found = np.zeros((len(log_rates), 3, len(seen.power)))
    if kind.diffuses:
        found[:, 0] = 1.0
    for k in range(kind.relaxations):
        h = squared_rates(log_rates[:, k], seen.modes)
        risen = _risen(h, seen.shape, seen.shares)
        found[:, k + 1] = 1 - risen if kind.persistent else risen * ((seen.last + h) / seen.last)[:, None]
    return found


@nb.njit(cache=True)
def _risen(squared: Array, shape: Array, shares: Array) -> Array:
    """Return the mean of g/(g + h) in every bin, (sets, bins)."""
    found = np.zeros((len(squared), len(shape)))
    for j in range(len(squared)):
        for b in range(len(shape)):
            for q in range(shape.shape[1]):
                found[j, b] += shares[b, q] * shape[b, q] / (shape[b, q] + squared[j])
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
    c = amplitudes[1 : 1 + kind.relaxations] * (seen.last + h) / seen.last
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
def _multiplied(parts: Array, power: Array, weight: Array, theta: Array) -> Array:
    """Return amplitudes of no smaller likelihood: each times the root of the ratio of what pulls it up and down.

    Source: Févotte & Idier, Neural Comput. 23 (2011) 2421, doi:10.1162/NECO_a_00168 (Itakura–Saito divergence).
    """
    mean = np.zeros(parts.shape[1])
    for p in range(len(theta)):
        mean += theta[p] * parts[p]
    new = theta.copy()
    for p in range(len(theta)):
        up, down = 0.0, 0.0
        for b in range(len(mean)):
            if mean[b] > 0:
                up += weight[b] * parts[p, b] * power[b] / mean[b] ** 2
                down += weight[b] * parts[p, b] / mean[b]
        new[p] = theta[p] * np.sqrt(up / down) if down > 0 else 0.0
    return new


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
            theta[p] = mean / number if parts[j, p].max() > 0 else 0.0
        old = _log_likelihood(parts[j], power, weight, theta)
        for _ in range(SCORING_STEPS):
            target, matrix = _scoring(parts[j], power, weight, theta)
            new = _bounded(matrix, target)
            step, value = 1.0, -np.inf
            for _ in range(HALVINGS):
                value = _log_likelihood(parts[j], power, weight, theta + step * (new - theta))
                if value >= old - 1e-9:
                    break
                step *= 0.5
            if value < old - 1e-9:  # far from the maximum scoring may overshoot in any part of the step
                new, step = _multiplied(parts[j], power, weight, theta), 1.0
                value = _log_likelihood(parts[j], power, weight, new)
            theta = theta + step * (new - theta)
            gained, old = value - old, value
            if gained < 1e-4:
                break
        found[j], likelihood[j] = theta, old
        information[j] = _scoring(parts[j], power, weight, theta)[1]
    return found, likelihood, information


@nb.njit(cache=True)
def log_likelihoods(parts: Array, power: Array, weight: Array, amplitudes: Array) -> Array:
    """Return the logarithm of the likelihood of `amplitudes` (sets, draws, 3), −∞ where one is negative.

    `parts` are the terms of every set, (sets, 3, bins).
    """
    found = np.empty(amplitudes.shape[:2])
    for j in range(len(amplitudes)):
        for i in range(amplitudes.shape[1]):
            if amplitudes[j, i].min() < 0:
                found[j, i] = -np.inf
            else:
                found[j, i] = _log_likelihood(parts[j], power, weight, amplitudes[j, i])
    return found


@nb.njit(cache=True)
def inverse_sums(parts: Array, amplitudes: Array, share: Array, values: Array) -> Array:
    """Return Σ share/μ and Σ share · value/μ over sets and draws, (2, bins), μ the power of a draw in a bin."""
    found = np.zeros((2, parts.shape[2]))
    least = 1e-7 * share.max()
    for j in range(len(parts)):
        for i in range(amplitudes.shape[1]):
            if share[j, i] <= least:
                continue
            for b in range(parts.shape[2]):
                mu = 0.0
                for p in range(parts.shape[1]):
                    mu += amplitudes[j, i, p] * parts[j, p, b]
                found[0, b] += share[j, i] / mu
                found[1, b] += share[j, i] * values[j, i] / mu
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
def _bounded(matrix: Array, target: Array) -> Array:
    """Return the minimiser x ≥ 0 of ½ xᵀ M x − yᵀ x: the best of the free minimisers over subsets of unknowns."""
    number = len(target)
    best, found = 0.0, np.zeros(number)
    for subset in range(2**number - 1, 0, -1):
        x = _solved(matrix, target, subset)
        if x.min() < 0:
            continue
        gain = 0.0
        for p in range(number):
            gain += target[p] * x[p]
        if gain > best:
            best, found = gain, x
        if subset == 2**number - 1:
            break
    return found


@nb.njit(cache=True)
def _solved(matrix: Array, target: Array, subset: int) -> Array:
    """Return M⁻¹ y of the unknowns whose bit is in `subset`, the others 0; negative where M is singular there."""
    number = len(target)
    m, x = matrix.copy(), target.copy()
    for p in range(number):
        if not subset >> p & 1:
            m[p, :], m[:, p], m[p, p], x[p] = 0.0, 0.0, 1.0, 0.0
    for p in range(number):
        if m[p, p] <= 1e-12 * matrix[p, p] or m[p, p] <= 0:
            return np.full(number, -1.0)
        for q in range(p + 1, number):
            factor = m[q, p] / m[p, p]
            for r in range(p, number):
                m[q, r] -= factor * m[p, r]
            x[q] -= factor * x[p]
    for p in range(number - 1, -1, -1):
        for q in range(p + 1, number):
            x[p] -= m[p, q] * x[q]
        x[p] /= m[p, p]
    return x
