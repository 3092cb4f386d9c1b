"""Correlation length ξ of the arrangement of the mobile ions: how far the order in g(r) reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from ionscape.errors import InputError
from ionscape.results import Failure, frozen
from ionscape.transport.van_hove import VanHove, distinct_ratios
from ionscape.units import Array, Length, LengthArray, Number, NumberArray

#: Ends of the interval that is reported, in per cent.
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class CorrelationSettings:
    """Which part of g(r) is used.

    Attributes
    ----------
    r_min, r_max
        Range of the fit, Å. None: from 0.8 to 2.3 times the distance of the first maximum of g(r), which takes in
        the first two or three shells.
    smoothing
        Standard deviation of the Gaussian that g(r) is smoothed with before peaks are sought, Å.
    prominence
        Peaks of |g − 1| that rise less than this above their surroundings do not count.
    """

    r_min: Length | None = None
    r_max: Length | None = None
    smoothing: Length = 0.1
    prominence: Number = 0.05


@dataclass(frozen=True)
class CorrelationLength:
    """Correlation length with its 95 % bootstrap interval, and what it was fitted to.

    Attributes
    ----------
    value, low, high
        ξ and the ends of its interval, Å.
    error
        Standard error, Å.
    amplitude
        A in the envelope A exp(−r/ξ).
    range
        Range of the fit, Å.
    peaks
        Distances of the peaks of |g − 1| in it, Å.
    heights
        Their heights.
    """

    value: Length
    low: Length
    high: Length
    error: Length
    amplitude: Number
    range: tuple[Length, Length]
    peaks: LengthArray
    heights: NumberArray


def correlation_length(
    functions: VanHove,
    rng: np.random.Generator,
    settings: CorrelationSettings | None = None,
    resamples: int = 400,
) -> CorrelationLength | Failure:
    r"""Return ξ of the envelope of |g(r) − 1|.

    .. math:: |g(r) - 1| ≈ A \, e^{-r/ξ} \quad \text{at the peaks of } |g - 1|

    with g(r) = G_distinct(r, 0). The line is fitted to the logarithms of the peaks, each with the same weight.

    Parameters
    ----------
    functions
        Van Hove functions of the mobile species with itself; only t = 0 is used.
    rng
        Source of the resamples.
    settings
        Range and smoothing.
    resamples
        Number of bootstrap resamples, of blocks of time origins and of groups of ions.

    Returns
    -------
    CorrelationLength or Failure
        A failure tells that there are fewer than two peaks, or that they do not fall off.

    Raises
    ------
    InputError
        If the range is empty or lies beyond g(r), or t = 0 is missing.
    """
    settings = settings or CorrelationSettings()
    counts = functions.distinct_counts[:, :, 0]
    span = _range(functions, settings)

    def fit(weights: Array) -> tuple[float, float, Array, Array] | None:
        total = np.einsum("bg,bgr->r", weights, counts)
        if total[-1] == 0:
            return None
        per_volume = functions.density / functions.ions[1]
        g = distinct_ratios(total[None], functions.shells, per_volume)[0]
        return _envelope(functions.distances, g, span, settings)

    whole = fit(np.ones(counts.shape[:2]))
    if whole is None:
        return Failure(
            "no correlation length: |g(r) - 1| has no two peaks that fall off between "
            f"{span[0]:.2f} and {span[1]:.2f} Å"
        )
    drawn = []
    for _ in range(resamples):
        blocks, groups = (rng.multinomial(n, np.full(n, 1 / n)) for n in counts.shape[:2])
        one = fit(np.outer(blocks, groups).astype(float))
        drawn.append(np.inf if one is None else one[0])
    low, high = np.percentile(drawn, INTERVAL, method="nearest")
    if not np.isfinite(high):
        return Failure(f"about {whole[0]:.2f} Å, with an interval without upper end: more frames are needed")
    error = float(np.array(drawn)[np.isfinite(drawn)].std(ddof=1))
    return CorrelationLength(
        whole[0], float(low), float(high), error, whole[1], span, frozen(whole[2]), frozen(whole[3])
    )


def _range(functions: VanHove, settings: CorrelationSettings) -> tuple[float, float]:
    if functions.times[0] != 0:
        raise InputError(
            f"van Hove functions from t = {functions.times[0]} fs on",
            where="correlation length",
            expected="t = 0 among the times",
            remedy="Count with the default times.",
        )
    width = settings.smoothing / float(np.diff(functions.edges)[0])
    g = gaussian_filter1d(functions.distinct_part[0], width)
    shells, _ = find_peaks(g, height=1.0, prominence=settings.prominence)
    first = functions.distances[shells[0]] if len(shells) else functions.distances[int(np.argmax(g))]
    r_min = 0.8 * float(first) if settings.r_min is None else settings.r_min
    r_max = min(2.3 * float(first), float(functions.edges[-1])) if settings.r_max is None else settings.r_max
    if not 0 <= r_min < r_max <= functions.edges[-1] + 1e-9:
        raise InputError(
            f"range of the fit {r_min:.2f} to {r_max:.2f} Å",
            where="correlation length",
            expected=f"a range between 0 and {functions.edges[-1]:.2f} Å, to which g(r) was counted",
            remedy="Correct r_min and r_max, or count the van Hove functions farther.",
        )
    return r_min, r_max


def _envelope(
    r: Array, g: Array, span: tuple[float, float], settings: CorrelationSettings
) -> tuple[float, float, Array, Array] | None:
    """Return ξ, A, the peaks and their heights; None if fewer than two peaks, or a line that rises."""
    order = np.abs(gaussian_filter1d(g, settings.smoothing / float(r[1] - r[0])) - 1)
    peaks, _ = find_peaks(order, prominence=settings.prominence)
    peaks = peaks[(r[peaks] > span[0]) & (r[peaks] < span[1])]
    if len(peaks) < 2:
        return None
    slope, intercept = np.polyfit(r[peaks], np.log(order[peaks]), 1)
    if slope >= 0:
        return None
    return float(-1 / slope), float(np.exp(intercept)), r[peaks], order[peaks]
