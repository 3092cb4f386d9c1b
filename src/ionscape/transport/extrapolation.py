r"""Long-time limit of a displacement spectrum, averaged over every shape that the data leave possible.

The lowest modes of the spectrum are described by the shapes of `relaxation`. The posterior of the limit p → 0 is
the sum over all kinds of motion (walk, one or two relaxations, with or without diffusion, persistent) and over
their relaxation rates, weighted by their evidence

    p(A | S) ∝ Σ_kinds w_kind ∫ ds π(s) ∫ dθ π(θ) L(S | θ, s)

The prior has no scale: the logarithms of the total power and of the rates s are uniform, and the shares of the
m terms θ in the power have the Dirichlet distribution of parameter ½ (Jeffreys). The integral over rates is a
sum over a grid that is refined where the likelihood is, the one over amplitudes importance sampling with a
fixed low-discrepancy sequence, so that the same data give the same answer. As many modes are used as these
shapes can describe (deviance test); high modes, where vibrations are resolved, are dropped.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from ionscape.transport.relaxation import (
    KINDS,
    KINDS_BELOW,
    Motion,
    Observed,
    fitted_amplitudes,
    inverse_sums,
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
PRIOR = (40.0, 1.0, 1.0, 0.3, 0.3, 0.3)
#: Slowest relaxation considered, in modes: one that decays as exp(−2π t/T) within the run of length T.
SLOWEST = 2.0
#: Fastest, in multiples of the number of modes used: noise there.
FASTEST = 4.0
#: Logarithm of the likelihood below the best at which a grid point no longer counts.
NEGLIGIBLE = 9.0
#: Parameter of the Dirichlet prior of the shares of the terms in the power.
SHARE = 0.5
#: Excess of the slope of the mean-square displacement at which it counts as straight.
STRAIGHT = 0.05
#: Points per rate of the grid with one and two rates, and rounds of refinement.
POINTS, ROUNDS = {0: 1, 1: 16, 2: 10}, 5
DRAWS, TAIL = 128, 6
#: Standard errors by which an unseen relaxation would show (`_unseen`), and rates that are looked at.
SEEN, CANDIDATES = 2.0, 24


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
    log_evidence
        Logarithm of the evidence of all kinds together.
    fitted
        Power of the likeliest shape in the bins, Å², (bins,).
    influence
        Change of the mean of 2 D δ with the power of a mode, (modes used,).
    unseen
        Change of the score of one more relaxation, just fast enough to be seen, with the power of a mode,
        (modes used,).
    """

    draws: AreaArray
    weights: NumberArray
    standing: Number
    modes: Count
    transient: Number
    offset: Area
    goodness: Number
    log_evidence: Number
    fitted: AreaArray
    influence: NumberArray
    unseen: NumberArray

    @property
    def mean(self) -> float:
        """Mean of 2 D δ, Å²."""
        return float(self.weights @ self.draws)

    def quantiles(self, levels: Array) -> Array:
        """Return quantiles of 2 D δ, Å²."""
        return quantiles(self.draws, self.weights, levels)


def quantiles(draws: Array, weights: Array, levels: Array) -> Array:
    """Return quantiles of weighted draws."""
    order = np.argsort(draws)
    summed = np.cumsum(weights[order])
    return np.asarray(np.interp(levels, (summed - weights[order] / 2) / summed[-1], draws[order]))


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


def limit(spectrum: DisplacementSpectrum, group_size: float = 1.0) -> Limit:
    """Return the posterior of the limit of `spectrum` for long times.

    Parameters
    ----------
    spectrum
        At least `FEWEST_MODES` modes.
    group_size
        Number of ions that move as one.
    """
    modes = spectrum.modes
    freedom = spectrum.ions * spectrum.dimensions / group_size / spectrum.binned(mode_dispersion(spectrum))
    while True:
        bins = max(int(np.searchsorted(spectrum.edges, modes, side="right")) - 1, 1)
        seen = observed(spectrum.power, spectrum.edges[: bins + 1], freedom[:bins])
        found = extrapolated(seen, KINDS if modes == spectrum.modes else KINDS_BELOW, PRIOR)
        if found.goodness > GOODNESS or modes // 2 < 2 * FEWEST_MODES:
            return found
        modes //= 2


