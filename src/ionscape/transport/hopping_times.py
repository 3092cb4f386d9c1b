"""Characteristic times of hopping, read off the van Hove functions: first jump τ1, onset of concerted motion τ2.

The criteria are explained in ``docs/concepts/van-hove.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ionscape.results import Failure
from ionscape.transport.van_hove import VanHove
from ionscape.units import Array, Length, Number, Time

#: Width of the smoothing under which bands are sought, Å; far below the width of any site.
SMOOTHING = 0.12
#: A band is as high as this many times the minimum before it.
RISE = 1.25
#: Ends of the interval that is reported, in per cent.
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class JumpBand:
    """Band of displacements to the first neighbouring sites, in 4πr² G_self averaged over all times.

    Attributes
    ----------
    inner, outer
        Minima before and behind the band, Å. Within the inner one an ion is on its site.
    peak
        Maximum of the band, Å.
    weight
        Largest fraction of ions in the band at any time.
    """

    inner: Length
    peak: Length
    outer: Length
    weight: Number


@dataclass(frozen=True)
class HoppingTime:
    """A characteristic time with its 95 % bootstrap interval.

    Attributes
    ----------
    value, low, high
        Time and ends of the interval, fs.
    error
        Standard error, fs.
    band
        The band of first jumps that the time refers to.
    """

    value: Time
    low: Time
    high: Time
    error: Time
    band: JumpBand


def jump_band(functions: VanHove) -> JumpBand | Failure:
    """Return the band of first jumps, or a failure if there is none.

    4πr² G_self, averaged over all times but t = 0 and smoothed, first has the maximum of the vibrations; the band
    is the first maximum behind it that is at least 1.25 times as high as the minimum between them.
    """
    weights = (functions.self_part * functions.shells)[1:]
    profile = gaussian_filter1d(weights.mean(axis=0), SMOOTHING / float(np.diff(functions.edges)[0]))
    start = int(np.argmax(profile[1:] <= profile[:-1]))
    inner, peak = _rise(profile, start)
    if peak is None:
        moved = weights[-1] @ functions.distances
        return Failure(
            "no jumps: the displacements have no band of first neighbours behind the vibrations within "
            f"{functions.times[-1] / 1000:.4g} ps (mean displacement {moved:.2f} Å)"
        )
    outer, _ = _rise(profile, peak)
    band = weights[:, inner : outer + 1].sum(axis=1)
    r = functions.distances
    return JumpBand(float(r[inner]), float(r[peak]), float(r[outer]), float(band.max()))


def _rise(profile: Array, start: int) -> tuple[int, int | None]:
    """Return the minimum behind the maximum `start`, and the next maximum that rises above it, if there is one."""
    lowest, highest = start, None
    for k in range(start, len(profile)):
        if highest is None:
            if profile[k] < profile[lowest]:
                lowest = k
            elif profile[k] > RISE * profile[lowest] + 1e-12:
                highest = k
        elif profile[k] > profile[highest]:
            highest = k
        elif profile[k] < profile[highest] / RISE:
            break
    return lowest, highest


def first_jump_time(functions: VanHove, rng: np.random.Generator, resamples: int = 400) -> HoppingTime | Failure:
    r"""Return τ1, the time after which a fraction 1/e of the ions is still, or again, on the site of the origin.

    .. math:: \int_0^{r_1} 4πr² G_\mathrm{self}(r, τ_1) \, dr = 1/e

    with r1 the minimum before the band of first jumps (`jump_band`). For ions that leave their sites at a constant
    rate and do not come back it is the residence time.

    Parameters
    ----------
    functions
        Van Hove functions of the mobile species with itself.
    rng
        Source of the resamples.
    resamples
        Number of bootstrap resamples, of blocks of time origins and of groups of ions.

    Returns
    -------
    HoppingTime or Failure
        A failure tells that there are no jumps, that a larger fraction still is on its site at the longest time,
        or that the run is too short for an interval.
    """
    band = jump_band(functions)
    if isinstance(band, Failure):
        return band
    inside = functions.edges[1:] <= band.inner
    counts = functions.self_counts
    on_site, all_ions = counts[..., :-1][..., inside].sum(axis=-1), counts.sum(axis=-1)
    moved = (all_ions - on_site).sum(axis=2)
    if np.count_nonzero(moved) < 2:
        return Failure("no jumps but in one block of the run: the time of the first jump cannot be judged")

    def time(weights: Array) -> float:
        share = np.einsum("bg,bgt->t", weights, on_site) / np.einsum("bg,bgt->t", weights, all_ions)
        return _crossing(functions.times, 1 - share, 1 - 1 / np.e)

    left = float(on_site.sum(axis=(0, 1))[-1] / all_ions.sum(axis=(0, 1))[-1])
    longest = functions.times[-1] / 1000
    reason = f"{left:.0%} of the ions still are on their sites after {longest:.4g} ps (1/e is needed)"
    return _estimate(time, counts.shape[:2], band, (rng, resamples), reason)


def concerted_onset(
    functions: VanHove, rng: np.random.Generator, resamples: int = 400, level: float = 1.0
) -> HoppingTime | Failure:
    """Return τ2, the time after which another ion is found where an ion was as often as anywhere else.

    The first time at which the mean of G_distinct over r < r0 reaches `level`, r0 the smaller of the site's radius
    (`jump_band`) and half the distance of the first maximum of G_distinct(r, 0). In a crystal of separate sites it
    is 0 at t = 0, stays 0 where ions do not move, and exceeds 1 where vacated sites are taken by other ions.

    Parameters
    ----------
    functions
        Van Hove functions of the mobile species with itself.
    rng
        Source of the resamples.
    resamples
        Number of bootstrap resamples, of blocks of time origins and of groups of ions.
    level
        Value of G_distinct that counts as onset; 1 is that of ions without correlation.

    Returns
    -------
    HoppingTime or Failure
        A failure tells why there is none.
    """
    band = jump_band(functions)
    if isinstance(band, Failure):
        return Failure(f"no concerted motion: {band.reason}")
    start = functions.distinct_part[0]
    shell = functions.distances[int(np.argmax(start > 0.5 * start.max()))]
    inside = functions.edges[1:] <= max(min(band.inner, shell / 2), functions.edges[1])
    expected = functions.shells[inside].sum() * functions.density / functions.ions[1]
    counts = functions.distinct_counts
    there, samples = counts[..., :-1][..., inside].sum(axis=-1), counts[..., -1]
    mean = there.sum(axis=(0, 1)) / (samples.sum(axis=(0, 1)) * expected)
    if mean[0] >= level:
        return Failure("no onset: ions of the second species are at the origin at t = 0 already")

    def time(weights: Array) -> float:
        ratio = np.einsum("bg,bgt->t", weights, there) / np.einsum("bg,bgt->t", weights, samples) / expected
        return _crossing(functions.times, ratio, level)

    reason = (
        f"other ions reach {mean.max():.2f} of the mean density at a vacated place within "
        f"{functions.times[-1] / 1000:.4g} ps ({level:.4g} is needed)"
    )
    return _estimate(time, counts.shape[:2], band, (rng, resamples), reason)


def _crossing(times: Array, values: Array, level: float) -> float:
    """Return the time at which `values` first reach `level`, linear between times; infinity if they do not."""
    above = np.flatnonzero(values >= level)
    if not len(above):
        return float("inf")
    k = int(above[0])
    if k == 0:
        return float(times[0])
    part = (level - values[k - 1]) / (values[k] - values[k - 1])
    return float(times[k - 1] + part * (times[k] - times[k - 1]))


def _estimate(
    time: Callable[[Array], float],
    shape: tuple[int, ...],
    band: JumpBand,
    bootstrap: tuple[np.random.Generator, int],
    reason: str,
) -> HoppingTime | Failure:
    """Return the time with its interval from resampled blocks and, independently, groups of ions."""
    value = time(np.ones(shape))
    if not np.isfinite(value):
        return Failure(reason)
    rng, resamples = bootstrap
    drawn = []
    for _ in range(resamples):
        blocks, groups = (rng.multinomial(n, np.full(n, 1 / n)) for n in shape)
        with np.errstate(invalid="ignore"):  # a resample may hold no origin of the longest times
            drawn.append(time(np.outer(blocks, groups).astype(float)))
    low, high = np.percentile(np.where(np.isnan(drawn), np.inf, drawn), INTERVAL, method="nearest")
    if not np.isfinite(high):
        return Failure(
            f"about {value / 1000:.4g} ps, with an interval that ends beyond the longest time; give a longer one"
        )
    finite = np.array(drawn)[np.isfinite(drawn)]
    return HoppingTime(value, float(low), float(high), float(finite.std(ddof=1)), band)
