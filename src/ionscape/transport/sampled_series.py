"""Mean of a quantity over the frames of a run, with the error that its correlation in time leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionscape.errors import InputError
from ionscape.results import frozen
from ionscape.units import Array, Length, LengthArray, Number


@dataclass(frozen=True)
class SampledSeries:
    """A length over frames.

    Attributes
    ----------
    values
        One value a frame, Å.
    mean, deviation
        Mean and standard deviation over frames, Å.
    error
        Standard error of the mean, Å: deviation / √effective.
    effective
        Number of independent frames, n / (1 + 2 Σ ρ_k) with ρ_k the autocorrelation.
    """

    values: LengthArray
    mean: Length
    deviation: Length
    error: Length
    effective: Number


def sampled_series(values: Array) -> SampledSeries:
    """Return mean, spread and error of a series of frames.

    The sum over the autocorrelation ends where the sum of two successive values turns negative (initial positive
    sequence of Geyer), so that noise does not enter.

    Raises
    ------
    InputError
        If there are fewer than two frames.

    References
    ----------
    C. J. Geyer, Statist. Sci. 7, 473 (1992), doi:10.1214/ss/1177011137.
    """
    n = len(values)
    if n < 2:
        raise InputError(
            f"{n} frames",
            where="average over frames",
            expected="at least two frames, for an error",
            remedy="Give a longer trajectory, or a smaller stride.",
        )
    deviation = float(np.std(values, ddof=1))
    effective = n / _inefficiency(np.asarray(values, dtype=float))
    return SampledSeries(
        frozen(values), float(np.mean(values)), deviation, float(deviation / np.sqrt(effective)), effective
    )


def _inefficiency(values: Array) -> float:
    n = len(values)
    centred = values - values.mean()
    if not centred.any():
        return 1.0
    spectrum = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    correlation = np.fft.irfft(spectrum)[:n]
    rho = correlation / correlation[0]
    pairs = rho[: n // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    last = int(negative[0]) if len(negative) else len(pairs)
    return float(np.clip(2 * pairs[:last].sum() - 1, 1.0, n))