def extrapolated(seen: Observed, kinds: Sequence[Motion], prior: Sequence[float]) -> Limit:
    """Return the posterior of the limit of a spectrum if it is one of `kinds`, of the weights `prior`."""
    shapes = [_explored(seen, kind, weight) for kind, weight in zip(kinds, prior, strict=True)]
    return _posterior(seen, shapes, _goodness(seen, shapes))


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
    low = np.full(count, np.log(seen.used if kind.fast else SLOWEST))
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
    """Return the logarithm of the prior weight of every point of the grid, uniform in log s on the bounds."""
    if rates.shape[1] == 0:
        return np.zeros(1)
    cell = np.prod((high - low) / (points - 1))
    # s_1 < s_2: of two rates, half of the square
    whole = np.prod(bounds[1] - bounds[0]) / rates.shape[1]
    return np.full(len(rates), np.log(cell / whole))


def _goodness(seen: Observed, shapes: list[_Shapes]) -> float:
    """Return the probability of a deviance of the best shape as large as found."""
    saturated = -float(seen.weight @ (np.log(seen.power) + 1))
    best = max(shapes, key=lambda s: s.likelihood.max())
    free = len(seen.power) - 1 - 2 * best.kind.relaxations
    return float(stats.chi2.sf(2 * (saturated - best.likelihood.max()), max(free, 1)))


def _posterior(seen: Observed, shapes: list[_Shapes], goodness: float) -> Limit:
    best = max(float((s.likelihood + s.prior).max()) for s in shapes)
    drawn = [_drawn(seen, shape) for shape in shapes]
    # every kind has draws relative to its own best point, so that hopeless ones do not vanish
    scale = [math.exp(max(float((s.likelihood + s.prior).max()) - best, -700.0)) for s in shapes]
    evidence = np.array([share.sum() * factor for (_, share, _), factor in zip(drawn, scale, strict=True)])
    moving = [k for k, shape in enumerate(shapes) if shape.kind.diffuses]
    most = max(scale[k] for k in moving)
    draws = np.concatenate([drawn[k][0] for k in moving])
    weights = np.concatenate([drawn[k][1] * (scale[k] / most) for k in moving])
    inverse = np.sum([drawn[k][2] * (scale[k] / most) for k in moving], axis=0)
    kept = (weights > 1e-8 * weights.max()) & (draws > 0)
    likeliest = shapes[int(np.argmax(evidence))]
    j = int(np.argmax(likeliest.likelihood + likeliest.prior))
    rates = np.sqrt(squared_rates(likeliest.rates[j], seen.modes))
    heights = offsets(likeliest.kind, likeliest.rates[j], likeliest.amplitudes[j], seen)
    slope = float(likeliest.amplitudes[j, 0])
    return Limit(
        draws=draws[kept],
        weights=weights[kept] / weights[kept].sum(),
        standing=float(1 - evidence[moving].sum() / evidence.sum()),
        modes=seen.used,
        # the slope of persistent motion is 1 − exp(−s t) of its limit
        transient=float(-np.log(STRAIGHT) / rates[0])
        if likeliest.kind.persistent
        else transient(rates, heights, slope, STRAIGHT),
        offset=float(heights.sum()),
        goodness=goodness,
        log_evidence=best + float(np.log(evidence.sum() / len(evidence))),
        fitted=likeliest.amplitudes[j] @ likeliest.parts[j],
        influence=_influence(seen, draws, weights, inverse),
        unseen=_unseen(seen, likeliest, j),
    )


def _influence(seen: Observed, draws: Array, weights: Array, inverse: Array) -> Array:
    """Return ∂⟨2 D δ⟩/∂S of every mode: −w_b Cov(2 D δ, 1/μ_b), as ∂ log L/∂S_b = −w_b/μ_b, over the posterior."""
    mean = weights @ draws / weights.sum()
    by_bin = -seen.weight * (inverse[1] - mean * inverse[0]) / weights.sum()
    return np.asarray(np.repeat(by_bin / seen.widths, seen.widths))


