"""Settings of the van Hove functions: times, distances, and how pairs are counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ionscape.errors import InputError
from ionscape.units import Array, Count, Indices, Length

#: Number of pairs that is counted without approximation.
SMALL = 10**8


@dataclass(frozen=True)
class VanHoveSettings:
    """Grid of times and distances of the van Hove functions, and how much of the work is done.

    Attributes
    ----------
    longest_lag
        Longest time, in frames.
    lags
        Number of times, evenly spaced from 0 to the longest.
    r_max, bin_width
        Farthest distance and width of the bins, Å. It may exceed the cell: all images within reach count.
    pairs_per_origin
        Pairs of ions that are evaluated per origin and time. Where there are more, each pair takes every m-th
        origin, staggered, so that every origin is used by one pair in m. None: all pairs at all origins.
    method
        How pairs are counted. ``images``: exact, every distance in the cells of its frames. ``grid``: separations
        on a grid of the mean cell, many times as fast; `VanHove.blur` tells how sharp. ``auto``: ``images``, and
        all pairs at all origins, for runs whose length is known and short (10⁸ pairs), else ``grid`` where its
        blur stays below the width of the bins.
    threads
        Threads of the count.
    """

    longest_lag: Count
    lags: Count = 200
    r_max: Length = 10.0
    bin_width: Length = 0.1
    pairs_per_origin: Count | None = 384
    method: Literal["auto", "images", "grid"] = "auto"
    threads: Count = 2

    def __post_init__(self) -> None:
        wrong = [
            f"{name} = {value}"
            for name, value, least in (
                ("longest_lag", self.longest_lag, 1),
                ("lags", self.lags, 1),
                ("r_max", self.r_max, self.bin_width),
                ("bin_width", self.bin_width, 1e-3),
                ("pairs_per_origin", self.pairs_per_origin or 1, 1),
                ("threads", self.threads, 1),
            )
            if not value >= least
        ]
        if wrong:
            raise InputError(
                ", ".join(wrong),
                where="van Hove settings",
                expected="at least one frame, time, pair and thread, and 0.001 Å ≤ bin_width ≤ r_max",
                remedy="Correct the settings.",
            )

    def lag_frames(self) -> Indices:
        """Return the times as whole numbers of frames, ascending, without repeats."""
        return np.unique(np.rint(np.linspace(0, self.longest_lag, self.lags)).astype(np.int64))

    def edges(self) -> Array:
        """Return the edges of the distance bins, Å."""
        bins = round(self.r_max / self.bin_width)
        return np.linspace(0.0, bins * self.bin_width, bins + 1)

    def is_small(self, pairs: int, frames: int) -> bool:
        """Return whether the exact count of all `pairs` in `frames` (0: unknown) takes seconds."""
        return self.method == "auto" and 0 < frames * pairs * self.lags <= SMALL

    def thinning(self, pairs: int, frames: int = 0) -> int:
        """Return m: each of `pairs` takes one origin in m."""
        if self.pairs_per_origin is None or self.is_small(pairs, frames):
            return 1
        return max(1, -(-pairs // self.pairs_per_origin))
