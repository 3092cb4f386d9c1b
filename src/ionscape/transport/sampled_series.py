"""Mean of a quantity over the frames of a run, with the error that its correlation in time leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ionscape.dynamics.averages import statistical_inefficiency
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

    The error counts correlated frames by their `statistical_inefficiency`.

    Raises
    ------
    InputError
        If there are fewer than two frames.
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
    effective = n / statistical_inefficiency(np.asarray(values, dtype=float))
    return SampledSeries(
        frozen(values), float(np.mean(values)), deviation, float(deviation / np.sqrt(effective)), effective
    )