def _unseen(seen: Observed, shape: _Shapes, j: int) -> Array:
    """Return the slope of the efficient score of one more relaxation beside the shape j with every mode's power.

    That part of the score ∂ log L/∂c at c = 0 is taken which no change of the shape's own amplitudes and rates can
    imitate. Of the rates in sight it is the slowest one at which a relaxation that halves D would show by `SEEN`
    standard errors: those that are faster are told, of those that are slower the run knows nothing.
    """
    mean = shape.amplitudes[j] @ shape.parts[j]
    metric = np.sqrt(seen.weight) / mean
    own = [part for part in shape.parts[j] if part.max() > 0]
    for k in range(shape.kind.relaxations):
        moved = shape.rates[j] + 0.01 * np.eye(shape.kind.relaxations)[k]
        own.append(shape.amplitudes[j] @ (terms(seen, shape.kind, moved[None])[0] - shape.parts[j]))
    basis = np.linalg.qr((np.array(own) * metric).T)[0]
    rates = np.linspace(np.log(SLOWEST), np.log(max(seen.used, 2 * SLOWEST)), CANDIDATES)
    scores = terms(seen, Motion(1, diffuses=True), rates[:, None])[:, 1] * metric
    scores -= scores @ basis @ basis.T
    shown = float(shape.amplitudes[j, 0]) * np.linalg.norm(scores, axis=1)
    told = np.flatnonzero(shown >= SEEN)
    best = scores[told[0] if len(told) else int(np.argmax(shown))]
    return np.asarray(np.repeat(best * metric / seen.widths, seen.widths))


def _drawn(seen: Observed, shape: _Shapes) -> tuple[Array, Array, Array]:
    """Return draws of the long-time limit over all grid points that matter, their shares, and `inverse_sums`.

    Shares are those of the evidence, which is in units of likelihood times prior at the best point. Importance
    sampling from a Student t distribution about the likeliest amplitudes of every point.
    """
    height = shape.likelihood + shape.prior
    points = np.flatnonzero(height > height.max() - NEGLIGIBLE)
    active = np.flatnonzero(shape.parts[0].max(axis=1) > 0)
    m = len(active)
    information = shape.information[points][:, active][:, :, active]
    scale = np.sqrt(np.einsum("jaa->ja", information))
    correlation = information / (scale[:, :, None] * scale[:, None, :]) + 1e-8 * np.eye(m)
    root = np.linalg.cholesky(np.linalg.inv(correlation)) / scale[:, :, None]
    z = _sequence()[:, :m]
    amplitudes = np.zeros((len(points), len(z), shape.parts.shape[1]))
    amplitudes[:, :, active] = shape.amplitudes[points][:, None, active] + np.einsum("za,jba->jzb", z, root)
    volume = np.log(np.abs(np.einsum("jaa->ja", root))).sum(axis=1)
    proposal = _log_student((z**2).sum(axis=1), m) - volume[:, None]
    total = np.maximum(amplitudes.sum(axis=2), 1e-300)
    shares = np.maximum(amplitudes[:, :, active] / total[:, :, None], 1e-12)
    prior = special.gammaln(m * SHARE) - m * special.gammaln(SHARE) + (SHARE - 1) * np.log(shares).sum(axis=2)
    prior += shape.prior[points, None] - m * np.log(total)
    likelihood = log_likelihoods(shape.parts[points], seen.power, seen.weight, amplitudes)
    share = np.exp(np.minimum(likelihood + prior - proposal - height.max(), 600.0)) / len(z)
    long_time = amplitudes[..., 0] + (amplitudes[..., 1] if shape.kind.persistent else 0.0)
    inverse = inverse_sums(shape.parts[points], amplitudes, share, long_time)
    return long_time.ravel(), share.ravel(), inverse


@functools.cache
def _sequence() -> Array:
    """Return points of a multivariate Student t distribution, (draws, 3), always the same."""
    uniform = stats.qmc.Sobol(4, scramble=True, rng=1).random(DRAWS)
    normal = stats.norm.ppf(uniform[:, :3])
    return np.asarray(normal / np.sqrt(stats.chi2.ppf(uniform[:, 3:], TAIL) / TAIL))


def _log_student(squared: Array, m: int) -> Array:
    constant = special.gammaln((TAIL + m) / 2) - special.gammaln(TAIL / 2) - m / 2 * np.log(TAIL * np.pi)
    return np.asarray(constant - (TAIL + m) / 2 * np.log1p(squared / TAIL))
