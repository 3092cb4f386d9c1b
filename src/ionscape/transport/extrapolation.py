r"""Long-time limit of a displacement spectrum, averaged over every shape that the data leave possible.

The lowest modes of the spectrum are described by the shapes of `relaxation`. The posterior of the limit p → 0 is
the sum over all kinds of motion (walk, one or two relaxations, with or without diffusion, persistent) and over
their relaxation rates, weighted by their evidence

    p(A | S) ∝ Σ_kinds w_kind ∫ ds π(s) ∫ dθ π(θ) L(S | θ, s),    π(θ) ∝ (Σθ)^−m,   π(log s) ∝ s^½

(m the number of terms: the logarithm of the total power, and its shares among the terms, are uniform). The
integral over rates is a sum over a grid that is refined where the likelihood is, the one over amplitudes
importance sampling with a fixed low-discrepancy sequence, so that the same data give the same answer. As many
modes are used as these shapes can describe (deviance test); high modes, where vibrations are resolved, are
dropped.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from ionscape.transport.relaxation import (
    KINDS,
    Motion,
    Observed,
    fitted_amplitudes,
    log_likelihoods,
    observed,
    offsets,
    rate_sets,
    squared_rates,
    terms,
    transient,
)
from ionscape.transport.spectrum import DisplacementSpectrum
from ionscape.units import Area, AreaArray, Array, Count, Number, NumberArray

#: Fewest modes from which a limit is extrapolated.
FEWEST_MODES = 6
#: Modes are halved until the deviance is as large as this by chance with at least this probability.
GOODNESS = 0.05
#: Prior weights of `relaxation.KINDS`, in their order.
PRIOR = (40.0, 2.0, 6.0, 1.0, 1.0, 1.0)
#: Slowest relaxation considered, in modes: one that decays as exp(−2π t/T) within the run of length T.
SLOWEST = 2.0
#: Fastest, in multiples of the number of modes used: noise there.
FASTEST = 4.0
#: Exponent a of the prior of rates, π(log s) ∝ s^a: relaxations are rather fast than as slow as the run.
RATE_EXPONENT = 0.5
#: Logarithm of the likelihood below the best at which a grid point no longer counts.
NEGLIGIBLE = 9.0
#: Excess of the slope of the mean-square displacement at which it counts as straight.
STRAIGHT = 0.05
#: Points per rate of the grid with one and two rates, and rounds of refinement.
POINTS, ROUNDS = {0: 1, 1: 16, 2: 10}, 5
DRAWS, TAIL = 256, 6


@dataclass(frozen=True)
class Limit:
    """Posterior of the long-time limit of a spectrum.

    Attributes
    ----------
    draws, weights
        Values of 2 D δ given that something diffuses, Å², and their weights, which sum to 1.
    standing
        Posterior probability that nothing diffuses.
    modes
        Number of modes used.
    transient
        Time after which the most likely shape is a line within 5 % of its slope, frames; 0 if it always is.
    offset
        Localised part of the motion: height of the line of the mean-square displacement at lag 0, per direction,
        Å².
    goodness
        Probability of a deviance as large as found by chance.
    """

    draws: AreaArray
    weights: NumberArray
    standing: Number
    modes: Count
    transient: Number
    offset: Area
    goodness: Number

    @property
    def mean(self) -> float:
        """Mean of 2 D δ, Å²."""
        return float(self.weights @ self.draws)


@dataclass(frozen=True)
class _Shapes:
    """All grid points of one kind: rates, amplitudes, likelihoods, information, logarithms of prior weights."""

    kind: Motion
    rates: Array
    parts: Array
    amplitudes: Array
    likelihood: Array
    information: Array
    prior: Array


def limit(spectrum: DisplacementSpectrum, most_modes: int | None = None) -> Limit:
    """Return the posterior of the limit of `spectrum` for long times.

    Parameters
    ----------
    spectrum
        At least `FEWEST_MODES` modes.
    most_modes
        Use no more modes than these.
    """
    modes = min(spectrum.modes, most_modes or spectrum.modes)
    dispersion = mode_dispersion(spectrum)
    while True:
        bins = max(int(np.searchsorted(spectrum.edges, modes, side="right")) - 1, 1)
        seen = observed(spectrum, bins, spectrum.binned(dispersion)[:bins])
        shapes = [_explored(seen, kind, weight) for kind, weight in zip(KINDS, PRIOR, strict=True)]
        goodness = _goodness(seen, shapes)
        if goodness > GOODNESS or modes // 2 < 2 * FEWEST_MODES:
            return _posterior(seen, shapes, goodness)
        modes //= 2


def mode_dispersion(spectrum: DisplacementSpectrum) -> Array:
    """Return φ of every mode, (modes,): variance of its power over that of equal normal ions, at least 1.

    Where all ions rattle but few diffuse, φ rises towards low modes: the number of ions over that of those that
    diffuse. From neighbouring modes, averaged over an octave to both sides and no fewer than 16 modes.
    """
    n = spectrum.modes
    mean = np.repeat(spectrum.binned(spectrum.power), np.diff(spectrum.edges))
    freedom = spectrum.ions * spectrum.dimensions
    relative = spectrum.scatter / (np.maximum(mean[1:], 1e-300) * freedom) ** 2 * freedom / 2
    summed = np.concatenate([[0.0], np.cumsum(relative)])
    p = np.arange(1, n + 1)
    last = np.minimum(np.maximum(2 * p, 16), n - 1)
    first = np.maximum(np.minimum(p // 2, last - 15), 0)
    return np.asarray(np.maximum((summed[last] - summed[first]) / (last - first), 1.0))


def _explored(seen: Observed, kind: Motion, weight: float) -> _Shapes:
    """Return the grid of one kind, refined until it resolves the rates."""
    count = kind.relaxations
    low = np.full(count, np.log(SLOWEST))
    high = np.full(count, np.log(max(FASTEST * seen.used, 4 * SLOWEST)))
    bounds = (low.copy(), high.copy())
    finer = (low, high)
    for _ in range(ROUNDS):
        low, high = finer
        rates = rate_sets(kind, low, high, POINTS[count])
        parts = terms(seen, kind, rates)
        amplitudes, likelihood, information = fitted_amplitudes(parts, seen.power, seen.weight)
        if count == 0:
            break
        near = rates[likelihood > likelihood.max() - NEGLIGIBLE]
        step = (high - low) / (POINTS[count] - 1)
        finer = np.maximum(near.min(axis=0) - step, bounds[0]), np.minimum(near.max(axis=0) + step, bounds[1])
        if np.all(finer[1] - finer[0] > 0.7 * (high - low)):
            break
    prior = _prior_of_rates(rates, low, high, bounds, POINTS[count]) + np.log(weight)
    return _Shapes(kind, rates, parts, amplitudes, likelihood, information, prior)


def _prior_of_rates(rates: Array, low: Array, high: Array, bounds: tuple[Array, Array], points: int) -> Array:
    """Return the logarithm of the prior weight of every point of the grid, π(log s) ∝ s^½ on the bounds."""
    if rates.shape[1] == 0:
        return np.zeros(1)
    cell = np.prod((high - low) / (points - 1))
    a = RATE_EXPONENT
    whole = np.prod((np.exp(a * bounds[1]) - np.exp(a * bounds[0])) / a) / rates.shape[1]
    return np.asarray(a * rates.sum(axis=1) + np.log(cell / whole))


def _goodness(seen: Observed, shapes: list[_Shapes]) -> float:
    """Return the probability of a deviance of the best shape as large as found."""
    saturated = -float(seen.weight @ (np.log(seen.power) + 1))
    best = max(shapes, key=lambda s: s.likelihood.max())
    free = len(seen.power) - 1 - 2 * best.kind.relaxations
    return float(stats.chi2.sf(2 * (saturated - best.likelihood.max()), max(free, 1)))


def _posterior(seen: Observed, shapes: list[_Shapes], goodness: float) -> Limit:
    best = max(float((s.likelihood + s.prior).max()) for s in shapes)
    evidence = [_drawn(seen, [shape], best)[1].sum() for shape in shapes]
    standing = sum(e for e, shape in zip(evidence, shapes, strict=True) if not shape.kind.diffuses) / sum(evidence)
    moving = [shape for shape in shapes if shape.kind.diffuses]
    draws, weights = _drawn(seen, moving, max(float((s.likelihood + s.prior).max()) for s in moving))
    kept = (weights > 1e-8 * weights.max()) & (draws > 0)
    likeliest = shapes[int(np.argmax(evidence))]
    j = int(np.argmax(likeliest.likelihood + likeliest.prior))
    rates = np.sqrt(squared_rates(likeliest.rates[j], seen.modes))
    heights = offsets(likeliest.kind, likeliest.rates[j], likeliest.amplitudes[j], seen)
    slope = float(likeliest.amplitudes[j, 0])
    return Limit(
        draws=draws[kept],
        weights=weights[kept] / weights[kept].sum(),
        standing=float(standing),
        modes=seen.used,
        transient=float(1 / rates[0]) if likeliest.kind.persistent else transient(rates, heights, slope, STRAIGHT),
        offset=float(heights.sum()),
        goodness=goodness,
    )


def _drawn(seen: Observed, shapes: list[_Shapes], best: float) -> tuple[Array, Array]:
    """Return draws of the long-time limit over all grid points that matter beside `best`, and their weights."""
    parts = [
        _importance(seen, shape, int(j), best)
        for shape in shapes
        for j in np.flatnonzero(shape.likelihood + shape.prior > best - NEGLIGIBLE - 3)
    ]
    values = np.concatenate([values for values, _ in parts]) if parts else np.zeros(0)
    return values, np.concatenate([share for _, share in parts]) if parts else np.zeros(0)


def _importance(seen: Observed, shape: _Shapes, j: int, best: float) -> tuple[Array, Array]:
    """Return draws of the long-time limit at grid point `j`, and their share of the evidence."""
    active = np.flatnonzero(shape.parts[j].max(axis=1) > 0)
    m = len(active)
    information = shape.information[j][np.ix_(active, active)]
    scale = np.sqrt(np.diag(information))
    correlation = information / np.outer(scale, scale) + 1e-8 * np.eye(m)
    root = np.linalg.cholesky(np.linalg.inv(correlation)) / scale[:, None]
    z = _sequence()[:, :m]
    amplitudes = np.zeros((len(z), shape.parts.shape[1]))
    amplitudes[:, active] = shape.amplitudes[j][active] + z @ root.T
    proposal = _log_student((z**2).sum(axis=1), m) - np.log(np.abs(np.diag(root))).sum()
    total = np.maximum(amplitudes.sum(axis=1), 1e-300)
    prior = special.gammaln(m) - m * np.log(total) + shape.prior[j]
    likelihood = log_likelihoods(shape.parts[j], seen.power, seen.weight, amplitudes)
    share = np.exp(likelihood + prior - proposal - best)
    long_time = amplitudes[:, 0] + (amplitudes[:, 1] if shape.kind.persistent else 0.0)
    return long_time, share / len(z)


@functools.cache
def _sequence() -> Array:
    """Return points of a multivariate Student t distribution, (draws, 3), always the same."""
    uniform = stats.qmc.Sobol(4, scramble=True, rng=1).random(DRAWS)
    normal = stats.norm.ppf(uniform[:, :3])
    return np.asarray(normal / np.sqrt(stats.chi2.ppf(uniform[:, 3:], TAIL) / TAIL))


def _log_student(squared: Array, m: int) -> Array:
    constant = special.gammaln((TAIL + m) / 2) - special.gammaln(TAIL / 2) - m / 2 * np.log(TAIL * np.pi)
    return np.asarray(constant - (TAIL + m) / 2 * np.log1p(squared / TAIL))
